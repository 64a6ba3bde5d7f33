//! How long `true` takes at the far end, from the client's start to its end.

use serde_json::{Value, json};

use crate::{
    goals::Goal,
    statistics::{Rounds, at_rank, compare, median},
    ways::{Client, Way, Ways},
};

/// Rounds that count; the ones before them fill caches.
const ROUNDS: usize = 50;
const WARMING: usize = 3;

pub fn measure(ways: &Ways) -> (Value, Vec<Goal>) {
    let mut times: [Rounds; 3] = Default::default();
    for round in 0..WARMING + ROUNDS {
        for (way, times) in Way::ALL.into_iter().zip(&mut times) {
            let elapsed = Client::run(&mut ways.command(way, false, &["true"]));
            if WARMING <= round {
                times.push(vec![elapsed.as_secs_f64() * 1e3]);
            }
        }
    }
    println!("\nconnect: a whole run of `true`, {ROUNDS} rounds");
    println!("  {:<8} {:>9} {:>9}   p50 / ssh", "", "p50, ms", "p90, ms");
    let [direct, _, ours] = &times;
    let mut rows = Vec::new();
    for (way, times) in Way::ALL.into_iter().zip(&times) {
        let (p50, p90) = (median(times), at_rank(times.concat(), 90));
        let ratio = compare(times, direct, |it, base| it / base);
        println!("  {way:<8} {p50:>9.1} {p90:>9.1}   {ratio:.3}");
        rows.push(json!({ "way": way.to_string(), "p50_ms": p50, "p90_ms": p90, "to_ssh": ratio.json() }));
    }
    let ratio = median(ours) / median(direct);
    (json!(rows), vec![Goal::at_most("connect p50, times ssh", ratio, 0.25)])
}
