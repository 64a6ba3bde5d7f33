//! `apc`: client and policy tool.

fn main() -> std::process::ExitCode {
    gatehouse::cli::apc()
}
