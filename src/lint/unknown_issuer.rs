//! `Gogle->email`: no identity provider of this name brings any facts.
//!
//! Finds issuers that are nearly one of the engine's own or of a common provider.
//!
//! ## Why it matters
//!
//! Issuers are compared byte for byte. A fact of an issuer that does not exist is never there, so the rule grants nothing;
//! and whoever sets up a provider under that name later gets what it grants.
//!
//! ## Example
//!
//! ```policy
//! job::/prod {
//!   if (auth_server@apcera.com->name == "mary") { permit read }
//! }
//! ```
//!
//! ## Instead
//!
//! ```policy
//! job::/prod {
//!   if (auth_server@apcera.me->name == "mary") { permit read }
//! }
//! ```

use crate::{
    diagnostic::{Code, Diagnostic, printable::short},
    lint::{Lint, Report, Set},
    syntax::{
        ast::{Asserted, Name},
        suggest::closest,
    },
};

/// Issuers that the engine keeps for itself.
const RESERVED: &[&str] = &["approval", "auth_server@apcera.me"];

/// Providers that many sites have. One that differs is not wrong; one that nearly is of these was mistyped.
const COMMON: &[&str] = &["Google", "LDAP", "local"];

/// Shorter names are one letter away from too many others.
const MISSPELT_BYTES_MIN: usize = 6;

pub(super) struct UnknownIssuer;

impl Lint for UnknownIssuer {
    fn code(&self) -> Code {
        Code::UnknownIssuer
    }

    fn check(&self, set: &Set<'_>, report: &mut Report) {
        for view in set.views() {
            let tested = view.comparisons.iter().filter_map(|it| it.issuer.as_ref());
            let asserted = view.claims.iter().flat_map(|it| &it.claim.asserted).filter_map(|it| match it {
                Asserted::Reference { issuer, .. } => Some(issuer),
                Asserted::Value(_) => None,
            });
            for issuer in tested.chain(asserted) {
                if let Some(diagnostic) = check(set, issuer) {
                    report.push(view.source, diagnostic);
                }
            }
        }
    }
}

fn check(set: &Set<'_>, issuer: &Name) -> Option<Diagnostic> {
    let text = issuer.text.as_str();
    let is_known = match &set.settings.issuers {
        Some(known) => known.contains(text),
        None => COMMON.contains(&text),
    };
    if is_known || RESERVED.contains(&text) {
        return None;
    }
    let message = format!("no issuer is called `{}`", short(text));
    let error = Diagnostic::new(Code::UnknownIssuer, issuer.span, message, "nobody brings facts under this name");
    let Some(known) = &set.settings.issuers else {
        let near = closest(text, RESERVED.iter().chain(COMMON).copied())?;
        let is_slip =
            near.len() >= MISSPELT_BYTES_MIN || near.eq_ignore_ascii_case(text) || are_letters_swapped(near, text);
        return is_slip.then(|| suggest(error, issuer, near));
    };
    Some(match closest(text, RESERVED.iter().copied().chain(known.iter().map(String::as_str))) {
        Some(near) => suggest(error, issuer, near),
        None => error.with_help("it is none of the issuers that this site lists"),
    })
}

/// Whether one text is the other with its letters in another order.
fn are_letters_swapped(one: &str, other: &str) -> bool {
    let letters = |text: &str| {
        let mut letters = text.to_ascii_lowercase().into_bytes();
        letters.sort_unstable();
        letters
    };
    letters(one) == letters(other)
}

fn suggest(error: Diagnostic, issuer: &Name, near: &str) -> Diagnostic {
    error.with_help(format!("did you mean `{}`?", short(near))).with_fix(
        format!("write `{}`", short(near)),
        false,
        issuer.span,
        near,
    )
}
