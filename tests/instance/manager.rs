//! The manager as a process of its own, whose API server is this test's, behind a socket in a folder.

use std::{
    net::Ipv4Addr,
    path::{Path, PathBuf},
    pin::Pin,
    process::ExitCode,
    sync::Arc,
};

use futures_util::{SinkExt, StreamExt};
use gatehouse::{
    im::{
        self, ImError, Settings,
        uplink::{Incoming, Outgoing, Uplink, UplinkFuture},
    },
    wire::im::{FromIm, ToIm},
};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use serde::{Deserialize, Serialize};
use tokio::{io::AsyncRead, net::UnixStream};
use tokio_util::{
    codec::{Framed, LinesCodec},
    sync::CancellationToken,
};

/// What a test tells its manager.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Told {
    /// Network namespace to be in.
    pub(crate) network: PathBuf,
    /// Everything of the test is in here: `state`, `api.sock`, `blobs`.
    pub(crate) folder: PathBuf,
    /// The stand-in for the agent.
    pub(crate) agent: PathBuf,
    /// See `Settings`.
    pub(crate) uid_base: u32,
    /// See `Settings`.
    pub(crate) stop_instances_on_exit: bool,
}

/// Runs until SIGTERM.
pub(crate) fn main(settings: &Path) -> ExitCode {
    let told: Told = serde_json::from_slice(&std::fs::read(settings).unwrap()).unwrap();
    // While there is one thread only.
    let namespace = std::fs::File::open(&told.network).unwrap();
    move_into_link_name_space(rustix::fd::AsFd::as_fd(&namespace), Some(LinkNameSpaceType::Network)).unwrap();
    if let Ok(filter) = std::env::var("IM_LOG") {
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    }
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let shutdown = CancellationToken::new();
        let stop = shutdown.clone();
        let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()).unwrap();
        tokio::spawn(async move {
            terminate.recv().await;
            stop.cancel();
        });
        let shim = vec![std::env::current_exe().unwrap().into(), "shim".into()];
        let mut settings = Settings::new(told.folder.join("state"), told.agent, shim);
        settings.ports = (20_000, 20_099);
        settings.uid_base = told.uid_base;
        settings.network = (Ipv4Addr::new(10, 222, 0, 0), 24);
        settings.cgroup = "gatehouse-test".to_owned();
        settings.stop_instances_on_exit = told.stop_instances_on_exit;
        let uplink = Arc::new(Socket { folder: told.folder });
        match im::run(settings, uplink, shutdown).await {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("manager: {error}");
                ExitCode::FAILURE
            }
        }
    })
}

/// JSON lines on a unix socket instead of a WebSocket; layers are files.
#[derive(Debug)]
struct Socket {
    folder: PathBuf,
}

impl Uplink for Socket {
    fn open(&self) -> UplinkFuture<'_, (Outgoing, Incoming)> {
        Box::pin(async {
            let failed = |error: std::io::Error| ImError::Uplink(error.to_string());
            let stream = UnixStream::connect(self.folder.join("api.sock")).await.map_err(failed)?;
            let (sink, stream) = Framed::new(stream, LinesCodec::new()).split();
            let sink = sink.sink_map_err(|error| ImError::Uplink(error.to_string()));
            let outgoing: Outgoing =
                Box::pin(sink.with(|message: FromIm| async move { Ok(serde_json::to_string(&message).unwrap()) }));
            let incoming: Incoming = Box::pin(stream.map(|line| {
                let line = line.map_err(|error| ImError::Uplink(error.to_string()))?;
                serde_json::from_str::<ToIm>(&line).map_err(|error| ImError::Protocol(error.to_string()))
            }));
            Ok((outgoing, incoming))
        })
    }

    fn layer<'a>(&'a self, digest: &'a str) -> UplinkFuture<'a, Pin<Box<dyn AsyncRead + Send>>> {
        Box::pin(async move {
            let file = tokio::fs::File::open(self.folder.join("blobs").join(digest)).await;
            let file = file.map_err(|error| ImError::Uplink(error.to_string()))?;
            Ok(Box::pin(file) as Pin<Box<dyn AsyncRead + Send>>)
        })
    }
}
