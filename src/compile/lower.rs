//! Trees to nodes.

use smallvec::{SmallVec, smallvec};

use crate::{
    compile::{
        condition::{Comparison, Test, template},
        realm::{Pattern, Variables},
        set::{Asserted, Assertion, Gate, Node, Policy},
        slots::Slots,
    },
    syntax::ast,
};

/// Makes one policy of a document ready for evaluation.
pub(crate) fn policy(slots: &mut Slots, document: usize, policy: &ast::Policy) -> Policy {
    let mut variables = Variables::default();
    let realm = Pattern::of_realm(&policy.realm, &mut variables);
    let mut lowering = Lowering { slots, variables: &variables, nodes: Vec::new() };
    let root = lowering.add(Gate::All(SmallVec::new()));
    lowering.block(&policy.block, root, Place::Realm);
    let mut nodes = lowering.nodes;
    nodes.shrink_to_fit();
    Policy { document, realm, variables, nodes }
}

struct Lowering<'a> {
    slots: &'a mut Slots,
    variables: &'a Variables,
    nodes: Vec<Node>,
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
                    let both = self.add(Gate::All(smallvec![node, condition]));
                    self.block(&rule.block, both, Place::Rule(rule.span.start));
                }
            }
        }
    }

    fn expr(&mut self, expr: &ast::Expr) -> usize {
        match expr {
            ast::Expr::Group(inner, _) => self.expr(inner),
            ast::Expr::And(parts) => {
                let inputs = parts.iter().map(|it| self.expr(it)).collect();
                self.add(Gate::All(inputs))
            }
            ast::Expr::Or(parts) => {
                let inputs = parts.iter().map(|it| self.expr(it)).collect();
                self.add(Gate::Any(inputs))
            }
            ast::Expr::Comparison(comparison) => {
                let comparison = self.comparison(comparison);
                self.add(Gate::Compare(Box::new(comparison)))
            }
        }
    }

    fn comparison(&mut self, comparison: &ast::Comparison) -> Comparison {
        let issuer = comparison.issuer.as_ref().map(|it| it.text.as_str());
        let claim_type = &comparison.claim_type.text;
        let slot = self.slots.intern(issuer, claim_type);
        let is_fact = self.slots.key(slot).is_some_and(|it| it.is_fact);
        let test = Test::new(comparison.operator, &comparison.values, self.variables);
        // A claim that rules assert may only be asked what more claims cannot make false.
        let is_monotone = !matches!(test, Test::NotEqual(_) | Test::Ordered(..));
        let test = if is_fact || is_monotone { test } else { Test::Never };
        let on_command = issuer.is_none() && claim_type == "command";
        Comparison { slot, test, on_command, span: comparison.span }
    }

    fn claim(&mut self, claim: &ast::Claim, node: usize, place: Place) {
        let slot = self.slots.intern(None, &claim.claim_type.text);
        let offset = match place {
            Place::Rule(offset) | Place::Block(offset) => offset,
            Place::Realm => claim.span.start,
        };
        if let Some(node) = self.nodes.get_mut(node).filter(|it| it.asserts.is_empty()) {
            // Nearly every rule asserts one claim; room for four is what a large set would be made of.
            node.asserts.reserve_exact(claim.asserted.len());
        }
        for asserted in &claim.asserted {
            let value = match asserted {
                ast::Asserted::Value(value) => template(value, self.variables).map(Asserted::Value),
                ast::Asserted::Reference { issuer, claim_type, .. } => {
                    Some(Asserted::Reference(self.slots.intern(Some(&issuer.text), &claim_type.text)))
                }
            };
            // A variable that the realm does not bind was refused by the reader; it asserts nothing.
            if let (Some(value), Some(node)) = (value, self.nodes.get_mut(node)) {
                node.asserts.push(Assertion { slot, value, offset });
            }
        }
    }

    fn add(&mut self, gate: Gate) -> usize {
        let at = self.nodes.len();
        let node = Node { gate, feeds: SmallVec::new(), asserts: Vec::new() };
        for input in node.inputs() {
            if let Some(input) = self.nodes.get_mut(*input) {
                input.feeds.push(at);
            }
        }
        self.nodes.push(node);
        at
    }
}
