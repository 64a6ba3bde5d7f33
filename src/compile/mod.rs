//! Trees to a policy set that can be asked.

pub(crate) mod affix;
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
mod pieces;
pub(crate) mod plan;
pub(crate) mod realm;
mod sealed;
pub(crate) mod set;
pub(crate) mod slots;
mod steps;
pub mod system;
mod tree;

pub use change::Changes;
pub use sealed::{SealKey, UnsealError};
pub use set::PolicySet;

use std::sync::Arc;

use crate::{
    compile::{
        document::{Document, Packer},
        plan::{Draft, Growing},
        realm::Pattern,
        set::Numbers,
        slots::Slots,
    },
    diagnostic::{Code, Diagnostic},
    source::{Source, Span},
    syntax::{Parse, ast::Policy, parse, parse_each},
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
    let own = of_program(system);
    let mut compiler = Compiler::new(system, sources, &own);
    for source in sources.iter().chain(&own) {
        compiler.read(source);
    }
    compiler.finish()
}

/// Compiles documents that were read before; `parsed` belongs to `sources` one by one.
pub fn compile_parsed(sources: &[Source], parsed: &[Parse], system: System) -> Result<PolicySet, Vec<Finding>> {
    let own = of_program(system);
    let own_parsed: Vec<Parse> = own.iter().map(parse).collect();
    let mut compiler = Compiler::new(system, sources, &own);
    compiler.is_whole &= sources.len() == parsed.len();
    for (source, parse) in sources.iter().zip(parsed).chain(own.iter().zip(&own_parsed)) {
        compiler.add(source, parse);
    }
    compiler.finish()
}

/// What is wrong with documents that were read before, whether or not there is a set; it costs less than compiling.
///
/// Errors and the reader's warnings, by document and place.
pub fn check_parsed(given: &[(&Source, &Parse)], system: System) -> Vec<Finding> {
    let own = of_program(system);
    let own_parsed: Vec<Parse> = own.iter().map(parse).collect();
    let documents: Vec<(&Source, &Parse)> = given.iter().copied().chain(own.iter().zip(&own_parsed)).collect();
    check::findings(&documents, given.len())
}

/// The documents that are part of a set beside those given.
fn of_program(system: System) -> Vec<Source> {
    match system {
        System::Included => system::system_sources(),
        System::LeftOut => Vec::new(),
    }
}

/// Takes documents one after the other.
struct Compiler<'a> {
    system: System,
    checks: check::Checks<'a>,
    given: usize,
    slots: Slots,
    documents: Vec<(Source, Arc<Document>)>,
    /// What the next policy is called.
    next: u32,
    /// Nothing where all has to be laid out once more at the end, if it can be.
    layout: Option<Growing>,
    /// Whether all documents so far can be part of a set.
    is_whole: bool,
}

impl<'a> Compiler<'a> {
    fn new(system: System, given: &'a [Source], own: &'a [Source]) -> Self {
        let checks = check::Checks::new(given.iter().chain(own).collect());
        let bytes = given.iter().map(|it| it.text().len()).fold(0, usize::saturating_add);
        Self {
            system,
            checks,
            given: given.len(),
            slots: Slots::default(),
            documents: Vec::new(),
            next: 0,
            layout: Growing::unread(bytes),
            is_whole: true,
        }
    }

    /// Reads the next document and takes it in. No tree outlives its policy's turn: those of a document would take ten times
    /// its text.
    fn read(&mut self, source: &Source) {
        if !self.is_whole {
            self.checks.add(&parse(source));
            return;
        }
        let mut packer = Packer::new(source.text().len());
        let mut asserting = Vec::new();
        let mut read = parse_each(source, |policy| {
            self.take(&mut packer, &policy);
            if check::asserts_scalar(&policy) {
                asserting.push(policy);
            }
        });
        if !read.is_usable() {
            self.is_whole = false;
            self.checks.add(&parse(source));
            return;
        }
        let document = ready(packer, !asserting.is_empty(), &self.slots, source);
        self.documents.push((source.clone(), document));
        read.document.policies = asserting;
        self.is_whole = self.checks.add(&read);
    }

