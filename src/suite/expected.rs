//! What a test expects of a decision.

use std::collections::BTreeMap;

use crate::eval::{Claim, Place};

/// What a test expects; what is absent is not looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Expected {
    /// Whether the request is allowed.
    pub allow: Option<bool>,
    /// Exactly the wanted claims that nobody gives.
    pub missing: Option<Vec<Claim>>,
    /// Exactly the claim types by whose restriction an otherwise allowed request is refused (`ssh.require`).
    pub refused: Option<Vec<String>>,
    /// Exactly the author's rules that grant; system documents count where they are named.
    pub rules: Option<Vec<RuleName>>,
    /// Exactly the claims that were asserted.
    pub claims: Option<Vec<Claim>>,
    /// Restricting claims and scalars in force, for each type that is named: exactly its values; none: not in force.
    pub effective: BTreeMap<String, Vec<String>>,
}

/// A rule as a test names it: `on-call:3`, or with `on-call` any rule of that document.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct RuleName {
    /// Document name without `.pol`.
    pub document: String,
    /// The line that the rule begins on.
    pub line: Option<usize>,
}

/// Expectations of which not all can hold at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Contradiction {
    /// Allowed, and claims are missing.
    #[error("a request that is allowed misses nothing")]
    AllowedMissing,
    /// Allowed, and refused.
    #[error("a request that is allowed is refused by nothing")]
    AllowedRefused,
    /// Denied, and rules grant.
    #[error("a request that is denied has no rules that grant it")]
    DeniedRules,
    /// Denied, and nothing is the matter.
    #[error("a request that misses nothing and is refused by nothing is allowed")]
    DeniedForNothing,
}

impl Expected {
    /// Whether every decision would do.
    pub fn is_anything(&self) -> bool {
        *self == Self::default()
    }

    /// Whether it says, in whatever words, that the request is not allowed.
    pub fn is_denial(&self) -> bool {
        let some = |it: Option<usize>| it.is_some_and(|count| count > 0);
        self.allow == Some(false)
            || some(self.missing.as_ref().map(Vec::len))
            || some(self.refused.as_ref().map(Vec::len))
            || self.rules.as_ref().is_some_and(Vec::is_empty)
    }

    /// Why no decision could be as expected.
    pub fn contradiction(&self) -> Option<Contradiction> {
        let count = |it: Option<usize>| it.unwrap_or(0);
        let missing = count(self.missing.as_ref().map(Vec::len));
        let refused = count(self.refused.as_ref().map(Vec::len));
        let rules = count(self.rules.as_ref().map(Vec::len));
        let nothing =
            self.missing.as_ref().is_some_and(Vec::is_empty) && self.refused.as_ref().is_some_and(Vec::is_empty);
        match self.allow {
            Some(true) if missing > 0 => Some(Contradiction::AllowedMissing),
            Some(true) if refused > 0 => Some(Contradiction::AllowedRefused),
            Some(false) if nothing => Some(Contradiction::DeniedForNothing),
            Some(true) => None,
            Some(false) | None => (rules > 0 && (self.allow.is_some() || missing > 0 || refused > 0))
                .then_some(Contradiction::DeniedRules),
        }
    }
}

impl RuleName {
    /// Reads `document` or `document:line`.
    pub fn parse(text: &str) -> Option<Self> {
        let (document, line) = match text.rsplit_once(':') {
            Some((document, line)) => (document, Some(line.parse().ok().filter(|it| *it > 0)?)),
            None => (text, None),
        };
        let document = document.strip_suffix(".pol").unwrap_or(document);
        (!document.is_empty()).then(|| Self { document: document.to_owned(), line })
    }

    /// Whether the rule at this place is meant.
    pub fn means(&self, place: &Place) -> bool {
        self.document == place.document && self.line.is_none_or(|it| it == place.line)
    }
}

impl std::fmt::Display for RuleName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.document)?;
        match self.line {
            Some(line) => write!(f, ":{line}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_is_a_document_and_perhaps_a_line() {
        let rule = |document: &str, line| Some(RuleName { document: document.to_owned(), line });
        assert_eq!(RuleName::parse("on-call"), rule("on-call", None));
        assert_eq!(RuleName::parse("on-call.pol:3"), rule("on-call", Some(3)));
        for bad in ["", ":3", "a:0", "a:", "a:x", "a:-1"] {
            assert_eq!(RuleName::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn expectations_that_exclude_each_other_are_found() {
        let claims = || Some(vec![Claim::permit("ssh")]);
        let rules = || RuleName::parse("a").map(|it| vec![it]);
        let none = || Some(Vec::new());
        let contradiction = |expected: Expected| expected.contradiction();
        let with = Expected::default;
        assert_eq!(
            contradiction(Expected { allow: Some(true), missing: claims(), ..with() }),
            Some(Contradiction::AllowedMissing)
        );
        assert_eq!(
            contradiction(Expected { missing: claims(), rules: rules(), ..with() }),
            Some(Contradiction::DeniedRules)
        );
        assert_eq!(
            contradiction(Expected { allow: Some(false), rules: rules(), ..with() }),
            Some(Contradiction::DeniedRules)
        );
        assert_eq!(
            contradiction(Expected { allow: Some(false), missing: none(), refused: Some(vec![]), ..with() }),
            Some(Contradiction::DeniedForNothing)
        );
        assert_eq!(contradiction(Expected { rules: rules(), ..with() }), None);
        assert_eq!(contradiction(Expected { allow: Some(false), missing: none(), ..with() }), None);
    }
}
