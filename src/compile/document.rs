//! One document, compiled: its policies, packed until an evaluation wants one.
//!
//! A large set is mostly small policies that nobody asks for. Packed, one takes about as many bytes as its text; unpacked, ten
//! times that. Verdicts read neither, but the layout (`plan`).
//!
//! ```text
//! policy      start of its text, length, realm, how many variables, their names, records until the next policy begins
//! record      kind, then what is of that kind (`Record`); places in the document are distances from the policy's start
//! ```

use std::sync::Arc;

use bytes::Bytes;
use smallvec::{SmallVec, smallvec};

use crate::{
    compile::{
        condition::{Comparison, Test},
        packed::{Reader, Writer},
        realm::{Pattern, Variables},
        set::{Asserted, Assertion, Gate, Node, Policy, Template},
        slots::{Slot, Slots},
    },
    source::Span,
};

/// Bytes of a packed policy from which it stays unpacked beside: some twenty rules, whose unpacking would be most of what a
/// decision costs.
const PACKED_BYTES_MAX: usize = 1_024;

/// Bytes of where a policy begins.
const START_BYTES: usize = 4;

/// A document of a set.
#[derive(Debug, Default)]
pub(crate) struct Document {
    packed: Bytes,
    /// Where each policy begins: u32, little-endian.
    starts: Bytes,
    /// The comparisons that are more than equality with a few texts, as they are tried.
    comparisons: Vec<Arc<Comparison>>,
    // INVARIANT (order): ascending by policy.
    /// Policies as they are evaluated, where that is worth their memory.
    ready: Vec<(usize, Arc<Policy>)>,
    /// Types of claims that it asserts with what a variable is bound to, or with the values of facts; ascending.
    pub(crate) changing: Vec<Slot>,
    /// Whether it asserts something that has one value only, so that another document can contradict it.
    pub(crate) has_scalars: bool,
}

/// What a policy is packed as, in the order in which its nodes are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Record {
    /// A node: how many inputs, then each as the distance to it.
    All,
    Any,
    /// A node: slot, start, length, how many templates, then these.
    Equal,
    /// A node: the number of a comparison of the document.
    Compare,
    /// Of a node: its distance from the next, slot, offset, template.
    Value,
    /// Of a node: its distance from the next, slot, offset, slot of a fact.
    Reference,
}

const RECORDS: [Record; 6] =
    [Record::All, Record::Any, Record::Equal, Record::Compare, Record::Value, Record::Reference];

/// Packs the policies of one document, one after the other.
#[derive(Debug, Default)]
pub(super) struct Packer {
    out: Writer,
    starts: Vec<u8>,
    comparisons: Vec<Arc<Comparison>>,
    changing: Vec<Slot>,
    // Of the policy that is being packed: where it starts, and how many nodes it has.
    start: usize,
    nodes: usize,
}

impl Packer {
    /// Begins a policy.
    pub(super) fn policy(&mut self, span: Span, realm: &Pattern, variables: &Variables) {
        // A document has at most half a million bytes, so all of it packed has less than 32 bits can number.
        self.starts.extend(u32::try_from(self.out.at()).unwrap_or(u32::MAX).to_le_bytes());
        (self.start, self.nodes) = (span.start, 0);
        self.out.number(span.start);
        self.out.number(span.end.saturating_sub(span.start));
        self.out.realm(realm);
        self.out.number(variables.names().len());
        variables.names().iter().for_each(|it| self.out.text(it));
    }

    /// A node that is true when all of the inputs are, or one of them.
    pub(super) fn joined(&mut self, is_all: bool, inputs: &[usize]) -> usize {
        self.record(if is_all { Record::All } else { Record::Any });
        self.out.number(inputs.len());
        for input in inputs {
            self.out.number(self.nodes.saturating_sub(*input));
        }
        self.node()
    }

    /// A node that is true of facts or claims with one of these values.
    pub(super) fn equal(&mut self, slot: Slot, span: Span, templates: &[Template]) -> usize {
        self.record(Record::Equal);
        self.out.number(slot.0);
        self.span(span);
        self.out.number(templates.len());
        for template in templates {
            self.out.template(template);
        }
        self.node()
    }

    /// A node that is true when a comparison of any other kind is.
    pub(super) fn comparison(&mut self, comparison: Comparison) -> usize {
        self.record(Record::Compare);
        let number = self.comparisons.len();
        self.out.number(number);
        self.comparisons.push(Arc::new(Comparison { number: Some(number), ..comparison }));
        self.node()
    }

