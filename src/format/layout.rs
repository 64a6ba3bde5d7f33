//! Policies, blocks and claims, line by line.
//!
//! Whatever stands in the text is written in its order; before each thing come the comments that stood before it. What
//! is said in one line is tried as one line first, and no comment may be in it.

use crate::{
    format::{
        comments::{Comment, Comments},
        word::{self, Quotes},
        writer::Writer,
    },
    source::Span,
    syntax::ast::{Asserted, Block, Claim, Document, Item, Policy, Rule},
};

/// What is written, and what is still to come.
#[derive(Debug)]
pub(super) struct Printer<'a> {
    pub(super) out: Writer,
    pub(super) comments: Comments<'a>,
    pub(super) quotes: Quotes,
}

impl<'a> Printer<'a> {
    pub(super) fn new(comments: Comments<'a>, quotes: Quotes, bytes_max: usize) -> Self {
        Self { out: Writer::new(bytes_max), comments, quotes }
    }

    pub(super) fn document(mut self, document: &Document) -> String {
        let starts = document.policies.iter().map(|it| it.span.start).chain([usize::MAX]);
        if let Some(header) = &document.header {
            self.lead(header.span.start);
            self.out.text(&header.text);
            self.trail(starts.clone().next().unwrap_or(usize::MAX));
            self.out.end_line();
        }
        for (at, (policy, next)) in document.policies.iter().zip(starts.skip(1)).enumerate() {
            // Two policies have an empty line between them, wherever it is.
            if at > 0 && !self.comments.has_empty_line(policy.span.start) {
                self.out.empty_line();
            }
            self.policy(policy);
            self.trail(next);
            self.out.end_line();
        }
        self.lead(usize::MAX);
        self.out.finish()
    }

    fn policy(&mut self, policy: &Policy) {
        self.begin(policy.span.start, policy.realm.span.end);
        if policy.on.is_some() && self.quotes == Quotes::Kept {
            self.out.text("on ");
        }
        self.out.text(&word::realm(&policy.realm));
        self.out.text(" ");
        if policy.block.items.is_empty() && self.comments.peek(policy.block.span.end).is_none() {
            self.out.text("{}");
        } else {
            self.lines(&policy.block);
        }
    }

    /// The braces and what is in them, each item on a line.
    fn lines(&mut self, block: &Block) {
        let end = block.span.end.saturating_sub(1);
        self.out.text("{");
        self.open(block.items.first().map_or(end, Item::start));
        self.lead(block.span.start);
        for (item, next) in block.items.iter().zip(block.items.iter().skip(1).map(Item::start).chain([end])) {
            self.item(item, next);
            self.trail(next);
            self.out.end_line();
        }
        self.lead(end);
        self.out.close();
        self.out.text("}");
    }

    /// An item up to what may trail it; what comes next begins at `next`.
    fn item(&mut self, item: &Item, next: usize) {
        match item {
            Item::Rule(rule) => self.rule(rule),
            Item::Block(block) => {
                self.begin(block.span.start, block.span.start);
                self.block(block);
            }
            Item::Claim(claim) => self.claim(claim, next),
        }
    }

    fn rule(&mut self, rule: &Rule) {
        self.begin(rule.span.start, rule.span.start);
        if self.condition(&rule.condition, rule.block.span.start) {
            self.block(&rule.block);
        } else {
            self.lines(&rule.block);
        }
    }

    /// The braces on one line if that is possible.
    fn block(&mut self, block: &Block) {
        match self.flat_block(block) {
            Some(text) => self.out.text(&text),
            None => self.lines(block),
        }
    }

    /// A block with one claim or none, if it fits on the rest of the line.
    #[inline(never)]
    fn flat_block(&self, block: &Block) -> Option<String> {
        if self.comments.peek(block.span.end).is_some() {
            return None;
        }
        match block.items.as_slice() {
            [] => Some("{}".to_owned()),
            [Item::Claim(claim)] => {
                let text = format!("{{ {} }}", self.flat_claim(claim)?);
                (text.chars().count() <= self.out.room()).then_some(text)
            }
            [Item::Rule(_) | Item::Block(_) | Item::Claim(_), ..] => None,
        }
    }

