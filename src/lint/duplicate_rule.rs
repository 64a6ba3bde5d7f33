//! The same claim, on the same realm, under the same conditions, once more.
//!
//! Finds claims whose every value was asserted before: in this document, in another one, or in a system document. Realms
//! count as the same whatever their variables are called, conditions in whatever order they stand.
//!
//! ## Why it matters
//!
//! The second one changes nothing today. The day someone takes back the grant, he finds the first and overlooks the second.
//!
//! ## Example
//!
//! ```policy
//! job::/prod {
//!   if (LDAP->group == "sre" && time.hour < 18) { permit read }
//! }
//! job::/prod {
//!   if (time.hour < 18 && LDAP->group == "sre") { permit read }
//! }
//! ```
//!
//! ## Instead
//!
//! ```policy
//! job::/prod {
//!   if (LDAP->group == "sre" && time.hour < 18) { permit read }
//! }
//! ```

use foldhash::HashMap;

use crate::{
    compile::canonical::canonical_value,
    diagnostic::{Code, Diagnostic, Fix},
    lint::{
        Lint, Report, Set,
        remove::removal,
        set::{ClaimView, PolicyView},
    },
    source::Span,
    syntax::ast::{Asserted, Block, Claim, Item},
};

pub(super) struct DuplicateRule;

impl Lint for DuplicateRule {
    fn code(&self) -> Code {
        Code::DuplicateRule
    }

    fn check(&self, set: &Set<'_>, report: &mut Report) {
        let mut first = First::default();
        // What the program's own documents say was there before.
        let (own, given): (Vec<_>, Vec<_>) = set.policies.iter().partition(|view| view.source >= set.given);
        for view in own {
            for place in &view.claims {
                first.earlier(view, place);
            }
        }
        for view in given {
            check(set, &mut first, view, report);
        }
    }
}

/// Where each value of each claim was asserted first, by realm and conditions.
#[derive(Default)]
struct First<'s> {
    at: HashMap<(&'s str, &'s [usize], String), (usize, Span)>,
}

impl<'s> First<'s> {
    /// Where all of a claim was asserted before, if it was; what of it is new is taken in.
    fn earlier(&mut self, view: &'s PolicyView<'_>, place: &'s ClaimView<'_>) -> Option<(usize, Span)> {
        let conditions = view.conditions(place.rule)?;
        let mut earlier = None;
        let mut is_new = false;
        for asserted in &place.claim.asserted {
            let key = (view.realm.as_str(), conditions, value(view, place.claim, asserted));
            match self.at.get(&key) {
                Some(before) => earlier = earlier.or(Some(*before)),
                None => {
                    is_new = true;
                    self.at.insert(key, (view.source, place.claim.span));
                }
            }
        }
        earlier.filter(|_| !is_new)
    }
}

/// A claim type with one value, as a text that no other has.
fn value(view: &PolicyView<'_>, claim: &Claim, asserted: &Asserted) -> String {
    let mut text = String::from(claim.claim_type.text.as_str());
    text.push(' ');
    match asserted {
        Asserted::Value(value) => canonical_value(&mut text, value, &view.variables),
        Asserted::Reference { issuer, claim_type, .. } => text.extend([issuer.text.as_str(), "->", &claim_type.text]),
    }
    text
}

fn check<'s>(set: &Set<'_>, first: &mut First<'s>, view: &'s PolicyView<'_>, report: &mut Report) {
    let mut claims = view.claims.iter().peekable();
    while let Some(place) = claims.next() {
        let mut duplicates = Vec::from_iter(first.earlier(view, place).map(|before| (place, before)));
        let mut count = 1_usize;
        // Claims that stand side by side in one pair of braces are one finding.
        while let Some(beside) = claims.next_if(|it| std::ptr::eq(it.block, place.block)) {
            duplicates.extend(first.earlier(view, beside).map(|before| (beside, before)));
            count = count.saturating_add(1);
        }
        let whole = duplicates.len() == count && only_claims(place.block);
        if let (true, [(_, before), ..]) = (whole, duplicates.as_slice()) {
            let span = whole_span(view, place);
            report.push(view.source, diagnose(set, view, span, *before));
            continue;
        }
        for (place, before) in duplicates {
            report.push(view.source, diagnose(set, view, place.claim.span, before));
        }
    }
}

fn only_claims(block: &Block) -> bool {
    block.items.iter().all(|it| matches!(it, Item::Claim(_)))
}

/// The rule, or the braces, or the policy, of which nothing is left without these claims.
fn whole_span(view: &PolicyView<'_>, place: &ClaimView<'_>) -> Span {
    let rule = view.around(place.rule).next().map(|it| it.rule);
    let own = rule.filter(|it| std::ptr::eq(&raw const it.block, place.block));
    let span = own.map_or(place.block.span, |it| it.span);
    let alone = matches!(view.policy.block.items.as_slice(), [_]) && view.rules.len() <= 1;
    if alone || span == view.policy.block.span { view.policy.span } else { span }
}

fn diagnose(set: &Set<'_>, view: &PolicyView<'_>, span: Span, (source, before): (usize, Span)) -> Diagnostic {
    let error = Diagnostic::new(
        Code::DuplicateRule,
        span,
        "this was said before, on the same realm under the same conditions",
        "changes nothing",
    );
    let mut error = if source == view.source {
        error.with_label(before, "here").with_help("keep one of them")
    } else {
        error.with_help(format!("it stands in {}; keep one of them", set.place(source, before.start)))
    };
    if let Some((document, parse)) = set.documents.get(view.source) {
        // More may stand in what goes than what was said before: a person should look.
        let fix = removal("remove it", document, parse, span);
        error.fixes.extend(fix.map(|it| Fix { safe: false, ..it }));
    }
    error
}
