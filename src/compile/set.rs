//! What a policy set is made of: policies as nodes that become true, and the claims they assert then.

use std::{
    ops::{Deref, Range},
    sync::Arc,
};

use smallvec::SmallVec;
use smol_str::SmolStr;

use crate::{
    compile::{
        System,
        condition::Comparison,
        document::Document,
        packed::{Reader, Writer},
        plan::Plan,
        realm::{Pattern, Variables},
        slots::{Slot, Slots},
    },
    source::{Source, Span},
    syntax::fqn::Fqn,
};

/// Compiled documents. Cheap to share, never changed.
#[derive(Debug)]
pub struct PolicySet {
    // INVARIANT (order): ascending by document name, which are unique; system documents are among them.
    pub(crate) sources: Vec<Source>,
    // One for each source.
    pub(crate) documents: Vec<Arc<Document>>,
    pub(crate) numbers: Numbers,
    pub(crate) slots: Slots,
    pub(crate) plan: Plan,
    /// Whether the system documents are part of it.
    pub(super) system: System,
}

/// What policies are called in the layout: each document has numbers of its own, in the order of its policies.
///
/// They stay what they are while the document does, so that the layout of the others need not be touched when one
/// document changes. The order of numbers means nothing.
#[derive(Debug, Clone, Default)]
pub(crate) struct Numbers {
    // INVARIANT (order): ascending by first number. First number, how many, index of the document.
    ranges: Vec<(u32, u32, usize)>,
    // The first that nobody has or had.
    next: u32,
}

/// A realm and its rules.
#[derive(Debug)]
pub(crate) struct Policy {
    pub(crate) realm: Pattern,
    pub(crate) variables: Variables,
    // INVARIANT (acyclic): inputs stand before the node that has them; node 0 is the policy's own block.
    pub(crate) nodes: Vec<Node>,
}

/// A policy and where it comes from.
#[derive(Debug)]
pub(crate) struct Placed<'s> {
    /// Index into the set's sources.
    pub(crate) document: usize,
    pub(crate) policy: Unpacked<'s>,
}

/// A policy as it is evaluated.
#[derive(Debug)]
pub(crate) enum Unpacked<'s> {
    /// It stays so in its document.
    Ready(&'s Policy),
    /// Just for whoever asked.
    Once(Box<Policy>),
}

/// Something that becomes true in an evaluation and then stays true.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) gate: Gate,
    /// Nodes that have this one as input.
    pub(crate) feeds: SmallVec<[usize; 2]>,
    /// Asserted as soon as it is true; only blocks and rules assert.
    pub(crate) asserts: Vec<Assertion>,
}

/// When a node is true.
#[derive(Debug)]
pub(crate) enum Gate {
    /// All inputs are, in the order of the text; none: always.
    All(SmallVec<[usize; 2]>),
    /// One input is.
    Any(SmallVec<[usize; 2]>),
    /// The comparison holds.
    Compare(Arc<Comparison>),
}

/// A value that a rule asserts.
#[derive(Debug)]
pub(crate) struct Assertion {
    pub(crate) slot: Slot,
    pub(crate) value: Asserted,
    /// The rule that a person would look at: offset of the innermost `if` around it, else of the innermost block in
    /// the realm's braces, else of the claim.
    pub(crate) offset: usize,
}

/// What is asserted.
#[derive(Debug)]
pub(crate) enum Asserted {
    Value(Template),
    /// Every value of a fact.
    Reference(Slot),
}

/// Text with variables in it; its own, or as `Template<&[u8]>` that of what it is packed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Template<T = SmolStr> {
    pub(crate) pieces: SmallVec<[TemplatePiece<T>; 1]>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TemplatePiece<T = SmolStr> {
    Text(T),
    Variable(usize),
}

impl PolicySet {
    /// Bytes that the layout for verdicts and the packed policies take; the documents' texts and what stays unpacked left out.
    pub fn layout_bytes(&self) -> usize {
        self.documents.iter().map(|it| it.size()).fold(self.plan.size(), usize::saturating_add)
    }

    /// The documents, system documents among them, ascending by name.
    pub fn sources(&self) -> &[Source] {
        &self.sources
    }

    /// Text of a place in a document.
    pub(crate) fn slice(&self, document: usize, span: Span) -> &str {
        self.sources.get(document).map(|it| it.slice(span)).unwrap_or_default()
    }

    /// The policies whose realm may hold the name, ascending by document, then by place.
    pub(crate) fn find(&self, name: &Fqn) -> Vec<Placed<'_>> {
        let mut found: SmallVec<[(usize, usize); 8]> = SmallVec::new();
        self.plan.find(name, |it| found.extend(self.numbers.document(it)));
        found.sort_unstable();
        let mut placed = Vec::with_capacity(found.len());
        placed.extend(found.into_iter().filter_map(|(document, at)| self.placed(document, at)));
        placed
    }

    /// All policies, ascending by document, then by place.
    pub(crate) fn policies(&self) -> impl Iterator<Item = Placed<'_>> {
        let all = self.documents.iter().enumerate();
        all.flat_map(move |(document, it)| (0..it.count()).filter_map(move |at| self.placed(document, at)))
    }

    fn placed(&self, document: usize, at: usize) -> Option<Placed<'_>> {
        let policy = self.documents.get(document)?.policy(at, &self.slots)?;
        Some(Placed { document, policy })
    }
}

