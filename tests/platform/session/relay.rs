//! What passes through a session, and how it ends.

use std::sync::{Arc, atomic::Ordering};

use futures_util::SinkExt;
use gatehouse::{
    cli::connect::Signals,
    session::frame::{Credit, Exit, Frame},
    wire::sign::Open,
};
use hyper::StatusCode;
use tokio_tungstenite::tungstenite::Message;

use crate::session::{
    caller::{Running, Socket, exec, next_frame, open, send_frame, shell},
    fake::FakeSsh,
    world::{FQN, World},
};

async fn world() -> (World, Arc<FakeSsh>, String) {
    let ssh = Arc::new(FakeSsh::default());
    let world = World::start(Arc::clone(&ssh) as _, None).await;
    world.permit("tom", "ssh").await;
    let token = world.token("tom").await;
    (world, ssh, token)
}

async fn run(world: &World, token: &str, command: &str) -> (u8, Vec<u8>, Vec<u8>) {
    let running = Running::start(open(world, token, &exec(command)).await.unwrap());
    let (output, errors) = (running.output.clone(), running.errors.clone());
    (running.status().await, output.bytes(), errors.bytes())
}

/// Reads frames until one is as wanted.
async fn until(socket: &mut Socket, wanted: impl Fn(&Frame) -> bool) -> Frame {
    loop {
        let frame = next_frame(socket).await.expect("the connection ended");
        if wanted(&frame) {
            return frame;
        }
    }
}

#[tokio::test]
async fn the_remote_status_is_the_clients() {
    let (world, _, token) = world().await;
    for (command, status) in
        [("exit 0", 0), ("exit 42", 42), ("exit 256", 255), ("kill TERM", 143), ("kill KILL", 137), ("vanish", 255)]
    {
        assert_eq!(run(&world, &token, command).await, (status, vec![], vec![]), "{command}");
    }
    assert_eq!(run(&world, &token, "refuse").await, (255, vec![], vec![]));
    assert_eq!(run(&world, &token, "both").await, (3, b"to out".to_vec(), b"to err".to_vec()));
}

#[tokio::test]
async fn input_goes_there_and_output_comes_back_and_its_end_is_the_end() {
    let (world, ssh, token) = world().await;
    let mut running = Running::start(open(&world, &token, &shell()).await.unwrap());
    let script: Vec<u8> = (0..1_500_000_u32).map(|at| at.to_le_bytes()[at as usize % 3]).collect();
    for piece in script.chunks(50_000) {
        running.types(piece).await;
    }
    running.input = None;
    let output = running.output.clone();
    assert_eq!(running.status().await, 0);
    assert!(output.bytes() == script);
    assert!(*ssh.counts.written.lock().unwrap() == script);
}

#[tokio::test]
async fn a_flood_of_output_arrives_whole() {
    let (world, _, token) = world().await;
    let (status, output, _) = run(&world, &token, "flood 12").await;
    assert_eq!((status, output.len()), (0, 12 * 1024 * 1024));
}

#[tokio::test]
async fn signals_are_passed_on_until_the_person_means_us() {
    let (world, ssh, token) = world().await;
    let running = Running::start(open(&world, &token, &shell()).await.unwrap());
    running.types(b"ready").await;
    running.output.has(5).await;
    for _ in 0..3 {
        running.signals.send(Signals::Pass("INT", 2)).await.unwrap();
    }
    assert_eq!(running.status().await, 130);
    let told = ssh.counts.told.lock().unwrap().clone();
    assert!(!told.is_empty() && told.iter().all(|it| it == "INT"), "{told:?}");
}

