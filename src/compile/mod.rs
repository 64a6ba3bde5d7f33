//! Trees to a policy set that can be asked.

pub(crate) mod canonical;
pub mod catalogue;
mod change;
mod check;
pub(crate) mod condition;
mod document;
mod glob;
mod index;
mod lower;
mod packed;
pub(crate) mod plan;
pub(crate) mod realm;
pub(crate) mod set;
pub(crate) mod slots;
pub mod system;

pub use change::Changes;
pub use set::PolicySet;

use std::sync::Arc;

use crate::{
    compile::{document::Document, slots::Slots},
    diagnostic::{Code, Diagnostic},
    source::{Source, Span},
    syntax::{Parse, parse},
};

/// Whether the system documents are part of the set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum System {
    /// `clusterPermissions` and `rolePermissions` are part of it.
    Included,
    /// Only the documents given.
    LeftOut,
}

/// What is wrong with one of the documents, by its index in the order given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Index into the sources.
    pub source: usize,
    /// What.
    pub diagnostic: Diagnostic,
}

/// Compiles documents; with an error anywhere there is no set, and all errors of all documents are told.
///
/// Findings are errors and the reader's warnings, by source and place. Where there is a set, the documents have no
/// error; what an author may regret beside is the matter of `lint`.
///
/// ```
/// use gatehouse::{
///     compile::{System, compile},
///     source::Source,
/// };
///
/// let source = Source::new("a.pol", b"job::/ { if (mfa == \"totp\") { permit ssh } }".to_vec())?;
/// assert!(compile(&[source], System::Included).is_ok());
/// let source = Source::new("a.pol", b"job::/ { { mfa \"totp\" } }".to_vec())?;
/// assert!(compile(&[source], System::Included).is_err());
/// # Ok::<(), gatehouse::source::SourceError>(())
/// ```
pub fn compile(sources: &[Source], system: System) -> Result<PolicySet, Vec<Finding>> {
    let parsed: Vec<Parse> = sources.iter().map(parse).collect();
    compile_parsed(sources, &parsed, system)
}

/// Compiles documents that were read before; `parsed` belongs to `sources` one by one.
pub fn compile_parsed(sources: &[Source], parsed: &[Parse], system: System) -> Result<PolicySet, Vec<Finding>> {
    let system_sources = match system {
        System::Included => system::system_sources(),
        System::LeftOut => Vec::new(),
    };
    let system_parsed: Vec<Parse> = system_sources.iter().map(parse).collect();
    let documents: Vec<(&Source, &Parse)> =
        sources.iter().zip(parsed).chain(system_sources.iter().zip(&system_parsed)).collect();
    let findings = check::findings(&documents, sources.len());
    let unread = parsed.len() != sources.len() || documents.iter().any(|(_, parse)| !parse.is_usable());
    if unread || findings.iter().any(|it| it.diagnostic.is_error()) {
        return Err(findings);
    }
    build(documents).ok_or_else(|| vec![too_large(sources.len().saturating_sub(1))])
}

/// What is wrong with documents that were read before, whether or not there is a set; it costs less than compiling.
///
/// Errors and the reader's warnings, by document and place.
pub fn check_parsed(given: &[(&Source, &Parse)], system: System) -> Vec<Finding> {
    let system_sources = match system {
        System::Included => system::system_sources(),
        System::LeftOut => Vec::new(),
    };
    let system_parsed: Vec<Parse> = system_sources.iter().map(parse).collect();
    let documents: Vec<(&Source, &Parse)> =
        given.iter().copied().chain(system_sources.iter().zip(&system_parsed)).collect();
    check::findings(&documents, given.len())
}

fn too_large(source: usize) -> Finding {
    let message = "the documents together are more than a policy set can hold: 4 GiB laid out";
    let diagnostic = Diagnostic::new(Code::DocumentTooLarge, Span::at(0), message, "the last of them")
        .with_help("say the same with fewer rules: one realm with a variable in place of many");
    Finding { source, diagnostic }
}

fn build(mut documents: Vec<(&Source, &Parse)>) -> Option<PolicySet> {
    documents.sort_by_key(|(source, _)| source.document());
    let mut slots = Slots::default();
    let all = documents.iter().map(|(source, parse)| compiled(&mut slots, source, parse)).collect();
    let sources = documents.into_iter().map(|(source, _)| source.clone()).collect();
    whole(sources, all, slots)
}

fn compiled(slots: &mut Slots, source: &Source, parse: &Parse) -> Arc<Document> {
    let mut document = lower::document(slots, &parse.document);
    if system::is_system(source.document()) {
        document.make_ready(slots);
    }
    Arc::new(document)
}

/// Lays out documents that are compiled; nothing where they are too many.
fn whole(sources: Vec<Source>, documents: Vec<Arc<Document>>, slots: Slots) -> Option<PolicySet> {
    let (numbers, plan) = plan::build(&documents, &slots)?;
    Some(PolicySet { sources, documents, numbers, slots, plan })
}
