//! Whether one realm contains every name of another (`language.md` section 7, policy about policy).

use crate::syntax::ast::{Local, Realm, Segment};

/// Whether `outer`, read as if it were of `inner`'s type, matches every name that `inner` can match. A variable of
/// `inner` stands for a text that equals no other.
pub(in crate::auth) fn contains(outer: &Realm, inner: &Realm) -> bool {
    let Some(below) = bound(&outer.namespace, &inner.namespace) else { return false };
    let same_namespace = below == 0;
    let (bindings, rest) = match (&outer.local, &inner.local) {
        (Local::Below, _) => return consistent(&pairs(outer, inner)),
        (Local::Exact, Local::Exact | Local::Any | Local::Named(_)) | (Local::Any, Local::Any | Local::Named(_)) => {
            (pairs(outer, inner), Some(0))
        }
        (Local::Named(outer_local), Local::Named(inner_local)) => {
            let mut all = pairs(outer, inner);
            all.extend(outer_local.iter().zip(inner_local));
            (all, bound(outer_local, inner_local))
        }
        (Local::Exact, Local::Below)
        | (Local::Any, Local::Below | Local::Exact)
        | (Local::Named(_), Local::Below | Local::Exact | Local::Any) => return false,
    };
    same_namespace && rest.is_some() && consistent(&bindings)
}

/// How many segments `inner` has beyond `outer`, if it begins with them.
fn bound(outer: &[Segment], inner: &[Segment]) -> Option<usize> {
    let beyond = inner.len().checked_sub(outer.len())?;
    outer.iter().zip(inner).all(|(outer, inner)| matches(outer, inner)).then_some(beyond)
}

fn matches(outer: &Segment, inner: &Segment) -> bool {
    match (outer, inner) {
        (Segment::Variable(_), _) => true,
        (Segment::Literal(outer), Segment::Literal(inner)) => outer.text == inner.text,
        (Segment::Literal(_), Segment::Variable(_)) => false,
    }
}

fn pairs<'a>(outer: &'a Realm, inner: &'a Realm) -> Vec<(&'a Segment, &'a Segment)> {
    outer.namespace.iter().zip(&inner.namespace).collect()
}

/// A variable that occurs twice in `outer` binds the same text each time.
fn consistent(pairs: &[(&Segment, &Segment)]) -> bool {
    pairs.iter().all(|(outer, inner)| {
        let Segment::Variable(name) = outer else { return true };
        pairs.iter().all(|(other, bound)| match other {
            Segment::Variable(it) if it.text == name.text => same(inner, bound),
            Segment::Variable(_) | Segment::Literal(_) => true,
        })
    })
}

fn same(a: &Segment, b: &Segment) -> bool {
    match (a, b) {
        (Segment::Literal(a), Segment::Literal(b)) | (Segment::Variable(a), Segment::Variable(b)) => a.text == b.text,
        (Segment::Literal(_), Segment::Variable(_)) | (Segment::Variable(_), Segment::Literal(_)) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::syntax::realm;

    fn holds(outer: &str, inner: &str) -> bool {
        contains(&realm::parse(outer, 0).unwrap(), &realm::parse(inner, 0).unwrap())
    }

    #[test]
    fn a_realm_contains_what_lies_wholly_in_it() {
        for (outer, inner) in [
            ("policy::/", "job::/"),
            ("policy::/", "job::/sandbox/[name]::web"),
            ("policy::/sandbox", "job::/sandbox/tom"),
            ("policy::/sandbox/tom", "job::/sandbox/tom"),
            ("policy::/sandbox/tom", "job::/sandbox/tom::"),
            ("policy::/sandbox/tom", "job::/sandbox/tom::*"),
            ("policy::/sandbox/tom", "job::/sandbox/tom::web"),
            ("policy::/sandbox/tom::", "job::/sandbox/tom::"),
            ("policy::/sandbox/tom::", "job::/sandbox/tom::*"),
            ("policy::/sandbox/tom::*", "job::/sandbox/tom::web"),
            ("policy::/sandbox/tom::web", "job::/sandbox/tom::web"),
            ("policy::/sandbox/tom::web", "job::/sandbox/tom::web/blue"),
            ("policy::/sandbox/[x]", "job::/sandbox/tom"),
            ("policy::/sandbox/[x]", "job::/sandbox/[name]"),
            ("policy::/[x]/[x]", "job::/a/a"),
            ("policy::/[x]/[x]", "job::/[a]/[a]"),
            ("policy::/[x]::[x]", "job::/a::a"),
        ] {
            assert!(holds(outer, inner), "{outer} contains {inner}");
        }
    }

    #[test]
    fn and_nothing_that_reaches_out_of_it() {
        for (outer, inner) in [
            ("policy::/sandbox", "job::/"),
            ("policy::/sandbox/tom", "job::/sandbox"),
            ("policy::/sandbox/tom", "job::/sandbox/tommy"),
            ("policy::/sandbox/tom", "job::/sandbox/[name]"),
            ("policy::/sandbox/[x]", "job::/sandbox"),
            ("policy::/sandbox/tom::", "job::/sandbox/tom"),
            ("policy::/sandbox/tom::*", "job::/sandbox/tom"),
            ("policy::/sandbox/tom::*", "job::/sandbox/tom::"),
            ("policy::/sandbox/tom::web", "job::/sandbox/tom"),
            ("policy::/sandbox/tom::web", "job::/sandbox/tom::*"),
            ("policy::/sandbox/tom::web/blue", "job::/sandbox/tom::web"),
            ("policy::/sandbox/tom::web", "job::/sandbox/tom/x::web"),
            ("policy::/sandbox/tom::", "job::/sandbox/tom/x::"),
            ("policy::/[x]/[x]", "job::/a/b"),
            ("policy::/[x]/[x]", "job::/[a]/[b]"),
            ("policy::/[x]/[x]", "job::/a/[a]"),
            ("policy::/[x]::[x]", "job::/a::b"),
        ] {
            assert!(!holds(outer, inner), "{outer} does not contain {inner}");
        }
    }
}
