//! `job::/sandbox/tom { { permit issue } }`: a token for every job of the namespace.
//!
//! Finds `permit issue` on a realm of jobs that names no job.
//!
//! ## Why it matters
//!
//! `permit issue` lets the cluster give a job a token of its own. On a namespace every job gets one that asks for it, those
//! included that are created later; and each can use what other rules grant to jobs by their names.
//!
//! ## Example
//!
//! ```policy
//! job::/ci {
//!   { permit issue }
//! }
//! ```
//!
//! ## Instead
//!
//! ```policy
//! job::/ci::robot {
//!   { permit issue }
//! }
//! ```

use crate::{
    diagnostic::{Code, Diagnostic},
    lint::{Lint, Report, Set, walk::constants},
    syntax::ast::Local,
};

pub(super) struct IssueWithoutLocalName;

impl Lint for IssueWithoutLocalName {
    fn code(&self) -> Code {
        Code::IssueWithoutLocalName
    }

    fn check(&self, set: &Set<'_>, report: &mut Report) {
        let is_open = |local: &Local| !matches!(local, Local::Named(_));
        let jobs = set.views().filter(|view| view.resource_type() == "job");
        for view in jobs.filter(|view| is_open(&view.policy.realm.local)) {
            let claims = view.claims.iter().map(|it| it.claim).filter(|it| it.claim_type.text == "permit");
            for (value, _) in claims.flat_map(constants).filter(|(_, text)| *text == "issue") {
                let message = "every job of this realm can be issued a token";
                let error = Diagnostic::new(Code::IssueWithoutLocalName, value.span, message, "those of tomorrow too")
                    .with_label(view.policy.realm.span, "this names no job")
                    .with_help("name the job: `job::/namespace::name`");
                report.push(view.source, error);
            }
        }
    }
}
