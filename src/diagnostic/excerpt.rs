//! The lines of a document that a report shows, made fit for a terminal.

use std::{collections::BTreeMap, fmt::Write as _, ops::Range};

use crate::{
    diagnostic::{Diagnostic, printable::is_hidden},
    source::{Source, Span},
};

/// Characters of a line that are shown; of a longer one, those around the places meant.
const LINE_CHARACTERS_MAX: usize = 160;

/// Characters before the first place in a line that is cut.
const CONTEXT_CHARACTERS: usize = 40;

/// Lines between two places that are shown in one picture; a farther place is told in words.
const DISTANCE_LINES_MAX: usize = 100;

/// A text with as many lines as the document up to the last one shown, of which all others are empty, so that a line
/// keeps its number and a long document costs little.
#[derive(Debug)]
pub(super) struct Excerpt<'a> {
    text: String,
    places: Vec<Option<Range<usize>>>,
    diagnostic: &'a Diagnostic,
    source: &'a Source,
}

impl<'a> Excerpt<'a> {
    pub(super) fn new(source: &'a Source, diagnostic: &'a Diagnostic) -> Self {
        let spans = std::iter::once(diagnostic.span).chain(diagnostic.secondary.iter().map(|it| it.span));
        let first = source.line(diagnostic.span.start);
        let mut by_line: BTreeMap<usize, Vec<(usize, Span)>> = BTreeMap::new();
        for (index, span) in spans.enumerate() {
            let line = source.line(span.start);
            if line.abs_diff(first) <= DISTANCE_LINES_MAX {
                by_line.entry(line).or_default().push((index, span));
            }
        }
        let mut excerpt = Self {
            text: String::new(),
            places: vec![None; diagnostic.secondary.len().saturating_add(1)],
            diagnostic,
            source,
        };
        let mut line = 1;
        for (number, spans) in by_line {
            let missing = number.saturating_sub(line);
            excerpt.text.extend(std::iter::repeat_n('\n', missing));
            line = number;
            excerpt.line(number, &spans);
        }
        excerpt
    }

    /// What ariadne is given as the document.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Where the diagnostic's own place is in it.
    pub(super) fn primary(&self) -> Range<usize> {
        self.places.first().cloned().flatten().unwrap_or(0..0)
    }

    /// The second places that are in it, with their lines.
    pub(super) fn secondary(&self) -> impl Iterator<Item = (Range<usize>, usize, &str)> {
        let places = self.places.iter().skip(1).cloned().zip(&self.diagnostic.secondary);
        places.filter_map(|(place, label)| Some((place?, self.source.line(label.span.start), label.message.as_str())))
    }

    /// The lines of second places that are too far away.
    pub(super) fn elsewhere(&self) -> impl Iterator<Item = (usize, &str)> {
        let places = self.places.iter().skip(1).zip(&self.diagnostic.secondary);
        places
            .filter(|(place, _)| place.is_none())
            .map(|(_, it)| (self.source.line(it.span.start), it.message.as_str()))
    }

    /// Appends a line and notes where the spans that begin on it are now.
    fn line(&mut self, number: usize, spans: &[(usize, Span)]) {
        let whole = self.source.line_span(number);
        let text = self.source.slice(whole);
        let first = spans.iter().map(|(_, span)| span.start).min().unwrap_or(whole.start);
        let window = window(text, first.saturating_sub(whole.start));
        let mut starts: Vec<Option<usize>> = vec![None; spans.len()];
        let mut ends: Vec<Option<usize>> = vec![None; spans.len()];
        if window.start > 0 {
            self.text.push('…');
        }
        let mut at = whole.start.saturating_add(window.start);
        for c in text.get(window.clone()).unwrap_or_default().chars() {
            self.note(&mut starts, &mut ends, spans, at);
            self.show(c);
            at = at.saturating_add(c.len_utf8());
        }
        self.note(&mut starts, &mut ends, spans, at);
        let cut = self.text.len();
        if window.end < text.len() {
            self.text.push('…');
        }
        for (((index, _), start), end) in spans.iter().zip(starts).zip(ends) {
            // A span that goes on in the next line, or beyond the cut, is shown to the end of this one.
            let start = start.unwrap_or(cut);
            let place = start..end.unwrap_or(cut).max(start);
            if let Some(slot) = self.places.get_mut(*index) {
                *slot = Some(place);
            }
        }
    }

    fn note(&self, starts: &mut [Option<usize>], ends: &mut [Option<usize>], spans: &[(usize, Span)], at: usize) {
        for ((start, end), (_, span)) in starts.iter_mut().zip(ends).zip(spans) {
            if at >= span.start {
                start.get_or_insert(self.text.len());
            }
            if at >= span.end {
                end.get_or_insert(self.text.len());
            }
        }
    }

    fn show(&mut self, c: char) {
        if c == '\t' {
            self.text.push_str("    ");
        } else if is_hidden(c) {
            // Writing to a string does not fail.
            let _written = write!(self.text, "<U+{:04X}>", u32::from(c));
        } else {
            self.text.push(c);
        }
    }
}

/// The part of a line to show, in bytes: all of it, or what is around `first`.
fn window(text: &str, first: usize) -> Range<usize> {
    if text.len() <= LINE_CHARACTERS_MAX {
        return 0..text.len();
    }
    let before = text.get(..first).unwrap_or_default();
    let start = before.char_indices().rev().nth(CONTEXT_CHARACTERS).map_or(0, |(at, _)| at);
    let behind = text.get(start..).unwrap_or_default();
    let length = behind.char_indices().nth(LINE_CHARACTERS_MAX).map_or(behind.len(), |(at, _)| at);
    start..start.saturating_add(length)
}
