//! The parts of a policy that lints and editors look at, whatever stands around them. Recursion is bounded by `NESTING_MAX`.

use crate::syntax::{
    ast::{Asserted, Block, Claim, Comparison, Expr, Item, Local, Policy, Realm, Segment, Value},
    character::is_word,
};

/// A claim and what it depends on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ClaimPlace<'a> {
    pub(crate) claim: &'a Claim,
    /// Whether a condition stands around it.
    pub(crate) conditional: bool,
}

/// All claims of a policy, in source order.
pub(crate) fn claims(policy: &Policy) -> Vec<ClaimPlace<'_>> {
    let mut out = Vec::new();
    add_claims(&mut out, &policy.block, false);
    out
}

fn add_claims<'a>(out: &mut Vec<ClaimPlace<'a>>, block: &'a Block, conditional: bool) {
    for item in &block.items {
        match item {
            Item::Claim(claim) => out.push(ClaimPlace { claim, conditional }),
            Item::Block(block) => add_claims(out, block, conditional),
            Item::Rule(rule) => add_claims(out, &rule.block, true),
        }
    }
}

/// The conditions of all rules of a policy, in source order.
fn conditions(policy: &Policy) -> Vec<&Expr> {
    let mut out = Vec::new();
    add_conditions(&mut out, &policy.block);
    out
}

fn add_conditions<'a>(out: &mut Vec<&'a Expr>, block: &'a Block) {
    for item in &block.items {
        match item {
            Item::Claim(_) => (),
            Item::Block(block) => add_conditions(out, block),
            Item::Rule(rule) => {
                out.push(&rule.condition);
                add_conditions(out, &rule.block);
            }
        }
    }
}

/// All comparisons in the conditions of a policy, in source order.
pub(crate) fn comparisons(policy: &Policy) -> Vec<&Comparison> {
    let mut out = Vec::new();
    for condition in conditions(policy) {
        add_comparisons(&mut out, condition);
    }
    out
}

/// All comparisons of a condition, in source order.
pub(crate) fn expr_comparisons(condition: &Expr) -> Vec<&Comparison> {
    let mut out = Vec::new();
    add_comparisons(&mut out, condition);
    out
}

/// Adds all comparisons of a condition, in source order.
pub(crate) fn add_comparisons<'a>(out: &mut Vec<&'a Comparison>, expr: &'a Expr) {
    match expr {
        Expr::Comparison(comparison) => out.push(comparison),
        Expr::Group(inner, _) => add_comparisons(out, inner),
        Expr::And(parts) | Expr::Or(parts) => {
            for part in parts {
                add_comparisons(out, part);
            }
        }
    }
}

/// The constant values of a claim, with their places.
pub(crate) fn constants(claim: &Claim) -> impl Iterator<Item = (&Value, &str)> {
    claim.asserted.iter().filter_map(|asserted| match asserted {
        Asserted::Value(value) => value.constant().map(|text| (value, text)),
        Asserted::Reference { .. } => None,
    })
}

/// A text as it is written where a value stands.
pub(crate) fn in_place_of(value: &Value, text: &str) -> String {
    as_value(text, value.quoted)
}

/// A text as a value is written: in quotes if these are wanted, or if it is no word.
pub(crate) fn as_value(text: &str, quoted: bool) -> String {
    if !quoted && text.chars().all(is_word) && !matches!(text, "" | "on" | "if") {
        return text.to_owned();
    }
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('[', "\\["))
}

/// All segments of a realm.
pub(crate) fn segments(realm: &Realm) -> impl Iterator<Item = &Segment> {
    let local = match &realm.local {
        Local::Named(segments) => segments.as_slice(),
        Local::Below | Local::Exact | Local::Any => &[],
    };
    realm.namespace.iter().chain(local)
}

/// Whether the policy speaks of every name of some form.
pub(crate) fn is_template(policy: &Policy) -> bool {
    segments(&policy.realm).any(|it| matches!(it, Segment::Variable(_)))
}
