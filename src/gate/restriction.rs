//! What restricting claims demand of a session, and whether this version can hold it to that.

use std::{collections::BTreeMap, time::Duration};

use crate::{
    eval::{Effective, Fact},
    gate::GateError,
};

/// Claims that may be in force on a job and say nothing about a session into it.
const ABOUT_OTHER_THINGS: &[&str] = &[
    "defaultNamespace",
    "defaultNamespacePrefix",
    "docker.allow",
    "label",
    "log",
    "package.allow",
    "package.default",
    "package.lock",
    "package.retire",
    "schedulingTag.hard",
    "schedulingTag.soft",
    "sp.disable",
    "tokenTimeout",
];

/// What a session is held to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Restrictions {
    /// It ends when nothing was typed or shown for so long.
    pub idle_timeout: Option<Duration>,
    /// It ends after so long.
    pub session_max: Option<Duration>,
    /// It runs as this user instead of the job's.
    pub user: Option<String>,
}

impl Restrictions {
    /// Reads them from a decision; what cannot be enforced or understood refuses the session.
    pub(in crate::gate) fn read(effective: &Effective, facts: &[Fact]) -> Result<Self, GateError> {
        let mut restrictions = Self::default();
        for (claim, values) in &effective.values {
            match claim.as_str() {
                "ssh.idleTimeout" => restrictions.idle_timeout = Some(least(claim, values)?),
                "ssh.maxSession" => restrictions.session_max = Some(least(claim, values)?),
                "ssh.user" => restrictions.user = Some(only(claim, values)?),
                "ssh.record" if values.iter().all(|it| it == "none") => (),
                "ssh.require" => require(claim, values, facts)?,
                other if ABOUT_OTHER_THINGS.contains(&other) || is_quota(other) => (),
                _ => return Err(unenforceable(claim, values)),
            }
        }
        Ok(restrictions)
    }

    /// Both at once: the stricter wins. Two different users cannot both be obeyed.
    pub(in crate::gate) fn and(self, other: Self) -> Result<Self, GateError> {
        let stricter = |a: Option<Duration>, b: Option<Duration>| a.into_iter().chain(b).min();
        let user = match (self.user, other.user) {
            (Some(a), Some(b)) if a != b => return Err(GateError::Unenforceable(format!("ssh.user {a}, {b}"))),
            (a, b) => a.or(b),
        };
        Ok(Self {
            idle_timeout: stricter(self.idle_timeout, other.idle_timeout),
            session_max: stricter(self.session_max, other.session_max),
            user,
        })
    }
}

/// Quotas bound what a job may use, which is decided when it is made or started.
fn is_quota(claim: &str) -> bool {
    claim.starts_with("total.") || claim.starts_with("max.")
}

/// Each named type must be among the facts, whoever granted; of what this version cannot supply none ever is.
fn require(claim: &str, values: &[String], facts: &[Fact]) -> Result<(), GateError> {
    for value in values {
        if !facts.iter().any(|fact| is_named(fact, value)) {
            return Err(unenforceable(claim, std::slice::from_ref(value)));
        }
    }
    Ok(())
}

/// `issuer->type` names what an issuer says, `approval` any approval, everything else context: what a token says under
/// the name of a context type does not count.
fn is_named(fact: &Fact, name: &str) -> bool {
    match name.split_once("->") {
        Some((issuer, claim_type)) => !issuer.is_empty() && fact.issuer == issuer && fact.claim_type == claim_type,
        None if name == "approval" => fact.issuer == "approval",
        None => fact.issuer.is_empty() && fact.claim_type == name,
    }
}

fn least(claim: &str, values: &[String]) -> Result<Duration, GateError> {
    let read: Option<Vec<Duration>> = values.iter().map(|it| duration(it)).collect();
    read.and_then(|it| it.into_iter().min()).ok_or_else(|| unenforceable(claim, values))
}

fn only(claim: &str, values: &[String]) -> Result<String, GateError> {
    match values {
        [value] if !value.is_empty() => Ok(value.clone()),
        [] | [..] => Err(unenforceable(claim, values)),
    }
}

fn unenforceable(claim: &str, values: &[String]) -> GateError {
    GateError::Unenforceable(format!("{claim} {}", values.join(", ")))
}

/// A duration of the language: whole decimal number and `s`, `m`, `h` or `d`.
pub(in crate::gate) fn duration(text: &str) -> Option<Duration> {
    let units: BTreeMap<char, u64> = [('s', 1), ('m', 60), ('h', 3_600), ('d', 86_400)].into();
    let unit = text.chars().next_back()?;
    let digits = text.strip_suffix(unit)?;
    let plain = !digits.is_empty() && digits.bytes().all(|it| it.is_ascii_digit());
    let canonical = digits == "0" || !digits.starts_with('0');
    let number: u64 = digits.parse().ok().filter(|_| plain && canonical)?;
    number.checked_mul(*units.get(&unit)?).map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn effective(claims: &[(&str, &[&str])]) -> Effective {
        let values = claims
            .iter()
            .map(|(claim, values)| ((*claim).to_owned(), values.iter().map(|it| (*it).to_owned()).collect()));
        Effective { values: values.collect(), totals: Vec::new() }
    }

    #[test]
    fn durations_are_whole_numbers_with_a_unit() {
        assert_eq!(duration("90s"), Some(Duration::from_secs(90)));
        assert_eq!(duration("2d"), Some(Duration::from_hours(48)));
        for bad in
            ["", "s", "90", "+9s", "-9s", "09s", "9.5s", "9 s", "9w", "99999999999999999999s", "9999999999999999d"]
        {
            assert_eq!(duration(bad), None, "{bad}");
        }
    }

    #[test]
    fn what_this_version_cannot_enforce_refuses() {
        for (claim, value) in [
            ("ssh.record", "output"),
            ("ssh.record", "full"),
            ("ssh.require", "mfa"),
            ("ssh.require", "approval"),
            ("ssh.idleTimeout", "soon"),
            ("ssh.newIdea", "x"),
            ("unknown.claim", "x"),
        ] {
            let refused = Restrictions::read(&effective(&[(claim, &[value])]), &[]);
            assert!(matches!(refused, Err(GateError::Unenforceable(_))), "{claim} {value}: {refused:?}");
        }
    }

    #[test]
    fn what_speaks_of_other_things_does_not() {
        let claims =
            effective(&[("package.retire", &["package::/x"]), ("max.instances", &["3"]), ("ssh.record", &["none"])]);
        assert_eq!(Restrictions::read(&claims, &[]), Ok(Restrictions::default()));
    }

    #[test]
    fn the_stricter_of_two_wins() {
        let a = Restrictions::read(&effective(&[("ssh.idleTimeout", &["15m"]), ("ssh.maxSession", &["8h"])]), &[]);
        let b = Restrictions::read(&effective(&[("ssh.idleTimeout", &["5m"]), ("ssh.user", &["app"])]), &[]);
        let both = a.unwrap().and(b.unwrap()).unwrap();
        assert_eq!(both.idle_timeout, Some(Duration::from_mins(5)));
        assert_eq!(both.session_max, Some(Duration::from_hours(8)));
        assert_eq!(both.user.as_deref(), Some("app"));
    }

    #[test]
    fn two_users_at_once_refuse() {
        let user = |name: &str| Restrictions { user: Some(name.to_owned()), ..Restrictions::default() };
        assert!(user("app").and(user("root")).is_err());
        assert!(user("app").and(user("app")).is_ok());
    }
}
