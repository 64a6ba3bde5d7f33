//! The programs' command lines.

pub mod client;
