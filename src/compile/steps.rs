//! A policy as it is packed in its document, one thing after the other.
//!
//! ```text
//! policy      start of its text, length, realm, how many variables, their names, records until the next policy begins
//! record      kind, then what is of that kind (`Record`); places in the document are distances from the policy's start
//! ```
//!
//! `pieces` says what realms and templates look like.

use std::sync::Arc;

use smallvec::SmallVec;

use crate::{
    compile::{
        condition::Comparison,
        packed::Reader,
        realm::Pattern,
        set::{Template, TemplatePiece},
        slots::Slot,
    },
    source::Span,
};

/// What a policy is packed as, in the order in which its nodes are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Record {
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

/// What a policy is made of, in the order in which it is packed.
pub(crate) enum Step<'a> {
    /// The next node.
    Node(Asks<'a>),
    /// What a node that was told before asserts.
    Asserts { node: usize, slot: Slot, offset: usize, value: Says<'a> },
}

/// What a node asks, as [`Gate`].
pub(crate) enum Asks<'a> {
    All(SmallVec<[usize; 2]>),
    Any(SmallVec<[usize; 2]>),
    Equal { slot: Slot, span: Span, values: SmallVec<[Template<&'a [u8]>; 1]> },
    Compare(Arc<Comparison>),
}

/// What a node asserts, as [`Asserted`].
pub(crate) enum Says<'a> {
    Value(Template<&'a [u8]>),
    Reference(Slot),
}

/// Takes one policy out of its document.
pub(crate) struct Steps<'a> {
    from: Reader<'a>,
    /// Those of the document.
    comparisons: &'a [Arc<Comparison>],
    /// Where the policy starts, once that is known.
    start: usize,
    /// How many nodes were told.
    nodes: usize,
}

impl<'a> Steps<'a> {
    /// Of what a policy is packed as. Asked for its place, its realm and the names of its variables first, in this order.
    pub(super) fn new(packed: &'a [u8], comparisons: &'a [Arc<Comparison>]) -> Self {
        Self { from: Reader::new(packed), comparisons, start: 0, nodes: 0 }
    }

    /// Where the policy stands in the document.
    pub(super) fn span(&mut self) -> Option<Span> {
        let span = self.part()?;
        self.start = span.start;
        Some(span)
    }

    /// The realm.
    pub(super) fn pattern(&mut self) -> Option<Pattern> {
        self.from.pattern()
    }

    /// The resource type of the realm; `tell` gets each variable with the number of its segment, and whether that is one of
    /// the local name.
    pub(super) fn variables_of_realm(&mut self, mut tell: impl FnMut(usize, u32, bool)) -> Option<&'a str> {
        let (resource_type, _) = self.from.realm(|segment, number, is_local| {
            if let TemplatePiece::Variable(variable) = segment {
                tell(variable, number, is_local);
            }
            Some(())
        })?;
        Some(resource_type)
    }

    /// The names of its variables.
    pub(super) fn names(&mut self, mut tell: impl FnMut(&'a str)) -> Option<()> {
        for _ in 0..self.from.number()? {
            tell(self.from.text()?);
        }
        Some(())
    }

    /// Whether nothing is left.
    pub(crate) fn is_at_end(&self) -> bool {
        self.from.is_at_end()
    }

    /// What comes next; nothing where that cannot be read.
    #[inline]
    pub(crate) fn next(&mut self) -> Option<Step<'a>> {
        let record = *RECORDS.get(self.from.number()?)?;
        let asks = match record {
            Record::All => Asks::All(self.inputs()?),
            Record::Any => Asks::Any(self.inputs()?),
            Record::Equal => {
                let (slot, span, count) = (Slot(self.from.number()?), self.part()?, self.from.number()?);
                let mut values = SmallVec::new();
                for _ in 0..count {
                    values.push(self.from.template()?);
                }
                Asks::Equal { slot, span, values }
            }
            Record::Compare => Asks::Compare(Arc::clone(self.comparisons.get(self.from.number()?)?)),
            Record::Value | Record::Reference => {
                let node = self.nodes.checked_sub(self.from.number()?)?;
                let slot = Slot(self.from.number()?);
                let offset = self.start.checked_add(self.from.number()?)?;
                let value = if record == Record::Value {
                    Says::Value(self.from.template()?)
                } else {
                    Says::Reference(Slot(self.from.number()?))
                };
                return Some(Step::Asserts { node, slot, offset, value });
            }
        };
        self.nodes = self.nodes.saturating_add(1);
        Some(Step::Node(asks))
    }

    /// Where something within the policy stands in the document.
    fn part(&mut self) -> Option<Span> {
        let start = self.start.checked_add(self.from.number()?)?;
        Some(Span::new(start, start.checked_add(self.from.number()?)?))
    }

    fn inputs(&mut self) -> Option<SmallVec<[usize; 2]>> {
        let mut inputs = SmallVec::new();
        for _ in 0..self.from.number()? {
            inputs.push(self.nodes.checked_sub(self.from.number()?)?);
        }
        Some(inputs)
    }
}

impl Record {
    /// As it is packed.
    pub(super) fn number(self) -> usize {
        RECORDS.iter().position(|it| *it == self).unwrap_or(RECORDS.len())
    }
}
