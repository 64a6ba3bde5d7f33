//! One document, compiled: its policies, packed until an evaluation wants one.
//!
//! A large set is mostly small policies that nobody asks for. Packed, one takes about as many bytes as its text; unpacked, ten
//! times that. Verdicts read neither, but the layout (`plan`).
//! `steps` reads what is packed here, and says what it looks like.

use std::sync::Arc;

use bytes::Bytes;
use smallvec::smallvec;

use crate::{
    compile::{
        condition::{Comparison, Test},
        packed::{Reader, Writer},
        realm::{Pattern, Variables},
        set::{Asserted, Assertion, Gate, Node, Policy, Template, Unpacked},
        slots::{Slot, Slots},
        steps::{Asks, Record, Says, Step, Steps},
    },
    source::Span,
};

/// Bytes of a packed policy from which it stays unpacked beside: some twenty rules, whose unpacking would be most of what a
/// decision costs.
const PACKED_BYTES_MAX: usize = 1_024;

/// Bytes of all packed policies of a set up to which all of them stay unpacked beside: a megabyte or two.
const SMALL_SET_BYTES: usize = 96 * 1_024;

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
    ready: Vec<(usize, Policy)>,
    /// Types of claims that it asserts with what a variable is bound to, or with the values of facts; ascending.
    pub(crate) changing: Vec<Slot>,
    /// Whether it asserts something that has one value only, so that another document can contradict it.
    pub(crate) has_scalars: bool,
}

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
    /// For a text of so many bytes.
    pub(super) fn new(bytes: usize) -> Self {
        // Packed, a policy is about half as long as it is written.
        Self { out: Writer::with_room(bytes / 2), ..Self::default() }
    }

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

    /// Packs what comes next of it.
    pub(super) fn step(&mut self, step: &Step<'_>) {
        match step {
            Step::Node(asks) => {
                self.asks(asks);
                self.nodes = self.nodes.saturating_add(1);
            }
            Step::Asserts { node, slot, offset, value } => {
                let (record, is_constant) = match value {
                    Says::Value(template) => (Record::Value, template.constant().is_some()),
                    Says::Reference(_) => (Record::Reference, false),
                };
                self.record(record);
                self.out.number(self.nodes.saturating_sub(*node));
                self.out.number(slot.0);
                self.out.number(offset.saturating_sub(self.start));
                match value {
                    Says::Value(template) => self.out.template(template),
                    Says::Reference(fact) => self.out.number(fact.0),
                }
                if !is_constant && let Err(at) = self.changing.binary_search(slot) {
                    self.changing.insert(at, *slot);
                }
            }
        }
    }

    fn asks(&mut self, asks: &Asks<'_>) {
        match asks {
            Asks::All(inputs) => self.joined(Record::All, inputs),
            Asks::Any(inputs) => self.joined(Record::Any, inputs),
            Asks::Equal { slot, span, values } => {
                self.record(Record::Equal);
                self.out.number(slot.0);
                self.out.number(span.start.saturating_sub(self.start));
                self.out.number(span.end.saturating_sub(span.start));
                self.out.number(values.len());
                values.iter().for_each(|it| self.out.template(it));
            }
            Asks::Compare(comparison) => {
                self.record(Record::Compare);
                self.out.number(self.comparisons.len());
                self.comparisons.push(Arc::clone(comparison));
            }
        }
    }

    fn joined(&mut self, record: Record, inputs: &[usize]) {
        self.record(record);
        self.out.number(inputs.len());
        for input in inputs {
            self.out.number(self.nodes.saturating_sub(*input));
        }
    }

    fn record(&mut self, record: Record) {
        self.out.number(record.number());
    }

    /// How many comparisons were packed that are more than equality with a few texts.
    pub(super) fn comparisons(&self) -> usize {
        self.comparisons.len()
    }

    pub(super) fn finish(self, has_scalars: bool) -> Document {
        let Self { out, mut starts, mut comparisons, changing, .. } = self;
        starts.shrink_to_fit();
        comparisons.shrink_to_fit();
        let (packed, starts) = (out.into_bytes().into(), starts.into());
        Document { packed, starts, comparisons, ready: Vec::new(), changing, has_scalars }
    }
}

/// Unpacks all policies of the documents of a set, if they are few.
pub(super) fn make_ready_if_few(documents: &mut [Arc<Document>], slots: &Slots) {
    let bytes = documents.iter().map(|it| it.packed.len()).fold(0, usize::saturating_add);
    if bytes <= SMALL_SET_BYTES {
        // Those that another set has too were unpacked for that one, if it is as small.
        documents.iter_mut().filter_map(Arc::get_mut).for_each(|it| it.make_ready(slots, true));
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
        let ready = (0..self.count()).filter(is_ready).filter_map(|it| Some((it, self.unpack(it, slots)?)));
        self.ready = ready.collect();
    }

    /// A policy as it is evaluated.
    pub(crate) fn policy(&self, at: usize, slots: &Slots) -> Option<Unpacked<'_>> {
        let ready = self.ready.binary_search_by_key(&at, |(it, _)| *it).ok().and_then(|it| self.ready.get(it));
        match ready {
            Some((_, ready)) => Some(Unpacked::Ready(ready)),
            None => self.unpack(at, slots).map(|it| Unpacked::Once(Box::new(it))),
        }
    }

    /// A policy as it is packed.
    pub(crate) fn steps(&self, at: usize) -> Option<Steps<'_>> {
        Some(Steps::new(self.packed_policy(at)?, &self.comparisons))
    }

    /// Where a policy stands in the text, and its realm.
    pub(crate) fn realm(&self, at: usize) -> Option<(Span, Pattern)> {
        let mut steps = self.steps(at)?;
        Some((steps.span()?, steps.pattern()?))
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
        let mut steps = self.steps(at)?;
        steps.span()?;
        let realm = steps.pattern()?;
        let mut variables = Variables::default();
        steps.names(|it| {
            variables.intern(it);
        })?;
        // Three are what one rule with one condition takes.
        let mut nodes = Vec::with_capacity(3);
        while !steps.is_at_end() {
            steps.next()?.unpack(slots, &mut nodes)?;
        }
        Some(Policy { realm, variables, nodes })
    }
}

impl Step<'_> {
    /// Adds what it says to a policy as it is evaluated.
    #[inline]
    fn unpack(self, slots: &Slots, nodes: &mut Vec<Node>) -> Option<()> {
        match self {
            Self::Node(Asks::All(inputs)) => add(nodes, Gate::All(inputs)),
            Self::Node(Asks::Any(inputs)) => add(nodes, Gate::Any(inputs)),
            Self::Node(Asks::Equal { slot, span, values }) => {
                let test = Test::Equal(values.iter().map(Template::owned).collect::<Option<_>>()?);
                add(nodes, Gate::Compare(Arc::new(Comparison::new(slots, slot, test, span))));
            }
            Self::Node(Asks::Compare(comparison)) => add(nodes, Gate::Compare(comparison)),
            Self::Asserts { node, slot, offset, value } => {
                let value = match value {
                    Says::Value(value) => Asserted::Value(value.owned()?),
                    Says::Reference(slot) => Asserted::Reference(slot),
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
