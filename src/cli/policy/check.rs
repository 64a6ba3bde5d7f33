//! `apc policy check` and `apc policy lint`: what is wrong with documents, and what their author may regret.

use std::{
    env,
    io::{self, IsTerminal, Write},
    path::PathBuf,
    process::ExitCode,
};

use clap::{Args, ValueEnum};

use crate::{
    cli::{
        client::output::Output,
        policy::{
            documents,
            format::{Format, FormatArgs},
        },
    },
    compile::{Finding, System, compile_parsed},
    diagnostic::{
        Diagnostic, Severity, of_source_error,
        render::{self, Color},
    },
    limits::DIAGNOSTICS_SHOWN_MAX,
    lint,
    source::Source,
    syntax::{Parse, parse},
    wire::{diagnostic, policy::DiagnosticJson, printable::Printable},
};

/// What `check` takes.
#[derive(Debug, Args)]
pub(in crate::cli) struct CheckArgs {
    /// Leave out the system documents
    #[arg(long)]
    no_system: bool,
    #[command(flatten)]
    format: FormatArgs,
    /// Policy documents, and folders of them: one set
    #[arg(required = true, value_name = "DOCS")]
    documents: Vec<PathBuf>,
}

/// What `lint` takes.
#[derive(Debug, Args)]
pub(in crate::cli) struct LintArgs {
    /// Call these errors too
    #[arg(long, value_enum, value_name = "WHAT")]
    deny: Option<Deny>,
    #[command(flatten)]
    check: CheckArgs,
}

/// What is to be called an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Deny {
    /// Every warning.
    Warnings,
}

/// The documents of the command line, as far as they could be read.
struct Documents {
    sources: Vec<Source>,
    /// One for each source.
    parsed: Vec<Parse>,
    /// Whether a file could not be read at all.
    unreadable: bool,
}

/// Tells errors.
pub(super) fn check(args: &CheckArgs, output: Output) -> ExitCode {
    let documents = Documents::read(&args.documents);
    let findings =
        documents.findings(system(args)).into_iter().filter(|it| it.diagnostic.is_error()).collect::<Vec<_>>();
    documents.tell(&findings, args.format.or(Format::Text, output), None)
}

/// Tells errors and lints.
pub(super) fn lint(args: &LintArgs, output: Output) -> ExitCode {
    let documents = Documents::read(&args.check.documents);
    let system = system(&args.check);
    let mut findings = documents.findings(system);
    findings.extend(lint::lint(&documents.sources, &documents.parsed, system));
    findings.sort_by_key(|it| (it.source, it.diagnostic.span.start, it.diagnostic.code));
    documents.tell(&findings, args.check.format.or(Format::Text, output), args.deny)
}

fn system(args: &CheckArgs) -> System {
    if args.no_system { System::LeftOut } else { System::Included }
}

impl Documents {
    /// Reads what can be read, and tells of the rest on standard error.
    fn read(paths: &[PathBuf]) -> Self {
        let mut documents = Self { sources: Vec::new(), parsed: Vec::new(), unreadable: false };
        for given in documents::read_each(paths) {
            match given {
                Ok(given) => match given.source {
                    Ok(source) => documents.parsed.push({
                        let parse = parse(&source);
                        documents.sources.push(source);
                        parse
                    }),
                    Err(error) => {
                        let (source, diagnostic) = of_source_error(&given.name, error);
                        let Some(source) = source else { continue };
                        documents.sources.push(source);
                        documents.parsed.push(Parse { diagnostics: vec![diagnostic], ..Parse::default() });
                    }
                },
                Err(error) => {
                    documents.unreadable = true;
                    say(&format!("error: {}", Printable(&error.to_string())));
                }
            }
        }
        documents
    }

