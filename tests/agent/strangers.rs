//! The client of the API server against servers that are no agents: one that is mute, one without strict key exchange.

use std::sync::Arc;

use gatehouse::ssh::upstream::{DialError, Endpoint, OpenError, SessionKey, dial};
use libtest_mimic::Trial;
use tokio::{net::TcpListener, sync::mpsc, time::timeout};
use uuid::Uuid;

use crate::{
    fixture::{Agent, PATIENCE, other_key, sign_public},
    grant::grant,
    trials,
    upstream::{block_on, exec},
};

pub(crate) fn trials() -> Vec<Trial> {
    trials![what_is_not_answered_in_time_is_closed, a_host_without_strict_key_exchange_is_refused]
}

/// A server that lets everybody in, and answers no request. It tells the test what it was asked.
struct Mute {
    told: mpsc::UnboundedSender<&'static str>,
}

impl russh::server::Handler for Mute {
    type Error = russh::Error;

    async fn auth_openssh_certificate(
        &mut self,
        _user: &str,
        _certificate: &russh::keys::Certificate,
    ) -> Result<russh::server::Auth, russh::Error> {
        Ok(russh::server::Auth::Accept)
    }

    async fn channel_open_session(
        &mut self,
        _channel: russh::Channel<russh::server::Msg>,
        reply: russh::server::ChannelOpenHandle,
        _session: &mut russh::server::Session,
    ) -> Result<(), russh::Error> {
        reply.accept().await;
        Ok(())
    }

    async fn exec_request(
        &mut self,
        _channel: russh::ChannelId,
        _data: &[u8],
        _session: &mut russh::server::Session,
    ) -> Result<(), russh::Error> {
        self.told.send("exec").unwrap();
        Ok(())
    }

    async fn channel_close(
        &mut self,
        _channel: russh::ChannelId,
        _session: &mut russh::server::Session,
    ) -> Result<(), russh::Error> {
        self.told.send("close").unwrap();
        Ok(())
    }
}

fn what_is_not_answered_in_time_is_closed() {
    block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, host, instance) = (listener.local_addr().unwrap(), other_key(), Uuid::new_v4());
        let host_key = host.public_key().to_openssh().unwrap();
        let (told, mut heard) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            let config = russh::server::Config { keys: vec![host], ..russh::server::Config::default() };
            let (stream, _) = listener.accept().await.unwrap();
            let running = russh::server::run_stream(Arc::new(config), stream, Mute { told }).await.unwrap();
            running.await
        });
        let endpoint = Endpoint::new(instance, address, &host_key).unwrap();
        let dialed = dial(&grant(instance, &exec("true")).await, &endpoint).await.unwrap();
        let key = SessionKey::generate().unwrap();
        let public = russh::keys::PublicKey::from_openssh(key.public_key()).unwrap();
        let agent = Agent::start();
        let upstream =
            dialed.authenticate(&key, &sign_public(public.key_data().clone(), &agent.draft())).await.unwrap();
        let opened = upstream.open(&exec("true")).await;
        assert!(matches!(opened, Err(OpenError::TimedOut)), "{opened:?}");
        // The request may still be carried out: what nobody reads and nobody decides about must not run.
        for expected in ["exec", "close"] {
            assert_eq!(timeout(PATIENCE, heard.recv()).await.expect("the channel is closed"), Some(expected));
        }
        // The same for who does not wait for the answer.
        let request = exec("true");
        tokio::select! {
            opened = upstream.open(&request) => panic!("{opened:?}"),
            asked = heard.recv() => assert_eq!(asked, Some("exec")),
        }
        assert_eq!(timeout(PATIENCE, heard.recv()).await.expect("the channel is closed"), Some("close"));
    });
}

fn a_host_without_strict_key_exchange_is_refused() {
    block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, host, instance) = (listener.local_addr().unwrap(), other_key(), Uuid::new_v4());
        let host_key = host.public_key().to_openssh().unwrap();
        let (told, _heard) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            let mut config = russh::server::Config { keys: vec![host], ..russh::server::Config::default() };
            config.preferred.kex = vec![russh::kex::CURVE25519].into();
            let (stream, _) = listener.accept().await.unwrap();
            russh::server::run_stream(Arc::new(config), stream, Mute { told }).await.unwrap().await
        });
        let endpoint = Endpoint::new(instance, address, &host_key).unwrap();
        let result = dial(&grant(instance, &exec("true")).await, &endpoint).await;
        assert!(matches!(result, Err(DialError::NotStrict)), "{result:?}");
    });
}
