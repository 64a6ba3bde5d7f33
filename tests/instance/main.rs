//! Instances as real containers, each test with a manager and a network namespace of its own. Needs root.
//!
//! This program starts itself again as manager (`im`) and as shim (`shim`), because a shim must be alone in its process.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    clippy::assigning_clones,
    clippy::wildcard_enum_match_arm,
    reason = "a test fails by panicking, and says why"
)]

use std::{ffi::OsString, path::Path, process::ExitCode};

use libtest_mimic::{Arguments, Trial};

mod api;
mod cgroups;
mod isolation;
mod layers;
mod life;
mod manager;
mod network;
mod rig;
mod sessions;

/// Name and body of a test.
type Test = (&'static str, fn());

fn main() -> ExitCode {
    let words: Vec<OsString> = std::env::args_os().skip(1).collect();
    match words.as_slice() {
        [mode, folder] if mode == "shim" => return gatehouse::im::shim::main(Path::new(folder)),
        [mode, settings] if mode == "im" => return manager::main(Path::new(settings)),
        _ => {}
    }
    let arguments = Arguments::from_args();
    let root = rustix::process::geteuid().is_root();
    if !root {
        eprintln!("\nSKIPPED: the tests of instances need root; nothing about containers has been tested\n");
    }
    let all = [layers::TESTS, cgroups::TESTS, isolation::TESTS, network::TESTS, sessions::TESTS, life::TESTS].concat();
    let trial = |(name, body): Test| {
        let run = move || {
            body();
            Ok(())
        };
        Trial::test(name, run).with_ignored_flag(!root)
    };
    libtest_mimic::run(&arguments, all.into_iter().map(trial).collect()).exit_code()
}
