//! Short texts looked at eight bytes at a time: names, types and values are so short that calling for help costs more than
//! looking.

/// In each byte the lowest bit.
const ONES: u64 = eight(1);

/// In each byte the highest bit, which ASCII leaves free: here it says what is so of the byte.
pub(crate) const HIGH: u64 = eight(0x80);

/// What follows on the whole words of a text, behind it zeros, and how many bits it has. Memory is read once or twice,
/// whatever the length.
#[inline]
fn rest(text: &[u8]) -> (u64, u32) {
    let bits = u32::try_from(text.len() & 7).unwrap_or_default() << 3;
    if let Some(last) = text.last_chunk::<8>() {
        // In two steps, because there may be nothing left.
        let shift = (u64::BITS - 1).wrapping_sub(bits);
        return (u64::from_le_bytes(*last).wrapping_shr(shift) >> 1, bits);
    }
    if let (Some(first), Some(last)) = (text.first_chunk::<4>(), text.last_chunk::<4>()) {
        let last = u64::from(u32::from_le_bytes(*last));
        return (u64::from(u32::from_le_bytes(*first)) | last.wrapping_shl(bits.wrapping_sub(u32::BITS)), bits);
    }
    let word = match *text {
        [a, b, c] => u64::from(a) | u64::from(b) << 8 | u64::from(c) << 16,
        [a, b] => u64::from(a) | u64::from(b) << 8,
        [a] => u64::from(a),
        _ => 0,
    };
    (word, bits)
}

/// The same byte eight times.
#[inline]
pub(crate) const fn eight(byte: u8) -> u64 {
    u64::from_ne_bytes([byte; 8])
}

/// Visits a text in words, the first byte of each lowest, while `go_on` says so; those bytes of the last that the text does
/// not have are `fill`. Tells whether it was so to the end.
#[inline]
pub(crate) fn all_words(text: &[u8], fill: u8, mut go_on: impl FnMut(u64) -> bool) -> bool {
    for word in text.as_chunks::<8>().0 {
        if !go_on(u64::from_le_bytes(*word)) {
            return false;
        }
    }
    let (rest, bits) = rest(text);
    bits == 0 || go_on(rest | eight(fill).wrapping_shl(bits))
}

/// Whether two texts are the same.
#[inline]
pub(crate) fn is_same(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    for (a, b) in a.as_chunks::<8>().0.iter().zip(b.as_chunks::<8>().0) {
        if a != b {
            return false;
        }
    }
    rest(a).0 == rest(b).0
}

/// Whether there is nothing but printable ASCII.
#[inline]
pub(crate) fn is_plain(text: &str) -> bool {
    all_words(text.as_bytes(), b' ', |word| {
        // With the highest bit of no byte set, a byte that is less than a blank borrows it, and DEL carries into it.
        let other = word | word.wrapping_sub(eight(b' ')) | word.wrapping_add(ONES);
        other & HIGH == 0
    })
}

/// Where a byte that is not 0 first stands.
#[inline]
pub(crate) fn position(text: &[u8], byte: u8) -> Option<usize> {
    let mut behind = 0_usize;
    let mut position = None;
    all_words(text, 0, |word| {
        let other = word ^ eight(byte);
        // The lowest byte that is 0 is the first to borrow.
        let found = other.wrapping_sub(ONES) & !other & HIGH;
        if found == 0 {
            behind = behind.wrapping_add(8);
            return true;
        }
        position = Some(behind.wrapping_add(index(found)));
        false
    });
    position
}

/// The first byte whose highest bit is set.
#[inline]
pub(crate) fn index(found: u64) -> usize {
    usize::try_from(found.trailing_zeros() >> 3).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use crate::syntax::words::{is_plain, is_same, position};

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
            let [before, behind] = [at, 20 - at].map(|it| "a".repeat(it));
            for text in [format!("{before}é{behind}"), format!("é{behind}"), format!("{before}é")] {
                assert!(!is_plain(&text), "{text}");
            }
        }
    }

    #[test]
    fn texts_that_differ_anywhere_are_not_the_same() {
        for length in 0..20_usize {
            let text = "a".repeat(length);
            assert!(is_same(text.as_bytes(), text.clone().as_bytes()));
            assert!(!is_same(text.as_bytes(), "a".repeat(length + 1).as_bytes()));
            for at in 0..length {
                let mut other = text.clone().into_bytes();
                other[at] = b'b';
                assert!(!is_same(text.as_bytes(), &other), "{at} of {length}");
            }
        }
    }

    #[test]
    fn a_byte_is_found_where_it_first_stands() {
        for text in ["", "/", "a", "a/", "a/b/c", "abcdefg/", "abcdefgh/", "abcdefghi/k", "0.0./", "éééé/é", "\0\0/"]
        {
            for (from, _) in text.char_indices() {
                let (_, text) = text.split_at(from);
                assert_eq!(position(text.as_bytes(), b'/'), text.find('/'), "{text:?}");
            }
        }
    }
}
