//! The patterns of `matches`: a glob over the whole value (reference section 5).
//!
//! `*` is any run, `?` any one code point, `\` takes the next code point as it is. Taking each piece between stars at
//! its first place is enough, so nothing is ever tried twice; a piece is searched for by shift-and, 64 code points of
//! the pattern at once, so that no pair of pattern and value is slow.

use std::{
    collections::BTreeMap,
    fmt::{self, Write},
};

/// A compiled pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Glob {
    // INVARIANT (pieces): at least one; between two of them stood a star.
    pieces: Vec<Piece>,
    // The longest run of the pattern that stands for itself alone.
    literal: String,
}

/// What stands between two stars.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Piece {
    units: Vec<Unit>,
    // Bit n is set where unit n takes every code point.
    any: Vec<u64>,
    // INVARIANT (size): all places together take a fixed multiple of `units`.
    takes: BTreeMap<char, Places>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    One(char),
    Any,
}

/// Where a code point stands in a piece, in the smaller of two forms.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Places {
    Few(Vec<usize>),
    Mask(Vec<u64>),
}

impl Glob {
    /// Reads a pattern. A `\` at the end stands for itself.
    pub(crate) fn new(pattern: &str) -> Self {
        let mut pieces = Vec::new();
        let mut units = Vec::new();
        let mut chars = pattern.chars();
        while let Some(c) = chars.next() {
            match c {
                '*' => pieces.push(Piece::new(std::mem::take(&mut units))),
                '?' => units.push(Unit::Any),
                '\\' => units.push(Unit::One(chars.next().unwrap_or('\\'))),
                c => units.push(Unit::One(c)),
            }
        }
        pieces.push(Piece::new(units));
        let literal = longest_literal(&pieces);
        Self { pieces, literal }
    }

    /// A text that is in every value of this form; empty where there is none.
    pub(crate) fn literal(&self) -> &str {
        &self.literal
    }

    /// Whether the whole value is of this form.
    pub(crate) fn matches(&self, value: &str) -> bool {
        // Most values are told by this alone.
        if !value.contains(&self.literal) {
            return false;
        }
        let value: Vec<char> = value.chars().collect();
        let Some((first, more)) = self.pieces.split_first() else { return false };
        let Some((last, middle)) = more.split_last() else { return first.fits(&value) };
        // The first piece stands at the start, the last at the end, the others between them, leftmost first.
        let Some((head, rest)) = value.split_at_checked(first.units.len()) else { return false };
        let Some(cut) = rest.len().checked_sub(last.units.len()) else { return false };
        let Some((mut rest, tail)) = rest.split_at_checked(cut) else { return false };
        if !first.fits(head) || !last.fits(tail) {
            return false;
        }
        for piece in middle {
            let Some(behind) = piece.find(rest).and_then(|end| rest.get(end..)) else { return false };
            rest = behind;
        }
        true
    }
}

/// A pattern of this form.
impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, piece) in self.pieces.iter().enumerate() {
            if at != 0 {
                f.write_char('*')?;
            }
            for unit in &piece.units {
                match unit {
                    Unit::Any => f.write_char('?')?,
                    Unit::One(c @ ('*' | '?' | '\\')) => write!(f, "\\{c}")?,
                    Unit::One(c) => f.write_char(*c)?,
                }
            }
        }
        Ok(())
    }
}

fn longest_literal(pieces: &[Piece]) -> String {
    let one = |unit: &Unit| match unit {
        Unit::One(c) => Some(*c),
        Unit::Any => None,
    };
    let runs = pieces.iter().flat_map(|it| it.units.split(|unit| *unit == Unit::Any));
    runs.max_by_key(|run| run.len()).unwrap_or_default().iter().filter_map(one).collect()
}

impl Piece {
    fn new(units: Vec<Unit>) -> Self {
        let words = units.len().div_ceil(64);
        let mut any = vec![0; words];
        let mut few: BTreeMap<char, Vec<usize>> = BTreeMap::new();
        for (at, unit) in units.iter().enumerate() {
            match unit {
                Unit::Any => set(&mut any, at),
                Unit::One(c) => few.entry(*c).or_default().push(at),
            }
        }
        let takes = few.into_iter().map(|(c, places)| (c, Places::new(places, words))).collect();
        Self { units, any, takes }
    }

    fn fits(&self, text: &[char]) -> bool {
        let takes = |(unit, c): (&Unit, &char)| match unit {
            Unit::One(own) => own == c,
            Unit::Any => true,
        };
        self.units.len() == text.len() && self.units.iter().zip(text).all(takes)
    }

