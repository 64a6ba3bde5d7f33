//! `apcd`: every server role.

fn main() -> std::process::ExitCode {
    gatehouse::cli::apcd()
}
