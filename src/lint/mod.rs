//! What an author will regret: findings that are no errors, one file a rule (reference section 10).

mod allow;
mod chain;
mod manual;
mod precedence;
mod remove;
mod set;
mod settings;
#[cfg(test)]
mod tests;
pub(crate) mod walk;

mod admin_on_root;
mod bad_value;
mod bare_claim_in_realm;
mod conflicting_scalar;
mod confusable_names;
mod deprecated_header;
mod duplicate_rule;
mod empty_policy;
mod grant_to_everyone_in_template;
mod issue_without_local_name;
mod long_token_timeout;
mod merge_alternatives;
mod mixed_operators;
mod one_sided_handshake;
mod open_route;
mod pointless_allow;
mod policy_update_on_every_type;
mod prefix_not_at_boundary;
mod prefix_on_template;
mod quota_looser_than_parent;
mod role_never_asserted;
mod role_never_tested;
mod taken_literally;
mod trailing_slash;
mod unconditional_grant;
mod unknown_claim;
mod unknown_issuer;
mod unknown_permit;
mod unreachable_chain;
mod unused_variable;
mod value_never_occurs;
mod wildcard_docker_allow;

pub use crate::lint::{
    manual::manual,
    settings::{Level, NotALint, Settings},
};

use std::{
    num::NonZeroUsize,
    panic::resume_unwind,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use crate::{
    compile::{Finding, System, system::system_sources},
    diagnostic::Code,
    lint::set::{Report, Set},
    source::{Source, Span},
    syntax::{Parse, parse},
};

/// A rule. It sees the whole set, because what is regretted in one document often stands in another.
trait Lint: Sync {
    /// What it finds.
    fn code(&self) -> Code;

    /// Looks through all documents that are not the program's own.
    fn check(&self, set: &Set<'_>, report: &mut Report);
}

/// A rule and the file that it stands in, whose head is its manual.
struct Rule {
    lint: &'static dyn Lint,
    file: &'static str,
}

/// One line a rule: its module and its type.
macro_rules! rules {
    ($($module:ident $lint:ident,)+) => {
        /// The rules, in the order of their codes; the last one looks at what the others found.
        const RULES: &[Rule] = &[
            $(Rule { lint: &$module::$lint, file: include_str!(concat!(stringify!($module), ".rs")) },)+
        ];
    };
}

rules! {
    prefix_on_template PrefixOnTemplate,
    prefix_not_at_boundary PrefixNotAtBoundary,
    unconditional_grant UnconditionalGrant,
    grant_to_everyone_in_template GrantToEveryoneInTemplate,
    role_never_asserted RoleNeverAsserted,
    unknown_permit UnknownPermit,
    unknown_claim UnknownClaim,
    mixed_operators MixedOperators,
    bare_claim_in_realm BareClaimInRealm,
    wildcard_docker_allow WildcardDockerAllow,
    admin_on_root AdminOnRoot,
    open_route OpenRoute,
    long_token_timeout LongTokenTimeout,
    role_never_tested RoleNeverTested,
    unknown_issuer UnknownIssuer,
    duplicate_rule DuplicateRule,
    unreachable_chain UnreachableChain,
    issue_without_local_name IssueWithoutLocalName,
    one_sided_handshake OneSidedHandshake,
    confusable_names ConfusableNames,
    conflicting_scalar ConflictingScalar,
    quota_looser_than_parent QuotaLooserThanParent,
    unused_variable UnusedVariable,
    trailing_slash TrailingSlash,
    deprecated_header DeprecatedHeader,
    empty_policy EmptyPolicy,
    policy_update_on_every_type PolicyUpdateOnEveryType,
    merge_alternatives MergeAlternatives,
    bad_value BadValue,
    value_never_occurs ValueNeverOccurs,
    taken_literally TakenLiterally,
    pointless_allow PointlessAllow,
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
    let given: Vec<(&Source, &Parse)> = sources.iter().zip(parsed).collect();
    lint_each(&given, system, &Settings::default())
}

/// The same for documents that do not lie side by side, as a site has it.
pub fn lint_each(given: &[(&Source, &Parse)], system: System, settings: &Settings) -> Vec<Finding> {
    lint_on_threads(given, system, settings, NonZeroUsize::MIN)
}

/// The same by several threads, for those who wait for it; what is found does not depend on how many they are.
pub fn lint_on_threads(
    given: &[(&Source, &Parse)],
    system: System,
    settings: &Settings,
    threads: NonZeroUsize,
) -> Vec<Finding> {
    let system_sources = match system {
        System::Included => system_sources(),
        System::LeftOut => Vec::new(),
    };
    let system_parsed: Vec<Parse> = system_sources.iter().map(parse).collect();
    let documents = given.iter().copied().chain(system_sources.iter().zip(&system_parsed)).collect();
    let set = Set::new(documents, given.len(), settings);
    let report = check(&set, threads);
    let findings = allow::without_allowed(&set, precedence::most_specific(report.findings));
    let mut findings: Vec<Finding> = findings.into_iter().filter_map(|it| at_level(it, settings)).collect();
    // What is an error already is not regretted on top of it.
    findings.retain(|it| !given.get(it.source).is_some_and(|(_, parse)| has_error_at(parse, it.diagnostic.span)));
    findings.sort_by_key(|it| (it.source, it.diagnostic.span.start, it.diagnostic.code));
    findings
}

/// What all rules find, in their order.
fn check(set: &Set<'_>, threads: NonZeroUsize) -> Report {
    let mut report = Report::default();
    let Some((last, first)) = RULES.split_last() else { return report };
    let next = AtomicUsize::new(0);
    let work = || {
        let mut found = Vec::new();
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(rule) = first.get(at) else { return found };
            let mut report = Report::default();
            rule.lint.check(set, &mut report);
            debug_assert!(report.findings.iter().all(|it| it.diagnostic.code == rule.lint.code()));
            found.push((at, report.findings));
        }
    };
    let mut found = thread::scope(|scope| {
        let others: Vec<_> = (1..threads.get()).map(|_| scope.spawn(work)).collect();
        let mut found = work();
        for other in others {
            found.extend(other.join().unwrap_or_else(|it| resume_unwind(it)));
        }
        found
    });
    found.sort_by_key(|(at, _)| *at);
    report.findings.extend(found.into_iter().flat_map(|(_, findings)| findings));
    // It looks at what the others found.
    last.lint.check(set, &mut report);
    report
}

/// Whether an error of the reader has some of this text, or its edge where something is missing.
fn has_error_at(parse: &Parse, span: Span) -> bool {
    let errors = parse.diagnostics.iter().filter(|it| it.is_error()).map(|it| it.span);
    errors.into_iter().any(|it| {
        let touches = it.start <= span.end && span.start <= it.end;
        touches && (it.is_empty() || (it.start < span.end && span.start < it.end))
    })
}

/// A finding as grave as the site has it.
fn at_level(mut finding: Finding, settings: &Settings) -> Option<Finding> {
    let Level::Told(severity) = settings.level(finding.diagnostic.code) else { return None };
    finding.diagnostic.severity = severity;
    Some(finding)
}