    /// The claim, if it may fit on a line.
    fn flat_claim(&self, claim: &Claim) -> Option<String> {
        let mut text = format!("{} ", claim.claim_type.text);
        for (at, asserted) in claim.asserted.iter().enumerate() {
            if at > 0 {
                text.push_str(", ");
            }
            text.push_str(&self.quotes.asserted(&claim.claim_type.text, asserted));
            // A claim of one value cannot be broken, however long it is.
            if claim.asserted.len() > 1 && text.chars().count() > self.out.room() {
                return None;
            }
        }
        Some(text)
    }

    #[inline(never)]
    fn claim(&mut self, claim: &Claim, next: usize) {
        let end = |asserted: &Asserted| asserted.span().end;
        // The first value stays on the line of the type, so that a value before it cannot be taken for a type.
        self.begin(claim.span.start, claim.asserted.first().map_or(claim.span.end, end));
        let has_comment = self.comments.peek(claim.span.end).is_some();
        // Behind a list of several lines a comment speaks of the last value.
        let of_last = self.comments.peek(next).is_some_and(|it| it.trails) && self.comments.is_on_lines(claim.span);
        if let Some(text) = self.flat_claim(claim).filter(|_| !has_comment && !of_last) {
            return self.out.text(&text);
        }
        self.out.text(&claim.claim_type.text);
        self.out.text(" ");
        self.out.hang();
        let starts = claim.asserted.iter().skip(1).map(|it| Some(it.span().start)).chain([None]);
        for (asserted, next) in claim.asserted.iter().zip(starts) {
            self.lead(end(asserted));
            self.out.text(&self.quotes.asserted(&claim.claim_type.text, asserted));
            if let Some(next) = next {
                self.out.text(",");
                self.trail(next);
                self.out.end_line();
            }
        }
        self.out.unhang();
    }

    /// Comments and empty lines before what begins at `start`. Comments in it before `until` move out, above it.
    fn begin(&mut self, start: usize, until: usize) {
        self.lead(start);
        if self.comments.is_behind_empty_line(start) {
            self.out.empty_line();
        }
        self.move_out(until);
    }

    /// Comments of something that has no place for them, above it.
    pub(super) fn move_out(&mut self, until: usize) {
        while let Some(comment) = self.comments.take(until) {
            self.out.text(comment.text);
            self.out.end_line();
        }
    }

    /// Comments that stand before `until`, each on its own line.
    pub(super) fn lead(&mut self, until: usize) {
        while let Some(comment) = self.comments.take(until) {
            self.out.end_line();
            if self.comments.is_behind_empty_line(comment.span.start) {
                self.out.empty_line();
            }
            self.out.text(comment.text);
            self.out.end_line();
        }
    }

    /// The comment on the line of what was just written, if it is before `until`, and the lines on which it goes on.
    pub(super) fn trail(&mut self, until: usize) {
        let Some(column) = self.trail_one(until) else { return };
        while self.comments.peek(until).is_some_and(|it| it.continues) {
            let Some(comment) = self.comments.take(until) else { return };
            self.out.text_at(column, comment.text);
            self.out.end_line();
        }
    }

    /// Begins what stands in braces or parentheses, the first of it at `until`: a comment stays behind the sign. Those
    /// below it are the first lines within, in whatever column they are.
    pub(super) fn open(&mut self, until: usize) {
        self.trail_one(until);
        self.out.open();
    }

    fn trail_one(&mut self, until: usize) -> Option<usize> {
        let on_line = |it: &Comment<'_>| it.trails && !self.out.is_at_start();
        let comment = self.comments.peek(until).filter(on_line)?;
        self.comments.take(until);
        self.out.text(" ");
        let column = self.out.column();
        self.out.text(comment.text);
        self.out.end_line();
        Some(column)
    }
}

impl Item {
    fn start(&self) -> usize {
        match self {
            Self::Rule(rule) => rule.span.start,
            Self::Block(block) => block.span.start,
            Self::Claim(claim) => claim.span.start,
        }
    }
}

impl Asserted {
    fn span(&self) -> Span {
        match self {
            Self::Value(value) => value.span,
            Self::Reference { span, .. } => *span,
        }
    }
}
