//! What an author may write next.

use crate::{
    compile::catalogue::{CLAIM_TYPES, Combines, claim_type as in_catalogue},
    editor::{
        Documents,
        grammar::{self, Comparison, Expects, Spot},
        meaning,
        vocabulary::{asserted, claim_types, compared, facts, realms},
    },
    lint::walk::as_value,
    source::Span,
    syntax::{
        ast::Operator,
        vocabulary::{CONTEXT_TYPES, RESOURCE_TYPES, ResourceType, resource_type},
    },
};

/// Something that may stand at a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Completion {
    /// What a list of them shows.
    pub label: String,
    /// What kind of word it is.
    pub kind: CompletionKind,
    /// What it means; empty where nobody knows.
    pub detail: String,
    /// What is to be written. In a snippet `$1`, `$2` and `$0` are where the author goes on, in this order.
    pub text: String,
    /// Whether the text is a snippet.
    pub is_snippet: bool,
    /// What it replaces.
    pub replaces: Span,
}

/// What kind of word a completion is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CompletionKind {
    /// `if`
    Keyword,
    /// `job::/`
    Realm,
    /// `permit`
    ClaimType,
    /// `ssh`
    Value,
    /// A role that rules assert.
    Role,
    /// `LDAP->`
    Issuer,
    /// What a fact or a claim in a condition is called.
    FactType,
    /// `==`
    Operator,
    /// `[name]`
    Variable,
}

/// More than this many nobody reads; an editor asks again when more is typed.
const COMPLETIONS_MAX: usize = 500;

/// The identity that the cluster itself gives.
const AUTH_SERVER: &str = "auth_server@apcera.me";

/// What may stand at an offset of a document, the likeliest first.
///
/// ```
/// use gatehouse::{editor::complete, source::Source, syntax::parse};
///
/// let source = Source::new("a.pol", b"route::/ { permit ".to_vec())?;
/// let parsed = parse(&source);
/// let labels: Vec<String> = complete(&[(&source, &parsed)], 0, 18).into_iter().map(|it| it.label).collect();
/// assert_eq!(labels, ["create", "read", "update", "delete", "map", "all"]);
/// # Ok::<(), gatehouse::source::SourceError>(())
/// ```
pub fn complete(documents: &Documents<'_>, document: usize, offset: usize) -> Vec<Completion> {
    let Some((source, _)) = documents.get(document) else { return Vec::new() };
    let Some(spot) = grammar::spot(source, offset) else { return Vec::new() };
    let mut list = List { documents, spot, items: Vec::new() };
    match spot.expects {
        Expects::Realm => list.realms(),
        Expects::Item => list.item(),
        Expects::Asserted { claim_type } => list.asserted(claim_type),
        Expects::FactType { issuer } => list.fact_types(issuer),
        Expects::Comparison => list.comparison(),
        Expects::Operator => list.operators(),
        Expects::Compared(comparison) => list.compared(comparison),
        Expects::Brace | Expects::Paren | Expects::Connective => (),
    }
    list.items
}

struct List<'a> {
    documents: &'a Documents<'a>,
    spot: Spot<'a>,
    items: Vec<Completion>,
}

