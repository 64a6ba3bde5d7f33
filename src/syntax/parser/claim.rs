//! Claims: a type and what it is asserted with.

use smallvec::SmallVec;

use crate::{
    diagnostic::{Code, Diagnostic, Edit, Fix, printable::short},
    source::Span,
    syntax::{
        ast::{Asserted, Claim, Item, Name},
        lexer::Lexeme,
        parser::{Reader, recover},
        stream::{Parsed, Stream},
        token::Token,
    },
};

impl<'a> Reader<'a> {
    /// Adds a claim; none where it has no value, which was told.
    ///
    /// ```ebnf
    /// claim = claim_type , asserted , { "," , asserted } ;
    /// ```
    #[inline(never)]
    pub(super) fn claim(&mut self, input: Stream<'a>, out: &mut Vec<Item>) -> Parsed<'a, ()> {
        let (rest, claim_type) = self.asserted_type(input)?;
        let mut rest = self.skip_operator(rest);
        let mut asserted = SmallVec::new();
        // Where commas were forgotten; told together, because they were forgotten together.
        let mut gaps: Vec<Span> = Vec::new();
        let mut comma = None;
        loop {
            if !self.takes_value(rest, comma) {
                rest = self.missing_value(rest, &claim_type, comma);
                break;
            }
            let (behind, value) = self.asserted(rest)?;
            asserted.push(value);
            rest = behind;
            comma = None;
            while rest.token() == Some(Token::Comma) {
                if let Some(first) = comma {
                    self.double_comma(first, rest.span());
                }
                comma = Some(rest.span());
                rest = rest.skip();
            }
            if comma.is_none() {
                if !self.lacks_comma(rest, &claim_type) {
                    break;
                }
                gaps.push(rest.gap());
            }
        }
        if gaps.is_empty() || !self.taken_away(&asserted) {
            self.forgotten_commas(&claim_type, &gaps);
        }
        if asserted.is_empty() {
            return Ok((rest, ()));
        }
        let span = claim_type.span.to(rest.gap());
        let claim = Claim { claim_type, asserted, span };
        self.check_claim(&claim);
        out.push(Item::Claim(claim));
        Ok((rest, ()))
    }

    /// ```ebnf
    /// asserted = value | issuer , "->" , claim_type ;
    /// ```
    fn asserted(&mut self, input: Stream<'a>) -> Parsed<'a, Asserted> {
        let is_reference = input.look(1).is_some_and(|it| it.token == Token::Arrow);
        match input.next() {
            Some((rest, issuer)) if is_reference && issuer.token == Token::Word => {
                self.check_issuer(issuer);
                let (rest, claim_type) = self.claim_type(rest.skip())?;
                let issuer = Name { text: issuer.text.into(), span: issuer.span };
                let span = issuer.span.to(claim_type.span);
                Ok((rest, Asserted::Reference { issuer, claim_type, span }))
            }
            _ => self.value(input).map(|(rest, value)| (rest, Asserted::Value(value))),
        }
    }

    /// The claim type at the start of an item. An issuer before it is told and left out.
    fn asserted_type(&mut self, input: Stream<'a>) -> Parsed<'a, Name> {
        if let (Some(issuer), Some(arrow)) = (input.peek(), input.look(1))
            && arrow.token == Token::Arrow
        {
            let claim_type = input.skip().skip();
            self.push(
                Diagnostic::new(
                    Code::ForeignIssuer,
                    issuer.span.to(arrow.span),
                    format!("rules assert claims of their own, never of `{}`", short(issuer.text)),
                    "an issuer belongs only into conditions and right of a claim type",
                )
                .with_fix("remove the issuer", false, issuer.span.to(arrow.span), ""),
            );
            return self.claim_type(claim_type);
        }
        if let Some(lexeme) = input.peek()
            && self.is_permit_alone(lexeme)
        {
            self.permit_without_permit(lexeme, input);
            return Ok((input, Name { text: "permit".into(), span: lexeme.span }));
        }
        self.claim_type(input)
    }

    /// `create` where a claim type belongs: a value of `permit` that lost its comma or its `permit`.
    fn is_permit_alone(&self, lexeme: Lexeme<'a>) -> bool {
        // Nearly all claims are permits and roles, and neither is a permit of anything.
        !matches!(lexeme.text, "permit" | "role")
            && lexeme.token == Token::Word
            && self.ground.resource_type.is_some()
            && self.ground.has_permit(lexeme.text)
    }

    fn permit_without_permit(&mut self, lexeme: Lexeme<'a>, input: Stream<'a>) {
        let text = lexeme.text;
        let first = matches!(input.before().map(|it| it.token), Some(Token::LeftBrace | Token::RightBrace) | None);
        let error = Diagnostic::new(
            Code::ForgottenComma,
            lexeme.span,
            format!("`{text}` is a value of `permit`, not a claim type"),
            if first { "`permit` belongs before it" } else { "`permit` or a `,` belongs before it" },
        );
        self.push(error.with_fix("write `permit`", false, Span::at(lexeme.span.start), "permit "));
    }

    /// `permit = read`, `permit: read`: claims are asserted without a sign between type and value.
    fn skip_operator(&mut self, input: Stream<'a>) -> Stream<'a> {
        match input.peek() {
            Some(lexeme)
                if matches!(lexeme.token, Token::Misspelled | Token::Equal) && Self::stands_value(input.skip()) =>
            {
                self.push(
                    Diagnostic::new(
                        Code::UnexpectedToken,
                        lexeme.span,
                        format!("a claim is asserted without `{}`", lexeme.text),
                        "take it out",
                    )
                    .with_help("tests stand in `if ( ... )`, claims in the braces behind it")
                    .with_fix("take it out", false, lexeme.span, ""),
                );
                input.skip()
            }
            _ => input,
        }
    }

    /// Whether a value stands here. Behind a comma at the end of a line, `role admin` on the next is another claim.
    fn takes_value(&self, input: Stream<'a>, comma: Option<Span>) -> bool {
        if !Self::stands_value(input) {
            return false;
        }
        let (Some(comma), Some(word), Some(value)) = (comma, input.peek(), input.look(1)) else { return true };
        let is_claim = matches!(word.text, "permit" | "role") || word.text.contains('.');
        let new_line = self.source.line(comma.start) < self.source.line(word.span.start);
        let is_value =
            word.token == Token::Word && value.token.begins_value() && !value.is_word("if") && !value.is_word("on");
        // Read by the grammar, `admin` would then be a claim type, and that needs a value of its own.
        let ends =
            input.look(2).is_none_or(|it| !it.token.begins_value() || self.source.is_first_on_line(it.span.start));
        !(is_claim && new_line && is_value && ends)
    }

    /// Whether what stands here can only be another value: text in quotes, or a word that is no claim type.
    fn lacks_comma(&self, input: Stream<'a>, claim_type: &Name) -> bool {
        let Some(lexeme) = input.peek() else { return false };
        match lexeme.token {
            Token::String | Token::Variable => true,
            Token::Path | Token::Placeholder => !recover::begins_policy(input),
            Token::Word if recover::begins_policy(input) || matches!(lexeme.text, "if" | "on") => false,
            Token::Word => {
                let is_permit = claim_type.text == "permit" && self.ground.has_permit(lexeme.text);
                let is_text = lexeme.text.contains(['/', ':', '*']) && !self.source.is_first_on_line(lexeme.span.start);
                is_permit || is_text
            }
            _ => false,
        }
    }

    /// `permit not exec`: told, if it is so.
    fn taken_away(&mut self, asserted: &[Asserted]) -> bool {
        let word = asserted.iter().find_map(|it| match it {
            Asserted::Value(value) if !value.quoted => {
                value.constant().filter(|it| recover::TAKING_AWAY.contains(it)).map(|_| value.span)
            }
            Asserted::Value(_) | Asserted::Reference { .. } => None,
        });
        let Some(span) = word.filter(|_| asserted.len() > 1) else { return false };
        self.tell_taken_away(span);
        true
    }

    fn forgotten_commas(&mut self, claim_type: &Name, gaps: &[Span]) {
        let Some(first) = gaps.first() else { return };
        let edits = gaps.iter().map(|gap| Edit { span: *gap, text: ",".to_owned() }).collect();
        let mut error = Diagnostic::new(
            Code::ForgottenComma,
            *first,
            format!("two values of `{}` have no comma between them", short(&claim_type.text)),
            "`,` belongs here",
        );
        error.fixes.push(Fix { title: "write a comma".to_owned(), safe: false, edits });
        self.push(error);
    }

    fn double_comma(&mut self, first: Span, second: Span) {
        self.push(
            Diagnostic::new(Code::MissingValue, second, "a value is missing between two commas", "one `,` too many")
                .with_fix("remove the `,`", false, Span::new(first.end, second.end), ""),
        );
    }

    /// `permit (ssh, read)` and `permit { ssh }`: told, with what is behind them, if it is so.
    fn values_in_brackets(&mut self, input: Stream<'a>, claim_type: &str) -> Option<Stream<'a>> {
        const LEXEMES_MAX: usize = 32;
        let (opening, closing, name) = match input.token()? {
            Token::LeftParen => (input.span(), Token::RightParen, "parentheses"),
            Token::LeftBrace => (input.span(), Token::RightBrace, "braces"),
            _ => return None,
        };
        let inner = (1..LEXEMES_MAX).map_while(|index| input.look(index));
        let count = inner.take_while(|it| it.token == Token::Comma || it.token.begins_value()).count();
        let end = input.look(count.saturating_add(1)).filter(|it| count > 0 && it.token == closing)?;
        let message = format!("the values of `{}` stand in no {name}", short(claim_type));
        let inside = self.source.slice(Span::new(opening.end, end.span.start)).trim();
        let mut error = Diagnostic::new(Code::MissingValue, opening.to(end.span), message, "the values alone")
            .with_help(format!("write `{} {}`", short(claim_type), short(inside)));
        let edits = [opening, end.span].map(|span| Edit { span, text: String::new() }).to_vec();
        error.fixes.push(Fix { title: format!("remove the {name}"), safe: false, edits });
        self.push(error);
        Some(input.seek_offset(end.span.end))
    }

    fn missing_value(&mut self, input: Stream<'a>, claim_type: &Name, comma: Option<Span>) -> Stream<'a> {
        let text = short(&claim_type.text);
        if comma.is_none() && recover::TAKING_AWAY.contains(&claim_type.text.as_str()) {
            self.tell_taken_away(claim_type.span);
            return if input.token() == Some(Token::LeftBrace) { recover::behind_braces(input) } else { input };
        }
        if comma.is_none()
            && let Some(rest) = self.values_in_brackets(input, &claim_type.text)
        {
            return rest;
        }
        let error = match comma {
            Some(comma) => Diagnostic::new(
                Code::MissingValue,
                comma,
                "a value is missing behind this comma",
                "nothing to separate",
            )
            .with_fix("remove the `,`", false, comma, ""),
            None => Diagnostic::new(
                Code::MissingValue,
                claim_type.span,
                format!("the claim `{text}` has no value"),
                "a value belongs behind it",
            )
            .with_help(format!("write `{text} VALUE`, or a `,` before it if it is a value itself")),
        };
        if !input.peek().is_some_and(|it| it.flawed) {
            self.push(error);
        }
        match input.token() {
            // `permit (read, create)` and `permit { read }`.
            Some(Token::LeftParen) => recover::behind_condition(input.skip()),
            Some(Token::LeftBrace) if comma.is_none() => recover::behind_braces(input),
            Some(Token::RightBrace | Token::LeftBrace | Token::Word) | None => input,
            Some(_) => recover::next_item(self.source, input.skip()),
        }
    }
}
