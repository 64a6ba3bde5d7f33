//! The comments of a document in the order in which they have to be written again.

use crate::{
    source::{Source, Span},
    syntax::Parse,
};

/// One comment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Comment<'a> {
    /// From `//`, without blanks at its end.
    pub(super) text: &'a str,
    pub(super) span: Span,
    /// Something stands before it on its line, so that it speaks of that.
    pub(super) trails: bool,
    /// It goes on with the comment above, which trails, in the same column.
    pub(super) continues: bool,
}

/// The comments that are still to be written, and what else of the text's layout is kept.
#[derive(Debug)]
pub(super) struct Comments<'a> {
    source: Option<&'a Source>,
    all: Vec<Comment<'a>>,
    next: usize,
}

impl<'a> Comments<'a> {
    /// For a tree without a text.
    pub(super) fn none() -> Self {
        Self { source: None, all: Vec::new(), next: 0 }
    }

    pub(super) fn of(source: &'a Source, parse: &Parse) -> Self {
        let mut all: Vec<Comment<'a>> = Vec::with_capacity(parse.comments.len());
        // Where the comment above begins if it trails or continues one that does.
        let mut above: Option<(usize, usize)> = None;
        for &span in &parse.comments {
            let trails = !is_first(source, span.start);
            let location = source.location(span.start);
            let place = (location.line, location.column);
            let continues = !trails && above.is_some_and(|(line, column)| (line.saturating_add(1), column) == place);
            above = (trails || continues).then_some(place);
            let text = source.slice(span).trim_end_matches([' ', '\t', '\r']);
            all.push(Comment { text, span, trails, continues });
        }
        Self { source: Some(source), all, next: 0 }
    }

    /// The next comment, if it begins before `offset`.
    pub(super) fn peek(&self, offset: usize) -> Option<Comment<'a>> {
        self.all.get(self.next).copied().filter(|it| it.span.start < offset)
    }

    /// The same, and goes on to the one behind it.
    pub(super) fn take(&mut self, offset: usize) -> Option<Comment<'a>> {
        let comment = self.peek(offset)?;
        self.next = self.next.saturating_add(1);
        Some(comment)
    }

    /// Whether an empty line stands before what begins at `offset`.
    pub(super) fn is_behind_empty_line(&self, offset: usize) -> bool {
        let before = self.source.and_then(|it| it.text().get(..offset)).unwrap_or_default();
        let gap = before.len().saturating_sub(before.trim_end_matches([' ', '\t', '\r', '\n']).len());
        let gap = before.get(before.len().saturating_sub(gap)..).unwrap_or_default();
        gap.bytes().filter(|it| *it == b'\n').nth(1).is_some()
    }

    /// Whether an empty line stands before one of the comments that are left before `offset`, or before what begins
    /// there.
    pub(super) fn has_empty_line(&self, offset: usize) -> bool {
        let left = self.all.iter().skip(self.next).take_while(|it| it.span.start < offset);
        left.map(|it| it.span.start).chain([offset]).any(|it| self.is_behind_empty_line(it))
    }

    /// Whether something stands on another line than what stands before it.
    pub(super) fn is_on_lines(&self, span: Span) -> bool {
        self.source.is_some_and(|it| it.line(span.start) < it.line(span.end))
    }

    /// Where the `)` stands that is the only sign between two places.
    pub(super) fn closing_parenthesis(&self, within: Span) -> usize {
        let Some(source) = self.source else { return within.end };
        let mut from = within.start;
        let first = self.all.partition_point(|it| it.span.start < within.start);
        let comments = self.all.iter().skip(first).map(|it| it.span).take_while(|it| it.start < within.end);
        for comment in comments.chain([Span::at(within.end)]) {
            if let Some(at) = source.slice(Span::new(from, comment.start)).find(')') {
                return from.saturating_add(at);
            }
            from = comment.end;
        }
        within.end
    }
}

/// Whether nothing but blanks stands before a place on its line. A byte-order mark is nothing too.
fn is_first(source: &Source, offset: usize) -> bool {
    let before = source.text().get(..offset).unwrap_or_default().trim_end_matches([' ', '\t']);
    before.is_empty() || before.ends_with('\n') || before == "\u{FEFF}"
}
