//! What the processes of a way cost: processor time and memory, as the kernel counts them.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

/// In `/proc`, whatever the kernel's own clock does (`USER_HZ`).
const TICKS_PER_SECOND: f64 = 100.0;

/// A line of `/proc/PID/stat` (proc(5)).
#[derive(Debug)]
struct Process {
    id: u32,
    parent: u32,
    /// Nobody has waited for it yet; its time still counts.
    has_ended: bool,
    /// Of its own, and of all its children that have ended.
    ticks: u64,
    ticks_of_children: u64,
}

/// All processes below one, without it.
fn below(root: u32) -> Vec<Process> {
    let mut by_parent: BTreeMap<u32, Vec<Process>> = BTreeMap::new();
    for entry in fs::read_dir("/proc").unwrap().map_while(Result::ok) {
        let process = entry.file_name().to_str().and_then(|it| it.parse().ok()).and_then(read);
        if let Some(process) = process {
            by_parent.entry(process.parent).or_default().push(process);
        }
    }
    let mut res = by_parent.remove(&root).unwrap_or_default();
    let mut at = 0;
    while let Some(process) = res.get(at) {
        res.extend(by_parent.remove(&process.id).unwrap_or_default());
        at += 1;
    }
    res
}

/// Ids of all living processes below one.
pub fn ids_below(root: u32) -> BTreeSet<u32> {
    below(root).iter().filter(|it| !it.has_ended).map(|it| it.id).collect()
}

/// Processor time, in seconds, of everything that the bench has started, down to the programs at the far end. Whoever has
/// ended is counted where it was waited for.
pub fn processor_seconds() -> f64 {
    let me = std::process::id();
    let ended = read(me).unwrap().ticks_of_children;
    let alive: u64 = below(me).iter().map(|it| it.ticks + it.ticks_of_children).sum();
    (ended + alive) as f64 / TICKS_PER_SECOND
}

/// Memory of the processes below one that run this program, in KiB.
pub fn memory_below_kib(root: u32, program: &str) -> f64 {
    let runs =
        |id: &u32| fs::read_link(format!("/proc/{id}/exe")).is_ok_and(|it| it.display().to_string().contains(program));
    ids_below(root).into_iter().filter(runs).map(memory_kib).sum()
}

/// Its share of the memory that it uses, in KiB: pages of several processes are divided among them.
pub fn memory_kib(id: u32) -> f64 {
    let text = fs::read_to_string(format!("/proc/{id}/smaps_rollup")).unwrap();
    let line = text.lines().find_map(|it| it.strip_prefix("Pss:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// None if it has ended.
fn read(id: u32) -> Option<Process> {
    let text = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    // A name may have blanks and parentheses in it.
    let (_, tail) = text.rsplit_once(')')?;
    let fields: Vec<&str> = tail.split_ascii_whitespace().collect();
    let number = |at: usize| fields.get(at).and_then(|it| it.parse::<u64>().ok());
    Some(Process {
        id,
        parent: u32::try_from(number(1)?).ok()?,
        has_ended: fields.first() == Some(&"Z"),
        ticks: number(11)? + number(12)?,
        ticks_of_children: number(13)? + number(14)?,
    })
}
