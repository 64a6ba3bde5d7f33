//! What stands in braces.

use crate::{
    diagnostic::{Code, Diagnostic},
    limits::{CONDITION_TOKENS_MAX, NESTING_MAX},
    syntax::{
        ast::{Block, Expr, Item, Rule},
        parser::{Reader, recover},
        stream::{Parsed, Stream, Trouble},
        token::Token,
    },
};

impl<'a> Reader<'a> {
    /// Items up to a `}`, the end of the text, or what can only be another policy.
    pub(super) fn items(&mut self, mut input: Stream<'a>) -> (Stream<'a>, Vec<Item>) {
        let mut items = Vec::new();
        // INVARIANT (progress): each round reads at least one lexeme.
        while let Some(token) = input.token() {
            if token == Token::RightBrace || recover::begins_policy(input) {
                break;
            }
            match self.item(input) {
                Ok((rest, item)) => {
                    items.extend(item);
                    input = rest;
                }
                Err(trouble) => {
                    self.report(&trouble);
                    input = recover::next_item(self.source, input.skip());
                }
            }
        }
        (input, items)
    }

    /// One item; none where it could not be read and that was told.
    ///
    /// ```ebnf
    /// item = rule | block | claim ;
    /// ```
    pub(super) fn item(&mut self, input: Stream<'a>) -> Parsed<'a, Option<Item>> {
        let input = self.skip_else(input);
        match input.peek() {
            Some(lexeme) if lexeme.token == Token::LeftBrace => {
                let (rest, block) = self.block(input)?;
                Ok((rest, Some(Item::Block(block))))
            }
            Some(lexeme) if lexeme.is_word("if") || recover::is_misspelled_if(input) => self.rule_item(input),
            Some(lexeme) if lexeme.token == Token::Word => {
                let (rest, claim) = self.claim(input)?;
                Ok((rest, claim.map(Item::Claim)))
            }
            _ => Err(input.unexpected("a claim, `if` or `{`")),
        }
    }

    // Apart from `item`, so that a deep nesting does not pay for the size of a rule.
    #[inline(never)]
    fn rule_item(&mut self, input: Stream<'a>) -> Parsed<'a, Option<Item>> {
        let (rest, rule) = self.rule(input)?;
        Ok((rest, rule.map(Item::Rule)))
    }

    /// A rule; none where its condition could not be read. Its block is read all the same.
    ///
    /// ```ebnf
    /// rule = "if" , "(" , expr , ")" , block ;
    /// ```
    fn rule(&mut self, input: Stream<'a>) -> Parsed<'a, Option<Rule>> {
        let keyword = input.span();
        if !input.is_word("if") {
            self.misspelled_if(input);
        }
        let (rest, condition) = self.condition(input.skip());
        let (rest, block) = self.block(rest)?;
        let span = keyword.to(block.span);
        Ok((rest, condition.map(|condition| Rule { keyword, condition, block, span })))
    }

    /// `( expr )` of a rule.
    fn condition(&mut self, input: Stream<'a>) -> (Stream<'a>, Option<Expr>) {
        let inner = self.open_parenthesis(input);
        if let Some(empty) = inner.peek()
            && empty.token == Token::RightParen
        {
            let span = input.span().to(empty.span);
            self.push(
                Diagnostic::new(Code::IncompleteComparison, span, "this condition is empty", "nothing to test")
                    .with_help("what always applies stands in braces without `if`"),
            );
            return (inner.skip(), None);
        }
        let outer = std::mem::take(&mut self.parentheses);
        let read = self.expr(inner);
        self.parentheses = outer;
        let (rest, expr) = match read {
            Ok((rest, expr)) => (self.close_condition(rest), Some(expr)),
            Err(trouble) => {
                self.report(&trouble);
                (recover::behind_condition(inner), None)
            }
        };
        self.check_condition_length(inner, rest);
        (rest, expr)
    }

    fn check_condition_length(&mut self, inner: Stream<'a>, rest: Stream<'a>) {
        let tokens = rest.since(inner).saturating_sub(1);
        if tokens > CONDITION_TOKENS_MAX {
            let span = inner.span().to(rest.gap());
            let message =
                format!("this condition has {tokens} tokens, more than the {CONDITION_TOKENS_MAX} it may have");
            self.push(
                Diagnostic::new(Code::ConditionTooLong, span, message, "too long")
                    .with_help("let one rule assert a role for each part, and test for the role"),
            );
        }
    }

    fn open_parenthesis(&mut self, input: Stream<'a>) -> Stream<'a> {
        // `if ! (...)` and `if not (...)`.
        let input = self.skip_negation(input);
        match input.next() {
            Some((rest, lexeme)) if lexeme.token == Token::LeftParen => rest,
            Some(_) | None => {
                let found = self.name_token(input.token(), input.span());
                self.push(
                    Diagnostic::new(
                        Code::UnexpectedToken,
                        input.span(),
                        format!("expected `(`, found {found}"),
                        "a condition stands in parentheses",
                    )
                    .with_fix("open the parentheses", false, input.gap(), " ("),
                );
                input
            }
        }
    }

    fn close_condition(&mut self, input: Stream<'a>) -> Stream<'a> {
        match input.token() {
            Some(Token::RightParen) => self.skip_parentheses(input.skip()),
            Some(Token::LeftBrace | Token::RightBrace) | None => {
                let found = self.name_token(input.token(), input.span());
                self.push(
                    Diagnostic::new(
                        Code::UnexpectedToken,
                        input.gap(),
                        format!("expected `)`, found {found}"),
                        "`)` belongs here",
                    )
                    .with_fix("close the parentheses", false, input.gap(), ")"),
                );
                input
            }
            Some(_) => {
                self.report(&input.unexpected("`&&`, `||` or `)`"));
                recover::behind_condition(input)
            }
        }
    }

    /// `)` behind a closed condition.
    fn skip_parentheses(&mut self, mut input: Stream<'a>) -> Stream<'a> {
        if input.token() == Some(Token::RightParen) {
            let span = input.span();
            self.push(
                Diagnostic::new(Code::UnexpectedToken, span, "this `)` closes nothing", "one too many").with_fix(
                    "remove the `)`",
                    false,
                    span,
                    "",
                ),
            );
        }
        while input.token() == Some(Token::RightParen) {
            input = input.skip();
        }
        input
    }

    /// ```ebnf
    /// block = "{" , { item } , "}" ;
    /// ```
    fn block(&mut self, input: Stream<'a>) -> Parsed<'a, Block> {
        if self.depth() >= NESTING_MAX {
            self.too_deep(input);
            return Ok((recover::behind_braces(input), Block { items: Vec::new(), span: input.span() }));
        }
        match self.open(input) {
            Some(input) => Ok(self.rest_of_block(input)),
            None => Err(nom::Err::Error(Trouble::Reported)),
        }
    }

    /// Tells once that no more is read at this depth.
    #[inline(never)]
    pub(super) fn too_deep(&mut self, input: Stream<'a>) {
        let message = format!("blocks and parentheses are nested more than {NESTING_MAX} deep");
        self.push(
            Diagnostic::new(Code::NestedTooDeeply, input.span(), message, "nothing within this is read")
                .with_help("let one rule assert a role, and test for it in another"),
        );
    }
}
