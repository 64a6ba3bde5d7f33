//! The words that documents use: what an author writes next is most often what they or others wrote before.

use std::collections::BTreeSet;

use crate::{
    editor::Documents,
    lint::walk::{claims, comparisons, constants},
    syntax::ast::{Asserted, Policy},
};

/// The policies of all documents.
pub(super) fn policies<'a>(documents: &Documents<'a>) -> impl Iterator<Item = &'a Policy> {
    documents.iter().flat_map(|&(_, parse)| &parse.document.policies)
}

/// The realms of policies, as they are written.
pub(super) fn realms<'a>(documents: &Documents<'a>) -> BTreeSet<&'a str> {
    let each = documents
        .iter()
        .flat_map(|&(source, parse)| parse.document.policies.iter().map(move |policy| source.slice(policy.realm.span)));
    each.collect()
}

/// The claim types that rules assert on a resource type.
pub(super) fn claim_types<'a>(documents: &Documents<'a>, on: &str) -> BTreeSet<&'a str> {
    let own = policies(documents).filter(|it| it.realm.resource_type.text == on);
    own.flat_map(claims).map(|it| it.claim.claim_type.text.as_str()).collect()
}

/// The values that rules assert of a claim type, on one resource type or on any.
pub(super) fn asserted<'a>(documents: &Documents<'a>, claim_type: &str, on: Option<&str>) -> BTreeSet<&'a str> {
    let own = policies(documents).filter(|it| on.is_none_or(|on| it.realm.resource_type.text == on));
    let claims = own.flat_map(claims).map(|it| it.claim).filter(|it| it.claim_type.text == claim_type);
    claims.flat_map(constants).map(|(_, text)| text).collect()
}

/// The facts that conditions ask for and claims refer to: issuer and type, none for what has no issuer.
pub(super) fn facts<'a>(documents: &Documents<'a>) -> BTreeSet<(Option<&'a str>, &'a str)> {
    let mut facts = BTreeSet::new();
    for policy in policies(documents) {
        for it in comparisons(policy) {
            facts.insert((it.issuer.as_ref().map(|it| it.text.as_str()), it.claim_type.text.as_str()));
        }
        for asserted in claims(policy).into_iter().flat_map(|it| &it.claim.asserted) {
            if let Asserted::Reference { issuer, claim_type, .. } = asserted {
                facts.insert((Some(issuer.text.as_str()), claim_type.text.as_str()));
            }
        }
    }
    facts
}

/// The constants that conditions hold a fact against.
pub(super) fn compared<'a>(documents: &Documents<'a>, issuer: Option<&str>, claim_type: &str) -> BTreeSet<&'a str> {
    let all = policies(documents).flat_map(comparisons);
    let same =
        all.filter(|it| it.issuer.as_ref().map(|it| it.text.as_str()) == issuer && it.claim_type.text == claim_type);
    same.flat_map(|it| &it.values).filter_map(|it| it.constant()).collect()
}
