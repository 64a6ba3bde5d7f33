//! The conversation with an API server, begun again whenever it breaks.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    im::{
        ImError,
        manager::{Manager, host::Host},
        shim::log,
        uplink::{Outgoing, Uplink},
    },
    wire::im::{FromIm, IM_PROTOCOL, ToIm},
};

/// Wait before the second try; doubles with each, up to the longest.
const RETRY_FIRST: Duration = Duration::from_millis(200);

/// The longest wait between tries.
const RETRY_LONGEST: Duration = Duration::from_secs(10);

/// For connecting and for the server's `Welcome`.
const WELCOME_MAX: Duration = Duration::from_secs(15);

/// Bytes of a log in one message.
const LOG_BYTES_MAX: usize = 32 * 1024;

/// Talks until `shutdown`. While there is no connection everything goes on as it was.
pub async fn converse(host: &Host, uplink: &dyn Uplink, manager: &mut Manager, shutdown: &CancellationToken) {
    let mut wait = RETRY_FIRST;
    loop {
        let mut welcomed = false;
        let ended = tokio::select! {
            ended = connection(host, uplink, manager, &mut welcomed) => ended,
            () = shutdown.cancelled() => return,
        };
        if let Err(error) = ended {
            tracing::info!(%error, "the link to the API server is down");
        }
        if welcomed {
            wait = RETRY_FIRST;
        }
        let pause = jittered(wait);
        tokio::select! {
            () = async { loop { manager.gone().await } } => {}
            () = tokio::time::sleep(pause) => {}
            () = shutdown.cancelled() => return,
        }
        wait = wait.saturating_mul(2).min(RETRY_LONGEST);
    }
}

async fn connection(
    host: &Host,
    uplink: &dyn Uplink,
    manager: &mut Manager,
    welcomed: &mut bool,
) -> Result<(), ImError> {
    let late = |_| ImError::Uplink("it does not answer".to_owned());
    let (mut outgoing, mut incoming) = tokio::time::timeout(WELCOME_MAX, uplink.open()).await.map_err(late)??;
    let settings = &host.settings;
    let hello = FromIm::Hello { protocol: IM_PROTOCOL, address: settings.address, ports: settings.ports };
    outgoing.send(hello).await?;
    match tokio::time::timeout(WELCOME_MAX, incoming.next()).await.map_err(late)? {
        Some(Ok(ToIm::Welcome { protocol: IM_PROTOCOL, user_authorities, api_addresses })) => {
            host.network.allow(&api_addresses).await?;
            manager.trust(user_authorities);
        }
        Some(Err(error)) => return Err(error),
        Some(Ok(_)) | None => return Err(ImError::Protocol("the API server does not welcome us".to_owned())),
    }
    *welcomed = true;
    tracing::info!("the link to the API server is up");
    let mut actual = host.actual.subscribe();
    actual.mark_changed();
    loop {
        tokio::select! {
            changed = actual.changed() => {
                changed.map_err(|error| ImError::Protocol(error.to_string()))?;
                let instances = actual.borrow_and_update().values().cloned().collect();
                outgoing.send(FromIm::Actual { instances }).await?;
            }
            message = incoming.next() => match message {
                Some(message) => take(host, manager, &mut outgoing, message?).await?,
                None => return Err(ImError::Uplink("it has closed the connection".to_owned())),
            },
            () = manager.gone() => {}
        }
    }
}

async fn take(host: &Host, manager: &mut Manager, outgoing: &mut Outgoing, message: ToIm) -> Result<(), ImError> {
    match message {
        ToIm::Welcome { protocol: IM_PROTOCOL, user_authorities, api_addresses } => {
            host.network.allow(&api_addresses).await?;
            manager.trust(user_authorities);
        }
        ToIm::Welcome { .. } => return Err(ImError::Protocol("the API server speaks another version".to_owned())),
        ToIm::Desired { instances } => manager.desire(instances),
        ToIm::Renew { instances } => manager.renew(&instances),
        ToIm::Logs { request, instance, lines } => {
            for (text, end) in parts(&logs(host, instance, lines).await) {
                outgoing.send(FromIm::Logs { request, text: text.to_owned(), end }).await?;
            }
        }
    }
    Ok(())
}

async fn logs(host: &Host, instance: Uuid, lines: u32) -> String {
    let path = host.files(instance).output();
    tokio::task::spawn_blocking(move || log::tail(&path, lines)).await.unwrap_or_default()
}

/// Cuts a text between characters into parts that fit into a message; the last is marked.
fn parts(mut text: &str) -> Vec<(&str, bool)> {
    let mut res = Vec::new();
    loop {
        let end = (0..=LOG_BYTES_MAX.min(text.len())).rev().find(|it| text.is_char_boundary(*it)).unwrap_or_default();
        let (part, rest) = text.split_at(end);
        res.push((part, rest.is_empty()));
        if rest.is_empty() {
            return res;
        }
        text = rest;
    }
}

/// Between half the time and all of it, so that managers do not come back all at once.
fn jittered(wait: Duration) -> Duration {
    let (chance, _) = Uuid::new_v4().as_u64_pair();
    let half = wait / 2;
    let extra = u64::try_from(half.as_millis()).ok().and_then(|it| chance.checked_rem(it.saturating_add(1)));
    half.saturating_add(Duration::from_millis(extra.unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_logs_are_cut_between_characters_and_only_the_last_part_ends() {
        let text = "ä".repeat(40_000);
        let cut = parts(&text);
        assert_eq!(cut.len(), 3);
        assert!(cut.iter().all(|(part, _)| part.len() <= LOG_BYTES_MAX));
        assert_eq!(cut.iter().map(|it| it.0).collect::<String>(), text);
        assert_eq!(cut.iter().map(|it| it.1).collect::<Vec<_>>(), [false, false, true]);
        assert_eq!(parts(""), [("", true)]);
    }

    #[test]
    fn waits_are_jittered_within_bounds() {
        for _ in 0..100 {
            let wait = jittered(Duration::from_secs(1));
            assert!(Duration::from_millis(500) <= wait && wait <= Duration::from_secs(1));
        }
    }
}
