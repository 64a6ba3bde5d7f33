//! A set's policies to their layout.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use foldhash::{HashMap, HashMapExt};

use crate::compile::{
    catalogue::{Combines, claim_type, combines},
    condition::Comparison,
    document::Document,
    index::Index,
    plan::{IN_LOCAL, KEYED, Op, PLACE_BYTES, Plan, SPECIAL, Table, UNCLEAR, UNIT_BYTES, VARIABLES_MAX, WORLD, hash},
    realm::{LocalPattern, Part, Pattern},
    set::{Asserted, Gate, Numbers, Policy, Template, TemplatePiece},
    slots::{Slot, Slots},
};

/// Rules of one unit that assert one claim, up to which they are tried one by one.
const TRIED_MAX: usize = 8;

/// Values up to which a comparison is what rules are found by: each is filed under all of them.
const KEYS_MAX: usize = 8;

/// Bytes from the start of a place to its variable child, to its named root, and to its lists of units.
pub(super) const VARIABLE_AT: u32 = 8;
pub(super) const NAMED_AT: u32 = 12;
pub(super) const BELOW_AT: u32 = 16;
pub(super) const EXACT_AT: u32 = 20;
pub(super) const ANY_AT: u32 = 24;

/// Bytes from the start of a production to its gate.
const GATE_AT: u32 = 4;

/// The gate that is always open: the first of all, behind the four bytes of offset 0.
const OPEN: u32 = 4;

/// Lays out all policies, whose realms are in `realms` in the order of their numbers; nothing where there is more than 32
/// bits can address.
pub(crate) fn build(documents: &[Arc<Document>], numbers: &Numbers, slots: &Slots, realms: &Index) -> Option<Plan> {
    let changing: BTreeSet<Slot> = documents.iter().flat_map(|it| &it.changing).copied().collect();
    let mut plan = Plan { changing: changing.into_iter().collect(), ..Plan::default() };
    plan.edges = Table::with_room(realms.places().len());
    let mut builder = Builder::new(plan, documents, numbers, slots);
    builder.plan.bytes.0.extend([0; 4]);
    builder.gate(Op::True, 0)?;
    builder.places(realms)?;
    let mut plan = builder.plan;
    plan.whole = plan.bytes.0.len();
    plan.bytes.0.shrink_to_fit();
    Some(plan)
}

/// Writes at the end of a layout.
pub(super) struct Builder<'a> {
    pub(super) plan: Plan,
    documents: &'a [Arc<Document>],
    numbers: &'a Numbers,
    slots: &'a Slots,
    // By slot: whether claims of this type do more than add up on some type of resource.
    special: Vec<bool>,
}

/// A rule that is found by a fact.
struct Filed {
    gate: u32,
    policy: u32,
    place: usize,
}

/// A policy that is being laid out.
struct Laid {
    number: u32,
    /// Each variable with the segments that it stands for.
    bindings: Vec<(usize, u32)>,
    policy: Arc<Policy>,
}

/// A rule that asserts a claim, before it has an offset.
struct Rule {
    claim: u32,
    /// Index into the policies of the unit.
    policy: usize,
    node: usize,
    place: usize,
    /// A comparison without which it asserts nothing: of a fact with few values.
    key: Option<usize>,
}

impl<'a> Builder<'a> {
    pub(super) fn new(plan: Plan, documents: &'a [Arc<Document>], numbers: &'a Numbers, slots: &'a Slots) -> Self {
        let is_special = |it: Slot| claim_type(slots.claim_type(it)).is_some_and(|it| it.combines != Combines::Union);
        let special = (0..slots.count()).map(|it| is_special(Slot(it))).collect();
        Self { plan, documents, numbers, slots, special }
    }

    fn here(&self) -> Option<u32> {
        u32::try_from(self.plan.bytes.0.len()).ok()
    }

    fn number(&mut self, number: u32) {
        self.plan.bytes.0.extend(number.to_le_bytes());
    }

    fn count(&mut self, count: usize) -> Option<()> {
        self.number(u32::try_from(count).ok()?);
        Some(())
    }

    fn wide(&mut self, number: u64) {
        self.plan.bytes.0.extend(number.to_le_bytes());
    }

    fn text(&mut self, text: &str) {
        self.plan.bytes.0.extend(text.bytes());
    }

    pub(super) fn fill(&mut self, at: u32, number: u32) -> Option<()> {
        let at = usize::try_from(at).ok()?;
        self.plan.bytes.0.get_mut(at..at.checked_add(4)?)?.copy_from_slice(&number.to_le_bytes());
        Some(())
    }

    fn gate(&mut self, op: Op, count: usize) -> Option<u32> {
        let at = self.here()?;
        self.number(op.number());
        self.count(count)?;
        Some(at)
    }

