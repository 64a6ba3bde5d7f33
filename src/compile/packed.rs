//! Numbers and texts in a run of bytes: small, and taken out again in the order in which they were put in.

/// Puts in.
#[derive(Debug, Default)]
pub(super) struct Writer(Vec<u8>);

/// Takes out; nothing where there is no such thing any more.
#[derive(Debug, Clone)]
pub(super) struct Reader<'a>(&'a [u8]);

impl Writer {
    /// With room for so many bytes.
    pub(super) fn with_room(bytes: usize) -> Self {
        Self(Vec::with_capacity(bytes))
    }

    /// Seven bits a byte, the lowest first; the highest bit of a byte says that more follow (LEB128).
    #[inline]
    pub(super) fn number(&mut self, mut number: usize) {
        while number > 0x7f {
            self.0.push(byte(number & 0x7f | 0x80));
            number >>= 7;
        }
        self.0.push(byte(number));
    }

    /// Eight bytes.
    pub(super) fn wide(&mut self, number: u64) {
        self.0.extend(number.to_le_bytes());
    }

    /// So many bytes, then they.
    pub(super) fn text(&mut self, text: &str) {
        self.slice(text.as_bytes());
    }

    /// The same of what need not be text.
    pub(super) fn slice(&mut self, bytes: &[u8]) {
        self.number(bytes.len());
        self.0.extend_from_slice(bytes);
    }

    /// Only they.
    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    /// Where the next goes.
    pub(super) fn at(&self) -> usize {
        self.0.len()
    }

    pub(super) fn into_bytes(mut self) -> Vec<u8> {
        self.0.shrink_to_fit();
        self.0
    }
}

#[expect(clippy::cast_possible_truncation, reason = "whoever asks has masked the number")]
fn byte(number: usize) -> u8 {
    number as u8
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.0.is_empty()
    }

    #[inline]
    pub(super) fn number(&mut self) -> Option<usize> {
        let (first, rest) = self.0.split_first()?;
        if first & 0x80 == 0 {
            self.0 = rest;
            return Some(usize::from(*first));
        }
        self.large_number()
    }

    fn large_number(&mut self) -> Option<usize> {
        let mut number = 0_usize;
        for shift in (0..usize::BITS).step_by(7) {
            let (byte, rest) = self.0.split_first()?;
            self.0 = rest;
            number |= usize::from(byte & 0x7f).checked_shl(shift)?;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }

    pub(super) fn wide(&mut self) -> Option<u64> {
        let (number, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u64::from_le_bytes(*number))
    }

    /// A wide number that is not.
    pub(super) fn narrow(&mut self) -> Option<u32> {
        u32::try_from(self.wide()?).ok()
    }

    #[inline]
    pub(super) fn text(&mut self) -> Option<&'a str> {
        std::str::from_utf8(self.slice()?).ok()
    }

    /// What need not be text.
    #[inline]
    pub(super) fn slice(&mut self) -> Option<&'a [u8]> {
        let length = self.number()?;
        self.bytes(length)
    }

    #[inline]
    pub(super) fn bytes(&mut self, length: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(bytes)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::compile::packed::{Reader, Writer};

    proptest! {
        #[test]
        fn what_was_put_in_is_taken_out(all in prop::collection::vec((any::<usize>(), ".{0,40}"), 0..20), cut in 0_usize..9) {
            let mut writer = Writer::default();
            for (number, text) in &all {
                writer.number(*number);
                writer.text(text);
            }
            let bytes = writer.into_bytes();
            let mut reader = Reader::new(&bytes);
            for (number, text) in &all {
                prop_assert_eq!(reader.number(), Some(*number));
                prop_assert_eq!(reader.text(), Some(text.as_str()));
            }
            prop_assert!(reader.is_at_end());
            // Cut anywhere, it ends; it never gives more than there is.
            let mut reader = Reader::new(&bytes[..bytes.len().saturating_sub(cut)]);
            while reader.number().is_some() && reader.text().is_some() {}
        }
    }
}
