//! `apc policy test`: the tests beside documents, and how much of the documents they touch.

mod coverage;
mod folder;
mod mutate;
mod report;
mod watch;

use std::{
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
};

use clap::{Args, ValueEnum};

use crate::{
    cli::{
        client::output::Output,
        policy::{
            requests::write_json,
            test::{folder::Folder, mutate::Mutated, report::Ran},
        },
    },
    compile::System,
    wire::printable::Printable,
};

/// What `test` takes.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "flags of a command line are what they are")]
pub(in crate::cli) struct TestArgs {
    /// Leave out the system documents
    #[arg(long)]
    no_system: bool,
    /// Run only tests whose name has this text in it
    #[arg(long, value_name = "TEXT", conflicts_with_all = ["coverage", "threshold"])]
    filter: Option<String>,
    /// Say which rules and conditions no test touches
    #[arg(long)]
    coverage: bool,
    /// Fail where less of the documents is touched
    #[arg(long, value_name = "PERCENT", requires = "coverage", value_parser = clap::value_parser!(u8).range(0..=100))]
    threshold: Option<u8>,
    /// Change the documents in one place at a time, and fail where no test notices
    #[arg(long, conflicts_with = "filter")]
    mutate: bool,
    /// Run again whenever a document or a test changes, until interrupted
    #[arg(long)]
    watch: bool,
    /// Answer for people, for programs, or with the coverage as a trace file
    #[arg(long, value_enum)]
    format: Option<TestFormat>,
    /// Folders of documents with `decisions.toml` or `NAME.decisions.toml`; each is a set of its own
    #[arg(required = true, value_name = "DIR")]
    folders: Vec<PathBuf>,
}

/// For whom the answer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum TestFormat {
    /// For people.
    Text,
    /// For programs.
    Json,
    /// Coverage for tools that show it beside the text.
    Lcov,
}

/// Runs the tests of all folders. Exit 1 where one fails or is no test, 2 where a folder could not be read.
pub(super) fn run(args: &TestArgs, output: Output) -> ExitCode {
    let format = if output.json { TestFormat::Json } else { args.format.unwrap_or(TestFormat::Text) };
    if format == TestFormat::Lcov && !args.coverage {
        return fail("`--format lcov` is the coverage: ask for it by `--coverage`");
    }
    if !args.watch {
        return once(args, format);
    }
    match watch::each_change(&args.folders, || _ = once(args, format)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(err) => fail(&format!("cannot watch: {err}")),
    }
}

fn once(args: &TestArgs, format: TestFormat) -> ExitCode {
    let system = if args.no_system { System::LeftOut } else { System::Included };
    let mut worst = 0;
    let mut ran = Vec::new();
    for path in &args.folders {
        match Folder::read(path, system) {
            Ok(folder) => {
                let mut one = report::run(&folder, args.filter.as_deref());
                // Tests that fail as it is notice nothing.
                one.mutated = (args.mutate && !one.failed()).then(|| Mutated::new(&folder));
                ran.push(one);
            }
            Err(problem) => {
                worst = worst.max(problem.exit());
                ran.push(Ran::broken(path, &problem));
            }
        }
    }
    worst = worst.max(u8::from(ran.iter().any(Ran::failed)));
    if worst == 0 && ran.iter().all(|it| it.tests == 0) {
        return fail("no test has this text in its name");
    }
    worst = worst.max(u8::from(ran.iter().filter_map(|it| it.mutated.as_ref()).any(Mutated::survives)));
    if let Some(threshold) = args.threshold {
        let short = ran.iter().filter_map(|it| it.coverage.as_ref()).any(|it| it.is_below(threshold));
        worst = worst.max(u8::from(short));
    }
    match tell(&ran, format, args) {
        Ok(()) => ExitCode::from(worst),
        Err(_) => ExitCode::from(2),
    }
}

fn tell(ran: &[Ran], format: TestFormat, args: &TestArgs) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match format {
        TestFormat::Json => write_json(&mut out, &report::json(ran, args.coverage))?,
        TestFormat::Lcov => {
            for coverage in ran.iter().filter_map(|it| it.coverage.as_ref()) {
                out.write_all(coverage.lcov().as_bytes())?;
            }
        }
        TestFormat::Text => {
            for it in ran {
                out.write_all(it.text.as_bytes())?;
                if let Some(coverage) = it.coverage.as_ref().filter(|_| args.coverage) {
                    out.write_all(coverage.text(args.threshold).as_bytes())?;
                }
                if let Some(mutated) = &it.mutated {
                    out.write_all(mutated.text().as_bytes())?;
                }
            }
        }
    }
    out.flush()?;
    if format != TestFormat::Text {
        // What is wrong with files is for people, whoever reads the answer.
        for it in ran.iter().filter(|it| it.broken.is_some()) {
            io::stderr().write_all(it.text.as_bytes())?;
        }
    }
    Ok(())
}

fn fail(message: &str) -> ExitCode {
    // Where standard error is closed nobody is left to be told.
    let _closed = writeln!(io::stderr(), "error: {}", Printable(message));
    ExitCode::from(2)
}
