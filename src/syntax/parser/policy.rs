//! Policies: a realm and braces.

use crate::{
    diagnostic::{Code, Diagnostic, printable::short},
    limits::INDENT_BYTES_MAX,
    source::Span,
    syntax::{
        ast::{Block, Policy, Realm},
        lexer::Lexeme,
        parser::{Brace, Ground, Lines, Reader, recover},
        realm,
        stream::{Parsed, Stream},
        token::Token,
    },
};

impl<'a> Reader<'a> {
    /// ```ebnf
    /// policy = [ "on" ] , realm , "{" , { item } , "}" ;
    /// ```
    pub(super) fn policy(&mut self, input: Stream<'a>) -> Parsed<'a, Option<Policy>> {
        let (rest, on) = match input.next() {
            Some((rest, lexeme)) if lexeme.is_word("on") => (rest, Some(lexeme.span)),
            Some(_) | None => (input, None),
        };
        let start = input.span();
        let (rest, realm) = self.policy_realm(rest)?;
        (self.suspect, self.borrowed) = (None, 0);
        let head = start.to(rest.gap());
        let (rest, block) = self.body(rest);
        self.braces.clear();
        self.last = Some(Lines { head, block: block.span });
        let span = start.to(block.span);
        Ok((rest, realm.map(|realm| Policy { on, realm, block, span })))
    }

    /// The braces of a policy.
    fn body(&mut self, input: Stream<'a>) -> (Stream<'a>, Block) {
        let Some(input) = self.open(input) else {
            return (input, Block { items: Vec::new(), span: input.gap() });
        };
        self.rest_of_block(input)
    }

    /// The realm in front of the braces; none where it could not be read, which was then told.
    fn policy_realm(&mut self, input: Stream<'a>) -> Parsed<'a, Option<Realm>> {
        let Some((rest, lexeme)) = input.next() else { return Err(input.unexpected("a realm")) };
        if lexeme.flawed || !matches!(lexeme.token, Token::Word | Token::Path | Token::Variable) {
            self.ground = Ground::guess(lexeme.text);
        }
        match lexeme.token {
            _ if lexeme.is_word("on") || lexeme.is_word("if") => Err(input.unexpected("a realm")),
            Token::Word | Token::Path | Token::Variable if lexeme.flawed => Ok((rest, None)),
            Token::Word | Token::Path | Token::Variable => Ok(self.plain_realm(rest, lexeme)),
            Token::Placeholder => {
                self.placeholder(lexeme);
                Ok((rest, None))
            }
            Token::String => {
                self.quoted_realm(lexeme);
                Ok((rest, None))
            }
            _ => Err(input.unexpected("a realm")),
        }
    }

    fn plain_realm(&mut self, rest: Stream<'a>, lexeme: Lexeme<'a>) -> (Stream<'a>, Option<Realm>) {
        if let Some(behind) = recover::rest_of_spaced_realm(self.source, rest) {
            self.ground = Ground::guess(lexeme.text);
            self.blank_in_realm(lexeme, behind);
            return (behind, None);
        }
        match realm::parse(lexeme.text, lexeme.span.start) {
            Ok(realm) => {
                self.ground = Ground::of(&realm);
                (rest, Some(realm))
            }
            Err(diagnostic) => {
                self.ground = Ground::guess(lexeme.text);
                self.push(*diagnostic);
                (rest, None)
            }
        }
    }

    fn blank_in_realm(&mut self, first: Lexeme<'a>, behind: Stream<'a>) {
        let span = first.span.to(behind.gap());
        let words: Vec<&str> = self.source.slice(span).split_whitespace().collect();
        let error = Diagnostic::new(
            Code::BlankInRealm,
            span,
            "a realm has no white space in it",
            "one realm, or something is left over",
        );
        // Two whole names are another realm than one name of both.
        let is_sign = |c: char| matches!(c, '/' | ':');
        let is_one = words.windows(2).all(|it| matches!(it, [a, b] if a.ends_with(is_sign) || b.starts_with(is_sign)));
        self.push(if is_one {
            let joined = words.concat();
            error.with_fix(format!("write `{}`", short(&joined)), false, span, joined)
        } else {
            error.with_help("a policy has one realm, and no name in it has a space")
        });
    }

    fn quoted_realm(&mut self, lexeme: Lexeme<'a>) {
        if lexeme.flawed {
            return;
        }
        self.push(
            Diagnostic::new(Code::MalformedRealm, lexeme.span, "a realm stands without quotes", "take the quotes away")
                .with_fix("remove the quotes", false, lexeme.span, lexeme.text),
        );
    }

    /// Tells that a name was never filled in.
    pub(super) fn placeholder(&mut self, lexeme: Lexeme<'a>) {
        if lexeme.flawed {
            return;
        }
        let at = lexeme.text.find(['{', '<', '$']).unwrap_or(0);
        let end = lexeme.text.get(at..).and_then(|it| it.find(['}', '>'])).unwrap_or(0);
        let start = lexeme.span.start.saturating_add(at);
        let span = Span::new(start, start.saturating_add(end).saturating_add(1));
        let text = self.source.slice(span);
        self.push(
            Diagnostic::new(
                Code::Placeholder,
                span,
                format!("`{}` is a placeholder that was never filled in", short(text)),
                "write the real name here",
            )
            .with_help("to speak of every name at once, bind a variable: `job::/sandbox/[name]`"),
        );
    }

    /// Reads `{`; nothing where there is none and nothing that could stand in braces.
    #[inline(never)]
    pub(super) fn open(&mut self, input: Stream<'a>) -> Option<Stream<'a>> {
        if let Some((rest, lexeme)) = input.next()
            && lexeme.token == Token::LeftBrace
        {
            self.braces.push(Brace { span: lexeme.span, implied: false });
            return Some(rest);
        }
        if let Some(brace) = recover::brace_on_line(self.source, input) {
            self.report(&input.unexpected("`{`"));
            return self.open(brace);
        }
        self.missing_brace(input);
        if !recover::may_begin_item(input) || recover::begins_policy(input) {
            return None;
        }
        self.braces.push(Brace { span: input.gap(), implied: true });
        Some(input)
    }

    #[inline(never)]
    fn missing_brace(&mut self, input: Stream<'a>) {
        let found = self.name_token(input.token(), input.span());
        let error = Diagnostic::new(
            Code::UnexpectedToken,
            input.gap(),
            format!("expected `{{`, found {found}"),
            "`{` belongs here",
        );
        let line = |at: usize| self.source.line(at);
        self.push(match input.token() {
            // Braces around nothing would be a rule that is as good as none.
            Some(Token::RightBrace) if line(input.gap().start) == line(input.span().start) => {
                error.with_fix("write `{` for this `}`", false, input.span(), "{")
            }
            Some(Token::RightBrace) | None => {
                error.with_help("what is granted stands in braces behind it: `if (role == admin) { permit ssh }`")
            }
            Some(_) => error.with_fix("open the braces", false, input.gap(), " {"),
        });
    }

    /// Reads items and `}`, behind a `{`.
    pub(super) fn rest_of_block(&mut self, input: Stream<'a>) -> (Stream<'a>, Block) {
        // Most blocks have one item.
        let mut items = Vec::with_capacity(1);
        let input = self.items(input, &mut items);
        let brace = self.braces.pop().unwrap_or(Brace { span: input.gap(), implied: true });
        let rest = if input.token() == Some(Token::RightBrace) {
            self.closed(brace, input.span());
            input.skip()
        } else {
            self.unclosed(brace, input);
            input
        };
        (rest, Block { items, span: brace.span.to(rest.gap()) })
    }

    /// Remembers a `}` that stands under the line of another `{` than the one that it closes.
    #[inline(never)]
    fn closed(&mut self, brace: Brace, end: Span) {
        if brace.implied {
            self.borrowed = self.borrowed.saturating_add(1);
            return;
        }
        if self.suspect.is_some() || !self.source.is_first_on_line(end.start) {
            return;
        }
        let before = self.source.text().as_bytes().get(..end.start).unwrap_or_default();
        let indent = before.iter().rev().take_while(|it| matches!(it, b' ' | b'\t')).count();
        let is_under = |it: &Brace| self.indent(it.span.start) == indent;
        if !is_under(&brace) && self.braces.iter().any(is_under) {
            self.suspect = Some(brace.span);
        }
    }

    /// Blanks at the start of the line of a byte offset. Mostly that is near, and nobody need know where all lines begin.
    fn indent(&self, offset: usize) -> usize {
        const NEAR_BYTES: usize = 256;
        let text = self.source.text().as_bytes();
        let from = offset.saturating_sub(NEAR_BYTES);
        let Some(at) = text.get(from..offset).and_then(|it| it.iter().rposition(|it| *it == b'\n')) else {
            return self.source.indent(offset);
        };
        let line = text.get(from.saturating_add(at).saturating_add(1)..).unwrap_or_default();
        line.iter().take(INDENT_BYTES_MAX).take_while(|it| matches!(it, b' ' | b'\t')).count()
    }

    /// Tells of a `{` without `}`; once, however many blocks end here for want of it.
    #[inline(never)]
    fn unclosed(&mut self, brace: Brace, input: Stream<'a>) {
        if brace.implied || self.noticed == Some(input.span()) {
            return;
        }
        self.noticed = Some(input.span());
        if self.borrowed > 0 {
            self.borrowed = self.borrowed.saturating_sub(1);
            return;
        }
        let open = self.suspect.unwrap_or(brace.span);
        if self.source.text().get(open.end..).is_some_and(|it| it.starts_with('{')) {
            return self.doubled_brace(open);
        }
        let place = self.end_of_block(open, input);
        let mut error = Diagnostic::new(Code::UnclosedBrace, place, "a `}` is missing", "`}` belongs here")
            .with_label(open, "this `{` is never closed");
        if let Some(next) = input.peek() {
            error = error.with_label(next.span, "another policy begins here");
            let outer = self.braces.first().copied().unwrap_or(brace).span.start;
            let same_line = self.source.line(outer) == self.source.line(next.span.start);
            if same_line || self.source.indent(outer) < self.source.indent(next.span.start) {
                // It looks as if it were meant to stand within.
                self.owed = self.braces.len().saturating_add(1);
                error = error.with_help("policies do not stand within each other: close the one before the next");
                return self.push(error);
            }
        }
        self.push(error.with_fix("close the braces", false, place, " }"));
    }

    /// `{{` of which one is never closed.
    fn doubled_brace(&mut self, first: Span) {
        let error =
            Diagnostic::new(Code::UnclosedBrace, first, "this `{` is never closed", "one of the two is too many");
        self.push(error.with_fix("remove the `{`", false, first, ""));
    }

    /// Where the lines show that what `open` opens was to end; `stop` is where it has to at the latest.
    fn end_of_block(&self, open: Span, stop: Stream<'a>) -> Span {
        let (line, indent) = (self.source.line(open.start), self.source.indent(open.start));
        let body = self.all.seek_offset(open.end);
        let mut input = body;
        while input.since(self.all) < stop.since(self.all)
            && let Some((rest, lexeme)) = input.next()
        {
            let at = lexeme.span.start;
            let is_left =
                line < self.source.line(at) && self.source.is_first_on_line(at) && self.source.indent(at) <= indent;
            if is_left {
                // Where not even the first line is indented, the lines show nothing.
                return if input.since(body) == 0 { stop.gap() } else { input.gap() };
            }
            input = rest;
        }
        stop.gap()
    }
}