    /// What reading and compiling found, by document and place.
    fn findings(&self, system: System) -> Vec<Finding> {
        match compile_parsed(&self.sources, &self.parsed, system) {
            Err(findings) => findings,
            // A set with a warning of the reader is a set.
            Ok(_) => {
                let parsed = self.parsed.iter().enumerate();
                let found = parsed.flat_map(|(source, parse)| parse.diagnostics.iter().map(move |it| (source, it)));
                found.map(|(source, it)| Finding { source, diagnostic: it.clone() }).collect()
            }
        }
    }

    /// Says what was found, and comes to an exit status: 2 for what could not be read, 1 for any finding.
    fn tell(&self, findings: &[Finding], format: Format, deny: Option<Deny>) -> ExitCode {
        let hidden: usize = self.parsed.iter().map(|it| it.hidden).sum();
        let found = !findings.is_empty() || hidden > 0;
        let counts = Counts::of(findings, hidden, deny);
        let told = match format {
            Format::Json => self.tell_json(findings, deny),
            Format::Text => self.tell_text(findings),
        };
        if told.is_err() {
            return ExitCode::from(2);
        }
        if format == Format::Text {
            say(&counts.sentence(self.sources.len()));
        }
        ExitCode::from(if self.unreadable { 2 } else { u8::from(found) })
    }

    /// The first findings of each document.
    fn shown<'a>(&self, findings: &'a [Finding]) -> impl Iterator<Item = (&Source, Vec<&'a Diagnostic>)> {
        self.sources.iter().enumerate().map(|(at, source)| {
            let own = findings.iter().filter(|it| it.source == at).map(|it| &it.diagnostic);
            (source, own.take(DIAGNOSTICS_SHOWN_MAX).collect())
        })
    }

    fn tell_json(&self, findings: &[Finding], deny: Option<Deny>) -> io::Result<()> {
        let mut all: Vec<DiagnosticJson> = Vec::new();
        for (source, diagnostics) in self.shown(findings) {
            all.extend(diagnostics.into_iter().map(|it| DiagnosticJson::new(source, it)));
        }
        if deny == Some(Deny::Warnings) {
            for diagnostic in all.iter_mut().filter(|it| it.severity == diagnostic::severity(Severity::Warning)) {
                diagnostic::severity(Severity::Error).clone_into(&mut diagnostic.severity);
            }
        }
        writeln!(io::stdout(), "{}", documents::json_for_terminals(&serde_json::to_string_pretty(&all)?))
    }

    fn tell_text(&self, findings: &[Finding]) -> io::Result<()> {
        let mut out = io::stdout().lock();
        let color = if out.is_terminal() && env::var_os("NO_COLOR").is_none() { Color::Ansi } else { Color::Plain };
        for (source, diagnostics) in self.shown(findings) {
            let diagnostics: Vec<Diagnostic> = diagnostics.into_iter().cloned().collect();
            if !diagnostics.is_empty() {
                render::write(&mut out, source, &diagnostics, color)?;
                writeln!(out)?;
            }
        }
        out.flush()
    }
}

/// How many findings of each kind there are.
struct Counts {
    errors: usize,
    warnings: usize,
}

impl Counts {
    fn of(findings: &[Finding], hidden: usize, deny: Option<Deny>) -> Self {
        let errors = findings.iter().filter(|it| it.diagnostic.is_error() || deny == Some(Deny::Warnings)).count();
        // What the reader did not keep is errors: it has one warning, and that comes first.
        Self { errors: errors.saturating_add(hidden), warnings: findings.len().saturating_sub(errors) }
    }

    fn sentence(&self, documents: usize) -> String {
        let count = |count: usize, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
        let within = count(documents, "document");
        match (self.errors, self.warnings) {
            (0, 0) => format!("nothing found in {within}"),
            (0, warnings) => format!("{} in {within}", count(warnings, "warning")),
            (errors, 0) => format!("{} in {within}", count(errors, "error")),
            (errors, warnings) => format!("{} and {} in {within}", count(errors, "error"), count(warnings, "warning")),
        }
    }
}

/// For people, beside the answer.
fn say(text: &str) {
    // Where standard error is closed nobody is left to be told.
    let _closed = writeln!(io::stderr(), "{text}");
}
