//! Text with a name, and places in it.

use std::{
    ops::Range,
    sync::{Arc, OnceLock},
};

use bytestring::ByteString;

use crate::limits::{DOCUMENT_BYTES_MAX, INDENT_BYTES_MAX};

/// One policy document as given: its name for people, its text, and where its lines begin. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    name: String,
    text: ByteString,
    // INVARIANT (lines): byte offsets of line starts, ascending, the first is 0; looked for when somebody asks, which of most
    // documents of a large set nobody ever does.
    line_starts: OnceLock<Vec<usize>>,
}

impl PartialEq for Inner {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.text == other.text
    }
}

impl Eq for Inner {}

/// Why bytes are not a source.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// More than [`DOCUMENT_BYTES_MAX`] bytes.
    #[error("the document has {bytes} bytes, more than the {DOCUMENT_BYTES_MAX} a document may have")]
    TooLarge {
        /// How many there are.
        bytes: usize,
    },
    /// Not UTF-8; everything before `valid_up_to` is.
    #[error("the document is not UTF-8 text: byte {valid_up_to} does not belong there")]
    NotUtf8 {
        /// The offset of the first bad byte.
        valid_up_to: usize,
        /// The text before it, for the report.
        before: String,
    },
}

impl Source {
    /// Takes a document's bytes; `name` is the file as the user gave it.
    ///
    /// ```
    /// use gatehouse::source::Source;
    ///
    /// let source = Source::new("a.pol", b"job::/ {\n}\n".to_vec())?;
    /// assert_eq!(source.location(9).line, 2);
    /// # Ok::<(), gatehouse::source::SourceError>(())
    /// ```
    pub fn new(name: impl Into<String>, bytes: Vec<u8>) -> Result<Self, SourceError> {
        if bytes.len() > DOCUMENT_BYTES_MAX {
            return Err(SourceError::TooLarge { bytes: bytes.len() });
        }
        let text = String::from_utf8(bytes).map_err(|err| {
            let valid_up_to = err.utf8_error().valid_up_to();
            let mut before = err.into_bytes();
            before.truncate(valid_up_to);
            SourceError::NotUtf8 { valid_up_to, before: String::from_utf8_lossy(&before).into_owned() }
        })?;
        Ok(Self::of_text(name.into(), text.into()))
    }

    /// A text that was one before; it may be a part of something larger.
    pub(crate) fn of_text(name: String, text: ByteString) -> Self {
        Self { inner: Arc::new(Inner { name, text, line_starts: OnceLock::new() }) }
    }

    /// The file as the user gave it.
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    /// The document's name in a policy set: the file's base name without `.pol`.
    pub fn document(&self) -> &str {
        let base = self.inner.name.rsplit('/').next().unwrap_or(&self.inner.name);
        base.strip_suffix(".pol").unwrap_or(base)
    }

    /// The whole text.
    pub fn text(&self) -> &str {
        &self.inner.text
    }

