//! A set's policies to their layout.

use std::collections::BTreeMap;

use foldhash::{HashMap, HashMapExt, HashSet, HashSetExt};

use crate::compile::{
    catalogue::{Combines, claim_type, combines},
    condition::Comparison,
    index::{Index, List},
    plan::{
        Bytes, IN_LOCAL, KEYED, Op, PLACE_BYTES, Plan, SPECIAL, Table, UNCLEAR, UNIT_BYTES, VARIABLES_MAX, WORLD, hash,
    },
    realm::{LocalPattern, Part, Pattern},
    set::{Asserted, Gate, Policy, Template, TemplatePiece},
    slots::{Slot, Slots},
};

/// Rules of one unit that assert one claim, up to which they are tried one by one.
const TRIED_MAX: usize = 8;

/// Values up to which a comparison is what rules are found by: each is filed under all of them.
const KEYS_MAX: usize = 8;

/// Bytes from the start of a place to its variable child, and to its named root.
const VARIABLE_AT: u32 = 8;
const NAMED_AT: u32 = 12;

/// Bytes from the start of a production to its gate.
const GATE_AT: u32 = 4;

/// Lays out policies; nothing where there is more than 32 bits can address.
pub(crate) fn build(policies: &[Policy], slots: &Slots, index: &Index) -> Option<Plan> {
    // Offset 0 is nothing, and the gate that is always open stands before all.
    let (claims, changing) = (HashMap::new(), HashSet::new());
    let is_special = |it: Slot| claim_type(slots.claim_type(it)).is_some_and(|it| it.combines != Combines::Union);
    let special = (0..slots.count()).map(|it| is_special(Slot(it))).collect();
    let out = vec![0; 4];
    let mut builder = Builder { policies, slots, out, claims, changing, keyed: Vec::new(), special, open: 0 };
    builder.open = builder.gate(Op::True, 0)?;
    builder.claims()?;
    let edges = builder.places(index)?;
    let claims: Vec<(u64, u32)> = ascending(&builder.claims)
        .into_iter()
        .map(|(offset, (slot, value))| (hash::claim(slots.claim_type(slot), value), offset))
        .collect();
    let (edges, claims, keyed) = (Table::new(&edges), Table::new(&claims), Table::new(&builder.keyed));
    Some(Plan { bytes: Bytes(builder.out), edges, claims, keyed })
}

/// What was numbered, by number.
fn ascending<'a>(claims: &HashMap<(Slot, &'a str), u32>) -> BTreeMap<u32, (Slot, &'a str)> {
    claims.iter().map(|(claim, offset)| (*offset, *claim)).collect()
}

struct Builder<'a> {
    policies: &'a [Policy],
    slots: &'a Slots,
    out: Vec<u8>,
    // Claims by their slot and value, with the offset of their record.
    claims: HashMap<(Slot, &'a str), u32>,
    // Types of claims that some rule asserts with what a variable is bound to, or with the values of facts.
    changing: HashSet<Slot>,
    keyed: Vec<(u64, u32)>,
    // By slot: whether claims of this type do more than add up on some type of resource.
    special: Vec<bool>,
    // The gate that is always open.
    open: u32,
}

/// A rule that asserts a claim, before it has an offset.
struct Rule {
    claim: u32,
    policy: usize,
    node: usize,
    place: usize,
    /// A comparison without which it asserts nothing: of a fact with few values.
    key: Option<usize>,
}

impl<'a> Builder<'a> {
    fn here(&self) -> Option<u32> {
        u32::try_from(self.out.len()).ok()
    }

    fn number(&mut self, number: u32) {
        self.out.extend(number.to_le_bytes());
    }

    fn count(&mut self, count: usize) -> Option<()> {
        self.number(u32::try_from(count).ok()?);
        Some(())
    }

    fn wide(&mut self, number: u64) {
        self.out.extend(number.to_le_bytes());
    }

    fn patch(&mut self, at: u32, number: u32) -> Option<()> {
        let at = usize::try_from(at).ok()?;
        self.out.get_mut(at..at.checked_add(4)?)?.copy_from_slice(&number.to_le_bytes());
        Some(())
    }

    fn gate(&mut self, op: Op, count: usize) -> Option<u32> {
        let at = self.here()?;
        self.number(op.number());
        self.count(count)?;
        Some(at)
    }

