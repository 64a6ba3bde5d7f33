//! The world changes while a session is opened or open: at every await, and in every way that a session depends on.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use futures_util::{SinkExt, StreamExt};
use gatehouse::{
    api::tunnel::{
        instance::Doing,
        probe::{Probe, Step},
    },
    session::frame::{Exit, Frame},
    wire::job::JobState,
};
use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};
use tokio_tungstenite::tungstenite::Message;

use crate::session::{
    caller::{Running, exec, next_frame, open, shell},
    fake::FakeSsh,
    world::{FQN, SOON, World},
};

/// Stops at one step until the test has changed the world.
#[derive(Debug)]
struct Stop {
    at: Mutex<Option<Step>>,
    reached: mpsc::Sender<oneshot::Sender<()>>,
    passed: AtomicUsize,
}

impl Probe for Stop {
    fn reached(&self, step: Step, _: &str) -> Doing<'_, ()> {
        Box::pin(async move {
            self.passed.fetch_add(1, Ordering::SeqCst);
            if *self.at.lock().unwrap() != Some(step) {
                return;
            }
            let (go_on, may_go_on) = oneshot::channel();
            self.reached.send(go_on).await.unwrap();
            let _test_is_over = may_go_on.await;
        })
    }
}

/// What a session depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    Policy,
    Login,
    SshRemoved,
    JobStopped,
    JobDeleted,
    InstanceGone,
    InstanceMoved,
    TokenExpired,
}

const CHANGES: [Change; 8] = [
    Change::Policy,
    Change::Login,
    Change::SshRemoved,
    Change::JobStopped,
    Change::JobDeleted,
    Change::InstanceGone,
    Change::InstanceMoved,
    Change::TokenExpired,
];

struct Scene {
    world: World,
    ssh: Arc<FakeSsh>,
    stop: Arc<Stop>,
    reached: tokio::sync::Mutex<mpsc::Receiver<oneshot::Sender<()>>>,
    token: String,
}

async fn scene() -> Scene {
    let ssh = Arc::new(FakeSsh { banner: b"a secret", ..FakeSsh::default() });
    let (reached, stopped) = mpsc::channel(1);
    let stop = Arc::new(Stop { at: Mutex::new(None), reached, passed: AtomicUsize::new(0) });
    let world = World::start(Arc::clone(&ssh) as _, Some(Arc::clone(&stop) as _)).await;
    world.permit("tom", "ssh").await;
    let token = world.token("tom").await;
    Scene { world, ssh, stop, reached: tokio::sync::Mutex::new(stopped), token }
}

impl Scene {
    /// Waits until a session stands at the step; it goes on by what this gives.
    async fn stopped(&self) -> oneshot::Sender<()> {
        timeout(SOON, self.reached.lock().await.recv()).await.expect("the step was not reached").unwrap()
    }

    async fn change(&self, change: Change) {
        let world = &self.world;
        let mut job = world.job.clone();
        job.version += 1;
        match change {
            Change::Policy => drop(world.permit("mary", "ssh").await),
            Change::Login => world.revoke(&self.token).await,
            Change::SshRemoved => {
                job.tags.insert("ssh".to_owned(), "false".to_owned());
                world.put_job(&job).await;
            }
            Change::JobStopped => {
                job.state = JobState::Stopped;
                world.put_job(&job).await;
            }
            Change::JobDeleted => world.delete_job().await,
            Change::InstanceGone => world.places.change(BTreeMap::clear),
            Change::InstanceMoved => {
                world.places.change(|all| all.values_mut().for_each(|it| it.0.record.epoch += 1));
            }
            Change::TokenExpired => world.clock.advance(25 * 3_600),
        }
    }
}

#[tokio::test]
async fn a_policy_change_at_any_await_is_seen_before_the_first_byte() {
    for step in Step::ALL {
        check(Change::Policy, step).await;
    }
}

#[tokio::test]
async fn anything_else_that_goes_away_at_any_await_is_seen_before_the_first_byte() {
    for change in CHANGES.into_iter().filter(|it| *it != Change::Policy) {
        for step in [Step::Decided, Step::Reread, Step::Dialed, Step::Rechecked, Step::Started] {
            check(change, step).await;
        }
    }
}

