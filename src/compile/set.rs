//! What a policy set is made of: policies as nodes that become true, and the claims they assert then.

use smallvec::SmallVec;
use smol_str::SmolStr;

use crate::{
    compile::{
        condition::Comparison,
        index::Index,
        plan::Plan,
        realm::{Pattern, Variables},
        slots::{Slot, Slots},
    },
    source::{Source, Span},
};

/// Compiled documents. Cheap to share, never changed.
#[derive(Debug)]
pub struct PolicySet {
    // INVARIANT (order): ascending by document name, which are unique; system documents are among them.
    pub(crate) sources: Vec<Source>,
    // INVARIANT (order): ascending by document, then by place.
    pub(crate) policies: Vec<Policy>,
    pub(crate) index: Index,
    pub(crate) slots: Slots,
    /// For verdicts. Absent where the set is too large for it; then each verdict is a decision.
    pub(crate) plan: Option<Plan>,
}

/// A realm and its rules.
#[derive(Debug)]
pub(crate) struct Policy {
    /// Index into the set's sources.
    pub(crate) document: usize,
    pub(crate) realm: Pattern,
    pub(crate) variables: Variables,
    // INVARIANT (acyclic): inputs stand before the node that has them; node 0 is the policy's own block.
    pub(crate) nodes: Vec<Node>,
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
    Compare(Box<Comparison>),
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

/// Text with variables in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Template {
    pub(crate) pieces: SmallVec<[TemplatePiece; 1]>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TemplatePiece {
    Text(SmolStr),
    Variable(usize),
}

impl PolicySet {
    /// Bytes that the layout for verdicts takes, beside the documents and what explains decisions.
    pub fn layout_bytes(&self) -> usize {
        self.plan.as_ref().map_or(0, Plan::size)
    }

    /// The documents, system documents among them, ascending by name.
    pub fn sources(&self) -> &[Source] {
        &self.sources
    }

    /// Text of a place in a document.
    pub(crate) fn slice(&self, document: usize, span: Span) -> &str {
        self.sources.get(document).map(|it| it.slice(span)).unwrap_or_default()
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

impl Template {
    /// The text, where no variable is in it.
    pub(crate) fn constant(&self) -> Option<&str> {
        match self.pieces.as_slice() {
            [] => Some(""),
            [TemplatePiece::Text(text)] => Some(text),
            [TemplatePiece::Text(_) | TemplatePiece::Variable(_), ..] => None,
        }
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
