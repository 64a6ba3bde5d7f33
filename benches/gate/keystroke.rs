//! How long a keystroke takes to the far end's `cat` and back, through a terminal at either end.

use std::{
    fs::File,
    io::{Read, Write},
    os::fd::OwnedFd,
    time::Instant,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::{Mode, OFlags},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
};
use serde_json::{Value, json};

use crate::{
    cluster::read_until,
    goals::Goal,
    statistics::{Rounds, at_rank, compare, median},
    ways::{Client, Way, Ways},
};

/// Each way has a block of keystrokes in each round.
const ROUNDS: usize = 40;
const BLOCK: usize = 25;

/// Longer than any keystroke takes; only a session that hangs reaches it.
const WAIT_MAX: Timespec = Timespec { tv_sec: 30, tv_nsec: 0 };

/// An open session at a terminal.
struct Session {
    leader: File,
    _client: Client,
}

impl Session {
    fn open(ways: &Ways, way: Way) -> Self {
        let leader = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&leader).unwrap();
        unlockpt(&leader).unwrap();
        let name = ptsname(&leader, Vec::new()).unwrap();
        let follower = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let follower: OwnedFd = rustix::fs::open(&name, follower, Mode::empty()).unwrap();
        let mut command = ways.command(way, true, &["sh", "-c", "stty raw -echo; echo ready; exec cat"]);
        command.stdin(follower.try_clone().unwrap()).stdout(follower);
        let client = Client(command.spawn().unwrap());
        let mut leader = File::from(leader);
        read_until(&mut leader, "ready");
        let mut res = Self { leader, _client: client };
        // What is left of the line comes before the first keystroke does.
        res.write(b'!');
        while res.read() != b'!' {}
        res
    }

    /// Microseconds from the key to its echo.
    fn keystroke(&mut self) -> f64 {
        let start = Instant::now();
        self.write(b'x');
        assert_eq!(self.read(), b'x');
        start.elapsed().as_secs_f64() * 1e6
    }

    fn write(&mut self, byte: u8) {
        self.leader.write_all(&[byte]).unwrap();
    }

    fn read(&mut self) -> u8 {
        let ready = poll(&mut [PollFd::new(&self.leader, PollFlags::IN)], Some(&WAIT_MAX)).unwrap();
        assert_eq!(ready, 1, "a keystroke did not come back");
        let mut byte = [0];
        self.leader.read_exact(&mut byte).unwrap();
        let [byte] = byte;
        byte
    }
}

pub fn measure(ways: &Ways) -> (Value, Vec<Goal>) {
    let mut sessions = Way::ALL.map(|way| Session::open(ways, way));
    let mut times: [Rounds; 3] = Default::default();
    for _ in 0..ROUNDS {
        for (session, times) in sessions.iter_mut().zip(&mut times) {
            // The first one after the others' turn finds cold caches, as it would after a pause; it is one of the block.
            times.push((0..BLOCK).map(|_| session.keystroke()).collect());
        }
    }
    println!("\nkeystroke: a byte to `cat` and back, {} of each way", ROUNDS * BLOCK);
    println!("  {:<8} {:>9} {:>9}   p50 added to ssh, us", "", "p50, us", "p99, us");
    let [direct, _, ours] = &times;
    let mut rows = Vec::new();
    for (way, times) in Way::ALL.into_iter().zip(&times) {
        let (p50, p99) = (median(times), at_rank(times.concat(), 99));
        let added = compare(times, direct, |it, base| it - base);
        println!("  {way:<8} {p50:>9.0} {p99:>9.0}   {added:.0}");
        rows.push(json!({ "way": way.to_string(), "p50_us": p50, "p99_us": p99, "added_us": added.json() }));
    }
    (json!(rows), vec![Goal::at_most("keystroke p50, us added to ssh", median(ours) - median(direct), 200.0)])
}
