//! `apc-agent`: the SSH server inside an instance.

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    gatehouse::ssh::agent::main(&arguments)
}