    /// Numbers the claims that a policy asserts as they stand or asks for.
    fn claims(&mut self, policy: &Policy) -> Option<()> {
        for node in &policy.nodes {
            for assertion in &node.asserts {
                let Asserted::Value(template) = &assertion.value else { continue };
                if let Some(value) = template.constant() {
                    self.claim(assertion.slot, value)?;
                }
            }
            if let Gate::Compare(comparison) = &node.gate
                && !self.is_fact(comparison)
            {
                for value in constants(comparison).unwrap_or_default() {
                    self.claim(comparison.slot, value)?;
                }
            }
        }
        Some(())
    }

    fn claim(&mut self, slot: Slot, value: &str) -> Option<u32> {
        let claim_type = self.slots.claim_type(slot);
        if let Some(claim) = self.plan.claim(claim_type, value) {
            return Some(claim);
        }
        let at = self.here()?;
        self.count(claim_type.len())?;
        self.count(value.len())?;
        self.text(claim_type);
        self.text(value);
        let Plan { bytes, claims, .. } = &mut self.plan;
        claims.insert(hash::claim(claim_type, value), at, |it| bytes.hash_of_claim(it).unwrap_or_default());
        Some(at)
    }

    /// Each place with what stands on it behind it, so that they share a cache line.
    fn places(&mut self, index: &Index) -> Option<()> {
        let mut offsets = Vec::with_capacity(index.places().len());
        // A place above stands before those under it, because it was met first.
        for place in index.places() {
            let parent = match place.edge.as_ref().and_then(|it| it.parent) {
                Some(parent) => *offsets.get(parent)?,
                None => WORLD,
            };
            let at = self.place(place.edge.as_ref().map(|it| (parent, it.segment.as_str())))?;
            offsets.push(at);
            for (list, field) in [(place.below, BELOW_AT), (place.exact, EXACT_AT), (place.any, ANY_AT)] {
                let numbers: Vec<u32> = index.list(list).map(u32::try_from).collect::<Result<_, _>>().ok()?;
                let units = self.units(&numbers)?;
                self.fill(at.checked_add(field)?, units)?;
            }
        }
        for (place, at) in index.places().iter().zip(&offsets) {
            for (child, field) in [(place.variable, VARIABLE_AT), (place.named, NAMED_AT)] {
                if let Some(child) = child {
                    self.fill(at.checked_add(field)?, *offsets.get(child)?)?;
                }
            }
        }
        Some(())
    }

    /// A new place, with the segment that leads to it from another.
    pub(super) fn place(&mut self, edge: Option<(u32, &str)>) -> Option<u32> {
        let at = self.here()?;
        let (parent, segment) = edge.unwrap_or((WORLD, ""));
        self.number(parent);
        self.count(segment.len())?;
        (0..5).for_each(|_| self.number(0));
        debug_assert_eq!(self.here(), Some(at.saturating_add(PLACE_BYTES)));
        self.text(segment);
        if edge.is_some() {
            let Plan { bytes, edges, .. } = &mut self.plan;
            edges.insert(hash::edge(parent, segment), at, |it| bytes.hash_of_edge(it).unwrap_or_default());
        }
        Some(at)
    }

    /// The policies on one realm as units: one for each way in which its variables are the same.
    pub(super) fn units(&mut self, numbers: &[u32]) -> Option<u32> {
        let mut all = Vec::with_capacity(numbers.len());
        for number in numbers {
            let (document, at) = self.numbers.document(*number)?;
            let policy = self.documents.get(document)?.policy(at, self.slots)?;
            self.claims(&policy)?;
            all.push(Laid { number: *number, bindings: bindings(&policy.realm), policy });
        }
        all.sort_by(|a, b| a.bindings.cmp(&b.bindings));
        let mut next = 0;
        for policies in all.chunk_by(|a, b| a.bindings == b.bindings) {
            next = self.unit(next, policies)?;
        }
        Some(next)
    }

