//! `PUT` and `DELETE` of policy documents: all or none, by one compare-and-set of the signed head.

use std::{collections::BTreeMap, net::IpAddr, sync::Arc, time::Duration};

use tokio::{sync::Mutex, task, time};

use crate::{
    audit::Event,
    auth::{
        AuthError,
        keyring::Keyring,
        policy::{
            authority::{Change, Judge, Requirement, requirements},
            diagnostics, guard,
            head::{self, Head},
        },
    },
    compile::system::system_sources,
    gate::{Gate, GateError, PolicyError, Principal, Refusal, read_documents, read_tests, record},
    limits::{DOCUMENT_BYTES_MAX, POLICY_DOCUMENTS_MAX},
    source::Source,
    store::{Store, StoreError},
    syntax::parse,
    wire::policy::{
        DiagnosticJson, PolicyDocument, PolicyEntry, PolicyHead, PolicyList, PutDocument, PutPolicy, PutTests,
    },
};

/// How long a change may take to come back through our own view before it is answered anyway.
const IN_FORCE_TIMEOUT: Duration = Duration::from_secs(5);

/// How often the head is read again where a read was stale.
const HEAD_READS_MAX: usize = 16;

const NAME_BYTES_MAX: usize = 64;

/// The only writer of policy.
#[derive(Debug)]
pub struct PolicyWriter {
    gate: Arc<Gate>,
    keyring: Arc<Keyring>,
    store: Arc<dyn Store>,
    /// One change at a time here; between processes the compare-and-set decides.
    turn: Mutex<()>,
}

/// What shall become of one document.
#[derive(Debug, Clone)]
enum Wish {
    Put(Source),
    Delete,
}

/// By name, the version that a wish is for and what it is.
type Wishes = BTreeMap<String, (Option<u64>, Wish)>;

/// What a change is to make of documents and tests.
#[derive(Debug, Default)]
struct Asked {
    documents: Wishes,
    tests: Wishes,
    /// Accept that the caller could not make this change again.
    force: bool,
}

/// A set as it would be: the sources of all its documents, ascending by name.
#[derive(Debug, Clone)]
struct Planned {
    old: Vec<Source>,
    new: Vec<Source>,
    /// Names of the documents that change.
    own: Vec<String>,
    /// Tests as they would be.
    tests: Vec<Source>,
    needed: Vec<Requirement>,
    force: bool,
    revision: u64,
}

impl PolicyWriter {
    /// By one gate, whose view is the set that authority is judged by.
    pub fn new(gate: Arc<Gate>, keyring: Arc<Keyring>, store: Arc<dyn Store>) -> Self {
        Self { gate, keyring, store, turn: Mutex::new(()) }
    }

    /// Writes all documents of a request, or none.
    pub async fn put(
        &self,
        principal: &Principal,
        request: &PutPolicy,
        client: Option<IpAddr>,
    ) -> Result<PolicyList, AuthError> {
        if request.docs.is_empty() && request.tests.is_empty() {
            return Err(AuthError::Invalid("the request changes nothing".to_owned()));
        }
        let mut asked = Asked { force: request.force, ..Asked::default() };
        for document in &request.docs {
            let wish = (document.for_version, Wish::Put(source_of(document)?));
            if asked.documents.insert(document.name.clone(), wish).is_some() {
                return Err(AuthError::Invalid(format!("the document `{}` is there twice", document.name)));
            }
        }
        for tests in &request.tests {
            let wish = (tests.for_version, wish_of(tests)?);
            if asked.tests.insert(tests.name.clone(), wish).is_some() {
                return Err(AuthError::Invalid(format!("the tests `{}` are there twice", tests.name)));
            }
        }
        self.change(principal, &asked, client).await
    }

    /// Deletes a document at a version.
    pub async fn delete(
        &self,
        principal: &Principal,
        name: &str,
        for_version: Option<u64>,
        client: Option<IpAddr>,
    ) -> Result<PolicyList, AuthError> {
        check_name(name)?;
        let documents = BTreeMap::from([(name.to_owned(), (for_version, Wish::Delete))]);
        self.change(principal, &Asked { documents, ..Asked::default() }, client).await
    }

