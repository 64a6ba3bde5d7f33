//! What the word at a place means.

use crate::{
    editor::{
        Documents,
        cursor::{self, Found, Symbol},
        meaning,
        uses::{is_on_roles, uses_of},
    },
    source::Span,
    syntax::{
        ast::{Comparison, Local, Name, Operator, Realm, Segment, Value},
        realm,
        vocabulary::is_context,
    },
};

/// What something means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hover {
    /// The text that is meant.
    pub span: Span,
    /// A heading and a few sentences, as Markdown.
    pub markdown: String,
}

/// What stands at an offset of a document, explained.
///
/// ```
/// use gatehouse::{editor::hover, source::Source, syntax::parse};
///
/// let source = Source::new("a.pol", b"job::/sandbox/[name] { permit ssh }".to_vec())?;
/// let parsed = parse(&source);
/// let hover = hover(&[(&source, &parsed)], 0, 2).unwrap();
/// assert!(hover.markdown.contains("Every job in the namespace `/sandbox/[name]` or below it"));
/// # Ok::<(), gatehouse::source::SourceError>(())
/// ```
pub fn hover(documents: &Documents<'_>, document: usize, offset: usize) -> Option<Hover> {
    let (source, parse) = documents.get(document)?;
    let found = cursor::at(&parse.document, offset)?;
    let text = source.slice(found.span);
    let meaning = meaning_of(documents, &found)?;
    Some(Hover { span: found.span, markdown: format!("{}\n\n{meaning}", code(text)) })
}

/// A text of the document as Markdown that nothing in it can end.
fn code(text: &str) -> String {
    let ticks = if text.contains('`') { "``" } else { "`" };
    format!("{ticks}{text}{ticks}")
}

fn meaning_of(documents: &Documents<'_>, found: &Found<'_>) -> Option<String> {
    let on = found.policy.realm.resource_type.text.as_str();
    match found.symbol {
        Symbol::Realm(realm) => Some(realm_meaning(realm)),
        Symbol::ClaimType(name) => {
            let known = meaning::claim_type(&name.text).map(str::to_owned);
            Some(known.unwrap_or_else(|| {
                "The platform knows no such claim. Rules can ask for it, and nothing else follows from it.".to_owned()
            }))
        }
        Symbol::Asserted { claim_type, value } => asserted(documents, on, &claim_type.text, value),
        Symbol::Issuer(name) => Some(issuer(&name.text)),
        Symbol::FactType { issuer, claim_type } => Some(fact_type(issuer, claim_type)),
        Symbol::Operator(comparison) => Some(meaning::operator(comparison.operator).to_owned()),
        Symbol::Compared { comparison, value } => compared(documents, on, comparison, value),
        Symbol::Variable(name) => Some(format!(
            "The segment of the name where the realm has `[{}]`: one whole segment, whatever stands in it.",
            name.text
        )),
    }
}

fn compared(documents: &Documents<'_>, on: &str, comparison: &Comparison, value: &Value) -> Option<String> {
    if comparison.operator == Operator::FqnMatch {
        return realm::of_value(value).ok().as_ref().map(realm_meaning);
    }
    if is_on_roles(comparison) {
        return Some(role(documents, on, value.constant()?));
    }
    let is_permit = comparison.issuer.is_none() && comparison.claim_type.text == "permit";
    meaning::permit(on, value.constant().filter(|_| is_permit)?).map(str::to_owned)
}

fn asserted(documents: &Documents<'_>, on: &str, claim_type: &str, value: &Value) -> Option<String> {
    let text = value.constant()?;
    match claim_type {
        "permit" => Some(meaning::permit(on, text).map_or_else(
            || format!("No operation on `{on}::` asks for this permit. Rules can ask for it."),
            str::to_owned,
        )),
        "role" => Some(role(documents, on, text)),
        "package.allow" | "package.default" | "package.lock" | "package.retire" => {
            realm::of_value(value).ok().as_ref().map(realm_meaning)
        }
        _ => None,
    }
}