    /// Takes in the next document, which was read before.
    fn add(&mut self, source: &Source, parse: &Parse) {
        self.is_whole &= self.checks.add(parse);
        if !self.is_whole {
            return;
        }
        let mut packer = Packer::new(source.text().len());
        for policy in &parse.document.policies {
            self.take(&mut packer, policy);
        }
        let document = ready(packer, has_scalars(parse), &self.slots, source);
        self.documents.push((source.clone(), document));
    }

    /// Packs a policy and lays it out.
    fn take(&mut self, packer: &mut Packer, policy: &Policy) {
        let realm;
        let mut draft = Draft::new(self.next);
        realm = lower::policy(&mut self.slots, packer, policy, |step| draft.step(step));
        draft.of_realm(&realm);
        if let Some(layout) = &mut self.layout
            && layout.add(&realm, &mut draft, &self.slots).is_none()
        {
            self.layout = None;
        }
        // So many that this were not true cannot be numbered, and there will be no set of them.
        self.next = self.next.saturating_add(1);
    }

    fn finish(self) -> Result<PolicySet, Vec<Finding>> {
        let Self { system, checks, given, slots, documents, layout, is_whole, .. } = self;
        let findings = checks.finish(given);
        if !is_whole || findings.iter().any(|it| it.diagnostic.is_error()) {
            return Err(findings);
        }
        laid_out(system, documents, slots, layout).ok_or_else(|| vec![too_large(given.saturating_sub(1))])
    }
}

fn too_large(source: usize) -> Finding {
    let message = "the documents together are more than a policy set can hold: 4 GiB laid out";
    let diagnostic = Diagnostic::new(Code::DocumentTooLarge, Span::at(0), message, "the last of them")
        .with_help("say the same with fewer rules: one realm with a variable in place of many");
    Finding { source, diagnostic }
}

/// Compiles one document and tells the realm of each of its policies.
fn compiled(slots: &mut Slots, source: &Source, parse: &Parse, mut tell: impl FnMut(Pattern)) -> Arc<Document> {
    let mut packer = Packer::new(source.text().len());
    for policy in &parse.document.policies {
        tell(lower::policy(slots, &mut packer, policy, |_| ()));
    }
    ready(packer, has_scalars(parse), slots, source)
}

fn has_scalars(parse: &Parse) -> bool {
    parse.document.policies.iter().any(check::asserts_scalar)
}

/// A document whose policies are all packed.
fn ready(packer: Packer, has_scalars: bool, slots: &Slots, source: &Source) -> Arc<Document> {
    let mut document = packer.finish(has_scalars);
    document.make_ready(slots, system::is_system(source.document()));
    Arc::new(document)
}

/// A set of documents that are compiled, in any order, and the layout of their policies in the same, if there is one; nothing
/// where they are too many.
fn laid_out(
    system: System,
    documents: Vec<(Source, Arc<Document>)>,
    slots: Slots,
    layout: Option<Growing>,
) -> Option<PolicySet> {
    let mut numbers = Numbers::default();
    for (at, (_, document)) in documents.iter().enumerate() {
        numbers.add(at, document.count())?;
    }
    let mut ordered: Vec<(usize, (Source, Arc<Document>))> = documents.into_iter().enumerate().collect();
    ordered.sort_by(|(_, (a, _)), (_, (b, _))| a.document().cmp(b.document()));
    let mut now = vec![0; ordered.len()];
    for (index, (before, _)) in ordered.iter().enumerate() {
        if let Some(slot) = now.get_mut(*before) {
            *slot = index;
        }
    }
    numbers.rename(|before| now.get(before).copied());
    let (sources, mut documents): (Vec<Source>, Vec<Arc<Document>>) = ordered.into_iter().map(|(_, it)| it).unzip();
    document::make_ready_if_few(&mut documents, &slots);
    let laid = layout.and_then(|it| it.finish(&documents, &numbers, &slots));
    let plan = laid.or_else(|| plan::build(&documents, &numbers, &slots))?;
    Some(PolicySet { sources, documents, numbers, slots, plan, system })
}
