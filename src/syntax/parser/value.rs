//! Values: words, strings, variables.

use smallvec::{SmallVec, smallvec};

use crate::{
    diagnostic::{Code, Diagnostic, printable::short},
    source::Span,
    syntax::{
        ast::{Name, Piece, Value},
        lexer::Lexeme,
        parser::Reader,
        realm::is_variable_character,
        stream::{Parsed, Stream},
        token::Token,
    },
};

impl<'a> Reader<'a> {
    /// ```ebnf
    /// value = string | word | variable ;
    /// ```
    pub(super) fn value(&mut self, input: Stream<'a>) -> Parsed<'a, Value> {
        let Some((rest, lexeme)) = input.next() else { return Err(input.unexpected("a value")) };
        let Lexeme { text, span, .. } = lexeme;
        let value = match lexeme.token {
            Token::String => Value { pieces: self.pieces(text, self.source.offset_of(text)), quoted: true, span },
            Token::Variable => Value { pieces: self.pieces(text, span.start), quoted: false, span },
            // `if (` and `on job::/` begin the next item: here a value is missing.
            Token::Word if text == "if" && rest.token() == Some(Token::LeftParen) => {
                return Err(input.unexpected("a value"));
            }
            Token::Word if text == "on" && rest.peek().is_some_and(|it| it.text.contains("::")) => {
                return Err(input.unexpected("a value"));
            }
            Token::Word => {
                self.check_reserved(lexeme);
                Value { pieces: smallvec![Piece::Text(text.into())], quoted: false, span }
            }
            Token::Path => {
                self.must_be_quoted(lexeme);
                Value { pieces: self.pieces(text, span.start), quoted: true, span }
            }
            Token::Placeholder => {
                self.placeholder(lexeme);
                Value { pieces: smallvec![Piece::Text(text.into())], quoted: false, span }
            }
            _ => return Err(input.unexpected("a value")),
        };
        self.check_variables(&value);
        Ok((rest, value))
    }

    /// Whether the next lexeme is a value, and not the beginning of something else.
    pub(super) fn stands_value(input: Stream<'a>) -> bool {
        match input.peek() {
            Some(lexeme) if lexeme.is_word("if") => input.look(1).is_none_or(|it| it.token != Token::LeftParen),
            Some(lexeme) if lexeme.is_word("on") => input.look(1).is_none_or(|it| !it.text.contains("::")),
            Some(lexeme) => lexeme.token.begins_value(),
            None => false,
        }
    }

    fn check_reserved(&mut self, lexeme: Lexeme<'a>) {
        if matches!(lexeme.text, "on" | "if") {
            let text = lexeme.text;
            self.push(
                Diagnostic::new(
                    Code::ReservedWord,
                    lexeme.span,
                    format!("`{text}` is a word of the language itself"),
                    "a value belongs here",
                )
                .with_help("in quotes it is a value like any other")
                .with_fix("put it in quotes", false, lexeme.span, format!("\"{text}\"")),
            );
        }
    }

    fn must_be_quoted(&mut self, lexeme: Lexeme<'a>) {
        if !lexeme.flawed {
            self.push(
                Diagnostic::new(
                    Code::MustBeQuoted,
                    lexeme.span,
                    "a value with variables in it stands in quotes",
                    "put it in quotes",
                )
                .with_fix("put it in quotes", false, lexeme.span, format!("\"{}\"", lexeme.text)),
            );
        }
    }

    /// Text and variables of a string, from what stands between its quotes; `offset` is where that begins.
    fn pieces(&mut self, text: &str, offset: usize) -> SmallVec<[Piece; 1]> {
        let mut pieces = SmallVec::new();
        if !text.bytes().any(|it| matches!(it, b'\\' | b'[')) {
            pieces.extend((!text.is_empty()).then(|| Piece::Text(text.into())));
            return pieces;
        }
        let mut plain = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['\\', '[']) {
            let (before, special) = rest.split_at_checked(at).unwrap_or((rest, ""));
            plain.push_str(before);
            let here = offset.saturating_add(text.len().saturating_sub(special.len()));
            rest = if let Some((name, behind)) = variable(special) {
                if !plain.is_empty() {
                    pieces.push(Piece::Text(std::mem::take(&mut plain).into()));
                }
                let span = Span::new(here, here.saturating_add(name.len()).saturating_add(2));
                pieces.push(Piece::Variable(Name { text: name.into(), span }));
                behind
            } else if special.starts_with('[') {
                plain.push('[');
                special.get(1..).unwrap_or_default()
            } else {
                let (c, behind) = self.escape(special, here);
                plain.extend(c);
                behind
            };
        }
        plain.push_str(rest);
        if !plain.is_empty() {
            pieces.push(Piece::Text(plain.into()));
        }
        pieces
    }

    /// What a `\` and the character behind it stand for, and what follows.
    fn escape<'t>(&mut self, text: &'t str, offset: usize) -> (Option<char>, &'t str) {
        let mut chars = text.chars();
        chars.next();
        let escaped = chars.next();
        if let Some(c @ ('"' | '\\' | '[')) = escaped {
            return (Some(c), chars.as_str());
        }
        let span = Span::new(offset, offset.saturating_add(1).saturating_add(escaped.map_or(0, char::len_utf8)));
        let shown = escaped.map_or_else(String::new, |c| short(c.encode_utf8(&mut [0; 4])));
        self.push(
            Diagnostic::new(
                Code::UnknownEscape,
                span,
                format!("`\\{shown}` stands for nothing in a string"),
                "only `\\\"`, `\\\\` and `\\[` do",
            )
            .with_fix("write the `\\` itself", false, Span::at(offset), "\\"),
        );
        (escaped, chars.as_str())
    }
}

/// The name of the variable that the text begins with, and what follows.
fn variable(text: &str) -> Option<(&str, &str)> {
    let inner = text.strip_prefix('[')?;
    // Stops at the first character that no name has: a search for `]` would make many `[` slow.
    let end = inner.find(|c| !is_variable_character(c))?;
    let (name, behind) = inner.split_at_checked(end)?;
    Some((name, behind.strip_prefix(']')?)).filter(|_| !name.is_empty())
}
