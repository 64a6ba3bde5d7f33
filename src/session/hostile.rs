//! What peers must not do to a session: frames that are none, data without credit, offsets that go back, floods.

use proptest::prelude::*;

use crate::{
    limits::FRAME_BYTES_MAX,
    session::{
        client::{self, Client, Ended},
        core::{self, Action, Core, Limits, OPENS_PER_SECOND_MAX, Output, Over, STREAMS_MAX},
        flow::WINDOW_BYTES,
        frame::{
            Credit, DATA_BYTES_MAX, Exit, Frame, FrameError, Opened, SIGNAL_BYTES_MAX, Size, Stream, TEXT_BYTES_MAX,
        },
    },
};

const OPENED: Opened = Opened { decision: [7; 16], revision: 3 };
const ALL: Credit = Credit { consumed: 0, window: 100 };

fn frame() -> impl Strategy<Value = Frame> {
    let data = || prop_oneof![prop::collection::vec(any::<u8>(), 1..20), Just(vec![9; DATA_BYTES_MAX])];
    let text = || prop_oneof![any::<String>(), Just("é".repeat(TEXT_BYTES_MAX / 2))];
    let signal = || "[A-Z0-9]{1,64}";
    let exit = prop_oneof![
        any::<u32>().prop_map(Exit::Code),
        signal().prop_map(Exit::Signal),
        text().prop_map(Exit::Policy),
        text().prop_map(Exit::Lost),
    ];
    let id = any::<Stream>;
    prop_oneof![
        (id(), data()).prop_map(|(id, it)| Frame::Stdin(id, it)),
        (id(), data()).prop_map(|(id, it)| Frame::Stdout(id, it)),
        (id(), data()).prop_map(|(id, it)| Frame::Stderr(id, it)),
        (id(), data()).prop_map(|(id, it)| Frame::Open(id, it)),
        (id(), exit).prop_map(|(id, it)| Frame::Exit(id, it)),
        (id(), any::<[u16; 2]>()).prop_map(|(id, [columns, rows])| Frame::Resize(id, Size { columns, rows })),
        (id(), signal()).prop_map(|(id, it)| Frame::Signal(id, it)),
        id().prop_map(Frame::Eof),
        (id(), any::<(u64, u32)>()).prop_map(|(id, (consumed, window))| Frame::Credit(id, Credit { consumed, window })),
        (id(), any::<([u8; 16], u64)>())
            .prop_map(|(id, (decision, revision))| Frame::Opened(id, Opened { decision, revision })),
        (id(), text()).prop_map(|(id, it)| Frame::Refused(id, it)),
        text().prop_map(Frame::Notice),
        any::<[u8; 8]>().prop_map(Frame::Ping),
        any::<[u8; 8]>().prop_map(Frame::Pong),
        text().prop_map(Frame::Close),
    ]
}

proptest! {
    #[test]
    fn a_frame_is_read_as_it_was_written(frame in frame()) {
        let message = frame.encode().unwrap();
        prop_assert!(message.len() <= FRAME_BYTES_MAX);
        prop_assert_eq!(Frame::decode(&message), Ok(Some(frame)));
    }

    #[test]
    fn what_is_read_is_written_the_same(mut message in prop::collection::vec(any::<u8>(), 0..40), kind in 0_u8..13) {
        if let Some(first) = message.first_mut() {
            *first = kind;
        }
        if let [_, flags, ..] = message.as_mut_slice() {
            *flags &= 1;
        }
        if let Ok(Some(frame)) = Frame::decode(&message) {
            message[1] = 0;
            prop_assert_eq!(frame.encode(), Ok(message));
        }
    }

    /// Whatever a client sends, the core neither panics nor holds much, and ends soon when it was nonsense.
    #[test]
    fn any_frames_at_all_are_survived(frames in prop::collection::vec(frame(), 0..60)) {
        let mut core = live();
        let mut client = Client::new(0);
        for (now_ms, frame) in (1..).zip(frames) {
            core.handle(now_ms, core::Event::Frame(frame.clone()));
            client.handle(now_ms, client::Event::Frame(frame));
            prop_assert!(core.held_bytes() <= (WINDOW_BYTES as usize + 384 * 1024) * STREAMS_MAX * 2);
            while core.next_action().is_some() {}
        }
        core.handle(100, core::Event::Gone);
        client.handle(100, client::Event::Gone(String::new()));
        prop_assert!(core.over().is_some() && client.is_over());
    }
}

