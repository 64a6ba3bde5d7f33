//! The instance's side by SSH.

use std::{any::Any, sync::Arc};

use crate::{
    api::{
        fleet::Located,
        tunnel::instance::{
            Channel, ChannelEvent, ChannelReceiver, ChannelSender, Connection, Dialed, Dialer, Doing, ReachError,
            SessionKey,
        },
    },
    gate::Grant,
    session::{
        core::Output,
        frame::{Exit, Size},
    },
    ssh::upstream::{self, DialError, Endpoint, OpenError, Upstream, UpstreamEvent, UpstreamEvents, UpstreamSender},
    wire::sign::Open,
};

/// Dials by SSH, each session on a connection of its own.
#[derive(Debug, Clone, Copy, Default)]
pub struct SshDialer;

impl Dialer for SshDialer {
    fn key(&self) -> Result<Box<dyn SessionKey>, ReachError> {
        let key = upstream::SessionKey::generate().map_err(|it| reach_error(&it))?;
        Ok(Box::new(key))
    }

    fn dial<'a>(&'a self, grant: &'a Grant, to: &'a Located) -> Doing<'a, Result<Box<dyn Dialed>, ReachError>> {
        Box::pin(async move {
            let endpoint = Endpoint::new(to.instance, to.address, &to.host_key);
            let endpoint = endpoint.map_err(|error| ReachError::Unreachable(error.to_string()))?;
            let dialed = upstream::dial(grant, &endpoint).await.map_err(|it| reach_error(&it))?;
            let dialed: Box<dyn Dialed> = Box::new(dialed);
            Ok(dialed)
        })
    }
}

impl SessionKey for upstream::SessionKey {
    fn public(&self) -> &str {
        self.public_key()
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any + Send> {
        self
    }
}

impl Dialed for upstream::Dialed {
    fn authenticate(
        self: Box<Self>,
        key: Box<dyn SessionKey>,
        certificate: String,
    ) -> Doing<'static, Result<Box<dyn Connection>, ReachError>> {
        Box::pin(async move {
            let foreign = |_| ReachError::Failed("the key is not one of SSH".to_owned());
            let key = key.into_any().downcast::<upstream::SessionKey>().map_err(foreign)?;
            let upstream =
                upstream::Dialed::authenticate(*self, &key, &certificate).await.map_err(|it| reach_error(&it))?;
            let connection: Box<dyn Connection> = Box::new(upstream);
            Ok(connection)
        })
    }
}

impl Connection for Upstream {
    fn open<'a>(&'a self, open: &'a Open) -> Doing<'a, Result<Channel, String>> {
        Box::pin(async move {
            let channel = Upstream::open(self, open).await.map_err(|error: OpenError| error.to_string())?;
            Ok(Channel { sender: Arc::new(channel.sender), receiver: Box::new(channel.events) })
        })
    }

    fn cut(&self) {
        Upstream::cut(self);
    }
}

// Failures of sending are dropped: the receiver tells that the channel or the connection is gone, and why.
impl ChannelSender for UpstreamSender {
    fn write(self: Arc<Self>, bytes: Vec<u8>) -> Doing<'static, ()> {
        Box::pin(async move {
            let _told_by_receiver = self.data(bytes).await;
        })
    }

    fn end(self: Arc<Self>) -> Doing<'static, ()> {
        Box::pin(async move {
            let _told_by_receiver = self.eof().await;
        })
    }

    fn resize(self: Arc<Self>, size: Size) -> Doing<'static, ()> {
        Box::pin(async move {
            let _told_by_receiver = UpstreamSender::resize(&self, size.columns, size.rows).await;
        })
    }

    fn signal(self: Arc<Self>, name: String) -> Doing<'static, ()> {
        Box::pin(async move {
            let _told_by_receiver = UpstreamSender::signal(&self, &name).await;
        })
    }

    fn close(self: Arc<Self>) -> Doing<'static, ()> {
        Box::pin(async move {
            let _told_by_receiver = UpstreamSender::close(&self).await;
        })
    }
}

impl ChannelReceiver for UpstreamEvents {
    fn next(&mut self) -> Doing<'_, Option<ChannelEvent>> {
        Box::pin(async move {
            Some(match UpstreamEvents::next(self).await? {
                UpstreamEvent::Stdout(bytes) => ChannelEvent::Data(Output::Stdout, bytes),
                UpstreamEvent::Stderr(bytes) => ChannelEvent::Data(Output::Stderr, bytes),
                UpstreamEvent::Eof => ChannelEvent::Ended,
                UpstreamEvent::ExitStatus(code) => ChannelEvent::Exited(Exit::Code(code)),
                UpstreamEvent::ExitSignal(name) => ChannelEvent::Exited(Exit::Signal(name)),
                UpstreamEvent::Lost(why) => ChannelEvent::Lost(why),
            })
        })
    }
}

fn reach_error(error: &DialError) -> ReachError {
    match error {
        DialError::Unreachable(_) | DialError::TimedOut | DialError::Protocol(_) => {
            ReachError::Unreachable(error.to_string())
        }
        DialError::HostKeyMismatch | DialError::NotStrict => ReachError::HostKeyMismatch,
        DialError::OtherInstance | DialError::Refused | DialError::Certificate => ReachError::Failed(error.to_string()),
    }
}