impl Numbers {
    /// Gives a document of so many policies numbers that no other has; nothing where there are none left.
    pub(super) fn add(&mut self, document: usize, count: usize) -> Option<Range<u32>> {
        let (first, count) = (self.next, u32::try_from(count).ok()?);
        self.next = first.checked_add(count)?;
        if count != 0 {
            self.ranges.push((first, count, document));
        }
        Some(first..self.next)
    }

    /// The first number of each document that has policies, how many, and the index of the document; ascending.
    pub(super) fn ranges(&self) -> impl Iterator<Item = (u32, u32, usize)> {
        self.ranges.iter().copied()
    }

    /// Calls each document by its new index; those that have none are gone.
    pub(super) fn rename(&mut self, index: impl Fn(usize) -> Option<usize>) {
        let ranges = std::mem::take(&mut self.ranges).into_iter();
        self.ranges = ranges.filter_map(|(first, count, it)| Some((first, count, index(it)?))).collect();
    }

    /// Writes all of them.
    pub(super) fn put(&self, to: &mut Writer) {
        to.wide(self.next.into());
        to.number(self.ranges.len());
        for (first, count, document) in &self.ranges {
            to.wide((*first).into());
            to.wide((*count).into());
            to.number(*document);
        }
    }

    /// Reads what was written.
    pub(super) fn take(from: &mut Reader<'_>) -> Option<Self> {
        let next = from.narrow()?;
        let count = from.number()?;
        let ranges = (0..count).map(|_| Some((from.narrow()?, from.narrow()?, from.number()?)));
        Some(Self { ranges: ranges.collect::<Option<_>>()?, next })
    }

    /// The document of a policy, and which of its policies it is.
    pub(crate) fn document(&self, number: u32) -> Option<(usize, usize)> {
        let behind = self.ranges.partition_point(|(first, _, _)| *first <= number);
        let (first, count, document) = self.ranges.get(behind.checked_sub(1)?)?;
        let at = number.checked_sub(*first).filter(|it| it < count)?;
        Some((*document, usize::try_from(at).ok()?))
    }
}

impl Deref for Unpacked<'_> {
    type Target = Policy;

    fn deref(&self) -> &Policy {
        match self {
            Self::Ready(policy) => policy,
            Self::Once(policy) => policy,
        }
    }
}

impl Policy {
    pub(crate) fn node(&self, at: usize) -> Option<&Node> {
        self.nodes.get(at)
    }
}

impl Node {
    pub(crate) fn inputs(&self) -> &[usize] {
        match &self.gate {
            Gate::All(inputs) | Gate::Any(inputs) => inputs,
            Gate::Compare(_) => &[],
        }
    }
}

impl<T> Template<T> {
    /// What its only text is as another type, `empty` where it has none; nothing where a variable is in it.
    fn constant_as<'s, U>(&'s self, empty: U, text_as: impl FnOnce(&'s T) -> U) -> Option<U> {
        match self.pieces.as_slice() {
            [] => Some(empty),
            [TemplatePiece::Text(text)] => Some(text_as(text)),
            [TemplatePiece::Text(_) | TemplatePiece::Variable(_), ..] => None,
        }
    }
}

impl<'a> Template<&'a [u8]> {
    /// The text, where no variable is in it.
    pub(crate) fn constant(&self) -> Option<&'a [u8]> {
        self.constant_as(b"", |it| *it)
    }

    /// The same with its own text.
    pub(crate) fn owned(&self) -> Option<Template> {
        let piece = |piece: &TemplatePiece<&[u8]>| match piece {
            TemplatePiece::Text(text) => Some(TemplatePiece::Text(SmolStr::new(std::str::from_utf8(text).ok()?))),
            TemplatePiece::Variable(number) => Some(TemplatePiece::Variable(*number)),
        };
        Some(Template { pieces: self.pieces.iter().map(piece).collect::<Option<_>>()? })
    }
}

impl Template {
    /// The text, where no variable is in it.
    pub(crate) fn constant(&self) -> Option<&str> {
        self.constant_as("", SmolStr::as_str)
    }

    /// The text, its variables replaced by what they are bound to. What a variable is bound to is text and is never
    /// read again, whatever stands in it.
    pub(crate) fn fill<'a>(&'a self, bound: &[&'a str]) -> std::borrow::Cow<'a, str> {
        let text = |piece: &'a TemplatePiece| match piece {
            TemplatePiece::Text(text) => text.as_str(),
            TemplatePiece::Variable(number) => bound.get(*number).copied().unwrap_or_default(),
        };
        match self.pieces.as_slice() {
            [] => "".into(),
            [piece] => text(piece).into(),
            pieces => pieces.iter().map(text).collect::<String>().into(),
        }
    }
}