    /// Numbers all claims that rules assert as they stand or ask for.
    fn claims(&mut self) -> Option<()> {
        for node in self.policies.iter().flat_map(|it| &it.nodes) {
            for assertion in &node.asserts {
                let constant = match &assertion.value {
                    Asserted::Value(template) => template.constant(),
                    Asserted::Reference(_) => None,
                };
                if let Some(value) = constant {
                    self.claim(assertion.slot, value)?;
                } else {
                    self.changing.insert(assertion.slot);
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

    fn claim(&mut self, slot: Slot, value: &'a str) -> Option<u32> {
        if let Some(claim) = self.claims.get(&(slot, value)) {
            return Some(*claim);
        }
        let at = self.here()?;
        let claim_type = self.slots.claim_type(slot);
        self.count(claim_type.len())?;
        self.count(value.len())?;
        self.out.extend(claim_type.bytes().chain(value.bytes()));
        self.claims.insert((slot, value), at);
        Some(at)
    }

    fn is_fact(&self, comparison: &Comparison) -> bool {
        self.slots.key(comparison.slot).is_some_and(|it| it.is_fact)
    }

    /// Each place with what stands on it behind it, so that they share a cache line; gives the edges.
    fn places(&mut self, index: &Index) -> Option<Vec<(u64, u32)>> {
        let mut offsets = Vec::with_capacity(index.places().len());
        let mut edges = Vec::with_capacity(index.places().len());
        // A place above stands before those under it, because it was met first.
        for place in index.places() {
            let at = self.here()?;
            offsets.push(at);
            let parent = match place.edge.as_ref().and_then(|it| it.parent) {
                Some(parent) => *offsets.get(parent)?,
                None => WORLD,
            };
            let segment = place.edge.as_ref().map(|it| it.segment.as_str());
            if let Some(segment) = segment {
                edges.push((hash::edge(parent, segment), at));
            }
            let segment = segment.unwrap_or_default();
            self.number(parent);
            self.count(segment.len())?;
            (0..5).for_each(|_| self.number(0));
            debug_assert_eq!(self.here(), Some(at.saturating_add(PLACE_BYTES)));
            self.out.extend(segment.bytes());
            for (list, field) in [place.below, place.exact, place.any].into_iter().zip([16, 20, 24]) {
                let units = self.units(index, list)?;
                self.patch(at.checked_add(field)?, units)?;
            }
        }
        for (place, at) in index.places().iter().zip(&offsets) {
            for (child, field) in [(place.variable, VARIABLE_AT), (place.named, NAMED_AT)] {
                if let Some(child) = child {
                    self.patch(at.checked_add(field)?, *offsets.get(child)?)?;
                }
            }
        }
        Some(edges)
    }

    /// The policies on one realm as units: one for each way in which its variables are the same.
    fn units(&mut self, index: &Index, list: List) -> Option<u32> {
        let mut by_shape: BTreeMap<Vec<(usize, u32)>, Vec<usize>> = BTreeMap::new();
        for at in index.list(list) {
            by_shape.entry(bindings(&self.policies.get(at)?.realm)).or_default().push(at);
        }
        let mut next = 0;
        for (bindings, policies) in by_shape {
            next = self.unit(next, &bindings, &policies)?;
        }
        Some(next)
    }

    fn unit(&mut self, next: u32, bindings: &[(usize, u32)], policies: &[usize]) -> Option<u32> {
        let at = self.here()?;
        let mut rules = Vec::new();
        let is_clear = bindings.iter().all(|(variable, _)| *variable < VARIABLES_MAX);
        let mut flags = if is_clear { 0 } else { UNCLEAR };
        for policy in policies.iter().filter(|_| is_clear) {
            self.rules(*policy, &mut rules, &mut flags)?;
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
        debug_assert_eq!(self.here(), Some(at.saturating_add(UNIT_BYTES)));
        for (variable, segment) in bindings {
            self.count(*variable)?;
            self.number(*segment);
        }
        let productions = self.here()?;
        for rule in &tried {
            self.number(rule.claim);
            self.number(0);
            self.count(rule.policy)?;
            self.count(rule.place)?;
        }
        let mut gates = Vec::with_capacity(policies.len());
        for policy in policies {
            gates.push(self.gates(*policy)?);
        }
        let gate_of = |rule: &Rule| {
            let of_policy = policies.binary_search(&rule.policy).ok()?;
            gates.get(of_policy)?.get(rule.node).copied()
        };
        for (index, rule) in (0_u32..).zip(&tried) {
            self.patch(productions.checked_add(index.checked_mul(16)?)?.checked_add(GATE_AT)?, gate_of(rule)?)?;
        }
        let mut by_key: BTreeMap<(u32, u64), Vec<(u32, &Rule)>> = BTreeMap::new();
        for rule in &keyed {
            for fact in self.facts_of(rule) {
                by_key.entry((rule.claim, fact)).or_default().push((gate_of(rule)?, rule));
            }
        }
        for ((claim, fact), filed) in by_key {
            self.filed(at, claim, fact, &filed)?;
        }
        Some(at)
    }

    /// Rules that a unit has for those who bring a fact.
    fn filed(&mut self, unit: u32, claim: u32, fact: u64, rules: &[(u32, &Rule)]) -> Option<()> {
        let at = self.here()?;
        self.number(unit);
        self.number(claim);
        self.wide(fact);
        self.count(rules.len())?;
        for (gate, rule) in rules {
            self.number(*gate);
            self.count(rule.policy)?;
            self.count(rule.place)?;
        }
        self.keyed.push((hash::key(unit, claim, fact), at));
        Some(())
    }

    /// The facts of which a rule needs one.
    fn facts_of(&self, rule: &Rule) -> Vec<u64> {
        let node = rule.key.and_then(|it| self.policies.get(rule.policy)?.node(it));
        let Some(Gate::Compare(comparison)) = node.map(|it| &it.gate) else { return Vec::new() };
        constants(comparison).unwrap_or_default().into_iter().map(|it| self.fact(comparison.slot, it)).collect()
    }

    /// What a policy asserts, and whether it asserts more than what adds up.
    fn rules(&self, policy: usize, rules: &mut Vec<Rule>, flags: &mut u32) -> Option<()> {
        let of = self.policies.get(policy)?;
        let keys = self.keys(of);
        for (node, it) in of.nodes.iter().enumerate() {
            for assertion in &it.asserts {
                let is_special = self.special.get(assertion.slot.0).is_none_or(|it| *it);
                if is_special
                    && combines(self.slots.claim_type(assertion.slot), &of.realm.resource_type) != Combines::Union
                {
                    *flags |= SPECIAL;
                }
                let Asserted::Value(template) = &assertion.value else { continue };
                let claim = template.constant().and_then(|value| self.claims.get(&(assertion.slot, value)));
                let Some(claim) = claim.copied() else { continue };
                let key = keys.get(node).copied().flatten().map(|it| it.1);
                rules.push(Rule { claim, policy, node, place: assertion.offset, key });
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

    fn fact(&self, slot: Slot, value: &str) -> u64 {
        hash::fact(self.fact_type(slot), value)
    }

    fn fact_type(&self, slot: Slot) -> u64 {
        let (issuer, claim_type) =
            self.slots.key(slot).map_or(("", ""), |it| (it.issuer.as_str(), it.claim_type.as_str()));
        hash::fact_type(issuer, claim_type)
    }

    /// The gates of a policy's nodes, each of which is written once.
    fn gates(&mut self, policy: usize) -> Option<Vec<u32>> {
        let nodes = &self.policies.get(policy)?.nodes;
        let mut gates: Vec<u32> = Vec::with_capacity(nodes.len());
        for (node, it) in nodes.iter().enumerate() {
            let gate = match &it.gate {
                Gate::Compare(comparison) => self.comparison(policy, node, comparison)?,
                Gate::All(inputs) => {
                    let inputs = inputs_of(&gates, inputs)?.into_iter().filter(|it| *it != self.open).collect();
                    self.joined(Op::All, inputs)?
                }
                Gate::Any(inputs) => {
                    let inputs = inputs_of(&gates, inputs)?;
                    self.joined(Op::Any, inputs)?
                }
            };
            gates.push(gate);
        }
        Some(gates)
    }

    fn joined(&mut self, op: Op, inputs: Vec<u32>) -> Option<u32> {
        match inputs.as_slice() {
            [] if op == Op::All => Some(self.open),
            [only] => Some(*only),
            _ => {
                let gate = self.gate(op, inputs.len())?;
                for input in inputs {
                    self.number(input);
                }
                Some(gate)
            }
        }
    }

    fn comparison(&mut self, policy: usize, node: usize, comparison: &'a Comparison) -> Option<u32> {
        let slot = comparison.slot;
        let constants = constants(comparison);
        if !self.is_fact(comparison) {
            let Some(values) = constants.filter(|_| !self.changing.contains(&slot)) else {
                return self.gate(Op::Unclear, 0);
            };
            let gate = self.gate(Op::Claim, values.len())?;
            for value in values {
                let claim = *self.claims.get(&(slot, value))?;
                self.number(claim);
            }
            return Some(gate);
        }
        if let Some(values) = constants {
            let gate = self.gate(Op::Fact, values.len())?;
            self.count(slot.0)?;
            for value in values {
                self.wide(self.fact(slot, value));
                self.count(value.len())?;
                self.out.extend(value.bytes());
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
        let gate = self.gate(Op::Other, 1)?;
        self.wide(self.fact_type(slot));
        self.count(policy)?;
        self.count(node)?;
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
