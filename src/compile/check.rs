//! What only the compiler can say against documents: each as a whole, and all of them together.

use std::collections::{BTreeMap, HashMap};

use smol_str::SmolStr;

use crate::{
    compile::{
        Finding,
        canonical::{canonical_expr, canonical_value},
        catalogue::{Combines, combines},
        realm::{Pattern, Variables},
    },
    diagnostic::{Code, Diagnostic},
    source::{Source, Span},
    syntax::{Parse, ast, vocabulary::is_context},
};

/// All findings of documents that were read, by document and place, what reading found first. The first `given`
/// documents are the caller's, the others the program's own.
pub(crate) fn findings(documents: &[(&Source, &Parse)], given: usize) -> Vec<Finding> {
    let mut checks = Checks::new(documents.iter().map(|(source, _)| *source).collect());
    for (_, parse) in documents {
        checks.add(parse);
    }
    checks.finish(given)
}

/// Looks at one document after the other, so that none of their trees need be there with another.
pub(super) struct Checks<'a> {
    sources: Vec<&'a Source>,
    // How many were looked at.
    done: usize,
    findings: Vec<Finding>,
    scalars: Scalars,
}

/// The first value of each scalar on each realm under each condition.
#[derive(Default)]
struct Scalars {
    first: BTreeMap<ScalarKey, ScalarValue>,
    // Conditions by their canonical text, so that the same one has the same number everywhere.
    conditions: HashMap<String, usize>,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct ScalarKey {
    realm: String,
    claim_type: SmolStr,
    // Ascending, unique; empty where nothing is asked.
    conditions: Vec<usize>,
}

struct ScalarValue {
    value: String,
    source: usize,
    span: Span,
}

/// The policy that a claim stands in.
struct Place<'a> {
    source: usize,
    resource_type: &'a str,
    realm: String,
    variables: Variables,
}

/// Whether a policy asserts something that is looked at here: what has one value only, or what no rule may assert.
pub(super) fn asserts_scalar(policy: &ast::Policy) -> bool {
    asserts_some(&policy.block, &policy.realm.resource_type.text)
}

fn asserts_some(block: &ast::Block, on: &str) -> bool {
    block.items.iter().any(|item| match item {
        ast::Item::Claim(claim) => {
            let claim_type = claim.claim_type.text.as_str();
            // Nearly all claims are permits and roles.
            !matches!(claim_type, "permit" | "role")
                && (is_context(claim_type) || combines(claim_type, on) == Combines::Scalar)
        }
        ast::Item::Block(block) => asserts_some(block, on),
        ast::Item::Rule(rule) => asserts_some(&rule.block, on),
    })
}

impl<'a> Checks<'a> {
    /// Of all documents, in the order in which they will be looked at.
    pub(super) fn new(sources: Vec<&'a Source>) -> Self {
        Self { sources, done: 0, findings: Vec::new(), scalars: Scalars::default() }
    }

    /// Looks at the next; whether it can be used and no error was found in it.
    pub(super) fn add(&mut self, parse: &Parse) -> bool {
        let source = self.done;
        self.done = self.done.saturating_add(1);
        let before = self.findings.len();
        let read = parse.diagnostics.iter().cloned();
        self.findings.extend(read.map(|diagnostic| Finding { source, diagnostic }));
        for policy in &parse.document.policies {
            self.policy(source, policy);
        }
        parse.is_usable() && !self.findings.iter().skip(before).any(|it| it.diagnostic.is_error())
    }

    pub(super) fn finish(mut self, given: usize) -> Vec<Finding> {
        self.duplicate_names(given);
        self.findings.sort_by_key(|it| (it.source, it.diagnostic.span.start));
        self.findings
    }

