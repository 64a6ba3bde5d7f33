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
    if !may_have_markers(text.as_bytes()) {
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

/// Whether a line begins with a sign of a marker.
fn may_have_markers(text: &[u8]) -> bool {
    let is_sign = |at: usize| matches!(text.get(at), Some(b'<' | b'|' | b'=' | b'>'));
    is_sign(0) || memchr::memchr_iter(b'\n', text).any(|end| is_sign(end.saturating_add(1)))
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
