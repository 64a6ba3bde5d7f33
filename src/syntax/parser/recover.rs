//! Where to go on after a mistake, so that it is told once and the rest is still read.
//!
//! Whatever looks ahead here looks at a bounded number of lexemes or is followed by reading what it looked at: time stays
//! linear in the text.

use nom::Input;

use crate::{
    diagnostic::{Code, Diagnostic, printable::short},
    source::{Source, Span},
    syntax::{
        lexer::Lexeme,
        parser::{Ground, Lines, Reader},
        stream::Stream,
        suggest::closest,
        token::Token,
    },
};

/// Words of other languages that take away what is granted elsewhere. None may ever be mended into a grant.
pub(super) const TAKING_AWAY: [&str; 13] = [
    "not", "no", "never", "unless", "except", "without", "only", "ifnot", "deny", "forbid", "reject", "refuse", "block",
];

/// Words on one line that may be one realm with blanks in it.
const REALM_WORDS_MAX: usize = 8;

/// Lexemes between a mistake and the `{` of its line.
const LINE_LEXEMES_MAX: usize = 32;

/// Whether a policy can begin here, outside of any braces.
pub(super) fn may_begin_policy(input: Stream<'_>) -> bool {
    let Some(lexeme) = input.peek() else { return false };
    let opens = input.look(1).is_some_and(|it| it.token == Token::LeftBrace);
    match lexeme.token {
        Token::Word if lexeme.text == "on" => true,
        Token::Word if lexeme.text == "if" || lexeme.text == "else" => false,
        Token::Word => opens || lexeme.text.contains([':', '/']),
        Token::Path | Token::Placeholder | Token::Variable => true,
        Token::String => opens,
        _ => false,
    }
}

/// Whether this can only be a policy, even within braces.
#[inline(never)]
pub(super) fn begins_policy(input: Stream<'_>) -> bool {
    let (realm, behind) =
        if input.is_word("on") { (input.look(1), input.look(2)) } else { (input.peek(), input.look(1)) };
    let Some(realm) = realm else { return false };
    let opens = behind.is_some_and(|it| it.token == Token::LeftBrace);
    match realm.token {
        Token::Word | Token::Path | Token::Placeholder => {
            opens && realm.text.contains(':') || input.is_word("on") && (opens || realm.text.contains("::"))
        }
        _ => false,
    }
}

/// Whether an item can begin here.
pub(super) fn may_begin_item(input: Stream<'_>) -> bool {
    matches!(input.token(), Some(Token::Word | Token::LeftBrace | Token::RightBrace))
}

/// Where the next policy may begin.
pub(super) fn next_policy(mut input: Stream<'_>) -> Stream<'_> {
    while let Some((rest, lexeme)) = input.next() {
        if lexeme.is_word("on") || lexeme.is_word("if") || begins_policy(input) || lexeme.token == Token::LeftBrace {
            break;
        }
        input = rest;
    }
    input
}

/// Where the next item, or the end of the braces, may be.
pub(super) fn next_item<'a>(source: &Source, mut input: Stream<'a>) -> Stream<'a> {
    while let Some((rest, lexeme)) = input.next() {
        let stops = match lexeme.token {
            Token::LeftBrace | Token::RightBrace => true,
            Token::Word => {
                matches!(lexeme.text, "if" | "on") || source.is_first_on_line(lexeme.span.start) || begins_policy(input)
            }
            _ => false,
        };
        if stops {
            break;
        }
        input = rest;
    }
    input
}

