//! Places as editors count them: lines from 0, and columns in UTF-16 units, or in bytes where both sides know how.

use tower_lsp_server::ls_types::{Position, PositionEncodingKind, Range};

use crate::source::{Source, Span};

/// How columns are counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Encoding {
    /// In bytes.
    Utf8,
    /// In UTF-16 code units; what every editor can.
    #[default]
    Utf16,
}

impl Encoding {
    /// The best of those that an editor offers.
    pub(super) fn of_client(offered: Option<&[PositionEncodingKind]>) -> Self {
        let has_utf8 = offered.is_some_and(|it| it.contains(&PositionEncodingKind::UTF8));
        if has_utf8 { Self::Utf8 } else { Self::Utf16 }
    }

    /// As the protocol calls it.
    pub(super) fn kind(self) -> PositionEncodingKind {
        match self {
            Self::Utf8 => PositionEncodingKind::UTF8,
            Self::Utf16 => PositionEncodingKind::UTF16,
        }
    }

    /// How long a text is.
    pub(super) fn length(self, text: &str) -> u32 {
        let length = match self {
            Self::Utf8 => text.len(),
            Self::Utf16 => text.encode_utf16().count(),
        };
        u32::try_from(length).unwrap_or(u32::MAX)
    }

    /// Where a column lies in a line, in bytes; its end where the line is shorter, the character's start within one.
    fn offset(self, line: &str, column: u32) -> usize {
        let column = usize::try_from(column).unwrap_or(usize::MAX);
        let mut units = 0_usize;
        for (at, c) in line.char_indices() {
            let width = match self {
                Self::Utf8 => c.len_utf8(),
                Self::Utf16 => c.len_utf16(),
            };
            units = units.saturating_add(width);
            if column < units {
                return at;
            }
        }
        line.len()
    }
}

/// The place of a byte.
pub(super) fn position(source: &Source, offset: usize, encoding: Encoding) -> Position {
    let line = source.line(offset);
    let start = source.line_span(line).start;
    let before = source.text().get(start..offset).unwrap_or_default();
    Position { line: u32::try_from(line.saturating_sub(1)).unwrap_or(u32::MAX), character: encoding.length(before) }
}

/// The places of a span.
pub(super) fn range(source: &Source, span: Span, encoding: Encoding) -> Range {
    Range { start: position(source, span.start, encoding), end: position(source, span.end, encoding) }
}

/// The byte of a place; the nearest one before it where there is no such place.
pub(super) fn offset(source: &Source, position: Position, encoding: Encoding) -> usize {
    let line = usize::try_from(position.line).unwrap_or(usize::MAX).saturating_add(1);
    let span = source.line_span(line);
    span.start.saturating_add(encoding.offset(source.slice(span), position.character))
}

/// Puts another text in the place of a range; a range that the text does not have is cut to what it has.
pub(super) fn replace(text: &mut String, range: Range, new: &str, encoding: Encoding) {
    let start = offset_in(text, range.start, encoding);
    let end = offset_in(text, range.end, encoding).max(start);
    text.replace_range(start..end, new);
}

fn offset_in(text: &str, position: Position, encoding: Encoding) -> usize {
    let line = usize::try_from(position.line).unwrap_or(usize::MAX);
    let start = match line.checked_sub(1) {
        None => 0,
        Some(before) => match text.match_indices('\n').nth(before) {
            Some((at, _)) => at.saturating_add(1),
            None => return text.len(),
        },
    };
    let rest = text.get(start..).unwrap_or_default();
    let line = rest.split('\n').next().unwrap_or_default();
    let line = line.strip_suffix('\r').unwrap_or(line);
    start.saturating_add(encoding.offset(line, position.character))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tower_lsp_server::ls_types::{Position, Range};

    use crate::{
        lsp::text::{Encoding, offset, offset_in, position, replace},
        source::Source,
    };

    #[test]
    fn a_smiley_is_two_units_and_four_bytes() {
        let source = Source::new("a.pol", "a\n\u{1F600}b".as_bytes().to_vec()).unwrap();
        assert_eq!(position(&source, 6, Encoding::Utf16), Position::new(1, 2));
        assert_eq!(position(&source, 6, Encoding::Utf8), Position::new(1, 4));
        assert_eq!(offset(&source, Position::new(1, 2), Encoding::Utf16), 6);
        assert_eq!(offset(&source, Position::new(1, 1), Encoding::Utf16), 2, "within a character");
        assert_eq!(offset(&source, Position::new(9, 9), Encoding::Utf16), 7, "behind the end");
        assert_eq!(offset(&source, Position::new(0, 9), Encoding::Utf16), 1, "behind the line's end");
    }

    #[test]
    fn a_range_that_is_not_there_is_cut() {
        let mut text = "ab\r\ncd".to_owned();
        replace(&mut text, Range::new(Position::new(0, 9), Position::new(0, 9)), "X", Encoding::Utf16);
        assert_eq!(text, "abX\r\ncd");
        replace(&mut text, Range::new(Position::new(7, 0), Position::new(0, 0)), "Y", Encoding::Utf16);
        assert_eq!(text, "abX\r\ncdY");
    }

    proptest! {
        #[test]
        fn places_lead_back_to_their_bytes(text in "[ab\u{e9}\u{1F600}\r\n]{0,40}", at in 0_usize..160) {
            let source = Source::new("a.pol", text.clone().into_bytes()).unwrap();
            let at = at.min(text.len());
            prop_assume!(text.is_char_boundary(at));
            // Behind a carriage return that ends a line there is no place.
            let (before, behind) = text.split_at(at);
            prop_assume!(!(before.ends_with('\r') && (behind.is_empty() || behind.starts_with('\n'))));
            for encoding in [Encoding::Utf8, Encoding::Utf16] {
                let place = position(&source, at, encoding);
                prop_assert_eq!(offset(&source, place, encoding), at);
                prop_assert_eq!(offset_in(&text, place, encoding), at);
            }
        }
    }
}