    fn unit(&mut self, next: u32, policies: &[Laid]) -> Option<u32> {
        let at = self.here()?;
        let bindings = policies.first()?.bindings.as_slice();
        let mut rules = Vec::new();
        let is_clear = bindings.iter().all(|(variable, _)| *variable < VARIABLES_MAX);
        let mut flags = if is_clear { 0 } else { UNCLEAR };
        for (index, it) in policies.iter().enumerate().filter(|_| is_clear) {
            self.rules(index, &it.policy, &mut rules, &mut flags)?;
        }
        rules.sort_by_key(|it| it.claim);
        let (tried, keyed): (Vec<Rule>, Vec<Rule>) = parted(rules);
        if !keyed.is_empty() {
            flags |= KEYED;
        }
        self.number(next);
        self.number(flags);
        self.count(bindings.len())?;
        self.count(tried.len())?;
        self.count(policies.len())?;
        debug_assert_eq!(self.here(), Some(at.saturating_add(UNIT_BYTES)));
        for (variable, segment) in bindings {
            self.count(*variable)?;
            self.number(*segment);
        }
        let number_of = |rule: &Rule| policies.get(rule.policy).map(|it| it.number);
        let productions = self.here()?;
        for rule in &tried {
            self.number(rule.claim);
            self.number(0);
            self.number(number_of(rule)?);
            self.count(rule.place)?;
        }
        for it in policies {
            self.number(it.number);
        }
        let mut gates = Vec::with_capacity(policies.len());
        for it in policies {
            gates.push(self.gates(it)?);
        }
        let gate_of = |rule: &Rule| gates.get(rule.policy)?.get(rule.node).copied();
        for (index, rule) in (0_u32..).zip(&tried) {
            self.fill(productions.checked_add(index.checked_mul(16)?)?.checked_add(GATE_AT)?, gate_of(rule)?)?;
        }
        let mut by_key: BTreeMap<(u32, u64), Vec<Filed>> = BTreeMap::new();
        for rule in &keyed {
            for fact in self.facts_of(rule, policies) {
                let filed = Filed { gate: gate_of(rule)?, policy: number_of(rule)?, place: rule.place };
                by_key.entry((rule.claim, fact)).or_default().push(filed);
            }
        }
        for ((claim, fact), filed) in by_key {
            self.filed(at, claim, fact, &filed)?;
        }
        Some(at)
    }

    /// Rules that a unit has for those who bring a fact.
    fn filed(&mut self, unit: u32, claim: u32, fact: u64, rules: &[Filed]) -> Option<()> {
        let at = self.here()?;
        self.number(unit);
        self.number(claim);
        self.wide(fact);
        self.count(rules.len())?;
        for rule in rules {
            self.number(rule.gate);
            self.number(rule.policy);
            self.count(rule.place)?;
        }
        let Plan { bytes, keyed, .. } = &mut self.plan;
        keyed.insert(hash::key(unit, claim, fact), at, |it| bytes.hash_of_key(it).unwrap_or_default());
        Some(())
    }

    /// The facts of which a rule needs one.
    fn facts_of(&self, rule: &Rule, policies: &[Laid]) -> Vec<u64> {
        let node = rule.key.and_then(|it| policies.get(rule.policy)?.policy.node(it));
        let Some(Gate::Compare(comparison)) = node.map(|it| &it.gate) else { return Vec::new() };
        constants(comparison).unwrap_or_default().into_iter().map(|it| self.fact(comparison.slot, it)).collect()
    }

    /// What a policy asserts, and whether it asserts more than what adds up.
    fn rules(&self, index: usize, of: &Policy, rules: &mut Vec<Rule>, flags: &mut u32) -> Option<()> {
        let keys = self.keys(of);
        for (node, it) in of.nodes.iter().enumerate() {
            for assertion in &it.asserts {
                let claim_type = self.slots.claim_type(assertion.slot);
                let is_special = self.special.get(assertion.slot.0).is_none_or(|it| *it);
                if is_special && combines(claim_type, &of.realm.resource_type) != Combines::Union {
                    *flags |= SPECIAL;
                }
                let Asserted::Value(template) = &assertion.value else { continue };
                let Some(value) = template.constant() else { continue };
                let claim = self.plan.claim(claim_type, value)?;
                let key = keys.get(node).copied().flatten().map(|it| it.1);
                rules.push(Rule { claim, policy: index, node, place: assertion.offset, key });
            }
        }
        Some(())
    }

    /// For each node the comparison of a fact without which it is not true, and its few values: that with the fewest.
    fn keys(&self, policy: &Policy) -> Vec<Option<(usize, usize)>> {
        let mut keys: Vec<Option<(usize, usize)>> = Vec::with_capacity(policy.nodes.len());
        for (at, node) in policy.nodes.iter().enumerate() {
            keys.push(match &node.gate {
                Gate::Compare(comparison) if self.is_fact(comparison) => {
                    let count = constants(comparison).map_or(0, |it| it.len());
                    (1..=KEYS_MAX).contains(&count).then_some((count, at))
                }
                // Inputs stand before the node that has them.
                Gate::All(inputs) => inputs.iter().filter_map(|it| keys.get(*it).copied().flatten()).min(),
                Gate::Compare(_) | Gate::Any(_) => None,
            });
        }
        keys
    }

    fn is_fact(&self, comparison: &Comparison) -> bool {
        self.slots.key(comparison.slot).is_some_and(|it| it.is_fact)
    }

    fn fact(&self, slot: Slot, value: &str) -> u64 {
        hash::fact(self.fact_type(slot), value)
    }

