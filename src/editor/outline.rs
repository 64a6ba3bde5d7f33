//! What a document consists of: its policies and their rules, and what of it can be folded away.

use crate::{
    diagnostic::printable::short,
    source::{Source, Span},
    syntax::{
        Parse,
        ast::{Asserted, Block, Claim, Item, Policy},
    },
};

/// A part of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// As the document has it, on one line.
    pub name: String,
    /// What it is.
    pub kind: EntryKind,
    /// All of it.
    pub span: Span,
    /// What its name was taken from; lies in `span`.
    pub name_span: Span,
    /// Its parts.
    pub children: Vec<Entry>,
}

/// What a part of a document is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    /// A realm and its rules.
    Policy,
    /// `if (...)`
    Rule,
    /// `permit ssh`
    Claim,
}

/// The policies of a document, each with its rules and claims.
///
/// ```
/// use gatehouse::{editor::outline, source::Source, syntax::parse};
///
/// let source = Source::new("a.pol", b"job::/ { if (role == admin) { permit all } }".to_vec())?;
/// let entries = outline(&source, &parse(&source));
/// assert_eq!(entries[0].name, "job::/");
/// assert_eq!(entries[0].children[0].name, "if role == admin");
/// # Ok::<(), gatehouse::source::SourceError>(())
/// ```
pub fn outline(source: &Source, parse: &Parse) -> Vec<Entry> {
    parse.document.policies.iter().map(|policy| of_policy(source, policy)).collect()
}

fn of_policy(source: &Source, policy: &Policy) -> Entry {
    let name_span = policy.realm.span;
    let children = of_block(source, &policy.block);
    Entry { name: short(source.slice(name_span)), kind: EntryKind::Policy, span: policy.span, name_span, children }
}

/// The rules and claims of a block; one without a condition has its parts in its stead.
fn of_block(source: &Source, block: &Block) -> Vec<Entry> {
    let mut entries = Vec::new();
    for item in &block.items {
        match item {
            Item::Claim(claim) => entries.push(of_claim(source, claim)),
            Item::Block(inner) => entries.extend(of_block(source, inner)),
            Item::Rule(rule) => {
                let name_span = rule.condition.span();
                let name = format!("if {}", one_line(source.slice(name_span)));
                let children = of_block(source, &rule.block);
                let name_span = if name_span.is_empty() { rule.keyword } else { name_span };
                entries.push(Entry { name, kind: EntryKind::Rule, span: rule.span, name_span, children });
            }
        }
    }
    entries
}

fn of_claim(source: &Source, claim: &Claim) -> Entry {
    let values: Vec<&str> = claim.asserted.iter().map(|it| source.slice(place_of(it))).collect();
    let name = one_line(&format!("{} {}", claim.claim_type.text, values.join(", ")));
    let kind = EntryKind::Claim;
    Entry { name, kind, span: claim.span, name_span: claim.claim_type.span, children: Vec::new() }
}

fn place_of(asserted: &Asserted) -> Span {
    match asserted {
        Asserted::Value(value) => value.span,
        Asserted::Reference { span, .. } => *span,
    }
}

fn one_line(text: &str) -> String {
    short(&text.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// What can be folded away: blocks of more than one line, and comments on several lines in a row. By place.
pub fn folds(source: &Source, parse: &Parse) -> Vec<Span> {
    let mut spans = Vec::new();
    for policy in &parse.document.policies {
        add_block(&mut spans, &policy.block);
    }
    add_comments(&mut spans, source, &parse.comments);
    spans.retain(|it| source.line(it.start) < source.line(it.end));
    spans.sort_unstable();
    spans
}

fn add_block(spans: &mut Vec<Span>, block: &Block) {
    spans.push(block.span);
    for item in &block.items {
        match item {
            Item::Claim(_) => (),
            Item::Block(inner) => add_block(spans, inner),
            Item::Rule(rule) => add_block(spans, &rule.block),
        }
    }
}

fn add_comments(spans: &mut Vec<Span>, source: &Source, comments: &[Span]) {
    let mut run: Option<Span> = None;
    for comment in comments.iter().copied().filter(|it| source.is_first_on_line(it.start)) {
        run = match run {
            Some(so_far) if source.line(so_far.end).saturating_add(1) == source.line(comment.start) => {
                Some(so_far.to(comment))
            }
            Some(so_far) => {
                spans.push(so_far);
                Some(comment)
            }
            None => Some(comment),
        };
    }
    spans.extend(run);
}
