//! A set's policies to their layout.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use crate::compile::{
    affix::{Affix, Affixes},
    catalogue::{Combines, claim_type, combines},
    condition::Comparison,
    document::Document,
    index::Index,
    plan::{
        AFFIXED, Affixed, Filed, KEYED, Op, PLACE_BYTES, Plan, Production, SPECIAL, Table, UNCLEAR, UNIT_BYTES,
        VARIABLES_MAX, WORLD, hash,
        rule::{Laid, Rule, bindings, comparison_of, constant_affix, constants, keys, parted},
    },
    set::{Asserted, Gate, Numbers, Policy, Template, TemplatePiece},
    slots::{Slot, Slots},
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

/// Lays out all policies, whose realms are in `realms` in the order of their numbers; nothing where there is more than 32
/// bits can address.
pub(crate) fn build(documents: &[Arc<Document>], numbers: &Numbers, slots: &Slots, realms: &Index) -> Option<Plan> {
    let changing: BTreeSet<Slot> = documents.iter().flat_map(|it| &it.changing).copied().collect();
    let mut plan = Plan::<Vec<u8>> { changing: changing.into_iter().collect(), ..Plan::default() };
    plan.edges = Table::with_room(realms.places().len());
    let mut builder = Builder::new(plan, documents, numbers, slots);
    builder.plan.bytes.0.extend([0; 4]);
    builder.gate(Op::True, 0)?;
    builder.places(realms)?;
    let mut plan = builder.plan;
    plan.whole = plan.bytes.0.len();
    plan.bytes.0.shrink_to_fit();
    Some(plan.frozen())
}

/// Writes at the end of a layout.
pub(super) struct Builder<'a> {
    pub(super) plan: Plan<Vec<u8>>,
    documents: &'a [Arc<Document>],
    numbers: &'a Numbers,
    slots: &'a Slots,
    // By slot: whether claims of this type do more than add up on some type of resource.
    special: Vec<bool>,
}

impl<'a> Builder<'a> {
    pub(super) fn new(
        plan: Plan<Vec<u8>>,
        documents: &'a [Arc<Document>],
        numbers: &'a Numbers,
        slots: &'a Slots,
    ) -> Self {
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
                && !self.slots.is_fact(comparison.slot)
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
        let (tried, found) = parted(rules);
        let (keyed, affixed): (Vec<Rule>, Vec<Rule>) =
            found.into_iter().partition(|it| comparison_of(it, policies).is_some_and(|it| constants(it).is_some()));
        if !keyed.is_empty() {
            flags |= KEYED;
        }
        if !affixed.is_empty() {
            flags |= AFFIXED;
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
        let production = |rule: &Rule| {
            let (gate, policy) = (gate_of(rule)?, number_of(rule)?);
            Some(Production { claim: rule.claim, gate, policy, place: u32::try_from(rule.place).ok()? })
        };
        let mut by_key: BTreeMap<(u32, u64), Vec<Production>> = BTreeMap::new();
        for rule in &keyed {
            for fact in self.facts_of(rule, policies) {
                by_key.entry((rule.claim, fact)).or_default().push(production(rule)?);
            }
        }
        for ((claim, fact), filed) in by_key {
            self.filed(at, claim, fact, &filed)?;
        }
        if !affixed.is_empty() {
            let by_part = self.by_part(&affixed, policies, production)?;
            self.plan.affixes.insert(at, by_part);
        }
        Some(at)
    }

    /// Rules that ask for a part of a fact's value, by the fact's type.
    fn by_part(
        &self,
        rules: &[Rule],
        policies: &[Laid],
        production: impl Fn(&Rule) -> Option<Production>,
    ) -> Option<Arc<[Affixed]>> {
        let mut by_slot: BTreeMap<Slot, Vec<(Affix<'_>, Filed)>> = BTreeMap::new();
        for rule in rules {
            let comparison = comparison_of(rule, policies)?;
            let affix = constant_affix(comparison)?;
            let filed = Filed { rule: production(rule)?, text: affix.text.as_ref().into() };
            by_slot.entry(comparison.slot).or_default().push((affix, filed));
        }
        let affixed = |(slot, all)| Some(Affixed { of_type: self.fact_type(slot), rules: Affixes::new(all)? });
        by_slot.into_iter().map(affixed).collect()
    }

    /// Rules that a unit has for those who bring a fact.
    fn filed(&mut self, unit: u32, claim: u32, fact: u64, rules: &[Production]) -> Option<()> {
        let at = self.here()?;
        self.number(unit);
        self.number(claim);
        self.wide(fact);
        self.count(rules.len())?;
        for rule in rules {
            self.number(rule.gate);
            self.number(rule.policy);
            self.number(rule.place);
        }
        let Plan { bytes, keyed, .. } = &mut self.plan;
        keyed.insert(hash::key(unit, claim, fact), at, |it| bytes.hash_of_key(it).unwrap_or_default());
        Some(())
    }

    /// The facts of which a rule needs one.
    fn facts_of(&self, rule: &Rule, policies: &[Laid]) -> Vec<u64> {
        let Some(comparison) = comparison_of(rule, policies) else { return Vec::new() };
        constants(comparison).unwrap_or_default().into_iter().map(|it| self.fact(comparison.slot, it)).collect()
    }

    /// What a policy asserts, and whether it asserts more than what adds up.
    fn rules(&self, index: usize, of: &Policy, rules: &mut Vec<Rule>, flags: &mut u32) -> Option<()> {
        let keys = keys(of, self.slots);
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
        if !self.slots.is_fact(comparison.slot) {
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

/// Gates of nodes that stand before.
fn inputs_of(gates: &[u32], inputs: &[usize]) -> Option<Vec<u32>> {
    inputs.iter().map(|it| gates.get(*it).copied()).collect()
}