fn role(documents: &Documents<'_>, on: &str, role: &str) -> String {
    let uses = uses_of(documents, role);
    let count = |asserts| uses.iter().filter(|it| it.on == on && it.asserts == asserts).count();
    let places = |count: usize| match count {
        0 => "nowhere".to_owned(),
        1 => "in one place".to_owned(),
        _ => format!("in {count} places"),
    };
    let system = if role == "admin" { " The system documents give it `permit all`." } else { "" };
    let (asserted, asked) = (places(count(true)), places(count(false)));
    format!("A role on `{on}::`, asserted {asserted} and asked for {asked} in these documents.{system}")
}

fn issuer(issuer: &str) -> String {
    match issuer {
        "auth_server@apcera.me" => "The cluster itself: what its tokens say of whoever asks.".to_owned(),
        "approval" => {
            "Someone else's approval of the request: each evaluation sees the facts of one of them.".to_owned()
        }
        _ => "An identity provider: what it says of whoever asks.".to_owned(),
    }
}

fn fact_type(issuer: Option<&Name>, claim_type: &Name) -> String {
    let name = claim_type.text.as_str();
    match issuer.map(|it| it.text.as_str()) {
        None if is_context(name) => {
            let known = meaning::context(name).unwrap_or_default();
            format!("{known} It comes from the operation; no rule and no token can say it.")
        }
        None => "What rules assert in this evaluation. A token never brings it.".to_owned(),
        Some("auth_server@apcera.me") if name == "name" => "Who the token is for: one name.".to_owned(),
        Some("auth_server@apcera.me") if name == "authType" => "How they logged in.".to_owned(),
        Some("approval") => "A fact of whoever approved the request.".to_owned(),
        Some(issuer) => format!("A fact of `{issuer}`; there may be several values."),
    }
}

/// What a realm matches, with names that lie in it and beside it.
fn realm_meaning(realm: &Realm) -> String {
    let kind = realm.resource_type.text.as_str();
    let namespace = path(&realm.namespace);
    let all = format!("Every {kind}");
    let matched = match &realm.local {
        Local::Below if realm.namespace.is_empty() => format!("{all} there is."),
        Local::Below => {
            let beside = beside(realm).map(|it| format!(" `{kind}::{it}` is not in it.")).unwrap_or_default();
            format!(
                "{all} in the namespace `{namespace}` or below it, whatever its local name, and the namespace itself.{beside}"
            )
        }
        Local::Exact => {
            format!("{all} in exactly the namespace `{namespace}`, and the namespace itself; none below it.")
        }
        Local::Any => {
            format!("{all} in exactly the namespace `{namespace}`; none below it, and not the namespace itself.")
        }
        Local::Named(local) => {
            let local = path(local);
            let local = local.strip_prefix('/').unwrap_or(&local);
            format!("The {kind} `{local}` in exactly the namespace `{namespace}`, and those below it: `{local}/...`.")
        }
    };
    format!("{matched}{}{}", variables(realm), of_type(kind))
}

fn path(segments: &[Segment]) -> String {
    let text = |segment: &Segment| match segment {
        Segment::Literal(name) => name.text.to_string(),
        Segment::Variable(name) => format!("[{}]", name.text),
    };
    format!("/{}", segments.iter().map(text).collect::<Vec<_>>().join("/"))
}

/// A namespace that a reader of prefixes would take to be in the realm.
fn beside(realm: &Realm) -> Option<String> {
    match realm.namespace.last()? {
        Segment::Literal(_) => Some(format!("{}2", path(&realm.namespace))),
        Segment::Variable(_) => None,
    }
}

fn variables(realm: &Realm) -> String {
    let local = if let Local::Named(segments) = &realm.local { segments.as_slice() } else { &[] };
    let mut names: Vec<&str> = Vec::new();
    for segment in realm.namespace.iter().chain(local) {
        if let Segment::Variable(name) = segment
            && !names.contains(&name.text.as_str())
        {
            names.push(&name.text);
        }
    }
    let each = names.iter().map(|it| format!(" `[{it}]` is one whole segment, which the rules can ask for."));
    each.collect()
}

fn of_type(kind: &str) -> &'static str {
    match kind {
        "route" => " The host stands in reverse: `http://purchasing.acme.com` is `route::/http/com/acme/purchasing`.",
        "policy" => " It speaks of policy about resources of any type there; `ResType` tells which.",
        _ => "",
    }
}
