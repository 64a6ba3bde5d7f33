//! `apc policy explain CODE`: the manual of a rule.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use clap::Args;

use crate::{
    diagnostic::Code,
    syntax::suggest::closest,
    wire::{diagnostic::severity, printable::Printable},
};

/// What `explain` takes.
#[derive(Debug, Args)]
pub(in crate::cli) struct ExplainArgs {
    /// Such as `E0201` or `unknown-resource-type`
    #[arg(value_name = "CODE")]
    code: String,
}

/// Prints it; exit 2 where there is no such rule.
pub(super) fn run(args: &ExplainArgs) -> ExitCode {
    let wanted = args.code.as_str();
    let written = match Code::ALL.iter().find(|it| it.code().eq_ignore_ascii_case(wanted) || it.name() == wanted) {
        Some(code) => writeln!(io::stdout(), "{}", manual(*code)).map(|()| ExitCode::SUCCESS),
        None => writeln!(io::stderr(), "{}", unknown(wanted)).map(|()| ExitCode::from(2)),
    };
    written.unwrap_or(ExitCode::from(2))
}

fn manual(code: Code) -> String {
    let text: Vec<&str> = code.manual().iter().map(|line| line.strip_prefix(' ').unwrap_or(line)).collect();
    format!("{code} {} ({})\n\n{}", code.name(), severity(code.severity()), text.join("\n"))
}

fn unknown(wanted: &str) -> String {
    let known = Code::ALL.iter().flat_map(|it| [it.code(), it.name()]);
    match closest(wanted, known) {
        Some(near) => format!("error: no rule `{}`; did you mean `{near}`?", Printable(wanted)),
        None => format!("error: no rule `{}`; a report names the rule of each finding", Printable(wanted)),
    }
}
