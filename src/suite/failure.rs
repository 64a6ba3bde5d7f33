//! What of a decision was not as a test expects.

use std::collections::BTreeSet;

use crate::{
    compile::system::is_system,
    diagnostic::printable::short,
    eval::{Claim, Decision, Place},
    suite::{Expected, RuleName},
};

/// One expectation that does not hold. Shown as a sentence fit for a terminal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The expectation by its name in the file: `allow`, `missing`.
    pub key: &'static str,
    /// What was expected, each thing as the file would write it.
    pub expected: Vec<String>,
    /// What there is instead.
    pub found: Vec<String>,
}

/// Compares, in the order of the keys' importance for a reader.
pub(super) fn failures(expected: &Expected, decision: &Decision) -> Vec<Failure> {
    let mut out = Vec::new();
    let mut compare = |key, expected: BTreeSet<String>, found: BTreeSet<String>| {
        if expected != found {
            out.push(Failure { key, expected: expected.into_iter().collect(), found: found.into_iter().collect() });
        }
    };
    if let Some(allow) = expected.allow {
        compare("allow", [allow.to_string()].into(), [decision.is_allowed().to_string()].into());
    }
    if let Some(missing) = &expected.missing {
        compare("missing", claims(missing), claims(decision.missing()));
    }
    if let Some(refused) = &expected.refused {
        let found = decision.refusals().iter().map(|it| it.claim_type().to_owned());
        compare("refused", refused.iter().cloned().collect(), found.collect());
    }
    if let Some(all) = &expected.claims {
        compare("claims", claims(all), claims(decision.claims()));
    }
    for (claim_type, values) in &expected.effective {
        let shown = |values: &[String]| values.iter().map(|it| format!("{claim_type} {it}")).collect();
        compare("effective", shown(values), shown(decision.effective().all(claim_type)));
    }
    out.extend(expected.rules.as_ref().and_then(|it| rules(it, decision.because())));
    out
}

fn claims(claims: &[Claim]) -> BTreeSet<String> {
    claims.iter().map(ToString::to_string).collect()
}

/// Each rule that is named must have granted, and each that granted must be named, system documents aside.
fn rules(expected: &[RuleName], because: &[Place]) -> Option<Failure> {
    let all_granted = expected.iter().all(|name| because.iter().any(|it| name.means(it)));
    let is_named = |place: &Place| expected.iter().any(|it| it.means(place));
    if all_granted && because.iter().all(|it| is_system(&it.document) || is_named(it)) {
        return None;
    }
    let shown = because.iter().filter(|it| !is_system(&it.document) || is_named(it));
    let found: BTreeSet<String> = shown.map(|it| format!("{}:{}", it.document, it.line)).collect();
    let expected: BTreeSet<String> = expected.iter().map(ToString::to_string).collect();
    Some(Failure { key: "rules", expected: expected.into_iter().collect(), found: found.into_iter().collect() })
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let list = |items: &[String]| match items {
            [] => "nothing".to_owned(),
            items => items.iter().map(|it| format!("`{}`", short(it))).collect::<Vec<_>>().join(", "),
        };
        let (expected, found) = (list(&self.expected), list(&self.found));
        match (self.key, self.expected.first().map(String::as_str)) {
            ("allow", Some("true")) => f.write_str("expected to be allowed, but it is not"),
            ("allow", _) => f.write_str("expected not to be allowed, but it is"),
            ("missing", _) => write!(f, "expected to miss {expected}, but it misses {found}"),
            ("refused", _) => write!(f, "expected to be refused by {expected}, but it is refused by {found}"),
            ("rules", _) => write!(f, "expected to be granted by {expected}, but it is granted by {found}"),
            ("claims", _) => write!(f, "expected the claims {expected}, but they are {found}"),
            (_, _) => write!(f, "expected in force {expected}, but in force is {found}"),
        }
    }
}
