//! An instance manager that pretends: it speaks `wire::im` over a real link and has no containers.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use axum::body::Body;
use futures_util::{SinkExt, StreamExt};
use gatehouse::{
    link::{Client, Role},
    wire::{
        im::{ActualInstance, DesiredInstance, FromIm, IM_PROTOCOL, ToIm},
        job::InstanceState,
    },
};
use hyper_util::rt::TokioIo;
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{Message, protocol::Role as Side},
};
use uuid::Uuid;

use crate::{
    api::{PATIENCE, Server, link_to},
    authority::Authority,
};

/// A host key; any will do where nobody dials.
pub(crate) const HOST_KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGPKSUTyz1HwHReFVvD5obVsALAgJRNarH4TRpNePnAS";

/// How a pretended instance behaves.
type Behaviour = Box<dyn Fn(&DesiredInstance) -> ActualInstance + Send>;

pub(crate) struct Manager {
    pub(crate) uuid: Uuid,
    pub(crate) client: Client,
    /// What it was last told to run.
    pub(crate) desired: watch::Receiver<Vec<DesiredInstance>>,
    /// How often each instance's lease was renewed.
    pub(crate) renewals: watch::Receiver<BTreeMap<Uuid, u32>>,
    pub(crate) welcome: ToIm,
    behaviour: Arc<Mutex<Behaviour>>,
    nudge: mpsc::Sender<()>,
    task: JoinHandle<()>,
}

impl Manager {
    pub(crate) async fn come(server: &Server, authority: &Authority, uuid: Uuid) -> Self {
        let client = link_to(server, authority.credentials(Role::Im, &uuid.to_string()));
        let mut socket = open(&client).await;
        say(&mut socket, &hello()).await;
        let welcome = hear(&mut socket).await.expect("a welcome");
        let (desired, desired_seen) = watch::channel(Vec::new());
        let (renewals, renewals_seen) = watch::channel(BTreeMap::new());
        let behaviour: Arc<Mutex<Behaviour>> = Arc::new(Mutex::new(Box::new(running)));
        let (nudge, nudged) = mpsc::channel(1);
        let task = tokio::spawn(act(socket, Arc::clone(&behaviour), desired, renewals, nudged));
        Self { uuid, client, desired: desired_seen, renewals: renewals_seen, welcome, behaviour, nudge, task }
    }

    /// From now on its instances behave so, and it says so at once.
    pub(crate) async fn behave(&self, behaviour: impl Fn(&DesiredInstance) -> ActualInstance + Send + 'static) {
        *self.behaviour.lock().unwrap() = Box::new(behaviour);
        self.nudge.send(()).await.unwrap();
    }

    /// Waits until it was told to run a set of which this is true, and answers it.
    pub(crate) async fn until(&self, is: impl Fn(&[DesiredInstance]) -> bool) -> Vec<DesiredInstance> {
        let mut desired = self.desired.clone();
        let waited = tokio::time::timeout(PATIENCE, desired.wait_for(|it| is(it))).await;
        let found = waited.map(|it| it.unwrap().clone());
        found.unwrap_or_else(|_| panic!("the set stayed {:?}", self.desired.borrow()))
    }

    /// As `kill -9` would.
    pub(crate) fn kill(&self) {
        self.task.abort();
    }
}

pub(crate) type Socket = WebSocketStream<TokioIo<hyper::upgrade::Upgraded>>;

/// Opens the link, whoever the client is.
pub(crate) async fn open(client: &Client) -> Socket {
    let request = axum::http::Request::get("/internal/im/link")
        .header("connection", "Upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
        .body(Body::empty());
    let response = client.request(request.unwrap()).await.unwrap();
    assert_eq!(response.status().as_u16(), 101);
    let stream = TokioIo::new(hyper::upgrade::on(response).await.unwrap());
    WebSocketStream::from_raw_socket(stream, Side::Client, None).await
}

pub(crate) fn hello() -> FromIm {
    FromIm::Hello { protocol: IM_PROTOCOL, address: "127.0.0.1".parse().unwrap(), ports: (20_000, 29_999) }
}

pub(crate) async fn say(socket: &mut Socket, message: &FromIm) {
    socket.send(Message::text(serde_json::to_string(message).unwrap())).await.unwrap();
}

/// The next message; none when the link is over.
pub(crate) async fn hear(socket: &mut Socket) -> Option<ToIm> {
    loop {
        match tokio::time::timeout(PATIENCE, socket.next()).await.unwrap()? {
            Ok(Message::Text(text)) => return Some(serde_json::from_str(&text).unwrap()),
            Ok(Message::Close(_)) | Err(_) => return None,
            Ok(_) => (),
        }
    }
}

/// An instance that runs, with SSH where it should be on.
pub(crate) fn running(desired: &DesiredInstance) -> ActualInstance {
    ActualInstance {
        uuid: desired.uuid,
        epoch: desired.epoch,
        state: InstanceState::Running,
        public_port: desired.ssh.then_some(20_001),
        host_key: desired.ssh.then(|| HOST_KEY.to_owned()),
        has_shell: Some(true),
        exit: None,
        flapping: false,
        message: None,
    }
}

async fn act(
    mut socket: Socket,
    behaviour: Arc<Mutex<Behaviour>>,
    desired: watch::Sender<Vec<DesiredInstance>>,
    renewals: watch::Sender<BTreeMap<Uuid, u32>>,
    mut nudged: mpsc::Receiver<()>,
) {
    loop {
        let message = tokio::select! {
            message = hear(&mut socket) => message,
            _ = nudged.recv() => Some(ToIm::Desired { instances: desired.borrow().clone() }),
        };
        match message {
            None => return,
            Some(ToIm::Desired { instances }) => {
                let actual = instances.iter().map(|it| behaviour.lock().unwrap()(it)).collect();
                desired.send_replace(instances);
                say(&mut socket, &FromIm::Actual { instances: actual }).await;
            }
            Some(ToIm::Renew { instances }) => renewals.send_modify(|counts| {
                for instance in instances {
                    *counts.entry(instance).or_insert(0) += 1;
                }
            }),
            Some(ToIm::Logs { request, instance, lines }) => {
                for (text, end) in [(format!("{instance} "), false), (format!("{lines}\n"), true)] {
                    say(&mut socket, &FromIm::Logs { request, text, end }).await;
                }
            }
            Some(ToIm::Welcome { .. }) => (),
        }
    }
}
