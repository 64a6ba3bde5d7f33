//! Byte streams between roles: sockets, and pipes inside one process.

use std::{fmt, io, net::SocketAddr, pin::Pin, time::Duration};

use rustix::net::sockopt;
use tokio::{
    io::{AsyncRead, AsyncWrite, DuplexStream, duplex},
    net::{TcpListener, TcpStream},
    sync::mpsc,
};

/// Anything that bytes flow through both ways.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A stream of whatever kind.
pub type BoxStream = Box<dyn Stream>;

/// A future of a dialer's or listener's.
type StreamFuture<'a, T> = Pin<Box<dyn Future<Output = io::Result<T>> + Send + 'a>>;

/// Makes connections to one place.
pub trait Dial: Send + Sync + fmt::Debug + 'static {
    /// One more connection. The caller sets the deadline.
    fn dial(&self) -> StreamFuture<'_, BoxStream>;
}

/// A connection that came in.
pub struct Accepted {
    /// Its bytes.
    pub stream: BoxStream,
    /// Where it comes from; none inside one process.
    pub address: Option<SocketAddr>,
}

impl fmt::Debug for Accepted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Accepted").field("address", &self.address).finish_non_exhaustive()
    }
}

/// Takes connections.
pub trait Listen: Send + fmt::Debug + 'static {
    /// The next connection. Dropping the future loses none.
    fn accept(&mut self) -> StreamFuture<'_, Accepted>;
}

/// Bytes under way in each direction of a memory stream.
const MEMORY_STREAM_BYTES: usize = 64 * 1024;
/// Connections that wait to be accepted.
const MEMORY_BACKLOG: usize = 64;

/// A listener inside this process and what dials it.
pub fn memory() -> (MemoryDialer, MemoryListener) {
    let (sender, receiver) = mpsc::channel(MEMORY_BACKLOG);
    (MemoryDialer(sender), MemoryListener(receiver))
}

/// Dials a [`MemoryListener`].
#[derive(Debug, Clone)]
pub struct MemoryDialer(mpsc::Sender<DuplexStream>);

impl Dial for MemoryDialer {
    fn dial(&self) -> StreamFuture<'_, BoxStream> {
        Box::pin(async {
            let (near, far) = duplex(MEMORY_STREAM_BYTES);
            self.0.send(far).await.map_err(|_| io::Error::from(io::ErrorKind::ConnectionRefused))?;
            Ok(Box::new(near) as BoxStream)
        })
    }
}

/// Accepts what a [`MemoryDialer`] dials.
#[derive(Debug)]
pub struct MemoryListener(mpsc::Receiver<DuplexStream>);

impl Listen for MemoryListener {
    fn accept(&mut self) -> StreamFuture<'_, Accepted> {
        Box::pin(async {
            match self.0.recv().await {
                Some(stream) => Ok(Accepted { stream: Box::new(stream), address: None }),
                // Every dialer is gone; whoever accepts waits for its shutdown.
                None => std::future::pending().await,
            }
        })
    }
}

/// Dials `host:port`.
#[derive(Debug, Clone)]
pub struct TcpDialer(String);

impl TcpDialer {
    /// `address` is `host:port`; a name is looked up at each dial.
    pub fn new(address: impl Into<String>) -> Self {
        Self(address.into())
    }
}

impl Dial for TcpDialer {
    fn dial(&self) -> StreamFuture<'_, BoxStream> {
        Box::pin(async {
            let stream = TcpStream::connect(&self.0).await?;
            prepare(&stream)?;
            Ok(Box::new(stream) as BoxStream)
        })
    }
}

/// A listening socket.
#[derive(Debug)]
pub struct TcpDoor(TcpListener);

impl TcpDoor {
    /// Listens; port 0 takes any that is free.
    pub async fn bind(address: SocketAddr) -> io::Result<Self> {
        Ok(Self(TcpListener::bind(address).await?))
    }

    /// Where it listens.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

impl Listen for TcpDoor {
    fn accept(&mut self) -> StreamFuture<'_, Accepted> {
        Box::pin(async {
            let (stream, address) = self.0.accept().await?;
            // Whoever is gone already is found out when he is read from.
            if let Err(error) = prepare(&stream) {
                tracing::debug!(%error, %address, "a socket could not be prepared");
            }
            Ok(Accepted { stream: Box::new(stream), address: Some(address) })
        })
    }
}

/// Before an idle connection is asked whether its other end still is, and between the questions.
const KEEPALIVE: Duration = Duration::from_secs(15);
/// Unanswered questions that end it.
const KEEPALIVE_COUNT: u32 = 3;
/// Milliseconds that sent bytes may stay unacknowledged.
const UNACKNOWLEDGED_MS: u32 = 60_000;

/// Keystrokes must not wait for each other, and a host that vanished must not hold a connection for ever.
fn prepare(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    sockopt::set_socket_keepalive(stream, true)?;
    sockopt::set_tcp_keepidle(stream, KEEPALIVE)?;
    sockopt::set_tcp_keepintvl(stream, KEEPALIVE)?;
    sockopt::set_tcp_keepcnt(stream, KEEPALIVE_COUNT)?;
    sockopt::set_tcp_user_timeout(stream, UNACKNOWLEDGED_MS)?;
    Ok(())
}