    fn fact_type(&self, slot: Slot) -> u64 {
        let (issuer, claim_type) =
            self.slots.key(slot).map_or(("", ""), |it| (it.issuer.as_str(), it.claim_type.as_str()));
        hash::fact_type(issuer, claim_type)
    }

    /// The gates of a policy's nodes, each of which is written once.
    fn gates(&mut self, of: &Laid) -> Option<Vec<u32>> {
        let mut gates: Vec<u32> = Vec::with_capacity(of.policy.nodes.len());
        for it in &of.policy.nodes {
            let gate = match &it.gate {
                Gate::Compare(comparison) => self.comparison(of.number, comparison)?,
                Gate::All(inputs) => {
                    let mut inputs = inputs_of(&gates, inputs)?;
                    inputs.retain(|it| *it != OPEN);
                    self.joined(Op::All, &inputs)?
                }
                Gate::Any(inputs) => {
                    let inputs = inputs_of(&gates, inputs)?;
                    self.joined(Op::Any, &inputs)?
                }
            };
            gates.push(gate);
        }
        Some(gates)
    }

    fn joined(&mut self, op: Op, inputs: &[u32]) -> Option<u32> {
        match inputs {
            [] if op == Op::All => Some(OPEN),
            [only] => Some(*only),
            several => self.joined_of(op, several),
        }
    }

    /// A gate of so many offsets.
    fn joined_of(&mut self, op: Op, offsets: &[u32]) -> Option<u32> {
        let gate = self.gate(op, offsets.len())?;
        for offset in offsets {
            self.number(*offset);
        }
        Some(gate)
    }

    fn comparison(&mut self, policy: u32, comparison: &Comparison) -> Option<u32> {
        let slot = comparison.slot;
        let constants = constants(comparison);
        if !self.is_fact(comparison) {
            let is_changing = self.plan.changing.binary_search(&slot).is_ok();
            let Some(values) = constants.filter(|_| !is_changing) else { return self.gate(Op::Unclear, 0) };
            let claim_type = self.slots.claim_type(slot);
            let claims: Vec<u32> = values.iter().map(|it| self.plan.claim(claim_type, it)).collect::<Option<_>>()?;
            return self.joined_of(Op::Claim, &claims);
        }
        if let Some(values) = constants {
            let gate = self.gate(Op::Fact, values.len())?;
            self.count(slot.0)?;
            for value in values {
                self.wide(self.fact(slot, value));
                self.count(value.len())?;
                self.text(value);
            }
            return Some(gate);
        }
        if let Some([Template { pieces }]) = comparison.equal_to()
            && let [TemplatePiece::Variable(variable)] = pieces.as_slice()
        {
            let gate = self.gate(Op::Bound, 1)?;
            self.count(slot.0)?;
            self.wide(self.fact_type(slot));
            self.count(*variable)?;
            return Some(gate);
        }
        let Some(number) = comparison.number else { return self.gate(Op::Unclear, 0) };
        let gate = self.gate(Op::Other, 1)?;
        self.wide(self.fact_type(slot));
        self.number(policy);
        self.count(number)?;
        Some(gate)
    }
}

/// Each variable with the segments that it stands for.
fn bindings(realm: &Pattern) -> Vec<(usize, u32)> {
    let named = match &realm.local {
        LocalPattern::Named(parts) => parts.as_slice(),
        LocalPattern::Below | LocalPattern::Exact | LocalPattern::Any => &[],
    };
    let places = realm.namespace.iter().zip(0_u32..).chain(named.iter().zip(IN_LOCAL..));
    let bound = places.filter_map(|(part, at)| match part {
        Part::Variable(number) => Some((*number, at)),
        Part::Literal(_) => None,
    });
    bound.collect()
}

/// Gates of nodes that stand before.
fn inputs_of(gates: &[u32], inputs: &[usize]) -> Option<Vec<u32>> {
    inputs.iter().map(|it| gates.get(*it).copied()).collect()
}

/// The texts that a comparison is true of, where it is of no others.
fn constants(comparison: &Comparison) -> Option<Vec<&str>> {
    comparison.equal_to()?.iter().map(Template::constant).collect()
}

/// Rules that are tried one by one, and those that are found by a fact: where many assert one claim. Both stay ascending.
fn parted(rules: Vec<Rule>) -> (Vec<Rule>, Vec<Rule>) {
    if rules.len() <= TRIED_MAX {
        return (rules, Vec::new());
    }
    let mut counts: HashMap<u32, usize> = HashMap::new();
    for rule in rules.iter().filter(|it| it.key.is_some()) {
        let count = counts.entry(rule.claim).or_default();
        *count = count.saturating_add(1);
    }
    let is_tried = |it: &Rule| it.key.is_none() || counts.get(&it.claim).is_none_or(|count| *count <= TRIED_MAX);
    rules.into_iter().partition(is_tried)
}
