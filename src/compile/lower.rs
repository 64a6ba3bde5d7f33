//! Trees to packed policies.

use std::sync::Arc;

use smallvec::{SmallVec, smallvec};

use crate::{
    compile::{
        condition::{Comparison, Test},
        document::Packer,
        realm::{Pattern, Variables},
        set::{Template, TemplatePiece},
        slots::Slots,
        steps::{Asks, Says, Step},
    },
    syntax::ast,
};

/// Packs a policy behind those before it in its document, and tells each step of it; what comes back is its realm.
pub(super) fn policy<'a>(
    slots: &mut Slots,
    packer: &mut Packer,
    policy: &'a ast::Policy,
    tell: impl FnMut(Step<'a>),
) -> Pattern {
    let mut variables = Variables::default();
    let realm = Pattern::of_realm(&policy.realm, &mut variables);
    packer.policy(policy.span, &realm, &variables);
    let mut lowering = Lowering { slots, variables: &variables, packer, tell, nodes: 0 };
    let root = lowering.node(Asks::All(SmallVec::new()));
    lowering.block(&policy.block, root, Place::Realm);
    realm
}

struct Lowering<'v, F> {
    slots: &'v mut Slots,
    variables: &'v Variables,
    packer: &'v mut Packer,
    tell: F,
    /// How many nodes there are.
    nodes: usize,
}

/// What stands around a claim.
#[derive(Clone, Copy)]
enum Place {
    Realm,
    Block(usize),
    Rule(usize),
}

impl<'a, F: FnMut(Step<'a>)> Lowering<'_, F> {
    fn node(&mut self, asks: Asks<'a>) -> usize {
        self.step(Step::Node(asks));
        let node = self.nodes;
        self.nodes = self.nodes.saturating_add(1);
        node
    }

    fn step(&mut self, step: Step<'a>) {
        self.packer.step(&step);
        (self.tell)(step);
    }

    fn block(&mut self, block: &'a ast::Block, node: usize, place: Place) {
        for item in &block.items {
            match item {
                ast::Item::Claim(claim) => self.claim(claim, node, place),
                ast::Item::Block(block) => {
                    let inner = match place {
                        Place::Rule(_) => place,
                        Place::Realm | Place::Block(_) => Place::Block(block.span.start),
                    };
                    self.block(block, node, inner);
                }
                ast::Item::Rule(rule) => {
                    let condition = self.expr(&rule.condition);
                    let both = self.node(Asks::All(smallvec![node, condition]));
                    self.block(&rule.block, both, Place::Rule(rule.span.start));
                }
            }
        }
    }

    fn expr(&mut self, expr: &'a ast::Expr) -> usize {
        match expr {
            ast::Expr::Group(inner, _) => self.expr(inner),
            ast::Expr::And(parts) => {
                let inputs = self.inputs(parts);
                self.node(Asks::All(inputs))
            }
            ast::Expr::Or(parts) => {
                let inputs = self.inputs(parts);
                self.node(Asks::Any(inputs))
            }
            ast::Expr::Comparison(comparison) => self.comparison(comparison),
        }
    }

    fn inputs(&mut self, parts: &'a [ast::Expr]) -> SmallVec<[usize; 2]> {
        parts.iter().map(|it| self.expr(it)).collect()
    }

    fn comparison(&mut self, comparison: &'a ast::Comparison) -> usize {
        let issuer = comparison.issuer.as_ref().map(|it| it.text.as_str());
        let slot = self.slots.intern(issuer, &comparison.claim_type.text);
        let is_fact = self.slots.is_fact(slot);
        if self.is_looked_up(comparison) {
            let mut values = SmallVec::new();
            for value in &comparison.values {
                values.push(self.template(value));
            }
            return self.node(Asks::Equal { slot, span: comparison.span, values });
        }
        let test = Test::new(comparison.operator, &comparison.values, self.variables);
        // A claim that rules assert may only be asked what more claims cannot make false.
        let is_monotone = !matches!(test, Test::NotEqual(_) | Test::Ordered(..));
        let test = if is_fact || is_monotone { test } else { Test::Never };
        let number = Some(self.packer.comparisons());
        let comparison = Comparison { number, ..Comparison::new(self.slots, slot, test, comparison.span) };
        self.node(Asks::Compare(Arc::new(comparison)))
    }

    fn claim(&mut self, claim: &'a ast::Claim, node: usize, place: Place) {
        let slot = self.slots.intern(None, &claim.claim_type.text);
        let offset = match place {
            Place::Rule(offset) | Place::Block(offset) => offset,
            Place::Realm => claim.span.start,
        };
        for asserted in &claim.asserted {
            match asserted {
                ast::Asserted::Value(value) if self.is_bound(value) => {
                    let value = Says::Value(self.template(value));
                    self.step(Step::Asserts { node, slot, offset, value });
                }
                // A variable that the realm does not bind was refused by the reader; it asserts nothing.
                ast::Asserted::Value(_) => (),
                ast::Asserted::Reference { issuer, claim_type, .. } => {
                    let fact = self.slots.intern(Some(&issuer.text), &claim_type.text);
                    self.step(Step::Asserts { node, slot, offset, value: Says::Reference(fact) });
                }
            }
        }
    }

    /// A value whose variables are all bound.
    fn template(&self, value: &'a ast::Value) -> Template<&'a [u8]> {
        let mut pieces = SmallVec::new();
        for piece in &value.pieces {
            pieces.push(match piece {
                ast::Piece::Text(text) => TemplatePiece::Text(text.as_bytes()),
                ast::Piece::Variable(name) => {
                    TemplatePiece::Variable(self.variables.find(&name.text).unwrap_or(usize::MAX / 2))
                }
            });
        }
        Template { pieces }
    }

    fn is_bound(&self, value: &ast::Value) -> bool {
        value.pieces.iter().all(|piece| match piece {
            ast::Piece::Text(_) => true,
            ast::Piece::Variable(name) => self.variables.find(&name.text).is_some(),
        })
    }

    /// Whether values can be found by what they are equal to: texts, or what one variable is bound to.
    fn is_looked_up(&self, comparison: &ast::Comparison) -> bool {
        let values = comparison.values.as_slice();
        let is_equality = match comparison.operator {
            ast::Operator::Equal | ast::Operator::Equals => values.len() == 1,
            ast::Operator::In => !values.is_empty(),
            ast::Operator::NotEqual
            | ast::Operator::BeginsWith
            | ast::Operator::EndsWith
            | ast::Operator::FqnMatch
            | ast::Operator::Contains
            | ast::Operator::Matches
            | ast::Operator::InCidr
            | ast::Operator::Less
            | ast::Operator::LessOrEqual
            | ast::Operator::Greater
            | ast::Operator::GreaterOrEqual => false,
        };
        let is_variable = |it: &ast::Value| matches!(it.pieces.as_slice(), [ast::Piece::Variable(_)]);
        is_equality
            && (values.iter().all(|it| it.constant().is_some())
                || matches!(values, [value] if is_variable(value) && self.is_bound(value)))
    }
}
