//! Bytes as a sequence of choices: a fuzzer mutates them, a property test shrinks them, and both mean the same.

/// The choices left. Where there are none, the first of what there is to choose from is chosen.
pub(crate) struct Choices<'a>(std::slice::Iter<'a, u8>);

impl<'a> Choices<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes.iter())
    }

    /// One of some, at most 256.
    pub(crate) fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }

    /// A number from 0, the end excluded.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        usize::from(self.byte()) % end
    }

    /// A number of three bytes, for what has more than 256 values.
    pub(crate) fn number(&mut self) -> i64 {
        (0..3).fold(0, |number, _| number << 8 | i64::from(self.byte()))
    }

    /// As many as chosen, at least `least` and fewer than `end`.
    pub(crate) fn several<T>(&mut self, least: usize, end: usize, mut one: impl FnMut(&mut Self) -> T) -> Vec<T> {
        let count = least + self.below(end - least);
        (0..count).map(|_| one(self)).collect()
    }

    /// One of some that are not equally likely, each with its weight; all weights together at most 256.
    pub(crate) fn likely<T: Copy>(&mut self, of: &[(usize, T)]) -> T {
        let mut left = self.below(of.iter().map(|(weight, _)| weight).sum());
        for (weight, one) in of {
            match left.checked_sub(*weight) {
                Some(rest) => left = rest,
                None => return *one,
            }
        }
        of[0].1
    }

    fn byte(&mut self) -> u8 {
        self.0.next().copied().unwrap_or(0)
    }
}
