//! The least fixpoint: rounds of rules that become true and claims that they assert (reference section 6).
//!
//! Each comparison waits for the claims that can make it true and each rule counts the inputs that it still lacks, so
//! that an evaluation does each thing once, whatever the order of rules and the length of chains. A round takes all
//! claims of the round before, so the round in which a claim is first asserted is the least height of its derivations.

use std::{borrow::Cow, collections::BTreeMap, ops::Range};

use foldhash::{HashMap, HashMapExt};
use smallvec::{SmallVec, smallvec};

use crate::{
    compile::{
        PolicySet,
        catalogue::Combines,
        set::{Asserted, Assertion, Gate, Node, Placed, Policy},
        slots::Slot,
    },
    eval::{
        Fact, Request,
        waiting::{ForValues, Waiting},
    },
};

/// Facts of one type up to which each comparison that is no look-up is tried on all of them at once.
const FEW_FACTS: usize = 16;

/// One evaluation, finished.
#[derive(Debug)]
pub(crate) struct Run<'a> {
    pub(crate) set: &'a PolicySet,
    pub(crate) request: &'a Request,
    /// Policies that speak of the target, ascending.
    pub(crate) policies: Vec<Matched<'a>>,
    // INVARIANT (order): ascending by least height, then by document and place of the asserting rule.
    /// In the order in which they were asserted.
    pub(crate) claims: Vec<Derived<'a>>,
    /// Assertions of types that do not just add up, each with the policy that made it.
    pub(crate) special: Vec<Special<'a>>,
    facts: Facts<'a>,
    // Of all nodes of all policies, one policy behind the other.
    states: Vec<State>,
    // Their numbers, once they are many.
    known: HashMap<(Slot, Cow<'a, str>), usize>,
    waiting_for_value: ForValues<'a>,
    waiting_for_type: HashMap<Slot, Waiting>,
}

/// A policy whose realm holds the target.
#[derive(Debug)]
pub(crate) struct Matched<'a> {
    /// Index into the set's sources.
    pub(crate) document: usize,
    pub(crate) policy: &'a Policy,
    /// What its variables are bound to, by number.
    pub(crate) bound: Vec<&'a str>,
    // Of its nodes the first, among the states of all.
    first: usize,
}

/// The values of the request's facts by slot.
#[derive(Debug, Default)]
struct Facts<'a> {
    // Ascending within one slot.
    values: SmallVec<[&'a str; 4]>,
    // INVARIANT (order): ascending by slot, each of which has values from here to there.
    slots: SmallVec<[(Slot, usize, usize); 4]>,
}

/// A few nodes.
type Nodes = SmallVec<[NodeId; 8]>;

/// Claims among which one is looked for by trying each.
const FEW_CLAIMS: usize = 8;

/// Where a node stands in the evaluation.
#[derive(Debug, Clone, Copy)]
struct State {
    /// Inputs that are still to become true.
    lacks: usize,
    /// The round in which it became true.
    level: Option<usize>,
    /// The claim that made a comparison true.
    witness: Option<usize>,
}

/// A node of a matched policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct NodeId {
    pub(crate) policy: usize,
    pub(crate) node: usize,
}

/// An asserted claim and the first rule that asserts it.
#[derive(Debug)]
pub(crate) struct Derived<'a> {
    pub(crate) slot: Slot,
    pub(crate) value: Cow<'a, str>,
    pub(crate) by: NodeId,
    /// Where the rule stands in its document.
    pub(crate) offset: usize,
}

/// An assertion whose realm matters.
#[derive(Debug)]
pub(crate) struct Special<'a> {
    pub(crate) slot: Slot,
    pub(crate) combines: Combines,
    pub(crate) value: Cow<'a, str>,
    /// Index into the matched policies.
    pub(crate) policy: usize,
}

