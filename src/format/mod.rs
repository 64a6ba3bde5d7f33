//! Tree to text: a printer for any tree, and the one canonical form of a document with its comments.

mod comments;
mod condition;
mod layout;
mod meaning;
mod same;
mod word;
mod writer;

pub use meaning::same_meaning;
pub use same::{without_layout, without_places};

use crate::{
    format::{comments::Comments, layout::Printer, word::Quotes},
    limits::DOCUMENT_BYTES_MAX,
    source::Source,
    syntax::{Parse, ast::Document, parse},
};

/// Why a document was not formatted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It has errors: what it says is not known.
    #[error("the document has errors")]
    Unusable,
    /// The indentation would make it larger than a document may be.
    #[error("the formatted document would have more than the {DOCUMENT_BYTES_MAX} bytes a document may have")]
    TooLarge,
    /// The result does not say the same, or a comment is missing from it. This is a mistake of the formatter.
    #[error("the formatted document would not say the same; this is a mistake in the formatter, please report it")]
    Changed,
}

/// The canonical form of a document without errors (`grammar/README.md` says what that is).
///
/// The result says the same as the document, has the same comments, and is its own canonical form. The first two are
/// checked by reading the result, so that no mistake in here can reach a file.
///
/// ```
/// use gatehouse::{format::format, source::Source, syntax::parse};
///
/// let source = Source::new("a.pol", b"on job::/a{ // mine\n{permit \"ssh\",read}}".to_vec())?;
/// let text = format(&source, &parse(&source)).unwrap();
/// assert_eq!(text, "job::/a { // mine\n  { permit ssh, read }\n}\n");
/// # Ok::<(), gatehouse::source::SourceError>(())
/// ```
pub fn format(source: &Source, parse: &Parse) -> Result<String, Refusal> {
    if !parse.is_usable() {
        return Err(Refusal::Unusable);
    }
    let comments = Comments::of(source, parse);
    let text = Printer::new(comments, Quotes::Canonical, DOCUMENT_BYTES_MAX).document(&parse.document);
    check(source, parse, text)
}

/// A tree as text; reading it gives the tree again, but for places.
///
/// The tree is one that a text can have: names are words, a `||` within a `&&` stands in a group.
///
/// ```
/// use gatehouse::{format::print, source::Source, syntax::parse};
///
/// let source = Source::new("a.pol", b"on job::/{permit\"ssh\"}".to_vec())?;
/// assert_eq!(print(&parse(&source).document), "on job::/ {\n  permit \"ssh\"\n}\n");
/// # Ok::<(), gatehouse::source::SourceError>(())
/// ```
#[must_use]
pub fn print(document: &Document) -> String {
    Printer::new(Comments::none(), Quotes::Kept, usize::MAX).document(document)
}

/// The text, if it says what the document said.
fn check(source: &Source, parsed: &Parse, text: String) -> Result<String, Refusal> {
    if text.len() > DOCUMENT_BYTES_MAX {
        return Err(Refusal::TooLarge);
    }
    let formatted = Source::new(source.name(), text.into_bytes()).map_err(|_| Refusal::Changed)?;
    let again = parse(&formatted);
    let is_same = again.is_usable()
        && without_layout(&again.document) == without_layout(&parsed.document)
        && comments(&formatted, &again) == comments(source, parsed);
    if is_same { Ok(formatted.text().to_owned()) } else { Err(Refusal::Changed) }
}

/// The texts of all comments, sorted: formatting may move one over a sign, and loses none.
fn comments<'a>(source: &'a Source, parse: &Parse) -> Vec<&'a str> {
    let texts = parse.comments.iter().map(|it| source.slice(*it).trim_end_matches([' ', '\t', '\r']));
    let mut texts: Vec<&str> = texts.collect();
    texts.sort_unstable();
    texts
}
