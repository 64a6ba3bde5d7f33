//! A policy set laid out for verdicts: what a look-up needs stands together, and nothing is allocated to find it.
//!
//! Everything lies in one run of bytes, addressed by offset, numbers little-endian.
//! Policies on one realm are one unit, however many they are; a template realm is one unit too. Offset 0 is nothing.
//!
//! When a document changes, the layout is copied as it is, which is fast because it is bytes, and the realms that the document
//! speaks of are laid out anew at its end. What stood there before stays behind as waste until all is laid out again.
//!
//! ```text
//! place      parent u32, segment length u32, variable child u32, named root u32, units below, exact, any u32, segment
//! unit       next u32, flags u32, bindings u32, productions u32, policies u32, then so many
//!            bindings (variable u32, segment u32; of the local name with the highest bit),
//!            productions (claim, gate, policy, place in the document: u32), ascending by claim,
//!            and numbers of policies (u32)
//! claim      type length u32, value length u32, type, value
//! gate       operation u32, count u32, then by operation
//! keyed      unit u32, claim u32, hash of the fact u64, count u32, then (gate, policy, place: u32)
//! ```

mod build;
mod draft;
mod grow;
pub(crate) mod hash;
mod kept;
mod patch;
mod rule;
mod table;

pub(crate) use draft::Draft;
pub(crate) use grow::{Growing, build};
pub(crate) use patch::patch;

use std::{ops::Deref, sync::Arc};

use foldhash::HashMap;

use crate::{
    compile::{
        affix::Affixes,
        plan::table::Table,
        slots::Slot,
        tree::{Standing, Tree, lists},
    },
    syntax::{fqn::Fqn, words::is_same},
};

/// The place above those of the resource types.
pub(crate) const WORLD: u32 = 0;

/// A binding of the local name, not of the namespace.
pub(crate) const IN_LOCAL: u32 = 1 << 31;

/// Some rule of the unit asserts what does more than add up: a scalar or a restriction.
pub(crate) const SPECIAL: u32 = 1;

/// Some productions of the unit are found by a fact.
pub(crate) const KEYED: u32 = 2;

/// The unit has more variables than are laid out.
pub(crate) const UNCLEAR: u32 = 4;

/// Some productions of the unit are found by a part of a fact's value.
pub(crate) const AFFIXED: u32 = 8;

/// Variables that a unit may have to be laid out.
pub(crate) const VARIABLES_MAX: usize = 8;

/// What a gate asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Op {
    /// Nothing.
    True,
    /// All of these gates: offsets.
    All,
    /// One of these gates: offsets.
    Any,
    /// Of a slot's facts one is among these: slot u32, then each hash u64, length u32, text.
    Fact,
    /// Of a slot's facts one is what the variable is bound to: slot u32, variable u32.
    Bound,
    /// A comparison of facts that is no look-up: policy u32, number in its document u32.
    Other,
    /// One of these claims: offsets.
    Claim,
    /// What only an evaluation can tell.
    Unclear,
}

impl Op {
    const ALL: [Self; 8] =
        [Self::True, Self::All, Self::Any, Self::Fact, Self::Bound, Self::Other, Self::Claim, Self::Unclear];

    fn number(self) -> u32 {
        Self::ALL.iter().zip(0..).find(|(it, _)| **it == self).map_or(u32::MAX, |(_, number)| number)
    }
}

/// The layout. Each reader gives nothing where there is no such record; then nothing is known.
///
/// Of bytes that may be a part of a file, or while it is made, of vectors.
#[derive(Debug, Clone, Default)]
pub(crate) struct Plan<B = bytes::Bytes> {
    bytes: Bytes<B>,
    edges: Table<B>,
    claims: Table<B>,
    keyed: Table<B>,
    /// By unit: what is found by a part of a fact's value.
    affixes: ByPart,
    /// Types of claims that some rule asserts with what a variable is bound to, or with the values of facts; ascending.
    changing: Vec<Slot>,
    /// How many bytes there were when all was laid out; what came later may be waste.
    whole: usize,
}

