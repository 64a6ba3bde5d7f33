//! `time.weekday == "monday"`: days are called `mon` to `sun`, so this is never true.
//!
//! Finds comparisons of context with values that the operation never brings: days, hours, clock times, dates, sides, types of
//! resource, kinds of principal, names of another type; and orders between different kinds of values.
//!
//! ## Why it matters
//!
//! The condition never holds, and its rule grants nothing. With `!=` it always holds, and guards nothing.
//!
//! ## Example
//!
//! ```policy
//! job::/prod {
//!   if (LDAP->group == "sre" && time.weekday == "monday") { permit read }
//! }
//! ```
//!
//! ## Instead
//!
//! ```policy
//! job::/prod {
//!   if (LDAP->group == "sre" && time.weekday == mon) { permit read }
//! }
//! ```

use crate::{
    compile::realm::Pattern,
    diagnostic::{Code, Diagnostic, printable::short},
    eval::time::is_possible,
    lint::{Lint, Report, Set, walk::in_place_of},
    syntax::{
        ast::{Comparison, Operator, Value},
        fqn::Fqn,
        literal::Literal,
        suggest::closest,
        vocabulary::RESOURCE_TYPES,
    },
};

const WEEKDAYS: &[&str] = &["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

pub(super) struct ValueNeverOccurs;

impl Lint for ValueNeverOccurs {
    fn code(&self) -> Code {
        Code::ValueNeverOccurs
    }

    fn check(&self, set: &Set<'_>, report: &mut Report) {
        for view in set.views() {
            for comparison in view.comparisons.iter().copied().filter(|it| it.issuer.is_none()) {
                for value in &comparison.values {
                    let Some(text) = value.constant() else { continue };
                    if let Some(takes) = never(comparison, text) {
                        report.push(view.source, diagnose(comparison, value, text, &takes));
                    }
                }
            }
        }
    }
}

/// What the context has instead, where it never has this.
fn never(comparison: &Comparison, text: &str) -> Option<String> {
    let claim_type = comparison.claim_type.text.as_str();
    match comparison.operator {
        Operator::Equal | Operator::Equals | Operator::In | Operator::NotEqual => never_equal(claim_type, text),
        Operator::Less | Operator::LessOrEqual | Operator::Greater | Operator::GreaterOrEqual => {
            never_ordered(claim_type, text)
        }
        Operator::FqnMatch => {
            let is_of_type = Pattern::parse(text).is_none_or(|it| it.resource_type == claim_type);
            (is_name(claim_type) && !is_of_type).then(|| format!("the name of a {claim_type}"))
        }
        Operator::BeginsWith | Operator::EndsWith | Operator::Contains | Operator::Matches | Operator::InCidr => None,
    }
}

fn is_name(claim_type: &str) -> bool {
    matches!(claim_type, "job" | "service" | "route" | "network")
}

fn never_equal(claim_type: &str, text: &str) -> Option<String> {
    if let Some(choices) = choices(claim_type) {
        return (!choices.contains(&text)).then(|| format!("one of `{}`", choices.join("`, `")));
    }
    if is_name(claim_type) {
        let occurs = Fqn::parse(text).is_ok_and(|it| it.resource_type() == claim_type);
        return (!occurs).then(|| format!("the full name of a {claim_type}, such as `{claim_type}::/prod::web`"));
    }
    let example = match claim_type {
        "time.hour" => "a whole number from 0 to 23, without a leading zero",
        "time.clock" => "a time of day, such as `08:30`",
        "time.date" => "a day, such as `2026-11-23`",
        _ => return None,
    };
    (!is_possible(claim_type, text)).then(|| example.to_owned())
}

fn never_ordered(claim_type: &str, text: &str) -> Option<String> {
    let right = Literal::parse(text).ok()?;
    let (example, fits) = match claim_type {
        "time.hour" | "approvals.count" | "forward.port" => {
            ("a whole number, such as `8`", matches!(right, Literal::Number(_)))
        }
        "time.clock" => ("a time of day, such as `08:30`", matches!(right, Literal::Clock(_))),
        "time.date" => ("a day, such as `2026-11-23`", matches!(right, Literal::Date(_))),
        "auth.age" | "mfa.age" => ("a duration, such as `15m`", matches!(right, Literal::Duration(_))),
        _ => return None,
    };
    if claim_type == "time.hour" && is_beyond_the_day(right) {
        return Some("a whole number from 0 to 23".to_owned());
    }
    (!fits).then(|| example.to_owned())
}

/// Whether no hour is this one. 24 bounds a day as well as `time.hour <= 23` does.
fn is_beyond_the_day(hour: Literal) -> bool {
    matches!(hour, Literal::Number(hour) if hour > 24)
}

fn choices(claim_type: &str) -> Option<Vec<&'static str>> {
    match claim_type {
        "time.weekday" => Some(WEEKDAYS.to_vec()),
        "side" => Some(vec!["source", "destination"]),
        "principal.kind" => Some(vec!["user", "job"]),
        "ResType" => Some(RESOURCE_TYPES.iter().map(|it| it.name).collect()),
        _ => None,
    }
}

fn diagnose(comparison: &Comparison, value: &Value, text: &str, takes: &str) -> Diagnostic {
    let claim_type = comparison.claim_type.text.as_str();
    // Every hour is before one that is beyond the day.
    let is_before = matches!(comparison.operator, Operator::Less | Operator::LessOrEqual);
    let always = comparison.operator == Operator::NotEqual
        || (is_before && claim_type == "time.hour" && Literal::parse(text).is_ok_and(is_beyond_the_day));
    let label = if always { "so this guards nothing" } else { "so this is never true" };
    let message = format!("`{claim_type}` is never `{}`", short(text));
    let error = Diagnostic::new(Code::ValueNeverOccurs, value.span, message, label);
    let choices = choices(claim_type).unwrap_or_default();
    let day = WEEKDAYS.iter().copied().filter(|_| claim_type == "time.weekday");
    let near = day.into_iter().find(|day| text.to_lowercase().starts_with(day));
    match near.or_else(|| closest(text, choices.iter().copied())) {
        Some(near) => error.with_help(format!("did you mean `{near}`?")).with_fix(
            format!("write `{near}`"),
            false,
            value.span,
            in_place_of(value, near),
        ),
        None => error.with_help(format!("it is {takes}")),
    }
}
