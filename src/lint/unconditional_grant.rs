//! `{ permit read }`: everyone may, whoever it is. In a template, everyone in everyone's namespace.

use crate::{
    diagnostic::{Code, Diagnostic, printable::short},
    lint::{
        Lint, Report, Set,
        walk::{ClaimPlace, claims, constants, is_template},
    },
    syntax::ast::{Local, Policy},
};

pub(super) struct UnconditionalGrant;

pub(super) struct GrantToEveryoneInTemplate;

impl Lint for UnconditionalGrant {
    fn code(&self) -> Code {
        Code::UnconditionalGrant
    }

    fn check(&self, set: &Set<'_>, report: &mut Report) {
        for (source, policy) in set.given().filter(|(_, policy)| !is_template(policy)) {
            for (place, granted) in grants(policy) {
                let message = format!("{granted} is granted to everyone, because no condition stands around it");
                let diagnostic = Diagnostic::new(self.code(), place.claim.span, message, "whoever asks gets this")
                    .with_help("say who is meant: `if (auth_server@apcera.me->name == \"tom\") { ... }`");
                report.push(source, diagnostic);
            }
        }
    }
}

impl Lint for GrantToEveryoneInTemplate {
    fn code(&self) -> Code {
        Code::GrantToEveryoneInTemplate
    }

    fn check(&self, set: &Set<'_>, report: &mut Report) {
        for (source, policy) in set.given().filter(|(_, policy)| is_template(policy)) {
            for (place, granted) in grants(policy) {
                let message = format!("{granted} is granted to everyone in every namespace that this realm stands for");
                let diagnostic =
                    Diagnostic::new(self.code(), place.claim.span, message, "tom gets this in mary's namespace too")
                        .with_label(policy.realm.span, "a variable binds any name; it does not ask who is there")
                        .with_help("ask for it: `if (auth_server@apcera.me->name == \"[name]\") { ... }`");
                report.push(source, diagnostic);
            }
        }
    }
}

/// Claims that let someone do something and depend on nothing, and how to speak of what they grant.
fn grants(policy: &Policy) -> impl Iterator<Item = (ClaimPlace<'_>, String)> {
    claims(policy).into_iter().filter(|place| !place.conditional).filter_map(|place| {
        let claim_type = place.claim.claim_type.text.as_str();
        let values: Vec<String> = constants(place.claim)
            .map(|(_, text)| text)
            .filter(|text| claim_type == "role" || claim_type == "permit" && !is_issue_to_job(policy, text))
            .map(short)
            .collect();
        (!values.is_empty()).then(|| (place, format!("`{claim_type} {}`", short(&values.join(", ")))))
    })
}

/// `{ permit issue }` for one job lets the cluster issue a token to that job, and asks nobody's leave.
fn is_issue_to_job(policy: &Policy, permit: &str) -> bool {
    permit == "issue" && matches!(policy.realm.local, Local::Named(_))
}
