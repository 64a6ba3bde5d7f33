//! A fix that takes an item away, with its line where nothing else stands on it.

use crate::{
    diagnostic::{Edit, Fix},
    source::{Source, Span},
    syntax::Parse,
};

/// Removes a span; none where a comment stands in it, which its author may want to keep.
pub(super) fn removal(title: &str, source: &Source, parse: &Parse, span: Span) -> Option<Fix> {
    let next = parse.comments.partition_point(|comment| comment.start < span.start);
    if parse.comments.get(next).is_some_and(|comment| comment.start < span.end) {
        return None;
    }
    let edits = vec![Edit { span: with_line(source, span), text: String::new() }];
    Some(Fix { title: title.to_owned(), safe: true, edits })
}

fn with_line(source: &Source, span: Span) -> Span {
    let behind = source.text().get(span.end..).unwrap_or_default();
    let blanks = behind.len().saturating_sub(behind.trim_start_matches([' ', '\t', '\r']).len());
    let end = span.end.saturating_add(blanks);
    let line_ends = behind.get(blanks..).is_some_and(|it| it.starts_with('\n'));
    if source.is_first_on_line(span.start) && line_ends {
        let start = span.start.saturating_sub(source.indent(span.start));
        return Span::new(start, end.saturating_add(1));
    }
    // A blank that stood between two items would be left over.
    let blank = behind.starts_with([' ', '\t']);
    Span::new(span.start, span.end.saturating_add(usize::from(blank)))
}
