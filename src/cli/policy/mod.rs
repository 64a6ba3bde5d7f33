//! `apc policy`: one file a verb.

mod check;
mod decide;
mod difference;
mod explain;
mod fmt;
mod format;
mod requests;
mod save;
mod test;
mod why;

use std::process::ExitCode;

use clap::Subcommand;

use crate::{
    cli::client::{
        command::{block_on, run_policy},
        output::Output,
        policy::PolicyServerCommand,
    },
    lsp,
};

/// What is to be done with documents.
#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Tell the errors of documents
    Check(check::CheckArgs),
    /// Tell the errors of documents, and what their author may regret
    Lint(check::LintArgs),
    /// Write documents in their canonical form
    Fmt(fmt::FmtArgs),
    /// Print the manual of a rule, by code or by name
    Explain(explain::ExplainArgs),
    /// Decide requests from standard input, one JSON object a line
    Decide(decide::DecideArgs),
    /// Explain the decision of requests from standard input
    Why(why::WhyArgs),
    /// Run the tests beside documents
    Test(test::TestArgs),
    /// Serve an editor: a language server on standard input and output
    Lsp,
    #[command(flatten)]
    Server(PolicyServerCommand),
}

/// Does it.
pub(super) fn run(verb: Verb, output: Output) -> ExitCode {
    match verb {
        Verb::Check(args) => check::check(&args, output),
        Verb::Lint(args) => check::lint(&args, output),
        Verb::Fmt(args) => fmt::run(&args, output),
        Verb::Explain(args) => explain::run(&args, output),
        Verb::Decide(args) => decide::run(&args, output),
        Verb::Why(args) => why::run(&args, output),
        Verb::Test(args) => test::run(&args, output),
        Verb::Lsp => block_on(async {
            lsp::serve().await;
            0
        }),
        Verb::Server(command) => block_on(run_policy(command, output)),
    }
}
