//! The two cores against each other and a fake instance, over bounded pipes, under schedules that nobody would think of.

use std::collections::{BTreeMap, VecDeque};

use proptest::prelude::*;

use crate::session::{
    client::{self, Client, Ended},
    core::{self, Action, Core, Limits, Over},
    flow::WINDOW_BYTES,
    frame::{Exit, Frame, Opened, Size, Stream},
};

const OPENED: Opened = Opened { decision: [7; 16], revision: 3 };
/// As `Core::held_bytes` promises.
const HELD_BYTES_MAX: usize = WINDOW_BYTES as usize + 384 * 1024;

/// What one stream's process does and what its caller gives it.
#[derive(Debug, Clone)]
struct Script {
    stdin: Vec<u8>,
    /// Pieces, true for standard error.
    output: Vec<(bool, Vec<u8>)>,
    exit: Exit,
    /// Says how it ended before its last output, as SSH allows.
    early_exit: bool,
    reads_stdin: bool,
}

/// The fake instance's end of a stream.
#[derive(Debug)]
struct Process {
    output: VecDeque<(bool, Vec<u8>)>,
    stdin: Vec<u8>,
    stdin_ended: bool,
    ended: bool,
    exit: Option<Exit>,
    size: Option<Size>,
}

/// What the person at the other end has seen of a stream.
#[derive(Debug, Default)]
struct Seen {
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    ended: Option<Ended>,
}

struct World {
    core: Core,
    client: Client,
    to_server: VecDeque<Vec<u8>>,
    to_client: VecDeque<Vec<u8>>,
    pipe_frames: usize,
    pending: VecDeque<Action>,
    processes: BTreeMap<Stream, Process>,
    scripts: BTreeMap<Stream, Script>,
    unfed: BTreeMap<Stream, Vec<u8>>,
    seen: BTreeMap<Stream, Seen>,
    waiting: BTreeMap<Stream, VecDeque<(bool, Vec<u8>)>>,
    stuck: Option<Stream>,
    now_ms: u64,
}

impl World {
    fn new(scripts: Vec<Script>, pipe_frames: usize) -> Self {
        let scripts: BTreeMap<Stream, Script> = (0..).zip(scripts).collect();
        let mut client = Client::new(0);
        for stream in scripts.keys().filter(|it| **it != 0) {
            client.handle(0, client::Event::Open(*stream, b"{}".to_vec()));
        }
        Self {
            core: Core::new(0, Limits::default(), OPENED),
            client,
            to_server: VecDeque::new(),
            to_client: VecDeque::new(),
            pipe_frames,
            pending: VecDeque::new(),
            processes: BTreeMap::new(),
            unfed: scripts.iter().map(|(stream, it)| (*stream, it.stdin.clone())).collect(),
            seen: scripts.keys().map(|it| (*it, Seen::default())).collect(),
            waiting: BTreeMap::new(),
            scripts,
            stuck: None,
            now_ms: 0,
        }
    }

    /// One step; true when something happened.
    fn step(&mut self, choice: u8) -> bool {
        let extra = usize::from(choice / 8);
        let happened = match choice % 8 {
            0 => self.client_sends(),
            1 => self.server_receives(),
            2 => self.server_sends(),
            3 => self.client_receives(),
            4 | 5 => self.instance_acts(extra),
            6 => self.person_types(extra * 997 + 1),
            _ => self.person_reads(extra * 1_499 + 1),
        };
        while let Some(action) = self.core.next_action() {
            self.pending.push_back(action);
        }
        self.now_ms += 1;
        let held = self.core.held_bytes();
        assert!(held <= HELD_BYTES_MAX * self.scripts.len(), "the core holds {held} bytes");
        for (stream, waiting) in &self.waiting {
            let held: usize = waiting.iter().map(|(_, it)| it.len()).sum();
            assert!(held <= WINDOW_BYTES as usize, "stream {stream} of the client holds {held} bytes");
        }
        happened
    }

