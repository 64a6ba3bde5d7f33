//! What someone may have taken for the fact that a condition asks for: one of another issuer, or in other letters.

use crate::{
    compile::{condition::Comparison, slots::Key},
    eval::{Fact, Request},
};

/// Facts looked at for one condition; there are many conditions, and a person brings few facts.
const FACTS_MAX: usize = 256;

/// A fact of the request that looks like what the comparison asks for and is not, in words; `bound` are the realm's
/// variables. Nothing where no one value is asked for.
pub(crate) fn hint(request: &Request, key: &Key, comparison: &Comparison, bound: &[&str]) -> Option<String> {
    let wanted: Vec<String> = comparison.equal_to()?.iter().map(|it| it.fill(bound).to_lowercase()).collect();
    let alike =
        |it: &&Fact| it.claim_type.eq_ignore_ascii_case(&key.claim_type) && wanted.contains(&it.value.to_lowercase());
    let fact = request.facts().iter().take(FACTS_MAX).find(alike)?;
    Some(if !key.is_fact {
        format!("the request's `{}` is none: a claim without issuer counts only where a rule gives it", shown(fact))
    } else if fact.issuer != key.issuer && fact.issuer.to_lowercase() != key.issuer.to_lowercase() {
        format!("the request has `{}`, which is of another issuer", shown(fact))
    } else {
        format!("the request has `{}`: upper and lower case differ", shown(fact))
    })
}

fn shown(fact: &Fact) -> String {
    let arrow = if fact.issuer.is_empty() { "" } else { "->" };
    format!("{}{arrow}{} {}", fact.issuer, fact.claim_type, fact.value)
}
