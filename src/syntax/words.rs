//! Short texts looked at eight bytes at a time: names, types and values are so short that calling for help costs more than
//! looking.

/// Each byte one, and the highest bit of each byte.
const ONES: u64 = u64::from_ne_bytes([1; 8]);
const HIGH: u64 = u64::from_ne_bytes([0x80; 8]);

/// What stands for the bytes that a word of a short text does not have.
const FILL: u8 = b' ';

/// All bytes of a text in words: the last begins so much earlier that it is whole, and a text of less than eight bytes is one.
///
/// Two texts of one length have the same words exactly where they are the same.
#[inline]
fn words(text: &[u8]) -> (&[[u8; 8]], u64) {
    let (words, _) = text.as_chunks::<8>();
    match text.last_chunk::<8>() {
        Some(last) => (words, u64::from_ne_bytes(*last)),
        None => (words, short(text)),
    }
}

/// Less than eight bytes as a word.
#[inline]
fn short(text: &[u8]) -> u64 {
    if let (Some(first), Some(last)) = (text.first_chunk::<4>(), text.last_chunk::<4>()) {
        return u64::from(u32::from_ne_bytes(*first)) | u64::from(u32::from_ne_bytes(*last)) << 32;
    }
    let at = |at: usize| text.get(at).copied().unwrap_or(FILL);
    u64::from_ne_bytes([at(0), at(1), at(2), FILL, FILL, FILL, FILL, FILL])
}

/// Whether two texts are the same.
#[inline]
pub(crate) fn is_same(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    let ((a, a_last), (b, b_last)) = (words(a), words(b));
    a_last == b_last && a.iter().zip(b).all(|(a, b)| a == b)
}

/// Whether there is nothing but printable ASCII.
#[inline]
pub(crate) fn is_plain(text: &str) -> bool {
    let (words, last) = words(text.as_bytes());
    is_plain_word(last) && words.iter().all(|it| is_plain_word(u64::from_ne_bytes(*it)))
}

#[inline]
fn is_plain_word(word: u64) -> bool {
    // With the highest bit of no byte set, a byte that is less than a blank borrows it, and DEL carries into it.
    let other = word | word.wrapping_sub(ONES.wrapping_mul(0x20)) | word.wrapping_add(ONES);
    other & HIGH == 0
}

#[cfg(test)]
mod tests {
    use crate::syntax::words::{is_plain, is_same};

    #[test]
    fn plain_is_what_is_printable_ascii() {
        for (length, byte) in (0..20_usize).flat_map(|length| (0..=127_u8).map(move |byte| (length, byte))) {
            for at in 0..length {
                let mut text = vec![b'~'; length];
                text[at] = byte;
                let text = String::from_utf8(text).unwrap();
                assert_eq!(is_plain(&text), matches!(byte, b' '..=b'~'), "{byte} at {at} of {length}");
            }
        }
        assert!(is_plain(""));
        for at in 0..20 {
            let text = format!("{}é{}", "a".repeat(at), "a".repeat(20 - at));
            assert!(!is_plain(&text) && !is_plain(&text[at..]) && !is_plain(&text[..at + 2]), "{at}");
        }
    }

    #[test]
    fn texts_that_differ_anywhere_are_not_the_same() {
        for length in 0..20_usize {
            let text = "a".repeat(length);
            assert!(is_same(text.as_bytes(), text.clone().as_bytes()));
            assert!(!is_same(text.as_bytes(), "a".repeat(length + 1).as_bytes()));
            for at in 0..length {
                let other = format!("{}b{}", &text[..at], &text[at + 1..]);
                assert!(!is_same(text.as_bytes(), other.as_bytes()), "{at} of {length}");
            }
        }
    }
}
