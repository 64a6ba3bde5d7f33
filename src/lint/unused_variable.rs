//! `job::/sandbox/[name]`, and no rule in it ever says `[name]`.
//!
//! Finds variables of a realm that stand in it once and that none of its rules uses. One whose name begins with `_` says
//! that any text will do.
//!
//! ## Why it matters
//!
//! A variable looks as if it kept people apart. It only binds; what is not compared with it is the same for everyone.
//!
//! ## Example
//!
//! ```policy
//! job::/sandbox/[name] {
//!   if (LDAP->group == "support") { permit read }
//! }
//! ```
//!
//! ## Instead
//!
//! ```policy
//! job::/sandbox/[_name] {
//!   if (LDAP->group == "support") { permit read }
//! }
//! ```

use std::collections::BTreeMap;

use crate::{
    compile::catalogue::{Combines, combines},
    diagnostic::{Code, Diagnostic, printable::short},
    lint::{Lint, Report, Set, set::PolicyView, unconditional_grant::grants, walk::segments},
    source::Span,
    syntax::ast::{Asserted, Piece, Segment, Value},
};

pub(super) struct UnusedVariable;

impl Lint for UnusedVariable {
    fn code(&self) -> Code {
        Code::UnusedVariable
    }

    fn check(&self, set: &Set<'_>, report: &mut Report) {
        for view in set.views().filter(|view| !view.variables.names().is_empty()) {
            let unused = unused(view);
            // That nobody is asked for in a template is what `grant-to-everyone-in-template` says.
            if unused.is_empty() || !lets_in(view) || grants(view.policy).next().is_some() {
                continue;
            }
            for (name, span) in unused {
                let finding = match as_text(view, name) {
                    Some(value) => diagnose_text(name, span, value),
                    None => diagnose(name, span),
                };
                report.push(view.source, finding);
            }
        }
    }
}

/// Whether a policy grants something. Limits on each namespace of some form are meant for every one of them.
fn lets_in(view: &PolicyView<'_>) -> bool {
    let types = view.claims.iter().map(|it| it.claim.claim_type.text.as_str());
    types.into_iter().any(|it| combines(it, view.resource_type()) == Combines::Union)
}

fn unused<'a>(view: &PolicyView<'a>) -> BTreeMap<&'a str, Span> {
    let mut unused: BTreeMap<&str, Span> = BTreeMap::new();
    let mut twice: Vec<&str> = Vec::new();
    for segment in segments(&view.policy.realm) {
        let Segment::Variable(name) = segment else { continue };
        // One that stands twice asks that both be the same.
        if unused.insert(&name.text, name.span).is_some() {
            twice.push(&name.text);
        }
    }
    let tested = view.comparisons.iter().flat_map(|it| &it.values).flat_map(variables);
    let asserted = view.claims.iter().flat_map(|it| &it.claim.asserted).flat_map(|it| match it {
        Asserted::Value(value) => variables(value).collect(),
        Asserted::Reference { .. } => Vec::new(),
    });
    for name in tested.chain(asserted).chain(twice) {
        unused.remove(name);
    }
    unused.retain(|name, _| !name.starts_with('_'));
    unused
}

fn variables(value: &Value) -> impl Iterator<Item = &str> {
    value.pieces.iter().filter_map(|it| match it {
        Piece::Variable(name) => Some(name.text.as_str()),
        Piece::Text(_) => None,
    })
}

/// A compared text that is the variable without its brackets, or as other languages write it.
fn as_text<'a>(view: &PolicyView<'a>, name: &str) -> Option<&'a Value> {
    let mut values = view.comparisons.iter().flat_map(|it| &it.values);
    values.find(|value| {
        let text = value.constant().unwrap_or_default();
        let bare = text.trim_start_matches(['$', '{', '<', '%', ' ']).trim_end_matches(['}', '>', '%', ' ']);
        bare == name
    })
}

fn diagnose_text(name: &str, span: Span, value: &Value) -> Diagnostic {
    let shown = short(name);
    let message = format!("no rule of this realm uses `[{shown}]`");
    Diagnostic::new(Code::UnusedVariable, span, message, "any text will do here")
        .with_label(value.span, "this is a text like any other")
        .with_help(format!("did you mean `\"[{shown}]\"`?"))
        .with_fix(format!("write `\"[{shown}]\"`"), false, value.span, format!("\"[{name}]\""))
}

fn diagnose(name: &str, span: Span) -> Diagnostic {
    let shown = short(name);
    let message = format!("no rule of this realm uses `[{shown}]`");
    Diagnostic::new(Code::UnusedVariable, span, message, "any text will do here")
        .with_help(format!("compare something with it, as in `... == \"[{shown}]\"`, or call it `[_{shown}]`"))
        .with_fix(format!("call it `[_{shown}]`"), true, span, format!("[_{name}]"))
}