impl<'a> Run<'a> {
    /// Evaluates to the end; `found` is what the set finds for the target.
    pub(crate) fn new(set: &'a PolicySet, found: &'a [Placed<'a>], request: &'a Request) -> Self {
        Self::leaving_open(set, found, request, &[])
    }

    /// Evaluates to the end, with every comparison of a context type in `open` true.
    pub(crate) fn leaving_open(
        set: &'a PolicySet,
        found: &'a [Placed<'a>],
        request: &'a Request,
        open: &[&str],
    ) -> Self {
        let (policies, states) = matched(found, request);
        let mut run = Self {
            set,
            request,
            policies,
            claims: Vec::new(),
            special: Vec::new(),
            facts: Facts::new(set, request),
            states,
            known: HashMap::new(),
            waiting_for_value: ForValues::default(),
            waiting_for_type: HashMap::new(),
        };
        let mut ready = run.start(open);
        let mut round = 0_usize;
        // INVARIANT (progress): each round but the last asserts a claim that was not there before.
        while !ready.is_empty() {
            let fired = run.propagate(ready, round);
            round = round.saturating_add(1);
            let fresh = run.assert(fired);
            ready = run.wake(fresh);
        }
        run
    }

    /// Nodes that are true before any claim is; all comparisons on claims wait from here on.
    fn start(&mut self, open: &[&str]) -> Nodes {
        let open: Vec<Slot> = open.iter().filter_map(|it| self.set.slots.find("", it)).collect();
        let mut ready = Nodes::new();
        // Comparisons of types with many facts.
        let mut of_many: BTreeMap<Slot, Waiting> = BTreeMap::new();
        for (policy, matched) in self.policies.iter().enumerate() {
            for (node, it) in matched.policy.nodes.iter().enumerate() {
                let id = NodeId { policy, node };
                match &it.gate {
                    Gate::All(inputs) if inputs.is_empty() => ready.push(id),
                    Gate::All(_) | Gate::Any(_) => (),
                    Gate::Compare(comparison) if is_fact(self.set, comparison.slot) => {
                        let values = self.facts.of(comparison.slot);
                        if open.contains(&comparison.slot) {
                            ready.push(id);
                        } else if FEW_FACTS < values.len() && comparison.is_of_some_value() {
                            of_many.entry(comparison.slot).or_default().push(id);
                        } else if comparison.holds(values, &matched.bound) {
                            ready.push(id);
                        }
                    }
                    Gate::Compare(comparison) => match comparison.equal_to() {
                        Some(templates) => {
                            for template in templates {
                                self.waiting_for_value.push(comparison.slot, template.fill(&matched.bound), id);
                            }
                        }
                        None => self.waiting_for_type.entry(comparison.slot).or_default().push(id),
                    },
                }
            }
        }
        for (slot, mut waiting) in of_many {
            for value in self.facts.of(slot) {
                ready.extend(waiting.woken_by(value, &self.policies));
            }
        }
        ready
    }

    /// Makes nodes true, and those that they were the last missing input of; gives those that assert something.
    fn propagate(&mut self, mut ready: Nodes, round: usize) -> Nodes {
        let mut fired = Nodes::new();
        while let Some(id) = ready.pop() {
            let Some(matched) = self.policies.get(id.policy) else { continue };
            let Some(states) = self.states.get_mut(matched.first..) else { continue };
            let Some(state) = states.get_mut(id.node) else { continue };
            if state.level.replace(state.level.unwrap_or(round)).is_some() {
                continue;
            }
            let Some(node) = matched.policy.node(id.node) else { continue };
            if !node.asserts.is_empty() {
                fired.push(id);
            }
            for feed in &node.feeds {
                let Some(state) = states.get_mut(*feed) else { continue };
                state.lacks = state.lacks.saturating_sub(1);
                if state.lacks == 0 {
                    ready.push(NodeId { node: *feed, ..id });
                }
            }
        }
        fired
    }