    /// What a node asserts.
    pub(super) fn assertion(&mut self, node: usize, assertion: &Assertion) {
        self.record(match &assertion.value {
            Asserted::Value(_) => Record::Value,
            Asserted::Reference(_) => Record::Reference,
        });
        self.out.number(self.nodes.saturating_sub(node));
        self.out.number(assertion.slot.0);
        self.out.number(assertion.offset.saturating_sub(self.start));
        let is_constant = match &assertion.value {
            Asserted::Value(template) => {
                self.out.template(template);
                template.constant().is_some()
            }
            Asserted::Reference(slot) => {
                self.out.number(slot.0);
                false
            }
        };
        if !is_constant && let Err(at) = self.changing.binary_search(&assertion.slot) {
            self.changing.insert(at, assertion.slot);
        }
    }

    pub(super) fn finish(self, has_scalars: bool) -> Document {
        let Self { out, mut starts, mut comparisons, changing, .. } = self;
        starts.shrink_to_fit();
        comparisons.shrink_to_fit();
        let (packed, starts) = (out.into_bytes().into(), starts.into());
        Document { packed, starts, comparisons, ready: Vec::new(), changing, has_scalars }
    }

    fn node(&mut self) -> usize {
        let node = self.nodes;
        self.nodes = self.nodes.saturating_add(1);
        node
    }

    fn record(&mut self, record: Record) {
        self.out.number(RECORDS.iter().position(|it| *it == record).unwrap_or(RECORDS.len()));
    }

    /// Of something within the policy.
    fn span(&mut self, span: Span) {
        self.out.number(span.start.saturating_sub(self.start));
        self.out.number(span.end.saturating_sub(span.start));
    }
}

impl Document {
    /// How many policies it has.
    pub(crate) fn count(&self) -> usize {
        self.starts.len() / START_BYTES
    }

    /// Policies that stay unpacked: all, where they are asked for all the time, else the large ones.
    pub(super) fn make_ready(&mut self, slots: &Slots, all: bool) {
        let is_ready = |it: &usize| all || self.packed_policy(*it).is_some_and(|it| PACKED_BYTES_MAX < it.len());
        let ready = (0..self.count()).filter(is_ready).filter_map(|it| Some((it, Arc::new(self.unpack(it, slots)?))));
        self.ready = ready.collect();
    }

    /// A policy as it is evaluated.
    pub(crate) fn policy(&self, at: usize, slots: &Slots) -> Option<Arc<Policy>> {
        let ready = self.ready.binary_search_by_key(&at, |(it, _)| *it).ok().and_then(|it| self.ready.get(it));
        match ready {
            Some((_, ready)) => Some(Arc::clone(ready)),
            None => self.unpack(at, slots).map(Arc::new),
        }
    }

    /// Where a policy stands in the text, and its realm.
    pub(crate) fn realm(&self, at: usize) -> Option<(Span, Pattern)> {
        let mut from = Unpacker { from: Reader::new(self.packed_policy(at)?), of: self, start: 0 };
        let span = from.span()?;
        Some((span, from.from.realm()?))
    }

    /// A comparison by its number.
    pub(crate) fn comparison(&self, number: usize) -> Option<&Comparison> {
        self.comparisons.get(number).map(Arc::as_ref)
    }

    /// The packed policies, and where each of them begins.
    pub(super) fn runs(&self) -> [&Bytes; 2] {
        [&self.packed, &self.starts]
    }

    /// Writes what is not in its runs.
    pub(super) fn put(&self, to: &mut Writer) {
        self.runs().iter().for_each(|it| to.number(it.len()));
        to.number(usize::from(self.has_scalars));
        to.number(self.changing.len());
        self.changing.iter().for_each(|it| to.number(it.0));
        to.number(self.comparisons.len());
        self.comparisons.iter().for_each(|it| to.comparison(it));
    }

