//! `docker.allow "*"`: any image of any registry may run.
//!
//! Finds values of `docker.allow` that let in every image there is, or every image of a public registry.
//!
//! ## Why it matters
//!
//! Whoever may start a job then runs what any stranger has uploaded, under any name that looks right.
//!
//! ## Example
//!
//! ```policy
//! job::/sandbox/[name] {
//!   if (auth_server@apcera.me->name == "[name]") { docker.allow "*" }
//! }
//! ```
//!
//! ## Instead
//!
//! ```policy
//! job::/sandbox/[name] {
//!   if (auth_server@apcera.me->name == "[name]") { docker.allow "registry.acme.com/base/*" }
//! }
//! ```

use crate::{
    diagnostic::{Code, Diagnostic},
    lint::{Lint, Report, Set, walk::constants},
};

/// Registries that anyone can upload to.
const PUBLIC: &[&str] = &["docker.io", "index.docker.io", "registry-1.docker.io", "quay.io", "ghcr.io"];

pub(super) struct WildcardDockerAllow;

impl Lint for WildcardDockerAllow {
    fn code(&self) -> Code {
        Code::WildcardDockerAllow
    }

    fn check(&self, set: &Set<'_>, report: &mut Report) {
        for view in set.views().filter(|view| view.resource_type() == "job") {
            let claims = view.claims.iter().map(|it| it.claim).filter(|it| it.claim_type.text == "docker.allow");
            for (value, text) in claims.flat_map(constants) {
                let Some(what) = let_in(text) else { continue };
                let message = format!("this lets {what} run");
                let diagnostic = Diagnostic::new(Code::WildcardDockerAllow, value.span, message, "whoever uploaded it");
                let help = "name a registry or a repository of your own: `docker.allow \"registry.acme.com/base/*\"`";
                report.push(view.source, diagnostic.with_help(help));
            }
        }
    }
}

/// What a value lets in, where that is everything or the whole of a public registry.
fn let_in(text: &str) -> Option<String> {
    if text == "*" {
        return Some("every image of every registry".to_owned());
    }
    let place = text.strip_suffix("/*")?;
    let registry = place.trim_start_matches("https://").trim_start_matches("http://");
    PUBLIC.contains(&registry).then(|| format!("every image of `{registry}`"))
}
