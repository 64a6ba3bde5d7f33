//! What kind of word each word of a document is, for its colour.

use crate::{
    source::{Source, Span},
    syntax::{
        Parse,
        ast::{Asserted, Block, Claim, Comparison, Expr, Item, Local, Name, Operator, Piece, Policy, Segment, Value},
    },
};

/// A word and its kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Highlight {
    /// Within one line.
    pub span: Span,
    /// What it is.
    pub kind: HighlightKind,
}

/// What a word is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum HighlightKind {
    /// `// ...`
    Comment,
    /// `on`, `if`
    Keyword,
    /// The `job` of a realm.
    ResourceType,
    /// A segment of a realm.
    Segment,
    /// `[name]`
    Variable,
    /// `permit`, or the type of a fact.
    ClaimType,
    /// What stands before an arrow.
    Issuer,
    /// `==`
    Operator,
    /// A value in quotes.
    Text,
    /// A value without quotes.
    Word,
}

/// The words of a document, ascending, none over another; the signs between them and what could not be read are not
/// among them.
pub fn highlights(source: &Source, parse: &Parse) -> Vec<Highlight> {
    let mut out = Words(Vec::new());
    for span in &parse.comments {
        out.push(*span, HighlightKind::Comment);
    }
    for policy in &parse.document.policies {
        out.policy(policy);
    }
    let mut words = out.0;
    words.sort_unstable();
    // What was mended may stand over something else, or go over a line: the first one counts.
    let mut end = 0;
    words.retain(|it| {
        let is_good = end <= it.span.start && !it.span.is_empty() && !source.slice(it.span).contains('\n');
        if is_good {
            end = it.span.end;
        }
        is_good
    });
    words
}

struct Words(Vec<Highlight>);

impl Words {
    fn push(&mut self, span: Span, kind: HighlightKind) {
        self.0.push(Highlight { span, kind });
    }

    fn policy(&mut self, policy: &Policy) {
        if let Some(on) = policy.on {
            self.push(on, HighlightKind::Keyword);
        }
        self.push(policy.realm.resource_type.span, HighlightKind::ResourceType);
        let local = if let Local::Named(segments) = &policy.realm.local { segments.as_slice() } else { &[] };
        for segment in policy.realm.namespace.iter().chain(local) {
            match segment {
                Segment::Literal(name) => self.push(name.span, HighlightKind::Segment),
                Segment::Variable(name) => self.push(name.span, HighlightKind::Variable),
            }
        }
        self.block(&policy.block);
    }

    fn block(&mut self, block: &Block) {
        for item in &block.items {
            match item {
                Item::Claim(claim) => self.claim(claim),
                Item::Block(inner) => self.block(inner),
                Item::Rule(rule) => {
                    self.push(rule.keyword, HighlightKind::Keyword);
                    self.expr(&rule.condition);
                    self.block(&rule.block);
                }
            }
        }
    }

    fn claim(&mut self, claim: &Claim) {
        self.push(claim.claim_type.span, HighlightKind::ClaimType);
        for asserted in &claim.asserted {
            match asserted {
                Asserted::Value(value) => self.value(value),
                Asserted::Reference { issuer, claim_type, .. } => self.fact(Some(issuer), claim_type),
            }
        }
    }

    fn fact(&mut self, issuer: Option<&Name>, claim_type: &Name) {
        if let Some(issuer) = issuer {
            self.push(issuer.span, HighlightKind::Issuer);
        }
        self.push(claim_type.span, HighlightKind::ClaimType);
    }

    fn expr(&mut self, expr: &Expr) {
        match expr {
            Expr::Or(parts) | Expr::And(parts) => parts.iter().for_each(|it| self.expr(it)),
            Expr::Group(inner, _) => self.expr(inner),
            Expr::Comparison(comparison) => self.comparison(comparison),
        }
    }

    fn comparison(&mut self, comparison: &Comparison) {
        self.fact(comparison.issuer.as_ref(), &comparison.claim_type);
        let kind = if comparison.operator == Operator::In { HighlightKind::Keyword } else { HighlightKind::Operator };
        self.push(comparison.operator_span, kind);
        comparison.values.iter().for_each(|it| self.value(it));
    }

    /// A value around its variables.
    fn value(&mut self, value: &Value) {
        let kind = if value.quoted { HighlightKind::Text } else { HighlightKind::Word };
        let mut start = value.span.start;
        for piece in &value.pieces {
            if let Piece::Variable(name) = piece {
                self.push(Span::new(start, name.span.start), kind);
                self.push(name.span, HighlightKind::Variable);
                start = name.span.end;
            }
        }
        self.push(Span::new(start, value.span.end), kind);
    }
}
