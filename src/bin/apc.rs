//! `apc`: client and policy tool.

fn main() {}