    fn client_sends(&mut self) -> bool {
        if self.pipe_frames <= self.to_server.len() {
            return false;
        }
        let Some(frame) = self.client.next_frame() else { return false };
        self.to_server.push_back(frame.encode().unwrap());
        true
    }

    fn server_receives(&mut self) -> bool {
        let Some(message) = self.to_server.pop_front() else { return false };
        let frame = Frame::decode(&message).unwrap().unwrap();
        self.core.handle(self.now_ms, core::Event::Frame(frame));
        true
    }

    fn server_sends(&mut self) -> bool {
        if self.pipe_frames <= self.to_client.len() {
            return false;
        }
        let Some(frame) = self.core.next_frame(self.now_ms) else { return false };
        self.to_client.push_back(frame.encode().unwrap());
        true
    }

    fn client_receives(&mut self) -> bool {
        let Some(message) = self.to_client.pop_front() else { return false };
        let frame = Frame::decode(&message).unwrap().unwrap();
        self.client.handle(self.now_ms, client::Event::Frame(frame));
        while let Some(output) = self.client.next_output() {
            match output {
                client::Output::Stdout(stream, bytes) => self.arrived(stream, false, bytes),
                client::Output::Stderr(stream, bytes) => self.arrived(stream, true, bytes),
                client::Output::Ended(stream, ended) => {
                    let before = self.seen.get_mut(&stream).unwrap().ended.replace(ended);
                    assert_eq!(before, None, "stream {stream} ended twice");
                }
                client::Output::Opened(_) | client::Output::Eof(_) => (),
                client::Output::Notice(text) => panic!("{text}"),
            }
        }
        if self.seen.values().all(|it| it.ended.is_some()) {
            self.client.handle(self.now_ms, client::Event::Close);
        }
        true
    }

    fn arrived(&mut self, stream: Stream, is_error: bool, bytes: Vec<u8>) {
        assert!(self.seen[&stream].ended.is_none(), "output behind the exit");
        self.waiting.entry(stream).or_default().push_back((is_error, bytes));
    }

    fn person_reads(&mut self, bytes: usize) -> bool {
        let mut happened = false;
        for (stream, waiting) in &mut self.waiting {
            if Some(*stream) == self.stuck {
                continue;
            }
            let Some((is_error, data)) = waiting.front_mut() else { continue };
            let count = bytes.min(data.len());
            let part: Vec<u8> = data.drain(..count).collect();
            let seen = self.seen.get_mut(stream).unwrap();
            if *is_error {
                seen.stderr.extend(part);
            } else {
                seen.stdout.extend(part);
            }
            if data.is_empty() {
                waiting.pop_front();
            }
            self.client.handle(self.now_ms, client::Event::Wrote(*stream, count));
            happened = true;
        }
        happened
    }

    fn person_types(&mut self, bytes: usize) -> bool {
        let mut happened = false;
        for (stream, unfed) in &mut self.unfed {
            let count = self.client.room(*stream).min(bytes).min(unfed.len());
            if 0 < count {
                let part = unfed.drain(..count).collect();
                self.client.handle(self.now_ms, client::Event::Stdin(*stream, part));
                happened = true;
            }
        }
        let done: Vec<Stream> = self.unfed.iter().filter(|(_, it)| it.is_empty()).map(|(stream, _)| *stream).collect();
        for stream in done {
            self.unfed.remove(&stream);
            self.client.handle(self.now_ms, client::Event::StdinEnded(stream));
            self.client.handle(self.now_ms, client::Event::Resize(stream, Size { columns: 80, rows: 24 }));
            happened = true;
        }
        happened
    }

    /// Performs one of the pending actions, in any order: the core must not depend on theirs.
    fn instance_acts(&mut self, which: usize) -> bool {
        let mut blocked = VecDeque::new();
        let count = self.pending.len();
        for at in 0..count {
            let action = self.pending.remove((which + at) % self.pending.len().max(1)).unwrap();
            match self.perform(action) {
                Ok(event) => {
                    if let Some(event) = event {
                        self.core.handle(self.now_ms, event);
                    }
                    self.pending.extend(blocked);
                    return true;
                }
                Err(action) => blocked.push_back(action),
            }
        }
        self.pending.extend(blocked);
        false
    }