    /// Asserts what the nodes say, the first rule by document and place first; gives the claims that are new.
    fn assert(&mut self, fired: Nodes) -> Range<usize> {
        let mut assertions: SmallVec<[_; 4]> = SmallVec::new();
        for id in fired {
            let Some(matched) = self.policies.get(id.policy) else { continue };
            let policy: &'a Policy = matched.policy;
            let asserts = policy.node(id.node).map(|it| it.asserts.as_slice()).unwrap_or_default();
            assertions.extend(asserts.iter().map(|it| (matched.document, it.offset, id, it)));
        }
        assertions.sort_by_key(|(document, offset, id, _)| (*document, *offset, *id));
        let before = self.claims.len();
        for (_, _, by, assertion) in assertions {
            match &assertion.value {
                Asserted::Value(template) => self.assert_value(assertion, by, template.fill(self.bound(by.policy))),
                Asserted::Reference(_) => {
                    for value in self.values(&assertion.value, by.policy) {
                        self.assert_value(assertion, by, value);
                    }
                }
            }
        }
        before..self.claims.len()
    }

    fn assert_value(&mut self, assertion: &Assertion, by: NodeId, value: Cow<'a, str>) {
        let (slot, offset) = (assertion.slot, assertion.offset);
        let combines = self.set.slots.combines(slot, self.request.target().resource_type());
        if combines != Combines::Union {
            self.special.push(Special { slot, combines, value: value.clone(), policy: by.policy });
        }
        if self.number_of(slot, &value).is_none() {
            self.claims.push(Derived { slot, value, by, offset });
            self.know_last();
        }
    }

    /// Files the last claim under its text, and those before it with it as soon as they are many.
    fn know_last(&mut self) {
        if FEW_CLAIMS < self.claims.len() {
            let all = self.claims.iter().enumerate().skip(self.known.len());
            self.known.extend(all.map(|(number, it)| ((it.slot, it.value.clone()), number)));
        }
    }

    /// The number of a claim, if it was asserted.
    pub(crate) fn number_of(&self, slot: Slot, value: &str) -> Option<usize> {
        if self.known.is_empty() {
            return self.claims.iter().position(|it| it.slot == slot && it.value == value);
        }
        self.known.get(&(slot, Cow::Borrowed(value))).copied()
    }

    /// What an assertion asserts here.
    pub(crate) fn values(&self, asserted: &'a Asserted, policy: usize) -> SmallVec<[Cow<'a, str>; 1]> {
        match asserted {
            Asserted::Value(template) => smallvec![template.fill(self.bound(policy))],
            Asserted::Reference(slot) => self.facts(*slot).iter().map(|it| Cow::Borrowed(*it)).collect(),
        }
    }

    /// The comparisons that new claims make true.
    fn wake(&mut self, fresh: Range<usize>) -> Nodes {
        let Self { policies, claims, states, waiting_for_value, waiting_for_type, .. } = self;
        let mut ready = Nodes::new();
        for claim in fresh {
            let Some(Derived { slot, value, .. }) = claims.get(claim) else { continue };
            let mut wake = |id: NodeId| {
                let number = policies.get(id.policy).and_then(|it| it.first.checked_add(id.node));
                if let Some(state) = number.and_then(|it| states.get_mut(it)) {
                    state.witness.get_or_insert(claim);
                    ready.push(id);
                }
            };
            waiting_for_value.woken_by(*slot, value).for_each(&mut wake);
            if let Some(waiting) = waiting_for_type.get_mut(slot) {
                waiting.woken_by(value, policies).into_iter().for_each(&mut wake);
            }
        }
        ready
    }

    /// What a policy's variables are bound to.
    pub(crate) fn bound(&self, policy: usize) -> &[&'a str] {
        self.policies.get(policy).map(|it| it.bound.as_slice()).unwrap_or_default()
    }

    /// Values of a slot's facts, ascending.
    pub(crate) fn facts(&self, slot: Slot) -> &[&'a str] {
        self.facts.of(slot)
    }

