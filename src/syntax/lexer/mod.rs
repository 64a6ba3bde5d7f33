//! Text to lexemes: what no reader should have to know of is reported and mended here (reference section 2).

mod conflict;
mod flaw;
mod normal_form;
mod string;

pub(crate) use normal_form::check_normal_form;

use crate::{
    diagnostic::{Code, Diagnostic},
    source::{Source, Span},
    syntax::{character::find_doubled, findings::Findings, token::Token},
};

/// A token with its text and its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Lexeme<'a> {
    /// What it is.
    pub(crate) token: Token,
    /// As written; of a string what stands between the quotes.
    pub(crate) text: &'a str,
    /// Where; of a string with the quotes.
    pub(crate) span: Span,
    /// Something about it was reported already, so that nobody else needs to.
    pub(crate) flawed: bool,
}

/// What the lexer makes of a document.
#[derive(Debug)]
pub(crate) struct Lexed<'a> {
    /// In source order.
    pub(crate) lexemes: Vec<Lexeme<'a>>,
    /// From `//` to the end of the line, without it.
    pub(crate) comments: Vec<Span>,
}

/// How long a lexeme is at least on the average of an ordinary document, with the blanks before it: room that is never written
/// costs nothing, and moving all lexemes does.
const BYTES_PER_LEXEME: usize = 4;

/// What the next word would be. `/*` is a comment of another language where an item begins, and a value elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expects {
    Item,
    Value,
}

impl Expects {
    #[expect(clippy::wildcard_enum_match_arm, clippy::match_same_arms, reason = "all that is left are operators")]
    fn behind(self, lexeme: &Lexeme<'_>) -> Self {
        match lexeme.token {
            Token::Word | Token::Variable | Token::Path | Token::Placeholder | Token::String => match self {
                Self::Item if lexeme.token == Token::Word && lexeme.text != "if" => Self::Value,
                Self::Item | Self::Value => Self::Item,
            },
            Token::LeftBrace | Token::RightBrace | Token::LeftParen | Token::RightParen => Self::Item,
            Token::Arrow | Token::And | Token::Or | Token::Bang => Self::Item,
            _ => Self::Value,
        }
    }
}

struct Lexer<'a, 'f> {
    text: &'a str,
    /// Offset of the next token.
    at: usize,
    found: &'f mut Findings,
    lexed: Lexed<'a>,
    /// What is expected behind so many lexemes: what is behind these is looked at when somebody asks.
    expects: (usize, Expects),
    /// Whether a `*/` may still come; searched for once, so that many `/*` take no more time than one.
    comment_end_ahead: bool,
    line: string::Line,
    /// Whether a `[` stands for the `(` of a list.
    in_brackets: bool,
}

/// Reads the whole document.
pub(crate) fn lex<'a>(found: &mut Findings, source: &'a Source) -> Lexed<'a> {
    let mut unread = conflict::conflicts(found, source.text());
    let mut lexer = Lexer {
        text: source.text(),
        at: 0,
        found,
        lexed: Lexed { lexemes: Vec::with_capacity(source.text().len() / BYTES_PER_LEXEME), comments: Vec::new() },
        expects: (0, Expects::Item),
        comment_end_ahead: true,
        line: string::Line::default(),
        in_brackets: false,
    };
    lexer.drop_byte_order_mark();
    loop {
        if unread.is_empty() && !lexer.in_brackets {
            lexer.plain();
        }
        let Some((token, length)) = Token::first(lexer.rest()) else { break };
        // No token but white space goes on over a line end, and a marker begins its line.
        if let Some(span) = unread.pop_front_if(|it| it.start <= lexer.at) {
            lexer.at = lexer.at.max(span.end);
            continue;
        }
        // INVARIANT (progress): no token is empty, and none is cut down to nothing.
        lexer.token(token, length);
    }
    lexer.lexed
}

/// Where the tokens of a text lie, white space and comments among them.
///
/// They tile the text: each begins where the one before it ends, none is empty, and together they are all of it.
///
/// ```
/// use gatehouse::{source::Span, syntax::token_spans};
///
/// let spans = token_spans("a // b");
/// assert_eq!(spans, [Span::new(0, 1), Span::new(1, 2), Span::new(2, 6)]);
/// ```
pub fn token_spans(text: &str) -> Vec<Span> {
    let mut spans = Vec::new();
    let mut at = 0_usize;
    while let Some((token, length)) = text.get(at..).and_then(Token::first) {
        let mut end = at.saturating_add(length);
        // A `-` before `>` belongs to the arrow.
        let is_word = matches!(token, Token::Word | Token::Path | Token::Placeholder);
        let ends_in_arrow = text.get(end.saturating_sub(1)..).is_some_and(|it| it.starts_with("->"));
        if is_word && ends_in_arrow && length > 1 {
            end = end.saturating_sub(1);
        }
        spans.push(Span::new(at, end));
        at = end;
    }
    spans
}