#[test]
fn malformed_messages_are_told_apart() {
    let over = |length| [vec![0; 4], vec![1; length]].concat();
    for (message, error) in [
        (vec![], FrameError::NoHeader(0)),
        (vec![0, 0, 0], FrameError::NoHeader(3)),
        (over(FRAME_BYTES_MAX - 3), FrameError::TooLarge(FRAME_BYTES_MAX + 1)),
        (vec![15, 0, 0, 0], FrameError::UnknownType(15)),
        (vec![12, 0, 0, 0], FrameError::UnknownType(12)),
        (vec![13, 2, 0, 0], FrameError::UnknownType(13)),
        (vec![254, 0xfe, 0, 0, 1], FrameError::UnknownType(254)),
        (vec![6, 2, 0, 0], FrameError::UnknownFlags { frame_type: 6, flags: 2 }),
        (vec![6, 0x81, 0, 0], FrameError::UnknownFlags { frame_type: 6, flags: 0x81 }),
        (vec![10, 0, 0, 1, b'x'], FrameError::StreamNotZero { frame_type: 10, stream: 1 }),
        (vec![255, 0, 1, 0], FrameError::StreamNotZero { frame_type: 255, stream: 256 }),
        (vec![0, 0, 0, 0], FrameError::Malformed { frame_type: 0, bytes: 0 }),
        (vec![8, 0, 0, 0], FrameError::Malformed { frame_type: 8, bytes: 0 }),
        (vec![3, 0, 0, 0], FrameError::Malformed { frame_type: 3, bytes: 0 }),
        (vec![3, 0, 0, 0, 0, 0, 0, 0], FrameError::Malformed { frame_type: 3, bytes: 4 }),
        (vec![3, 0, 0, 0, 0, 0, 0, 0, 0, 0], FrameError::Malformed { frame_type: 3, bytes: 6 }),
        (vec![3, 0, 0, 0, 1], FrameError::Malformed { frame_type: 3, bytes: 1 }),
        (vec![3, 0, 0, 0, 4, b'x'], FrameError::Malformed { frame_type: 3, bytes: 2 }),
        (vec![4, 0, 0, 0, 0, 80, 0], FrameError::Malformed { frame_type: 4, bytes: 3 }),
        (vec![4, 0, 0, 0, 0, 80, 0, 24, 0], FrameError::Malformed { frame_type: 4, bytes: 5 }),
        (vec![5, 0, 0, 0, b'\n'], FrameError::Malformed { frame_type: 5, bytes: 1 }),
        (vec![6, 0, 0, 0, 0], FrameError::Malformed { frame_type: 6, bytes: 1 }),
        (vec![7, 0, 0, 0, 1, 2, 3], FrameError::Malformed { frame_type: 7, bytes: 3 }),
        (vec![9, 0, 0, 0, 2], FrameError::Malformed { frame_type: 9, bytes: 1 }),
        (vec![9, 0, 0, 0, 1, 0], FrameError::Malformed { frame_type: 9, bytes: 2 }),
        (vec![10, 0, 0, 0, 0xff], FrameError::Malformed { frame_type: 10, bytes: 1 }),
        (vec![11, 0, 0, 0, 0, 1, 2], FrameError::Malformed { frame_type: 11, bytes: 3 }),
        (vec![11, 0, 0, 0, 2, 1, 2, 3, 4, 5, 6, 7, 8], FrameError::Malformed { frame_type: 11, bytes: 9 }),
    ] {
        assert_eq!(Frame::decode(&message), Err(error), "{:?}", &message[..message.len().min(16)]);
    }
    let long = [vec![10, 0, 0, 0], vec![b'x'; TEXT_BYTES_MAX + 1]].concat();
    assert_eq!(Frame::decode(&long), Err(FrameError::Malformed { frame_type: 10, bytes: TEXT_BYTES_MAX + 1 }));
}

#[test]
fn unknown_types_are_ignored_only_when_their_sender_says_so() {
    for kind in (12..255).filter(|it| *it != 255) {
        assert_eq!(Frame::decode(&[kind, 1, 9, 9, 1]), Ok(None));
        assert_eq!(Frame::decode(&[kind, 0, 9, 9, 1]), Err(FrameError::UnknownType(kind)));
    }
    // Flags of a later version beside `SKIP`.
    assert_eq!(Frame::decode(&[200, 0xff, 0, 0]), Ok(None));
}

#[test]
fn what_could_not_be_read_is_not_written() {
    let long = "x".repeat(SIGNAL_BYTES_MAX + 1);
    for frame in [
        Frame::Stdin(0, Vec::new()),
        Frame::Open(0, Vec::new()),
        Frame::Stdout(0, vec![0; DATA_BYTES_MAX + 1]),
        Frame::Signal(0, String::new()),
        Frame::Signal(0, "TE RM".to_owned()),
        Frame::Signal(0, long),
        Frame::Exit(0, Exit::Signal("\u{1b}[2J".to_owned())),
    ] {
        assert!(frame.encode().is_err(), "{frame:?}");
    }
    let cut = Frame::Notice("é".repeat(TEXT_BYTES_MAX)).encode().unwrap();
    assert_eq!(Frame::decode(&cut), Ok(Some(Frame::Notice("é".repeat(TEXT_BYTES_MAX / 2)))));
}

