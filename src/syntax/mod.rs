//! Text to tree: lexer, parser, and the names that realms and requests are made of.

pub mod ast;
pub mod fqn;
