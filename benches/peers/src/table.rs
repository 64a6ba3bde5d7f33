//! What was measured, for people and for programs.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
    time::Duration,
};

use serde_json::json;

use crate::engine::{Cost, timer};

/// Above the rows.
pub(crate) const HEAD: &str = "engine     variant               policies   load, ms  memory, MB   allow p50, ns        p99    deny p50, ns        p99";

/// One engine in one variant at one size.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row {
    pub(crate) engine: &'static str,
    pub(crate) variant: &'static str,
    pub(crate) policies: usize,
    pub(crate) load: Duration,
    pub(crate) bytes: usize,
    pub(crate) allow: Cost,
    pub(crate) deny: Cost,
}

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Table {
    pub(crate) rows: Vec<Row>,
    /// Answers that were compared with what was expected.
    pub(crate) compared: usize,
}

/// Where results go.
pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/bench")
}

impl Table {
    pub(crate) fn row(&self, engine: &str, variant: &str, policies: usize) -> Option<&Row> {
        self.rows.iter().find(|it| (it.engine, it.variant, it.policies) == (engine, variant, policies))
    }

    pub(crate) fn write(&self) {
        let cost = |it: Cost| json!({ "p50_ns": it.p50, "p99_ns": it.p99 });
        let row = |it: &Row| {
            json!({
                "engine": it.engine, "variant": it.variant, "policies": it.policies,
                "load_ms": it.load.as_secs_f64() * 1e3, "memory_bytes": it.bytes,
                "allow": cost(it.allow), "deny": cost(it.deny),
            })
        };
        let rows: Vec<_> = self.rows.iter().map(row).collect();
        let timer = timer().as_nanos() as f64;
        let all = json!({ "timer_ns": timer, "answers_compared": self.compared, "rows": rows });
        fs::create_dir_all(folder()).expect("the folder can be made");
        fs::write(folder().join("decide.json"), format!("{all:#}\n")).expect("the file can be written");
    }

    /// The two ratios that everything comes down to, at the largest size; without the second where no peer was asked.
    pub(crate) fn last_line(&self) -> String {
        let is_peer = |it: &&Row| !matches!(it.engine, "gatehouse" | "by hand");
        let most = self.rows.iter().map(|it| it.policies).max().unwrap_or_default();
        let p50 = |engine, variant| self.row(engine, variant, most).map_or(f64::NAN, |it| it.allow.p50);
        let ours = p50("gatehouse", "prepared");
        let peers = self.rows.iter().filter(is_peer).filter(|it| it.policies == most);
        let best = peers.map(|it| it.allow.p50).min_by(f64::total_cmp);
        let beside = best.map(|it| format!("   best peer / gatehouse at {most}: {:.1}", it / ours)).unwrap_or_default();
        format!(
            "{} answers compared, all as expected; reading the clock takes {:?} and is taken off single calls\n\
             gatehouse / hand-written at {most}: {:.2}{beside}",
            self.compared,
            timer(),
            ours / p50("by hand", "hash map"),
        )
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (load, memory) = (self.load.as_secs_f64() * 1e3, self.bytes as f64 / 1e6);
        write!(f, "{:<10} {:<20} {:>9} {load:>10.1} {memory:>11.2} ", self.engine, self.variant, self.policies)?;
        let costs = [self.allow, self.deny];
        costs.iter().try_for_each(|it| write!(f, " {:>14.0} {:>10.0}", it.p50, it.p99))
    }
}