/// By unit, its rules that ask for a part of a value.
type ByPart = HashMap<u32, Arc<[Affixed]>>;

/// Rules of one unit that ask for a part of the values of one type of fact.
#[derive(Debug)]
pub(crate) struct Affixed {
    /// The type of fact.
    pub(crate) slot: Slot,
    pub(crate) rules: Affixes<Filed>,
}

/// A rule and the text that it is found by.
#[derive(Debug)]
pub(crate) struct Filed {
    pub(crate) rule: Production,
    text: Box<str>,
}

/// The run of bytes.
#[derive(Debug, Clone, Default)]
pub(crate) struct Bytes<B = bytes::Bytes>(B);

/// A segment of names and what is said of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    pub(crate) variable: u32,
    pub(crate) named: u32,
    pub(crate) below: u32,
    pub(crate) exact: u32,
    pub(crate) any: u32,
}

/// The policies on one realm.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Unit {
    pub(crate) at: u32,
    pub(crate) next: u32,
    pub(crate) flags: u32,
    bindings: u32,
    productions: u32,
    policies: u32,
}

/// A rule that asserts a claim if its gate opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Production {
    pub(crate) claim: u32,
    pub(crate) gate: u32,
    /// The policy's number.
    pub(crate) policy: u32,
    /// Where the rule stands in its document.
    pub(crate) place: u32,
}

const PLACE_BYTES: u32 = 28;
const UNIT_BYTES: u32 = 20;
const BINDING_BYTES: u32 = 8;
const PRODUCTION_BYTES: u32 = 16;
const GATE_BYTES: u32 = 8;
const KEYED_BYTES: u32 = 20;
const KEYED_ITEM_BYTES: u32 = 12;

impl<B: Deref<Target = [u8]>> Plan<B> {
    /// The place of a segment under another.
    #[inline]
    pub(crate) fn edge(&self, parent: u32, segment: &str) -> Option<u32> {
        self.edge_of(hash::edge(parent, segment.as_bytes()), parent, segment)
    }

    #[inline]
    fn edge_of(&self, hash: u64, parent: u32, segment: &str) -> Option<u32> {
        self.edges.find(hash, |at| self.bytes.is_child(at, parent, segment))
    }

    #[inline]
    pub(crate) fn place(&self, at: u32) -> Option<Place> {
        let [_, _, variable, named, below, exact, any] = self.bytes.numbers(at)?;
        Some(Place { variable, named, below, exact, any })
    }

    #[inline]
    pub(crate) fn unit(&self, at: u32) -> Option<Unit> {
        let [next, flags, bindings, productions, policies] = self.bytes.numbers(at)?;
        Some(Unit { at, next, flags, bindings, productions, policies })
    }

    /// Each variable of a unit with a segment that it stands for.
    #[inline]
    pub(crate) fn bindings(&self, unit: &Unit) -> impl Iterator<Item = (u32, u32)> {
        let start = unit.at.saturating_add(UNIT_BYTES);
        let count = if unit.at == 0 { 0 } else { unit.bindings };
        (0..count).map_while(move |index| {
            let [variable, segment] = self.bytes.numbers(start.saturating_add(index.saturating_mul(BINDING_BYTES)))?;
            Some((variable, segment))
        })
    }

