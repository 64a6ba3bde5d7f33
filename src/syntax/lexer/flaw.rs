//! Characters and words that do not belong into a document: what is wrong with each, and the way out.

use unicode_normalization::UnicodeNormalization;

use crate::{
    diagnostic::{Code, Diagnostic, Edit, Fix, printable::short},
    limits::LIST_BYTES_MAX,
    source::Span,
    syntax::{
        character::{is_bidi_control, is_bidi_override, is_forbidden_control, is_invisible, is_letter, is_word},
        lexer::Lexer,
        token::Token,
    },
};

/// A kind of character that is an error wherever it stands outside comments.
struct Kind {
    code: Code,
    is: fn(char) -> bool,
    message: &'static str,
}

const KINDS: [Kind; 4] = [
    Kind {
        code: Code::BidiControl,
        is: is_bidi_control,
        message: "this text holds a character that changes its direction",
    },
    Kind { code: Code::InvisibleCharacter, is: is_invisible, message: "this text holds an invisible character" },
    Kind { code: Code::ControlCharacter, is: is_control, message: "this text holds a control character" },
    Kind { code: Code::UnusualSpace, is: is_no_break_space, message: "this text holds a no-break space" },
];

// In a string a carriage return is as bad as any other control character.
fn is_control(c: char) -> bool {
    is_forbidden_control(c) || c == '\r'
}

fn is_no_break_space(c: char) -> bool {
    c == '\u{A0}'
}

impl Lexer<'_, '_> {
    /// Reports what may not stand in a string; answers whether there was anything.
    pub(super) fn check_string(&mut self, span: Span) -> bool {
        let mut rest = self.slice(span);
        if rest.bytes().all(|it| it == b' ' || it.is_ascii_graphic()) {
            return false;
        }
        let mut flawed = false;
        for kind in &KINDS {
            let Some(c) = rest.chars().find(|&c| (kind.is)(c)) else { continue };
            flawed = true;
            self.report_character(span, kind, c);
            // A bidi control is invisible too: it is told once.
            if kind.code == Code::BidiControl {
                rest = if rest.chars().any(|c| is_invisible(c) && !is_bidi_control(c)) { rest } else { "" };
            }
        }
        flawed
    }

    fn report_character(&mut self, within: Span, kind: &Kind, c: char) {
        let text = self.slice(within);
        let at = within.start.saturating_add(text.find(c).unwrap_or(0));
        let span = Span::new(at, at.saturating_add(c.len_utf8()));
        let mended: String = if kind.code == Code::UnusualSpace {
            text.replace(kind.is, " ")
        } else {
            text.chars().filter(|&c| !(kind.is)(c)).collect()
        };
        self.found.push(
            Diagnostic::new(kind.code, span, kind.message, format!("U+{:04X} stands here", u32::from(c)))
                .with_help("nobody can see it, so nobody can judge what the document says")
                .with_fix("take it out", false, within, mended),
        );
    }

    /// Comments are for people, so the only error in them is what deceives people.
    pub(super) fn check_comment(&mut self, span: Span) {
        let text = self.slice(span);
        if let Some(c) = text.chars().find(|&c| is_bidi_override(c)) {
            let message = "this comment holds a character that changes the direction of the text around it";
            self.report_character(span, &Kind { code: Code::BidiControl, is: is_bidi_override, message }, c);
        }
        if let Some(at) = text.find('\r') {
            let at = span.start.saturating_add(at);
            self.lone_return(Span::new(at, at.saturating_add(1)));
        }
    }

