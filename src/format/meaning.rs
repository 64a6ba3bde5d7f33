//! Whether two documents grant the same, seen from what they are made of.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    format::word,
    syntax::ast::{Asserted, Block, Claim, Comparison, Document, Expr, Item, Operator, Value},
};

/// Conditions of all rules together, each counted as often as a rule stands under it: a bound for documents that are
/// made to be slow to compare. Documents of people have a thousandth of it.
const CONDITIONS_MAX: usize = 1 << 22;

/// Whether two documents grant the same, whatever else is in the set.
///
/// Each document is taken apart into what it asserts: a realm, the conditions that stand around the claim, the claim.
/// Order, repetition, nesting of blocks, parentheses, quotes, `on`, a trailing `/` and the header make no difference;
/// `equals` is `==`, and `in` is the `||` of several `==`.
///
/// True is a proof. False is not: that two conditions of other words always hold together is not found out, and
/// documents that would take long to compare count as different.
///
/// ```
/// use gatehouse::{format::same_meaning, source::Source, syntax::parse};
///
/// let read = |text: &str| Source::new("a.pol", text.into()).map(|it| parse(&it).document);
/// let one = read("job::/ { if (a == b && c == d) { permit ssh, read } }")?;
/// let other = read("job::/ { if (c equals \"d\") { if (a == b) { permit read permit ssh } } }")?;
/// assert!(same_meaning(&one, &other));
/// assert!(!same_meaning(&one, &read("job::/ { if (a == b) { permit ssh, read } }")?));
/// # Ok::<(), gatehouse::source::SourceError>(())
/// ```
#[must_use]
pub fn same_meaning(one: &Document, other: &Document) -> bool {
    let mut terms = Terms::default();
    match (terms.grants(one), terms.grants(other)) {
        (Some(one), Some(other)) => one == other,
        (None, _) | (_, None) => false,
    }
}

/// A claim of a rule: realm, set of conditions, claim, each by its number.
type Grant = (usize, usize, usize);

/// Something that is the same wherever it stands.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Term {
    /// A realm, a test or a claim, written in one way only.
    Text(String),
    /// All of these hold.
    All(BTreeSet<usize>),
    /// One of these holds.
    Any(BTreeSet<usize>),
}

/// Terms and their numbers, shared by the documents that are compared.
#[derive(Debug, Default)]
struct Terms {
    numbers: BTreeMap<Term, usize>,
    /// Conditions of all rules so far.
    counted: usize,
}

/// The conditions around a place, and their number as one term.
struct Around {
    conditions: BTreeSet<usize>,
    number: usize,
}

impl Terms {
    fn grants(&mut self, document: &Document) -> Option<BTreeSet<Grant>> {
        let mut grants = BTreeSet::new();
        for policy in &document.policies {
            let mut realm = policy.realm.clone();
            realm.trailing_slash = false;
            let realm = self.number(Term::Text(word::realm(&realm)));
            let around = self.around(BTreeSet::new())?;
            self.block(realm, &around, &policy.block, &mut grants)?;
        }
        Some(grants)
    }

    fn number(&mut self, term: Term) -> usize {
        let next = self.numbers.len();
        *self.numbers.entry(term).or_insert(next)
    }

    fn block(&mut self, realm: usize, around: &Around, block: &Block, out: &mut BTreeSet<Grant>) -> Option<()> {
        for item in &block.items {
            match item {
                Item::Rule(rule) => {
                    let within = self.within(around, &rule.condition)?;
                    self.block(realm, &within, &rule.block, out)?;
                }
                Item::Block(block) => self.block(realm, around, block, out)?,
                Item::Claim(claim) => self.claims(realm, around, claim, out),
            }
        }
        Some(())
    }

    #[inline(never)]
    fn within(&mut self, around: &Around, condition: &Expr) -> Option<Around> {
        let mut conditions = around.conditions.clone();
        self.conjuncts(condition, &mut conditions);
        self.around(conditions)
    }

    fn around(&mut self, conditions: BTreeSet<usize>) -> Option<Around> {
        self.counted = self.counted.saturating_add(conditions.len());
        let number = self.number(Term::All(conditions.clone()));
        (self.counted <= CONDITIONS_MAX).then_some(Around { conditions, number })
    }

    #[inline(never)]
    fn claims(&mut self, realm: usize, around: &Around, claim: &Claim, out: &mut BTreeSet<Grant>) {
        for asserted in &claim.asserted {
            let value = match asserted {
                Asserted::Value(value) => word::quoted(&value.pieces),
                Asserted::Reference { issuer, claim_type, .. } => format!("{}->{}", issuer.text, claim_type.text),
            };
            let claim = self.number(Term::Text(format!("{} {value}", claim.claim_type.text)));
            out.insert((realm, around.number, claim));
        }
    }

    /// What has to hold, all of it.
    fn conjuncts(&mut self, expr: &Expr, out: &mut BTreeSet<usize>) {
        match expr {
            Expr::And(parts) => parts.iter().for_each(|it| self.conjuncts(it, out)),
            Expr::Group(inner, _) => self.conjuncts(inner, out),
            Expr::Or(_) | Expr::Comparison(_) => {
                let mut any = BTreeSet::new();
                self.alternatives(expr, &mut any);
                out.insert(self.of(any, Term::Any));
            }
        }
    }

    /// What has to hold, one of it.
    fn alternatives(&mut self, expr: &Expr, out: &mut BTreeSet<usize>) {
        match expr {
            Expr::Or(parts) => parts.iter().for_each(|it| self.alternatives(it, out)),
            Expr::Group(inner, _) => self.alternatives(inner, out),
            Expr::Comparison(comparison) => self.tests(comparison, out),
            Expr::And(_) => {
                let mut all = BTreeSet::new();
                self.conjuncts(expr, &mut all);
                out.insert(self.of(all, Term::All));
            }
        }
    }

    /// The only one, or all of them as one.
    #[inline(never)]
    fn of(&mut self, parts: BTreeSet<usize>, many: fn(BTreeSet<usize>) -> Term) -> usize {
        match (parts.first(), parts.len()) {
            (Some(only), 1) => *only,
            _ => self.number(many(parts)),
        }
    }

    #[inline(never)]
    fn tests(&mut self, comparison: &Comparison, out: &mut BTreeSet<usize>) {
        for value in &comparison.values {
            out.insert(self.number(Term::Text(test(comparison, value))));
        }
    }
}

fn test(comparison: &Comparison, value: &Value) -> String {
    let issuer = comparison.issuer.as_ref().map_or("", |it| it.text.as_str());
    let is_equal = matches!(comparison.operator, Operator::Equals | Operator::In);
    let operator = if is_equal { Operator::Equal } else { comparison.operator };
    let (claim_type, operator) = (&comparison.claim_type.text, operator.text());
    format!("{issuer}->{claim_type} {operator} {}", word::quoted(&value.pieces))
}
