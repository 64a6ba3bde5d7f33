//! Yes or no, at the speed of a look-up: the same answer as [`decide`](crate::eval::decide) gives, without what it explains.
//!
//! A verdict goes backwards from what is wanted: the realms of the target, the rules on them that assert it, the claims that
//! those ask for. What it says it knows. Where it does not know (claims in a circle, a restriction that may refuse,
//! more of anything than its fixed room holds) the request is decided as usual.

mod ask;
mod principal;

pub use principal::Principal;

use crate::{
    compile::PolicySet,
    eval::{
        BadRequest, Claim, Fact, Place, Request, decision,
        request::check_facts,
        run::Run,
        verdict::{
            ask::{Ask, Rule},
            principal::{Facts, Kept, Kinds, Made},
        },
        want,
    },
    syntax::fqn::FqnRef,
};

/// The answer to a request.
#[must_use]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Every wanted claim was asserted, and nothing refuses. A rule that asserts the last of them.
    Allowed(Reason),
    /// Nobody asserts this one of the wanted claims, the first of those missing.
    Missing(usize),
    /// All that is wanted was asserted, and a restricting claim or scalar refuses.
    Refused,
}

/// A rule of the set that gave the verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reason {
    from: From,
    offset: usize,
}

/// Where a reason stands; finding the document of a policy is left to who asks for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum From {
    Policy(u32),
    Document(usize),
}

impl Verdict {
    /// Whether it is a yes.
    pub fn is_allowed(self) -> bool {
        matches!(self, Self::Allowed(_))
    }
}

impl Reason {
    /// Where the rule stands in the set that gave it.
    pub fn place(self, set: &PolicySet) -> Option<Place> {
        let document = match self.from {
            From::Policy(number) => set.numbers.document(number)?.0,
            From::Document(document) => document,
        };
        let source = set.sources.get(document)?;
        let location = source.location(self.offset);
        Some(Place { document: source.document().into(), line: location.line, column: location.column })
    }

    fn of(rule: Rule) -> Option<Self> {
        Some(Self { from: From::Policy(rule.policy), offset: usize::try_from(rule.place).ok()? })
    }
}

/// The verdict on a request.
///
/// ```
/// use gatehouse::{
///     compile::{System, compile},
///     eval::{Claim, Fact, Request, Verdict, verdict},
///     source::Source,
/// };
///
/// let text = r#"job::/sandbox/[name] { if (auth_server@apcera.me->name == "[name]") { role admin } }"#;
/// let set = compile(&[Source::new("sandbox.pol", text.as_bytes().to_vec())?], System::Included).unwrap();
/// let ask = |name| {
///     let facts = vec![Fact::new("auth_server@apcera.me", "name", name)];
///     verdict(&set, &Request::new("job::/sandbox/tom::web", facts, vec![Claim::permit("ssh")], None).unwrap())
/// };
/// assert!(ask("tom").is_allowed());
/// assert_eq!(ask("tommy"), Verdict::Missing(0));
/// # Ok::<(), gatehouse::source::SourceError>(())
/// ```
pub fn verdict(set: &PolicySet, request: &Request) -> Verdict {
    let all: Vec<Fact<&str>> = request.facts().iter().map(Fact::as_text).collect();
    let (kinds, made) = (Kinds::of(all.iter().copied()), Made::new());
    let facts = Facts::of_text(&all, &kinds, &made);
    let target = request.target().to_string();
    let known = FqnRef::parse(&target).ok().and_then(|target| known(set, facts, target, request.want()));
    known.unwrap_or_else(|| decided(set, request))
}

/// The verdict for a principal whose facts were looked at before, on the target that the text names.
///
/// Takes no memory, unless the request has to be decided as usual.
///
/// # Errors
///
/// As [`Request::new`] for the target, and where nothing is wanted. Wanted text that no claim can have is missing.
pub fn verdict_for<T: AsRef<str>>(
    set: &PolicySet,
    principal: &Principal,
    target: &str,
    want: &[Claim<T>],
) -> Result<Verdict, BadRequest> {
    let name = FqnRef::parse(target)?;
    if let Some(verdict) = known(set, principal.facts(), name, want) {
        return Ok(verdict);
    }
    let facts = principal.facts().iter().map(Fact::to_owned).collect();
    Ok(decided(set, &Request::new(target, facts, owned(want), None)?))
}