/// What is behind the `)` that ends a condition, or before the brace that shows that it has ended.
pub(super) fn behind_condition(mut input: Stream<'_>) -> Stream<'_> {
    let mut depth = 0_usize;
    while let Some((rest, lexeme)) = input.next() {
        match lexeme.token {
            Token::LeftParen => depth = depth.saturating_add(1),
            Token::RightParen if depth == 0 => return behind_parentheses(rest),
            Token::RightParen => depth = depth.saturating_sub(1),
            Token::LeftBrace | Token::RightBrace => return input,
            Token::Word if lexeme.text == "if" || begins_policy(input) => return input,
            _ => (),
        }
        input = rest;
    }
    input
}

fn behind_parentheses(mut input: Stream<'_>) -> Stream<'_> {
    while input.token() == Some(Token::RightParen) {
        input = input.skip();
    }
    input
}

/// What is behind the `}` of the `{` that stands here.
pub(super) fn behind_braces(mut input: Stream<'_>) -> Stream<'_> {
    let mut depth = 0_usize;
    while let Some((rest, lexeme)) = input.next() {
        match lexeme.token {
            Token::LeftBrace => depth = depth.saturating_add(1),
            Token::RightBrace if depth <= 1 => return if depth == 1 { rest } else { input },
            Token::RightBrace => depth = depth.saturating_sub(1),
            _ if depth == 0 => return input,
            _ => (),
        }
        input = rest;
    }
    input
}

/// Behind the words that, with the one before them, are a realm with white space in it.
pub(super) fn rest_of_spaced_realm<'a>(source: &Source, input: Stream<'a>) -> Option<Stream<'a>> {
    if input.token() == Some(Token::LeftBrace) {
        return None;
    }
    let line = source.line(input.before()?.span.start);
    for index in 0..REALM_WORDS_MAX {
        let lexeme = input.look(index)?;
        match lexeme.token {
            _ if source.line(lexeme.span.start) != line => return None,
            Token::Word if matches!(lexeme.text, "if" | "on") => return None,
            Token::Word | Token::Path | Token::Variable => (),
            Token::LeftBrace if index > 0 => return Some(input.take_from(index)),
            _ => return None,
        }
    }
    None
}

/// The `{` of this line, where what stands before it can begin no item.
pub(super) fn brace_on_line<'a>(source: &Source, input: Stream<'a>) -> Option<Stream<'a>> {
    let first = input.peek()?;
    let is_alone = input.look(1).is_some_and(|it| it.token == Token::LeftBrace);
    if first.is_word("if") || first.token == Token::RightBrace || (first.token == Token::Word && !is_alone) {
        return None;
    }
    let line = source.line(input.before().map_or(first.span.start, |it| it.span.start));
    for index in 0..LINE_LEXEMES_MAX {
        let lexeme = input.look(index)?;
        match lexeme.token {
            _ if source.line(lexeme.span.start) != line => return None,
            Token::LeftBrace => return Some(input.take_from(index)),
            Token::RightBrace => return None,
            _ => (),
        }
    }
    None
}

/// `If (`, `when (`: a word before a parenthesis can be nothing but a wrong `if`.
#[inline(never)]
pub(super) fn is_misspelled_if(input: Stream<'_>) -> bool {
    const CLAIMS: [&str; 2] = ["permit", "role"];
    let opens = input.look(1).is_some_and(|it| it.token == Token::LeftParen);
    opens
        && input
            .peek()
            .is_some_and(|it| it.token == Token::Word && !CLAIMS.contains(&it.text) && !it.text.contains('.'))
}

/// `no job::/ {`, `ON job::/ {`: a short word before a realm with its brace can be nothing but a wrong `on`.
fn is_misspelled_on(input: Stream<'_>) -> bool {
    const ON_BYTES_MAX: usize = 3;
    let is_short = input.peek().is_some_and(|it| it.text.len() <= ON_BYTES_MAX && !it.flawed);
    let is_realm = input
        .look(1)
        .is_some_and(|it| matches!(it.token, Token::Word | Token::Path | Token::Placeholder) && it.text.contains("::"));
    is_short && is_realm && input.look(2).is_some_and(|it| it.token == Token::LeftBrace)
}

impl<'a> Reader<'a> {
    pub(super) fn misspelled_if(&mut self, input: Stream<'a>) {
        let Some(lexeme) = input.peek() else { return };
        if lexeme.flawed {
            return;
        }
        let word = lexeme.text.to_ascii_lowercase();
        if matches!(word.as_str(), "elif" | "elsif" | "elseif") {
            return self.tell_else(lexeme);
        }
        if TAKING_AWAY.contains(&word.as_str()) {
            return self.tell_taken_away(lexeme.span);
        }
        let message = format!("expected `if`, found `{}`", short(lexeme.text));
        let error = Diagnostic::new(Code::UnexpectedToken, lexeme.span, message, "a condition begins with `if`");
        // Of other words nobody knows whether they mean the opposite.
        let is_if = matches!(word.as_str(), "when" | "where" | "if") || closest(&word, ["if"]).is_some();
        self.push(if is_if { error.with_fix("write `if`", false, lexeme.span, "if") } else { error });
    }

    /// `unless (`, `permit not exec`: words that would take away what others give.
    pub(super) fn tell_taken_away(&mut self, span: Span) {
        let message = format!("`{}` cannot take anything away", short(self.source.slice(span)));
        self.push(
            Diagnostic::new(Code::Negation, span, message, "the language only ever grants")
                .with_help("say who may do what; whatever no rule grants is denied already"),
        );
    }

