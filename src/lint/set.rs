//! What the rules look at: the documents that hold together, their claims, and what each claim depends on.

use std::collections::BTreeMap;

use foldhash::HashMap;
use smallvec::SmallVec;

use crate::{
    compile::{
        Finding,
        canonical::canonical_expr,
        realm::{Pattern, Variables},
    },
    diagnostic::Diagnostic,
    lint::{Settings, chain::Chain, walk::add_comparisons},
    source::Source,
    syntax::{Parse, ast, vocabulary::RESOURCE_TYPES},
};

/// What depends on more conditions than this is compared with nothing: each rule keeps those around it too.
const CONDITIONS_COMPARED_MAX: usize = 64;

/// The documents that hold together.
pub(super) struct Set<'a> {
    /// Those that are linted come first.
    pub(super) documents: Vec<(&'a Source, &'a Parse)>,
    pub(super) given: usize,
    /// Whether everything that the documents say was read. If not, what seems to be missing may be there.
    pub(super) complete: bool,
    pub(super) settings: &'a Settings,
    /// The policies of all documents, in the documents' order.
    pub(super) policies: Vec<PolicyView<'a>>,
    /// The conditions of all rules by number; those that mean the same have one number.
    pub(super) conditions: Vec<&'a ast::Expr>,
    // By resource type; empty where the set is not complete, because what cannot come about is not known then.
    chains: BTreeMap<&'static str, Chain<'a>>,
}

/// A policy, with its rules and claims side by side.
pub(super) struct PolicyView<'a> {
    pub(super) source: usize,
    pub(super) policy: &'a ast::Policy,
    /// Whether the reader found no error in it. Else it may say something else than its author does.
    readable: bool,
    /// The realm as text, the same for all realms that match the same: variables are numbers.
    pub(super) realm: String,
    pub(super) variables: Variables,
    /// Outer ones before those in them.
    pub(super) rules: Vec<RuleView<'a>>,
    pub(super) claims: Vec<ClaimView<'a>>,
    /// All comparisons of all rules, in the order of the text.
    pub(super) comparisons: Vec<&'a ast::Comparison>,
}

/// A rule and what stands around it.
pub(super) struct RuleView<'a> {
    pub(super) rule: &'a ast::Rule,
    pub(super) outer: Option<usize>,
    /// The numbers of all conditions that must hold, ascending, outer ones too; none where there are too many.
    conditions: Option<Numbers>,
}

/// A few numbers of conditions.
type Numbers = SmallVec<[usize; 4]>;

/// A claim and the rule that asserts it.
pub(super) struct ClaimView<'a> {
    pub(super) claim: &'a ast::Claim,
    pub(super) rule: Option<usize>,
    /// The braces that it stands in.
    pub(super) block: &'a ast::Block,
}

impl<'a> Set<'a> {
    pub(super) fn new(documents: Vec<(&'a Source, &'a Parse)>, given: usize, settings: &'a Settings) -> Self {
        let complete = documents.iter().all(|(_, parse)| parse.is_usable());
        let mut reader = Reader::default();
        let mut policies = Vec::new();
        for (source, (_, parse)) in documents.iter().enumerate() {
            let errors = Errors::of(parse);
            let read = |policy| reader.policy(source, policy, errors.none_in(policy));
            policies.extend(parse.document.policies.iter().map(read));
        }
        let chains = if complete { chains(&policies, given) } else { BTreeMap::new() };
        Self { documents, given, complete, settings, policies, conditions: reader.conditions, chains }
    }

    /// The policies to be looked at, each with the number of its document.
    pub(super) fn given(&self) -> impl Iterator<Item = (usize, &'a ast::Policy)> {
        self.views().map(|view| (view.source, view.policy))
    }

    /// The policies to be looked at, with their parts: those of which nothing was misread.
    pub(super) fn views(&self) -> impl Iterator<Item = &PolicyView<'a>> {
        self.policies.iter().filter(|view| view.source < self.given && view.readable)
    }

    /// The policies of all documents on a resource type.
    pub(super) fn on_type(&self, resource_type: &str) -> impl Iterator<Item = &PolicyView<'a>> {
        self.policies.iter().filter(move |view| view.resource_type() == resource_type)
    }

    /// What can be asserted on a resource type, by all documents; none where not all that they say was read.
    pub(super) fn chain(&self, resource_type: &str) -> Option<&Chain<'a>> {
        self.chains.get(resource_type)
    }

    /// Where a place of a document is, for the help of a finding in another one.
    pub(super) fn place(&self, source: usize, offset: usize) -> String {
        let Some((document, _)) = self.documents.get(source) else { return String::new() };
        format!("`{}`, line {}", crate::diagnostic::printable::short(document.document()), document.line(offset))
    }
}

fn chains<'a>(policies: &[PolicyView<'a>], given: usize) -> BTreeMap<&'static str, Chain<'a>> {
    let chain = |on: &'static str| {
        let of_type = policies.iter().filter(move |view| view.resource_type() == on);
        (on, Chain::new(of_type, given))
    };
    RESOURCE_TYPES.iter().map(|it| chain(it.name)).collect()
}

