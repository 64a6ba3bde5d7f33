//! `apc policy explain CODE`: the manual of a rule.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use clap::Args;
use serde::Serialize;

use crate::{
    cli::{
        client::output::Output,
        policy::{
            format::{Format, FormatArgs},
            requests::write_json,
        },
    },
    diagnostic::{Code, manual},
    lint,
    syntax::suggest::closest,
    wire::{diagnostic::severity, printable::Printable},
};

/// What `explain` takes.
#[derive(Debug, Args)]
pub(in crate::cli) struct ExplainArgs {
    #[command(flatten)]
    format: FormatArgs,
    /// Such as `E0201` or `unknown-resource-type`; without it all rules are listed
    #[arg(value_name = "CODE")]
    code: Option<String>,
}

/// A rule as programs read it.
#[derive(Debug, Serialize)]
struct RuleJson {
    code: &'static str,
    name: &'static str,
    severity: &'static str,
    summary: String,
    /// Markdown.
    manual: Option<String>,
}

/// Prints it; exit 2 where there is no such rule.
pub(super) fn run(args: &ExplainArgs, output: Output) -> ExitCode {
    let format = args.format.or(Format::Text, output);
    let written = match args.code.as_deref().map(|wanted| find(wanted).ok_or(wanted)) {
        None => list(format),
        Some(Ok(code)) => explain(code, format),
        Some(Err(wanted)) => {
            return match writeln!(io::stderr(), "{}", unknown(wanted)) {
                Ok(()) | Err(_) => ExitCode::from(2),
            };
        }
    };
    written.map_or(ExitCode::from(2), |()| ExitCode::SUCCESS)
}

fn find(wanted: &str) -> Option<Code> {
    Code::ALL.iter().copied().find(|it| it.code().eq_ignore_ascii_case(wanted) || it.name() == wanted)
}

fn list(format: Format) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match format {
        Format::Json => write_json(&mut out, &Code::ALL.iter().map(|it| rule(*it)).collect::<Vec<_>>()),
        Format::Text => {
            let wide = Code::ALL.iter().map(|it| it.name().len()).max().unwrap_or(0);
            Code::ALL.iter().try_for_each(|it| writeln!(out, "{it}  {:wide$}  {}", it.name(), summary(*it)))
        }
    }
}

fn explain(code: Code, format: Format) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match format {
        Format::Json => write_json(&mut out, &rule(code)),
        Format::Text => {
            writeln!(out, "{code} {} ({})\n\n{}", code.name(), severity(code.severity()), summary(code))?;
            full_manual(code).map_or(Ok(()), |it| write!(out, "\n{}", for_terminal(&it)))
        }
    }
}

fn rule(code: Code) -> RuleJson {
    RuleJson {
        code: code.code(),
        name: code.name(),
        severity: severity(code.severity()),
        summary: summary(code),
        manual: full_manual(code),
    }
}

/// The manual of an error or of a lint.
fn full_manual(code: Code) -> Option<String> {
    manual(code).map(str::to_owned).or_else(|| lint::manual(code))
}

fn summary(code: Code) -> String {
    let lines: Vec<&str> = code.summary().iter().map(|line| line.trim()).collect();
    lines.join(" ")
}

/// Markdown as a terminal shows it best: headings bare, examples indented.
fn for_terminal(markdown: &str) -> String {
    let mut text = String::new();
    let mut in_example = false;
    for line in markdown.lines() {
        if line.starts_with("```") {
            in_example = !in_example;
            continue;
        }
        let indent = if in_example && !line.is_empty() { "    " } else { "" };
        let line = if in_example { line } else { line.trim_start_matches("## ") };
        text.extend([indent, line, "\n"]);
    }
    text
}

fn unknown(wanted: &str) -> String {
    let known = Code::ALL.iter().flat_map(|it| [it.code(), it.name()]);
    match closest(wanted, known) {
        Some(near) => format!("error: no rule `{}`; did you mean `{near}`?", Printable(wanted)),
        None => format!("error: no rule `{}`; `apc policy explain` lists them all", Printable(wanted)),
    }
}
