//! Lines that a version control system leaves in a document when two changes of it meet.
//!
//! Each conflict is one finding, and the first of its two sides is read: both together would hold every brace twice.

use std::collections::VecDeque;

use crate::{
    diagnostic::{Code, Diagnostic},
    source::Span,
    syntax::findings::Findings,
};

/// How long a marker is.
const MARKER_BYTES: usize = 7;

/// One marker of a conflict: which, and its line without the line end.
#[derive(Debug, Clone, Copy)]
struct Marker {
    sign: char,
    span: Span,
}

/// Tells each conflict, and answers what of the text is not to be read, in its order.
pub(super) fn conflicts(found: &mut Findings, text: &str) -> VecDeque<Span> {
    let mut unread = VecDeque::new();
    let mut open: Vec<Marker> = Vec::new();
    for marker in markers(text) {
        let follows = open.last().is_some_and(|last| match marker.sign {
            '|' => last.sign == '<',
            '=' => matches!(last.sign, '<' | '|'),
            '>' => last.sign != '>',
            _ => false,
        });
        if !follows {
            tell(found, &mut unread, &open);
            open.clear();
        }
        open.push(marker);
        if marker.sign == '>' {
            tell(found, &mut unread, &open);
            open.clear();
        }
    }
    tell(found, &mut unread, &open);
    unread
}

fn markers(text: &str) -> Vec<Marker> {
    let mut at = 0_usize;
    let mut all = Vec::new();
    if !has_run(text.as_bytes()) {
        return all;
    }
    for line in text.split_inclusive('\n') {
        let sign = line.chars().next().filter(|it| matches!(it, '<' | '|' | '=' | '>'));
        let shown = if sign.is_some() { line.trim_end() } else { line };
        if let Some(sign) = sign
            && shown.len().saturating_sub(shown.trim_start_matches(sign).len()) == MARKER_BYTES
            && (shown.len() == MARKER_BYTES || shown.get(MARKER_BYTES..).is_some_and(|it| it.starts_with(' ')))
        {
            all.push(Marker { sign, span: Span::new(at, at.saturating_add(shown.len())) });
        }
        at = at.saturating_add(line.len());
    }
    all
}

/// Whether a sign stands as often in a row as in a marker. Of so many one is where every so manieth byte is looked at.
fn has_run(text: &[u8]) -> bool {
    let mut at = MARKER_BYTES.saturating_sub(1);
    while let Some(sign) = text.get(at) {
        if matches!(sign, b'<' | b'|' | b'=' | b'>') && run(text, at, *sign) >= MARKER_BYTES {
            return true;
        }
        at = at.saturating_add(MARKER_BYTES);
    }
    false
}

/// How often a sign stands in a row around a place.
fn run(text: &[u8], at: usize, sign: u8) -> usize {
    let (before, behind) = text.split_at_checked(at).unwrap_or_default();
    let is_sign = |it: &&u8| **it == sign;
    before.iter().rev().take_while(is_sign).count().saturating_add(behind.iter().take_while(is_sign).count())
}

fn tell(found: &mut Findings, unread: &mut VecDeque<Span>, markers: &[Marker]) {
    let (Some(first), Some(last)) = (markers.first(), markers.last()) else { return };
    let what = |sign: char| match sign {
        '<' => "one side begins here",
        '|' => "what both sides were made of",
        '=' => "the other side begins here",
        _ => "the conflict ends here",
    };
    let message = "a merge conflict that nobody has resolved";
    let mut error = Diagnostic::new(Code::MergeConflict, first.span, message, what(first.sign))
        .with_help("keep the side that is meant, or what is right of both, and take the marker lines out");
    for marker in markers.iter().skip(1) {
        error = error.with_label(marker.span, what(marker.sign));
    }
    found.push(error);
    let second = markers.iter().skip(1).find(|it| it.sign != '<' && last.sign == '>' && first.sign == '<');
    match second {
        Some(second) => unread.extend([first.span, second.span.to(last.span)]),
        None => unread.extend(markers.iter().map(|it| it.span)),
    }
}
