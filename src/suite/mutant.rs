//! Documents with one change each that tests ought to notice: a condition left out, a claim not given, a realm grown.

use crate::{
    source::{Source, Span},
    syntax::ast::{
        Asserted, Block, Claim, Comparison, Document, Expr, Item, Local, Operator, Policy, Realm, Rule, Segment,
    },
};

/// A document with one change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mutant {
    /// The text that the change is about.
    pub span: Span,
    /// What it does, as a sentence without a subject: what would then be so.
    pub change: String,
    /// The document with the change in it. Places are those of the document as it was.
    pub document: Document,
}

/// All changes of one document, in the order of its text.
///
/// ```
/// use gatehouse::{source::Source, suite::mutants, syntax::parse};
///
/// let source = Source::new("a.pol", b"job::/prod { if (mfa == \"totp\") { permit ssh } }".to_vec())?;
/// let changes: Vec<String> = mutants(&source, &parse(&source).document).map(|it| it.change).collect();
/// assert!(changes.contains(&"granted whether or not `mfa == \"totp\"`".to_owned()));
/// assert!(changes.contains(&"`permit ssh` not granted".to_owned()));
/// # Ok::<(), gatehouse::source::SourceError>(())
/// ```
pub fn mutants<'a>(source: &'a Source, document: &'a Document) -> impl Iterator<Item = Mutant> + 'a {
    (0_usize..).map_while(|turn| {
        let mut hand = Hand { source, left: turn, done: None };
        let mut document = document.clone();
        document.policies.iter_mut().for_each(|it| hand.policy(it));
        hand.done.map(|(span, change)| Mutant { span, change, document })
    })
}

/// Walks a document, lets the first so many chances for a change pass, and takes the next.
struct Hand<'a> {
    source: &'a Source,
    left: usize,
    done: Option<(Span, String)>,
}

/// How a part of a condition stands to the rest.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stands {
    /// The rest must hold too.
    Beside,
    /// The rest suffices.
    Instead,
}

impl Hand<'_> {
    fn is_turn(&mut self, span: Span, change: impl FnOnce(&Source) -> String) -> bool {
        if self.done.is_some() {
            return false;
        }
        match self.left.checked_sub(1) {
            Some(left) => {
                self.left = left;
                false
            }
            None => {
                self.done = Some((span, change(self.source)));
                true
            }
        }
    }

    fn policy(&mut self, policy: &mut Policy) {
        self.realm(&mut policy.realm);
        self.block(&mut policy.block);
    }

    fn realm(&mut self, realm: &mut Realm) {
        let span = realm.span;
        let grown = |source: &Source| format!("granted beyond `{}`, in the realm around it", source.slice(span));
        match &mut realm.local {
            Local::Below => {
                // Without a variable's segment, nothing would bind the variable.
                let ends_in_text = matches!(realm.namespace.last(), Some(Segment::Literal(_)));
                if ends_in_text && self.is_turn(span, grown) {
                    realm.namespace.pop();
                }
            }
            Local::Exact | Local::Any => {
                if self.is_turn(span, grown) {
                    realm.local = Local::Below;
                }
            }
            Local::Named(segments) => {
                let ends_in_text = matches!(segments.last(), Some(Segment::Literal(_)));
                if ends_in_text && self.is_turn(span, grown) {
                    segments.pop();
                    if segments.is_empty() {
                        realm.local = Local::Exact;
                    }
                }
            }
        }
    }

    fn block(&mut self, block: &mut Block) {
        let mut at = 0;
        while let Some(item) = block.items.get_mut(at).filter(|_| self.done.is_none()) {
            match item {
                Item::Block(inner) => self.block(inner),
                Item::Claim(claim) => {
                    if self.claim(claim) {
                        block.items.remove(at);
                        return;
                    }
                }
                Item::Rule(rule) => {
                    if let Some(bare) = self.rule(rule) {
                        *item = Item::Block(bare);
                    }
                }
            }
            at = at.saturating_add(1);
        }
    }

    /// Whether nothing of the claim is left.
    fn claim(&mut self, claim: &mut Claim) -> bool {
        let claim_type = &claim.claim_type.text;
        claim.asserted.retain(|it| {
            let own = match it {
                Asserted::Value(value) => value.span,
                Asserted::Reference { span, .. } => *span,
            };
            !self.is_turn(own, |source| format!("`{claim_type} {}` not granted", source.slice(own)))
        });
        claim.asserted.is_empty()
    }

    /// The rule's block, where its condition is left out.
    fn rule(&mut self, rule: &mut Rule) -> Option<Block> {
        if self.expr(&mut rule.condition, Stands::Beside) {
            return Some(rule.block.clone());
        }
        self.block(&mut rule.block);
        None
    }

    /// Whether this part of a condition is to be left out.
    fn expr(&mut self, expr: &mut Expr, stands: Stands) -> bool {
        let span = expr.span();
        match expr {
            Expr::Comparison(it) => return self.comparison(it, stands),
            Expr::Group(inner, _) => return self.expr(inner, stands),
            Expr::And(parts) => {
                if self.is_turn(span, |_| "granted where one of the conditions holds, not all".to_owned()) {
                    *expr = Expr::Or(std::mem::take(parts));
                } else {
                    self.parts(parts, Stands::Beside);
                }
            }
            Expr::Or(parts) => {
                if self.is_turn(span, |_| "granted only where all of the alternatives hold".to_owned()) {
                    *expr = Expr::And(std::mem::take(parts));
                } else {
                    self.parts(parts, Stands::Instead);
                }
            }
        }
        let only = match expr {
            Expr::And(parts) | Expr::Or(parts) if parts.len() == 1 => parts.pop(),
            Expr::And(_) | Expr::Or(_) | Expr::Group(..) | Expr::Comparison(_) => None,
        };
        if let Some(only) = only {
            *expr = only;
        }
        false
    }

    fn parts(&mut self, parts: &mut Vec<Expr>, stands: Stands) {
        let left_out = parts.iter_mut().position(|it| self.expr(it, stands));
        if let Some(at) = left_out {
            parts.remove(at);
        }
    }

    fn comparison(&mut self, comparison: &mut Comparison, stands: Stands) -> bool {
        let span = comparison.span;
        let left_out = self.is_turn(span, |source| {
            let text = source.slice(span);
            match stands {
                Stands::Beside => format!("granted whether or not `{text}`"),
                Stands::Instead => format!("not granted for `{text}` alone"),
            }
        });
        if left_out {
            return true;
        }
        if let Some((operator, sign)) = other(comparison) {
            let old = comparison.operator_span;
            if self.is_turn(span, |source| format!("`{sign}` in the place of `{}`", source.slice(old))) {
                comparison.operator = operator;
            }
        }
        if comparison.values.len() > 1 {
            let is_left_out = |own: Span, hand: &mut Self| {
                hand.is_turn(own, |source| format!("not granted for {} any more", source.slice(own)))
            };
            comparison.values.retain(|it| !is_left_out(it.span, self));
        }
        false
    }
}

