//! A policy set cut down to the rules that a decision names.

use gatehouse::{
    eval::Place,
    source::{Source, Span},
    syntax::{
        ast::{Block, Item},
        parse,
    },
};

use crate::cases::source;

/// The same documents without the claims of any other rule; blocks and conditions stay where they were.
pub(crate) fn only(sources: &[Source], places: &[Place]) -> Vec<Source> {
    sources.iter().map(|it| cut(it, places)).collect()
}

fn cut(whole: &Source, places: &[Place]) -> Source {
    let mut others = Vec::new();
    for policy in &parse(whole).document.policies {
        other_claims(whole, &policy.block, None, places, &mut others);
    }
    let mut bytes = whole.text().as_bytes().to_vec();
    for span in others {
        for byte in &mut bytes[span.range()] {
            if *byte != b'\n' {
                *byte = b' ';
            }
        }
    }
    source(whole.name(), &String::from_utf8(bytes).unwrap())
}

/// Claims whose rule is none of the places. `around` is the innermost `if`, or else the innermost block, and its offset.
fn other_claims(
    source: &Source,
    block: &Block,
    around: Option<(bool, usize)>,
    places: &[Place],
    others: &mut Vec<Span>,
) {
    for item in &block.items {
        match item {
            Item::Rule(rule) => {
                other_claims(source, &rule.block, Some((true, rule.keyword.start)), places, others);
            }
            Item::Block(inner) => {
                let around = around.filter(|(is_rule, _)| *is_rule).unwrap_or((false, inner.span.start));
                other_claims(source, inner, Some(around), places, others);
            }
            Item::Claim(claim) => {
                let at = source.location(around.map_or(claim.span.start, |(_, offset)| offset));
                let is_named = places
                    .iter()
                    .any(|it| (it.document.as_str(), it.line, it.column) == (source.document(), at.line, at.column));
                if !is_named {
                    others.push(claim.span);
                }
            }
        }
    }
}
