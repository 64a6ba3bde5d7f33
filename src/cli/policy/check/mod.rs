//! `apc policy check` and `apc policy lint`: what is wrong with documents, and what their author may regret.

mod fix;
mod report;
mod settings;
mod site;

use std::{
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
};

use clap::{Args, ValueEnum};

use crate::{
    cli::{
        client::output::Output,
        policy::check::{
            fix::{FixArgs, mend},
            report::{Counts, Reader},
            settings::SettingsArgs,
            site::Site,
        },
    },
    compile::{Finding, System},
    lint::Settings,
    site::documents,
};

/// What `check` takes.
#[derive(Debug, Args)]
pub(in crate::cli) struct CheckArgs {
    /// Leave out the system documents
    #[arg(long)]
    no_system: bool,
    /// Answer for people, for programs, as SARIF 2.1.0, or as annotations of a GitHub workflow
    #[arg(long, value_enum)]
    format: Option<Reader>,
    #[command(flatten)]
    fix: FixArgs,
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
    settings: SettingsArgs,
    #[command(flatten)]
    check: CheckArgs,
}

/// What is to be called an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Deny {
    /// Every warning.
    Warnings,
}

/// Tells errors.
pub(super) fn check(args: &CheckArgs, output: Output) -> ExitCode {
    run(args, output, None, &|site| {
        let mut findings = site.findings();
        findings.retain(|it| it.diagnostic.is_error());
        findings
    })
}

/// Tells errors and lints.
pub(super) fn lint(args: &LintArgs, output: Output) -> ExitCode {
    let settings = match args.settings.read() {
        Ok(settings) => settings,
        Err(report) => {
            say(report.trim_end());
            return ExitCode::from(2);
        }
    };
    run(&args.check, output, args.deny, &|site| lints(site, &settings))
}

fn lints(site: &Site, settings: &Settings) -> Vec<Finding> {
    let mut findings = site.findings();
    findings.extend(site.lints(settings));
    findings.sort_by_key(|it| (it.source, it.diagnostic.span.start, it.diagnostic.code));
    findings
}

/// Reads, mends if asked to, and tells what is left: 2 for what could not be read or written, 1 for any finding.
fn run(args: &CheckArgs, output: Output, deny: Option<Deny>, find: &dyn Fn(&Site) -> Vec<Finding>) -> ExitCode {
    let system = if args.no_system { System::LeftOut } else { System::Included };
    let mut site = Site::read(documents::read_each(&args.documents), system);
    for problem in &site.unreadable {
        say(&format!("error: {problem}"));
    }
    let mended = if args.fix.is_asked() { mend(&mut site, &args.fix, find) } else { Ok(()) };
    let mut findings = find(&site);
    if deny == Some(Deny::Warnings) {
        report::call_warnings_errors(&mut findings);
    }
    let reader = if output.json { Reader::Json } else { args.format.unwrap_or(Reader::Text) };
    if report::tell(&site, &findings, reader).is_err() {
        return ExitCode::from(2);
    }
    let hidden: usize = site.parsed.iter().map(|it| it.hidden).sum();
    let was_read = site.unreadable.is_empty() || !site.sources.is_empty();
    if reader == Reader::Text && was_read {
        say(&Counts::of(&findings, hidden).sentence(site.sources.len()));
    }
    let could_not = !site.unreadable.is_empty() || mended.is_err();
    ExitCode::from(if could_not { 2 } else { u8::from(!findings.is_empty() || hidden > 0) })
}

/// For people, beside the answer.
fn say(text: &str) {
    // Where standard error is closed nobody is left to be told.
    let _closed = writeln!(io::stderr(), "{text}");
}
