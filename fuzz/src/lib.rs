//! What is fuzzed. The same functions replay old findings in the ordinary tests (`tests/hostile/regressions.rs`), so
//! that nobody needs a fuzzer to see that what once broke stays mended.

#[path = "../../tests/eval/agreement.rs"]
mod agreement;
pub mod targets;
#[path = "../../tests/eval/world/mod.rs"]
mod world;
