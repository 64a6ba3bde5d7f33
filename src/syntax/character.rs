//! What kinds of characters there are in a document (reference section 2).

use unicode_normalization::char::is_combining_mark;

/// Whether this is a letter or digit of a word; marks count with the letter that they stand on.
pub fn is_word(c: char) -> bool {
    is_name(c) || matches!(c, '@' | '*' | '/' | ':')
}

/// Whether this may stand in a claim type.
pub fn is_name(c: char) -> bool {
    c.is_ascii_digit() || matches!(c, '.' | '_' | '-') || is_letter(c)
}

/// Whether this is a letter of some alphabet, or a mark on one.
pub fn is_letter(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_alphabetic();
    }
    // `is_alphabetic` has Roman numerals and letters in circles and squares too, which are symbols.
    let is_symbol = c.is_numeric() || matches!(c, '\u{24B6}'..='\u{24E9}' | '\u{1F130}'..='\u{1F189}');
    (c.is_alphabetic() && !is_symbol) || is_combining_mark(c)
}

/// Whether all of a text is made of some characters, which those of a claim type are among. Nearly every text is ASCII, of
/// which nothing need be decoded.
#[inline]
pub(crate) fn is_made_of(text: &str, is_part: impl Fn(char) -> bool) -> bool {
    let is_plain = |it: u8| PLAIN.get(usize::from(it)) == Some(&true);
    text.bytes().all(|it| is_plain(it) || it.is_ascii() && is_part(char::from(it))) || text.chars().all(is_part)
}

/// Whether each byte is an ASCII character that may stand in a claim type.
const PLAIN: [bool; 256] = {
    let mut plain = [false; 256];
    let mut rest: &mut [bool] = &mut plain;
    let mut byte = 0_u8;
    while let [is_plain, more @ ..] = rest {
        *is_plain = matches!(byte, b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'_' | b'-');
        byte = byte.wrapping_add(1);
        rest = more;
    }
    plain
};

/// Where an ASCII character stands twice in a row, for the first time. A word is too short for a searcher to pay.
pub fn find_doubled(text: &[u8], sign: u8) -> Option<usize> {
    let mut at = 0_usize;
    // Most words do not have it once.
    while let Some(next) = text.get(at..)?.iter().position(|it| *it == sign) {
        at = at.saturating_add(next).saturating_add(1);
        if text.get(at) == Some(&sign) {
            return at.checked_sub(1);
        }
    }
    None
}

/// Whether this has no width or changes the direction of what follows, so that a reader cannot see it.
pub fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200B}'..='\u{200D}' | '\u{FEFF}') || is_bidi_control(c)
}

/// Whether this changes the direction of the text around it.
pub fn is_bidi_control(c: char) -> bool {
    matches!(c, '\u{061C}' | '\u{200E}' | '\u{200F}') || is_bidi_override(c)
}

/// Whether this is an embedding, override or isolate, which can make a comment look like code.
pub fn is_bidi_override(c: char) -> bool {
    matches!(c, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

/// Whether this is a control character that no document may hold.
pub fn is_forbidden_control(c: char) -> bool {
    c.is_control() && !matches!(c, '\t' | '\r' | '\n')
}
