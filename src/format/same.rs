//! What a tree says, without where and how it was written.

use crate::{
    source::Span,
    syntax::ast::{
        Asserted, Block, Claim, Comparison, Document, Expr, Item, Local, Name, Piece, Policy, Realm, Segment, Value,
    },
};

/// The document without places: what is equal then was written with the same words and signs in the same order.
#[must_use]
pub fn without_places(document: &Document) -> Document {
    erased(document, &Eraser { layout: false })
}

/// The document without places and without what the formatter may choose: the word `on`, and quotes around a text that
/// needs none.
///
/// ```
/// use gatehouse::{format::without_layout, source::Source, syntax::parse};
///
/// let read = |text: &str| Source::new("a.pol", text.into()).map(|it| parse(&it).document);
/// let (one, other) = (read("on job::/ { permit ssh }")?, read("job::/{permit \"ssh\"} // why")?);
/// assert_eq!(without_layout(&one), without_layout(&other));
/// # Ok::<(), gatehouse::source::SourceError>(())
/// ```
#[must_use]
pub fn without_layout(document: &Document) -> Document {
    erased(document, &Eraser { layout: true })
}

fn erased(document: &Document, eraser: &Eraser) -> Document {
    let mut document = document.clone();
    if let Some(header) = &mut document.header {
        header.span = Span::default();
    }
    for policy in &mut document.policies {
        eraser.policy(policy);
    }
    document
}

/// Sets every place to the same, so that the equality that the tree derives sees the rest only. A place that was
/// forgotten here makes equal documents unequal, never the other way round.
struct Eraser {
    layout: bool,
}

impl Eraser {
    fn policy(&self, policy: &mut Policy) {
        policy.on = policy.on.filter(|_| !self.layout).map(|_| Span::default());
        policy.span = Span::default();
        realm(&mut policy.realm);
        self.block(&mut policy.block);
    }

    fn block(&self, block: &mut Block) {
        block.span = Span::default();
        for item in &mut block.items {
            match item {
                Item::Rule(rule) => {
                    rule.keyword = Span::default();
                    rule.span = Span::default();
                    self.expr(&mut rule.condition);
                    self.block(&mut rule.block);
                }
                Item::Block(block) => self.block(block),
                Item::Claim(claim) => self.claim(claim),
            }
        }
    }

    fn claim(&self, claim: &mut Claim) {
        claim.span = Span::default();
        name(&mut claim.claim_type);
        for asserted in &mut claim.asserted {
            match asserted {
                Asserted::Value(it) => self.value(it),
                Asserted::Reference { issuer, claim_type, span } => {
                    *span = Span::default();
                    name(issuer);
                    name(claim_type);
                }
            }
        }
    }

    fn expr(&self, expr: &mut Expr) {
        match expr {
            Expr::Or(parts) | Expr::And(parts) => parts.iter_mut().for_each(|it| self.expr(it)),
            Expr::Group(inner, span) => {
                *span = Span::default();
                self.expr(inner);
            }
            Expr::Comparison(comparison) => self.comparison(comparison),
        }
    }

    fn comparison(&self, comparison: &mut Comparison) {
        comparison.span = Span::default();
        comparison.operator_span = Span::default();
        comparison.issuer.iter_mut().for_each(name);
        name(&mut comparison.claim_type);
        comparison.values.iter_mut().for_each(|it| self.value(it));
    }

    fn value(&self, value: &mut Value) {
        value.span = Span::default();
        value.quoted = value.quoted && !self.layout;
        for piece in &mut value.pieces {
            match piece {
                Piece::Text(_) => (),
                Piece::Variable(it) => name(it),
            }
        }
    }
}

fn realm(realm: &mut Realm) {
    realm.span = Span::default();
    name(&mut realm.resource_type);
    realm.namespace.iter_mut().for_each(segment);
    match &mut realm.local {
        Local::Below | Local::Exact | Local::Any => (),
        Local::Named(segments) => segments.iter_mut().for_each(segment),
    }
}

fn segment(segment: &mut Segment) {
    match segment {
        Segment::Literal(it) | Segment::Variable(it) => name(it),
    }
}

fn name(name: &mut Name) {
    name.span = Span::default();
}