/// Opens a session, changes the world at a step, and lets it go on.
async fn check(change: Change, step: Step) {
    let scene = scene().await;
    *scene.stop.at.lock().unwrap() = Some(step);
    let command = exec("echo");
    let opening = open(&scene.world, &scene.token, &command);
    let changing = async {
        let go_on = scene.stopped().await;
        scene.change(change).await;
        // Where the session is over by now nobody waits.
        let _session_is_over = go_on.send(());
    };
    // What comes after 101 happens while the client is served already.
    let opened = if step <= Step::Rechecked {
        tokio::join!(opening, changing).0
    } else {
        let opened = opening.await;
        changing.await;
        opened
    };
    let at = format!("{change:?} at {step:?}");
    let [_, authenticated, started] = scene.ssh.counts.of();
    match opened {
        Ok(socket) => {
            assert!(Step::Rechecked <= step, "{at}: 101");
            let running = Running::start(socket);
            let output = running.output.clone();
            assert_eq!(running.status().await, 255, "{at}");
            assert_eq!(output.bytes(), b"", "{at}");
            let revoked = scene.world.ears.heard("ssh.session.revoked").await;
            if change == Change::Policy {
                let reason = &revoked.payload["reason"];
                assert!(reason.starts_with("missing claim \"permit ssh\" since revision "), "{at}: {reason}");
            }
        }
        Err((_, error)) => {
            assert!(step < Step::Rechecked, "{at}: {error}");
            assert_eq!(started, 0, "{at}");
            if change == Change::Policy {
                assert_eq!(error.message, format!("missing claim \"permit ssh\" on \"{FQN}\""), "{at}");
            }
        }
    }
    if step < Step::Dialed {
        assert_eq!(scene.ssh.counts.of(), [0, 0, 0], "{at}: something was dialled");
    }
    if step <= Step::Dialed {
        assert_eq!(authenticated, 0, "{at}: a byte of authentication was sent");
    }
    if step < Step::Started {
        assert_eq!(scene.ssh.counts.of()[2], 0, "{at}: a process was started");
    }
    scene.world.tunnel.sessions().emptied().await;
    assert_eq!(scene.ssh.counts.live.load(Ordering::SeqCst), 0, "{at}");
    assert_eq!(scene.ssh.counts.written.lock().unwrap().len(), 0, "{at}");
}

#[tokio::test]
async fn a_change_that_leaves_the_grant_leaves_the_session() {
    let scene = scene().await;
    for step in [Step::Entered, Step::Signed, Step::Rechecked] {
        *scene.stop.at.lock().unwrap() = Some(step);
        let command = exec("exit 5");
        let opening = open(&scene.world, &scene.token, &command);
        let changing = async {
            let go_on = scene.stopped().await;
            scene.world.set_policy(&format!("job::/prod {{ permit shell, exec // {step:?}\n }}\n")).await;
            go_on.send(()).unwrap();
        };
        let (opened, ()) = tokio::join!(opening, changing);
        assert_eq!(Running::start(opened.unwrap()).status().await, 5, "{step:?}");
    }
}

#[tokio::test]
async fn a_live_session_ends_when_anything_it_depends_on_goes() {
    for change in CHANGES {
        let scene = scene().await;
        let running = Running::start(open(&scene.world, &scene.token, &shell()).await.unwrap());
        running.types(b" still").await;
        running.output.has(b"a secret still".len()).await;
        scene.change(change).await;
        assert_eq!(running.status().await, 255, "{change:?}");
        let reason = scene.world.ears.heard("ssh.session.revoked").await.payload["reason"].clone();
        let expected = match change {
            Change::Policy => "missing claim \"permit ssh\" since revision ",
            Change::Login => "the login was revoked",
            Change::SshRemoved => "SSH was removed from the job",
            Change::JobStopped => "the job was stopped",
            Change::JobDeleted => "the job was deleted",
            Change::InstanceGone | Change::InstanceMoved => "the instance is gone",
            Change::TokenExpired => "the token has expired",
        };
        assert!(reason.starts_with(expected), "{change:?}: {reason}");
        let closed = scene.world.ears.heard("ssh.session.closed").await;
        assert_eq!(closed.payload["reason"], format!("policy: {reason}"));
    }
}

#[tokio::test]
async fn a_live_session_is_told_the_revision_and_nothing_of_what_it_may_not_see_any_more() {
    let scene = scene().await;
    let mut socket = open(&scene.world, &scene.token, &shell()).await.unwrap();
    while !matches!(next_frame(&mut socket).await.unwrap(), Frame::Opened(0, _)) {}
    let revision = scene.world.permit("mary", "ssh").await;
    let why = format!("missing claim \"permit ssh\" since revision {revision}");
    let mut said = Vec::new();
    while let Some(frame) = next_frame(&mut socket).await {
        said.push(frame);
        if matches!(said.last(), Some(Frame::Close(_))) {
            break;
        }
    }
    // No credit was given, so that the banner was waiting; it does not come any more.
    said.retain(|it| !matches!(it, Frame::Credit(..)));
    let exit = Frame::Exit(0, Exit::Policy(why.clone()));
    assert_eq!(said, [Frame::Notice(why.clone()), exit, Frame::Close(why)]);
}

#[tokio::test]
async fn a_decision_that_cannot_be_written_down_any_more_ends_the_session() {
    let scene = scene().await;
    let running = Running::start(open(&scene.world, &scene.token, &shell()).await.unwrap());
    running.output.has(8).await;
    scene.world.ears.deaf.store(true, Ordering::SeqCst);
    let mut job = scene.world.job.clone();
    job.version += 1;
    scene.world.put_job(&job).await;
    assert_eq!(running.status().await, 255);
    scene.world.tunnel.sessions().emptied().await;
}

