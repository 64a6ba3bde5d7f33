//! Where two rules would speak of one place, only the more specific does (reference section 10).

use std::collections::{BTreeMap, BTreeSet};

use crate::{compile::Finding, diagnostic::Code, source::Span};

/// The more specific rule, and the one that is silent where both find something at one place.
const SILENCES: &[(Code, Code)] = &[
    (Code::GrantToEveryoneInTemplate, Code::UnconditionalGrant),
    (Code::RoleNeverAsserted, Code::UnreachableChain),
    (Code::UnknownPermit, Code::UnreachableChain),
    (Code::UnknownClaim, Code::UnreachableChain),
    (Code::ConfusableNames, Code::RoleNeverAsserted),
    (Code::ConfusableNames, Code::RoleNeverTested),
    (Code::ConfusableNames, Code::UnknownIssuer),
];

/// The findings, without those at whose place a more specific rule speaks.
pub(super) fn most_specific(mut findings: Vec<Finding>) -> Vec<Finding> {
    let mut at: BTreeMap<(usize, Span), BTreeSet<Code>> = BTreeMap::new();
    for finding in &findings {
        at.entry((finding.source, finding.diagnostic.span)).or_default().insert(finding.diagnostic.code);
    }
    findings.retain(|finding| {
        let Some(beside) = at.get(&(finding.source, finding.diagnostic.span)) else { return true };
        let general =
            |(specific, general): &&(Code, Code)| *general == finding.diagnostic.code && beside.contains(specific);
        !SILENCES.iter().any(|it| general(&it))
    });
    findings
}
