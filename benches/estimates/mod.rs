//! What criterion measured, read back for the tables that the benches end with.

use std::{env, fs, path::PathBuf};

use serde_json::Value;

/// Median nanoseconds; nothing of what was not measured, as where a filter leaves it out.
pub(crate) fn median(group: &str, what: &str, size: usize) -> Option<f64> {
    let path = folder().join(group).join(what).join(size.to_string()).join("new/estimates.json");
    let estimates: Value = serde_json::from_str(&fs::read_to_string(path).ok()?).unwrap();
    estimates.pointer("/median/point_estimate").and_then(Value::as_f64)
}

/// Where criterion writes, by the variables that it goes by.
fn folder() -> PathBuf {
    let target = || env::var_os("CARGO_TARGET_DIR").map(|it| PathBuf::from(it).join("criterion"));
    let home = env::var_os("CRITERION_HOME").map(PathBuf::from).or_else(target);
    home.unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/criterion"))
}