    /// Whether two have the same text; free where one is a clone of the other.
    pub(crate) fn has_text_of(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.inner, &other.inner) || self.inner.text == other.inner.text
    }

    /// The text at a span; empty where the span does not fit.
    pub fn slice(&self, span: Span) -> &str {
        self.text().get(span.range()).unwrap_or_default()
    }

    /// Where a part of the text begins; behind the end where it is no part.
    pub(crate) fn offset_of(&self, part: &str) -> usize {
        let offset = part.as_ptr().addr().wrapping_sub(self.text().as_ptr().addr());
        offset.min(self.text().len())
    }

    /// Line and column of a byte offset; the end of the text where it lies behind it.
    pub fn location(&self, offset: usize) -> Location {
        let line = self.line(offset);
        let start = self.line_starts().get(line.saturating_sub(1)).copied().unwrap_or(0);
        let before = self.text().get(start..offset).or_else(|| self.text().get(start..)).unwrap_or_default();
        Location { line, column: before.chars().count().saturating_add(1), offset }
    }

    /// The line of a byte offset, from 1; cheaper than [`Source::location`] where lines are long.
    pub fn line(&self, offset: usize) -> usize {
        self.line_starts().partition_point(|&start| start <= offset)
    }

    /// A line, from 1, without what ends it.
    pub fn line_span(&self, line: usize) -> Span {
        let start = self.line_starts().get(line.saturating_sub(1)).copied().unwrap_or(self.text().len());
        let end = self.line_starts().get(line).map_or(self.text().len(), |next| next.saturating_sub(1));
        let text = self.text().get(start..end).unwrap_or_default();
        Span::new(start, start.saturating_add(text.strip_suffix('\r').unwrap_or(text).len()))
    }

    /// Blanks at the start of the line of a byte offset, at most [`INDENT_BYTES_MAX`].
    pub fn indent(&self, offset: usize) -> usize {
        let blanks = self.text().bytes().skip(self.line_start(offset)).take(INDENT_BYTES_MAX);
        blanks.take_while(|it| matches!(it, b' ' | b'\t')).count()
    }

    /// Whether nothing but blanks stands before a byte offset on its line, and not more of them than count as indentation.
    pub fn is_first_on_line(&self, offset: usize) -> bool {
        let mut before = self.text().as_bytes().get(..offset).unwrap_or_default().iter().rev();
        let blanks =
            before.clone().take(INDENT_BYTES_MAX.saturating_add(1)).take_while(|it| matches!(it, b' ' | b'\t'));
        let blanks = blanks.count();
        blanks <= INDENT_BYTES_MAX && before.nth(blanks).is_none_or(|it| *it == b'\n')
    }

    fn line_starts(&self) -> &[usize] {
        let starts = || std::iter::once(0).chain(self.text().match_indices('\n').map(|(at, _)| at + 1)).collect();
        self.inner.line_starts.get_or_init(starts)
    }

    fn line_start(&self, offset: usize) -> usize {
        self.line_starts().get(self.line(offset).saturating_sub(1)).copied().unwrap_or(0)
    }
}

/// Where something stands for a person and for a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Location {
    /// From 1.
    pub line: usize,
    /// From 1, in code points.
    pub column: usize,
    /// From 0, in bytes.
    pub offset: usize,
}

/// Half-open range of bytes of a source.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// First byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
}

impl Span {
    /// From `start` up to `end`.
    pub fn new(start: usize, end: usize) -> Self {
        Self { start, end: end.max(start) }
    }

    /// An empty span at `offset`, for an insertion.
    pub fn at(offset: usize) -> Self {
        Self { start: offset, end: offset }
    }

    /// The least span that holds both.
    #[must_use]
    pub fn to(self, other: Self) -> Self {
        Self { start: self.start.min(other.start), end: self.end.max(other.end) }
    }

    /// As a range of bytes.
    pub fn range(self) -> Range<usize> {
        self.start..self.end
    }

    /// Whether nothing lies in it.
    pub fn is_empty(self) -> bool {
        self.start == self.end
    }
}

#[cfg(test)]
mod tests {
    use crate::{limits::INDENT_BYTES_MAX, source::Source};

    #[test]
    fn indentation_is_what_stands_before_the_first_word_up_to_a_bound() {
        let source = Source::new("a.pol", b"a {\n \t b c\n}".to_vec()).unwrap();
        assert_eq!([source.indent(0), source.indent(7), source.indent(9), source.indent(11)], [0, 3, 3, 0]);
        assert!(source.is_first_on_line(0) && source.is_first_on_line(7) && source.is_first_on_line(11));
        assert!(!source.is_first_on_line(2) && !source.is_first_on_line(9));
        let long = Source::new("a.pol", vec![b' '; 4 * INDENT_BYTES_MAX]).unwrap();
        assert_eq!(long.indent(0), INDENT_BYTES_MAX);
        assert!(long.is_first_on_line(INDENT_BYTES_MAX) && !long.is_first_on_line(INDENT_BYTES_MAX + 1));
    }
}
