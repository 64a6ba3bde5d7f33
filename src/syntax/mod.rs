//! Text to tree: lexer, parser, and the names that realms and requests are made of.

pub mod ast;
pub mod character;
pub mod cidr;
pub mod fqn;
pub mod literal;
pub mod realm;
pub mod suggest;
pub mod vocabulary;

use crate::{diagnostic::Diagnostic, source::Source};

/// What reading one document gave.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Parse {
    /// What could be read. Complete only if no diagnostic is an error.
    pub document: ast::Document,
    /// What could not be, in source order, at most `DIAGNOSTICS_SHOWN_MAX` of it.
    pub diagnostics: Vec<Diagnostic>,
    /// How many more there were.
    pub hidden: usize,
}

impl Parse {
    /// Whether the document says something, and all of what it says is in `document`.
    pub fn is_usable(&self) -> bool {
        self.hidden == 0 && !self.diagnostics.iter().any(Diagnostic::is_error)
    }
}

/// Reads one document; it never fails.
pub fn parse(_source: &Source) -> Parse {
    Parse::default()
}