    fn policy(&mut self, source: usize, policy: &ast::Policy) {
        // Most policies assert nothing that is looked at here.
        if !asserts_scalar(policy) {
            return;
        }
        let mut variables = Variables::default();
        let pattern = Pattern::of_realm(&policy.realm, &mut variables);
        // Variables by number: `[a]` and `[b]` in one place are one realm.
        let numbers: Vec<String> = (0..variables.names().len()).map(|it| format!("[{it}]")).collect();
        let bound: Vec<&str> = numbers.iter().map(String::as_str).collect();
        let place =
            Place { source, resource_type: &policy.realm.resource_type.text, realm: pattern.text(&bound), variables };
        self.block(&place, &policy.block, &[]);
    }

    fn block(&mut self, place: &Place<'_>, block: &ast::Block, conditions: &[usize]) {
        for item in &block.items {
            match item {
                ast::Item::Claim(claim) => self.claim(place, claim, conditions),
                ast::Item::Block(block) => self.block(place, block, conditions),
                ast::Item::Rule(rule) => {
                    let mut text = String::new();
                    canonical_expr(&mut text, &rule.condition, &place.variables);
                    let next = self.scalars.conditions.len();
                    let mut conditions = conditions.to_vec();
                    conditions.push(*self.scalars.conditions.entry(text).or_insert(next));
                    conditions.sort_unstable();
                    conditions.dedup();
                    self.block(place, &rule.block, &conditions);
                }
            }
        }
    }

    fn claim(&mut self, place: &Place<'_>, claim: &ast::Claim, conditions: &[usize]) {
        let claim_type = &claim.claim_type.text;
        if is_context(claim_type) {
            let message = format!("`{claim_type}` comes from the operation and cannot be asserted by a rule");
            let diagnostic =
                Diagnostic::new(Code::AssertsContext, claim.claim_type.span, message, "supplied by the engine alone")
                    .with_help("test it in an `if`, or assert a `role` of your own");
            self.findings.push(Finding { source: place.source, diagnostic });
        }
        if combines(claim_type, place.resource_type) != Combines::Scalar {
            return;
        }
        for asserted in &claim.asserted {
            // What a fact will hold is not known here; an evaluation that finds two values refuses.
            let ast::Asserted::Value(value) = asserted else { continue };
            let mut text = String::new();
            canonical_value(&mut text, value, &place.variables);
            let key = ScalarKey {
                realm: place.realm.clone(),
                claim_type: claim_type.clone(),
                conditions: conditions.to_vec(),
            };
            let own = ScalarValue { value: text, source: place.source, span: value.span };
            self.scalar(key, own, claim_type);
        }
    }

    fn scalar(&mut self, key: ScalarKey, own: ScalarValue, claim_type: &str) {
        let first = match self.scalars.first.entry(key) {
            std::collections::btree_map::Entry::Vacant(entry) => {
                entry.insert(own);
                return;
            }
            std::collections::btree_map::Entry::Occupied(entry) => entry.into_mut(),
        };
        if first.value == own.value {
            return;
        }
        let message = format!("`{claim_type}` has two values on this realm under the same condition");
        let mut diagnostic = Diagnostic::new(Code::ScalarConflict, own.span, message, "a second value");
        diagnostic = if first.source == own.source {
            diagnostic.with_label(first.span, "the first value")
        } else {
            let source = self.sources.get(first.source);
            let line = source.map_or(0, |it| it.location(first.span.start).line);
            let name = source.map(|it| it.document()).unwrap_or_default();
            diagnostic.with_help(format!("the first value is in `{name}`, line {line}; keep one of them"))
        };
        self.findings.push(Finding { source: own.source, diagnostic });
    }

    fn duplicate_names(&mut self, given: usize) {
        let mut last: BTreeMap<&str, usize> = BTreeMap::new();
        for (at, source) in self.sources.iter().enumerate() {
            let name = source.document();
            let Some(earlier) = last.insert(name, at) else { continue };
            // The program's own documents keep their names.
            let (source, label) =
                if at < given { (at, "the second of them") } else { (earlier, "a system document's name") };
            let message = format!("two documents are called `{name}`");
            let diagnostic = Diagnostic::new(Code::DuplicateDocument, Span::at(0), message, label)
                .with_help("a document is called by its file's name without `.pol`; rename one");
            self.findings.push(Finding { source, diagnostic });
        }
    }
}
