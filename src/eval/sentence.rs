//! A decision in a sentence, for whoever was woken by it.

use std::collections::BTreeSet;

use crate::{
    diagnostic::printable::Printable,
    eval::{Claim, Decision, Denial, NearMiss, Place, Request},
};

/// Conditions named in a sentence.
const UNMET_SHOWN: usize = 3;

/// What was decided: `denied: missing claim "permit ssh" on "job::/prod::web"`. Fit for a terminal.
pub fn headline(request: &Request, decision: &Decision) -> String {
    let target = request.target().to_string();
    let target = Printable(&target);
    let quoted = |claims: &[Claim]| {
        let texts = claims.iter().map(|it| format!("\"{} {}\"", Printable(&it.claim_type), Printable(&it.value)));
        texts.collect::<Vec<_>>().join(", ")
    };
    if decision.is_allowed() {
        return format!("allowed: {} on \"{target}\"", quoted(request.want()));
    }
    match decision.missing() {
        [] => {
            let refusals = decision.refusals().iter().map(|it| Printable(&it.to_string()).to_string());
            format!("refused on \"{target}\": {}", refusals.collect::<Vec<_>>().join("; "))
        }
        [missing] => format!("denied: missing claim {} on \"{target}\"", quoted(std::slice::from_ref(missing))),
        missing => format!("denied: missing claims {} on \"{target}\"", quoted(missing)),
    }
}

/// The same, and of a denial the rule that comes nearest with what it lacks. Fit for a terminal.
pub fn sentence(request: &Request, decision: &Decision, denial: &Denial) -> String {
    let headline = headline(request, decision);
    match denial.worth_showing().first() {
        Some(miss) if !decision.missing().is_empty() => format!("{headline}; {}", nearest(miss)),
        Some(_) | None => headline,
    }
}

/// What would be enough.
fn nearest(miss: &NearMiss) -> String {
    let unmet: Vec<String> = miss
        .conditions
        .iter()
        .filter(|it| !it.held)
        .take(UNMET_SHOWN)
        .map(|it| format!("`{}`", Printable(&it.text)))
        .collect();
    // Of alternatives one is enough, so that fewer may be needed than do not hold.
    let needs =
        if miss.unmet == unmet.len() { unmet.join(" and ") } else { format!("{} of {}", miss.unmet, unmet.join(", ")) };
    format!("the nearest rule, {}, needs {needs}", place(&miss.place))
}

fn place(place: &Place) -> String {
    format!("{}:{}:{}", Printable(&place.document), place.line, place.column)
}

impl Denial {
    /// Rules that lack a fact. Those that only wait for other rules are links of the chain, and are shown where there is
    /// nothing else.
    pub fn worth_showing(&self) -> Vec<&NearMiss> {
        let lacking_facts: Vec<&NearMiss> = self.nearest.iter().filter(|it| it.waits < it.unmet).collect();
        let explained: BTreeSet<_> = lacking_facts.iter().map(|it| &it.wanted).collect();
        self.nearest.iter().filter(|it| it.waits < it.unmet || !explained.contains(&it.wanted)).collect()
    }
}