    /// `else {` and `else if`; what follows is read as if it stood alone.
    #[inline(never)]
    pub(super) fn skip_else(&mut self, input: Stream<'a>) -> Stream<'a> {
        let is_else = |it: Lexeme<'_>| it.token == Token::Word && it.text.eq_ignore_ascii_case("else");
        let goes_on = || input.look(1).is_some_and(|it| it.token == Token::LeftBrace || it.is_word("if"));
        match input.peek() {
            Some(lexeme) if is_else(lexeme) && goes_on() => {
                self.tell_else(lexeme);
                input.skip()
            }
            _ => input,
        }
    }

    #[inline(never)]
    fn tell_else(&mut self, lexeme: Lexeme<'a>) {
        let message = format!("there is no `{}` in this language", lexeme.text);
        self.push(Diagnostic::new(Code::Else, lexeme.span, message, "the language only ever grants").with_help(
            "whatever no rule grants is denied already; to grant it under another condition, write a second `if`",
        ));
    }

    /// What stands where only policies can: rules without a realm, braces that close nothing, anything else.
    pub(super) fn outside_of_policies(&mut self, input: Stream<'a>) -> Stream<'a> {
        let Some((rest, lexeme)) = input.next() else { return input };
        match lexeme.token {
            Token::RightBrace => self.unmatched_brace(input),
            Token::Header => {
                self.push(Diagnostic::new(
                    Code::BadHeader,
                    lexeme.span,
                    "a document has one header, and it is the first thing in it",
                    "move it to the start or take it out",
                ));
                rest
            }
            Token::Word if is_misspelled_on(input) => {
                let message = format!("expected `on` or a realm, found `{}`", short(lexeme.text));
                let error = Diagnostic::new(Code::UnexpectedToken, lexeme.span, message, "`on` is meant, probably");
                self.push(error.with_fix("write `on`", false, lexeme.span, "on"));
                rest
            }
            Token::Word | Token::LeftBrace => self.rules_without_realm(input),
            _ => {
                self.report(&input.unexpected("a realm"));
                next_policy(rest)
            }
        }
    }

    /// One finding for all `}` in a row, without those that were foreseen.
    fn unmatched_brace(&mut self, mut input: Stream<'a>) -> Stream<'a> {
        let mut told = false;
        while let Some((rest, lexeme)) = input.next()
            && lexeme.token == Token::RightBrace
        {
            input = rest;
            if self.owed > 0 {
                self.owed = self.owed.saturating_sub(1);
            } else if !told {
                told = true;
                let error = self.wrong_brace(lexeme.span).unwrap_or_else(|| {
                    Diagnostic::new(Code::UnmatchedBrace, lexeme.span, "this `}` closes nothing", "no `{` is open here")
                        .with_help("take it out, or open the `{` that it was meant for")
                        .with_fix("remove the `}`", false, lexeme.span, "")
                });
                self.push(error);
            }
        }
        input
    }

    /// The brace of the policy before a `}` that closes nothing, where the lines show that this `}` was to close the policy.
    fn wrong_brace(&self, stray: Span) -> Option<Diagnostic> {
        let Lines { head, block } = self.last?;
        let indent = self.source.indent(head.start);
        if !self.source.is_first_on_line(stray.start) || self.source.indent(stray.start) != indent {
            return None;
        }
        let head_line = self.source.line(head.start);
        if head_line < self.source.line(block.start) {
            let is_inner = self.source.is_first_on_line(block.start) && indent < self.source.indent(block.start);
            let place = Span::at(head.end);
            let error = Diagnostic::new(Code::UnmatchedBrace, place, "a `{` is missing", "`{` belongs here")
                .with_label(stray, "so this `}` closes nothing")
                .with_fix("open the braces", false, place, " {");
            return is_inner.then_some(error);
        }
        let last = Span::new(block.end.saturating_sub(1), block.end);
        let is_early = head_line < self.source.line(last.start)
            && !self.source.is_first_on_line(last.start)
            && self.source.slice(last) == "}";
        let message = "this `}` closes the policy, and another one follows";
        let error = Diagnostic::new(Code::UnmatchedBrace, last, message, "one too many, or a `{` is missing before it")
            .with_label(stray, "this one closes nothing then")
            .with_fix("remove the `}`", false, last, "");
        is_early.then_some(error)
    }

    /// Items outside of any policy. One finding for all of them up to the next policy.
    fn rules_without_realm(&mut self, input: Stream<'a>) -> Stream<'a> {
        let closing = input.before().filter(|it| it.token == Token::RightBrace);
        let first = input.span();
        let is_else = input.peek().is_some_and(|it| it.token == Token::Word && it.text == "else");
        self.ground = Ground::default();
        let rest = self.items(input, &mut Vec::new());
        // `items` stops at once at what it takes for a policy's beginning; something must have been read.
        let rest = if rest.since(input) == 0 { rest.skip() } else { rest };
        match (closing, rest.token()) {
            (Some(closing), Some(Token::RightBrace)) => {
                let error = self.wrong_brace(rest.span()).unwrap_or_else(|| {
                    Diagnostic::new(
                        Code::UnmatchedBrace,
                        closing.span,
                        "this `}` closes the policy, and more rules follow it",
                        "one too many, or a `{` is missing before it",
                    )
                    .with_label(first, "this stands in no realm now")
                    .with_fix("remove the `}`", false, closing.span, "")
                });
                self.push(error);
                rest.skip()
            }
            // `else` was told already.
            _ if is_else => rest,
            _ => {
                self.push(
                    Diagnostic::new(
                        Code::MissingRealm,
                        first,
                        "these rules stand in no realm, so they speak of nothing",
                        "a realm and `{` belong before this",
                    )
                    .with_help("a policy begins with its realm: `job::/sandbox/tom { ... }`"),
                );
                rest
            }
        }
    }
}