    /// A run of characters with at least one that no word has.
    #[inline(never)]
    pub(super) fn odd(&mut self, mut span: Span) {
        if let Some(shorter) = self.without_arrow(span) {
            span = shorter;
            self.at = span.end;
        }
        let text = self.slice(span);
        if text.starts_with('[') && self.lexed.lexemes.last().is_some_and(|it| it.is_word("in")) {
            return self.bracketed_list(span.start);
        }
        if self.in_brackets
            && let Some(value) = text.strip_suffix(']').filter(|it| it.chars().all(is_word))
        {
            let bracket = Span::new(span.end.saturating_sub(1), span.end);
            self.in_brackets = false;
            if !value.is_empty() {
                self.push(Token::Word, Span::new(span.start, bracket.start), value, false);
            }
            return self.push(Token::RightParen, bracket, self.slice(bracket), true);
        }
        self.report_odd(span);
        // What would be a word without the strange character is read as one; alone it is read as white space.
        if text.contains(|c| is_letter(c) || c.is_ascii_digit()) {
            self.push(Token::Word, span, text, true);
        }
    }

    /// `in ["a", "b"]`, as other languages write a list; read as if it stood in parentheses.
    fn bracketed_list(&mut self, start: usize) {
        let open = Span::new(start, start.saturating_add(1));
        self.at = open.end;
        self.in_brackets = true;
        let line = self.rest().bytes().take(LIST_BYTES_MAX).take_while(|it| *it != b'\n');
        let mut edits = vec![Edit { span: open, text: "(".to_owned() }];
        if let Some(at) = line.into_iter().position(|it| it == b']') {
            let at = open.end.saturating_add(at);
            edits.push(Edit { span: Span::new(at, at.saturating_add(1)), text: ")".to_owned() });
        }
        let mut error =
            Diagnostic::new(Code::UnexpectedCharacter, open, "a list stands in parentheses", "`(` belongs here");
        error.fixes.push(Fix { title: "write parentheses".to_owned(), safe: false, edits });
        self.found.push(error);
        self.push(Token::LeftParen, open, self.slice(open), true);
    }

    fn report_odd(&mut self, span: Span) {
        let text = self.slice(span);
        let kind = KINDS.iter().find_map(|kind| text.chars().find(|&c| (kind.is)(c)).map(|c| (kind, c)));
        if let Some((kind, c)) = kind {
            return self.report_character(span, kind, c);
        }
        let is_strange = |c: &(usize, char)| !is_word(c.1);
        let Some((at, c)) = text.char_indices().find(is_strange) else { return };
        let at = span.start.saturating_add(at);
        let place = Span::new(at, at.saturating_add(c.len_utf8()));
        let shown = short(c.encode_utf8(&mut [0; 4]));
        if let Some(length) = environment_variable(self.slice(Span::new(at, span.end))) {
            let place = Span::new(at, at.saturating_add(length));
            let message = format!("`{}` is a placeholder that was never filled in", short(self.slice(place)));
            self.found.push(
                Diagnostic::new(Code::Placeholder, place, message, "write the real name here")
                    .with_help("the language knows no environment; a variable is `[name]`, and a realm binds it"),
            );
            return;
        }
        if matches!(c, '[' | ']') {
            let error = Diagnostic::new(
                Code::UnexpectedCharacter,
                place,
                format!("`{c}` belongs to no variable here"),
                "a variable is `[name]`: letters, digits, `_` and `-` in brackets",
            )
            .with_help("a text with brackets in it stands in quotes");
            self.found.push(match self.other_bracket(span, place, c) {
                Some((at, bracket)) => error.with_fix(format!("write the `{bracket}`"), false, Span::at(at), bracket),
                None => error,
            });
            return;
        }
        let error = Diagnostic::new(
            Code::UnexpectedCharacter,
            place,
            format!("`{shown}` (U+{:04X}) means nothing outside of strings", u32::from(c)),
            "not part of any word",
        );
        let plain: String = std::iter::once(c).nfkc().collect();
        self.found.push(if plain.is_ascii() && plain.chars().all(is_word) {
            error.with_help(format!("did you mean the plain `{plain}`?")).with_fix(
                format!("write `{plain}`"),
                false,
                place,
                plain,
            )
        } else {
            error.with_help("a value with such a character stands in quotes")
        });
    }

