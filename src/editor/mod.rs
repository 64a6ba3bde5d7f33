//! What an editor asks about documents: what stands at a place, where else it stands, and what may come next.
//!
//! Nothing here knows of a protocol: places are bytes of a source, and whoever speaks to an editor translates them.
//! Everything works on documents with errors too, as far as they could be read, because a document that is being
//! typed has one nearly always.

mod complete;
mod cursor;
mod grammar;
mod highlight;
mod hover;
mod meaning;
mod outline;
mod rename;
mod uses;
mod vocabulary;

pub use crate::editor::{
    complete::{Completion, CompletionKind, complete},
    highlight::{Highlight, HighlightKind, highlights},
    hover::{Hover, hover},
    outline::{Entry, EntryKind, folds, outline},
    rename::{RenameRefusal, rename, renameable},
    uses::{definitions, references},
};

use crate::{
    source::{Source, Span},
    syntax::Parse,
};

/// The documents that form one set, each with what reading it gave.
pub type Documents<'a> = [(&'a Source, &'a Parse)];

/// A place in one of several documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Index into the documents.
    pub document: usize,
    /// Where in it.
    pub span: Span,
}
