//! Mutual TLS between the roles, over sockets and inside one process alike.
//!
//! A role serves an [`axum::Router`] by [`serve`] and is called by a [`Client`]. Both ends show certificates whose one
//! SAN URI is an [`Identity`]; there is no other name, no password and no plain text, so that what is tried in one
//! process is what runs between hosts.

mod admission;
mod answer;
mod client;
mod credentials;
mod identity;
mod peer;
mod server;
mod stream;
mod verify;
mod watched;

pub(crate) use self::credentials::provider;
pub use self::{
    admission::{Admission, Ticket},
    answer::{read_body, refusal, status},
    client::{CallError, Client},
    credentials::Credentials,
    identity::{Identity, IdentityError, Role},
    peer::{Peer, require},
    server::{Acceptor, ServeOptions, serve, serve_with},
    stream::{Accepted, BoxStream, Dial, Listen, MemoryDialer, MemoryListener, Stream, TcpDialer, TcpDoor, memory},
};

/// Why a link could not be made or used. Every one of them denies.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// Certificates or keys that cannot be used.
    #[error("the link's credentials cannot be used: {0}")]
    Credentials(String),
    /// Nobody answers there.
    #[error("cannot connect: {0}")]
    Dial(#[source] std::io::Error),
    /// No connection, or no TLS on it, in time.
    #[error("no answer in time while {0}")]
    Unreachable(&'static str),
    /// The request may have been sent, but no answer came in time.
    #[error("no answer in time while {0}")]
    Deadline(&'static str),
    /// The other side is not who it should be, or does not speak TLS 1.3.
    #[error("the link's TLS failed: {0}")]
    Tls(#[source] std::io::Error),
    /// The connection broke or what came was no HTTP.
    #[error("the link broke: {0}")]
    Http(#[from] hyper::Error),
    /// A body is larger than the caller wants.
    #[error("the answer is larger than {0} bytes")]
    TooLarge(usize),
    /// A body broke off.
    #[error("the answer broke off: {0}")]
    Body(String),
}

impl LinkError {
    /// Whether the request has certainly not been sent, so that another may be asked instead.
    pub fn is_unsent(&self) -> bool {
        match self {
            Self::Credentials(_) | Self::Dial(_) | Self::Unreachable(_) | Self::Tls(_) => true,
            Self::Deadline(_) | Self::Http(_) | Self::TooLarge(_) | Self::Body(_) => false,
        }
    }
}
