//! `quota::/prod` has 8 GB within a `quota::/` that has 4 GB: four are all there is.
//!
//! Finds limits that are looser than the same limit on a realm above that always applies, or applies under conditions that
//! this one has too. A realm with a variable is above those that it matches.
//!
//! ## Why it matters
//!
//! A limit on a deeper realm holds beside those above, never in place of them. Who wrote it believes that he gave more.
//!
//! ## Example
//!
//! ```policy
//! quota::/ {
//!   { max.job.memory "4GB" }
//! }
//! quota::/prod {
//!   { max.job.memory "8GB" }
//! }
//! ```
//!
//! ## Instead
//!
//! ```policy
//! quota::/ {
//!   { max.job.memory "8GB" }
//! }
//! quota::/sandbox {
//!   { max.job.memory "4GB" }
//! }
//! ```

use std::collections::BTreeMap;

use crate::{
    compile::catalogue::{Combines, combines},
    diagnostic::{Code, Diagnostic, printable::short},
    lint::{
        Lint, Report, Set,
        set::{ClaimView, PolicyView},
        walk::constants,
    },
    source::Span,
    syntax::{
        ast::{Local, Segment},
        literal::Literal,
    },
};

/// Realms above one that are looked at on one level; with variables there can be very many.
const ABOVE_MAX: usize = 64;

/// Limits of one type on one realm, under different conditions, that are looked at.
const LIMITS_MAX: usize = 16;

pub(super) struct QuotaLooserThanParent;

impl Lint for QuotaLooserThanParent {
    fn code(&self) -> Code {
        Code::QuotaLooserThanParent
    }

    fn check(&self, set: &Set<'_>, report: &mut Report) {
        let mut tree = Tree::default();
        for view in set.policies.iter().filter(|view| view.resource_type() == "quota") {
            tree.add(view);
        }
        for view in set.views().filter(|view| view.resource_type() == "quota") {
            let above = tree.above(view);
            for place in &view.claims {
                for limit in limits(view, place) {
                    let of_type = |at: &&usize| tree.limits(**at, &place.claim.claim_type.text);
                    let tighter = above.iter().flat_map(|at| of_type(&at)).find(|it| it.is_tighter(&limit));
                    if let Some(tighter) = tighter {
                        report.push(view.source, diagnose(set, view, place, &limit, tighter));
                    }
                }
            }
        }
    }
}

/// One value of a limit.
struct Limit<'s> {
    text: &'s str,
    amount: Literal,
    conditions: &'s [usize],
    realm: &'s str,
    source: usize,
    span: Span,
}

impl Limit<'_> {
    /// Whether this always holds where the other does, and lets through less.
    fn is_tighter(&self, other: &Limit<'_>) -> bool {
        self.realm != other.realm
            && self.amount.compare(other.amount).is_some_and(std::cmp::Ordering::is_lt)
            && self.conditions.iter().all(|it| other.conditions.binary_search(it).is_ok())
    }
}

fn limits<'s>(view: &'s PolicyView<'_>, place: &'s ClaimView<'_>) -> impl Iterator<Item = Limit<'s>> {
    let is_limit = matches!(combines(&place.claim.claim_type.text, "quota"), Combines::Least(_) | Combines::Total(_));
    let conditions = view.conditions(place.rule).filter(|_| is_limit);
    constants(place.claim).filter_map(move |(value, text)| {
        let (amount, conditions) = (Literal::parse(text).ok()?, conditions?);
        Some(Limit { text, amount, conditions, realm: &view.realm, source: view.source, span: value.span })
    })
}

/// Realms by their segments.
struct Tree<'s> {
    nodes: Vec<Node<'s>>,
}

#[derive(Default)]
struct Node<'s> {
    literal: BTreeMap<&'s str, usize>,
    variable: Option<usize>,
    limits: BTreeMap<&'s str, Vec<Limit<'s>>>,
}

impl Default for Tree<'_> {
    fn default() -> Self {
        Self { nodes: vec![Node::default()] }
    }
}

impl<'s> Tree<'s> {
    /// Takes in the limits of a realm that has others below it.
    fn add(&mut self, view: &'s PolicyView<'_>) {
        if view.policy.realm.local != Local::Below {
            return;
        }
        let mut at = 0_usize;
        for segment in &view.policy.realm.namespace {
            let next = self.nodes.len();
            let Some(node) = self.nodes.get_mut(at) else { return };
            at = match segment {
                Segment::Literal(name) => *node.literal.entry(&name.text).or_insert(next),
                Segment::Variable(_) => *node.variable.get_or_insert(next),
            };
            if at == next {
                self.nodes.push(Node::default());
            }
        }
        let Some(node) = self.nodes.get_mut(at) else { return };
        for place in &view.claims {
            let known = node.limits.entry(&place.claim.claim_type.text).or_default();
            known.extend(limits(view, place).take(LIMITS_MAX.saturating_sub(known.len())));
        }
    }

    /// The realms that hold all of a realm, the outermost first.
    fn above(&self, view: &PolicyView<'_>) -> Vec<usize> {
        let mut level = vec![0_usize];
        let mut above = level.clone();
        for segment in &view.policy.realm.namespace {
            let mut next = Vec::new();
            for node in level.iter().filter_map(|at| self.nodes.get(*at)) {
                if let Segment::Literal(name) = segment {
                    next.extend(node.literal.get(name.text.as_str()));
                }
                next.extend(node.variable);
            }
            next.truncate(ABOVE_MAX);
            above.extend(&next);
            level = next;
        }
        above
    }

    fn limits(&self, at: usize, claim_type: &str) -> &[Limit<'s>] {
        let limits = self.nodes.get(at).and_then(|it| it.limits.get(claim_type));
        limits.map(Vec::as_slice).unwrap_or_default()
    }
}

fn diagnose(
    set: &Set<'_>,
    view: &PolicyView<'_>,
    place: &ClaimView<'_>,
    limit: &Limit<'_>,
    tighter: &Limit<'_>,
) -> Diagnostic {
    let claim_type = short(&place.claim.claim_type.text);
    let message = format!("this `{claim_type}` is looser than the `{}` of a realm above", short(tighter.text));
    let error = Diagnostic::new(Code::QuotaLooserThanParent, limit.span, message, "never reached");
    if tighter.source == view.source {
        return error
            .with_label(tighter.span, "this holds here too")
            .with_help("limits hold together: raise the one above, and set tighter ones below it");
    }
    let place = set.place(tighter.source, tighter.span.start);
    error.with_help(format!("that one is in {place}; limits hold together: raise it, and set tighter ones below it"))
}
