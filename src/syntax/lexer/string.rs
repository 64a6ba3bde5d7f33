//! Strings, and what people type in place of them.

use crate::{
    diagnostic::{Code, Diagnostic},
    source::Span,
    syntax::{
        character::is_word,
        lexer::{Lexeme, Lexer},
        token::Token,
    },
};

/// How many quotes the line has on which the lexer is.
#[derive(Debug, Default)]
pub(super) struct Line {
    end: usize,
    quotes: usize,
}

impl<'a> Lexer<'a, '_> {
    pub(super) fn string(&mut self, span: Span) {
        // `"read, "create"`: with a quote missing, the first string seems to end where the second begins.
        let odd = !self.quotes_on_line(span.start).is_multiple_of(2);
        if odd && self.stray_quote(span) {
            return;
        }
        if odd && self.rest().starts_with(is_word) {
            return self.open_string(span);
        }
        let text = self.slice(inner(span));
        let flawed = self.check_string(inner(span));
        self.push(Token::String, span, text, flawed);
    }

    /// A string that does not end: what follows on the line is read as if it had.
    #[inline(never)]
    pub(super) fn open_string(&mut self, span: Span) {
        if !self.quotes_on_line(span.start).is_multiple_of(2) && self.stray_quote(span) {
            return;
        }
        let start = span.start.saturating_add(1);
        let behind = self.slice(Span::new(start, span.end)).trim_end_matches(['"', '\r']);
        if let Some(at) = behind.find(['“', '”', '‘', '’']) {
            return self.half_typographic(span, at);
        }
        let content = behind.find(['{', '}', '(', ')', ',']).and_then(|at| behind.get(..at)).unwrap_or(behind);
        let content = content.trim_end();
        let end = start.saturating_add(content.len());
        let quote = Span::new(span.start, start);
        self.found.push(
            Diagnostic::new(Code::UnterminatedString, quote, "this string is not closed on its line", "opened here")
                .with_help("a string ends with `\"` on the line on which it begins; a quote in it is `\\\"`")
                .with_fix("close the string", false, Span::at(end), "\""),
        );
        self.at = end;
        self.push(Token::String, Span::new(span.start, end), content, true);
    }

    /// On a line with an odd number of quotes: `tom"`, `"tom""` and `""tom"`. Answers whether it was one of these.
    #[inline(never)]
    fn stray_quote(&mut self, span: Span) -> bool {
        let quote = Span::new(span.start, span.start.saturating_add(1));
        let before = self.lexed.lexemes.last().copied().filter(|it| it.span.end == span.start);
        let doubled = self.slice(span) == "\"\"" && self.rest().starts_with(|c| is_word(c) || c == '[');
        match before {
            Some(word) if matches!(word.token, Token::Word | Token::Path | Token::Variable) && !word.flawed => {
                self.unopened_string(word, quote);
            }
            Some(string) if string.token == Token::String && !string.flawed => self.needless_quote(quote),
            Some(_) | None if doubled => self.needless_quote(quote),
            Some(_) | None => return false,
        }
        self.at = quote.end;
        true
    }

    fn unopened_string(&mut self, word: Lexeme<'a>, quote: Span) {
        self.found.push(
            Diagnostic::new(Code::UnterminatedString, quote, "this string has no quote at its start", "closed here")
                .with_help("a string stands between two `\"` on one line; a quote in it is `\\\"`")
                .with_fix("open the string", false, Span::at(word.span.start), "\""),
        );
        self.line.quotes = self.line.quotes.saturating_add(1);
        self.pop();
        self.push(Token::String, word.span.to(quote), word.text, true);
    }

    fn needless_quote(&mut self, quote: Span) {
        self.found.push(
            Diagnostic::new(Code::UnterminatedString, quote, "this quote opens no string", "one `\"` too many")
                .with_fix("remove the `\"`", false, quote, ""),
        );
        self.line.quotes = self.line.quotes.saturating_sub(1);
    }

    /// `"tom”`: begins straight and ends typographic.
    fn half_typographic(&mut self, span: Span, at: usize) {
        let start = span.start.saturating_add(1);
        let end = start.saturating_add(at);
        let content = self.slice(Span::new(start, end));
        let quote = self.slice(Span::new(end, span.end)).chars().next().map_or(0, char::len_utf8);
        let quote = Span::new(end, end.saturating_add(quote));
        self.found.push(
            Diagnostic::new(
                Code::TypographicQuotes,
                quote,
                "this string ends with a typographic quote",
                "a straight `\"` belongs here",
            )
            .with_fix("write a straight quote", false, quote, "\""),
        );
        self.at = quote.end;
        self.push(Token::String, Span::new(span.start, quote.end), content, true);
    }

    #[inline(never)]
    pub(super) fn typographic_string(&mut self, span: Span) {
        let (text, content) = self.between_quotes(span);
        self.found.push(
            Diagnostic::new(
                Code::TypographicQuotes,
                span,
                "this text stands in typographic quotes",
                "a string stands in straight quotes",
            )
            .with_help("word processors and web pages turn `\"` into `“` and `”`: type the quotes anew")
            .with_fix("write straight quotes", true, span, format!("\"{}\"", escaped(text))),
        );
        self.check_string(content);
        self.push(Token::String, span, text, true);
    }

    #[inline(never)]
    pub(super) fn typographic_quote(&mut self, span: Span) {
        let quote = self.slice(span);
        self.found.push(
            Diagnostic::new(
                Code::TypographicQuotes,
                span,
                format!("a typographic quote `{quote}` means nothing here"),
                "no string begins or ends with it",
            )
            .with_help("a string stands in straight quotes: `\"tom\"`"),
        );
    }

    #[inline(never)]
    pub(super) fn single_quoted(&mut self, span: Span) {
        let (text, content) = self.between_quotes(span);
        self.found.push(
            Diagnostic::new(
                Code::SingleQuotes,
                span,
                "this text stands in single quotes",
                "a string stands in double quotes",
            )
            .with_fix("write double quotes", true, span, format!("\"{}\"", escaped(text))),
        );
        self.check_string(content);
        self.push(Token::String, span, text, true);
    }

    /// What stands between quotes of any width, and where.
    fn between_quotes(&self, span: Span) -> (&'a str, Span) {
        let whole = self.slice(span);
        let first = whole.chars().next().map_or(0, char::len_utf8);
        let last = whole.chars().next_back().map_or(0, char::len_utf8);
        let content = Span::new(span.start.saturating_add(first), span.end.saturating_sub(last));
        (self.slice(content), content)
    }

    /// How many unescaped quotes stand on the line at `offset`; each line is counted once.
    fn quotes_on_line(&mut self, offset: usize) -> usize {
        if offset >= self.line.end {
            let rest = self.text.as_bytes().get(offset..).unwrap_or_default();
            let (quotes, length) = quotes_of_line(rest);
            self.line = Line { quotes, end: offset.saturating_add(length).saturating_add(1) };
        }
        self.line.quotes
    }
}

/// How many unescaped quotes stand on the first line, and how long that is.
fn quotes_of_line(text: &[u8]) -> (usize, usize) {
    let (mut quotes, mut at) = (0_usize, 0_usize);
    while let Some(next) = text.get(at..).and_then(|it| memchr::memchr3(b'"', b'\\', b'\n', it)) {
        at = at.saturating_add(next);
        let mut signs = text.get(at..).unwrap_or_default().iter();
        match signs.next() {
            Some(b'"') => quotes = quotes.saturating_add(1),
            // What it escapes is no quote; a line ends all the same.
            Some(b'\\') => at = at.saturating_add(usize::from(signs.next() != Some(&b'\n'))),
            _ => return (quotes, at),
        }
        at = at.saturating_add(1);
    }
    (quotes, text.len())
}

/// Without the quotes.
pub(super) fn inner(span: Span) -> Span {
    Span::new(span.start.saturating_add(1), span.end.saturating_sub(1))
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}