    /// Where the bracket is missing that makes a whole segment of a realm a variable, and which it is.
    fn other_bracket(&self, within: Span, place: Span, c: char) -> Option<(usize, &'static str)> {
        let is_name =
            |it: &str| !it.is_empty() && it.chars().all(|c| is_letter(c) || matches!(c, '0'..='9' | '_' | '-'));
        let before = self.slice(Span::new(within.start, place.start));
        let behind = self.slice(Span::new(place.end, within.end));
        if c == '[' {
            let name = behind.find(['/', ':', '[', ']']).map_or(behind, |end| behind.get(..end).unwrap_or_default());
            let is_segment = before.ends_with(['/', ':']) && is_name(name);
            return is_segment.then_some((place.end.saturating_add(name.len()), "]"));
        }
        let name = before.rsplit(['/', ':']).next().unwrap_or_default();
        let is_segment = name.len() < before.len() && is_name(name);
        is_segment.then_some((place.start.saturating_sub(name.len()), "["))
    }

    #[inline(never)]
    pub(super) fn unusual_space(&mut self, span: Span) {
        let c = self.slice(span).chars().next().unwrap_or(' ');
        self.found.push(
            Diagnostic::new(
                Code::UnusualSpace,
                span,
                "this space is no plain space",
                format!("U+{:04X} stands here", u32::from(c)),
            )
            .with_help("it came with text copied from a web page or a word processor")
            .with_fix("write a plain space", true, span, " "),
        );
    }

    #[inline(never)]
    pub(super) fn lone_return(&mut self, span: Span) {
        self.found.push(
            Diagnostic::new(
                Code::LoneCarriageReturn,
                span,
                "a carriage return without a line feed",
                "some programs show a new line here and some do not",
            )
            .with_help("lines end with LF or CRLF")
            .with_fix("end the line with a line feed", true, span, "\n"),
        );
    }

    #[inline(never)]
    pub(super) fn semicolon(&mut self, span: Span) {
        self.found.push(
            Diagnostic::new(Code::Semicolon, span, "there is no `;` in this language", "take it out")
                .with_help("items need nothing between them, values need a `,`")
                .with_fix("remove the `;`", true, span, ""),
        );
    }

    #[inline(never)]
    pub(super) fn bad_header(&mut self, span: Span) {
        let text = self.slice(span);
        let span = Span::new(span.start, span.start.saturating_add(text.trim_end().len()));
        self.found.push(if text.starts_with("</") {
            Diagnostic::new(Code::BadHeader, span, "the header has no closing tag", "take it out").with_fix(
                "remove the tag",
                false,
                span,
                "",
            )
        } else {
            Diagnostic::new(Code::BadHeader, span, "this header is not closed on its line", "a `>` is missing")
                .with_fix("close the header", false, Span::at(span.end), ">")
        });
    }

    #[inline(never)]
    pub(super) fn hash(&mut self, span: Span) {
        let text = self.slice(span).trim_end();
        let span = Span::new(span.start, span.start.saturating_add(text.len()));
        let mark = Span::new(span.start, span.start.saturating_add(text.len() - text.trim_start_matches('#').len()));
        self.found.push(
            Diagnostic::new(Code::ForeignComment, mark, "comments start with `//`", "`#` begins no comment").with_fix(
                "write `//`",
                false,
                mark,
                "//",
            ),
        );
        self.lexed.comments.push(span);
    }

    /// `/ text` and `/ /text`, with one of the two slashes lost or moved.
    #[inline(never)]
    pub(super) fn half_comment(&mut self, slash: Span) {
        let line = self.rest().lines().next().unwrap_or_default();
        let end = slash.end.saturating_add(line.len());
        let blanks = line.len().saturating_sub(line.trim_start().len());
        let moved = line.trim_start().starts_with('/');
        let mark = if moved { slash.end.saturating_add(blanks).saturating_add(1) } else { slash.end };
        let mark = Span::new(slash.start, mark);
        self.found.push(
            Diagnostic::new(Code::ForeignComment, mark, "comments start with `//`", "one `/` begins no comment")
                .with_fix("write `//`", false, mark, "//"),
        );
        self.lexed.comments.push(Span::new(slash.start, end));
        self.at = end;
    }

