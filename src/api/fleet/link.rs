//! One manager's link: greeting, desired sets out, reports in.

use std::{net::IpAddr, pin::pin, time::Duration};

use futures_util::{Sink, SinkExt, Stream, StreamExt};
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, timeout},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    api::fleet::Fleet,
    ssh::upstream::may_be_of_manager,
    wire::im::{DesiredInstance, FromIm, IM_PROTOCOL, ToIm},
};

/// For the manager's first message, and for each write.
const DEADLINE: Duration = Duration::from_secs(10);

/// Messages to a manager that wait for its link; a manager that takes none for so long is cut off.
pub(crate) const QUEUE: usize = 64;

/// What a manager is told when it comes.
#[derive(Debug, Clone)]
pub(crate) struct Greeting {
    /// Public keys (OpenSSH) of the authorities that sign instance users' certificates.
    pub(crate) user_authorities: Vec<String>,
    /// Only these addresses may reach the public ports.
    pub(crate) api_addresses: Vec<IpAddr>,
}

/// Why a link was cut.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LinkEnd {
    /// The other side closed it.
    #[error("the manager closed the link")]
    Closed,
    /// Nothing came, or nothing could be written, in time.
    #[error("the manager is silent")]
    Silent,
    /// What came was not to be expected.
    #[error("{0}")]
    Protocol(String),
    /// A newer link of the same manager took its place.
    #[error("a newer link took its place")]
    Replaced,
    /// This server stops.
    #[error("this server stops")]
    Stopped,
}

impl Fleet {
    /// Serves the link of manager `im` until it ends. The transport keeps watch for silence; an `incoming` that ends
    /// ends the link.
    pub(crate) async fn serve(
        &self,
        im: Uuid,
        greeting: Greeting,
        incoming: impl Stream<Item = Result<FromIm, String>> + Send,
        outgoing: impl Sink<ToIm, Error: ToString> + Send,
        stop: CancellationToken,
    ) -> LinkEnd {
        let mut incoming = pin!(incoming);
        let mut outgoing = pin!(outgoing);
        let (address, ports) = match timeout(DEADLINE, incoming.next()).await {
            Ok(Some(Ok(FromIm::Hello { protocol: IM_PROTOCOL, address, ports }))) => (address, ports),
            Ok(Some(Ok(FromIm::Hello { protocol, .. }))) => {
                return LinkEnd::Protocol(format!("the manager speaks version {protocol}, not {IM_PROTOCOL}"));
            }
            Ok(Some(Ok(_))) => return LinkEnd::Protocol("the first message is no `hello`".to_owned()),
            Ok(Some(Err(error))) => return LinkEnd::Protocol(error),
            Ok(None) => return LinkEnd::Closed,
            Err(_) => return LinkEnd::Silent,
        };
        if !may_be_of_manager(address) || ports.0 < 1024 || ports.1 < ports.0 {
            return LinkEnd::Protocol("the manager's address or ports cannot be".to_owned());
        }
        let welcome = ToIm::Welcome {
            protocol: IM_PROTOCOL,
            user_authorities: greeting.user_authorities,
            api_addresses: greeting.api_addresses,
        };
        if let Err(end) = send(&mut outgoing, welcome).await {
            return end;
        }
        let (sender, queue) = mpsc::channel(QUEUE);
        let serial = self.attach(im, address, ports, sender);
        let stored = self.registry().subscribe();
        let end = self.converse(im, serial, stored, queue, &mut incoming, &mut outgoing, stop).await;
        self.detach(im, serial);
        end
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of one conversation, split off only for its length")]
    async fn converse(
        &self,
        im: Uuid,
        serial: u64,
        mut stored: watch::Receiver<u64>,
        mut queue: mpsc::Receiver<ToIm>,
        incoming: &mut (impl Stream<Item = Result<FromIm, String>> + Unpin),
        outgoing: &mut (impl Sink<ToIm, Error: ToString> + Unpin),
        stop: CancellationToken,
    ) -> LinkEnd {
        let mut told: Option<Vec<DesiredInstance>> = None;
        loop {
            stored.mark_unchanged();
            if let Some(desired) = self.desired(im)
                && told.as_ref() != Some(&desired)
            {
                if let Err(end) = send(outgoing, ToIm::Desired { instances: desired.clone() }).await {
                    return end;
                }
                told = Some(desired);
            }
            tokio::select! {
                () = stop.cancelled() => return LinkEnd::Stopped,
                changed = stored.changed() => if changed.is_err() { return LinkEnd::Stopped },
                message = queue.recv() => match message {
                    Some(message) => if let Err(end) = send(outgoing, message).await { return end },
                    None => return LinkEnd::Replaced,
                },
                message = incoming.next() => match message {
                    Some(Ok(message)) => if let Err(end) = self.take(im, serial, message) { return end },
                    Some(Err(error)) => return LinkEnd::Protocol(error),
                    None => return LinkEnd::Closed,
                },
            }
        }
    }

    fn take(&self, im: Uuid, serial: u64, message: FromIm) -> Result<(), LinkEnd> {
        match message {
            FromIm::Hello { .. } => Err(LinkEnd::Protocol("a second `hello`".to_owned())),
            FromIm::Actual { instances } => {
                self.report(im, serial, instances);
                Ok(())
            }
            FromIm::Logs { request, text, end } => {
                self.log_lines(im, request, text, end);
                Ok(())
            }
        }
    }
}

async fn send(outgoing: &mut (impl Sink<ToIm, Error: ToString> + Unpin), message: ToIm) -> Result<(), LinkEnd> {
    match tokio::time::timeout_at(Instant::now() + DEADLINE, outgoing.send(message)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(LinkEnd::Protocol(error.to_string())),
        Err(_) => Err(LinkEnd::Silent),
    }
}
