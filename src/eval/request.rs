//! What is asked: target, facts, wanted claims.

use smallvec::SmallVec;
use smol_str::SmolStr;
use unicode_normalization::is_nfc;

use crate::{
    compile::catalogue::CONTEXT_SEVERAL,
    eval::time,
    limits::{FACTS_BYTES_MAX, FACTS_MAX},
    syntax::{
        fqn::{Fqn, FqnError, FqnRef},
        vocabulary::is_context,
        words::{is_plain, is_same},
    },
};

/// A claim: type and value, asserted by the engine or wanted from it. Of `&str` it is text that stands elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Claim<T = SmolStr> {
    /// `permit`.
    pub claim_type: T,
    /// `ssh`.
    pub value: T,
}

/// Something known about the principal or, with an empty issuer, about the operation. Of `&str` it is text that stands
/// elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fact<T = SmolStr> {
    /// `auth_server@apcera.me`; empty for context.
    pub issuer: T,
    /// `name`.
    pub claim_type: T,
    /// `tom`.
    pub value: T,
}

/// One instant in the cluster's zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Now {
    /// Seconds since 1970-01-01T00:00:00Z.
    pub unix_seconds: i64,
    /// Offset of the cluster's zone from UTC at that instant.
    pub offset_seconds: i32,
}

/// A well-formed question. Made only by [`Request::new`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    // INVARIANT (valid): the facts obey `language.md` section 5 and the limits, are unique and ascending, and hold the
    // time context of `now`; `want` is not empty.
    target: Fqn,
    facts: Vec<Fact>,
    want: Vec<Claim>,
    now: Option<Now>,
}

/// Why a question cannot be decided; it is then refused, never decided.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadRequest {
    /// Nothing is wanted.
    #[error("the request wants nothing")]
    EmptyWant,
    /// The target is no complete name.
    #[error("the target is no name: {0}")]
    Target(#[from] FqnError),
    /// A fact or a wanted claim has no type.
    #[error("a claim type is empty")]
    EmptyType,
    /// Text that two programs could read differently.
    #[error("`{}` is not in Unicode normalization form C", .0.escape_debug())]
    NotNfc(String),
    /// Text that would reach logs and terminals.
    #[error("`{}` has a control character", .0.escape_debug())]
    ControlCharacter(String),
    /// A fact without an issuer that is none of the operation's.
    #[error("`{}` is no fact of an operation, and no issuer is given", .0.escape_debug())]
    NotContext(String),
    /// More than one value where there can be only one.
    #[error("`{}` has more than one value", .0.escape_debug())]
    SeveralValues(String),
    /// A context value that the engine would never supply.
    #[error("`{}` cannot be the value of `{claim_type}`", .value.escape_debug())]
    BadContext {
        /// `time.hour`.
        claim_type: String,
        /// `25`.
        value: String,
    },
    /// A time fact beside the instant that supplies them all.
    #[error("`{0}` follows from `now` and cannot be given beside it")]
    TimeTwice(String),
    /// An instant that has no date of four digits.
    #[error("`now` lies outside the years 0001 to 9999")]
    BadNow,
    /// More than [`FACTS_MAX`].
    #[error("the request has {0} facts, more than the {FACTS_MAX} it may have")]
    TooManyFacts(usize),
    /// More than [`FACTS_BYTES_MAX`].
    #[error("the facts have {0} bytes, more than the {FACTS_BYTES_MAX} they may have")]
    FactsTooLarge(usize),
    /// More than [`FACTS_MAX`] too: nothing that is wanted has so many parts.
    #[error("the request wants {0} claims, more than the {FACTS_MAX} it may want")]
    TooManyWants(usize),
}

/// Issuer of what the platform itself says of a principal.
const PLATFORM: &str = "auth_server@apcera.me";

/// Facts of the platform's own issuer that have one value.
const PLATFORM_SINGLE: &[&str] = &["name", "authType"];

/// Context types whose value is the name of a resource.
const NAMES: &[&str] = &["job", "service", "route", "network"];

impl Request {
    /// Checks target and facts; `now` supplies the time context (`time.*`), which facts then may not.
    ///
    /// ```
    /// use gatehouse::eval::{Claim, Fact, Request};
    ///
    /// let facts = vec![Fact::new("auth_server@apcera.me", "name", "tom")];
    /// assert!(Request::new("job::/sandbox/tom::web", facts, vec![Claim::permit("ssh")], None).is_ok());
    /// assert!(Request::new("job::/sandbox/tom/", vec![], vec![Claim::permit("ssh")], None).is_err());
    /// assert!(Request::new("job::/", vec![Fact::context("role", "admin")], vec![Claim::permit("ssh")], None).is_err());
    /// ```
    pub fn new(target: &str, facts: Vec<Fact>, want: Vec<Claim>, now: Option<Now>) -> Result<Self, BadRequest> {
        let target = Fqn::parse(target)?;
        check_wants(&want)?;
        check_size(&facts)?;
        for fact in &facts {
            fact.as_text().check(now)?;
        }
        let mut facts = facts;
        if let Some(now) = now {
            facts.extend(time::facts(now).ok_or(BadRequest::BadNow)?);
        }
        facts.sort_unstable();
        facts.dedup();
        check_single(&facts)?;
        Ok(Self { target, facts, want, now })
    }

