//! The API server that a test plays towards its manager.

use std::{net::IpAddr, path::Path, time::Duration};

use futures_util::{SinkExt, StreamExt};
use gatehouse::wire::{
    im::{ActualInstance, DesiredInstance, FromIm, IM_PROTOCOL, ToIm},
    job::InstanceState,
};
use tokio::net::{UnixListener, UnixStream};
use tokio_util::codec::{Framed, LinesCodec};
use uuid::Uuid;

/// Nothing here takes longer, even on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);

/// Waits for the manager, and then talks to it.
#[derive(Debug)]
pub(crate) struct Api {
    listener: UnixListener,
    link: Option<Framed<UnixStream, LinesCodec>>,
    actual: Vec<ActualInstance>,
}

impl Api {
    pub(crate) fn new(folder: &Path) -> Self {
        let listener = UnixListener::bind(folder.join("api.sock")).unwrap();
        Self { listener, link: None, actual: Vec::new() }
    }

    /// Takes the manager's next connection.
    pub(crate) async fn welcome(&mut self, addresses: &[IpAddr]) {
        let (stream, _) = tokio::time::timeout(PATIENCE, self.listener.accept()).await.expect("a manager").unwrap();
        self.link = Some(Framed::new(stream, LinesCodec::new()));
        assert!(matches!(self.hear().await, FromIm::Hello { protocol: IM_PROTOCOL, .. }));
        let user_authorities = vec!["ssh-ed25519 authority".to_owned()];
        let api_addresses = addresses.to_vec();
        self.say(&ToIm::Welcome { protocol: IM_PROTOCOL, user_authorities, api_addresses }).await;
    }

    /// The link breaks.
    pub(crate) fn hang_up(&mut self) {
        self.link = None;
        self.actual = Vec::new();
    }

    pub(crate) async fn say(&mut self, message: &ToIm) {
        let text = serde_json::to_string(message).unwrap();
        self.link.as_mut().expect("a link").send(text).await.unwrap();
    }

    pub(crate) async fn desire(&mut self, instances: &[DesiredInstance]) {
        self.say(&ToIm::Desired { instances: instances.to_vec() }).await;
    }

    async fn hear(&mut self) -> FromIm {
        let line = tokio::time::timeout(PATIENCE, self.link.as_mut().expect("a link").next()).await;
        let line = line.expect("the manager says nothing").expect("the manager has gone").unwrap();
        serde_json::from_str(&line).unwrap()
    }

    /// Listens until the instances are as a test wants them.
    pub(crate) async fn until(&mut self, what: &str, good: impl Fn(&[ActualInstance]) -> bool) {
        let waiting = async {
            while !good(&self.actual) {
                if let FromIm::Actual { instances } = self.hear().await {
                    self.actual = instances;
                }
            }
        };
        let waited = tokio::time::timeout(PATIENCE, waiting).await;
        assert!(waited.is_ok(), "waited in vain for: {what}; it is {:#?}", self.actual);
    }

    /// Listens until one instance is as a test wants it.
    pub(crate) async fn one(
        &mut self,
        uuid: Uuid,
        what: &str,
        good: impl Fn(&ActualInstance) -> bool,
    ) -> ActualInstance {
        let find = |all: &[ActualInstance]| all.iter().find(|it| it.uuid == uuid && good(it)).cloned();
        self.until(what, |all| find(all).is_some()).await;
        find(&self.actual).unwrap()
    }

    /// Listens until the main process runs.
    pub(crate) async fn running(&mut self, uuid: Uuid) -> ActualInstance {
        self.one(uuid, "it runs", |it| it.state == InstanceState::Running).await
    }

    /// Asks for the log until it has a word in it; a log tells nobody when it grows.
    pub(crate) async fn logs_until(&mut self, instance: Uuid, word: &str) -> String {
        let waiting = async {
            loop {
                let text = self.logs(instance).await;
                if text.contains(word) {
                    return text;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(PATIENCE, waiting).await.unwrap_or_else(|_| panic!("no `{word}` in the log"))
    }

    /// Listens until SSH is served; answers its public port.
    pub(crate) async fn served(&mut self, uuid: Uuid) -> u16 {
        let served = |it: &ActualInstance| it.state == InstanceState::Running && it.public_port.is_some();
        self.one(uuid, "ssh is served", served).await.public_port.unwrap()
    }

    /// Listens until the main process has ended for good.
    pub(crate) async fn over(&mut self, uuid: Uuid) -> ActualInstance {
        self.one(uuid, "it has ended", |it| it.state == InstanceState::Removed).await
    }

    /// What the main process has written.
    pub(crate) async fn logs(&mut self, instance: Uuid) -> String {
        self.say(&ToIm::Logs { request: 7, instance, lines: 1_000 }).await;
        let mut res = String::new();
        loop {
            match self.hear().await {
                FromIm::Logs { request: 7, text, end } => {
                    res.push_str(&text);
                    if end {
                        return res;
                    }
                }
                FromIm::Actual { instances } => self.actual = instances,
                other => panic!("{other:?}"),
            }
        }
    }
}
