//! One policy on its way from its document into the layout: what it says, in the words of its text or of what it is packed in.
//!
//! A large set is made of small policies, so what one of them takes is room for one rule with one condition, and more only
//! where it says more.

use smallvec::SmallVec;

use crate::compile::{
    plan::IN_LOCAL,
    realm::Pattern,
    set::{Template, TemplatePiece},
    slots::Slot,
    steps::{Asks, Says, Step, Steps},
};

/// Each variable with the segments that it stands for.
pub(super) type Bindings = SmallVec<[(usize, u32); 1]>;

/// A policy that is being laid out.
pub(crate) struct Draft<'a> {
    pub(super) number: u32,
    pub(super) resource_type: &'a str,
    pub(super) bindings: Bindings,
    // As in `Policy`.
    pub(super) nodes: SmallVec<[Asks<'a>; 3]>,
    // Once it is laid out ascending by node, those of a node in the order of the text.
    pub(super) asserts: SmallVec<[Claimed<'a>; 1]>,
}

/// Something that a node asserts.
pub(super) struct Claimed<'a> {
    pub(super) node: usize,
    pub(super) slot: Slot,
    pub(super) offset: usize,
    value: Says<'a>,
    /// The claim in the layout, once it is there.
    pub(super) claim: Option<u32>,
}

impl<'a> Draft<'a> {
    /// Of a policy that is still to be taken.
    pub(crate) fn new(number: u32) -> Self {
        Self { number, resource_type: "", bindings: SmallVec::new(), nodes: SmallVec::new(), asserts: SmallVec::new() }
    }

    /// Reads the policy where it is packed, and where its texts stay.
    pub(super) fn read(&mut self, mut steps: Steps<'a>) -> Option<()> {
        let bindings = &mut self.bindings;
        steps.span()?;
        self.resource_type = steps.variables_of_realm(|variable, segment, is_local| {
            bindings.push((variable, if is_local { segment | IN_LOCAL } else { segment }));
        })?;
        steps.names(|_| ())?;
        while !steps.is_at_end() {
            self.step(steps.next()?);
        }
        Some(())
    }

    /// Takes the realm, which is the policy's own.
    pub(crate) fn of_realm(&mut self, realm: &'a Pattern) {
        self.resource_type = &realm.resource_type;
        realm.variables(|variable, segment, is_local| {
            self.bindings.push((variable, if is_local { segment | IN_LOCAL } else { segment }));
        });
    }

    /// Takes what comes next.
    #[inline]
    pub(crate) fn step(&mut self, step: Step<'a>) {
        match step {
            Step::Node(asks) => self.nodes.push(asks),
            Step::Asserts { node, slot, offset, value } => {
                self.asserts.push(Claimed { node, slot, offset, value, claim: None });
            }
        }
    }

    /// Orders what it asserts, once all was taken: a block asserts more behind what is within it.
    pub(super) fn order(&mut self) {
        if self.asserts.len() > 1 {
            self.asserts.sort_by_key(|it| it.node);
        }
    }
}

impl Claimed<'_> {
    /// What is asserted, where it is the same for everyone.
    pub(super) fn constant(&self) -> Option<&[u8]> {
        match &self.value {
            Says::Value(template) => template.constant(),
            Says::Reference(_) => None,
        }
    }
}

impl Asks<'_> {
    /// What a comparison is of.
    pub(super) fn slot(&self) -> Option<Slot> {
        match self {
            Self::All(_) | Self::Any(_) => None,
            Self::Equal { slot, .. } => Some(*slot),
            Self::Compare(comparison) => Some(comparison.slot),
        }
    }

    /// The texts that a comparison is true of, where it is of no others.
    pub(super) fn constants(&self) -> Option<SmallVec<[&[u8]; 2]>> {
        match self {
            Self::Equal { values, .. } => {
                let mut constants = SmallVec::new();
                for value in values {
                    constants.push(value.constant()?);
                }
                Some(constants)
            }
            // What is equal to texts is packed as that.
            Self::Compare(_) | Self::All(_) | Self::Any(_) => None,
        }
    }

    /// The variable whose value a comparison is true of, where it is of no other.
    pub(super) fn variable(&self) -> Option<usize> {
        let Self::Equal { values, .. } = self else { return None };
        let [Template { pieces }] = values.as_slice() else { return None };
        if let [TemplatePiece::Variable(variable)] = pieces.as_slice() { Some(*variable) } else { None }
    }
}