    async fn change(
        &self,
        principal: &Principal,
        asked: &Asked,
        client: Option<IpAddr>,
    ) -> Result<PolicyList, AuthError> {
        let _turn = self.turn.lock().await;
        let present = self.present().await?;
        check_versions(&present.head.documents, &asked.documents, "document")?;
        check_versions(&present.head.tests, &asked.tests, "file of tests")?;
        let planned = self.plan(&present.head, asked).await?;
        self.judge(principal, planned).await?;
        let documents = self.entries(&present.head.documents, &asked.documents, principal.name()).await?;
        let tests = self.entries(&present.head.tests, &asked.tests, principal.name()).await?;
        if POLICY_DOCUMENTS_MAX < documents.len().saturating_add(tests.len()) {
            return Err(AuthError::TooLarge(format!(
                "a policy set has at most {POLICY_DOCUMENTS_MAX} documents and files of tests"
            )));
        }
        let head = self.commit(principal, &present, (documents, tests), asked, client).await?;
        self.until_in_force(head.revision).await;
        Ok(listing(&head))
    }

    /// The head. A read may be stale by a moment, but not behind what our own view has seen already.
    async fn present(&self) -> Result<Head, AuthError> {
        for _ in 0..HEAD_READS_MAX {
            let head = head::read(&*self.store, &self.keyring).await?;
            if let Some(head) = head.filter(|it| self.gate.policy().revision() <= it.head.revision) {
                return Ok(head);
            }
        }
        Err(AuthError::Conflict("policy is being changed: try again".to_owned()))
    }

    /// Reads what is there and lays what is next over it.
    async fn plan(&self, head: &PolicyHead, asked: &Asked) -> Result<Planned, AuthError> {
        let wishes = &asked.documents;
        let unreadable = |error: PolicyError| AuthError::Gate(GateError::Policy(error));
        let in_force = self.gate.policy().current().map_err(unreadable)?;
        let old = read_documents(&*self.store, Some(&in_force), &head.documents).await.map_err(unreadable)?;
        let untouched = old.iter().filter(|it| !wishes.contains_key(it.document())).cloned();
        let next: Vec<Source> = wishes.values().filter_map(|(_, wish)| put(wish)).cloned().collect();
        let mut new: Vec<Source> = untouched.chain(next.iter().cloned()).collect();
        new.sort_by(|a, b| a.document().cmp(b.document()));
        let replaced: Vec<Source> = old.iter().filter(|it| wishes.contains_key(it.document())).cloned().collect();
        refuse_unreadable(&next)?;
        let mut tests: Vec<Source> = asked.tests.values().filter_map(|(_, wish)| put(wish)).cloned().collect();
        for entry in head.tests.iter().filter(|it| !asked.tests.contains_key(&it.name)) {
            tests.push(read_tests(&*self.store, entry).await.map_err(unreadable)?);
        }
        let empty = |it: &Source| parse(it).document.policies.is_empty();
        let deletes_empty = replaced.iter().any(|it| empty(it) && wishes.get(it.document()).is_some_and(is_delete));
        let whole = deletes_empty || next.iter().any(empty) || !asked.tests.is_empty();
        let needed = requirements(&Change { old: &replaced, new: &next, whole });
        let (own, force, revision) = (wishes.keys().cloned().collect(), asked.force, head.revision);
        Ok(Planned { old, new, own, tests, needed, force, revision })
    }

