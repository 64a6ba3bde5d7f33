//! A document as an editor or the disk has it, read when somebody asks.

use std::sync::OnceLock;

use tower_lsp_server::ls_types::Uri;

use crate::{
    diagnostic::of_source_error,
    source::{Source, SourceError},
    syntax::{Parse, parse},
};

/// A text, and what reading it gave.
#[derive(Debug)]
pub(super) struct Document {
    pub(super) uri: Uri,
    /// The version that the editor gave it; none for what is only on disk.
    pub(super) version: Option<i32>,
    pub(super) source: Source,
    /// Whether the source is the document's whole text. Else nothing in it can be changed.
    pub(super) is_whole: bool,
    parse: OnceLock<Parse>,
}

impl Document {
    /// Takes a text or what is wrong with it; none where not even that can be told.
    pub(super) fn new(uri: Uri, version: Option<i32>, name: &str, source: Result<Source, SourceError>) -> Option<Self> {
        match source {
            Ok(source) => Some(Self { uri, version, source, is_whole: true, parse: OnceLock::new() }),
            Err(error) => {
                let (source, diagnostic) = of_source_error(name, error);
                let parse = Parse { diagnostics: vec![diagnostic], ..Parse::default() };
                Some(Self { uri, version, source: source?, is_whole: false, parse: OnceLock::from(parse) })
            }
        }
    }

    /// What reading it gave; the first one who asks reads.
    pub(super) fn parse(&self) -> &Parse {
        self.parse.get_or_init(|| parse(&self.source))
    }
}