/// A core whose stream 0 is open, with everything sent that it has to say.
fn live() -> Core {
    let mut core = Core::new(0, Limits::default(), OPENED);
    core.handle(0, core::Event::Opened(0));
    while core.next_frame(0).is_some() {}
    while core.next_action().is_some() {}
    core
}

fn frames(core: &mut Core) -> Vec<Frame> {
    std::iter::from_fn(|| core.next_frame(1)).collect()
}

fn actions(core: &mut Core) -> Vec<Action> {
    std::iter::from_fn(|| core.next_action()).collect()
}

#[test]
fn a_client_that_breaks_the_protocol_loses_the_session() {
    let cases: Vec<(Vec<Frame>, &str)> = vec![
        (vec![Frame::Stdin(0, vec![0; 140_000]); 2], "140000 bytes of data beyond the credit at offset 262144"),
        (vec![Frame::Credit(0, Credit { consumed: 1, window: 9 })], "credit for 1 consumed bytes of 0 that were sent"),
        (vec![Frame::Credit(0, ALL), Frame::Credit(0, Credit { consumed: 0, window: 99 })], "credit that goes back"),
        (vec![Frame::Stdin(1, vec![1])], "stream 1 was not opened"),
        (vec![Frame::Credit(9, ALL)], "stream 9 was not opened"),
        (vec![Frame::Open(0, vec![1])], "stream 0 is opened out of order"),
        (vec![Frame::Open(5, vec![1]), Frame::Open(4, vec![1])], "stream 4 is opened out of order"),
        (vec![Frame::Eof(0), Frame::Stdin(0, vec![1])], "data behind the end of stream 0"),
        (vec![Frame::Eof(0), Frame::Eof(0)], "data behind the end of stream 0"),
        (vec![Frame::Stdout(0, vec![1])], "a frame that only the server sends"),
        (vec![Frame::Exit(0, Exit::Code(0))], "a frame that only the server sends"),
        (vec![Frame::Opened(1, OPENED)], "a frame that only the server sends"),
        (vec![Frame::Notice("hello".to_owned())], "a frame that only the server sends"),
        (vec![Frame::Signal(0, "INT".to_owned()); 18], "too many signals on stream 0"),
    ];
    for (sent, why) in cases {
        let mut core = live();
        for frame in sent {
            core.handle(1, core::Event::Frame(frame));
        }
        let why = format!("protocol error: {why}");
        let said = frames(&mut core);
        assert!(said.contains(&Frame::Exit(0, Exit::Lost(why.clone()))), "{why}: {said:?}");
        assert_eq!(said.last(), Some(&Frame::Close(why.clone())));
        assert!(actions(&mut core).contains(&Action::Shut(0)), "{why}");
        assert_eq!(core.over(), None, "it reads on until the client has closed");
        core.handle(1, core::Event::Frame(Frame::Close(String::new())));
        assert_eq!(core.over(), Some(&Over::Protocol(why)));
    }
}

#[test]
fn a_message_that_is_no_frame_loses_the_session() {
    let mut core = live();
    core.handle(1, core::Event::Malformed(FrameError::UnknownType(99)));
    let why = "protocol error: unknown frame type 99".to_owned();
    assert_eq!(frames(&mut core), [Frame::Exit(0, Exit::Lost(why.clone())), Frame::Close(why.clone())]);
    // It does not close: after a while it is over all the same.
    core.handle(4_999, core::Event::Tick);
    assert_eq!(core.over(), None);
    core.handle(5_001, core::Event::Tick);
    assert_eq!(core.over(), Some(&Over::Protocol(why)));
}

