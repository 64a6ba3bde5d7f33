//! Conditions: on one line if they fit, else each operand on its own, its sign before it.

use crate::{
    format::{layout::Printer, word},
    source::Span,
    syntax::ast::{Comparison, Expr, Operator},
};

/// Text of one line, up to how much fits.
#[derive(Debug)]
struct Flat {
    text: String,
    room: usize,
}

impl Flat {
    /// Adds to it; false where that is too much.
    fn push(&mut self, text: &str) -> bool {
        self.text.push_str(text);
        let length = text.chars().count();
        let fits = length <= self.room;
        self.room = self.room.saturating_sub(length);
        fits
    }
}

impl Printer<'_> {
    /// `if ( ... ) `; answers whether it is one line. The block begins at `block`.
    pub(super) fn condition(&mut self, condition: &Expr, block: usize) -> bool {
        const BEHIND: &str = ") {";
        let close = self.comments.closing_parenthesis(Span::new(condition.span().end, block));
        self.out.text("if (");
        if let Some(text) = self.flat(condition, close, BEHIND.len()) {
            self.out.text(&text);
            self.out.text(") ");
            return true;
        }
        self.open(condition.span().start);
        self.spread(condition, close);
        self.lead(close);
        self.out.close();
        self.out.text(") ");
        false
    }

    /// The expression on one line, if no comment before `until` is in the way and it fits with what comes behind it.
    #[inline(never)]
    fn flat(&self, expr: &Expr, until: usize, behind: usize) -> Option<String> {
        if self.comments.peek(until).is_some() {
            return None;
        }
        let mut flat = Flat { text: String::new(), room: self.out.room().checked_sub(behind)? };
        self.add_flat(expr, &mut flat).then_some(flat.text)
    }

    fn add_flat(&self, expr: &Expr, flat: &mut Flat) -> bool {
        match expr {
            Expr::Or(parts) => self.add_joined(parts, " || ", flat),
            Expr::And(parts) => self.add_joined(parts, " && ", flat),
            Expr::Group(inner, _) => flat.push("(") && self.add_flat(inner, flat) && flat.push(")"),
            Expr::Comparison(comparison) => flat.push(&self.comparison(comparison)),
        }
    }

    fn add_joined(&self, parts: &[Expr], sign: &str, flat: &mut Flat) -> bool {
        parts.iter().enumerate().all(|(at, part)| (at == 0 || flat.push(sign)) && self.add_flat(part, flat))
    }

    #[inline(never)]
    fn comparison(&self, comparison: &Comparison) -> String {
        let mut values = comparison.values.iter().map(|it| self.quotes.compared(comparison, it));
        let subject = word::subject(comparison);
        match comparison.operator {
            Operator::In => format!("{subject} ({})", values.collect::<Vec<_>>().join(", ")),
            Operator::Equal
            | Operator::Equals
            | Operator::BeginsWith
            | Operator::EndsWith
            | Operator::FqnMatch
            | Operator::NotEqual
            | Operator::Contains
            | Operator::Matches
            | Operator::InCidr
            | Operator::Less
            | Operator::LessOrEqual
            | Operator::Greater
            | Operator::GreaterOrEqual => format!("{subject} {}", values.next().unwrap_or_default()),
        }
    }

    /// What stands alone between parentheses: its operands, each on lines of its own. What comes next begins at `next`.
    fn spread(&mut self, expr: &Expr, next: usize) {
        match expr {
            Expr::Or(parts) => self.operands(parts, "|| ", next),
            Expr::And(parts) => self.operands(parts, "&& ", next),
            Expr::Group(..) | Expr::Comparison(_) => self.operand("", expr, next),
        }
    }

    fn operands(&mut self, parts: &[Expr], sign: &str, next: usize) {
        let starts = parts.iter().skip(1).map(|it| it.span().start).chain([next]);
        for (at, (part, next)) in parts.iter().zip(starts).enumerate() {
            self.operand(if at == 0 { "" } else { sign }, part, next);
        }
    }

    /// An operand behind its sign.
    fn operand(&mut self, sign: &str, expr: &Expr, next: usize) {
        self.lead(expr.span().start);
        self.move_out(movable_until(expr));
        self.out.text(sign);
        self.head(expr, next);
        self.trail(next);
        self.out.end_line();
    }

    /// An operand from the place at which the line is.
    fn head(&mut self, expr: &Expr, next: usize) {
        if let Some(text) = self.flat(expr, expr.span().end, 0) {
            return self.out.text(&text);
        }
        match expr {
            Expr::Or(parts) => self.hanging(parts, "|| ", next),
            Expr::And(parts) => self.hanging(parts, "&& ", next),
            Expr::Group(inner, span) => self.group(inner, *span),
            Expr::Comparison(comparison) => self.long_comparison(comparison),
        }
    }

    /// A `&&` within a `||`: the first operand on the line, the others deeper below it.
    fn hanging(&mut self, parts: &[Expr], sign: &str, next: usize) {
        let Some((first, others)) = parts.split_first() else { return };
        self.out.hang();
        let behind = others.first().map_or(next, |it| it.span().start);
        self.head(first, behind);
        self.trail(behind);
        self.out.end_line();
        let starts = others.iter().skip(1).map(|it| it.span().start).chain([next]);
        for (part, next) in others.iter().zip(starts) {
            self.operand(sign, part, next);
        }
        self.out.unhang();
    }

    fn group(&mut self, inner: &Expr, span: Span) {
        let close = span.end.saturating_sub(1);
        self.out.text("(");
        self.open(inner.span().start);
        self.spread(inner, close);
        self.lead(close);
        self.out.close();
        self.out.text(")");
    }

    /// Only the list of an `in` can be broken.
    #[inline(never)]
    fn long_comparison(&mut self, comparison: &Comparison) {
        if comparison.operator != Operator::In {
            let text = self.comparison(comparison);
            return self.out.text(&text);
        }
        let close = comparison.span.end.saturating_sub(1);
        self.out.text(&word::subject(comparison));
        self.out.text(" (");
        self.open(comparison.values.first().map_or(close, |it| it.span.start));
        let starts = comparison.values.iter().skip(1).map(|it| Some(it.span.start)).chain([None]);
        for (value, next) in comparison.values.iter().zip(starts) {
            self.lead(value.span.start);
            self.out.text(&self.quotes.compared(comparison, value));
            self.out.text(if next.is_some() { "," } else { "" });
            self.trail(next.unwrap_or(close));
            self.out.end_line();
        }
        self.lead(close);
        self.out.close();
        self.out.text(")");
    }
}

/// Up to where comments in an operand move out: to the end of a comparison, which has no place for them.
fn movable_until(expr: &Expr) -> usize {
    match expr {
        Expr::Or(parts) | Expr::And(parts) => parts.first().map_or(0, movable_until),
        Expr::Comparison(comparison) if comparison.operator != Operator::In => comparison.span.end,
        Expr::Comparison(comparison) => comparison.span.start,
        Expr::Group(_, span) => span.start,
    }
}
