//! What of a set requests have touched: rules that asserted, comparisons that held and that did not.

use std::collections::BTreeMap;

use crate::{
    compile::{
        PolicySet,
        set::{Asserted, Gate, Placed},
        system::is_system,
    },
    eval::run::{NodeId, Run},
    source::Span,
};

/// What requests have touched of the documents of a set, its system documents aside.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Coverage {
    // INVARIANT (whole): every rule and comparison of the set is in here, touched or not; by document and place.
    rules: BTreeMap<(usize, usize), bool>,
    comparisons: BTreeMap<(usize, Span), Seen>,
}

/// Which ways a comparison went.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Seen {
    /// Held in some evaluation.
    pub held: bool,
    /// Did not hold in some evaluation of a target that its rule is about.
    pub failed: bool,
}

/// A rule: the innermost `if` around a claim, or the block or claim that needs none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CoveredRule {
    /// Index into the set's sources.
    pub document: usize,
    /// Where it begins.
    pub offset: usize,
    /// Whether it has asserted something.
    pub asserted: bool,
}

/// A comparison in a condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CoveredComparison {
    /// Index into the set's sources.
    pub document: usize,
    /// All of it.
    pub span: Span,
    /// Which ways it went.
    pub seen: Seen,
}

impl Coverage {
    /// Of no request yet.
    pub fn new(set: &PolicySet) -> Self {
        let mut coverage = Self::default();
        for Placed { document, policy } in set.policies().filter(|it| !is_of_system(set, it.document)) {
            for node in &policy.nodes {
                for assertion in &node.asserts {
                    coverage.rules.insert((document, assertion.offset), false);
                }
                if let Gate::Compare(comparison) = &node.gate {
                    coverage.comparisons.insert((document, comparison.span), Seen::default());
                }
            }
        }
        coverage
    }

    /// Notes what an evaluation of the same set touched.
    pub(crate) fn add(&mut self, run: &Run<'_>) {
        for (at, matched) in run.policies.iter().enumerate() {
            let document = matched.document;
            if is_of_system(run.set, document) {
                continue;
            }
            for (node, it) in matched.policy.nodes.iter().enumerate() {
                let holds = run.level(NodeId { policy: at, node }).is_some();
                if let Gate::Compare(comparison) = &it.gate {
                    let seen = self.comparisons.entry((document, comparison.span)).or_default();
                    seen.held |= holds;
                    seen.failed |= !holds;
                }
                for assertion in it.asserts.iter().filter(|_| holds) {
                    // A reference to a fact that is not there asserts nothing.
                    let asserts = match &assertion.value {
                        Asserted::Value(_) => true,
                        Asserted::Reference(slot) => !run.facts(*slot).is_empty(),
                    };
                    *self.rules.entry((document, assertion.offset)).or_default() |= asserts;
                }
            }
        }
    }

    /// All rules, by document and place.
    pub fn rules(&self) -> impl Iterator<Item = CoveredRule> {
        self.rules.iter().map(|((document, offset), asserted)| CoveredRule {
            document: *document,
            offset: *offset,
            asserted: *asserted,
        })
    }

    /// All comparisons, by document and place.
    pub fn comparisons(&self) -> impl Iterator<Item = CoveredComparison> {
        self.comparisons.iter().map(|((document, span), seen)| CoveredComparison {
            document: *document,
            span: *span,
            seen: *seen,
        })
    }
}

impl Seen {
    /// Of the two ways, how many it went.
    pub fn count(self) -> usize {
        usize::from(self.held).saturating_add(usize::from(self.failed))
    }
}

fn is_of_system(set: &PolicySet, document: usize) -> bool {
    set.sources.get(document).is_some_and(|it| is_system(it.document()))
}