    fn perform(&mut self, action: Action) -> Result<Option<core::Event>, Action> {
        Ok(Some(match action {
            Action::Decide(stream, _) => core::Event::Allowed(stream, OPENED),
            Action::Open(stream) => {
                let script = &self.scripts[&stream];
                let process = Process {
                    output: script.output.iter().cloned().collect(),
                    stdin: Vec::new(),
                    stdin_ended: false,
                    ended: false,
                    exit: Some(script.exit.clone()),
                    size: None,
                };
                assert!(self.processes.insert(stream, process).is_none(), "stream {stream} was opened twice");
                core::Event::Opened(stream)
            }
            Action::Read(stream) => return self.read(stream).map(Some).ok_or(Action::Read(stream)),
            Action::Write(stream, bytes) => {
                if !self.scripts[&stream].reads_stdin {
                    return Err(Action::Write(stream, bytes));
                }
                self.processes.get_mut(&stream).unwrap().stdin.extend(bytes);
                core::Event::Wrote(stream)
            }
            Action::WriteEof(stream) => {
                self.processes.get_mut(&stream).unwrap().stdin_ended = true;
                core::Event::Wrote(stream)
            }
            Action::Resize(stream, size) => {
                self.processes.get_mut(&stream).unwrap().size = Some(size);
                core::Event::Controlled(stream)
            }
            Action::Signal(stream, _) => core::Event::Controlled(stream),
            Action::Shut(stream) => {
                self.pending.retain(|it| match it {
                    Action::Decide(id, _) | Action::Write(id, _) | Action::Resize(id, _) | Action::Signal(id, _) => {
                        *id != stream
                    }
                    Action::Open(id) | Action::Read(id) | Action::WriteEof(id) | Action::Shut(id) => *id != stream,
                });
                return Ok(None);
            }
        }))
    }

    fn read(&mut self, stream: Stream) -> Option<core::Event> {
        let script = &self.scripts[&stream];
        let process = self.processes.get_mut(&stream).unwrap();
        if process.output.len() <= 1
            && script.early_exit
            && let Some(exit) = process.exit.take()
        {
            return Some(core::Event::Exited(stream, exit));
        }
        if let Some((is_error, bytes)) = process.output.pop_front() {
            let output = if is_error { core::Output::Stderr } else { core::Output::Stdout };
            return Some(core::Event::Data(stream, output, bytes));
        }
        // It waits for its terminal's size too, which is sent last: who has ended has no use for it.
        if script.reads_stdin && (!process.stdin_ended || process.size.is_none()) {
            return None;
        }
        if !std::mem::replace(&mut process.ended, true) {
            return Some(core::Event::OutputEnded(stream));
        }
        match process.exit.take() {
            Some(exit) => Some(core::Event::Exited(stream, exit)),
            None => Some(core::Event::Closed(stream)),
        }
    }

    /// Fair from here on; the number of steps is bounded by the number of bytes.
    fn settle(&mut self) {
        for _ in 0..1_000_000 {
            let mut happened = false;
            for choice in 0..8 {
                happened |= self.step(choice + 8 * 31);
            }
            if !happened {
                return;
            }
        }
        panic!("it does not come to rest");
    }

    fn check(&self) {
        for (stream, script) in &self.scripts {
            let seen = &self.seen[stream];
            let said = |error| -> Vec<u8> {
                script.output.iter().filter(|(it, _)| *it == error).flat_map(|(_, it)| it.clone()).collect()
            };
            assert!(seen.stdout == said(false), "stdout of {stream}");
            assert!(seen.stderr == said(true), "stderr of {stream}");
            assert_eq!(seen.ended, Some(Ended::Exit(script.exit.clone())));
            if script.reads_stdin {
                assert!(self.processes[stream].stdin == script.stdin, "stdin of {stream}");
                assert_eq!(self.processes[stream].size, Some(Size { columns: 80, rows: 24 }));
            }
        }
        assert_eq!(self.core.over(), Some(&Over::Finished));
        assert!(self.client.is_over());
    }
}

