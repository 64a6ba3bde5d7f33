//! The SSH server of an instance as a process of its own, against OpenSSH's clients, our own, and hostile ones.
//!
//! This program is its own subject: under the name `apc-agent` it is the agent, so that no second build is needed. With
//! `APC_AGENT=path` that program (the static build, as shipped) is tested in its place.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![expect(clippy::print_stderr, reason = "a test that is skipped says so, and one that measures says what")]
#![expect(clippy::indexing_slicing, reason = "a test fails by panicking")]

mod fixture;
mod grant;
mod hostile;
mod lifecycle;
mod openssh;
mod refused;
mod strangers;
mod upstream;

use std::{path::Path, process::ExitCode};

use libtest_mimic::{Arguments, Trial, run};

fn main() -> ExitCode {
    let mut arguments = std::env::args_os();
    let name = arguments.next().unwrap_or_default();
    if Path::new(&name).file_name().is_some_and(|it| it == "apc-agent") {
        return gatehouse::ssh::agent::main(&arguments.collect::<Vec<_>>());
    }
    let mut trials = Vec::new();
    trials.extend(openssh::trials());
    trials.extend(refused::trials());
    trials.extend(lifecycle::trials());
    trials.extend(hostile::trials());
    trials.extend(upstream::trials());
    trials.extend(strangers::trials());
    run(&Arguments::from_args(), trials).exit_code()
}

/// A trial by its function's name.
pub(crate) fn trial(name: &str, test: fn()) -> Trial {
    Trial::test(name, move || {
        test();
        Ok(())
    })
}

/// `trials![a, b]`: functions that are tests.
#[macro_export]
macro_rules! trials {
    ($($name:ident),* $(,)?) => { vec![$($crate::trial(concat!(module_path!(), "::", stringify!($name)), $name)),*] };
}