    /// What is to be operated on.
    pub fn target(&self) -> &Fqn {
        &self.target
    }

    /// Unique, ascending; those of the time context are among them.
    pub fn facts(&self) -> &[Fact] {
        &self.facts
    }

    /// At least one, in the order given.
    pub fn want(&self) -> &[Claim] {
        &self.want
    }

    /// The instant that the time context is from.
    pub fn now(&self) -> Option<Now> {
        self.now
    }
}

fn check_wants(want: &[Claim]) -> Result<(), BadRequest> {
    if want.is_empty() {
        return Err(BadRequest::EmptyWant);
    }
    if want.len() > FACTS_MAX {
        return Err(BadRequest::TooManyWants(want.len()));
    }
    for claim in want {
        if claim.claim_type.is_empty() {
            return Err(BadRequest::EmptyType);
        }
        check_text(&claim.claim_type)?;
        check_text(&claim.value)?;
    }
    Ok(())
}

/// Checks facts as [`Request::new`] does, in whatever order they come and how often; without `now`. Tells of each fact whose
/// issuer and type are others than those of the fact before it, and its index.
pub(crate) fn check_facts(facts: &[Fact<&str>], mut tell: impl FnMut(usize, &Fact<&str>)) -> Result<(), BadRequest> {
    check_size(facts)?;
    // No more than there are context types, and two of the platform's.
    let mut single: SmallVec<[&Fact<&str>; 32]> = SmallVec::new();
    let mut last: Option<&Fact<&str>> = None;
    let mut is_single_valued = false;
    // Told only where nothing else is wrong.
    let mut several = None;
    for (at, fact) in facts.iter().enumerate() {
        // Groups come one after the other: what they are groups of is looked at once.
        if !last.is_some_and(|it| it.is_of_type_of(fact)) {
            fact.check_type(None)?;
            is_single_valued = fact.is_single_valued();
            tell(at, fact);
        }
        if fact.issuer.is_empty() || !is_plain(fact.value) {
            fact.check_value()?;
        }
        if is_single_valued {
            match single.iter().find(|it| it.is_of_type_of(fact)) {
                Some(first) if first.value != fact.value => several = Some(*first),
                Some(_) => (),
                None => single.push(fact),
            }
        }
        last = Some(fact);
    }
    several.map_or(Ok(()), |it| Err(BadRequest::SeveralValues(it.shown())))
}

fn check_size<T: AsRef<str>>(facts: &[Fact<T>]) -> Result<(), BadRequest> {
    if facts.len() > FACTS_MAX {
        return Err(BadRequest::TooManyFacts(facts.len()));
    }
    let lengths = facts.iter().flat_map(|it| [&it.issuer, &it.claim_type, &it.value]).map(|it| it.as_ref().len());
    let bytes = lengths.fold(0, usize::saturating_add);
    if bytes > FACTS_BYTES_MAX {
        return Err(BadRequest::FactsTooLarge(bytes));
    }
    Ok(())
}

fn check_text(text: &str) -> Result<(), BadRequest> {
    if is_plain(text) { Ok(()) } else { check_other_text(text) }
}

#[cold]
fn check_other_text(text: &str) -> Result<(), BadRequest> {
    if text.contains(char::is_control) {
        return Err(BadRequest::ControlCharacter(text.to_owned()));
    }
    if !is_nfc(text) {
        return Err(BadRequest::NotNfc(text.to_owned()));
    }
    Ok(())
}

/// `facts` is ascending and without duplicates, so that two neighbours of one type have two values.
fn check_single(facts: &[Fact]) -> Result<(), BadRequest> {
    for pair in facts.windows(2) {
        if let [a, b] = pair
            && a.as_text().is_of_type_of(&b.as_text())
            && a.as_text().is_single_valued()
        {
            return Err(BadRequest::SeveralValues(a.as_text().shown()));
        }
    }
    Ok(())
}

impl Fact {
    /// What an issuer says of the principal.
    pub fn new(issuer: impl Into<SmolStr>, claim_type: impl Into<SmolStr>, value: impl Into<SmolStr>) -> Self {
        Self { issuer: issuer.into(), claim_type: claim_type.into(), value: value.into() }
    }

    /// What the engine says of the operation.
    pub fn context(claim_type: impl Into<SmolStr>, value: impl Into<SmolStr>) -> Self {
        Self::new("", claim_type, value)
    }

    /// The same, its text standing here.
    pub fn as_text(&self) -> Fact<&str> {
        Fact { issuer: &self.issuer, claim_type: &self.claim_type, value: &self.value }
    }
}

