//! `apc policy decide`: yes or no, one line for each request.

use std::{
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
};

use clap::Args;

use crate::{
    cli::{
        client::output::Output,
        policy::{
            format::{Format, FormatArgs},
            requests::{Outcome, Question, answer_all, write_json},
        },
    },
    eval::{decide, headline},
    wire::{
        decide::{DecideAnswer, DecideError},
        printable::Printable,
    },
};

/// What `decide` takes.
#[derive(Debug, Args)]
pub(in crate::cli) struct DecideArgs {
    /// Leave out the system documents
    #[arg(long)]
    no_system: bool,
    #[command(flatten)]
    format: FormatArgs,
    /// Policy documents, and folders of them
    #[arg(required = true, value_name = "DOCS")]
    documents: Vec<PathBuf>,
}

/// Answers every request on standard input. A line of JSON each, unless text is asked for.
pub(super) fn run(args: &DecideArgs, output: Output) -> ExitCode {
    let format = args.format.or(Format::Json, output);
    answer_all(&args.documents, args.no_system, |out, question| answer(out, question, format))
}

fn answer(out: &mut dyn Write, question: Question<'_>, format: Format) -> io::Result<Outcome> {
    let (set, request) = match question {
        Ok(question) => question,
        Err(error) => {
            match format {
                Format::Json => write_json(out, &DecideError { error })?,
                Format::Text => writeln!(out, "error: {}", Printable(&error))?,
            }
            return Ok(Outcome::Unknown);
        }
    };
    let decision = decide(set, &request);
    match format {
        Format::Json => write_json(out, &DecideAnswer::from(&decision))?,
        Format::Text => writeln!(out, "{}", headline(&request, &decision))?,
    }
    Ok(if decision.is_allowed() { Outcome::Yes } else { Outcome::No })
}
