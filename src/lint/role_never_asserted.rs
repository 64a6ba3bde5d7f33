//! `if (role == operator)`, and no rule on that resource type ever asserts `role operator`.
//!
//! Finds tests of a role that no document of the set, nor a system document, asserts on the same type of resource.
//!
//! ## Why it matters
//!
//! The test is never true, so its rule grants nothing. Mostly the role is misspelt, or asserted on another type: claims
//! hold only in the evaluation of one resource.
//!
//! ## Example
//!
//! ```policy
//! package::/prod {
//!   if (role == operator) { permit use }
//! }
//! ```
//!
//! ## Instead
//!
//! ```policy
//! package::/prod {
//!   if (LDAP->group == "sre") { role operator }
//!   if (role == operator) { permit use }
//! }
//! ```

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    diagnostic::{Code, Diagnostic, printable::short},
    lint::{
        Lint, Report, Set,
        set::PolicyView,
        walk::{constants, in_place_of},
    },
    syntax::{
        ast::{Comparison, Operator, Value},
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
        let asserted: Roles<'_> = RESOURCE_TYPES.iter().map(|it| (it.name, roles(set, it.name))).collect();
        for view in set.views() {
            let on = view.resource_type();
            let Some(here) = asserted.get(on) else { continue };
            for (value, role) in tested(view).filter(|(_, role)| !here.contains(role)) {
                report.push(view.source, diagnose(&asserted, on, value, role));
            }
        }
    }
}

/// Resource types and the roles that are asserted on each.
type Roles<'a> = BTreeMap<&'static str, BTreeSet<&'a str>>;

/// Of more roles no nearest one is looked for, so that many mistakes in many roles take no time.
pub(super) const SUGGEST_ROLES_MAX: usize = 200;

/// The roles that any document asserts on a type.
fn roles<'a>(set: &Set<'a>, resource_type: &str) -> BTreeSet<&'a str> {
    let claims = set.on_type(resource_type).flat_map(|view| &view.claims).map(|place| place.claim);
    claims.filter(|claim| claim.claim_type.text == "role").flat_map(constants).map(|(_, text)| text).collect()
}

/// The roles that a policy asks for by name.
fn tested<'a>(view: &PolicyView<'a>) -> impl Iterator<Item = (&'a Value, &'a str)> {
    let is_test = |comparison: &&'a Comparison| {
        let by_name = matches!(comparison.operator, Operator::Equal | Operator::Equals | Operator::In);
        by_name && comparison.issuer.is_none() && comparison.claim_type.text == "role"
    };
    let values = view.comparisons.iter().copied().filter(is_test).flat_map(|it| &it.values);
    values.filter_map(|value| value.constant().map(|text| (value, text)))
}

fn diagnose(asserted: &Roles<'_>, on: &str, value: &Value, role: &str) -> Diagnostic {
    let shown = short(role);
    let error = Diagnostic::new(
        Code::RoleNeverAsserted,
        value.span,
        format!("no rule on `{on}::` ever asserts `role {shown}`"),
        "so this is never true",
    );
    let here = asserted.get(on).into_iter().flatten().copied();
    if let Some(near) = closest(role, here.take(SUGGEST_ROLES_MAX)) {
        return error.with_help(format!("did you mean `{}`?", short(near))).with_fix(
            format!("write `{}`", short(near)),
            false,
            value.span,
            in_place_of(value, near),
        );
    }
    let elsewhere = asserted.iter().find(|(_, roles)| roles.contains(role));
    error.with_help(match elsewhere {
        Some((other, _)) => {
            format!("it is asserted on `{other}::`, but a claim holds only on the type on which it is asserted")
        }
        None => format!("assert it somewhere: `{on}::/ {{ if ( ... ) {{ role {shown} }} }}`"),
    })
}