/// The operator that people confuse with this one, or that differs from it at the edge only.
///
/// `beginsWith` where `==` stands is worth a test where the value is somebody's name: it lets tommy in where tom is meant.
fn other(comparison: &Comparison) -> Option<(Operator, &'static str)> {
    let is_somebody = comparison.values.iter().any(|it| it.constant().is_none());
    match comparison.operator {
        Operator::Equal | Operator::Equals => is_somebody.then_some((Operator::BeginsWith, "beginsWith")),
        Operator::BeginsWith | Operator::EndsWith | Operator::Contains => Some((Operator::Equal, "==")),
        Operator::Less => Some((Operator::LessOrEqual, "<=")),
        Operator::LessOrEqual => Some((Operator::Less, "<")),
        Operator::Greater => Some((Operator::GreaterOrEqual, ">=")),
        Operator::GreaterOrEqual => Some((Operator::Greater, ">")),
        Operator::FqnMatch | Operator::NotEqual | Operator::Matches | Operator::InCidr | Operator::In => None,
    }
}

#[cfg(test)]
mod tests {
    use crate::{format::print, source::Source, suite::mutants, syntax::parse};

    fn texts(text: &str) -> Vec<(String, String)> {
        let source = Source::new("a.pol", text.as_bytes().to_vec()).unwrap();
        let parse = parse(&source);
        assert!(parse.is_usable());
        let flat = |text: String| text.split_whitespace().collect::<Vec<_>>().join(" ");
        mutants(&source, &parse.document).map(|it| (it.change, flat(print(&it.document)))).collect()
    }

    #[test]
    fn each_part_of_a_document_is_changed_once() {
        let found = texts("job::/a/b { if (x == \"1\" && time.hour > 2) { permit ssh, read } }");
        let expected = [
            (
                "granted beyond `job::/a/b`, in the realm around it",
                "job::/a { if (x == \"1\" && time.hour > 2) { permit ssh, read } }",
            ),
            (
                "granted where one of the conditions holds, not all",
                "job::/a/b { if (x == \"1\" || time.hour > 2) { permit ssh, read } }",
            ),
            ("granted whether or not `x == \"1\"`", "job::/a/b { if (time.hour > 2) { permit ssh, read } }"),
            ("granted whether or not `time.hour > 2`", "job::/a/b { if (x == \"1\") { permit ssh, read } }"),
            ("`>=` in the place of `>`", "job::/a/b { if (x == \"1\" && time.hour >= 2) { permit ssh, read } }"),
            ("`permit ssh` not granted", "job::/a/b { if (x == \"1\" && time.hour > 2) { permit read } }"),
            ("`permit read` not granted", "job::/a/b { if (x == \"1\" && time.hour > 2) { permit ssh } }"),
        ];
        let expected: Vec<(String, String)> =
            expected.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_condition_that_stands_alone_leaves_its_block() {
        let found = texts("job::/ { if (x == 1) { permit ssh } }");
        assert_eq!(found.first().unwrap().1, "job::/ { { permit ssh } }");
        let found = texts("job::/ { if ((x == 1 || y == 2)) { permit ssh } }");
        let left: Vec<&str> = found.iter().map(|it| it.1.as_str()).collect();
        assert!(left.contains(&"job::/ { if ((y == 2)) { permit ssh } }"), "{left:#?}");
    }

    #[test]
    fn a_variable_stays_bound() {
        let found = texts("job::/a/[name] { if (x == \"[name]\") { permit ssh } }");
        assert!(found.iter().all(|(_, text)| text.contains("/a/[name]")), "{found:#?}");
        assert!(found.iter().any(|(change, _)| change == "`beginsWith` in the place of `==`"));
        let found = texts("job::/a/[name]::web { if (x == \"[name]\") { permit ssh } }");
        assert!(found.iter().any(|(_, text)| text.starts_with("job::/a/[name]:: {")), "{found:#?}");
    }
}