#[test]
fn a_server_that_breaks_the_protocol_is_left() {
    let opened = Frame::Opened(0, OPENED);
    let cases: Vec<(Vec<Frame>, &str)> = vec![
        (vec![Frame::Stdout(0, vec![1])], "a frame out of order on stream 0"),
        (vec![opened.clone(), Frame::Stdout(0, vec![1; 60_000])], "60000 bytes of data beyond the credit at offset 0"),
        (vec![opened.clone(), opened.clone()], "a frame out of order on stream 0"),
        (vec![opened.clone(), Frame::Eof(0), Frame::Stdout(0, vec![1])], "a frame out of order on stream 0"),
        (vec![Frame::Credit(3, ALL)], "stream 3 was not asked for"),
        (vec![Frame::Stdin(0, vec![1])], "a frame that only the client sends"),
        (
            vec![opened.clone(), Frame::Credit(0, Credit { consumed: 2, window: 1 })],
            "credit for 2 consumed bytes of 0 that were sent",
        ),
        (vec![Frame::Notice(String::new()); 65], "more than was asked for"),
    ];
    for (sent, why) in cases {
        let mut client = Client::new(0);
        for frame in sent {
            client.handle(1, client::Event::Frame(frame));
        }
        let why = format!("protocol error: {why}");
        let ended = std::iter::from_fn(|| client.next_output())
            .find_map(|it| if let client::Output::Ended(0, ended) = it { Some(ended) } else { None });
        assert_eq!(ended, Some(Ended::Exit(Exit::Lost(why.clone()))));
        assert_eq!(client.next_frame(), Some(Frame::Close(why)));
        client.handle(2_002, client::Event::Tick);
        assert!(client.is_over());
    }
}

#[test]
fn an_instance_that_breaks_the_protocol_loses_its_stream() {
    for event in [core::Event::Data(0, Output::Stdout, vec![0; 256 * 1024 + 1]), core::Event::Closed(0)] {
        let mut core = live();
        core.handle(1, event);
        assert!(matches!(frames(&mut core).as_slice(), [Frame::Exit(0, Exit::Lost(_))]));
        assert_eq!(actions(&mut core), [Action::Shut(0)]);
    }
    // Data that nobody asked for.
    let mut core = live();
    core.handle(1, core::Event::Frame(Frame::Credit(0, ALL)));
    core.handle(1, core::Event::Data(0, Output::Stdout, vec![1; 128 * 1024]));
    core.handle(1, core::Event::Data(0, Output::Stdout, vec![1]));
    assert_eq!(actions(&mut core), [Action::Shut(0)]);
    // A signal whose name would be an escape sequence on the person's terminal.
    let mut core = live();
    core.handle(1, core::Event::Exited(0, Exit::Signal("\u{1b}]0;x".to_owned())));
    core.handle(1, core::Event::Closed(0));
    assert!(matches!(frames(&mut core).as_slice(), [Frame::Exit(0, Exit::Lost(_))]));
}

#[test]
fn every_request_asks_a_decision_of_its_own() {
    let mut core = live();
    core.handle(1, core::Event::Frame(Frame::Open(1, b"first".to_vec())));
    core.handle(1, core::Event::Frame(Frame::Open(2, b"second".to_vec())));
    assert_eq!(actions(&mut core), [Action::Decide(1, b"first".to_vec()), Action::Decide(2, b"second".to_vec())]);
    core.handle(2, core::Event::Refused(1, "missing claim \"permit exec\"".to_owned()));
    assert_eq!(actions(&mut core), []);
    core.handle(2, core::Event::Opened(1));
    core.handle(2, core::Event::Allowed(1, OPENED));
    assert_eq!(actions(&mut core), [], "a refusal stands");
    assert_eq!(frames(&mut core), [Frame::Refused(1, "missing claim \"permit exec\"".to_owned())]);
    core.handle(3, core::Event::Opened(2));
    assert_eq!(frames(&mut core), [], "the instance cannot open what the gate has not");
    core.handle(3, core::Event::Allowed(2, OPENED));
    assert_eq!(actions(&mut core), [Action::Open(2)]);
    core.handle(3, core::Event::Opened(2));
    assert_eq!(frames(&mut core).first(), Some(&Frame::Opened(2, OPENED)));
}

#[test]
fn requests_are_bounded_at_a_time_and_by_the_second() {
    let mut core = live();
    let open = |stream| core::Event::Frame(Frame::Open(stream, b"x".to_vec()));
    for stream in 1..=10 {
        core.handle(1, open(stream));
    }
    let refused = Frame::Refused(10, "a session has at most 10 streams at a time".to_owned());
    assert_eq!(frames(&mut core), [refused]);
    assert_eq!(actions(&mut core).len(), STREAMS_MAX - 1);
    for stream in 11..=u16::try_from(OPENS_PER_SECOND_MAX).unwrap() + 1 {
        frames(&mut core);
        core.handle(2, open(stream));
    }
    assert_eq!(
        frames(&mut core).last(),
        Some(&Frame::Close("protocol error: too many requests on one session".to_owned()))
    );
}

#[test]
fn a_client_that_floods_with_pings_is_answered_once() {
    let mut core = live();
    for number in 0..100_000_u64 {
        core.handle(1, core::Event::Frame(Frame::Ping(number.to_be_bytes())));
    }
    assert_eq!(frames(&mut core), [Frame::Pong(99_999_u64.to_be_bytes())]);
}
