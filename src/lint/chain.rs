//! Which claims can come about at all: from facts and context, through the rules of one resource type.
//!
//! Facts of tokens and context are taken to be there. What is left is a graph of claim types and values: a rule comes
//! about when its condition and the rule around it do, and brings its claims about; each step is taken once.

use std::collections::BTreeMap;

use foldhash::{HashMap, HashSet};
use smallvec::SmallVec;

use crate::{
    lint::set::PolicyView,
    syntax::{
        ast::{Asserted, Claim, Comparison, Expr, Operator},
        vocabulary::is_context,
    },
};

/// What can be asserted on one resource type.
pub(super) struct Chain<'a> {
    types: BTreeMap<&'a str, Values<'a>>,
    gates: Vec<Gate<'a>>,
    // Gates of which something that was missing has come about.
    pending: Vec<usize>,
}

/// The values of one claim type.
#[derive(Default)]
struct Values<'a> {
    /// That some rule asserts, whether or not it ever comes about.
    asserted: HashSet<&'a str>,
    /// That can come about.
    live: HashSet<&'a str>,
    /// Whether values that are not known here can come about: those of facts, or with variables in them.
    open: bool,
    /// Gates that one value opens.
    waiting: HashMap<&'a str, SmallVec<[usize; 2]>>,
    /// Gates that any value opens.
    waiting_any: Vec<usize>,
}

/// A rule, or a part of its condition: opens when as much of what stands before it has as is missing.
struct Gate<'a> {
    missing: usize,
    next: SmallVec<[usize; 2]>,
    // What a rule asserts.
    claims: SmallVec<[&'a Claim; 1]>,
}

impl<'a> Values<'a> {
    /// Lets a gate wait for what a comparison asks for; not where none of that is ever asserted.
    fn wait(&mut self, comparison: &'a Comparison, gate: usize) -> bool {
        let Some(asked) = asked(comparison) else {
            self.waiting_any.push(gate);
            return true;
        };
        let is_asserted = asked.iter().any(|it| self.asserted.contains(it));
        for value in asked.into_iter().filter(|_| is_asserted) {
            self.waiting.entry(value).or_default().push(gate);
        }
        is_asserted
    }
}

/// Whether a comparison speaks of what rules assert.
pub(super) fn is_of_rules(comparison: &Comparison) -> bool {
    comparison.issuer.is_none() && !is_context(&comparison.claim_type.text)
}

/// The constants of which a comparison asks for one; none where it asks for something else.
pub(super) fn asked(comparison: &Comparison) -> Option<SmallVec<[&str; 2]>> {
    let by_name = matches!(comparison.operator, Operator::Equal | Operator::Equals | Operator::In);
    let constants = || comparison.values.iter().map(|it| it.constant()).collect();
    if by_name { constants() } else { None }
}

impl<'a> Chain<'a> {
    /// Follows all rules of these policies, which are of one resource type. Of the first `given` documents a test of what
    /// nothing asserts is told as such, so what waits for it is not to blame, and is taken to come about.
    pub(super) fn new<'s>(policies: impl Iterator<Item = &'s PolicyView<'a>> + Clone, given: usize) -> Self
    where
        'a: 's,
    {
        let mut chain = Self { types: BTreeMap::new(), gates: Vec::new(), pending: Vec::new() };
        for claim in policies.clone().flat_map(|it| &it.claims) {
            chain.note(claim.claim);
        }
        for view in policies {
            chain.add(view, view.source < given);
        }
        chain.follow();
        chain
    }

    /// Whether some rule asserts the claim type, in whatever value.
    pub(super) fn has_type(&self, claim_type: &str) -> bool {
        self.types.contains_key(claim_type)
    }

    /// Whether some rule asserts the value, or may.
    pub(super) fn is_asserted(&self, claim_type: &str, value: &str) -> bool {
        self.types.get(claim_type).is_some_and(|it| it.open || it.asserted.contains(value))
    }