#[tokio::test]
async fn what_this_build_does_not_serve_is_refused_after_the_decision() {
    let (world, ssh, token) = world().await;
    let subsystem = |name: &str| Open::Subsystem { name: name.to_owned() };
    let mut socket = open(&world, &token, &subsystem("sftp")).await.unwrap();
    let refused = Frame::Refused(0, "refused: the subsystem `sftp` is not in this build".to_owned());
    assert_eq!(until(&mut socket, |_| true).await, refused);
    let request = world.ears.heard("ssh.session.request").await;
    assert_eq!(request.payload["request"], "subsystem: sftp");
    // Nothing chains to `permit forward`, so that is refused by policy, before anything is dialled.
    let dialed = ssh.counts.of()[0];
    let forward = Open::Forward { host: "db".to_owned(), port: 5432 };
    let (status, error) = open(&world, &token, &forward).await.unwrap_err();
    assert_eq!((status, error.code.as_str()), (StatusCode::FORBIDDEN, "missing_claim"));
    let (status, error) = open(&world, &token, &subsystem("other")).await.unwrap_err();
    assert_eq!((status, error.code.as_str()), (StatusCode::NOT_IMPLEMENTED, "unsupported"));
    assert_eq!(ssh.counts.of()[0], dialed);
    assert_eq!(ssh.counts.of()[2], 0);
}

#[tokio::test]
async fn every_request_of_a_session_is_decided_on_its_own() {
    let (world, ssh, token) = world().await;
    world.permit("tom", "shell").await;
    let mut socket = open(&world, &token, &shell()).await.unwrap();
    until(&mut socket, |it| matches!(it, Frame::Opened(0, _))).await;
    let json = |open: &Open| serde_json::to_vec(open).unwrap();
    send_frame(&mut socket, &Frame::Open(1, json(&exec("exit 0")))).await;
    let refused = Frame::Refused(1, format!("missing claim \"permit exec\" on \"{FQN}\""));
    assert_eq!(until(&mut socket, |it| it.stream() == Some(1)).await, refused);
    send_frame(&mut socket, &Frame::Open(2, b"{\"kind\":\"shell\",\"extra\":1}".to_vec())).await;
    let refused = Frame::Refused(2, "the request cannot be understood".to_owned());
    assert_eq!(until(&mut socket, |it| it.stream() == Some(2)).await, refused);
    send_frame(&mut socket, &Frame::Open(3, json(&shell()))).await;
    let Frame::Opened(3, opened) = until(&mut socket, |it| it.stream() == Some(3)).await else { panic!() };
    let request = world.ears.of_type("ssh.session.request").pop().unwrap();
    let decision = uuid::Uuid::from_bytes(opened.decision).to_string();
    assert_eq!(request.payload["decision"], decision);
    assert!(world.ears.of_type("policy.access.allowed").iter().any(|it| it.uuid == decision));
    assert_eq!(ssh.counts.of(), [1, 1, 2], "one connection, two channels");
    assert_eq!(world.tunnel.sessions().list()[0].requests, ["shell", "shell"]);
}

#[tokio::test]
async fn a_session_is_in_the_log_before_its_first_byte_and_after_its_last() {
    let (world, _, token) = world().await;
    let mut running = Running::start(open(&world, &token, &shell()).await.unwrap());
    let opened = world.ears.of_type("ssh.session.opened");
    assert_eq!(opened.len(), 1);
    let session = opened[0].session.clone().unwrap();
    assert!(session.starts_with("api1-") && session.len() == 5 + 32, "{session}");
    assert_eq!((opened[0].fqn.as_str(), opened[0].principal_name.as_str()), (FQN, "tom"));
    assert_eq!(opened[0].payload["client.address"], "192.0.2.9");
    assert_eq!(world.tunnel.sessions().get(&session).unwrap().principal, "tom");
    running.input = None;
    assert_eq!(running.status().await, 0);
    let closed = world.ears.heard("ssh.session.closed").await;
    assert_eq!((closed.session, closed.payload["reason"].as_str()), (Some(session), "finished"));
    world.tunnel.sessions().emptied().await;
}

