//! Policies to records of a layout.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use smallvec::SmallVec;

use crate::compile::{
    catalogue::Combines,
    document::Document,
    plan::{
        AFFIXED, KEYED, Op, PLACE_BYTES, Plan, Production, SPECIAL, UNCLEAR, UNIT_BYTES, VARIABLES_MAX, WORLD,
        draft::Draft,
        hash,
        rule::{Rule, Rules, TRIED_MAX, by_part, comparison_of, keys, parted},
    },
    set::Numbers,
    slots::{Slot, Slots},
    steps::Asks,
};

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

/// Offsets of gates: of the nodes of a policy, or of what a gate joins.
type Gates = SmallVec<[u32; 4]>;

/// Writes at the end of a layout.
pub(super) struct Builder<'a> {
    pub(super) plan: &'a mut Plan<Vec<u8>>,
    slots: &'a Slots,
    pub(super) seen: &'a mut Seen,
}

/// What a builder knows of the policies before.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// The claim that was asked for last: mostly it is asked for again.
    claim: Option<(Slot, u32)>,
    /// The places on the way to the last realm: mostly the next begins with the same.
    pub(super) way: SmallVec<[u32; 8]>,
    /// Types of claims that gates ask for as claims, because nothing was said against that.
    pub(super) asked: BTreeSet<Slot>,
}

/// The documents of a set, and what their policies are called.
pub(super) struct Policies<'a> {
    pub(super) documents: &'a [Arc<Document>],
    pub(super) numbers: &'a Numbers,
}

impl<'a> Builder<'a> {
    pub(super) fn new(plan: &'a mut Plan<Vec<u8>>, slots: &'a Slots, seen: &'a mut Seen) -> Self {
        Self { plan, slots, seen }
    }

    /// Begins a layout in which nothing is yet.
    pub(super) fn begin(&mut self) -> Option<()> {
        self.plan.bytes.0.extend([0; 4]);
        self.gate(Op::True, 0).map(|_| ())
    }

    fn here(&self) -> Option<u32> {
        u32::try_from(self.plan.bytes.0.len()).ok()
    }

    fn numbers<const N: usize>(&mut self, numbers: [u32; N]) {
        self.plan.bytes.0.extend_from_slice(numbers.map(u32::to_le_bytes).as_flattened());
    }

    fn wide(&mut self, number: u64) {
        self.plan.bytes.0.extend_from_slice(&number.to_le_bytes());
    }

    fn text(&mut self, text: &[u8]) {
        self.plan.bytes.0.extend_from_slice(text);
    }

    pub(super) fn fill(&mut self, at: u32, number: u32) -> Option<()> {
        let at = usize::try_from(at).ok()?;
        self.plan.bytes.0.get_mut(at..at.checked_add(4)?)?.copy_from_slice(&number.to_le_bytes());
        Some(())
    }

    fn gate(&mut self, op: Op, count: usize) -> Option<u32> {
        let at = self.here()?;
        self.numbers([op.number(), narrow(count)?]);
        Some(at)
    }

    /// Numbers the claims that a policy asserts as they stand or asks for.
    fn claims(&mut self, policy: &mut Draft<'_>) -> Option<()> {
        policy.order();
        let mut asserts = policy.asserts.iter_mut().peekable();
        for (at, node) in policy.nodes.iter().enumerate() {
            while let Some(it) = asserts.next_if(|it| it.node == at) {
                it.claim = it.constant().map_or(Some(None), |value| self.claim(it.slot, value).map(Some))?;
            }
            let Some(slot) = node.slot().filter(|it| !self.slots.is_fact(*it)) else { continue };
            for value in node.constants().unwrap_or_default() {
                self.claim(slot, value)?;
            }
        }
        Some(())
    }

    fn claim(&mut self, slot: Slot, value: &[u8]) -> Option<u32> {
        let claim_type = self.slots.claim_type(slot).as_bytes();
        let last = self.seen.claim.filter(|(last, at)| *last == slot && self.plan.bytes.is_claim_of_value(*at, value));
        let known = last.map(|(_, claim)| claim).or_else(|| self.plan.claim(claim_type, value));
        let claim = known.or_else(|| self.new_claim(claim_type, value))?;
        self.seen.claim = Some((slot, claim));
        Some(claim)
    }

    fn new_claim(&mut self, claim_type: &[u8], value: &[u8]) -> Option<u32> {
        let at = self.here()?;
        self.numbers([narrow(claim_type.len())?, narrow(value.len())?]);
        self.text(claim_type);
        self.text(value);
        let Plan { bytes, claims, .. } = &mut *self.plan;
        claims.insert(hash::claim(claim_type, value), at, |it| bytes.hash_of_claim(it).unwrap_or_default());
        Some(at)
    }