#[tokio::test]
async fn a_session_that_nobody_can_decide_about_goes_on_for_a_while_and_no_longer() {
    let scene = scene().await;
    let running = Running::start(open(&scene.world, &scene.token, &shell()).await.unwrap());
    running.output.has(8).await;
    // Something has changed, and what cannot be read.
    let mut job = scene.world.job.clone();
    job.version += 1;
    scene.world.places.broken.store(true, Ordering::SeqCst);
    scene.world.put_job(&job).await;
    let (status, error) = open(&scene.world, &scene.token, &shell()).await.unwrap_err();
    assert_eq!((status.as_u16(), error.code.as_str()), (503, "unavailable"));
    running.types(b" goes on").await;
    running.output.has(b"a secret goes on".len()).await;
    assert_eq!(running.status().await, 255);
    let reason = scene.world.ears.heard("ssh.session.revoked").await.payload["reason"].clone();
    assert!(reason.starts_with("it could not be decided for "), "{reason}");
}

#[tokio::test]
async fn limits_of_policy_hold_also_those_that_come_later() {
    let scene = scene().await;
    let running = Running::start(open(&scene.world, &scene.token, &shell()).await.unwrap());
    running.output.has(8).await;
    scene
        .world
        .set_policy(
            "job::/prod { if (auth_server@apcera.me->name == \"tom\") { permit ssh\n ssh.idleTimeout \"1s\" } }\n",
        )
        .await;
    assert_eq!(running.status().await, 255);
    let reason = scene.world.ears.heard("ssh.session.revoked").await.payload["reason"].clone();
    assert_eq!(reason, "the session was idle for 1 s, as long as policy allows");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_client_that_never_stops_talking_does_not_put_off_the_end_of_its_session() {
    let scene = scene().await;
    let socket = open(&scene.world, &scene.token, &shell()).await.unwrap();
    scene
        .world
        .set_policy(
            "job::/prod { if (auth_server@apcera.me->name == \"tom\") { permit ssh\n ssh.maxSession \"2s\" } }\n",
        )
        .await;
    let (mut sink, mut stream) = socket.split();
    let talking = tokio::spawn(async move {
        let ping = Message::Binary(Frame::Ping([0; 8]).encode().unwrap().into());
        loop {
            for _ in 0..1_000 {
                if sink.feed(ping.clone()).await.is_err() {
                    return;
                }
            }
            if sink.flush().await.is_err() {
                return;
            }
        }
    });
    let mut reason = None;
    let ended = timeout(SOON, async {
        while let Some(Ok(message)) = stream.next().await {
            if let Message::Binary(message) = message
                && let Ok(Some(Frame::Exit(0, Exit::Policy(why)))) = Frame::decode(&message)
            {
                reason = Some(why);
                return;
            }
        }
    });
    ended.await.unwrap();
    talking.abort();
    assert_eq!(reason.as_deref(), Some("the session has lasted 2 s, as long as policy allows"));
}

#[tokio::test]
async fn a_client_that_vanishes_leaves_nothing_behind_in_any_phase() {
    for step in Step::ALL {
        let scene = scene().await;
        *scene.stop.at.lock().unwrap() = Some(step);
        let command = exec("flood 100");
        let opening = open(&scene.world, &scene.token, &command);
        let go_on = if step <= Step::Rechecked {
            tokio::select! {
                biased;
                go_on = scene.stopped() => go_on,
                _ = opening => panic!("{step:?} was passed"),
            }
        } else {
            let socket = opening.await.unwrap();
            let go_on = scene.stopped().await;
            drop(socket);
            go_on
        };
        // The connection is gone; a session that stood still before 101 is dropped where it stands.
        if step <= Step::Rechecked {
            scene.world.tunnel.sessions().emptied().await;
        }
        drop(go_on);
        scene.world.tunnel.sessions().emptied().await;
        assert_eq!(scene.ssh.counts.live.load(Ordering::SeqCst), 0, "{step:?}");
        if Step::Recorded <= step {
            let closed = scene.world.ears.heard("ssh.session.closed").await;
            assert_eq!(closed.payload["reason"], "the client went away", "{step:?}");
        }
    }
}

#[tokio::test]
async fn a_client_that_is_killed_in_the_middle_of_output_leaves_nothing_behind() {
    let scene = scene().await;
    let running = Running::start(open(&scene.world, &scene.token, &exec("flood 100")).await.unwrap());
    running.output.has(100_000).await;
    running.kill();
    scene.world.tunnel.sessions().emptied().await;
    assert_eq!(scene.ssh.counts.live.load(Ordering::SeqCst), 0);
    // And one that is there but reads nothing holds nothing but its own session.
    let _stuck = open(&scene.world, &scene.token, &exec("flood 100")).await.unwrap();
    let (status, other) = (Running::start(open(&scene.world, &scene.token, &exec("exit 9")).await.unwrap()), 9);
    assert_eq!(status.status().await, other);
}
