//! `ssh.user` is `app` for some and `root` for others, and someone can be both.
//!
//! Finds two values of a claim that can have only one, on one realm, under conditions that do not exclude each other. Under
//! the same condition that is an error (E0603). Conditions exclude each other where both ask for the same single-valued fact,
//! such as a name, and want different values or different beginnings.
//!
//! ## Why it matters
//!
//! On one realm no value is more specific than the other. Where both conditions hold, the operation is refused.
//!
//! ## Example
//!
//! ```policy
//! job::/prod {
//!   if (LDAP->group == "dba") { ssh.user "postgres" }
//!   if (LDAP->group == "sre") { ssh.user "root" }
//! }
//! ```
//!
//! ## Instead
//!
//! ```policy
//! job::/prod::db {
//!   if (LDAP->group == "dba") { ssh.user "postgres" }
//! }
//! job::/prod {
//!   if (LDAP->group == "sre") { ssh.user "root" }
//! }
//! ```

use std::collections::BTreeMap;

use crate::{
    compile::{
        canonical::canonical_value,
        catalogue::{Combines, combines},
    },
    diagnostic::{Code, Diagnostic},
    lint::{Lint, Report, Set, chain::asked},
    source::Span,
    syntax::{
        ast::{Asserted, Comparison, Expr, Operator},
        vocabulary::is_context,
    },
};

/// Values on one realm that a value is compared with; who has more of them sees the first conflicts.
const COMPARED_MAX: usize = 64;

pub(super) struct ConflictingScalar;

impl Lint for ConflictingScalar {
    fn code(&self) -> Code {
        Code::ConflictingScalar
    }

    fn check(&self, set: &Set<'_>, report: &mut Report) {
        for (claim_type, scalars) in scalars(set).into_iter().map(|((_, claim_type), it)| (claim_type, it)) {
            for (at, own) in scalars.iter().enumerate().filter(|(_, it)| it.source < set.given) {
                let earlier = scalars.iter().take(at).rev().take(COMPARED_MAX);
                if let Some(other) = earlier.into_iter().find(|other| conflict(set, other, own)) {
                    report.push(own.source, diagnose(set, claim_type, own, other));
                }
            }
        }
    }
}

struct Scalar<'s> {
    value: String,
    conditions: &'s [usize],
    source: usize,
    span: Span,
}

fn scalars<'s>(set: &'s Set<'_>) -> BTreeMap<(&'s str, &'s str), Vec<Scalar<'s>>> {
    let mut scalars: BTreeMap<(&str, &str), Vec<Scalar<'_>>> = BTreeMap::new();
    for view in &set.policies {
        for place in &view.claims {
            let claim_type = place.claim.claim_type.text.as_str();
            let Some(conditions) = view.conditions(place.rule) else { continue };
            if combines(claim_type, view.resource_type()) != Combines::Scalar {
                continue;
            }
            for asserted in &place.claim.asserted {
                // What a fact will hold is not known here.
                let Asserted::Value(value) = asserted else { continue };
                let mut text = String::new();
                canonical_value(&mut text, value, &view.variables);
                let scalar = Scalar { value: text, conditions, source: view.source, span: value.span };
                scalars.entry((&view.realm, claim_type)).or_default().push(scalar);
            }
        }
    }
    scalars
}

fn conflict(set: &Set<'_>, one: &Scalar<'_>, other: &Scalar<'_>) -> bool {
    // Under the same conditions it is an error, and told as such.
    one.value != other.value && one.conditions != other.conditions && !exclude(set, one.conditions, other.conditions)
}

/// Whether two conjunctions ask one single-valued fact for different values.
fn exclude(set: &Set<'_>, one: &[usize], other: &[usize]) -> bool {
    let equalities = |numbers: &[usize]| -> Vec<&Comparison> {
        let conditions = numbers.iter().filter_map(|it| set.conditions.get(*it));
        conditions
            .filter_map(|it| if let Expr::Comparison(comparison) = it { Some(comparison) } else { None })
            .filter(|it| is_single_valued(it))
            .collect()
    };
    let others = equalities(other);
    equalities(one).into_iter().any(|one| {
        others.iter().filter(|other| fact(one) == fact(other)).any(|other| {
            let (Some(texts), Some(others)) = (asked(one), asked(other)) else {
                return begin_apart(one, other) || begin_apart(other, one);
            };
            texts.iter().all(|it| !others.contains(it))
        })
    })
}

/// Whether one asks for texts, or for a beginning, and no text that begins so begins as the other asks.
fn begin_apart(one: &Comparison, other: &Comparison) -> bool {
    let beginning = |it: &Comparison| it.values.first().and_then(|it| it.constant().map(str::to_owned));
    let Some(prefix) = beginning(other).filter(|_| other.operator == Operator::BeginsWith) else { return false };
    if one.operator == Operator::BeginsWith {
        return beginning(one).is_some_and(|it| !it.starts_with(&prefix) && !prefix.starts_with(&it));
    }
    asked(one).is_some_and(|texts| texts.iter().all(|it| !it.starts_with(&prefix)))
}

fn fact(comparison: &Comparison) -> (&str, &str) {
    let issuer = comparison.issuer.as_ref().map(|it| it.text.as_str()).unwrap_or_default();
    (issuer, &comparison.claim_type.text)
}

/// Whether a fact is taken to have one value: context, and what a person has one of (reference section 10).
fn is_single_valued(comparison: &Comparison) -> bool {
    match fact(comparison) {
        ("", claim_type) => is_context(claim_type),
        (_, claim_type) => matches!(claim_type, "name" | "email" | "authType"),
    }
}

fn diagnose(set: &Set<'_>, claim_type: &str, own: &Scalar<'_>, other: &Scalar<'_>) -> Diagnostic {
    let message =
        format!("`{claim_type}` has another value on this realm, under a condition that can hold together with this");
    let error = Diagnostic::new(Code::ConflictingScalar, own.span, message, "refused where both hold");
    if other.source == own.source {
        let error = error.with_label(other.span, "the other value");
        return error.with_help("put one of them on a deeper realm: the most specific one wins");
    }
    let place = set.place(other.source, other.span.start);
    error.with_help(format!(
        "the other value is in {place}; put one of them on a deeper realm: the most specific one wins"
    ))
}
