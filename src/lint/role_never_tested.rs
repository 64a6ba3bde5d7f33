//! `role operator` is asserted, and nothing on that resource type ever asks for it.
//!
//! Finds asserted roles that no rule of the set, nor of a system document, tests on the same type of resource.
//!
//! ## Why it matters
//!
//! A role does nothing by itself: it counts where a rule on the same type of resource tests it. Whoever was given this one
//! got nothing. Mostly the role is misspelt, or the rule that tests it stands on another type.
//!
//! ## Example
//!
//! ```policy
//! job::/prod {
//!   if (LDAP->group == "sre") { role operator }
//! }
//! ```
//!
//! ## Instead
//!
//! ```policy
//! job::/prod {
//!   if (LDAP->group == "sre") { role operator }
//!   if (role == operator) { permit read }
//! }
//! ```

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    diagnostic::{Code, Diagnostic, printable::short},
    lint::{
        Lint, Report, Set,
        role_never_asserted::SUGGEST_ROLES_MAX,
        set::PolicyView,
        walk::{constants, in_place_of},
    },
    syntax::{
        ast::{Operator, Value},
        suggest::closest,
        vocabulary::RESOURCE_TYPES,
    },
};

pub(super) struct RoleNeverTested;

impl Lint for RoleNeverTested {
    fn code(&self) -> Code {
        Code::RoleNeverTested
    }

    fn check(&self, set: &Set<'_>, report: &mut Report) {
        if !set.complete {
            return;
        }
        let tests: Tests<'_> = RESOURCE_TYPES.iter().map(|it| (it.name, Tested::on(set, it.name))).collect();
        for view in set.views() {
            let on = view.resource_type();
            let Some(here) = tests.get(on).filter(|it| !it.by_other_means) else { continue };
            for (value, role) in asserted(view).filter(|(_, role)| !here.roles.contains(role)) {
                // Where it is tested on a type on which nobody asserts it, or by a misspelt name, `role-never-asserted` tells
                // it there.
                let elsewhere = tests.values().any(|it| it.lacks.contains(role));
                let misspelt = closest(role, here.lacks.iter().copied().take(SUGGEST_ROLES_MAX)).is_some();
                if !elsewhere && !misspelt {
                    report.push(view.source, diagnose(here, on, value, role));
                }
            }
        }
    }
}

type Tests<'a> = BTreeMap<&'static str, Tested<'a>>;

/// What rules of one type ask of roles.
#[derive(Default)]
struct Tested<'a> {
    roles: BTreeSet<&'a str>,
    /// Those of them that nothing on the type asserts.
    lacks: BTreeSet<&'a str>,
    /// Whether roles are tested by something else than their names, such as a prefix or a variable.
    by_other_means: bool,
}

impl<'a> Tested<'a> {
    fn on(set: &Set<'a>, resource_type: &str) -> Self {
        let mut tested = Self::default();
        let mut asserted = BTreeSet::new();
        for view in set.on_type(resource_type) {
            for comparison in view.comparisons.iter().copied().filter(|it| it.claim_type.text == "role") {
                // An approval has the roles that its giver has on the job.
                let of_approval = comparison.issuer.as_ref().is_some_and(|it| it.text == "approval");
                if comparison.issuer.is_some() && !of_approval {
                    continue;
                }
                let by_name = matches!(comparison.operator, Operator::Equal | Operator::Equals | Operator::In);
                tested.by_other_means |= !by_name || comparison.values.iter().any(|it| it.constant().is_none());
                tested.roles.extend(comparison.values.iter().filter_map(Value::constant));
            }
            asserted.extend(self::asserted(view).map(|(_, role)| role));
        }
        tested.lacks = tested.roles.difference(&asserted).copied().collect();
        tested
    }
}

fn asserted<'a>(view: &PolicyView<'a>) -> impl Iterator<Item = (&'a Value, &'a str)> {
    view.claims.iter().map(|it| it.claim).filter(|it| it.claim_type.text == "role").flat_map(constants)
}

fn diagnose(here: &Tested<'_>, on: &str, value: &Value, role: &str) -> Diagnostic {
    let shown = short(role);
    let message = format!("no rule on `{on}::` ever tests `role {shown}`");
    let error = Diagnostic::new(Code::RoleNeverTested, value.span, message, "nothing follows from this");
    match closest(role, here.roles.iter().copied().take(SUGGEST_ROLES_MAX)) {
        Some(near) => error.with_help(format!("did you mean `{}`?", short(near))).with_fix(
            format!("write `{}`", short(near)),
            false,
            value.span,
            in_place_of(value, near),
        ),
        None => {
            error.with_help(format!("say what it may do: `if (role == {}) {{ permit ... }}`", in_place_of(value, role)))
        }
    }
}
