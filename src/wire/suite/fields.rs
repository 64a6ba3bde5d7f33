//! What one level of a file of tests says: the defaults, a test, or a case of it; the inner level goes before.

use std::collections::BTreeMap;

use toml::de::DeTable;

use crate::{
    diagnostic::{Code, printable::short},
    eval::{Claim, Fact},
    source::Span,
    suite::{Expected, RuleName},
    syntax::vocabulary::is_context,
    wire::table::{Reader, span},
};

/// The keys of a request and of what is expected of it.
const KEYS: &[&str] = &[
    "target",
    "user",
    "facts",
    "context",
    "now",
    "want",
    "allow",
    "missing",
    "refused",
    "rules",
    "claims",
    "effective",
];

/// What was said so far.
#[derive(Debug, Clone, Default)]
pub(super) struct Fields {
    pub(super) target: Option<(String, Span)>,
    pub(super) now: Option<(String, Span)>,
    pub(super) want: Option<(Vec<Claim>, Span)>,
    /// By issuer and type: the values, and where they stand.
    pub(super) facts: BTreeMap<(String, String), (Vec<String>, Span)>,
    pub(super) expected: Expected,
    /// What this level itself says of the request, for cases without a name.
    summary: String,
}

/// Issuer and type of the fact that `user` is short for.
const USER: (&str, &str) = ("auth_server@apcera.me", "name");

impl Fields {
    pub(super) fn read(reader: &mut Reader, table: &DeTable<'_>, beside: &[&str]) -> Self {
        let known: Vec<&str> = beside.iter().chain(KEYS).copied().collect();
        reader.known_keys(table, &known, "a test");
        let mut fields = Self::default();
        for (key, value) in table {
            let (key, at) = (key.get_ref().as_ref(), span(value));
            let one = |reader: &mut Reader| reader.text(value, key).map(|it| (it, at));
            match key {
                "target" => fields.target = one(reader),
                "now" => fields.now = one(reader),
                "user" => {
                    let (issuer, claim_type) = USER;
                    let fact =
                        one(reader).map(|(text, at)| ((issuer.to_owned(), claim_type.to_owned()), (vec![text], at)));
                    fields.facts.extend(fact);
                }
                "facts" => fields.add_facts(reader.values(value, key), reader),
                "context" => fields.add_context(reader.values(value, key), reader),
                "want" => fields.want = Some((claims(reader.texts(value, key), reader), at)),
                "allow" => fields.expected.allow = reader.truth(value, key),
                "missing" => fields.expected.missing = Some(claims(reader.texts(value, key), reader)),
                "claims" => fields.expected.claims = Some(claims(reader.texts(value, key), reader)),
                "refused" => {
                    fields.expected.refused = Some(reader.texts(value, key).into_iter().map(|(it, _)| it).collect());
                }
                "rules" => fields.expected.rules = Some(rules(reader.texts(value, key), reader)),
                "effective" => {
                    fields.expected.effective =
                        reader.values(value, key).into_iter().map(|(name, _, values)| (name, values)).collect();
                }
                _ => (),
            }
        }
        fields.summary = fields.own_summary();
        fields
    }

    fn add_facts(&mut self, given: Vec<(String, Span, Vec<String>)>, reader: &mut Reader) {
        for (name, at, values) in given {
            match name.split_once("->") {
                Some((issuer, claim_type)) if !issuer.is_empty() && !claim_type.is_empty() => {
                    self.facts.insert((issuer.to_owned(), claim_type.to_owned()), (values, at));
                }
                _ => {
                    let message = format!("`{}` is no fact of an issuer", short(&name));
                    let help = if is_context(&name) {
                        format!("it is of the operation: put it in `context = {{ \"{}\" = ... }}`", short(&name))
                    } else {
                        "a fact is `\"issuer->type\" = \"value\"`, such as `\"LDAP->group\" = \"oncall\"`".to_owned()
                    };
                    reader.push(Code::TestBadValue, at, message, "no `issuer->type`", Some(help));
                }
            }
        }
    }

