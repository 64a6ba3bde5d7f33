//! A policy set and a request to a decision (reference sections 5 and 6).
//!
//! [`decide`] is the whole of it: the least fixpoint of the rules on the target, the wants that it meets, and what
//! restricting claims and scalars come to. [`denial`] says what would have been needed.

mod coverage;
mod decision;
mod denial;
mod derivation;
mod effective;
mod hint;
mod image;
mod producers;
pub mod reference;
mod request;
mod run;
mod sentence;
pub(crate) mod time;
mod validity;
mod values;
mod verdict;
mod waiting;
mod want;

pub use coverage::{Coverage, CoveredComparison, CoveredRule, Seen};
pub use decision::{Decision, Place, Refusal, Step, Used};
pub use denial::{Condition, Denial, NearMiss, denial};
pub use effective::{Effective, Total};
pub use request::{BadRequest, Claim, Fact, Now, Request};
pub use sentence::{headline, sentence};
pub use verdict::{Principal, Reason, Verdict, verdict, verdict_for, verdict_of_text};

use std::collections::BTreeSet;

use crate::{compile::PolicySet, eval::run::Run, syntax::vocabulary::RESOURCE_TYPES};

/// Decides a request. Total: it always answers, and answers "denied" where it can do nothing better.
///
/// ```
/// use gatehouse::{
///     compile::{System, compile},
///     eval::{Claim, Fact, Request, decide},
///     source::Source,
/// };
///
/// let text = r#"job::/sandbox/[name] { if (auth_server@apcera.me->name == "[name]") { role admin } }"#;
/// let set = compile(&[Source::new("sandbox.pol", text.as_bytes().to_vec())?], System::Included).unwrap();
/// let decide_for = |name| {
///     let facts = vec![Fact::new("auth_server@apcera.me", "name", name)];
///     decide(&set, &Request::new("job::/sandbox/tom::web", facts, vec![Claim::permit("ssh")], None).unwrap())
/// };
/// assert!(decide_for("tom").is_allowed());
/// assert_eq!(decide_for("tommy").missing(), [Claim::permit("ssh")]);
/// # Ok::<(), gatehouse::source::SourceError>(())
/// ```
pub fn decide(set: &PolicySet, request: &Request) -> Decision {
    decision(&Run::new(set, &set.find(request.target()), request))
}

/// The same, and notes what of the set the request touched; `coverage` was made of this set.
pub fn decide_covering(set: &PolicySet, request: &Request, coverage: &mut Coverage) -> Decision {
    let found = set.find(request.target());
    let run = Run::new(set, &found, request);
    coverage.add(&run);
    decision(&run)
}

fn decision(run: &Run<'_>) -> Decision {
    let wants = want::met(run);
    let missing: Vec<Claim> = wants.iter().filter(|(_, met)| met.is_none()).map(|(want, _)| (*want).clone()).collect();
    let (effective, mut refusals) = effective::effective(run);
    refusals.extend(token_name(run));
    refusals.sort_unstable();
    refusals.dedup();
    let allowed = missing.is_empty() && refusals.is_empty();
    let asserted = derivation::claims(run);
    let why = derivation::steps(run, &asserted, wants.iter().filter_map(|(_, met)| *met));
    let mut because: Vec<Place> = if allowed { why.iter().map(|it| it.place.clone()).collect() } else { Vec::new() };
    because.sort_unstable();
    because.dedup();
    let claims = derivation::ascending(run, &asserted);
    Decision { allowed, missing, refusals, claims, why, because, effective, valid_until: validity::valid_until(run) }
}

/// Whether some rule could grant what is wanted if the context types in `open` had values that suit it: each comparison
/// of one of them counts as true (reference section 7, the opening of a raw tunnel). Restricting claims do not count.
pub fn could(set: &PolicySet, request: &Request, open: &[&str]) -> bool {
    let found = set.find(request.target());
    let run = Run::leaving_open(set, &found, request, open);
    want::met(&run).iter().all(|(_, met)| met.is_some())
}

/// What speaks against a token, where one is to be issued: it needs exactly one name, and none that belongs to a
/// resource, unless that is the job that the token is for.
fn token_name(run: &Run<'_>) -> Option<Refusal> {
    let issues = run.request.target().resource_type() == "auth"
        && run.request.want().contains(&Claim::permit("issue"))
        && run.find("permit", "issue").is_some();
    if !issues {
        return None;
    }
    let names: BTreeSet<&str> = run.claims_of("name").map(|(_, it)| it.value.as_ref()).collect();
    let Some(name) = names.first() else { return Some(Refusal::NoName) };
    let like_resource = |it: &str| {
        RESOURCE_TYPES.iter().any(|known| it.strip_prefix(known.name).is_some_and(|rest| rest.starts_with("::/")))
    };
    let is_own_job = |it: &str| run.request.facts().contains(&Fact::context("job", it));
    if names.len() == 1 && like_resource(name) && !is_own_job(name) {
        return Some(Refusal::ReservedName { name: (*name).to_owned() });
    }
    effective::conflict("name", &names)
}