    /// A node of the set.
    pub(crate) fn node(&self, id: NodeId) -> Option<&'a Node> {
        self.policies.get(id.policy)?.policy.node(id.node)
    }

    /// The number of a node, of which none has that of another.
    pub(crate) fn number(&self, id: NodeId) -> Option<usize> {
        self.policies.get(id.policy)?.first.checked_add(id.node)
    }

    /// How many nodes there are.
    pub(crate) fn nodes(&self) -> usize {
        self.states.len()
    }

    /// The round in which a node became true.
    pub(crate) fn level(&self, id: NodeId) -> Option<usize> {
        self.states.get(self.number(id)?)?.level
    }

    /// The claim that first made a comparison true.
    pub(crate) fn witness(&self, id: NodeId) -> Option<usize> {
        self.states.get(self.number(id)?)?.witness
    }

    /// The slot of claims of a type.
    pub(crate) fn slot(&self, claim_type: &str) -> Option<Slot> {
        self.set.slots.find("", claim_type)
    }

    /// The number of a claim, if it was asserted.
    pub(crate) fn find(&self, claim_type: &str, value: &str) -> Option<usize> {
        self.number_of(self.slot(claim_type)?, value)
    }

    /// All claims of a type with their numbers.
    pub(crate) fn claims_of(&self, claim_type: &str) -> impl Iterator<Item = (usize, &Derived<'a>)> {
        let slot = self.slot(claim_type);
        self.claims.iter().enumerate().filter(move |(_, it)| Some(it.slot) == slot)
    }
}

/// Whether facts fill a slot; else only rules do.
pub(crate) fn is_fact(set: &PolicySet, slot: Slot) -> bool {
    set.slots.is_fact(slot)
}

fn matched<'a>(found: &'a [Placed<'a>], request: &'a Request) -> (Vec<Matched<'a>>, Vec<State>) {
    let mut states = Vec::with_capacity(found.iter().map(|it| it.policy.nodes.len()).sum());
    let mut policies = Vec::with_capacity(found.len());
    policies.extend(found.iter().filter_map(|it| {
        let policy = &*it.policy;
        let bound = policy.realm.bind(request.target(), policy.variables.names().len())?;
        let state = |it: &Node| State {
            lacks: match &it.gate {
                Gate::All(inputs) => inputs.len(),
                Gate::Any(_) | Gate::Compare(_) => 1,
            },
            level: None,
            witness: None,
        };
        let first = states.len();
        states.extend(policy.nodes.iter().map(state));
        Some(Matched { document: it.document, policy, bound, first })
    }));
    (policies, states)
}

impl<'a> Facts<'a> {
    fn new(set: &PolicySet, request: &'a Request) -> Self {
        let mut facts = Self { values: SmallVec::with_capacity(request.facts().len()), slots: SmallVec::new() };
        let mut last: Option<(Fact<&str>, Option<Slot>)> = None;
        // Facts of one type stand together.
        for fact in request.facts().iter().map(Fact::as_text) {
            let slot = match last {
                Some((it, slot)) if it.is_of_type_of(&fact) => slot,
                Some(_) | None => set.slots.find(fact.issuer, fact.claim_type).filter(|it| is_fact(set, *it)),
            };
            last = Some((fact, slot));
            let Some(slot) = slot else { continue };
            let start = facts.values.len();
            facts.values.push(fact.value);
            match facts.slots.last_mut().filter(|it| it.0 == slot) {
                Some((_, _, end)) => *end = facts.values.len(),
                None => facts.slots.push((slot, start, facts.values.len())),
            }
        }
        facts.slots.sort_unstable();
        facts
    }

    /// Ascending.
    fn of(&self, slot: Slot) -> &[&'a str] {
        let at = self.slots.binary_search_by_key(&slot, |it| it.0).ok();
        let range = at.and_then(|it| self.slots.get(it)).map(|(_, start, end)| *start..*end);
        range.and_then(|it| self.values.get(it)).unwrap_or_default()
    }
}
