//! `permit raed`: a permit that nothing on this resource type ever asks for.
//!
//! Finds values of `permit`, asserted or tested, that the type of resource does not have.
//!
//! ## Why it matters
//!
//! Nothing asks for such a permit: what was meant is not granted.
//!
//! ## Example
//!
//! ```policy
//! job::/prod {
//!   if (LDAP->group == "sre") { permit raed }
//! }
//! ```
//!
//! ## Instead
//!
//! ```policy
//! job::/prod {
//!   if (LDAP->group == "sre") { permit read }
//! }
//! ```

use crate::{
    diagnostic::{Code, Diagnostic, printable::short},
    lint::{
        Lint, Report, Set,
        set::PolicyView,
        walk::{constants, in_place_of},
    },
    syntax::{
        ast::{Operator, Value},
        suggest::closest,
        vocabulary::{self, RESOURCE_TYPES, ResourceType},
    },
};

pub(super) struct UnknownPermit;

impl Lint for UnknownPermit {
    fn code(&self) -> Code {
        Code::UnknownPermit
    }

    fn check(&self, set: &Set<'_>, report: &mut Report) {
        for view in set.views() {
            let Some(resource_type) = vocabulary::resource_type(view.resource_type()) else { continue };
            for (value, permit) in permits(view) {
                if !resource_type.has_permit(permit) {
                    report.push(view.source, diagnose(resource_type, value, permit));
                }
            }
        }
    }
}

/// The permits that a policy asserts or tests by name.
fn permits<'a>(view: &PolicyView<'a>) -> impl Iterator<Item = (&'a Value, &'a str)> {
    let claims = view.claims.iter().map(|it| it.claim).filter(|it| it.claim_type.text == "permit");
    let tests = view.comparisons.iter().copied().filter(|it| {
        let by_name = matches!(it.operator, Operator::Equal | Operator::Equals | Operator::In);
        by_name && it.issuer.is_none() && it.claim_type.text == "permit"
    });
    let tested = tests.flat_map(|it| &it.values).filter_map(|value| value.constant().map(|text| (value, text)));
    claims.flat_map(constants).chain(tested)
}

fn diagnose(resource_type: &ResourceType, value: &Value, permit: &str) -> Diagnostic {
    let on = resource_type.name;
    let message = format!("`{on}::` has no permit `{}`", short(permit));
    let error = Diagnostic::new(Code::UnknownPermit, value.span, message, "nothing asks for this");
    if let Some(near) = closest(permit, resource_type.permits()) {
        return error.with_help(format!("did you mean `{near}`?")).with_fix(
            format!("write `{near}`"),
            false,
            value.span,
            in_place_of(value, near),
        );
    }
    let others: Vec<&str> = RESOURCE_TYPES.iter().filter(|it| it.has_permit(permit)).map(|it| it.name).collect();
    let own: Vec<&str> = resource_type.permits().filter(|it| *it != "all").collect();
    error.with_help(match (others.as_slice(), own.as_slice()) {
        ([], []) => format!("there is nothing to permit on `{on}::`"),
        ([], own) => format!("the permits of `{on}::` are {}", own.join(", ")),
        (others, _) => format!("`{permit}` is a permit of `{}::`", others.join("::`, `")),
    })
}