impl<'a> PolicyView<'a> {
    pub(super) fn resource_type(&self) -> &'a str {
        &self.policy.realm.resource_type.text
    }

    /// The numbers of all conditions that a rule's items depend on, ascending; none where they are too many to compare.
    pub(super) fn conditions(&self, rule: Option<usize>) -> Option<&[usize]> {
        let Some(rule) = rule else { return Some(&[]) };
        self.rules.get(rule)?.conditions.as_deref()
    }

    /// A rule and those around it, from the inside.
    pub(super) fn around(&self, rule: Option<usize>) -> impl Iterator<Item = &RuleView<'a>> {
        let mut next = rule;
        std::iter::from_fn(move || {
            let rule = self.rules.get(next?)?;
            next = rule.outer;
            Some(rule)
        })
    }
}

/// What was found so far.
#[derive(Default)]
pub(super) struct Report {
    pub(super) findings: Vec<Finding>,
}

impl Report {
    pub(super) fn push(&mut self, source: usize, diagnostic: Diagnostic) {
        self.findings.push(Finding { source, diagnostic });
    }
}

/// Where the errors of a document begin, ascending.
struct Errors(Vec<usize>, bool);

impl Errors {
    fn of(parse: &Parse) -> Self {
        let errors = parse.diagnostics.iter().filter(|it| it.is_error());
        let mut starts: Vec<usize> = errors.map(|it| it.span.start).collect();
        starts.sort_unstable();
        Self(starts, parse.hidden == 0)
    }

    /// Whether a policy has none, and all are known.
    fn none_in(&self, policy: &ast::Policy) -> bool {
        let at = self.0.partition_point(|start| *start < policy.span.start);
        self.1 && self.0.get(at).is_none_or(|start| *start > policy.span.end)
    }
}

/// Makes views, and gives conditions their numbers.
#[derive(Default)]
struct Reader<'a> {
    numbers: HashMap<String, usize>,
    // Kept for its room.
    text: String,
    conditions: Vec<&'a ast::Expr>,
}

impl<'a> Reader<'a> {
    fn policy(&mut self, source: usize, policy: &'a ast::Policy, readable: bool) -> PolicyView<'a> {
        let mut variables = Variables::default();
        let pattern = Pattern::of_realm(&policy.realm, &mut variables);
        let numbers: Vec<String> = (0..variables.names().len()).map(|it| format!("[{it}]")).collect();
        let bound: Vec<&str> = numbers.iter().map(String::as_str).collect();
        let realm = pattern.text(&bound);
        let (rules, claims, comparisons) = (Vec::new(), Vec::new(), Vec::new());
        let mut view = PolicyView { source, policy, readable, realm, variables, rules, claims, comparisons };
        self.block(&mut view, &policy.block, None);
        view
    }

    fn block(&mut self, view: &mut PolicyView<'a>, block: &'a ast::Block, rule: Option<usize>) {
        for item in &block.items {
            match item {
                ast::Item::Claim(claim) => view.claims.push(ClaimView { claim, rule, block }),
                ast::Item::Block(block) => self.block(view, block, rule),
                ast::Item::Rule(inner) => {
                    add_comparisons(&mut view.comparisons, &inner.condition);
                    let conditions = self.conditions(view, inner, rule);
                    view.rules.push(RuleView { rule: inner, outer: rule, conditions });
                    let number = view.rules.len().saturating_sub(1);
                    self.block(view, &inner.block, Some(number));
                }
            }
        }
    }

    fn conditions(&mut self, view: &PolicyView<'a>, rule: &'a ast::Rule, outer: Option<usize>) -> Option<Numbers> {
        let mut parts = SmallVec::new();
        add_conjuncts(&mut parts, &rule.condition);
        let outer = view.conditions(outer)?;
        if parts.len().saturating_add(outer.len()) > CONDITIONS_COMPARED_MAX {
            return None;
        }
        let mut all = Numbers::from_slice(outer);
        all.extend(parts.into_iter().map(|part| self.number(view, part)));
        all.sort_unstable();
        all.dedup();
        Some(all)
    }

    fn number(&mut self, view: &PolicyView<'a>, part: &'a ast::Expr) -> usize {
        self.text.clear();
        canonical_expr(&mut self.text, part, &view.variables);
        if let Some(number) = self.numbers.get(&self.text) {
            return *number;
        }
        let number = self.conditions.len();
        self.conditions.push(part);
        self.numbers.insert(self.text.clone(), number);
        number
    }
}

/// The parts of `a && b && c`.
fn add_conjuncts<'a>(out: &mut SmallVec<[&'a ast::Expr; 4]>, expr: &'a ast::Expr) {
    match expr {
        ast::Expr::Group(inner, _) => add_conjuncts(out, inner),
        ast::Expr::And(parts) => {
            for part in parts {
                add_conjuncts(out, part);
            }
        }
        ast::Expr::Or(_) | ast::Expr::Comparison(_) => out.push(expr),
    }
}
