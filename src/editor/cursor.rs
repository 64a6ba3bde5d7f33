//! What stands at a place of a document.

use crate::{
    lint::walk::segments,
    source::Span,
    syntax::ast::{
        Asserted, Block, Claim, Comparison, Document, Expr, Item, Name, Piece, Policy, Realm, Segment, Value,
    },
};

/// Something of a policy, and the policy.
#[derive(Debug, Clone, Copy)]
pub(super) struct Found<'a> {
    pub(super) policy: &'a Policy,
    pub(super) symbol: Symbol<'a>,
    pub(super) span: Span,
}

/// What can stand at a place.
#[derive(Debug, Clone, Copy)]
pub(super) enum Symbol<'a> {
    /// The realm of the policy.
    Realm(&'a Realm),
    /// The type of a claim that a rule asserts.
    ClaimType(&'a Name),
    /// A value that a rule asserts.
    Asserted { claim_type: &'a Name, value: &'a Value },
    /// The name before an arrow.
    Issuer(&'a Name),
    /// The claim type of a fact, in a condition or behind an arrow.
    FactType { issuer: Option<&'a Name>, claim_type: &'a Name },
    /// `==` and its like.
    Operator(&'a Comparison),
    /// A value to the right of an operator.
    Compared { comparison: &'a Comparison, value: &'a Value },
    /// `[name]`.
    Variable(&'a Name),
}

/// What stands at an offset; the place behind a word's last letter is one of its.
pub(super) fn at(document: &Document, offset: usize) -> Option<Found<'_>> {
    let first = document.policies.partition_point(|it| it.span.end < offset);
    // Two policies can touch: then the one that begins here may have what the other one has not.
    document.policies.get(first..)?.iter().take(2).find_map(|policy| {
        let (symbol, span) = in_policy(policy, offset)?;
        Some(Found { policy, symbol, span })
    })
}

type Hit<'a> = Option<(Symbol<'a>, Span)>;

fn touches(span: Span, offset: usize) -> bool {
    span.start <= offset && offset <= span.end && !span.is_empty()
}

fn in_policy(policy: &Policy, offset: usize) -> Hit<'_> {
    if touches(policy.realm.span, offset) {
        let variable = segments(&policy.realm).find_map(|it| match it {
            Segment::Variable(name) if touches(name.span, offset) => Some((Symbol::Variable(name), name.span)),
            Segment::Variable(_) | Segment::Literal(_) => None,
        });
        return variable.or(Some((Symbol::Realm(&policy.realm), policy.realm.span)));
    }
    in_block(&policy.block, offset)
}

fn in_block(block: &Block, offset: usize) -> Hit<'_> {
    block.items.iter().find_map(|item| match item {
        Item::Claim(claim) if touches(claim.span, offset) => in_claim(claim, offset),
        Item::Block(inner) if touches(inner.span, offset) => in_block(inner, offset),
        Item::Rule(rule) if touches(rule.span, offset) => {
            in_expr(&rule.condition, offset).or_else(|| in_block(&rule.block, offset))
        }
        Item::Claim(_) | Item::Block(_) | Item::Rule(_) => None,
    })
}

fn in_claim(claim: &Claim, offset: usize) -> Hit<'_> {
    let claim_type = &claim.claim_type;
    if touches(claim_type.span, offset) {
        return Some((Symbol::ClaimType(claim_type), claim_type.span));
    }
    claim.asserted.iter().find_map(|asserted| match asserted {
        Asserted::Value(value) => in_value(value, offset, Symbol::Asserted { claim_type, value }),
        Asserted::Reference { issuer, claim_type, .. } => in_fact(Some(issuer), claim_type, offset),
    })
}

fn in_fact<'a>(issuer: Option<&'a Name>, claim_type: &'a Name, offset: usize) -> Hit<'a> {
    if touches(claim_type.span, offset) {
        return Some((Symbol::FactType { issuer, claim_type }, claim_type.span));
    }
    let issuer = issuer.filter(|it| touches(it.span, offset))?;
    Some((Symbol::Issuer(issuer), issuer.span))
}

fn in_value<'a>(value: &'a Value, offset: usize, symbol: Symbol<'a>) -> Hit<'a> {
    if !touches(value.span, offset) {
        return None;
    }
    let variable = value.pieces.iter().find_map(|piece| match piece {
        Piece::Variable(name) if touches(name.span, offset) => Some((Symbol::Variable(name), name.span)),
        Piece::Variable(_) | Piece::Text(_) => None,
    });
    variable.or(Some((symbol, value.span)))
}

fn in_expr(expr: &Expr, offset: usize) -> Hit<'_> {
    match expr {
        Expr::Or(parts) | Expr::And(parts) => parts.iter().find_map(|it| in_expr(it, offset)),
        Expr::Group(inner, _) => in_expr(inner, offset),
        Expr::Comparison(comparison) if touches(comparison.span, offset) => in_comparison(comparison, offset),
        Expr::Comparison(_) => None,
    }
}

fn in_comparison(comparison: &Comparison, offset: usize) -> Hit<'_> {
    in_fact(comparison.issuer.as_ref(), &comparison.claim_type, offset)
        .or_else(|| {
            let values = &comparison.values;
            values.iter().find_map(|value| in_value(value, offset, Symbol::Compared { comparison, value }))
        })
        .or_else(|| {
            let span = comparison.operator_span;
            touches(span, offset).then_some((Symbol::Operator(comparison), span))
        })
}