/// The verdict on a question that is text, for those who ask one question about someone.
///
/// Facts are given as in [`Request::new`], those of the time among them. Up to 64 of them are looked at where they stand;
/// it takes no memory then, unless the request has to be decided as usual.
///
/// # Errors
///
/// As [`Request::new`]. Wanted text that no claim can have is missing.
///
/// ```
/// use gatehouse::{
///     compile::{System, compile},
///     eval::{Claim, Fact, verdict_of_text},
///     source::Source,
/// };
///
/// let text = r#"job::/sandbox/[name] { if (auth_server@apcera.me->name == "[name]") { role admin } }"#;
/// let set = compile(&[Source::new("sandbox.pol", text.as_bytes().to_vec())?], System::Included).unwrap();
/// let tom = [Fact { issuer: "auth_server@apcera.me", claim_type: "name", value: "tom" }];
/// let ssh = [Claim { claim_type: "permit", value: "ssh" }];
/// assert!(verdict_of_text(&set, &tom, "job::/sandbox/tom::web", &ssh)?.is_allowed());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn verdict_of_text(
    set: &PolicySet,
    facts: &[Fact<&str>],
    target: &str,
    want: &[Claim<&str>],
) -> Result<Verdict, BadRequest> {
    let name = FqnRef::parse(target)?;
    // Filled where it stands: it is large, and would be moved.
    let mut kinds = Kinds::default();
    check_facts(facts, |at, fact| kinds.begin(at, fact))?;
    if let Some(verdict) = known(set, Facts::of_text(facts, &kinds, &Made::new()), name, want) {
        return Ok(verdict);
    }
    let facts = facts.iter().copied().map(Fact::to_owned).collect();
    Ok(decided(set, &Request::new(target, facts, owned(want), None)?))
}

fn owned<T: AsRef<str>>(want: &[Claim<T>]) -> Vec<Claim> {
    want.iter().map(|it| Claim::new(it.claim_type.as_ref(), it.value.as_ref())).collect()
}

/// The verdict, where looking up tells it.
fn known<T: Kept, W: AsRef<str>>(
    set: &PolicySet,
    facts: Facts<'_, T>,
    target: FqnRef<'_>,
    want: &[Claim<W>],
) -> Option<Verdict> {
    let plan = &set.plan;
    let mut ask = Ask::new(set, plan, facts, target);
    ask.find_units()?;
    let mut reason = None;
    for (at, want) in want.iter().enumerate() {
        // Of these every value is constant and equal to what is wanted; others may be asserted in other ways.
        if !matches!(want.claim_type.as_ref(), "permit" | "role") {
            return None;
        }
        match plan
            .claim(want.claim_type.as_ref().as_bytes(), want.value.as_ref().as_bytes())
            .and_then(|it| ask.asserted(it))
        {
            Some(by) => reason = Some(by),
            None if ask.is_unclear() => return None,
            None => return Some(Verdict::Missing(at)),
        }
    }
    if ask.may_be_refused() {
        return None;
    }
    Reason::of(reason?).map(Verdict::Allowed)
}

fn decided(set: &PolicySet, request: &Request) -> Verdict {
    let found = set.find(request.target());
    let run = Run::new(set, &found, request);
    let met = want::met(&run);
    if let Some((missing, _)) = met.iter().find(|(_, by)| by.is_none()) {
        return Verdict::Missing(request.want().iter().position(|it| it == *missing).unwrap_or_default());
    }
    let claim = met.last().and_then(|(_, by)| run.claims.get((*by)?));
    let rule = claim.and_then(|it| Some((run.policies.get(it.by.policy)?.document, it.offset)));
    match rule.filter(|_| decision(&run).is_allowed()) {
        Some((document, offset)) => Verdict::Allowed(Reason { from: From::Document(document), offset }),
        None => Verdict::Refused,
    }
}

#[cfg(test)]
mod tests;
