//! How fast many bytes go either way, and what processor time they take in all processes together.

use std::{fs::File, process::Stdio};

use serde_json::{Value, json};

use crate::{
    cluster::eventually,
    goals::Goal,
    processes::{ids_below, processor_seconds},
    statistics::{Rounds, compare, median},
    ways::{Client, Way, Ways},
};

/// What one run carries.
const MEBIBYTES: u32 = 512;

/// Rounds that count, behind one that fills caches.
const ROUNDS: usize = 7;

/// Which way the bytes go, and the program at the far end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Direction {
    Down,
    Up,
}

/// Of one way in one direction: MiB per second, and seconds of processor per GiB.
#[derive(Debug, Default)]
struct Runs {
    rates: Rounds,
    processor: Rounds,
}

pub fn measure(ways: &Ways) -> (Value, Vec<Goal>) {
    let (down, of_down) = direction(ways, Direction::Down);
    let (up, of_up) = direction(ways, Direction::Up);
    (json!({ "down": down, "up": up }), of_down.into_iter().chain(of_up).collect())
}

fn direction(ways: &Ways, direction: Direction) -> (Value, [Goal; 2]) {
    // A file of nothing but a hole: reading it costs the same on all ways, and next to nothing.
    let path = ways.cluster.directory.join("zeros");
    File::create(&path).unwrap().set_len(u64::from(MEBIBYTES) * 1024 * 1024).unwrap();
    let mut all: [Runs; 3] = Default::default();
    for round in 0..=ROUNDS {
        for (way, runs) in Way::ALL.into_iter().zip(&mut all) {
            let (seconds, processor) = run(ways, way, direction, &path);
            if 0 < round {
                runs.rates.push(vec![f64::from(MEBIBYTES) / seconds]);
                runs.processor.push(vec![processor * 1024.0 / f64::from(MEBIBYTES)]);
            }
        }
    }
    let word = if direction == Direction::Down { "down" } else { "up" };
    println!("\nbulk {word}: {MEBIBYTES} MiB, {ROUNDS} rounds; processor: all processes of a way, seconds per GiB");
    println!("  {:<8} {:>9} {:>10}   {:<22} {:<22} proc / ssh", "", "p50 MiB/s", "proc s/GiB", "/ ssh", "/ ssh -J");
    let [direct, jump, ours] = &all;
    let times = |it: f64, base: f64| it / base;
    let mut rows = Vec::new();
    for (way, runs) in Way::ALL.into_iter().zip(&all) {
        let (rate, processor) = (median(&runs.rates), median(&runs.processor));
        let to_direct = compare(&runs.rates, &direct.rates, times);
        let to_jump = compare(&runs.rates, &jump.rates, times);
        let processor_to_direct = compare(&runs.processor, &direct.processor, times);
        println!(
            "  {way:<8} {rate:>9.0} {processor:>10.2}   {:<22} {:<22} {processor_to_direct}",
            to_direct.to_string(),
            to_jump.to_string()
        );
        rows.push(json!({
            "way": way.to_string(), "mib_per_s": rate, "to_ssh": to_direct.json(), "to_ssh_jump": to_jump.json(),
            "processor_s_per_gib": processor, "processor_to_ssh": processor_to_direct.json(),
        }));
    }
    let (to_direct, to_jump) = match direction {
        Direction::Down => ("bulk down, times ssh", "bulk down, times ssh -J"),
        Direction::Up => ("bulk up, times ssh", "bulk up, times ssh -J"),
    };
    let ratio = |base: &Runs| median(&ours.rates) / median(&base.rates);
    (json!(rows), [Goal::at_least(to_direct, ratio(direct), 1.0), Goal::at_least(to_jump, ratio(jump), 2.0)])
}

/// Seconds, and seconds of processor.
fn run(ways: &Ways, way: Way, direction: Direction, zeros: &std::path::Path) -> (f64, f64) {
    let me = std::process::id();
    let (before, processor) = (ids_below(me), processor_seconds());
    let elapsed = match direction {
        Direction::Down => {
            // `head -c` of busybox goes byte by byte, and would be what is measured.
            let count = format!("count={}", MEBIBYTES * 16);
            Client::run(&mut ways.command(way, false, &["dd", "if=/dev/zero", "bs=64k", &count]))
        }
        Direction::Up => {
            let mut command = ways.command(way, false, &["sh", "-c", "exec cat >/dev/null"]);
            Client::run(command.stdin(Stdio::from(File::open(zeros).unwrap())))
        }
    };
    // Servers take leave of a session after its client; only those who have ended are counted in full.
    eventually("the session has ended on all sides", || ids_below(me).is_subset(&before));
    (elapsed.as_secs_f64(), processor_seconds() - processor)
}
