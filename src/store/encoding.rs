//! Keys as bytes that sort alike, and as words of a narrow alphabet.

use crate::store::Key;

/// Ends a segment. Below every escaped byte, so that `["a"]` sorts before `["a\0"]` and `["ab"]`.
const END: [u8; 2] = [0, 1];
const ESCAPED_ZERO: [u8; 2] = [0, 0xff];

/// Bytes that sort as keys do; a prefix of whole segments is a prefix of these bytes.
pub(in crate::store) fn to_bytes(key: &Key) -> Vec<u8> {
    let mut res = Vec::new();
    for segment in key.segments() {
        for byte in segment.bytes() {
            if byte == 0 {
                res.extend(ESCAPED_ZERO);
            } else {
                res.push(byte);
            }
        }
        res.extend(END);
    }
    res
}

/// The key of such bytes; none if no key has them.
pub(in crate::store) fn from_bytes(bytes: &[u8]) -> Option<Key> {
    let mut segments = Vec::new();
    let mut segment = Vec::new();
    let mut rest = bytes;
    while let Some((first, behind)) = rest.split_first() {
        rest = behind;
        if *first != 0 {
            segment.push(*first);
            continue;
        }
        let (second, behind) = rest.split_first()?;
        rest = behind;
        match [*first, *second] {
            END => segments.push(String::from_utf8(std::mem::take(&mut segment)).ok()?),
            ESCAPED_ZERO => segment.push(0),
            _ => return None,
        }
    }
    segment.is_empty().then(|| Key::new(segments))
}

/// The key in letters, digits, `-`, `_`, `=` and `.`, as narrow stores demand: each segment is one `.`-separated word
/// that is never empty and begins with `=`; other bytes are `=` and two hex digits.
pub(in crate::store) fn to_words(key: &Key) -> String {
    let words = key.segments().iter().map(|segment| {
        let mut word = String::from("=");
        for byte in segment.bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => word.push(char::from(byte)),
                _ => word.extend(['=', digit(byte >> 4), digit(byte & 15)]),
            }
        }
        word
    });
    words.collect::<Vec<_>>().join(".")
}

fn digit(value: u8) -> char {
    char::from_digit(u32::from(value), 16).unwrap_or('0')
}

/// The key of such words; none if no key has them.
pub(in crate::store) fn from_words(words: &str) -> Option<Key> {
    if words.is_empty() {
        return Some(Key::new::<String>([]));
    }
    words.split('.').map(segment).collect::<Option<Vec<_>>>().map(Key::new)
}

fn segment(word: &str) -> Option<String> {
    let mut bytes = word.strip_prefix('=')?.bytes();
    let mut res = Vec::new();
    while let Some(byte) = bytes.next() {
        if byte != b'=' {
            res.push(byte);
            continue;
        }
        let digits = [bytes.next()?, bytes.next()?];
        res.push(u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?);
    }
    String::from_utf8(res).ok()
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    fn key() -> impl Strategy<Value = Key> {
        // Few letters, so that keys are often alike but for an end, a zero or an empty segment.
        vec("[ab\0\u{1}\u{ff}/.*=é]{0,3}", 0..4).prop_map(Key::new)
    }

    proptest! {
        #[test]
        fn keys_come_back_from_bytes_and_words(key in key()) {
            prop_assert_eq!(from_bytes(&to_bytes(&key)), Some(key.clone()));
            let words = to_words(&key);
            prop_assert!(words.bytes().all(|it| it.is_ascii_alphanumeric() || b"-_=.".contains(&it)));
            prop_assert_eq!(from_words(&words), Some(key));
        }

        #[test]
        fn bytes_sort_as_keys_do(a in key(), b in key()) {
            prop_assert_eq!(to_bytes(&a).cmp(&to_bytes(&b)), a.cmp(&b));
        }

        #[test]
        fn a_prefix_of_segments_is_a_prefix_of_bytes(a in key(), b in key()) {
            prop_assert_eq!(to_bytes(&a).starts_with(&to_bytes(&b)), a.starts_with(&b));
        }
    }
}
