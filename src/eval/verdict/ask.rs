//! One question, asked backwards through the layout of a set.

use crate::{
    compile::{
        PolicySet,
        plan::{
            AFFIXED, Affixed, Filed, IN_LOCAL, KEYED, Op, Plan, Production, SPECIAL, UNCLEAR, Unit, VARIABLES_MAX,
            WORLD, hash,
        },
        slots::{Key, Slot},
    },
    eval::verdict::principal::{Facts, Kept},
    syntax::fqn::FqnRef,
};

/// Places of a name at one depth: by literals and variables.
const PLACES_MAX: usize = 8;

/// Units on a target.
const UNITS_MAX: usize = 16;

/// Claims that are asked for on the way.
const CLAIMS_MAX: usize = 16;

/// Gates and claims within each other.
const DEPTH_MAX: usize = 64;

/// What a question may cost: about one for a gate, for a fact that it looks at, and for sixteen bytes that it compares. Rules
/// that share a condition ask for it again and again, which an evaluation does not.
const COST_MAX: usize = 16_384;

/// A question and what is known of its answer.
///
/// What cannot be told in the room that there is counts as not asserted, and that is remembered: rules only add, so a yes stays
/// one, and a no is unclear.
pub(super) struct Ask<'a, T> {
    set: &'a PolicySet,
    plan: &'a Plan,
    facts: Facts<'a, T>,
    target: FqnRef<'a>,
    units: Few<u32, UNITS_MAX>,
    claims: Few<(u32, Found), CLAIMS_MAX>,
    depth: usize,
    // What it may still cost.
    left: usize,
    unclear: bool,
    special: bool,
}

/// What is known of a claim.
#[derive(Debug, Clone, Copy, Default)]
enum Found {
    /// It is being asked for: whoever asks again goes in a circle.
    #[default]
    Asked,
    No,
    By(Rule),
}

/// A rule that asserts a claim.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rule {
    /// The policy's number.
    pub(super) policy: u32,
    /// Where it stands in its document.
    pub(super) place: u32,
}

/// A few of something, in fixed room.
struct Few<T, const N: usize> {
    all: [T; N],
    count: usize,
}

impl<T: Copy + Default, const N: usize> Few<T, N> {
    fn new() -> Self {
        Self { all: [T::default(); N], count: 0 }
    }

    /// Whether there was room for it.
    fn push(&mut self, it: T) -> bool {
        let Some(free) = self.all.get_mut(self.count) else { return false };
        *free = it;
        self.count = self.count.saturating_add(1);
        true
    }

    fn iter(&self) -> impl DoubleEndedIterator<Item = T> {
        self.all.iter().take(self.count).copied()
    }
}

impl<'a, T: Kept> Ask<'a, T> {
    pub(super) fn new(set: &'a PolicySet, plan: &'a Plan, facts: Facts<'a, T>, target: FqnRef<'a>) -> Self {
        let (units, claims) = (Few::new(), Few::new());
        Self { set, plan, facts, target, units, claims, depth: 0, left: COST_MAX, unclear: false, special: false }
    }

    /// Finds the units on the target; nothing where that cannot be told.
    pub(super) fn find_units(&mut self) -> Option<()> {
        let (plan, target) = (self.plan, self.target);
        // A token is refused for more reasons than its rules say.
        if target.resource_type() == "auth" {
            return None;
        }
        let Some(root) = plan.edge(WORLD, target.resource_type()) else { return Some(()) };
        let mut here = Few::<u32, PLACES_MAX>::new();
        here.push(root);
        for segment in target.namespace() {
            let mut next = Few::new();
            for at in here.iter() {
                let place = plan.place(at)?;
                self.units_on(place.below)?;
                self.go_on(&mut next, at, place.variable, segment)?;
            }
            here = next;
        }
        let mut roots = Few::<u32, PLACES_MAX>::new();
        for at in here.iter() {
            let place = plan.place(at)?;
            self.units_on(place.below)?;
            self.units_on(place.exact)?;
            if target.local().is_some() {
                self.units_on(place.any)?;
                if place.named != 0 {
                    roots.push(place.named);
                }
            }
        }
        let mut here = roots;
        for segment in target.local().into_iter().flatten() {
            let mut next = Few::new();
            for at in here.iter() {
                self.go_on(&mut next, at, plan.place(at)?.variable, segment)?;
            }
            for at in next.iter() {
                self.units_on(plan.place(at)?.below)?;
            }
            here = next;
        }
        Some(())
    }