    /// A new place, with the segment that leads to it from another; it is not found by that yet.
    pub(super) fn place(&mut self, edge: Option<(u32, &str)>) -> Option<u32> {
        let at = self.here()?;
        let (parent, segment) = edge.unwrap_or((WORLD, ""));
        self.numbers([parent, narrow(segment.len())?, 0, 0, 0, 0, 0]);
        debug_assert_eq!(self.here(), Some(at.saturating_add(PLACE_BYTES)));
        self.text(segment.as_bytes());
        Some(at)
    }

    /// The policies on one realm as units: one for each way in which its variables are the same.
    pub(super) fn units(&mut self, of: &Policies<'_>, numbers: &[u32]) -> Option<u32> {
        let mut all = Vec::with_capacity(numbers.len());
        for number in numbers {
            let (document, at) = of.numbers.document(*number)?;
            let mut policy = Draft::new(*number);
            policy.read(of.documents.get(document)?.steps(at)?)?;
            self.claims(&mut policy)?;
            all.push(policy);
        }
        all.sort_by(|a, b| a.bindings.cmp(&b.bindings));
        let mut next = 0;
        for policies in all.chunk_by(|a, b| a.bindings == b.bindings) {
            next = self.unit(next, policies)?;
        }
        Some(next)
    }

    /// The only policy on its realm, as a unit.
    pub(super) fn only(&mut self, policy: &mut Draft<'_>) -> Option<u32> {
        self.claims(policy)?;
        self.unit(0, std::slice::from_ref(policy))
    }

