//! Fixes applied to a text.

use std::collections::BTreeMap;

use crate::diagnostic::Fix;

/// What came of applying fixes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mended {
    /// The text with the fixes in it.
    pub text: String,
    /// For each fix, in the order given, whether it is in it.
    pub applied: Vec<bool>,
}

/// Applies fixes, earlier ones first; one that touches text of another is left out, and so is one that does not fit the
/// text. A fix is applied whole or not at all.
///
/// ```
/// use gatehouse::{
///     diagnostic::{Edit, Fix, mend::apply},
///     source::Span,
/// };
///
/// let fix = |start, end, text: &str| Fix {
///     title: String::new(),
///     safe: true,
///     edits: vec![Edit { span: Span::new(start, end), text: text.to_owned() }],
/// };
/// let mended = apply("permit read create", &[&fix(11, 11, ","), &fix(7, 12, "ssh"), &fix(0, 6, "label")]);
/// assert_eq!(mended.text, "label read, create");
/// assert_eq!(mended.applied, [true, false, true]);
/// ```
#[must_use]
pub fn apply(text: &str, fixes: &[&Fix]) -> Mended {
    // INVARIANT (disjoint): no range of this shares a byte or its start with another.
    let mut taken: BTreeMap<usize, (usize, &str)> = BTreeMap::new();
    let mut applied = Vec::with_capacity(fixes.len());
    for fix in fixes {
        let mut own = BTreeMap::new();
        let fits = fix.edits.iter().all(|edit| {
            let range = edit.span.range();
            let fits = text.get(range.clone()).is_some() && is_free(&taken, &range) && is_free(&own, &range);
            own.insert(range.start, (range.end, edit.text.as_str()));
            fits
        });
        if fits {
            taken.extend(own);
        }
        applied.push(fits);
    }
    Mended { text: replaced(text, &taken), applied }
}

fn is_free(taken: &BTreeMap<usize, (usize, &str)>, range: &std::ops::Range<usize>) -> bool {
    let before = taken.range(..range.start).next_back();
    let behind = taken.range(range.start..).next();
    before.is_none_or(|(_, (end, _))| *end <= range.start)
        && behind.is_none_or(|(start, _)| range.start < *start && range.end <= *start)
}

fn replaced(text: &str, edits: &BTreeMap<usize, (usize, &str)>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    for (start, (end, new)) in edits {
        out.push_str(text.get(at..*start).unwrap_or_default());
        out.push_str(new);
        at = *end;
    }
    out.push_str(text.get(at..).unwrap_or_default());
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::{
        diagnostic::{Edit, Fix, mend::apply},
        source::Span,
    };

    fn fix(edits: &[(usize, usize, &str)]) -> Fix {
        let edits = edits.iter().map(|&(a, b, text)| Edit { span: Span::new(a, b), text: text.to_owned() });
        Fix { title: String::new(), safe: true, edits: edits.collect() }
    }

    #[test]
    fn a_fix_is_applied_whole_or_not_at_all() {
        let both = fix(&[(0, 1, "A"), (2, 3, "C")]);
        let over = fix(&[(2, 4, "X"), (5, 5, "Y")]);
        let mended = apply("abcdef", &[&both, &over]);
        assert_eq!((mended.text.as_str(), mended.applied), ("AbCdef", vec![true, false]));
    }

    #[test]
    fn neighbours_do_not_overlap_and_insertions_at_one_place_do() {
        assert_eq!(apply("abc", &[&fix(&[(0, 1, "x")]), &fix(&[(1, 2, "y")])]).text, "xyc");
        assert_eq!(apply("abc", &[&fix(&[(1, 1, "x")]), &fix(&[(1, 1, "y")])]).text, "axbc");
        assert_eq!(apply("abc", &[&fix(&[(0, 1, "")]), &fix(&[(1, 1, ",")])]).text, ",bc");
    }

    #[test]
    fn what_does_not_fit_the_text_is_left_out() {
        for (start, end) in [(2, 9), (9, 9), (1, 2)] {
            let mended = apply("éa", &[&fix(&[(start, end, "x")])]);
            assert_eq!((mended.text.as_str(), mended.applied), ("éa", vec![false]));
        }
        assert_eq!(apply("éa", &[&fix(&[(2, 3, "x"), (0, 3, "y")])]).applied, [false]);
    }

    proptest! {
        #[test]
        fn each_fix_applied_is_in_the_text(edits in prop::collection::vec((0_usize..18, 0_usize..4), 0..12)) {
            let fixes: Vec<Fix> =
                edits.iter().enumerate().map(|(at, (start, length))| fix(&[(*start, start + length, &format!("<{at}>"))])).collect();
            let mended = apply("abcdefghijklmnopqrstu", &fixes.iter().collect::<Vec<_>>());
            let mut removed = 0;
            for (at, applied) in mended.applied.iter().enumerate() {
                prop_assert_eq!(mended.text.contains(&format!("<{at}>")), *applied);
                removed += if *applied { edits[at].1 } else { 0 };
            }
            let left = mended.text.chars().filter(char::is_ascii_lowercase).count();
            prop_assert_eq!(left, 21 - removed);
            prop_assert!(edits.is_empty() || mended.applied[0]);
        }
    }
}