    /// Whether the principal may make the change, whether the result compiles, and whether it could be made again.
    async fn judge(&self, principal: &Principal, planned: Planned) -> Result<(), AuthError> {
        let (gate, asking) = (Arc::clone(&self.gate), principal.clone());
        let judged = task::spawn_blocking(move || judge(&gate, &asking, &planned)).await;
        match judged.map_err(|error| AuthError::Key(error.to_string()))? {
            Err(AuthError::Gate(GateError::Refused(refusal))) => Err(self.refused(principal, refusal).await),
            Ok(()) => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn entries(
        &self,
        present: &[PolicyEntry],
        wishes: &Wishes,
        author: &str,
    ) -> Result<Vec<PolicyEntry>, AuthError> {
        let mut entries: BTreeMap<String, PolicyEntry> =
            present.iter().map(|it| (it.name.clone(), it.clone())).collect();
        for (name, (_, wish)) in wishes {
            let version = entries.remove(name).map_or(0, |it| it.version).saturating_add(1);
            if let Some(source) = put(wish) {
                entries.insert(name.clone(), head::keep(&*self.store, name, source, version, author).await?);
            }
        }
        Ok(entries.into_values().collect())
    }

    /// Writes the change down, then makes it; if it could not be made, that is written down too.
    async fn commit(
        &self,
        principal: &Principal,
        present: &Head,
        (documents, tests): (Vec<PolicyEntry>, Vec<PolicyEntry>),
        asked: &Asked,
        client: Option<IpAddr>,
    ) -> Result<PolicyHead, AuthError> {
        let revision = present.head.revision.saturating_add(1);
        let mut item =
            record::item(Event::PolicyChanged.as_str(), "policy::/", principal.name(), self.gate.clock().unix_ms());
        item.payload.insert("revision".to_owned(), revision.to_string());
        let names = |wishes: &Wishes| wishes.keys().cloned().collect::<Vec<_>>().join(", ");
        item.payload.insert("documents".to_owned(), names(&asked.documents));
        if !asked.tests.is_empty() {
            item.payload.insert("tests".to_owned(), names(&asked.tests));
        }
        item.payload.insert("sid".to_owned(), principal.sid().to_owned());
        item.payload.extend(client.map(|it| ("client.address".to_owned(), it.to_canonical().to_string())));
        self.gate.record(item.clone()).await?;
        match head::replace(&*self.store, &self.keyring, Some(present.at), revision, documents, tests).await {
            Ok(head) => Ok(head),
            Err(error) => {
                item.uuid = uuid::Uuid::now_v7().to_string();
                item.payload.insert("not_made".to_owned(), error.to_string());
                self.gate.record(item).await?;
                if matches!(error, AuthError::Store(StoreError::Conflict(_))) {
                    return Err(AuthError::Conflict("policy was changed by someone else: read it again".to_owned()));
                }
                Err(error)
            }
        }
    }

    /// So that who has made a change sees it in the next answer.
    async fn until_in_force(&self, revision: u64) {
        let mut revisions = self.gate.policy().subscribe();
        if time::timeout(IN_FORCE_TIMEOUT, revisions.wait_for(|it| revision <= *it)).await.is_err() {
            tracing::warn!(revision, "a policy change has not come back in time");
        }
    }

    async fn refused(&self, principal: &Principal, refusal: Refusal) -> AuthError {
        let mut item =
            record::item(Event::AccessDenied.as_str(), &refusal.target, principal.name(), self.gate.clock().unix_ms());
        item.payload.insert("refused".to_owned(), refusal.to_string());
        match self.gate.record_refusal(item).await {
            Ok(()) => GateError::Refused(refusal).into(),
            Err(error) => error.into(),
        }
    }
}

/// Authority by the set in force first: who may not change anything learns nothing from the compiler.
fn judge(gate: &Gate, principal: &Principal, planned: &Planned) -> Result<(), AuthError> {
    let unmet = Judge::new(gate, &planned.old, planned.revision).first_unmet(principal, &planned.needed)?;
    if let Some(refusal) = unmet {
        return Err(GateError::Refused(refusal).into());
    }
    let in_force = gate.policy().current().map_err(|error| AuthError::Gate(GateError::Policy(error)))?;
    let set = in_force.set.changed_to(&planned.new).map_err(|findings| {
        AuthError::PolicyInvalid(diagnostics::of_findings(&planned.new, &findings, &planned.own))
    })?;
    let broken = guard::broken(&set, &planned.tests);
    if !broken.is_empty() {
        return Err(AuthError::TestsFailed(broken));
    }
    if planned.force {
        return Ok(());
    }
    let unmet = Judge::new(gate, &planned.new, planned.revision).first_unmet(principal, &planned.needed)?;
    match unmet {
        None => Ok(()),
        Some(refusal) => Err(AuthError::Conflict(format!(
            "after this change you could not make it again ({refusal}): force it if that is meant"
        ))),
    }
}

fn source_of(document: &PutDocument) -> Result<Source, AuthError> {
    check_name(&document.name)?;
    if DOCUMENT_BYTES_MAX < document.text.len() {
        return Err(AuthError::TooLarge(format!("a policy document has at most {DOCUMENT_BYTES_MAX} bytes")));
    }
    let source = Source::new(format!("{}.pol", document.name), document.text.clone().into_bytes());
    source.map_err(|error| AuthError::Invalid(error.to_string()))
}

fn wish_of(tests: &PutTests) -> Result<Wish, AuthError> {
    check_name(&tests.name)?;
    let Some(text) = &tests.text else { return Ok(Wish::Delete) };
    let source = Source::new(format!("{}.decisions.toml", tests.name), text.clone().into_bytes());
    source.map(Wish::Put).map_err(|error| AuthError::TooLarge(error.to_string()))
}

/// Text that does not parse has realms that cannot be seen, so nobody's authority can be judged.
fn refuse_unreadable(next: &[Source]) -> Result<(), AuthError> {
    let mut told = Vec::new();
    for source in next {
        let parsed = parse(source);
        let errors = parsed.diagnostics.iter().filter(|it| it.is_error());
        told.extend(errors.map(|it| DiagnosticJson::new(source, it)));
        if !parsed.is_usable() && told.is_empty() {
            return Err(AuthError::PolicyInvalid(Vec::new()));
        }
    }
    if told.is_empty() { Ok(()) } else { Err(AuthError::PolicyInvalid(told)) }
}

fn check_versions(entries: &[PolicyEntry], wishes: &Wishes, what: &str) -> Result<(), AuthError> {
    for (name, (for_version, wish)) in wishes {
        let present = entries.iter().find(|it| it.name == *name).map(|it| it.version);
        if present.is_none() && matches!(wish, Wish::Delete) {
            return Err(AuthError::NotFound(name.clone()));
        }
        let version = present.unwrap_or(0);
        if for_version.is_some_and(|it| it != version) {
            return Err(AuthError::Conflict(format!("the {what} `{name}` is at version {version}: read it again")));
        }
    }
    Ok(())
}

fn check_name(name: &str) -> Result<(), AuthError> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    let begins = name.bytes().next().is_some_and(|it| it.is_ascii_alphanumeric());
    // `a.pol` as a name would be read as `a` where documents are files, and `a.decisions.toml` as tests.
    let is_file = [".pol", ".toml"].iter().any(|it| name.ends_with(it));
    if !begins || NAME_BYTES_MAX < name.len() || !name.bytes().all(plain) || is_file {
        return Err(AuthError::Invalid(format!(
            "a document's name has 1 to {NAME_BYTES_MAX} of letters, digits and `. _ -`, a letter or digit first, and no `.pol` or `.toml` at the end"
        )));
    }
    if system_sources().iter().any(|it| it.document() == name) {
        return Err(AuthError::Invalid(format!("`{name}` is part of the program and cannot be edited")));
    }
    Ok(())
}

fn put(wish: &Wish) -> Option<&Source> {
    match wish {
        Wish::Put(source) => Some(source),
        Wish::Delete => None,
    }
}

fn is_delete((_, wish): &(Option<u64>, Wish)) -> bool {
    matches!(wish, Wish::Delete)
}

fn listing(head: &PolicyHead) -> PolicyList {
    let shown = |it: &PolicyEntry| PolicyDocument {
        name: it.name.clone(),
        version: it.version,
        system: false,
        author: it.author.clone(),
        text: None,
    };
    PolicyList {
        revision: head.revision,
        documents: head.documents.iter().map(shown).collect(),
        tests: head.tests.iter().map(shown).collect(),
    }
}
