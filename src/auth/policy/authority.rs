//! What a change of policy needs (`language.md` section 7): `permit update` on `policy::` for every realm in the old and
//! the new text, on `policy::/` for roots and documents that end up empty, on the parent where a restriction loosens.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use crate::{
    auth::{AuthError, policy::containment::contains},
    compile::{self, System},
    gate::{Gate, GateError, Operation, PolicyPermit, Principal, Refusal, Snapshot},
    source::{Source, Span},
    syntax::{
        ast::{Block, Document, Item, Local, Policy, Realm, Segment},
        parse,
    },
};

/// Claims that refuse: to take one away is to grant.
const RESTRICTING: &[&str] = &[
    "schedulingTag.hard",
    "package.lock",
    "package.retire",
    "sp.disable",
    "tokenTimeout",
    "ssh.idleTimeout",
    "ssh.maxSession",
    "ssh.record",
    "ssh.require",
];

/// Sets that one change may need to have compiled. Each is the whole set without what does not count for some realm.
const SETS_MAX: usize = 256;

/// One thing that must be permitted: update on `realm`, as far as `resource_type` goes.
#[derive(Debug, Clone)]
pub(in crate::auth) struct Requirement {
    realm: Realm,
    /// Absent for authority over every type.
    resource_type: Option<String>,
}

/// The documents that a change takes away and those that it brings.
#[derive(Debug)]
pub(in crate::auth) struct Change<'a> {
    pub(in crate::auth) old: &'a [Source],
    pub(in crate::auth) new: &'a [Source],
    /// It concerns all of policy: a document is, or was, without any, or tests change.
    pub(in crate::auth) whole: bool,
}

/// What a change needs. The new texts must parse.
pub(in crate::auth) fn requirements(change: &Change<'_>) -> Vec<Requirement> {
    let mut needed = Needed::default();
    if change.whole {
        needed.add(root(), None);
    }
    let (old, new) = (read(change.old), read(change.new));
    for (_, document) in old.iter().chain(&new) {
        for policy in &document.policies {
            let about = Some(policy.realm.resource_type.text.to_string());
            needed.add(if policy.realm.namespace.is_empty() { root() } else { policy.realm.clone() }, about);
        }
    }
    let kept = restrictions(&new);
    for (restriction, (count, realm)) in &restrictions(&old) {
        if kept.get(restriction).map_or(0, |(it, _)| *it) < *count {
            needed.add(parent(realm), Some(realm.resource_type.text.to_string()));
        }
    }
    needed.list
}

#[derive(Default)]
struct Needed {
    seen: BTreeSet<String>,
    list: Vec<Requirement>,
}

impl Needed {
    fn add(&mut self, realm: Realm, resource_type: Option<String>) {
        if self.seen.insert(format!("{} {resource_type:?}", pattern(&realm))) {
            self.list.push(Requirement { realm, resource_type });
        }
    }
}

/// Checks requirements by one set of documents.
pub(in crate::auth) struct Judge<'a> {
    gate: &'a Gate,
    sources: Vec<(Source, Document)>,
    revision: u64,
    /// Compiled sets by the `policy::` policies that they lack.
    sets: BTreeMap<Vec<(usize, usize)>, Snapshot>,
}

impl<'a> Judge<'a> {
    /// By these documents and the system documents. They must compile.
    pub(in crate::auth) fn new(gate: &'a Gate, sources: &[Source], revision: u64) -> Self {
        let sources = sources.iter().map(|it| (it.clone(), parse(it).document)).collect();
        Self { gate, sources, revision, sets: BTreeMap::new() }
    }

    /// The first requirement that the principal does not meet.
    pub(in crate::auth) fn first_unmet(
        &mut self,
        principal: &Principal,
        requirements: &[Requirement],
    ) -> Result<Option<Refusal>, AuthError> {
        for requirement in requirements {
            let target = target(&requirement.realm);
            let operation =
                Operation::policy(PolicyPermit::Update, &target, requirement.resource_type.as_deref(), None);
            let gate = self.gate;
            let snapshot = self.set_for(&requirement.realm)?;
            let decision = gate.foresee(snapshot, principal, &operation)?;
            if !decision.is_allowed() {
                let restriction = decision.refusals().first().map(ToString::to_string);
                let missing = decision.missing().to_vec();
                return Ok(Some(Refusal { target, missing, restriction, revision: self.revision }));
            }
        }
        Ok(None)
    }

    /// The set without the `policy::` policies whose realm does not contain all of `realm`: no other rule counts.
    fn set_for(&mut self, realm: &Realm) -> Result<&Snapshot, AuthError> {
        let without = self.not_counting(realm);
        if !self.sets.contains_key(&without) {
            if SETS_MAX <= self.sets.len() {
                return Err(AuthError::TooLarge("the change touches too many different realms at once".to_owned()));
            }
            let snapshot = self.compile_without(&without)?;
            self.sets.insert(without.clone(), snapshot);
        }
        self.sets.get(&without).ok_or(AuthError::Gate(GateError::Unrecorded))
    }

