//! `if (role == operator)`, and no rule on that resource type ever asserts `role operator`.

use std::collections::BTreeSet;

use crate::{
    diagnostic::{Code, Diagnostic, printable::short},
    lint::{
        Lint, Report, Set,
        walk::{claims, comparisons, constants},
    },
    syntax::{
        ast::{Comparison, Operator, Policy, Value},
        suggest::closest,
        vocabulary::RESOURCE_TYPES,
    },
};

pub(super) struct RoleNeverAsserted;

impl Lint for RoleNeverAsserted {
    fn code(&self) -> Code {
        Code::RoleNeverAsserted
    }

    fn check(&self, set: &Set<'_>, report: &mut Report) {
        if !set.complete {
            return;
        }
        for resource_type in RESOURCE_TYPES {
            let asserted = roles(set, resource_type.name);
            let policies = set.given().filter(|(_, policy)| policy.realm.resource_type.text == resource_type.name);
            for (source, policy) in policies {
                for (value, role) in tested(policy).filter(|(_, role)| !asserted.contains(role)) {
                    report.push(source, diagnose(set, resource_type.name, &asserted, value, role));
                }
            }
        }
    }
}

/// The roles that any document asserts on a type.
fn roles<'a>(set: &Set<'a>, resource_type: &str) -> BTreeSet<&'a str> {
    let claims = set.on_type(resource_type).flat_map(claims).map(|place| place.claim);
    claims.filter(|claim| claim.claim_type.text == "role").flat_map(constants).map(|(_, text)| text).collect()
}

/// The roles that a policy asks for by name.
fn tested(policy: &Policy) -> impl Iterator<Item = (&Value, &str)> {
    let is_test = |comparison: &&Comparison| {
        let by_name = matches!(comparison.operator, Operator::Equal | Operator::Equals | Operator::In);
        by_name && comparison.issuer.is_none() && comparison.claim_type.text == "role"
    };
    let values = comparisons(policy).into_iter().filter(is_test).flat_map(|it| &it.values);
    values.filter_map(|value| value.constant().map(|text| (value, text)))
}

fn diagnose(set: &Set<'_>, on: &str, asserted: &BTreeSet<&str>, value: &Value, role: &str) -> Diagnostic {
    let shown = short(role);
    let error = Diagnostic::new(
        Code::RoleNeverAsserted,
        value.span,
        format!("no rule on `{on}::` ever asserts `role {shown}`"),
        "so this is never true",
    );
    if let Some(near) = closest(role, asserted.iter().copied()) {
        return error.with_help(format!("did you mean `{near}`?")).with_fix(
            format!("write `{near}`"),
            false,
            value.span,
            if value.quoted { format!("\"{near}\"") } else { near.to_owned() },
        );
    }
    let elsewhere = RESOURCE_TYPES.iter().find(|it| roles(set, it.name).contains(role));
    error.with_help(match elsewhere {
        Some(other) => {
            format!("it is asserted on `{}::`, but a claim holds only on the type on which it is asserted", other.name)
        }
        None => format!("assert it somewhere: `{on}::/ {{ if ( ... ) {{ role {shown} }} }}`"),
    })
}