    /// Where the first occurrence ends.
    fn find(&self, text: &[char]) -> Option<usize> {
        let Some(last) = self.units.len().checked_sub(1) else { return Some(0) };
        // Bit n of `state` says: the last n+1 code points are taken by the first n+1 units.
        let mut state = vec![0_u64; self.any.len()];
        let mut next = state.clone();
        for (at, c) in text.iter().enumerate() {
            let mut carry = 1;
            for (word, next) in state.iter().zip(&mut next) {
                *next = (*word << 1) | carry;
                carry = *word >> 63;
            }
            self.step(*c, &next, &mut state);
            if is_set(&state, last) {
                return Some(at.saturating_add(1));
            }
        }
        None
    }

    /// Keeps of `shifted` the places that take the code point.
    fn step(&self, c: char, shifted: &[u64], state: &mut [u64]) {
        for ((state, shifted), any) in state.iter_mut().zip(shifted).zip(&self.any) {
            *state = shifted & any;
        }
        match self.takes.get(&c) {
            None => (),
            Some(Places::Few(places)) => {
                for at in places.iter().filter(|at| is_set(shifted, **at)) {
                    set(state, *at);
                }
            }
            Some(Places::Mask(mask)) => {
                for ((state, shifted), mask) in state.iter_mut().zip(shifted).zip(mask) {
                    *state |= shifted & mask;
                }
            }
        }
    }
}

impl Places {
    fn new(places: Vec<usize>, words: usize) -> Self {
        if places.len() <= words {
            return Self::Few(places);
        }
        let mut mask = vec![0; words];
        for at in places {
            set(&mut mask, at);
        }
        Self::Mask(mask)
    }
}

fn set(words: &mut [u64], at: usize) {
    if let Some(word) = words.get_mut(at / 64) {
        *word |= 1 << (at % 64);
    }
}

fn is_set(words: &[u64], at: usize) -> bool {
    words.get(at / 64).is_some_and(|word| word >> (at % 64) & 1 == 1)
}

#[cfg(test)]
mod tests {
    use crate::compile::glob::Glob;

    fn matches(pattern: &str, value: &str) -> bool {
        Glob::new(pattern).matches(value)
    }

    #[test]
    fn the_whole_value_has_to_fit() {
        for (pattern, value) in [
            ("", ""),
            ("*", ""),
            ("*", "ab"),
            ("**", "a"),
            ("a", "a"),
            ("a*", "a"),
            ("*a", "ba"),
            ("a*c", "abc"),
            ("a*b*c", "aXbYc"),
            ("?", "é"),
            ("??", "ab"),
            ("?*", "a"),
            ("*?b*", "aab"),
            ("*a?c*", "xxabcxx"),
            ("\\*", "*"),
            ("\\\\", "\\"),
            ("a\\", "a\\"),
            ("*ab*ab*", "abab"),
            ("*aab*", "aaab"),
            ("pg_dump *", "pg_dump x"),
        ] {
            assert!(matches(pattern, value), "{pattern:?} on {value:?}");
        }
        for (pattern, value) in [
            ("", "a"),
            ("a", ""),
            ("a", "A"),
            ("a", "ab"),
            ("?", ""),
            ("?", "ab"),
            ("?*", ""),
            ("a*a", "a"),
            ("ab*ba", "aba"),
            ("*ab*ab*", "aba"),
            ("\\*", "a"),
            ("\\?", "a"),
            ("pg_dump *", "pg_dump"),
            ("*a?c", "abcd"),
            ("a*b*c", "acb"),
        ] {
            assert!(!matches(pattern, value), "{pattern:?} on {value:?}");
        }
    }

    #[test]
    fn what_is_written_is_read_as_the_same() {
        for pattern in ["", "*", "**", "a*?b", "\\*a\\?", "\\\\*", "a\\", "\\é?*"] {
            let glob = Glob::new(pattern);
            assert_eq!(Glob::new(&glob.to_string()), glob, "{pattern:?}");
        }
    }

    #[test]
    fn a_piece_of_more_than_one_word_is_found() {
        for length in [63, 64, 65, 128, 129] {
            let piece = "a".repeat(length - 1) + "b";
            assert!(matches(&format!("*{piece}*"), &format!("{}{piece}c", "a".repeat(200))), "{length}");
            assert!(!matches(&format!("*{piece}*"), &"a".repeat(400)), "{length}");
            let gaps = "?".repeat(length - 1) + "b";
            assert!(matches(&format!("*{gaps}*"), &("a".repeat(length - 1) + "b")), "{length}");
            assert!(!matches(&format!("*{gaps}*"), &("a".repeat(length - 2) + "b")), "{length}");
        }
    }

    // A backtracking matcher never comes back from this.
    #[test]
    fn many_stars_are_not_slow() {
        let pattern = "*a".repeat(1_000) + "b";
        assert!(!matches(&pattern, &"a".repeat(100_000)));
        assert!(!matches(&format!("*{}b*", "a?".repeat(100)), &"a".repeat(1_000_000)));
    }
}
