//! What an author will regret: findings that are no errors, one file a rule (reference section 10).

mod allow;
mod bare_claim_in_realm;
mod mixed_operators;
mod prefix_not_at_boundary;
mod prefix_on_template;
mod role_never_asserted;
mod unconditional_grant;
mod unknown_claim;
mod unknown_permit;
mod walk;

use crate::{
    compile::{Finding, System, system::system_sources},
    diagnostic::{Code, Diagnostic},
    source::{Source, Span},
    syntax::{Parse, ast, parse},
};

/// A rule. It sees the whole set, because what is regretted in one document often stands in another.
trait Lint {
    /// What it finds.
    fn code(&self) -> Code;

    /// Looks through all documents that are not the program's own.
    fn check(&self, set: &Set<'_>, report: &mut Report);
}

/// The rules, in the order of their codes.
const LINTS: &[&dyn Lint] = &[
    &prefix_on_template::PrefixOnTemplate,
    &prefix_not_at_boundary::PrefixNotAtBoundary,
    &unconditional_grant::UnconditionalGrant,
    &unconditional_grant::GrantToEveryoneInTemplate,
    &role_never_asserted::RoleNeverAsserted,
    &unknown_permit::UnknownPermit,
    &unknown_claim::UnknownClaim,
    &mixed_operators::MixedOperators,
    &bare_claim_in_realm::BareClaimInRealm,
];

/// The documents that hold together.
struct Set<'a> {
    /// Those that are linted come first.
    documents: Vec<(&'a Source, &'a Parse)>,
    given: usize,
    /// Whether everything that the documents say was read. If not, what seems to be missing may be there.
    complete: bool,
}

impl<'a> Set<'a> {
    /// The policies to be looked at, each with the number of its document.
    fn given(&self) -> impl Iterator<Item = (usize, &'a ast::Policy)> {
        let given = self.documents.iter().take(self.given).enumerate();
        given.flat_map(|(source, (_, parse))| parse.document.policies.iter().map(move |policy| (source, policy)))
    }

    /// The policies of all documents on a resource type.
    fn on_type(&self, resource_type: &str) -> impl Iterator<Item = &'a ast::Policy> {
        let policies = self.documents.iter().flat_map(|(_, parse)| &parse.document.policies);
        policies.filter(move |policy| policy.realm.resource_type.text == resource_type)
    }
}

/// What was found so far.
#[derive(Default)]
struct Report {
    findings: Vec<Finding>,
}

impl Report {
    fn push(&mut self, source: usize, diagnostic: Diagnostic) {
        self.findings.push(Finding { source, diagnostic });
    }
}

/// Looks through documents that were read; `parsed` belongs to `sources` one by one.
///
/// Findings are by source, place and code, without those that a comment `// allow: CODE reason` silences. What is wrong
/// with the documents is not among them.
///
/// ```
/// use gatehouse::{
///     compile::System,
///     lint::lint,
///     source::Source,
///     syntax::parse,
/// };
///
/// let source = Source::new("a.pol", b"job::/ { { permit all } }".to_vec())?;
/// let parsed = parse(&source);
/// let findings = lint(&[source], &[parsed], System::Included);
/// assert_eq!(findings[0].diagnostic.code.name(), "unconditional-grant");
/// # Ok::<(), gatehouse::source::SourceError>(())
/// ```
pub fn lint(sources: &[Source], parsed: &[Parse], system: System) -> Vec<Finding> {
    let system_sources = match system {
        System::Included => system_sources(),
        System::LeftOut => Vec::new(),
    };
    let system_parsed: Vec<Parse> = system_sources.iter().map(parse).collect();
    let given: Vec<(&Source, &Parse)> = sources.iter().zip(parsed).collect();
    let set = Set {
        given: given.len(),
        complete: parsed.iter().all(Parse::is_usable),
        documents: given.into_iter().chain(system_sources.iter().zip(&system_parsed)).collect(),
    };
    let mut report = Report::default();
    for lint in LINTS {
        let first = report.findings.len();
        lint.check(&set, &mut report);
        debug_assert!(report.findings.iter().skip(first).all(|it| it.diagnostic.code == lint.code()));
    }
    let mut findings = allow::without_allowed(&set, report.findings);
    // What is an error already is not regretted on top of it.
    findings.retain(|it| !parsed.get(it.source).is_some_and(|parse| has_error_at(parse, it.diagnostic.span)));
    findings.sort_by_key(|it| (it.source, it.diagnostic.span.start, it.diagnostic.code));
    findings
}

/// Whether an error of the reader has some of this text, or its edge where something is missing.
fn has_error_at(parse: &Parse, span: Span) -> bool {
    let errors = parse.diagnostics.iter().filter(|it| it.is_error()).map(|it| it.span);
    errors.into_iter().any(|it| {
        let touches = it.start <= span.end && span.start <= it.end;
        touches && (it.is_empty() || (it.start < span.end && span.start < it.end))
    })
}