    /// Whether the value can come about.
    pub(super) fn is_live(&self, claim_type: &str, value: &str) -> bool {
        self.types.get(claim_type).is_some_and(|it| it.open || it.live.contains(value))
    }

    fn note(&mut self, claim: &'a Claim) {
        let values = self.types.entry(&claim.claim_type.text).or_default();
        for asserted in &claim.asserted {
            let constant = if let Asserted::Value(value) = asserted { value.constant() } else { None };
            match constant {
                Some(text) => values.asserted.extend([text]),
                None => values.open = true,
            }
        }
    }

    fn add(&mut self, view: &PolicyView<'a>, given: bool) {
        let mut rules: Vec<usize> = Vec::new();
        for rule in &view.rules {
            let outer = rule.outer.and_then(|it| rules.get(it).copied());
            let gate = self.gate(1_usize.saturating_add(usize::from(outer.is_some())), None);
            if let Some(outer) = outer.and_then(|it| self.gates.get_mut(it)) {
                outer.next.push(gate);
            }
            self.expr(&rule.rule.condition, gate, given);
            rules.push(gate);
        }
        for claim in &view.claims {
            match claim.rule.and_then(|it| rules.get(it)).and_then(|it| self.gates.get_mut(*it)) {
                Some(gate) => gate.claims.push(claim.claim),
                None => self.assert(claim.claim),
            }
        }
    }

    fn gate(&mut self, missing: usize, next: Option<usize>) -> usize {
        self.gates.push(Gate { missing, next: next.into_iter().collect(), claims: SmallVec::new() });
        self.gates.len().saturating_sub(1)
    }

    /// Makes the gates of a condition, of which `next` waits for the last.
    fn expr(&mut self, expr: &'a Expr, next: usize, given: bool) {
        match expr {
            Expr::Group(inner, _) => self.expr(inner, next, given),
            Expr::Comparison(comparison) => self.comparison(comparison, next, given),
            Expr::And(parts) => {
                let gate = self.gate(parts.len(), Some(next));
                for part in parts {
                    self.expr(part, gate, given);
                }
            }
            Expr::Or(parts) => {
                let gate = self.gate(1, Some(next));
                for part in parts {
                    self.expr(part, gate, given);
                }
            }
        }
    }

    fn comparison(&mut self, comparison: &'a Comparison, next: usize, given: bool) {
        if !is_of_rules(comparison) {
            self.pending.push(next);
            return;
        }
        let gate = self.gates.len();
        let waits = match self.types.get_mut(comparison.claim_type.text.as_str()) {
            Some(values) if !values.open => values.wait(comparison, gate),
            Some(_) => {
                self.pending.push(next);
                return;
            }
            None => false,
        };
        if waits {
            self.gate(1, Some(next));
        } else if given {
            self.pending.push(next);
        }
    }

    fn assert(&mut self, claim: &'a Claim) {
        let Some(values) = self.types.get_mut(claim.claim_type.text.as_str()) else { return };
        for asserted in &claim.asserted {
            let Asserted::Value(value) = asserted else { continue };
            let Some(text) = value.constant() else { continue };
            values.live.insert(text);
            self.pending.extend(values.waiting.remove(text).unwrap_or_default());
        }
        self.pending.append(&mut values.waiting_any);
    }

    /// Opens what can be opened, and what that opens.
    fn follow(&mut self) {
        // What came about before everybody had begun to wait comes about for those too.
        for values in self.types.values_mut().filter(|it| !it.live.is_empty()) {
            self.pending.append(&mut values.waiting_any);
            values.waiting.retain(|text, gates| {
                let is_live = values.live.contains(text);
                if is_live {
                    self.pending.extend(gates.drain(..));
                }
                !is_live
            });
        }
        while let Some(number) = self.pending.pop() {
            let Some(gate) = self.gates.get_mut(number) else { continue };
            let opens = gate.missing == 1;
            gate.missing = gate.missing.saturating_sub(1);
            if opens {
                self.pending.extend_from_slice(&gate.next);
                for claim in std::mem::take(&mut gate.claims) {
                    self.assert(claim);
                }
            }
        }
    }
}