    fn add_context(&mut self, given: Vec<(String, Span, Vec<String>)>, reader: &mut Reader) {
        for (name, at, values) in given {
            if is_context(&name) {
                self.facts.insert((String::new(), name), (values, at));
                continue;
            }
            let message = format!("`{}` is no context of an operation", short(&name));
            let help = if name.contains("->") {
                "what an issuer says of a principal stands in `facts`".to_owned()
            } else {
                match crate::syntax::suggest::closest(&name, crate::syntax::vocabulary::CONTEXT_TYPES.iter().copied()) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => "a role or a permit cannot be given: only rules assert it".to_owned(),
                }
            };
            reader.push(Code::TestBadValue, at, message, "the engine supplies no such thing", Some(help));
        }
    }

    /// This level's own, and for the rest what the level around it says.
    pub(super) fn over(mut self, base: &Self) -> Self {
        self.target = self.target.or_else(|| base.target.clone());
        self.now = self.now.or_else(|| base.now.clone());
        self.want = self.want.or_else(|| base.want.clone());
        for (key, values) in &base.facts {
            self.facts.entry(key.clone()).or_insert_with(|| values.clone());
        }
        let (own, base) = (&mut self.expected, &base.expected);
        own.allow = own.allow.or(base.allow);
        own.missing = own.missing.take().or_else(|| base.missing.clone());
        own.refused = own.refused.take().or_else(|| base.refused.clone());
        own.rules = own.rules.take().or_else(|| base.rules.clone());
        own.claims = own.claims.take().or_else(|| base.claims.clone());
        for (key, values) in &base.effective {
            own.effective.entry(key.clone()).or_insert_with(|| values.clone());
        }
        self
    }

    /// The facts as the evaluator takes them.
    pub(super) fn facts(&self) -> Vec<Fact> {
        let each = self.facts.iter().flat_map(|((issuer, claim_type), (values, _))| {
            values.iter().map(move |value| Fact::new(issuer, claim_type, value))
        });
        each.collect()
    }

    /// How much text it has.
    pub(super) fn bytes(&self) -> usize {
        let facts = self.facts.iter().map(|((issuer, claim_type), (values, _))| {
            let values: usize = values.iter().map(|it| it.len().saturating_add(64)).fold(0, usize::saturating_add);
            issuer.len().saturating_add(claim_type.len()).saturating_add(values)
        });
        let wanted = self.want.iter().flat_map(|(it, _)| it).map(|it| it.value.len().saturating_add(64));
        facts.chain(wanted).fold(64, usize::saturating_add)
    }

    /// A name for a case that has none: what it says of the request.
    pub(super) fn summary(&self) -> String {
        if self.summary.is_empty() { "as it is".to_owned() } else { self.summary.clone() }
    }

    fn own_summary(&self) -> String {
        let mut parts: Vec<String> = self.target.iter().map(|(it, _)| it.clone()).collect();
        for ((issuer, claim_type), (values, _)) in &self.facts {
            let subject = match issuer.as_str() {
                issuer if (issuer, claim_type.as_str()) == USER => "user".to_owned(),
                "" => claim_type.clone(),
                issuer => format!("{issuer}->{claim_type}"),
            };
            parts.push(format!("{subject} {}", values.join(" and ")));
        }
        parts.extend(self.now.iter().map(|(it, _)| it.clone()));
        parts.extend(self.want.iter().flat_map(|(it, _)| it).map(ToString::to_string));
        parts.join(", ")
    }
}

fn claims(texts: Vec<(String, Span)>, reader: &mut Reader) -> Vec<Claim> {
    let mut out = Vec::new();
    for (text, at) in texts {
        match text.split_once(' ') {
            Some((claim_type, value)) if !claim_type.is_empty() && !value.is_empty() => {
                out.push(Claim::new(claim_type, value));
            }
            _ => {
                let message = format!("`{}` is no claim", short(&text));
                let help = "a claim is a type and a value, such as `permit ssh`".to_owned();
                reader.push(Code::TestBadValue, at, message, "no `type value`", Some(help));
            }
        }
    }
    out
}

fn rules(texts: Vec<(String, Span)>, reader: &mut Reader) -> Vec<RuleName> {
    let mut out = Vec::new();
    for (text, at) in texts {
        match RuleName::parse(&text) {
            Some(rule) => out.push(rule),
            None => {
                let message = format!("`{}` names no rule", short(&text));
                let help = "a rule is `document:line`, or `document` for any rule of it".to_owned();
                reader.push(Code::TestBadValue, at, message, "no `document:line`", Some(help));
            }
        }
    }
    out
}
