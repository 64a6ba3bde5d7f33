//! Lexemes as input for nom: the only file that knows nom's traits.

use std::{
    iter::{Copied, Enumerate},
    slice::Iter,
};

use nom::{
    IResult, Input, Needed,
    error::{ErrorKind, ParseError},
};

use crate::{
    source::Span,
    syntax::{lexer::Lexeme, token::Token},
};

/// What a parser returns: the rest and what it read.
pub(crate) type Parsed<'a, T> = IResult<Stream<'a>, T, Trouble>;

/// What is still to be read. Small, because every level of the recursion keeps some.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stream<'a> {
    /// Those read already, too.
    all: &'a [Lexeme<'a>],
    // INVARIANT (bounds): `at <= all.len()`. No document has as many lexemes as 32 bits count.
    at: u32,
}

/// Why a parser could not go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// Something else belongs there.
    Unexpected {
        /// What belongs there.
        wanted: &'static str,
        /// Which lexeme stands there, counted from the first; none at the end of the text.
        at: u32,
    },
    /// It was told already.
    Reported,
}

impl<'a> Stream<'a> {
    /// All lexemes of a text.
    pub(crate) fn new(all: &'a [Lexeme<'a>]) -> Self {
        Self { all, at: 0 }
    }

    /// How many lexemes are still to be read.
    pub(crate) fn left(self) -> usize {
        self.rest().len()
    }

    fn rest(self) -> &'a [Lexeme<'a>] {
        self.all.get(index(self.at)..).unwrap_or_default()
    }

    /// The same from another lexeme on.
    pub(crate) fn seek(self, at: u32) -> Self {
        Self { at: at.min(number(self.all.len())), ..self }
    }

    /// The next lexeme.
    pub(crate) fn peek(self) -> Option<Lexeme<'a>> {
        self.look(0)
    }

    /// The lexeme behind so many others.
    pub(crate) fn look(self, behind: usize) -> Option<Lexeme<'a>> {
        self.all.get(index(self.at).saturating_add(behind)).copied()
    }

    /// The next token.
    pub(crate) fn token(self) -> Option<Token> {
        self.peek().map(|it| it.token)
    }

    /// Whether the next lexeme is this word.
    pub(crate) fn is_word(self, text: &str) -> bool {
        self.peek().is_some_and(|it| it.is_word(text))
    }

    /// The next lexeme and what is behind it.
    pub(crate) fn next(self) -> Option<(Self, Lexeme<'a>)> {
        self.peek().map(|lexeme| (self.take_from(1), lexeme))
    }

    /// What is behind the next lexeme.
    pub(crate) fn skip(self) -> Self {
        self.take_from(1)
    }

    /// What was read last.
    pub(crate) fn before(self) -> Option<Lexeme<'a>> {
        self.at.checked_sub(1).and_then(|it| self.all.get(index(it))).copied()
    }

    /// Where the next lexeme stands, or the end of the last one.
    pub(crate) fn span(self) -> Span {
        self.peek().map_or(self.gap(), |it| it.span)
    }

    /// Where something is missing: directly behind what was read last.
    pub(crate) fn gap(self) -> Span {
        self.before().map_or(Span::default(), |it| Span::at(it.span.end))
    }

    /// The same from the first lexeme on that begins at this offset or behind it.
    pub(crate) fn seek_offset(self, offset: usize) -> Self {
        self.seek(number(self.all.partition_point(|it| it.span.start < offset)))
    }

    /// How many lexemes were read since `earlier`.
    pub(crate) fn since(self, earlier: Self) -> usize {
        index(self.at.saturating_sub(earlier.at))
    }

    /// The error that `wanted` does not stand here.
    #[inline(never)]
    pub(crate) fn unexpected(self, wanted: &'static str) -> nom::Err<Trouble> {
        nom::Err::Error(match self.peek() {
            Some(lexeme) if lexeme.flawed => Trouble::Reported,
            Some(_) | None => Trouble::Unexpected { wanted, at: self.at },
        })
    }
}

fn index(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

fn number(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

impl Lexeme<'_> {
    /// Whether it is this word, not in quotes.
    pub(crate) fn is_word(&self, text: &str) -> bool {
        self.token == Token::Word && self.text == text
    }
}

/// Reads one lexeme of this kind.
pub(crate) fn token(wanted: Token) -> impl Fn(Stream<'_>) -> Parsed<'_, Lexeme<'_>> {
    move |input| match input.next() {
        Some((rest, lexeme)) if lexeme.token == wanted => Ok((rest, lexeme)),
        Some(_) | None => Err(input.unexpected(wanted.describe())),
    }
}

impl ParseError<Stream<'_>> for Trouble {
    fn from_error_kind(input: Stream<'_>, _kind: ErrorKind) -> Self {
        Self::Unexpected { wanted: "something else", at: input.at }
    }

    fn append(_input: Stream<'_>, _kind: ErrorKind, other: Self) -> Self {
        other
    }
}

impl<'a> Input for Stream<'a> {
    type Item = Lexeme<'a>;
    type Iter = Copied<Iter<'a, Lexeme<'a>>>;
    type IterIndices = Enumerate<Self::Iter>;

    fn input_len(&self) -> usize {
        self.left()
    }

    fn take(&self, count: usize) -> Self {
        let stop = index(self.at).saturating_add(count).min(self.all.len());
        Self { all: self.all.get(..stop).unwrap_or_default(), ..*self }
    }

    fn take_from(&self, count: usize) -> Self {
        self.seek(self.at.saturating_add(number(count)))
    }

    fn take_split(&self, index: usize) -> (Self, Self) {
        (self.take_from(index), self.take(index))
    }

    fn position<P: Fn(Self::Item) -> bool>(&self, predicate: P) -> Option<usize> {
        self.rest().iter().position(|it| predicate(*it))
    }

    fn iter_elements(&self) -> Self::Iter {
        self.rest().iter().copied()
    }

    fn iter_indices(&self) -> Self::IterIndices {
        self.iter_elements().enumerate()
    }

    fn slice_index(&self, count: usize) -> Result<usize, Needed> {
        let missing = count.saturating_sub(self.input_len());
        if missing == 0 { Ok(count) } else { Err(Needed::new(missing)) }
    }
}