    fn not_counting(&self, realm: &Realm) -> Vec<(usize, usize)> {
        let mut without = Vec::new();
        for (at, (_, document)) in self.sources.iter().enumerate() {
            for (number, policy) in document.policies.iter().enumerate() {
                if policy.realm.resource_type.text == "policy" && !contains(&policy.realm, realm) {
                    without.push((at, number));
                }
            }
        }
        without
    }

    fn compile_without(&self, without: &[(usize, usize)]) -> Result<Snapshot, AuthError> {
        let mut sources = Vec::new();
        for (at, (source, document)) in self.sources.iter().enumerate() {
            let gone = document.policies.iter().enumerate().filter(|(number, _)| without.contains(&(at, *number)));
            sources.push(blanked(source, gone.map(|(_, policy)| policy.span))?);
        }
        let set = compile::compile(&sources, System::Included)
            .map_err(|_| AuthError::Key("the documents compile, but not without some of their policies".to_owned()))?;
        Ok(Snapshot::first(self.revision, set))
    }
}

/// The document with blanks in place of some policies, so that every other word stays where it is.
fn blanked(source: &Source, spans: impl Iterator<Item = Span>) -> Result<Source, AuthError> {
    let mut bytes = source.text().as_bytes().to_vec();
    for span in spans {
        for byte in bytes.get_mut(span.range()).unwrap_or_default() {
            if *byte != b'\n' {
                *byte = b' ';
            }
        }
    }
    Source::new(source.name(), bytes).map_err(|error| AuthError::Invalid(error.to_string()))
}

fn read(sources: &[Source]) -> Vec<(&Source, Document)> {
    sources.iter().map(|it| (it, parse(it).document)).collect()
}

/// Every restricting claim with where and under which conditions it stands, and how often.
fn restrictions(documents: &[(&Source, Document)]) -> BTreeMap<(String, String), (usize, Realm)> {
    let mut found = BTreeMap::new();
    for (source, document) in documents {
        for policy in &document.policies {
            collect(source, policy, &policy.block, &mut Vec::new(), &mut found);
        }
    }
    found
}

fn collect(
    source: &Source,
    policy: &Policy,
    block: &Block,
    conditions: &mut Vec<String>,
    found: &mut BTreeMap<(String, String), (usize, Realm)>,
) {
    for item in &block.items {
        match item {
            Item::Rule(rule) => {
                conditions.push(words(source.slice(rule.condition.span())));
                collect(source, policy, &rule.block, conditions, found);
                conditions.pop();
            }
            Item::Block(inner) => collect(source, policy, inner, conditions, found),
            Item::Claim(claim) if is_restricting(&claim.claim_type.text) => {
                let text = format!("{} if {}", words(source.slice(claim.span)), conditions.join(" && "));
                let key = (pattern(&policy.realm), text);
                let entry = found.entry(key).or_insert_with(|| (0, policy.realm.clone()));
                entry.0 = entry.0.saturating_add(1);
            }
            Item::Claim(_) => (),
        }
    }
}

fn is_restricting(claim_type: &str) -> bool {
    RESTRICTING.contains(&claim_type) || claim_type.starts_with("total.") || claim_type.starts_with("max.")
}

/// The text with single blanks, so that a change of layout is no change.
fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// `policy::/` as a realm.
fn root() -> Realm {
    let resource_type = crate::syntax::ast::Name { text: "policy".into(), span: Span::default() };
    let (namespace, local) = (Vec::new(), Local::Below);
    Realm { resource_type, namespace, local, trailing_slash: false, span: Span::default() }
}

/// The least realm that properly contains it; of a root, the root of policy.
fn parent(realm: &Realm) -> Realm {
    let mut parent = Realm { local: Local::Below, ..realm.clone() };
    if realm.local == Local::Below {
        parent.namespace.pop();
    }
    if parent.namespace.is_empty() { root() } else { parent }
}

/// The realm as text, its type aside.
fn pattern(realm: &Realm) -> String {
    let local = match &realm.local {
        Local::Below => String::new(),
        Local::Exact => "::".to_owned(),
        Local::Any => "::*".to_owned(),
        Local::Named(segments) => format!("::{}", joined(segments, |it| format!("[{it}]"))),
    };
    format!("{}::/{}{local}", realm.resource_type.text, joined(&realm.namespace, |it| format!("[{it}]")))
}

/// A name that stands for every name of the realm, once only rules that contain the whole realm are left. Its variables
/// are texts that nothing equals.
fn target(realm: &Realm) -> String {
    let mut fresh: BTreeMap<String, String> = BTreeMap::new();
    let mut bind = |name: &str| fresh.entry(name.to_owned()).or_insert_with(|| Uuid::new_v4().to_string()).clone();
    let namespace = joined(&realm.namespace, &mut bind);
    let local = match &realm.local {
        Local::Below | Local::Exact => String::new(),
        Local::Any => format!("::{}", Uuid::new_v4()),
        Local::Named(segments) => format!("::{}", joined(segments, &mut bind)),
    };
    format!("policy::/{namespace}{local}")
}

fn joined(segments: &[Segment], mut variable: impl FnMut(&str) -> String) -> String {
    let text = |it: &Segment| match it {
        Segment::Literal(name) => name.text.to_string(),
        Segment::Variable(name) => variable(&name.text),
    };
    segments.iter().map(text).collect::<Vec<_>>().join("/")
}
