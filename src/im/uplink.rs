//! How a manager reaches an API server: messages both ways, and layers by digest.

use std::{fmt, pin::Pin};

use futures_util::{Sink, Stream};
use tokio::io::AsyncRead;

use crate::{
    im::ImError,
    wire::im::{FromIm, ToIm},
};

/// A future of an uplink's.
pub type UplinkFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, ImError>> + Send + 'a>>;

/// Messages from the API server; ends when the connection does.
pub type Incoming = Pin<Box<dyn Stream<Item = Result<ToIm, ImError>> + Send>>;

/// Messages to the API server.
pub type Outgoing = Pin<Box<dyn Sink<FromIm, Error = ImError> + Send>>;

/// The API server as a manager sees it.
pub trait Uplink: Send + Sync + fmt::Debug + 'static {
    /// Opens the connection for messages.
    fn open(&self) -> UplinkFuture<'_, (Outgoing, Incoming)>;

    /// The bytes of a layer, unchecked.
    fn layer<'a>(&'a self, digest: &'a str) -> UplinkFuture<'a, Pin<Box<dyn AsyncRead + Send>>>;
}
