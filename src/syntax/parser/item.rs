//! What stands in braces.
//!
//! Functions that call each other round in a circle hand what they read to a list of their caller, and leave all else to
//! functions of their own: a level of nesting costs little stack.

use crate::{
    diagnostic::{Code, Diagnostic, Edit, Fix},
    limits::{CONDITION_TOKENS_MAX, NESTING_MAX},
    source::Span,
    syntax::{
        ast::{Block, Item, Rule},
        lexer::Lexeme,
        parser::{Reader, recover},
        stream::{Parsed, Stream, Trouble},
        token::Token,
    },
};

impl<'a> Reader<'a> {
    /// Items up to a `}`, the end of the text, or what can only be another policy.
    pub(super) fn items(&mut self, mut input: Stream<'a>, out: &mut Vec<Item>) -> Stream<'a> {
        let outer = self.exprs.len();
        // INVARIANT (progress): each round reads at least one lexeme.
        while let Some(token) = input.token() {
            if token == Token::RightBrace || recover::begins_policy(input) {
                break;
            }
            input = match self.item(input, out) {
                Ok((rest, ())) => rest,
                Err(trouble) => {
                    self.exprs.truncate(outer);
                    self.behind_trouble(input, &trouble)
                }
            };
        }
        input
    }

    #[inline(never)]
    fn behind_trouble(&mut self, input: Stream<'a>, trouble: &nom::Err<Trouble>) -> Stream<'a> {
        self.report(trouble);
        recover::next_item(self.source, input.skip())
    }

    /// One item; none where it could not be read and that was told.
    ///
    /// ```ebnf
    /// item = rule | block | claim ;
    /// ```
    #[inline]
    fn item(&mut self, input: Stream<'a>, out: &mut Vec<Item>) -> Parsed<'a, ()> {
        let input = self.skip_else(input);
        match input.token() {
            Some(Token::LeftBrace) => {
                let (rest, block) = self.block(input)?;
                push_block(out, block);
                Ok((rest, ()))
            }
            Some(Token::Word) if input.is_word("if") || recover::is_misspelled_if(input) => self.rule(input, out),
            Some(Token::Word) => self.claim(input, out),
            _ => Err(input.unexpected("a claim, `if` or `{`")),
        }
    }

    /// A rule; none where its condition could not be read. Its block is read all the same.
    ///
    /// ```ebnf
    /// rule = "if" , "(" , expr , ")" , block ;
    /// ```
    #[inline]
    fn rule(&mut self, input: Stream<'a>, out: &mut Vec<Item>) -> Parsed<'a, ()> {
        let outer = self.exprs.len();
        let (rest, ()) = self.condition(input)?;
        let (rest, block) = self.block(rest)?;
        self.push_rule(out, outer, input.span(), block);
        Ok((rest, ()))
    }

    // An item is large: it is put together where no recursion goes on beneath.
    /// Adds a rule, if its condition could be read: then it is the one behind the `outer` ones.
    #[inline(never)]
    fn push_rule(&mut self, out: &mut Vec<Item>, outer: usize, keyword: Span, block: Block) {
        let condition = if self.exprs.len() > outer { self.exprs.pop() } else { None };
        self.exprs.truncate(outer);
        if let Some(condition) = condition {
            let span = keyword.to(block.span);
            out.push(Item::Rule(Rule { keyword, condition, block, span }));
        }
    }

    /// `if ( expr )` of a rule; nothing is added to `exprs` where the condition could not be read.
    #[inline(never)]
    fn condition(&mut self, input: Stream<'a>) -> Parsed<'a, ()> {
        if !input.is_word("if") {
            self.misspelled_if(input);
        }
        let bare = self.bare_condition(input.skip());
        let inner = if bare { input.skip() } else { self.open_parenthesis(input.skip()) };
        if inner.token() == Some(Token::RightParen) {
            return Ok((self.empty_condition(input, inner), ()));
        }
        self.parentheses = 0;
        let outer = self.exprs.len();
        let read = self.expr(inner);
        self.parentheses = 0;
        match read {
            Ok((rest, ())) => {
                self.check_condition_length(inner, rest);
                if !bare && self.closed_in_comment(rest) {
                    return Err(nom::Err::Error(Trouble::Reported));
                }
                let is_closed = bare && rest.token() == Some(Token::LeftBrace);
                Ok((if is_closed { rest } else { self.close_condition(rest) }, ()))
            }
            Err(trouble) => {
                self.report(&trouble);
                self.exprs.truncate(outer);
                Ok((recover::behind_condition(inner), ()))
            }
        }
    }

    /// `if (role == admin // of them) { permit ssh }`: told, if it is so. What else is missing stands in the comment too.
    fn closed_in_comment(&mut self, input: Stream<'a>) -> bool {
        if input.token() == Some(Token::RightParen) {
            return false;
        }
        let end = input.peek().map_or(self.source.text().len(), |it| it.span.start);
        let between = self.source.slice(Span::new(input.gap().end, end));
        let line = between.split('\n').next().unwrap_or_default();
        let (Some(comment), Some(closing)) = (line.find("//"), line.find(')')) else { return false };
        if closing < comment {
            return false;
        }
        let place = |at: usize| input.gap().end.saturating_add(at);
        let error = Diagnostic::new(
            Code::UnexpectedToken,
            Span::new(place(comment), place(line.trim_end().len())),
            "the `)` of this condition stands in a comment",
            "`//` makes a comment of all that follows on its line",
        );
        let error = error.with_help("put the comment on a line of its own above the rule");
        self.push(error.with_fix("end the comment before the `)`", false, Span::at(place(closing)), "\n"));
        true
    }

    /// `if role == admin {`: both parentheses are missing, which is one mistake.
    fn bare_condition(&mut self, inner: Stream<'a>) -> bool {
        const LEXEMES_MAX: usize = 32;
        let Some(first) = inner.peek().filter(|it| it.token == Token::Word && !it.text.eq_ignore_ascii_case("not"))
        else {
            return false;
        };
        let is_end = |it: Lexeme<'_>| {
            matches!(it.token, Token::LeftBrace | Token::RightBrace | Token::LeftParen | Token::RightParen)
        };
        let mut ahead = (1..LEXEMES_MAX).map_while(|index| inner.look(index));
        if ahead.find(|it| is_end(*it)).is_none_or(|it| it.token != Token::LeftBrace) {
            return false;
        }
        let mut last = first;
        for lexeme in (1..LEXEMES_MAX).map_while(|index| inner.look(index)).take_while(|it| !is_end(*it)) {
            last = lexeme;
        }
        let found = self.name_token(Some(first.token), first.span);
        let message = format!("expected `(`, found {found}");
        let mut error =
            Diagnostic::new(Code::UnexpectedToken, first.span, message, "a condition stands in parentheses")
                .with_label(Span::at(last.span.end), "`)` belongs here");
        error.fixes.push(Fix {
            title: "put the condition in parentheses".to_owned(),
            safe: false,
            edits: vec![
                Edit { span: Span::at(first.span.start), text: "(".to_owned() },
                Edit { span: Span::at(last.span.end), text: ")".to_owned() },
            ],
        });
        self.push(error);
        true
    }

    fn empty_condition(&mut self, input: Stream<'a>, inner: Stream<'a>) -> Stream<'a> {
        let rest = inner.skip();
        let span = input.skip().span().to(rest.gap());
        self.push(
            Diagnostic::new(Code::IncompleteComparison, span, "this condition is empty", "nothing to test")
                .with_help("what always applies stands in braces without `if`"),
        );
        rest
    }

    fn check_condition_length(&mut self, inner: Stream<'a>, rest: Stream<'a>) {
        let tokens = rest.since(inner);
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
            Some(Token::Word) if !input.peek().is_some_and(|it| it.flawed) => {
                self.missing_joint(input);
                recover::behind_condition(input)
            }
            Some(_) => {
                self.report(&input.unexpected("`&&`, `||` or `)`"));
                recover::behind_condition(input)
            }
        }
    }

    /// Two comparisons side by side. `&&` is offered: of the two joints it grants less.
    fn missing_joint(&mut self, input: Stream<'a>) {
        let found = self.name_token(input.token(), input.span());
        let message = format!("expected `&&`, `||` or `)`, found {found}");
        let error = Diagnostic::new(Code::UnexpectedToken, input.span(), message, "`&&`, `||` or `)` belongs here");
        let joins = input.look(1).is_some_and(|it| it.token != Token::LeftBrace && it.token != Token::RightParen);
        let error = error.with_help("`&&` wants both conditions, `||` either of them");
        self.push(if joins {
            let gap = input.gap();
            error.with_fix("write `&&`", false, gap, " &&").with_fix("write `||`", false, gap, " ||")
        } else {
            error
        });
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

// An item is large: it is put together where no recursion goes on beneath.
#[inline(never)]
fn push_block(out: &mut Vec<Item>, block: Block) {
    out.push(Item::Block(block));
}
