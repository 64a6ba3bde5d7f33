//! `apcd`: every server role.

fn main() {}
