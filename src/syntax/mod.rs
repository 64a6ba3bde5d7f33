//! Text to tree: lexer, parser, and the names that realms and requests are made of.

pub mod ast;
pub mod character;
pub mod cidr;
mod findings;
mod foreign;
pub mod fqn;
mod lexer;
pub mod literal;
mod parser;
pub mod realm;
mod slip;
mod stream;
pub mod suggest;
mod token;
pub mod vocabulary;
pub(crate) mod words;

pub use lexer::token_spans;
pub use parser::parse;
pub(crate) use parser::parse_each;

use crate::{diagnostic::Diagnostic, source::Span};

/// What reading one document gave.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Parse {
    /// What could be read. Complete only if no diagnostic is an error.
    pub document: ast::Document,
    /// What could not be, in source order, at most `DIAGNOSTICS_SHOWN_MAX` of it.
    pub diagnostics: Vec<Diagnostic>,
    /// How many more there were.
    pub hidden: usize,
    /// The comments, from `//` to the end of the line without it, in source order.
    pub comments: Vec<Span>,
}

impl Parse {
    /// Whether the document says something, and all of what it says is in `document`.
    pub fn is_usable(&self) -> bool {
        self.hidden == 0 && !self.diagnostics.iter().any(Diagnostic::is_error)
    }
}
