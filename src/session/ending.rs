//! How sessions end: by policy, by the clock, by loss; and that nothing is sent after that but the reason.

use crate::session::{
    core::{Action, Core, Event, Limits, Output, Over},
    frame::{Credit, Exit, Frame, Opened},
};

const OPENED: Opened = Opened { decision: [7; 16], revision: 3 };

/// A core whose stream 0 is open and has credit for a hundred bytes.
fn live(limits: Limits) -> Core {
    let mut core = Core::new(0, limits, OPENED);
    core.handle(0, Event::Opened(0));
    core.handle(0, Event::Frame(Frame::Credit(0, Credit { consumed: 0, window: 100 })));
    frames(&mut core);
    while core.next_action().is_some() {}
    core
}

fn frames(core: &mut Core) -> Vec<Frame> {
    std::iter::from_fn(|| core.next_frame(0)).collect()
}

fn actions(core: &mut Core) -> Vec<Action> {
    std::iter::from_fn(|| core.next_action()).collect()
}

#[test]
fn a_revoked_session_sends_nothing_of_what_waits_but_the_reason() {
    let mut core = live(Limits::default());
    core.handle(1, Event::Data(0, Output::Stdout, b"secret".to_vec()));
    core.handle(1, Event::Frame(Frame::Stdin(0, b"rm -r /".to_vec())));
    core.handle(1, Event::Frame(Frame::Open(1, b"x".to_vec())));
    let why = "missing claim \"permit ssh\" since revision 7".to_owned();
    core.handle(1, Event::Revoked(why.clone()));
    assert_eq!(
        frames(&mut core),
        [
            Frame::Notice(why.clone()),
            Frame::Refused(1, why.clone()),
            Frame::Exit(0, Exit::Policy(why.clone())),
            Frame::Close(why.clone()),
        ]
    );
    assert_eq!(
        actions(&mut core),
        [Action::Shut(0), Action::Shut(1)],
        "what waited for the instance does not go there"
    );
    core.handle(2, Event::Data(0, Output::Stdout, b"late".to_vec()));
    core.handle(2, Event::Allowed(1, OPENED));
    core.handle(2, Event::Opened(0));
    assert_eq!((frames(&mut core), actions(&mut core)), (vec![], vec![]));
    // Whether the client closes or just goes, policy was the reason.
    core.handle(3, Event::Gone);
    assert_eq!(core.over(), Some(&Over::Policy(why)));
}

#[test]
fn output_is_drained_before_the_exit_and_a_missing_exit_is_lost() {
    let mut core = live(Limits::default());
    core.handle(1, Event::Data(0, Output::Stdout, vec![1; 150]));
    core.handle(1, Event::Exited(0, Exit::Code(0)));
    core.handle(1, Event::OutputEnded(0));
    core.handle(1, Event::Closed(0));
    assert_eq!(frames(&mut core), [Frame::Stdout(0, vec![1; 100])], "there is credit for no more");
    core.handle(2, Event::Frame(Frame::Credit(0, Credit { consumed: 100, window: 100 })));
    assert_eq!(frames(&mut core), [Frame::Stdout(0, vec![1; 50]), Frame::Eof(0), Frame::Exit(0, Exit::Code(0))]);
    let mut core = live(Limits::default());
    core.handle(1, Event::Closed(0));
    assert_eq!(frames(&mut core), [Frame::Exit(0, Exit::Lost("connection lost".to_owned()))]);
}

#[test]
fn what_was_said_before_the_connection_was_lost_is_delivered() {
    let mut core = live(Limits::default());
    core.handle(1, Event::Data(0, Output::Stderr, b"last words".to_vec()));
    core.handle(1, Event::Lost("reset by peer".to_owned()));
    let why = "connection lost: reset by peer".to_owned();
    assert_eq!(frames(&mut core), [Frame::Stderr(0, b"last words".to_vec()), Frame::Exit(0, Exit::Lost(why.clone()))]);
    core.handle(2, Event::Frame(Frame::Open(1, b"x".to_vec())));
    assert_eq!(frames(&mut core), [Frame::Refused(1, why.clone())]);
    core.handle(3, Event::Frame(Frame::Close(String::new())));
    assert_eq!(frames(&mut core), [Frame::Close(String::new())]);
    assert_eq!(core.over(), Some(&Over::Lost(why)));
}

#[test]
fn a_process_whose_channel_stays_open_is_given_up() {
    let mut core = live(Limits::default());
    core.handle(1, Event::Exited(0, Exit::Code(3)));
    core.handle(core.next_tick_ms(), Event::Tick);
    assert_eq!(frames(&mut core), [Frame::Exit(0, Exit::Code(3))]);
    assert_eq!(actions(&mut core), [Action::Read(0), Action::Shut(0)]);
}

