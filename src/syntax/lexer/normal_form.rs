//! Text that looks the same is the same: a document is in Unicode normalization form C.

use unicode_normalization::{UnicodeNormalization, is_nfc};

use crate::{
    diagnostic::{Code, Diagnostic, printable::short},
    source::{Source, Span},
    syntax::findings::Findings,
};

/// Reports each stretch between white space that is not in NFC.
pub(crate) fn check_normal_form(found: &mut Findings, source: &Source) {
    if source.text().is_ascii() || is_nfc(source.text()) {
        return;
    }
    let mut offset = 0_usize;
    for word in source.text().split_inclusive(|c: char| c.is_ascii_whitespace()) {
        if !is_nfc(word) {
            found.push(diagnose(word, offset));
        }
        offset = offset.saturating_add(word.len());
    }
}

fn diagnose(word: &str, offset: usize) -> Diagnostic {
    let word = word.trim_end_matches(|c: char| c.is_ascii_whitespace());
    // An ASCII character never merges with what stands before it: what lies between two of them is judged alone.
    let mut start = None;
    let mut end = 0;
    let mut from = 0_usize;
    let cuts = word.char_indices().skip(1).filter(|(_, c)| c.is_ascii()).map(|(at, _)| at).chain([word.len()]);
    for to in cuts {
        if word.get(from..to).is_some_and(|piece| !is_nfc(piece)) {
            start.get_or_insert(from);
            end = to;
        }
        from = to;
    }
    let start = start.unwrap_or(0);
    let mended: String = word.get(start..end).unwrap_or(word).nfc().collect();
    let span = Span::new(offset.saturating_add(start), offset.saturating_add(end));
    Diagnostic::new(
        Code::NotNfc,
        span,
        "this text is not in Unicode normalization form C",
        format!("looks like `{}`, but is other text", short(&mended)),
    )
    .with_help("texts are compared byte for byte, so each has to be written in one way only")
    .with_fix("write it in normalization form C", true, span, mended)
}
