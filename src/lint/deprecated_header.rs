//! `<continuum-policy description="...">`: the header of old documents.
//!
//! Finds the header line. It is kept, and means nothing.
//!
//! ## Why it matters
//!
//! Nothing reads the description, and other tags look as if they would do something. A comment says the same, anywhere.
//!
//! ## Example
//!
//! ```policy
//! <continuum-policy description="Who may look at production">
//! job::/prod {
//!   if (LDAP->group == "sre") { permit read }
//! }
//! ```
//!
//! ## Instead
//!
//! ```policy
//! // Who may look at production
//! job::/prod {
//!   if (LDAP->group == "sre") { permit read }
//! }
//! ```

use crate::{
    diagnostic::{Code, Diagnostic},
    lint::{Lint, Report, Set},
    syntax::ast::Header,
};

pub(super) struct DeprecatedHeader;

impl Lint for DeprecatedHeader {
    fn code(&self) -> Code {
        Code::DeprecatedHeader
    }

    fn check(&self, set: &Set<'_>, report: &mut Report) {
        for (source, (_, parse)) in set.documents.iter().enumerate().take(set.given) {
            if let Some(header) = parse.document.header.as_ref().filter(|_| parse.is_usable()) {
                report.push(source, diagnose(header));
            }
        }
    }
}

fn diagnose(header: &Header) -> Diagnostic {
    let message = "this header means nothing to the engine";
    let error = Diagnostic::new(Code::DeprecatedHeader, header.span, message, "kept, and read by nobody")
        .with_help("say it in a comment");
    match comment(&header.text) {
        Some(text) => error.with_fix("make a comment of it", true, header.span, text),
        None => error,
    }
}

/// The description as a comment; none where something else stands beside it, which would be lost.
fn comment(header: &str) -> Option<String> {
    let inner = header.strip_prefix("<continuum-policy")?.strip_suffix('>')?.trim();
    if inner.is_empty() {
        return Some(String::new());
    }
    let description = inner.strip_prefix("description=\"")?.strip_suffix('"')?;
    (!description.contains(['"', '\n', '\r'])).then(|| format!("// {description}"))
}