#[tokio::test]
async fn a_hostile_client_loses_its_session_and_nothing_else() {
    let (world, ssh, token) = world().await;
    let credit = |consumed, window| Frame::Credit(0, Credit { consumed, window });
    let cases = [
        // More than the window and what the process, which does not read, can have under way.
        vec![Frame::Stdin(0, vec![0; 60_000]); 12],
        vec![Frame::Stdin(9, vec![0])],
        vec![credit(0, 100), credit(0, 99)],
        vec![credit(1, 100)],
        vec![Frame::Eof(0), Frame::Stdin(0, vec![0])],
        vec![Frame::Exit(0, Exit::Code(0))],
    ];
    for sent in cases {
        let mut socket = open(&world, &token, &exec("flood 100")).await.unwrap();
        until(&mut socket, |it| matches!(it, Frame::Credit(0, _))).await;
        for frame in &sent {
            send_frame(&mut socket, frame).await;
        }
        let exit = until(&mut socket, |it| matches!(it, Frame::Exit(..))).await;
        let Frame::Exit(0, Exit::Lost(why)) = exit else { panic!("{exit:?}") };
        assert!(why.starts_with("protocol error: "), "{why}");
        assert_eq!(until(&mut socket, |it| matches!(it, Frame::Close(_))).await, Frame::Close(why.clone()));
        send_frame(&mut socket, &Frame::Close(String::new())).await;
        assert_eq!(next_frame(&mut socket).await, None);
        world.tunnel.sessions().emptied().await;
        assert_eq!(world.ears.of_type("ssh.session.closed").last().unwrap().payload["reason"], why);
    }
    assert_eq!(ssh.counts.live.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn messages_that_are_no_frames_end_the_session() {
    let (world, ssh, token) = world().await;
    for (message, is_answered) in [
        (Message::Text("hello".into()), true),
        (Message::Binary(vec![77, 0, 0, 0].into()), true),
        (Message::Binary(vec![0, 0].into()), true),
        // Over the bound of a message: the socket itself gives up.
        (Message::Binary(vec![0; 64 * 1024 + 1].into()), false),
    ] {
        let mut socket = open(&world, &token, &shell()).await.unwrap();
        until(&mut socket, |it| matches!(it, Frame::Credit(0, _))).await;
        // One of an unknown type that may be skipped is no offence.
        socket.send(Message::Binary(vec![77, 1, 0, 0].into())).await.unwrap();
        let _may_break_off = socket.send(message).await;
        if is_answered {
            until(&mut socket, |it| matches!(it, Frame::Exit(0, Exit::Lost(_)))).await;
            drop(socket);
        } else {
            while next_frame(&mut socket).await.is_some() {}
        }
        world.tunnel.sessions().emptied().await;
    }
    assert_eq!(ssh.counts.live.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_server_that_stops_tells_its_sessions_and_takes_no_new_ones() {
    let (world, _, token) = world().await;
    let mut socket = open(&world, &token, &shell()).await.unwrap();
    until(&mut socket, |it| matches!(it, Frame::Opened(0, _))).await;
    world.stop.cancel();
    let notice = Frame::Notice("the server is stopping".to_owned());
    assert_eq!(until(&mut socket, |it| matches!(it, Frame::Notice(_))).await, notice);
    let (status, error) = open(&world, &token, &shell()).await.unwrap_err();
    assert_eq!((status, error.message.as_str()), (StatusCode::SERVICE_UNAVAILABLE, "the server is stopping"));
    // The one that lives may end in its own time, and then the server is done.
    send_frame(&mut socket, &Frame::Close(String::new())).await;
    let World { ref tunnel, .. } = world;
    tunnel.sessions().emptied().await;
    while !world.running.is_finished() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn an_operator_ends_a_session_with_a_reason() {
    let (world, _, token) = world().await;
    let mut socket = open(&world, &token, &shell()).await.unwrap();
    until(&mut socket, |it| matches!(it, Frame::Opened(0, _))).await;
    let id = world.tunnel.sessions().list()[0].id.clone();
    assert!(world.tunnel.sessions().end(&id, "ended by root"));
    let exit = until(&mut socket, |it| matches!(it, Frame::Exit(..))).await;
    assert_eq!(exit, Frame::Exit(0, Exit::Policy("ended by root".to_owned())));
    assert!(!world.tunnel.sessions().end("api1-none", "x"));
}
