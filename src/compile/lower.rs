//! Trees to packed policies.

use smallvec::SmallVec;

use crate::{
    compile::{
        condition::{Comparison, Test},
        document::{By, Packer},
        realm::{Pattern, Variables},
        slots::Slots,
    },
    syntax::ast,
};

/// Packs a policy behind those before it in its document; what comes back is its realm.
pub(super) fn policy(slots: &mut Slots, packer: &mut Packer, policy: &ast::Policy) -> Pattern {
    let mut variables = Variables::default();
    let realm = Pattern::of_realm(&policy.realm, &mut variables);
    packer.policy(policy.span, &realm, &variables);
    let root = packer.joined(true, &[]);
    let mut lowering = Lowering { slots, variables: &variables, packer };
    lowering.block(&policy.block, root, Place::Realm);
    realm
}

struct Lowering<'a> {
    slots: &'a mut Slots,
    variables: &'a Variables,
    packer: &'a mut Packer,
}

/// What stands around a claim.
#[derive(Clone, Copy)]
enum Place {
    Realm,
    Block(usize),
    Rule(usize),
}

impl Lowering<'_> {
    fn block(&mut self, block: &ast::Block, node: usize, place: Place) {
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
                    let both = self.packer.joined(true, &[node, condition]);
                    self.block(&rule.block, both, Place::Rule(rule.span.start));
                }
            }
        }
    }

    fn expr(&mut self, expr: &ast::Expr) -> usize {
        match expr {
            ast::Expr::Group(inner, _) => self.expr(inner),
            ast::Expr::And(parts) => self.joined(true, parts),
            ast::Expr::Or(parts) => self.joined(false, parts),
            ast::Expr::Comparison(comparison) => self.comparison(comparison),
        }
    }

    fn joined(&mut self, is_all: bool, parts: &[ast::Expr]) -> usize {
        let inputs: SmallVec<[usize; 4]> = parts.iter().map(|it| self.expr(it)).collect();
        self.packer.joined(is_all, &inputs)
    }

    fn comparison(&mut self, comparison: &ast::Comparison) -> usize {
        let issuer = comparison.issuer.as_ref().map(|it| it.text.as_str());
        let slot = self.slots.intern(issuer, &comparison.claim_type.text);
        let is_fact = self.slots.is_fact(slot);
        if self.is_looked_up(comparison) {
            return self.packer.equal(slot, comparison.span, &comparison.values, self.variables);
        }
        let test = Test::new(comparison.operator, &comparison.values, self.variables);
        // A claim that rules assert may only be asked what more claims cannot make false.
        let is_monotone = !matches!(test, Test::NotEqual(_) | Test::Ordered(..));
        let test = if is_fact || is_monotone { test } else { Test::Never };
        self.packer.comparison(Comparison::new(self.slots, slot, test, comparison.span))
    }

    fn claim(&mut self, claim: &ast::Claim, node: usize, place: Place) {
        let slot = self.slots.intern(None, &claim.claim_type.text);
        let offset = match place {
            Place::Rule(offset) | Place::Block(offset) => offset,
            Place::Realm => claim.span.start,
        };
        let by = By { node, slot, offset };
        for asserted in &claim.asserted {
            match asserted {
                ast::Asserted::Value(value) if self.is_bound(value) => {
                    self.packer.asserted(&by, value, self.variables);
                }
                // A variable that the realm does not bind was refused by the reader; it asserts nothing.
                ast::Asserted::Value(_) => (),
                ast::Asserted::Reference { issuer, claim_type, .. } => {
                    let fact = self.slots.intern(Some(&issuer.text), &claim_type.text);
                    self.packer.reference(&by, fact);
                }
            }
        }
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