    /// The rules of a unit that assert a claim, but for those that are found by a fact.
    #[inline]
    pub(crate) fn productions(&self, unit: &Unit, claim: u32) -> impl Iterator<Item = Production> {
        let bindings = unit.bindings.saturating_mul(BINDING_BYTES);
        let start = unit.at.saturating_add(UNIT_BYTES).saturating_add(bindings);
        let production = move |index: u32| {
            let at = start.saturating_add(index.saturating_mul(PRODUCTION_BYTES));
            let [claim, gate, policy, place] = self.bytes.numbers(at)?;
            Some(Production { claim, gate, policy, place })
        };
        let mut first = 0_u32;
        let mut behind = unit.productions;
        while first < behind {
            let middle = first.midpoint(behind);
            if production(middle).is_some_and(|it| it.claim < claim) {
                first = middle.saturating_add(1);
            } else {
                behind = middle;
            }
        }
        (first..unit.productions).map_while(production).take_while(move |it| it.claim == claim)
    }

    /// The numbers of a unit's policies.
    fn policies(&self, unit: Unit) -> impl Iterator<Item = u32> {
        let start = unit
            .at
            .saturating_add(UNIT_BYTES)
            .saturating_add(unit.bindings.saturating_mul(BINDING_BYTES))
            .saturating_add(unit.productions.saturating_mul(PRODUCTION_BYTES));
        (0..unit.policies).map_while(move |index| self.bytes.u32(start.saturating_add(index.saturating_mul(4))))
    }

    /// The units of a list.
    fn units(&self, first: u32) -> impl Iterator<Item = Unit> {
        let unit = |at| if at == 0 { None } else { self.unit(at) };
        std::iter::successors(unit(first), move |it| unit(it.next))
    }

    /// Tells the policies whose realm may hold the name, in no order.
    pub(crate) fn find(&self, name: &Fqn, mut tell: impl FnMut(u32)) {
        for list in lists(self, name) {
            for unit in self.units(list) {
                self.policies(unit).for_each(&mut tell);
            }
        }
    }

    /// The rules of a unit that assert a claim where there is this fact.
    pub(crate) fn keyed(&self, unit: &Unit, claim: u32, fact: u64) -> impl Iterator<Item = Production> {
        let found = self.keyed.find(hash::key(unit.at, claim, fact), |at| {
            self.bytes.numbers(at) == Some([unit.at, claim]) && self.bytes.u64(at.saturating_add(8)) == Some(fact)
        });
        let count = found.and_then(|at| self.bytes.u32(at.saturating_add(16))).unwrap_or(0);
        let start = found.unwrap_or(0).saturating_add(KEYED_BYTES);
        (0..count).map_while(move |index| {
            let at = start.saturating_add(index.saturating_mul(KEYED_ITEM_BYTES));
            let [gate, policy, place] = self.bytes.numbers(at)?;
            Some(Production { claim, gate, policy, place })
        })
    }

    /// The rules of a unit that ask for a part of a fact's value.
    pub(crate) fn affixed(&self, unit: &Unit) -> &[Affixed] {
        self.affixes.get(&unit.at).map(Arc::as_ref).unwrap_or_default()
    }

    /// The number of a claim that some rule asserts or asks for.
    #[inline]
    pub(crate) fn claim(&self, claim_type: &[u8], value: &[u8]) -> Option<u32> {
        self.claims.find(hash::claim(claim_type, value), |at| {
            let Some([first, second]) = self.bytes.numbers(at) else { return false };
            let start = at.saturating_add(8);
            self.bytes.have(start, first, claim_type) && self.bytes.have(start.saturating_add(first), second, value)
        })
    }

    /// What a gate asks, of how many, and where they stand.
    #[inline]
    pub(crate) fn gate(&self, at: u32) -> Option<(Op, u32, u32)> {
        let [op, count] = self.bytes.numbers(at)?;
        let op = Op::ALL.get(usize::try_from(op).ok()?)?;
        Some((*op, count, at.saturating_add(GATE_BYTES)))
    }

    #[inline]
    pub(crate) fn bytes(&self) -> &Bytes<B> {
        &self.bytes
    }

    /// Bytes that it takes.
    pub(crate) fn size(&self) -> usize {
        let tables = [&self.edges, &self.claims, &self.keyed].map(Table::size);
        let affixes = self.affixes.values().flat_map(|it| it.iter()).map(|it| it.rules.size());
        tables.into_iter().chain(affixes).fold(self.bytes.0.len(), usize::saturating_add)
    }
}

