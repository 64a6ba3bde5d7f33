//! Findings, told to whoever reads them.

use std::{
    env,
    io::{self, IsTerminal, Write},
};

use clap::ValueEnum;

use crate::{
    cli::policy::{check::site::Site, format::json_for_terminals},
    compile::Finding,
    diagnostic::{
        Diagnostic, Severity,
        render::{self, Color},
    },
    limits::DIAGNOSTICS_SHOWN_MAX,
    source::Source,
    wire::{github, policy::DiagnosticJson, sarif},
};

/// For whom the answer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Reader {
    /// For people.
    Text,
    /// For programs.
    Json,
    /// For programs that read the findings of any tool.
    Sarif,
    /// For a GitHub workflow, which shows them beside the change.
    Github,
}

/// Makes errors of warnings; notes stay what they are.
pub(super) fn call_warnings_errors(findings: &mut [Finding]) {
    for it in findings.iter_mut().filter(|it| it.diagnostic.severity == Severity::Warning) {
        it.diagnostic.severity = Severity::Error;
    }
}

/// Writes the findings to standard output.
pub(super) fn tell(site: &Site, findings: &[Finding], reader: Reader) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match reader {
        Reader::Text => tell_text(&mut out, site, findings)?,
        Reader::Json => {
            let all: Vec<DiagnosticJson> =
                each(site, findings).map(|(source, it)| DiagnosticJson::new(source, it)).collect();
            write_json(&mut out, &all)?;
        }
        Reader::Sarif => write_json(&mut out, &sarif::Log::new(each(site, findings)))?,
        Reader::Github => {
            for (source, it) in each(site, findings) {
                writeln!(out, "{}", github::annotation(source, it))?;
            }
        }
    }
    out.flush()
}

/// The first findings of each document.
fn shown<'a>(site: &'a Site, findings: &'a [Finding]) -> impl Iterator<Item = (&'a Source, Vec<&'a Diagnostic>)> {
    site.sources.iter().enumerate().map(|(at, source)| {
        let own = findings.iter().filter(|it| it.source == at).map(|it| &it.diagnostic);
        (source, own.take(DIAGNOSTICS_SHOWN_MAX).collect())
    })
}

fn each<'a>(site: &'a Site, findings: &'a [Finding]) -> impl Iterator<Item = (&'a Source, &'a Diagnostic)> {
    shown(site, findings).flat_map(|(source, found)| found.into_iter().map(move |it| (source, it)))
}

fn write_json(out: &mut impl Write, value: &impl serde::Serialize) -> io::Result<()> {
    writeln!(out, "{}", json_for_terminals(&serde_json::to_string_pretty(value)?))
}

fn tell_text(out: &mut (impl Write + IsTerminal), site: &Site, findings: &[Finding]) -> io::Result<()> {
    let color = if out.is_terminal() && env::var_os("NO_COLOR").is_none() { Color::Ansi } else { Color::Plain };
    for (source, diagnostics) in shown(site, findings) {
        let diagnostics: Vec<Diagnostic> = diagnostics.into_iter().cloned().collect();
        if !diagnostics.is_empty() {
            render::write(out, source, &diagnostics, color)?;
            writeln!(out)?;
        }
    }
    Ok(())
}

/// How many findings of each kind there are.
pub(super) struct Counts {
    errors: usize,
    warnings: usize,
    notes: usize,
}

impl Counts {
    pub(super) fn of(findings: &[Finding], hidden: usize) -> Self {
        let count = |severity| findings.iter().filter(|it| it.diagnostic.severity == severity).count();
        // What the reader did not keep is errors: it has one warning, and that comes first.
        let errors = count(Severity::Error).saturating_add(hidden);
        Self { errors, warnings: count(Severity::Warning), notes: count(Severity::Note) }
    }

    pub(super) fn sentence(&self, documents: usize) -> String {
        let count = |count: usize, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
        let all = [(self.errors, "error"), (self.warnings, "warning"), (self.notes, "note")];
        let found: Vec<String> = all.iter().filter(|(it, _)| *it > 0).map(|(it, what)| count(*it, what)).collect();
        let within = count(documents, "document");
        match found.split_last() {
            None => format!("nothing found in {within}"),
            Some((only, [])) => format!("{only} in {within}"),
            Some((last, before)) => format!("{} and {last} in {within}", before.join(", ")),
        }
    }
}