    /// The places that a segment leads to.
    fn go_on(&self, next: &mut Few<u32, PLACES_MAX>, at: u32, variable: u32, segment: &str) -> Option<()> {
        let has_room = self.plan.edge(at, segment).is_none_or(|it| next.push(it));
        (has_room && (variable == 0 || next.push(variable))).then_some(())
    }

    /// Adds the units of a list whose variables are bound to one text each.
    #[inline]
    fn units_on(&mut self, first: u32) -> Option<()> {
        // Most lists are empty.
        if first == 0 { Some(()) } else { self.units_of(first) }
    }

    fn units_of(&mut self, first: u32) -> Option<()> {
        let mut at = first;
        while at != 0 {
            let unit = self.plan.unit(at)?;
            at = unit.next;
            if unit.flags & UNCLEAR != 0 {
                return None;
            }
            if self.is_bound(&unit) {
                self.special |= unit.flags & SPECIAL != 0;
                if !self.units.push(unit.at) {
                    return None;
                }
            }
        }
        Some(())
    }

    fn is_bound(&self, unit: &Unit) -> bool {
        if unit.has_no_variable() {
            return true;
        }
        self.plan.bindings(unit).all(|(variable, segment)| self.segment(segment) == self.bound(unit, variable))
    }

    /// What a variable of a unit is bound to: the first segment that it stands for.
    fn bound(&self, unit: &Unit, variable: u32) -> Option<&'a str> {
        let (_, segment) = self.plan.bindings(unit).find(|it| it.0 == variable)?;
        self.segment(segment)
    }

    fn segment(&self, segment: u32) -> Option<&'a str> {
        let at = usize::try_from(segment & !IN_LOCAL).ok()?;
        if segment & IN_LOCAL == 0 { self.target.namespace().nth(at) } else { self.target.local()?.nth(at) }
    }

    /// Whether a no may be a yes.
    pub(super) fn is_unclear(&self) -> bool {
        self.unclear
    }

    /// Whether some rule on the target asserts what may refuse.
    pub(super) fn may_be_refused(&self) -> bool {
        self.special
    }

    /// The rule that asserts a claim, if one does.
    pub(super) fn asserted(&mut self, claim: u32) -> Option<Rule> {
        match self.claims.iter().find(|it| it.0 == claim) {
            Some((_, Found::By(rule))) => return Some(rule),
            Some((_, Found::No)) => return None,
            Some((_, Found::Asked)) => {
                self.unclear = true;
                return None;
            }
            None => (),
        }
        let number = self.claims.count;
        if !self.claims.push((claim, Found::Asked)) {
            self.unclear = true;
            return None;
        }
        // The last unit is the most specific.
        let mut found = None;
        for at in (0..self.units.count).rev() {
            let unit = self.units.all.get(at).and_then(|it| self.plan.unit(*it));
            self.unclear |= unit.is_none();
            found =
                unit.and_then(|it| self.asserted_by(&it, claim)).map(|it| Rule { policy: it.policy, place: it.place });
            if found.is_some() {
                break;
            }
        }
        if let Some(known) = self.claims.all.get_mut(number) {
            known.1 = found.map_or(Found::No, Found::By);
        }
        found
    }

    fn asserted_by(&mut self, unit: &Unit, claim: u32) -> Option<Production> {
        let (plan, facts) = (self.plan, self.facts);
        let tried = plan.productions(unit, claim).find(|it| self.opens(unit, it.gate));
        if tried.is_some() || unit.flags & (KEYED | AFFIXED) == 0 {
            return tried;
        }
        self.spend_or_unclear(facts.count())?;
        let found =
            facts.hashes().iter().flat_map(|it| plan.keyed(unit, claim, *it)).find(|it| self.opens(unit, it.gate));
        if found.is_some() || unit.flags & AFFIXED == 0 {
            return found;
        }
        let plan = self.plan;
        plan.affixed(unit).iter().find_map(|it| self.by_affix(unit, it, claim))
    }

    /// The rule that asks for a part of some fact's value and asserts a claim.
    fn by_affix(&mut self, unit: &Unit, affixed: &'a Affixed, claim: u32) -> Option<Production> {
        let (set, facts) = (self.set, self.facts);
        for value in set.slots.key(affixed.slot).into_iter().flat_map(|it| facts.values(it)) {
            self.spend_or_unclear(value.len() / 16)?;
            for rule in affixed.rules.find(value) {
                self.spend_or_unclear(1)?;
                let Some(Filed { rule, .. }) = rule else { continue };
                if rule.claim == claim && self.opens(unit, rule.gate) {
                    return Some(*rule);
                }
            }
        }
        None
    }

    fn spend_or_unclear(&mut self, cost: usize) -> Option<()> {
        let spent = self.spend(cost);
        self.unclear |= spent.is_none();
        spent
    }

    fn spend(&mut self, cost: usize) -> Option<()> {
        self.left = self.left.checked_sub(cost)?;
        Some(())
    }

    /// Whether a gate opens.
    fn opens(&mut self, unit: &Unit, gate: u32) -> bool {
        let opens = if self.depth < DEPTH_MAX {
            self.depth = self.depth.saturating_add(1);
            let opens = self.opens_within(unit, gate);
            self.depth = self.depth.saturating_sub(1);
            opens
        } else {
            None
        };
        self.unclear |= opens.is_none();
        opens == Some(true)
    }

    /// The same; nothing where it cannot be told.
    fn opens_within(&mut self, unit: &Unit, gate: u32) -> Option<bool> {
        self.spend(1)?;
        let (op, count, at) = self.plan.gate(gate)?;
        match op {
            Op::True => Some(true),
            Op::All | Op::Any => {
                let ends = op == Op::Any;
                for index in 0..count {
                    let input = self.plan.bytes().u32(at.checked_add(index.checked_mul(4)?)?)?;
                    if self.opens(unit, input) == ends {
                        return Some(ends);
                    }
                }
                Some(!ends)
            }
            Op::Fact => {
                self.spend(self.facts.count().checked_mul(usize::try_from(count).ok()?)?)?;
                self.has_fact(count, at)
            }
            Op::Bound => {
                self.spend(self.facts.count())?;
                let [slot, variable] = self.plan.bytes().numbers(at)?;
                let (key, bound) = (self.key(slot)?, self.bound(unit, variable)?);
                self.have(key, bound.as_bytes(), || hash::fact(key.of_type, bound.as_bytes()))
            }
            Op::Other => {
                let [policy, comparison] = self.plan.bytes().numbers(at)?;
                self.holds(unit, policy, comparison)
            }
            Op::Claim => {
                for index in 0..count {
                    let claim = self.plan.bytes().u32(at.checked_add(index.checked_mul(4)?)?)?;
                    if self.asserted(claim).is_some() {
                        return Some(true);
                    }
                }
                Some(false)
            }
            Op::Unclear => None,
        }
    }

    /// Whether there is one of these facts.
    fn has_fact(&mut self, count: u32, at: u32) -> Option<bool> {
        let bytes = self.plan.bytes();
        let key = self.key(bytes.u32(at)?)?;
        let mut at = at.checked_add(4)?;
        for _ in 0..count {
            let [low, high, length] = bytes.numbers(at)?;
            let text = at.checked_add(12)?;
            if self.have(key, bytes.slice(text, length)?, || wide(low, high))? {
                return Some(true);
            }
            at = text.checked_add(length)?;
        }
        Some(false)
    }

    fn have(&mut self, key: &Key, value: &[u8], hash: impl FnOnce() -> u64) -> Option<bool> {
        let facts = self.facts;
        facts.have(key, value, hash, |cost| self.spend(cost))
    }

    fn key(&self, slot: u32) -> Option<&'a Key> {
        self.set.slots.key(Slot(usize::try_from(slot).ok()?))
    }

    /// Tries a comparison that is no look-up on all values that there are.
    fn holds(&mut self, unit: &Unit, policy: u32, comparison: u32) -> Option<bool> {
        let (document, _) = self.set.numbers.document(policy)?;
        let comparison = self.set.documents.get(document)?.comparison(usize::try_from(comparison).ok()?)?;
        let mut bound = [""; VARIABLES_MAX];
        for (variable, segment) in self.plan.bindings(unit) {
            *bound.get_mut(usize::try_from(variable).ok()?)? = self.segment(segment)?;
        }
        let (facts, key) = (self.facts, self.set.slots.key(comparison.slot)?);
        self.spend(facts.count())?;
        let bytes: usize = facts.values(key).map(str::len).sum();
        self.spend(bytes / 16)?;
        Some(comparison.holds_of_each(facts.values(key), &bound))
    }
}

fn wide(low: u32, high: u32) -> u64 {
    u64::from(high) << 32 | u64::from(low)
}