impl List<'_> {
    fn push(&mut self, kind: CompletionKind, label: &str, text: String, detail: impl Into<String>) {
        let is_new = !self.items.iter().any(|it| it.label == label);
        if is_new && self.items.len() < COMPLETIONS_MAX {
            let replaces = self.spot.word;
            let is_snippet = text.contains('$') && kind != CompletionKind::Value && kind != CompletionKind::Role;
            self.items.push(Completion {
                label: label.to_owned(),
                kind,
                detail: detail.into(),
                text,
                is_snippet,
                replaces,
            });
        }
    }

    fn word(&mut self, kind: CompletionKind, word: &str, detail: impl Into<String>) {
        self.push(kind, word, word.to_owned(), detail);
    }

    fn value(&mut self, kind: CompletionKind, value: &str, detail: impl Into<String>) {
        self.push(kind, value, as_value(value, self.spot.quoted), detail);
    }

    fn realms(&mut self) {
        for it in RESOURCE_TYPES {
            self.word(CompletionKind::Realm, &format!("{}::/", it.name), "");
        }
        for realm in realms(self.documents) {
            self.word(CompletionKind::Realm, realm, "");
        }
    }

    fn item(&mut self) {
        self.push(CompletionKind::Keyword, "if", "if ($1) { $0 }".to_owned(), "A rule: what applies, and when.");
        let on = self.spot.on;
        let mut known: Vec<&str> = CLAIM_TYPES.iter().filter(|it| it.is_on(on)).map(|it| it.name).collect();
        // What every type has comes first: it is what most rules are for.
        known.sort_by_key(|it| !matches!(*it, "permit" | "role"));
        for it in known {
            self.word(CompletionKind::ClaimType, it, meaning::claim_type(it).unwrap_or_default());
        }
        for it in claim_types(self.documents, on) {
            self.word(CompletionKind::ClaimType, it, "");
        }
    }

    fn asserted(&mut self, claim_type: &str) {
        match claim_type {
            "permit" => self.permits(),
            "role" => self.roles(),
            "log" => self.values(&["allow", "deny", "none"]),
            "ssh.require" => self.values(&["mfa", "approval"]),
            _ => self.known_values(claim_type),
        }
        if in_catalogue(claim_type).is_none_or(|it| it.combines != Combines::Require)
            && !matches!(claim_type, "permit" | "role")
        {
            self.references();
            self.variables();
        }
    }

    fn known_values(&mut self, claim_type: &str) {
        if let Some(Combines::Most(values)) = in_catalogue(claim_type).map(|it| it.combines) {
            self.values(values);
        }
        if claim_type.starts_with("package.") && claim_type != "package.size" {
            self.value(CompletionKind::Realm, "package::/", "");
        }
        for it in asserted(self.documents, claim_type, Some(self.spot.on)) {
            self.value(CompletionKind::Value, it, "");
        }
    }

    fn permits(&mut self) {
        let on = self.spot.on;
        for it in resource_type(on).into_iter().flat_map(ResourceType::permits) {
            self.value(CompletionKind::Value, it, meaning::permit(on, it).unwrap_or_default());
        }
    }

    /// Those that are asserted on this resource type before the others.
    fn roles(&mut self) {
        for it in asserted(self.documents, "role", Some(self.spot.on)) {
            self.value(CompletionKind::Role, it, "");
        }
        for it in asserted(self.documents, "role", None).into_iter().chain(compared(self.documents, None, "role")) {
            self.value(CompletionKind::Role, it, "asserted on another resource type");
        }
        self.value(CompletionKind::Role, "admin", "the system documents give it `permit all`");
    }

    fn values(&mut self, values: &[&str]) {
        for it in values {
            self.value(CompletionKind::Value, it, "");
        }
    }

    /// `Google->email`, for the claims that take a fact's values.
    fn references(&mut self) {
        if self.spot.quoted {
            return;
        }
        for (issuer, claim_type) in facts(self.documents) {
            if let Some(issuer) = issuer {
                self.word(CompletionKind::FactType, &format!("{issuer}->{claim_type}"), "");
            }
        }
    }

    /// The variables that the realm binds, in quotes, as they stand in strings.
    fn variables(&mut self) {
        for part in self.spot.realm.split('[').skip(1) {
            if let Some((name, _)) = part.split_once(']') {
                let label = format!("[{name}]");
                self.push(CompletionKind::Variable, &label, format!("\"{label}\""), "bound by the realm");
            }
        }
    }

    fn fact_types(&mut self, issuer: &str) {
        let own: &[(&str, &str)] = match issuer {
            AUTH_SERVER => &[("name", "Who the token is for."), ("authType", "How they logged in.")],
            "approval" => &[("by", "Who approved."), ("role", "A role of whoever approved, on this job.")],
            _ => &[],
        };
        for (name, detail) in own {
            self.word(CompletionKind::FactType, name, *detail);
        }
        for (_, claim_type) in facts(self.documents).into_iter().filter(|(it, _)| *it == Some(issuer)) {
            self.word(CompletionKind::FactType, claim_type, "");
        }
    }

    fn comparison(&mut self) {
        self.word(CompletionKind::Issuer, &format!("{AUTH_SERVER}->"), "Facts that the cluster's own tokens bring.");
        for issuer in facts(self.documents).into_iter().filter_map(|(issuer, _)| issuer) {
            self.word(CompletionKind::Issuer, &format!("{issuer}->"), "");
        }
        self.word(CompletionKind::Issuer, "approval->", "Facts of whoever approved the request.");
        for it in claim_types(self.documents, self.spot.on).into_iter().chain(["role", "permit"]) {
            self.word(CompletionKind::FactType, it, "asserted by rules");
        }
        for it in CONTEXT_TYPES {
            self.word(CompletionKind::FactType, it, meaning::context(it).unwrap_or_default());
        }
        self.word(CompletionKind::FactType, "tag.", "The values of a tag of the job.");
    }

    fn operators(&mut self) {
        // `equals` is another word for `==`, and the formatter writes the latter.
        for operator in Operator::ALL.iter().copied().filter(|it| *it != Operator::Equals) {
            let list = if operator == Operator::In { " ($0)" } else { "" };
            let text = format!("{}{list}", operator.text());
            self.push(CompletionKind::Operator, operator.text(), text, meaning::operator(operator));
        }
    }

    fn compared(&mut self, comparison: Comparison<'_>) {
        let Comparison { issuer, claim_type, operator } = comparison;
        if operator == "fqnMatch" {
            self.realms();
            return;
        }
        match (issuer, claim_type) {
            (None | Some("approval"), "role") => self.roles(),
            (None, "permit") => self.permits(),
            (None, "side") => self.values(&["source", "destination"]),
            (None, "principal.kind") => self.values(&["user", "job"]),
            (None, "subsystem") => self.values(&["sftp"]),
            (None, "time.weekday") => self.values(&["mon", "tue", "wed", "thu", "fri", "sat", "sun"]),
            (None, "ResType") => {
                self.values(&RESOURCE_TYPES.iter().map(|it| it.name).collect::<Vec<_>>());
            }
            _ => (),
        }
        for it in compared(self.documents, issuer, claim_type) {
            self.value(CompletionKind::Value, it, "");
        }
        self.variables();
    }
}
