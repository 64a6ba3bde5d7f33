//! What was measured, for people and for programs.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
    time::Duration,
};

use serde_json::json;

use crate::engine::{Cost, Costs, timer};

/// Above the rows.
pub(crate) const HEAD: &str = "engine     variant               policies   load, ms  memory, MB   allow p50, ns        p99    deny p50, ns        p99   x yes in turn";

/// One engine in one variant at one size.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row {
    pub(crate) engine: &'static str,
    pub(crate) variant: &'static str,
    pub(crate) policies: usize,
    pub(crate) load: Duration,
    pub(crate) bytes: usize,
    pub(crate) costs: Costs,
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
    /// Tells a row, and keeps it.
    pub(crate) fn add(&mut self, row: Row) {
        println!("{row}");
        self.rows.push(row);
    }

    fn row(&self, engine: &str, variant: &str, policies: usize) -> Option<&Row> {
        self.rows.iter().find(|it| (it.engine, it.variant, it.policies) == (engine, variant, policies))
    }

    pub(crate) fn write(&self) {
        let cost = |it: Cost| json!({ "p50_ns": it.p50, "p99_ns": it.p99 });
        let row = |it: &Row| {
            json!({
                "engine": it.engine, "variant": it.variant, "policies": it.policies,
                "load_ms": it.load.as_secs_f64() * 1e3, "memory_bytes": it.bytes,
                "allow": cost(it.costs.allow), "deny": cost(it.costs.deny), "times_yes_in_turn": it.costs.times_first,
            })
        };
        let rows: Vec<_> = self.rows.iter().map(row).collect();
        let timer = timer().as_nanos() as f64;
        let all = json!({ "timer_ns": timer, "answers_compared": self.compared, "rows": rows });
        fs::create_dir_all(folder()).expect("the folder can be made");
        fs::write(folder().join("decide.json"), format!("{all:#}\n")).expect("the file can be written");
    }

    /// The ratios that everything comes down to; at the end the one that a decision is measured by.
    pub(crate) fn last_lines(&self) -> String {
        let most = self.rows.iter().map(|it| it.policies).max().unwrap_or_default();
        format!(
            "{} answers compared, all as expected; reading the clock takes {:?} and is taken off single calls\n{}\n{}\n{}\n{}",
            self.compared,
            timer(),
            self.dearest(),
            self.as_text(most),
            self.growth(most),
            self.beside_others(most),
        )
    }

    /// Beside the look-up and, where one was asked, the best peer.
    fn beside_others(&self, most: usize) -> String {
        let is_peer = |it: &&Row| !matches!(it.engine, "gatehouse" | "by hand");
        let ours = self.allow("gatehouse", "prepared", most);
        let peers = self.rows.iter().filter(is_peer).filter(|it| it.policies == most);
        let best = peers.map(|it| it.costs.allow.p50).min_by(f64::total_cmp);
        let beside = best.map(|it| format!("   best peer / gatehouse at {most}: {:.1}", it / ours)).unwrap_or_default();
        format!("gatehouse / hand-written at {most}: {:.2}{beside}", self.times("prepared", most)[0])
    }

    /// What the dearest kind of question costs beside the simple yes, at any size, and how dear the simple no is. What explains
    /// everything, and what is asked as text, is no kind of question.
    fn dearest(&self) -> String {
        let by_times = |a: &(f64, &Row), b: &(f64, &Row)| a.0.total_cmp(&b.0);
        let of = |is_it: fn(&str) -> bool, times: fn([f64; 2]) -> f64| {
            let rows = self.rows.iter().filter(|it| it.engine == "gatehouse" && is_it(it.variant));
            let dearest = rows.filter_map(|it| Some((times(it.costs.times_first?), it))).max_by(by_times);
            dearest.map(|(times, row)| format!("{times:.2} ({} at {})", row.variant, row.policies)).unwrap_or_default()
        };
        let other = of(|it| it.starts_with("prepared,"), |[yes, no]| yes.max(no));
        let denial = of(|it| it == "prepared", |[yes, no]| no / yes);
        format!("at most times the simple yes: {other}; its no: {denial}")
    }

    /// What it costs that everything is text, and each fact more.
    fn as_text(&self, most: usize) -> String {
        let [few, many] = ["text, 4 facts", "text, 54 facts"].map(|it| self.times(it, most)[0]);
        let each = (many - few) * self.allow("gatehouse", "prepared", most) / 50.0;
        format!("text with 4 facts / prepared at {most}: {few:.2}, and each fact more {each:.1} ns")
    }

    /// From the smallest size to the largest.
    fn growth(&self, most: usize) -> String {
        let least = self.rows.iter().map(|it| it.policies).min().unwrap_or_default();
        let grown = |engine, variant| self.allow(engine, variant, most) / self.allow(engine, variant, least);
        let (ours, hand) = (grown("gatehouse", "prepared"), grown("by hand", "hash map"));
        format!("growth {least} -> {most}: gatehouse {ours:.2}, by hand {hand:.2}, ratio {:.2}", ours / hand)
    }

    fn allow(&self, engine: &str, variant: &str, policies: usize) -> f64 {
        self.row(engine, variant, policies).map_or(f64::NAN, |it| it.costs.allow.p50)
    }

    /// How often the yes that was asked in turn fits into a yes and a no.
    fn times(&self, variant: &str, policies: usize) -> [f64; 2] {
        self.row("gatehouse", variant, policies).and_then(|it| it.costs.times_first).unwrap_or([f64::NAN; 2])
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (load, memory) = (self.load.as_secs_f64() * 1e3, self.bytes as f64 / 1e6);
        write!(f, "{:<10} {:<20} {:>9} {load:>10.1} {memory:>11.2} ", self.engine, self.variant, self.policies)?;
        for it in [self.costs.allow, self.costs.deny] {
            write!(f, " {:>14.0} {:>10.0}", it.p50, it.p99)?;
        }
        self.costs.times_first.map_or(Ok(()), |[yes, no]| write!(f, "      {yes:.2}, {no:.2}"))
    }
}
