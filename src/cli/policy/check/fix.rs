//! `--fix`: findings that have a fix, mended in their files.

use clap::Args;

use crate::{
    cli::policy::{
        check::{say, site::Site},
        save,
    },
    compile::Finding,
    diagnostic::{Fix, mend::apply},
    format::same_meaning,
    source::Source,
    syntax::{Parse, parse},
};

/// A fix may uncover a finding that has a fix; a document of people has done with that long before.
const ROUNDS_MAX: usize = 16;

/// Fixes of one document that are tried one by one where together they do not work.
const TRIED_MAX: usize = 64;

/// Whether and what to mend.
#[derive(Debug, Args)]
pub(super) struct FixArgs {
    /// Mend in the files what has a fix that does not change what a document grants, and tell the rest
    #[arg(long)]
    fix: bool,
    /// Apply fixes too that may change what a document grants; read them afterwards
    #[arg(long, requires = "fix")]
    unsafe_fixes: bool,
}

/// A file that could not be written; it was told.
pub(super) struct NotWritten;

impl FixArgs {
    pub(super) fn is_asked(&self) -> bool {
        self.fix
    }
}

/// Mends documents until nothing that may be mended is found in them, and writes those that changed.
pub(super) fn mend(site: &mut Site, args: &FixArgs, find: &dyn Fn(&Site) -> Vec<Finding>) -> Result<(), NotWritten> {
    let before: Vec<Source> = site.sources.clone();
    let mut mended = vec![0_usize; before.len()];
    for _ in 0..ROUNDS_MAX {
        let findings = find(site);
        let mut changed = false;
        for (at, count) in mended.iter_mut().enumerate() {
            let Some((source, applied)) = better(site, at, &findings, args.unsafe_fixes) else { continue };
            *count = count.saturating_add(applied);
            site.replace(at, source);
            changed = true;
        }
        if !changed {
            break;
        }
    }
    write(site, &before, &mended)
}

fn write(site: &mut Site, before: &[Source], mended: &[usize]) -> Result<(), NotWritten> {
    let (mut result, mut findings, mut documents) = (Ok(()), 0_usize, 0_usize);
    for (at, (old, count)) in before.iter().zip(mended).enumerate() {
        let (Some(new), Some(Some(path))) = (site.sources.get(at), site.paths.get(at)) else { continue };
        if new.text() == old.text() {
            continue;
        }
        if let Err(error) = save::replace(path, old.text(), new.text()) {
            say(&format!("error: {error}"));
            // What is told is what is in the file.
            site.replace(at, old.clone());
            result = Err(NotWritten);
            continue;
        }
        findings = findings.saturating_add(*count);
        documents = documents.saturating_add(1);
    }
    if documents > 0 {
        let plural = |count: usize| if count == 1 { "" } else { "s" };
        say(&format!("mended {findings} finding{} in {documents} document{}", plural(findings), plural(documents)));
    }
    result
}

/// The document with as many fixes in it as go together, and how many that are. Errors come first: what a document with
/// errors grants is not known, so that no fix of a lint could be held against it.
fn better(site: &Site, at: usize, findings: &[Finding], all: bool) -> Option<(Source, usize)> {
    let (source, parsed) = (site.sources.get(at)?, site.parsed.get(at)?);
    site.paths.get(at)?.as_ref()?;
    let own: Vec<_> = findings.iter().filter(|it| it.source == at).map(|it| &it.diagnostic).collect();
    let has_errors = own.iter().any(|it| it.is_error() && !it.code.is_lint());
    let own = own.into_iter().filter(|it| !has_errors || (it.is_error() && !it.code.is_lint()));
    let fixes: Vec<&Fix> = own.filter_map(|it| it.fixes.iter().find(|fix| all || fix.safe)).collect();
    let together = || tried(source, parsed, &fixes, all || has_errors);
    let alone = || fixes.iter().take(TRIED_MAX).find_map(|fix| tried(source, parsed, &[fix], all || has_errors));
    together().or_else(alone)
}

/// The document with the fixes, if it is the better for them: fewer errors of the reader where it had some; else none, and
/// the same grants unless those may change.
fn tried(source: &Source, parsed: &Parse, fixes: &[&Fix], may_change: bool) -> Option<(Source, usize)> {
    let mended = apply(source.text(), fixes);
    if mended.text == source.text() {
        return None;
    }
    let applied = mended.applied.iter().filter(|it| **it).count();
    let new = Source::new(source.name(), mended.text.into_bytes()).ok()?;
    let parse = parse(&new);
    let is_better = if parsed.is_usable() {
        parse.is_usable() && (may_change || same_meaning(&parsed.document, &parse.document))
    } else {
        errors(&parse) < errors(parsed)
    };
    is_better.then_some((new, applied))
}

fn errors(parse: &Parse) -> usize {
    parse.diagnostics.iter().filter(|it| it.is_error()).count().saturating_add(parse.hidden)
}