impl<B: Deref<Target = [u8]>> Tree for Plan<B> {
    type At = u32;
    type List = u32;

    fn root(&self, resource_type: &str) -> Option<u32> {
        self.edge(WORLD, resource_type)
    }

    fn child(&self, at: u32, segment: &str) -> Option<u32> {
        self.edge(at, segment)
    }

    fn standing(&self, at: u32) -> Option<Standing<u32, u32>> {
        let Place { variable, named, below, exact, any } = self.place(at)?;
        let (variable, named) = ((variable != 0).then_some(variable), (named != 0).then_some(named));
        Some(Standing { variable, named, below, exact, any })
    }
}

impl Unit {
    #[inline]
    pub(crate) fn has_no_variable(&self) -> bool {
        self.bindings == 0
    }
}

impl<B: Deref<Target = [u8]>> Bytes<B> {
    /// Whether the place at an offset is that of a segment under another.
    #[inline]
    fn is_child(&self, at: u32, parent: u32, segment: &str) -> bool {
        self.numbers(at).is_some_and(|[own, length]| {
            own == parent && self.have(at.saturating_add(PLACE_BYTES), length, segment.as_bytes())
        })
    }

    /// What the place at an offset is found by.
    fn hash_of_edge(&self, at: u32) -> Option<u64> {
        let [parent, length] = self.numbers(at)?;
        Some(hash::edge(parent, self.slice(at.checked_add(PLACE_BYTES)?, length)?))
    }

    /// What the claim at an offset is found by.
    fn hash_of_claim(&self, at: u32) -> Option<u64> {
        let [first, second] = self.numbers(at)?;
        let start = at.checked_add(8)?;
        Some(hash::claim(self.slice(start, first)?, self.slice(start.checked_add(first)?, second)?))
    }

    /// Whether the claim at an offset has this value.
    fn is_claim_of_value(&self, at: u32, value: &[u8]) -> bool {
        let Some([first, second]) = self.numbers(at) else { return false };
        self.have(at.saturating_add(8).saturating_add(first), second, value)
    }

    /// What the rules at an offset are found by.
    fn hash_of_key(&self, at: u32) -> Option<u64> {
        let [unit, claim] = self.numbers(at)?;
        Some(hash::key(unit, claim, self.u64(at.checked_add(8)?)?))
    }

    #[inline]
    pub(crate) fn u32(&self, at: u32) -> Option<u32> {
        let [number] = self.numbers(at)?;
        Some(number)
    }

    #[inline]
    pub(crate) fn u64(&self, at: u32) -> Option<u64> {
        let bytes = usize::try_from(at).ok().and_then(|at| self.0.get(at..)?.first_chunk::<8>())?;
        Some(u64::from_le_bytes(*bytes))
    }

    /// So many numbers in a row.
    #[inline]
    pub(crate) fn numbers<const N: usize>(&self, at: u32) -> Option<[u32; N]> {
        let bytes = self.slice(at, u32::try_from(N).ok()?.checked_mul(4)?)?;
        let (chunks, _) = bytes.as_chunks::<4>();
        let mut numbers = [0; N];
        for (number, chunk) in numbers.iter_mut().zip(chunks) {
            *number = u32::from_le_bytes(*chunk);
        }
        Some(numbers)
    }

    /// Whether a text stands there.
    #[inline]
    fn have(&self, at: u32, length: u32, text: &[u8]) -> bool {
        self.slice(at, length).is_some_and(|it| is_same(it, text))
    }

    #[inline]
    pub(crate) fn slice(&self, at: u32, length: u32) -> Option<&[u8]> {
        let (at, length) = (usize::try_from(at).ok()?, usize::try_from(length).ok()?);
        self.0.get(at..at.checked_add(length)?)
    }
}