    fn unit(&mut self, next: u32, policies: &[Draft<'_>]) -> Option<u32> {
        let at = self.here()?;
        let bindings = policies.first()?.bindings.as_slice();
        let is_clear = bindings.iter().all(|(variable, _)| *variable < VARIABLES_MAX);
        let (rules, mut flags) = if is_clear { self.rules(policies) } else { (Rules::new(), UNCLEAR) };
        let (tried, found) = parted(rules);
        let (keyed, affixed): (Rules, Rules) =
            found.into_iter().partition(|it| comparison_of(it, policies).is_some_and(|it| it.constants().is_some()));
        if !keyed.is_empty() {
            flags |= KEYED;
        }
        if !affixed.is_empty() {
            flags |= AFFIXED;
        }
        self.numbers([next, flags, narrow(bindings.len())?, narrow(tried.len())?, narrow(policies.len())?]);
        debug_assert_eq!(self.here(), Some(at.saturating_add(UNIT_BYTES)));
        for (variable, segment) in bindings {
            self.numbers([narrow(*variable)?, *segment]);
        }
        let number_of = |rule: &Rule| policies.get(rule.policy).map(|it| it.number);
        let productions = self.here()?;
        for rule in &tried {
            self.numbers([rule.claim, 0, number_of(rule)?, narrow(rule.place)?]);
        }
        for it in policies {
            self.numbers([it.number]);
        }
        let mut gates: SmallVec<[Gates; 1]> = SmallVec::with_capacity(policies.len());
        for it in policies {
            gates.push(self.gates(it)?);
        }
        let gate_of = |rule: &Rule| gates.get(rule.policy)?.get(rule.node).copied();
        for (index, rule) in (0_u32..).zip(&tried) {
            self.fill(productions.checked_add(index.checked_mul(16)?)?.checked_add(GATE_AT)?, gate_of(rule)?)?;
        }
        let production = |rule: &Rule| {
            let (gate, policy) = (gate_of(rule)?, number_of(rule)?);
            Some(Production { claim: rule.claim, gate, policy, place: narrow(rule.place)? })
        };
        if !keyed.is_empty() {
            let mut by_key: BTreeMap<(u32, u64), Vec<Production>> = BTreeMap::new();
            for rule in &keyed {
                for fact in self.facts_of(rule, policies) {
                    by_key.entry((rule.claim, fact)).or_default().push(production(rule)?);
                }
            }
            for ((claim, fact), filed) in by_key {
                self.filed(at, claim, fact, &filed)?;
            }
        }
        if !affixed.is_empty() {
            let by_part = by_part(&affixed, policies, production)?;
            self.plan.affixes.insert(at, by_part);
        }
        Some(at)
    }

    /// Rules that a unit has for those who bring a fact.
    fn filed(&mut self, unit: u32, claim: u32, fact: u64, rules: &[Production]) -> Option<()> {
        let at = self.here()?;
        self.numbers([unit, claim]);
        self.wide(fact);
        self.numbers([narrow(rules.len())?]);
        for rule in rules {
            self.numbers([rule.gate, rule.policy, rule.place]);
        }
        let Plan { bytes, keyed, .. } = &mut *self.plan;
        keyed.insert(hash::key(unit, claim, fact), at, |it| bytes.hash_of_key(it).unwrap_or_default());
        Some(())
    }

    /// The facts of which a rule needs one.
    fn facts_of(&self, rule: &Rule, policies: &[Draft<'_>]) -> Vec<u64> {
        let comparison = comparison_of(rule, policies);
        let Some((comparison, slot)) = comparison.and_then(|it| Some((it, it.slot()?))) else { return Vec::new() };
        comparison.constants().unwrap_or_default().into_iter().map(|it| self.fact(slot, it)).collect()
    }

    /// What the policies of a unit assert, ascending by claim, and whether that is more than what adds up.
    fn rules(&self, policies: &[Draft<'_>]) -> (Rules, u32) {
        let count = policies.iter().map(|it| it.asserts.len()).sum();
        let mut rules = Rules::with_capacity(count);
        let mut flags = 0;
        for (policy, of) in policies.iter().enumerate() {
            // Few rules are all tried, whatever they could be found by.
            let keys = if count <= TRIED_MAX { Vec::new() } else { keys(of, self.slots) };
            for it in &of.asserts {
                if self.slots.combines(it.slot, of.resource_type) != Combines::Union {
                    flags |= SPECIAL;
                }
                let key = keys.get(it.node).copied().flatten().map(|it| it.1);
                rules.extend(it.claim.map(|claim| Rule { claim, policy, node: it.node, place: it.offset, key }));
            }
        }
        rules.sort_by_key(|it| it.claim);
        (rules, flags)
    }

    fn fact(&self, slot: Slot, value: &[u8]) -> u64 {
        hash::fact(self.slots.key(slot).map_or(0, |it| it.of_type), value)
    }

    /// The gates of a policy's nodes, each of which is written once.
    fn gates(&mut self, of: &Draft<'_>) -> Option<Gates> {
        let mut gates = Gates::with_capacity(of.nodes.len());
        for it in &of.nodes {
            let gate = match it {
                Asks::Equal { slot, .. } => self.comparison(of.number, *slot, it)?,
                Asks::Compare(comparison) => self.comparison(of.number, comparison.slot, it)?,
                Asks::All(inputs) => self.joined(Op::All, inputs, &gates)?,
                Asks::Any(inputs) => self.joined(Op::Any, inputs, &gates)?,
            };
            gates.push(gate);
        }
        Some(gates)
    }

    /// A gate of nodes that stand before. Of all of them those that are always open say nothing.
    fn joined(&mut self, op: Op, inputs: &[usize], gates: &[u32]) -> Option<u32> {
        let mut offsets = Gates::new();
        for input in inputs {
            let gate = *gates.get(*input)?;
            if op != Op::All || gate != OPEN {
                offsets.push(gate);
            }
        }
        match offsets.as_slice() {
            [] if op == Op::All => Some(OPEN),
            [only] => Some(*only),
            several => self.joined_of(op, several),
        }
    }

    /// A gate of so many offsets.
    fn joined_of(&mut self, op: Op, offsets: &[u32]) -> Option<u32> {
        let gate = self.gate(op, offsets.len())?;
        for offset in offsets {
            self.numbers([*offset]);
        }
        Some(gate)
    }

    fn comparison(&mut self, policy: u32, slot: Slot, asks: &Asks<'_>) -> Option<u32> {
        let constants = asks.constants();
        if !self.slots.is_fact(slot) {
            let is_changing = self.plan.changing.binary_search(&slot).is_ok();
            let Some(values) = constants.filter(|_| !is_changing) else { return self.gate(Op::Unclear, 0) };
            self.seen.asked.insert(slot);
            let claim_type = self.slots.claim_type(slot).as_bytes();
            let claims: Gates = values.iter().map(|it| self.plan.claim(claim_type, it)).collect::<Option<_>>()?;
            return self.joined_of(Op::Claim, &claims);
        }
        if let Some(values) = constants {
            let gate = self.gate(Op::Fact, values.len())?;
            self.numbers([narrow(slot.0)?]);
            for value in values {
                self.wide(self.fact(slot, value));
                self.numbers([narrow(value.len())?]);
                self.text(value);
            }
            return Some(gate);
        }
        if let Some(variable) = asks.variable() {
            let gate = self.gate(Op::Bound, 1)?;
            self.numbers([narrow(slot.0)?, narrow(variable)?]);
            return Some(gate);
        }
        let number = if let Asks::Compare(comparison) = asks { comparison.number } else { None };
        let Some(number) = number else { return self.gate(Op::Unclear, 0) };
        let gate = self.gate(Op::Other, 1)?;
        self.numbers([policy, narrow(number)?]);
        Some(gate)
    }
}

/// As it is written; nothing where 32 bits cannot hold it.
fn narrow(number: usize) -> Option<u32> {
    u32::try_from(number).ok()
}