impl Fact<&str> {
    /// The same, with text of its own.
    pub(crate) fn to_owned(self) -> Fact {
        Fact::new(self.issuer, self.claim_type, self.value)
    }

    pub(crate) fn is_of_type_of(&self, other: &Self) -> bool {
        is_same(self.claim_type.as_bytes(), other.claim_type.as_bytes())
            && is_same(self.issuer.as_bytes(), other.issuer.as_bytes())
    }

    fn check(&self, now: Option<Now>) -> Result<(), BadRequest> {
        self.check_type(now)?;
        self.check_value()
    }

    /// What does not depend on the value.
    fn check_type(&self, now: Option<Now>) -> Result<(), BadRequest> {
        if self.claim_type.is_empty() {
            return Err(BadRequest::EmptyType);
        }
        check_text(self.issuer)?;
        check_text(self.claim_type)?;
        if !self.issuer.is_empty() {
            return Ok(());
        }
        if !is_context(self.claim_type) {
            return Err(BadRequest::NotContext(self.claim_type.to_owned()));
        }
        if now.is_some() && self.claim_type.starts_with("time.") {
            return Err(BadRequest::TimeTwice(self.claim_type.to_owned()));
        }
        Ok(())
    }

    fn check_value(&self) -> Result<(), BadRequest> {
        check_text(self.value)?;
        if !self.issuer.is_empty() || self.is_possible_context() { Ok(()) } else { Err(self.bad_context()) }
    }

    /// Whether the engine could say this of an operation. A handshake's other side is a name as strict as the target,
    /// so that no text test on it can be led astray by `..` or a doubled slash.
    fn is_possible_context(&self) -> bool {
        match self.claim_type {
            name if NAMES.contains(&name) => FqnRef::parse(self.value).is_ok(),
            "side" => matches!(self.value, "source" | "destination"),
            "principal.kind" => matches!(self.value, "user" | "job"),
            name if name.starts_with("time.") => time::is_possible(name, self.value),
            _ => true,
        }
    }

    fn bad_context(&self) -> BadRequest {
        BadRequest::BadContext { claim_type: self.claim_type.to_owned(), value: self.value.to_owned() }
    }

    /// Whether there can be only one of this issuer and type (reference section 5).
    fn is_single_valued(&self) -> bool {
        let claim_type = self.claim_type;
        match self.issuer {
            "" => !CONTEXT_SEVERAL.contains(&claim_type) && !claim_type.starts_with("tag."),
            PLATFORM => PLATFORM_SINGLE.contains(&claim_type),
            _ => false,
        }
    }

    fn shown(&self) -> String {
        if self.issuer.is_empty() {
            self.claim_type.to_owned()
        } else {
            format!("{}->{}", self.issuer, self.claim_type)
        }
    }
}

impl Claim {
    /// A claim of any type.
    pub fn new(claim_type: impl Into<SmolStr>, value: impl Into<SmolStr>) -> Self {
        Self { claim_type: claim_type.into(), value: value.into() }
    }

    /// The same, its text standing here.
    pub fn as_text(&self) -> Claim<&str> {
        Claim { claim_type: &self.claim_type, value: &self.value }
    }

    /// `permit VALUE`.
    pub fn permit(value: impl Into<SmolStr>) -> Self {
        Self::new("permit", value)
    }
}

impl std::fmt::Display for Claim {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.claim_type, self.value)
    }
}

impl std::fmt::Display for Fact {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.as_text().shown(), self.value)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::eval::{
        Claim, Fact, Request,
        request::{BadRequest, check_facts},
    };

    fn facts() -> impl Strategy<Value = Vec<Fact>> {
        let issuer = prop::sample::select(vec!["", "", "auth_server@apcera.me", "LDAP"]);
        let claim_type = prop::sample::select(vec!["name", "job", "side", "mfa", "tag.a", "time.hour", "group", ""]);
        let values =
            vec!["a", "b", "job::/a", "job::/a/", "side", "source", "9", "25", "e\u{301}", "\u{e9}", "a\u{7f}", "~ "];
        let fact = (issuer, claim_type, prop::sample::select(values));
        prop::collection::vec(fact.prop_map(|(issuer, claim_type, value)| Fact::new(issuer, claim_type, value)), 0..5)
    }

    proptest! {
        #[test]
        fn text_is_checked_as_a_request_is(facts in facts()) {
            let texts: Vec<Fact<&str>> = facts.iter().map(Fact::as_text).collect();
            let as_request = Request::new("job::/", facts.clone(), vec![Claim::permit("read")], None).map(drop);
            // Of several types with several values either may be told.
            let is_several = |it: &Result<(), BadRequest>| matches!(it, Err(BadRequest::SeveralValues(_)));
            let as_text = check_facts(&texts, |_, _| ());
            prop_assert!(as_text == as_request || (is_several(&as_text) && is_several(&as_request)));
        }
    }
}