impl<'a> Lexer<'a, '_> {
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn slice(&self, span: Span) -> &'a str {
        self.text.get(span.range()).unwrap_or_default()
    }

    /// Reads tokens for as long as nothing more need be known of them: nearly all.
    fn plain(&mut self) {
        let (text, mut at) = (self.text.as_bytes(), self.at);
        let mut before = self.lexed.lexemes.last().map_or(usize::MAX, |it| it.span.end);
        loop {
            let rest = text.get(at..).unwrap_or_default();
            let blanks = rest.iter().position(|it| !matches!(it, b' ' | b'\t' | b'\n')).unwrap_or(rest.len());
            at = at.saturating_add(blanks);
            let Some((token, length)) = text.get(at..).and_then(Token::plain) else { break };
            let span = Span::new(at, at.saturating_add(length));
            let mut inner = span;
            if token == Token::String {
                // Where a quote is missing or one too many, a string touches something.
                if before == at || text.get(span.end).is_some_and(|it| Token::goes_on(*it)) {
                    break;
                }
                inner = string::inner(span);
            }
            self.lexed.lexemes.push(Lexeme { token, text: self.slice(inner), span, flawed: false });
            (at, before) = (span.end, span.end);
        }
        self.at = at;
    }

    fn drop_byte_order_mark(&mut self) {
        if self.text.starts_with('\u{FEFF}') {
            let span = Span::new(0, '\u{FEFF}'.len_utf8());
            let diagnostic = Diagnostic::new(
                Code::ByteOrderMark,
                span,
                "the document begins with a byte-order mark",
                "dropped; save the file as UTF-8 without it",
            );
            self.found.push(diagnostic.with_fix("remove the byte-order mark", true, span, ""));
            self.at = span.end;
        }
    }

    // What is rare stays out of line, so that this is small.
    #[inline]
    fn token(&mut self, token: Token, length: usize) {
        let span = Span::new(self.at, self.at.saturating_add(length));
        self.at = span.end;
        match token {
            Token::Space => (),
            Token::Comment => self.comment(span),
            Token::Word | Token::Path | Token::Placeholder => self.word(token, span),
            Token::Odd => self.odd(span),
            Token::String => self.string(span),
            Token::OpenString => self.open_string(span),
            Token::TypographicString | Token::TypographicSingle => self.typographic_string(span),
            Token::SingleQuoted => self.single_quoted(span),
            Token::Hash => self.hash(span),
            Token::UnusualSpace => self.unusual_space(span),
            Token::LoneReturn => self.lone_return(span),
            Token::Semicolon => self.semicolon(span),
            Token::TypographicQuote => self.typographic_quote(span),
            Token::BadHeader => self.bad_header(span),
            Token::LeftBrace
            | Token::RightBrace
            | Token::LeftParen
            | Token::RightParen
            | Token::Comma
            | Token::Arrow
            | Token::And
            | Token::Or
            | Token::Bang
            | Token::Equal
            | Token::NotEqual
            | Token::Less
            | Token::LessOrEqual
            | Token::Greater
            | Token::GreaterOrEqual
            | Token::Misspelled
            | Token::Variable
            | Token::Header => self.push(token, span, self.slice(span), false),
        }
    }

    fn push(&mut self, token: Token, span: Span, text: &'a str, flawed: bool) {
        // No list goes on over a brace.
        self.in_brackets &= !matches!(token, Token::LeftBrace | Token::RightBrace);
        self.lexed.lexemes.push(Lexeme { token, text, span, flawed });
    }

    /// Takes the last lexeme back.
    fn pop(&mut self) {
        self.expects();
        self.lexed.lexemes.pop();
        self.expects.0 = self.lexed.lexemes.len();
    }

    /// What the next word would be.
    fn expects(&mut self) -> Expects {
        let (seen, expects) = self.expects;
        let unseen = self.lexed.lexemes.get(seen..).unwrap_or_default();
        self.expects = (self.lexed.lexemes.len(), unseen.iter().fold(expects, |it, lexeme| it.behind(lexeme)));
        self.expects.1
    }

    fn word(&mut self, token: Token, mut span: Span) {
        if let Some(shorter) = self.without_arrow(span) {
            span = shorter;
            self.at = span.end;
        }
        let text = self.slice(span);
        if text.starts_with('/') && self.expects() == Expects::Item {
            if text.starts_with("/*") {
                return self.block_comment(span);
            }
            if text == "/" && self.rest().starts_with([' ', '\t']) {
                return self.half_comment(span);
            }
        }
        match find_doubled(text.as_bytes(), b'/') {
            Some(at) => self.slashes_after_word(token, span, at),
            None => self.push(token, span, text, false),
        }
    }

    /// A `-` before `>` belongs to the arrow.
    fn without_arrow(&self, span: Span) -> Option<Span> {
        let text = self.slice(span);
        let shorter = Span::new(span.start, span.end.saturating_sub(1));
        (text.ends_with('-') && self.rest().starts_with('>') && !shorter.is_empty()).then_some(shorter)
    }

    #[inline(never)]
    fn comment(&mut self, span: Span) {
        let text = self.slice(span);
        let span = Span::new(span.start, span.end.saturating_sub(usize::from(text.ends_with('\r'))));
        self.lexed.comments.push(span);
        self.check_comment(span);
    }
}