fn bytes(length: usize, seed: u8) -> Vec<u8> {
    (0_u32..).map(|at| at.wrapping_mul(2_654_435_761).to_be_bytes()[0] ^ seed).take(length).collect()
}

fn script() -> impl Strategy<Value = Script> {
    let piece = (any::<bool>(), prop_oneof![0_usize..3, 0_usize..5_000, 100_000_usize..262_144], any::<u8>());
    let exit = prop_oneof![
        any::<u32>().prop_map(Exit::Code),
        Just(Exit::Signal("TERM".to_owned())),
        Just(Exit::Lost("connection lost".to_owned())),
    ];
    (
        prop_oneof![Just(0_usize), 1_usize..1_000, 200_000_usize..400_000],
        prop::collection::vec(piece, 0..6),
        exit,
        any::<bool>(),
        prop::bool::weighted(0.8),
    )
        .prop_map(|(stdin, pieces, exit, early_exit, reads_stdin)| Script {
            stdin: bytes(stdin, 1),
            output: pieces.into_iter().map(|(error, length, seed)| (error, bytes(length, seed))).collect(),
            exit,
            early_exit,
            reads_stdin,
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn every_byte_arrives_once_and_in_order_and_the_session_ends(
        scripts in prop::collection::vec(script(), 1..4),
        pipe_frames in 1_usize..4,
        schedule in prop::collection::vec(any::<u8>(), 0..2_000),
    ) {
        let mut world = World::new(scripts, pipe_frames);
        for choice in schedule {
            world.step(choice);
        }
        world.settle();
        world.check();
    }
}

#[test]
fn a_reader_that_is_stuck_holds_up_its_own_stream_only() {
    let script = |length: usize| Script {
        stdin: Vec::new(),
        output: vec![(false, bytes(length / 4, 9)); 4],
        exit: Exit::Code(0),
        early_exit: false,
        reads_stdin: true,
    };
    let mut world = World::new(vec![script(900_000), script(900_000)], 2);
    world.stuck = Some(0);
    world.settle();
    assert_eq!(world.seen[&1].ended, Some(Ended::Exit(Exit::Code(0))));
    assert_eq!(world.seen[&1].stdout.len(), 900_000);
    assert_eq!(world.seen[&0].ended, None);
    world.stuck = None;
    world.settle();
    world.check();
}

#[test]
fn a_connection_that_breaks_at_any_step_is_never_a_success() {
    let script = Script {
        stdin: bytes(300_000, 1),
        output: vec![(false, bytes(200_000, 2)); 2],
        exit: Exit::Code(0),
        early_exit: true,
        reads_stdin: true,
    };
    for steps in 0..400_u32 {
        let mut world = World::new(vec![script.clone()], 2);
        for at in 0..steps {
            world.step(u8::try_from(8 * 31 + at % 8).unwrap());
        }
        if world.seen[&0].ended.is_some() {
            return;
        }
        world.client.handle(world.now_ms, client::Event::Gone("reset".to_owned()));
        world.core.handle(world.now_ms, core::Event::Gone);
        let ended = std::iter::from_fn(|| world.client.next_output())
            .find_map(|it| if let client::Output::Ended(0, ended) = it { Some(ended) } else { None });
        assert_eq!(ended.map(|it| it.status()), Some(255), "after {steps} steps");
        assert_eq!(world.core.over(), Some(&Over::ClientGone));
        let shut = std::iter::from_fn(|| world.core.next_action()).collect::<Vec<_>>();
        assert!(shut.iter().all(|it| matches!(it, Action::Shut(0))), "{shut:?}");
    }
    panic!("it never ended");
}