    /// Reads what was written; the runs are taken from where they begin.
    pub(super) fn take(from: &mut Reader<'_>, [packed, starts]: [&mut Bytes; 2], slots: &Slots) -> Option<Self> {
        let mut run = |of: &mut Bytes| {
            let length = from.number()?;
            (length <= of.len()).then(|| of.split_to(length))
        };
        let (packed, starts) = (run(packed)?, run(starts)?);
        let has_scalars = from.number()? != 0;
        let count = from.number()?;
        let changing = (0..count).map(|_| from.number().map(Slot)).collect::<Option<_>>()?;
        let count = from.number()?;
        let comparison = |number| Some(Arc::new(Comparison { number: Some(number), ..from.comparison(slots)? }));
        let comparisons = (0..count).map(comparison).collect::<Option<_>>()?;
        Some(Self { packed, starts, comparisons, ready: Vec::new(), changing, has_scalars })
    }

    /// Bytes that it takes, texts outside of it and comparisons left out.
    pub(crate) fn size(&self) -> usize {
        self.packed.len().saturating_add(self.starts.len())
    }

    fn packed_policy(&self, at: usize) -> Option<&[u8]> {
        let (starts, _) = self.starts.as_chunks::<START_BYTES>();
        let start = |at: usize| starts.get(at).and_then(|it| usize::try_from(u32::from_le_bytes(*it)).ok());
        self.packed.get(start(at)?..start(at.saturating_add(1)).unwrap_or(self.packed.len()))
    }

    fn unpack(&self, at: usize, slots: &Slots) -> Option<Policy> {
        let mut from = Unpacker { from: Reader::new(self.packed_policy(at)?), of: self, start: 0 };
        from.start = from.span()?.start;
        let realm = from.from.realm()?;
        let names = from.from.number()?;
        let variables = (0..names).map(|_| from.from.text()).collect::<Option<_>>()?;
        // Three are what one rule with one condition takes.
        let mut nodes = Vec::with_capacity(3);
        while !from.from.is_at_end() {
            from.record(slots, &mut nodes)?;
        }
        Some(Policy { realm, variables, nodes })
    }
}

/// Takes one policy out of its document.
struct Unpacker<'a> {
    from: Reader<'a>,
    of: &'a Document,
    /// Where the policy starts, once that is known.
    start: usize,
}

impl Unpacker<'_> {
    fn span(&mut self) -> Option<Span> {
        let start = self.start.checked_add(self.from.number()?)?;
        Some(Span::new(start, start.checked_add(self.from.number()?)?))
    }

    fn record(&mut self, slots: &Slots, nodes: &mut Vec<Node>) -> Option<()> {
        let record = *RECORDS.get(self.from.number()?)?;
        match record {
            Record::All => add(nodes, Gate::All(self.inputs(nodes.len())?)),
            Record::Any => add(nodes, Gate::Any(self.inputs(nodes.len())?)),
            Record::Equal => {
                let (slot, span, count) = (Slot(self.from.number()?), self.span()?, self.from.number()?);
                let templates = (0..count).map(|_| self.from.template()).collect::<Option<_>>()?;
                add(nodes, Gate::Compare(Arc::new(Comparison::new(slots, slot, Test::Equal(templates), span))));
            }
            Record::Compare => {
                let comparison = self.of.comparisons.get(self.from.number()?)?;
                add(nodes, Gate::Compare(Arc::clone(comparison)));
            }
            Record::Value | Record::Reference => {
                let node = nodes.len().checked_sub(self.from.number()?)?;
                let slot = Slot(self.from.number()?);
                let offset = self.start.checked_add(self.from.number()?)?;
                let value = match record {
                    Record::Reference => Asserted::Reference(Slot(self.from.number()?)),
                    Record::Value | Record::All | Record::Any | Record::Equal | Record::Compare => {
                        Asserted::Value(self.from.template()?)
                    }
                };
                let asserts = &mut nodes.get_mut(node)?.asserts;
                // Nearly every rule asserts one claim.
                if asserts.is_empty() {
                    asserts.reserve_exact(1);
                }
                asserts.push(Assertion { slot, value, offset });
            }
        }
        Some(())
    }

    fn inputs(&mut self, here: usize) -> Option<SmallVec<[usize; 2]>> {
        let count = self.from.number()?;
        (0..count).map(|_| here.checked_sub(self.from.number()?)).collect()
    }
}

fn add(nodes: &mut Vec<Node>, gate: Gate) {
    let at = nodes.len();
    let node = Node { gate, feeds: smallvec![], asserts: Vec::new() };
    for input in node.inputs() {
        if let Some(input) = nodes.get_mut(*input) {
            input.feeds.push(at);
        }
    }
    nodes.push(node);
}