    /// `/* ... */`, or without the end of it the rest of the line.
    #[inline(never)]
    pub(super) fn block_comment(&mut self, span: Span) {
        let behind = Span::new(span.start.saturating_add(2), self.text.len());
        let close = if self.comment_end_ahead { self.slice(behind).find("*/") } else { None };
        self.comment_end_ahead = close.is_some();
        let end = match close {
            Some(at) => behind.start.saturating_add(at).saturating_add(2),
            None => behind.start.saturating_add(self.slice(behind).lines().next().unwrap_or_default().len()),
        };
        let comment = Span::new(span.start, end);
        let error = Diagnostic::new(
            Code::ForeignComment,
            Span::new(span.start, behind.start),
            "comments start with `//`",
            "`/*` begins no comment",
        );
        let lines = self.slice(comment).trim_start_matches("/*").trim_end_matches("*/").trim();
        let alone = self.text.get(end..).and_then(|it| it.lines().next()).is_none_or(|it| it.trim().is_empty());
        self.found.push(if lines.contains('\n') || !alone {
            error.with_help("write `//` at the start of each line of the comment")
        } else {
            error.with_fix("write `//`", true, comment, format!("// {lines}"))
        });
        self.lexed.comments.push(comment);
        self.at = end;
    }

    /// `https://x` without quotes, or a comment without a space before it.
    #[inline(never)]
    pub(super) fn slashes_after_word(&mut self, token: Token, span: Span, at: usize) {
        let slashes = span.start.saturating_add(at);
        let before = Span::new(span.start, slashes);
        let place = Span::new(slashes, slashes.saturating_add(2));
        let error = Diagnostic::new(
            Code::SlashesAfterWord,
            place,
            "`//` directly behind a word is neither text nor comment",
            "here",
        );
        let text = self.slice(before);
        let line = self.rest().trim_start_matches([' ', '\t']);
        let is_url = text.ends_with(':');
        // In `job::/sandbox//tom {` the line goes on as a realm's line does.
        let is_realm = text.contains("::") && (line.is_empty() || line.starts_with(['{', '}', '/', '\n', '\r']));
        if is_url || is_realm {
            let whole = self.slice(span);
            self.found.push(if is_realm {
                error.with_help("a realm has no empty segments; a value with `//` in it stands in quotes").with_fix(
                    "write one `/`",
                    false,
                    place,
                    "/",
                )
            } else if is_url {
                error.with_help("a text with `//` in it stands in quotes").with_fix(
                    "put it in quotes",
                    false,
                    span,
                    format!("\"{whole}\""),
                )
            } else {
                error.with_help("put it in quotes if it is a value; a realm has no empty segments")
            });
            return self.push(token, span, whole, true);
        }
        self.found.push(
            error
                .with_help("put it in quotes if it is a value; put a space before it if it begins a comment")
                .with_fix("put a space before the comment", false, Span::at(slashes), " "),
        );
        self.push(token, before, self.slice(before), true);
        // The comment is read anew, as one.
        self.at = slashes;
    }
}

/// How long `$USER` or `%USER%` is, where the text begins with it.
fn environment_variable(text: &str) -> Option<usize> {
    let sign = text.chars().next().filter(|it| matches!(it, '$' | '%'))?;
    let name = text.get(1..)?;
    let end = name.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(name.len());
    let closes = sign == '%' && name.get(end..).is_some_and(|it| it.starts_with('%'));
    (end > 0).then_some(end.saturating_add(1).saturating_add(usize::from(closes)))
}
