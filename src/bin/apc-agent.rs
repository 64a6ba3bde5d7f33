//! `apc-agent`: the SSH server inside an instance.

fn main() {}
