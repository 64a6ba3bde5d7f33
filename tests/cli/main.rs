//! What scripts may rely on of the policy tool, tried on the program itself: exit codes, and what stands on which stream.
#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test fails by panicking, and says loudly what it skips"
)]

mod contract;
mod decisions;
mod fixes;
mod formats;
mod lsp;
mod neovim;
mod settings;
mod suites;
mod textmate;
mod tool;
mod why;
