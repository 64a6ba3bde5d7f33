//! Tests that prove nothing of a set: a request is denied for a spelling mistake in the test, and would be whatever the
//! documents say.

use crate::{
    compile::{
        PolicySet,
        catalogue::{CLAIM_TYPES, Covers, covers},
        set::{Asserted, Assertion},
    },
    diagnostic::{Code, Diagnostic, printable::short},
    eval::Claim,
    suite::{Suite, Test},
    syntax::{suggest::closest, vocabulary},
};

/// Finds tests that expect a denial of something that no document could ever give.
pub fn check(suite: &Suite, set: &PolicySet) -> Vec<Diagnostic> {
    let denials = suite.tests.iter().filter(|it| it.expected.is_denial());
    denials.filter_map(|test| vacuous(test, set)).collect()
}

fn vacuous(test: &Test, set: &PolicySet) -> Option<Diagnostic> {
    let resource_type = test.request.target().resource_type();
    let wanted =
        test.request.want().iter().find(|it| !is_known(it, resource_type) && !is_asserted(it, resource_type, set))?;
    let message =
        format!("nothing on `{resource_type}::` ever gives `{}`, so this test cannot fail", short(&wanted.to_string()));
    let diagnostic = Diagnostic::new(Code::TestCannotFail, test.want, message, "denied, whatever the documents say");
    let near = match wanted.claim_type.as_str() {
        "permit" => {
            let permits =
                vocabulary::resource_type(resource_type).into_iter().flat_map(vocabulary::ResourceType::permits);
            closest(&wanted.value, permits).map(|it| format!("permit {it}"))
        }
        claim_type => {
            closest(claim_type, CLAIM_TYPES.iter().map(|it| it.name)).map(|it| format!("{it} {}", wanted.value))
        }
    };
    Some(match near {
        Some(near) => diagnostic.with_help(format!("did you mean `{}`?", short(&near))),
        None => diagnostic,
    })
}

/// Whether the language has such a claim on the type, given by someone or not.
fn is_known(wanted: &Claim, resource_type: &str) -> bool {
    match wanted.claim_type.as_str() {
        "permit" => vocabulary::resource_type(resource_type).is_some_and(|it| it.has_permit(&wanted.value)),
        // A role is whatever rules call one; nobody gives a role that nobody asserts.
        "role" => false,
        claim_type => CLAIM_TYPES.iter().any(|it| it.name == claim_type && it.is_on(resource_type)),
    }
}

/// Whether some rule on the type could assert what would cover the want.
fn is_asserted(wanted: &Claim, resource_type: &str, set: &PolicySet) -> bool {
    let Some(slot) = set.slots.find("", &wanted.claim_type) else { return false };
    let fits = |it: &Assertion| match &it.value {
        Asserted::Reference(_) => true,
        Asserted::Value(template) => {
            covers(&wanted.claim_type) != Covers::Equal || template.constant().is_none_or(|text| text == wanted.value)
        }
    };
    let mut policies = set.policies().filter(|it| it.policy.realm.resource_type == resource_type);
    policies.any(|it| {
        let mut asserted = it.policy.nodes.iter().flat_map(|it| &it.asserts);
        asserted.any(|it| it.slot == slot && fits(it))
    })
}