#[test]
fn an_idle_session_is_warned_and_then_ended() {
    let mut core = live(Limits { idle_ms: Some(10_000), total_ms: None });
    core.handle(4_000, Event::Frame(Frame::Stdin(0, b"x".to_vec())));
    core.handle(5_000, Event::Tick);
    assert_eq!(frames(&mut core), []);
    assert_eq!(core.next_tick_ms(), 9_000);
    core.handle(9_000, Event::Tick);
    assert_eq!(frames(&mut core), [Frame::Notice("the session ends in 5 s unless it is used".to_owned())]);
    core.handle(10_000, Event::Data(0, Output::Stdout, b"y".to_vec()));
    frames(&mut core);
    core.handle(19_000, Event::Tick);
    assert_eq!(frames(&mut core), [Frame::Notice("the session ends in 1 s unless it is used".to_owned())]);
    core.handle(20_000, Event::Tick);
    let why = "the session was idle for 10 s, as long as policy allows".to_owned();
    assert!(frames(&mut core).contains(&Frame::Exit(0, Exit::Policy(why))));
}

#[test]
fn pings_are_not_use() {
    let mut core = live(Limits { idle_ms: Some(10_000), total_ms: None });
    core.handle(9_999, Event::Frame(Frame::Ping([0; 8])));
    core.handle(9_999, Event::Frame(Frame::Credit(0, Credit { consumed: 0, window: 200 })));
    core.handle(10_000, Event::Tick);
    assert!(frames(&mut core).iter().any(|it| matches!(it, Frame::Exit(0, Exit::Policy(_)))));
}

#[test]
fn a_session_ends_at_its_greatest_length_however_busy() {
    let mut core = live(Limits { idle_ms: None, total_ms: Some(200_000) });
    for now_s in 1..140 {
        core.handle(now_s * 1_000, Event::Frame(Frame::Stdin(0, b"x".to_vec())));
        core.handle(now_s * 1_000, Event::Tick);
    }
    assert!(!frames(&mut core).iter().any(|it| matches!(it, Frame::Notice(_))));
    core.handle(140_000, Event::Tick);
    let warning = "the session ends in 60 s: it has nearly lasted as long as policy allows";
    assert_eq!(frames(&mut core), [Frame::Notice(warning.to_owned())]);
    core.handle(190_000, Event::Frame(Frame::Stdin(0, b"x".to_vec())));
    core.handle(200_000, Event::Tick);
    let why = "the session has lasted 200 s, as long as policy allows".to_owned();
    assert!(frames(&mut core).contains(&Frame::Exit(0, Exit::Policy(why))));
}

#[test]
fn a_silent_client_is_asked_and_then_given_up() {
    let mut core = live(Limits::default());
    core.handle(20_000, Event::Tick);
    assert!(matches!(frames(&mut core).as_slice(), [Frame::Ping(_)]));
    core.handle(40_000, Event::Frame(Frame::Pong([0; 8])));
    core.handle(60_000, Event::Tick);
    assert!(matches!(frames(&mut core).as_slice(), [Frame::Ping(_)]));
    core.handle(99_999, Event::Tick);
    assert_eq!(core.over(), None);
    core.handle(100_000, Event::Tick);
    assert_eq!(core.over(), Some(&Over::ClientGone));
    assert_eq!(actions(&mut core), [Action::Shut(0)]);
}

#[test]
fn a_server_that_stops_says_so_refuses_requests_and_ends_in_time() {
    let mut core = live(Limits::default());
    let message = "the server stops".to_owned();
    core.handle(1, Event::Drain { message: message.clone(), deadline_ms: 3_000 });
    core.handle(2, Event::Frame(Frame::Open(1, b"x".to_vec())));
    assert_eq!(frames(&mut core), [Frame::Notice(message.clone()), Frame::Refused(1, message.clone())]);
    core.handle(2_999, Event::Data(0, Output::Stdout, b"still here".to_vec()));
    assert_eq!(frames(&mut core), [Frame::Stdout(0, b"still here".to_vec())]);
    core.handle(3_000, Event::Tick);
    assert_eq!(frames(&mut core), [Frame::Exit(0, Exit::Lost(message.clone())), Frame::Close(message.clone())]);
    core.handle(3_001, Event::Frame(Frame::Close(String::new())));
    assert_eq!(core.over(), Some(&Over::Lost(message)));
}

#[test]
fn a_client_that_opens_nothing_more_and_does_not_close_is_closed() {
    let mut core = live(Limits::default());
    core.handle(1, Event::Exited(0, Exit::Code(0)));
    core.handle(1, Event::Closed(0));
    assert_eq!(frames(&mut core), [Frame::Exit(0, Exit::Code(0))]);
    core.handle(29_000, Event::Frame(Frame::Pong([0; 8])));
    core.handle(30_000, Event::Tick);
    assert_eq!(frames(&mut core).last(), Some(&Frame::Close(String::new())));
    core.handle(35_000, Event::Tick);
    assert_eq!(core.over(), Some(&Over::Finished));
}

#[test]
fn signals_and_sizes_pass_input_that_the_process_does_not_read() {
    let mut core = live(Limits::default());
    core.handle(1, Event::Frame(Frame::Stdin(0, b"first".to_vec())));
    core.handle(1, Event::Frame(Frame::Stdin(0, b"second".to_vec())));
    core.handle(1, Event::Frame(Frame::Signal(0, "INT".to_owned())));
    assert_eq!(
        actions(&mut core),
        [Action::Write(0, b"first".to_vec()), Action::Signal(0, "INT".to_owned())],
        "one write at a time, and the signal although that write is not taken"
    );
    core.handle(2, Event::Wrote(0));
    assert_eq!(actions(&mut core), [Action::Write(0, b"second".to_vec())]);
}
