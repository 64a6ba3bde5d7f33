//! Conditions. What [`crate::syntax::parser::item`] says of stack holds here too.

use smallvec::{SmallVec, smallvec};

use crate::{
    diagnostic::{Code, Diagnostic, printable::short},
    limits::NESTING_MAX,
    source::Span,
    syntax::{
        ast::{Comparison, Expr, Name, Operator, Value},
        lexer::Lexeme,
        parser::Reader,
        stream::{Parsed, Stream, Trouble, token},
        suggest::closest,
        token::Token,
    },
};

/// What other languages call them.
const FOREIGN: [(&str, &str); 14] = [
    ("is", "=="),
    ("eq", "=="),
    ("equal", "=="),
    ("ne", "!="),
    ("neq", "!="),
    ("lt", "<"),
    ("le", "<="),
    ("gt", ">"),
    ("ge", ">="),
    ("startsWith", "beginsWith"),
    ("startswith", "beginsWith"),
    ("has", "contains"),
    ("like", "matches"),
    ("cidr", "inCidr"),
];

impl<'a> Reader<'a> {
    /// Adds one expression to `exprs`; where it cannot be read, perhaps parts of it.
    ///
    /// ```ebnf
    /// expr = conjunction , { "||" , conjunction } ;
    /// ```
    pub(super) fn expr(&mut self, input: Stream<'a>) -> Parsed<'a, ()> {
        let first = self.exprs.len();
        let (mut rest, ()) = self.conjunction(input)?;
        while let Some(behind) = self.joint(rest, Token::Or) {
            (rest, ()) = self.conjunction(behind)?;
        }
        self.join(first, Expr::Or);
        Ok((rest, ()))
    }

    /// ```ebnf
    /// conjunction = primary , { "&&" , primary } ;
    /// ```
    fn conjunction(&mut self, input: Stream<'a>) -> Parsed<'a, ()> {
        let first = self.exprs.len();
        let (mut rest, ()) = self.primary(input)?;
        while let Some(behind) = self.joint(rest, Token::And) {
            (rest, ()) = self.primary(behind)?;
        }
        self.join(first, Expr::And);
        Ok((rest, ()))
    }

    /// ```ebnf
    /// primary = "(" , expr , ")" | comparison ;
    /// ```
    fn primary(&mut self, input: Stream<'a>) -> Parsed<'a, ()> {
        let input = self.skip_negation(input);
        if input.token() != Some(Token::LeftParen) {
            return self.comparison_expr(input);
        }
        if self.depth() >= NESTING_MAX {
            self.too_deep(input);
            return Err(nom::Err::Error(Trouble::Reported));
        }
        self.parentheses = self.parentheses.saturating_add(1);
        let (rest, ()) = self.expr(input.skip())?;
        self.parentheses = self.parentheses.saturating_sub(1);
        if rest.token() != Some(Token::RightParen) {
            return Err(rest.unexpected("`&&`, `||` or `)`"));
        }
        self.group(input.span().to(rest.span()));
        Ok((rest.skip(), ()))
    }

    #[inline(never)]
    fn comparison_expr(&mut self, input: Stream<'a>) -> Parsed<'a, ()> {
        let (rest, comparison) = self.comparison(input)?;
        self.check_comparison(&comparison);
        self.exprs.push(Expr::Comparison(comparison));
        Ok((rest, ()))
    }

    /// ```ebnf
    /// comparison = [ issuer , "->" ] , claim_type , ( operator , value | "in" , list ) ;
    /// ```
    fn comparison(&mut self, input: Stream<'a>) -> Parsed<'a, Comparison> {
        let (rest, issuer) = self.issuer(input);
        let (rest, claim_type) = self.claim_type(rest)?;
        let in_list = rest.is_word("in") && rest.look(1).is_some_and(|it| it.token == Token::LeftParen);
        let (rest, (operator, operator_span), values) = if in_list {
            let (behind, values) = self.list(rest.skip())?;
            (behind, (Operator::In, rest.span()), values)
        } else {
            let (rest, operator) = self.operator(rest)?;
            let (rest, value) = self.value(rest)?;
            (self.skip_reference(rest), operator, smallvec![value])
        };
        let span = input.span().to(rest.gap());
        Ok((rest, Comparison { issuer, claim_type, operator, operator_span, values, span }))
    }

    /// ```ebnf
    /// list = "(" , value , { "," , value } , ")" ;
    /// ```
    fn list(&mut self, input: Stream<'a>) -> Parsed<'a, SmallVec<[Value; 1]>> {
        let (mut rest, _) = token(Token::LeftParen)(input)?;
        let mut values = SmallVec::new();
        loop {
            let (behind, value) = self.value(rest)?;
            values.push(value);
            match behind.token() {
                Some(Token::Comma) => rest = behind.skip(),
                Some(Token::RightParen) => return Ok((behind.skip(), values)),
                Some(token) if token.begins_value() && !behind.peek().is_some_and(|it| it.flawed) => {
                    self.comma_in_list(behind.gap());
                    rest = behind;
                }
                _ => return Err(behind.unexpected("`,` or `)`")),
            }
        }
    }

    /// ```ebnf
    /// operator = "==" | "equals" | "beginsWith" | "endsWith" | "fqnMatch"
    /// | "!=" | "contains" | "matches" | "inCidr" | "<" | "<=" | ">" | ">=" ;
    /// ```
    fn operator(&mut self, input: Stream<'a>) -> Parsed<'a, (Operator, Span)> {
        let Some((rest, lexeme)) = input.next() else { return Err(input.unexpected("an operator")) };
        let operator = match lexeme.token {
            Token::Equal => Operator::Equal,
            Token::NotEqual => Operator::NotEqual,
            Token::Less => Operator::Less,
            Token::LessOrEqual => Operator::LessOrEqual,
            Token::Greater => Operator::Greater,
            Token::GreaterOrEqual => Operator::GreaterOrEqual,
            Token::Misspelled => self.misspelled_operator(lexeme),
            Token::Word => match Operator::words().find(|it| it.text() == lexeme.text) {
                Some(operator) => operator,
                None => return self.unknown_operator(input, rest, lexeme),
            },
            _ => return Err(self.without_operator(input)),
        };
        Ok((rest, (operator, lexeme.span)))
    }

    /// The issuer, if there is one, and its arrow.
    fn issuer(&mut self, input: Stream<'a>) -> (Stream<'a>, Option<Name>) {
        match (input.peek(), input.look(1)) {
            (Some(lexeme), _) if matches!(lexeme.token, Token::Arrow | Token::Greater) => {
                self.missing_issuer(lexeme);
                (input.skip(), None)
            }
            (Some(lexeme), Some(arrow)) if lexeme.token == Token::Word && is_wrong_arrow(input.skip()) => {
                self.wrong_arrow(arrow);
                self.check_issuer(lexeme);
                let name = Name { text: lexeme.text.into(), span: lexeme.span };
                (input.skip().skip(), Some(name))
            }
            (Some(lexeme), Some(arrow)) if lexeme.token == Token::Word && arrow.token == Token::Arrow => {
                self.check_issuer(lexeme);
                let name = Name { text: lexeme.text.into(), span: lexeme.span };
                (input.skip().skip(), Some(name))
            }
            _ => (input, None),
        }
    }

    /// A claim type: a word without `@ * / :`.
    pub(super) fn claim_type(&mut self, input: Stream<'a>) -> Parsed<'a, Name> {
        match input.next() {
            Some((rest, lexeme)) if lexeme.token == Token::Word && !matches!(lexeme.text, "on" | "if") => {
                self.check_claim_type(lexeme);
                Ok((rest, Name { text: lexeme.text.into(), span: lexeme.span }))
            }
            Some((_, lexeme)) if lexeme.token == Token::Placeholder => {
                self.placeholder(lexeme);
                Err(nom::Err::Error(Trouble::Reported))
            }
            Some(_) | None => Err(input.unexpected("a claim type")),
        }
    }

    /// Makes one expression of those from the `first` on, if they are several.
    #[inline]
    fn join(&mut self, first: usize, many: fn(Vec<Expr>) -> Expr) {
        if self.exprs.len() > first.saturating_add(1) {
            self.join_several(first, many);
        }
    }

    #[inline(never)]
    fn join_several(&mut self, first: usize, many: fn(Vec<Expr>) -> Expr) {
        let parts = self.exprs.drain(first..).collect();
        self.exprs.push(many(parts));
    }

    /// Puts the last expression into a group.
    #[inline(never)]
    fn group(&mut self, span: Span) {
        let inner = self.exprs.pop();
        self.exprs.extend(inner.map(|it| Expr::Group(Box::new(it), span)));
    }

    /// What is behind `&&` or `||`, or behind what the author wrote for it, which is then told.
    #[inline]
    fn joint(&mut self, input: Stream<'a>, wanted: Token) -> Option<Stream<'a>> {
        match input.token()? {
            token if token == wanted => Some(input.skip()),
            Token::Misspelled | Token::Word => self.foreign_joint(input, wanted),
            _ => None,
        }
    }

    #[inline(never)]
    fn foreign_joint(&mut self, input: Stream<'a>, wanted: Token) -> Option<Stream<'a>> {
        let (rest, lexeme) = input.next()?;
        let foreign = if wanted == Token::And { ["&", "and"] } else { ["|", "or"] };
        if !foreign.contains(&lexeme.text.to_ascii_lowercase().as_str()) {
            return None;
        }
        let sign = if wanted == Token::And { "&&" } else { "||" };
        self.push(
            Diagnostic::new(
                Code::MisspelledOperator,
                lexeme.span,
                format!("`{}` joins no conditions", lexeme.text),
                format!("`{sign}` does"),
            )
            .with_fix(format!("write `{sign}`"), true, lexeme.span, sign),
        );
        Some(rest)
    }

    #[inline]
    pub(super) fn skip_negation(&mut self, input: Stream<'a>) -> Stream<'a> {
        if is_negation(input) { self.negation(input) } else { input }
    }

    #[inline(never)]
    fn negation(&mut self, input: Stream<'a>) -> Stream<'a> {
        let mut rest = input.skip();
        while is_negation(rest) {
            rest = rest.skip();
        }
        let span = input.span().to(rest.gap());
        self.push(
            Diagnostic::new(Code::Negation, span, "a condition cannot be negated", "the language only ever grants")
                .with_help("say who is meant, not who is not; for one value of a token's fact there is `!=`"),
        );
        rest
    }

    fn misspelled_operator(&mut self, lexeme: Lexeme<'a>) -> Operator {
        let (sign, operator) = match lexeme.text {
            "=>" => (">=", Operator::GreaterOrEqual),
            "=<" => ("<=", Operator::LessOrEqual),
            "<>" | "!==" | "=!" | "!~" => ("!=", Operator::NotEqual),
            "=~" => ("matches", Operator::Matches),
            _ => ("==", Operator::Equal),
        };
        let error = Diagnostic::new(
            Code::MisspelledOperator,
            lexeme.span,
            format!("there is no operator `{}`", lexeme.text),
            format!("`{sign}` is meant, probably"),
        );
        // Patterns of other languages are written in another way.
        self.push(if lexeme.text.contains('~') {
            error.with_help(
                "`matches \"web-*\"` compares with a pattern of `*` and `?`; there are no regular expressions",
            )
        } else {
            error.with_fix(format!("write `{sign}`"), matches!(lexeme.text, "=" | "==="), lexeme.span, sign)
        });
        operator
    }

    /// A word in the place of an operator. Where a value follows it was meant as one.
    fn unknown_operator(
        &mut self,
        input: Stream<'a>,
        rest: Stream<'a>,
        lexeme: Lexeme<'a>,
    ) -> Parsed<'a, (Operator, Span)> {
        if !Self::stands_value(rest) {
            return Err(self.without_operator(input));
        }
        if !lexeme.flawed {
            let text = lexeme.text;
            let foreign = FOREIGN.iter().find(|(word, _)| word.eq_ignore_ascii_case(text)).map(|(_, sign)| *sign);
            let near = foreign.or_else(|| closest(text, Operator::words().map(Operator::text)));
            let message = format!("no operator `{}`", short(text));
            let error = Diagnostic::new(Code::UnknownOperator, lexeme.span, message, "not an operator");
            self.push(match near {
                Some(near) => error.with_help(format!("did you mean `{near}`?")).with_fix(
                    format!("write `{near}`"),
                    false,
                    lexeme.span,
                    near,
                ),
                None => error.with_help(
                    "the operators are == != < <= > >= equals beginsWith endsWith contains matches fqnMatch inCidr in",
                ),
            });
        }
        // Which operator was meant is not known: the one with the fewest demands on its right side.
        Ok((rest, (Operator::Equals, lexeme.span)))
    }

    /// `if (admin)`, `if (name "tom")`.
    fn without_operator(&mut self, input: Stream<'a>) -> nom::Err<Trouble> {
        let (Some(before), found) = (input.before(), input.peek()) else { return input.unexpected("an operator") };
        if found.is_some_and(|it| it.flawed) || before.flawed {
            return nom::Err::Error(Trouble::Reported);
        }
        let message = format!("`{}` is compared with nothing", short(before.text));
        let error = Diagnostic::new(
            Code::IncompleteComparison,
            before.span,
            message,
            "an operator and a value belong behind it",
        );
        let ends = input.look(1).is_some_and(|it| matches!(it.token, Token::And | Token::Or | Token::RightParen));
        let value = found.filter(|it| it.token == Token::String || (it.token == Token::Word && ends));
        self.push(match value {
            Some(_) => error.with_fix("write `==`", false, input.gap(), " =="),
            None if before.text == "role" => error.with_help("for example `role == admin`"),
            None if self.is_of_issuer(before) => {
                error.with_help(format!("what it has to be stands behind it: `{} == \"VALUE\"`", short(before.text)))
            }
            None => error.with_help(format!("for example `role == {}`, if it is a role", short(before.text))),
        });
        nom::Err::Error(Trouble::Reported)
    }

    /// Whether an issuer and `->` stand before this claim type.
    fn is_of_issuer(&self, claim_type: Lexeme<'a>) -> bool {
        self.source.text().get(..claim_type.span.start).is_some_and(|it| it.trim_end().ends_with("->"))
    }

    fn comma_in_list(&mut self, gap: Span) {
        let message = "two values of a list have no comma between them";
        let error = Diagnostic::new(Code::ForgottenComma, gap, message, "`,` belongs here");
        self.push(error.with_fix("write a comma", false, gap, ","));
    }

    fn wrong_arrow(&mut self, sign: Lexeme<'a>) {
        let message = format!("between an issuer and its claim stands `->`, not `{}`", sign.text);
        let error = Diagnostic::new(Code::MisspelledOperator, sign.span, message, "`->` is meant");
        self.push(error.with_fix("write `->`", false, sign.span, "->"));
    }

    fn missing_issuer(&mut self, lexeme: Lexeme<'a>) {
        self.push(
            Diagnostic::new(
                Code::MissingIssuer,
                lexeme.span,
                "whose claim this is stands before `->`, and nothing does",
                "an issuer belongs before it",
            )
            .with_help("the name of whoever is logged in is `auth_server@apcera.me->name`"),
        );
    }

    /// `name == Google->email`: the right side is a value, and never another fact.
    fn skip_reference(&mut self, input: Stream<'a>) -> Stream<'a> {
        let (Some(arrow), Some(issuer)) = (input.peek().filter(|it| it.token == Token::Arrow), input.before()) else {
            return input;
        };
        let rest =
            if input.look(1).is_some_and(|it| it.token == Token::Word) { input.skip().skip() } else { input.skip() };
        self.push(
            Diagnostic::new(
                Code::UnexpectedToken,
                issuer.span.to(rest.gap()).to(arrow.span),
                "right of an operator stands a value, not another claim",
                "this names a claim",
            )
            .with_help("to compare with a part of the realm, bind a variable in it: `\"[name]\"`"),
        );
        rest
    }
}

/// `>` or `=>` before a claim type that has an operator of its own: `Google>email == "x"`.
fn is_wrong_arrow(input: Stream<'_>) -> bool {
    let (Some(sign), Some(name), Some(operator)) = (input.peek(), input.look(1), input.look(2)) else { return false };
    let is_sign = sign.token == Token::Greater || sign.text == "=>";
    let is_operator = match operator.token {
        Token::Equal
        | Token::NotEqual
        | Token::Less
        | Token::LessOrEqual
        | Token::Greater
        | Token::GreaterOrEqual
        | Token::Misspelled => true,
        Token::Word => is_operator_word(operator.text),
        _ => false,
    };
    let is_number = name.text.starts_with(|c: char| c.is_ascii_digit());
    is_sign && name.token == Token::Word && !is_number && is_operator
}

/// `!`, or `not` where it is no claim type because a parenthesis or a claim type follows.
fn is_negation(input: Stream<'_>) -> bool {
    match (input.peek(), input.look(1)) {
        (Some(lexeme), _) if lexeme.token == Token::Bang => true,
        (Some(lexeme), Some(next)) if lexeme.token == Token::Word && lexeme.text.eq_ignore_ascii_case("not") => {
            next.token == Token::LeftParen || (next.token == Token::Word && !is_operator_word(next.text))
        }
        _ => false,
    }
}

fn is_operator_word(text: &str) -> bool {
    text == Operator::In.text() || Operator::words().any(|it| it.text() == text)
}
