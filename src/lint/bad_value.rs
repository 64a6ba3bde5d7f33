//! `total.memory "2 gigabytes"`: nobody can read this as a size.
//!
//! Finds constant values that are not of the kind that their claim has in the catalogue: sizes, rates, durations, numbers,
//! realms of packages, `ssh.record`, `log`, and what `ssh.require` asks for.
//!
//! ## Why it matters
//!
//! A limit that cannot be read is no limit that anyone chose: where it would hold, the operation is refused.
//!
//! ## Example
//!
//! ```policy
//! quota::/prod {
//!   { total.memory "2 gigabytes" }
//! }
//! ```
//!
//! ## Instead
//!
//! ```policy
//! quota::/prod {
//!   { total.memory "2GB" }
//! }
//! ```

use crate::{
    compile::{
        catalogue::{ClaimType, Combines, Covers, Measure, claim_type},
        realm::Pattern,
    },
    diagnostic::{Code, Diagnostic, printable::short},
    lint::{
        Lint, Report, Set,
        walk::{constants, in_place_of},
    },
    syntax::{literal::Literal, suggest::closest, vocabulary::is_context},
};

pub(super) struct BadValue;

impl Lint for BadValue {
    fn code(&self) -> Code {
        Code::BadValue
    }

    fn check(&self, set: &Set<'_>, report: &mut Report) {
        for view in set.views() {
            for claim in view.claims.iter().map(|it| it.claim) {
                let known = claim_type(&claim.claim_type.text).filter(|it| it.is_on(view.resource_type()));
                let Some(known) = known else { continue };
                for (value, text) in constants(claim) {
                    let Some(wanted) = wanted(known, text) else { continue };
                    let message = format!("`{}` takes {wanted}", known.name);
                    let error = Diagnostic::new(Code::BadValue, value.span, message, "this is none");
                    let near = choices(known).and_then(|it| closest(text, it.iter().copied()));
                    report.push(
                        view.source,
                        match near {
                            Some(near) => error.with_help(format!("did you mean `{near}`?")).with_fix(
                                format!("write `{near}`"),
                                false,
                                value.span,
                                in_place_of(value, near),
                            ),
                            None => error.with_help(format!("`{}` cannot be read as that", short(text))),
                        },
                    );
                }
            }
        }
    }
}

/// What the claim takes, where the text is not that.
fn wanted(known: &ClaimType, text: &str) -> Option<String> {
    if let Some(choices) = choices(known) {
        return (!choices.contains(&text)).then(|| format!("one of `{}`", choices.join("`, `")));
    }
    if known.covers == Covers::Realm {
        let is_package = Pattern::parse(text).is_some_and(|it| it.resource_type == "package");
        return (!is_package).then(|| "a realm of packages, such as `package::/apcera`".to_owned());
    }
    match known.combines {
        Combines::Least(measure) | Combines::Total(measure) => {
            (!is_of(measure, text)).then(|| example(measure).to_owned())
        }
        Combines::Require => {
            let is_fact = is_context(text) || text == "approval" || text.contains("->");
            (!is_fact).then(|| "the name of a fact, such as `mfa` or `approval`".to_owned())
        }
        Combines::Union | Combines::Scalar | Combines::Most(_) | Combines::Each | Combines::Log => None,
    }
}

fn choices(known: &ClaimType) -> Option<&'static [&'static str]> {
    match known.combines {
        Combines::Most(choices) => Some(choices),
        Combines::Log => Some(&["none", "allow", "deny"]),
        Combines::Union
        | Combines::Scalar
        | Combines::Total(_)
        | Combines::Least(_)
        | Combines::Each
        | Combines::Require => None,
    }
}

fn is_of(measure: Measure, text: &str) -> bool {
    matches!(
        (measure, Literal::parse(text)),
        (Measure::Size, Ok(Literal::Size(_)))
            | (Measure::Rate, Ok(Literal::Rate(_)))
            | (Measure::Duration, Ok(Literal::Duration(_)))
            | (Measure::Number, Ok(Literal::Number(_)))
    )
}

fn example(measure: Measure) -> &'static str {
    match measure {
        Measure::Size => "a size, such as `500MB`",
        Measure::Rate => "a rate, such as `10Mbps`",
        Measure::Duration => "a duration, such as `15m`",
        Measure::Number => "a whole number, such as `8`",
    }
}
