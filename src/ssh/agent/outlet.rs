//! The way back to the client on one channel: everything in order, data only as far as the client's window reaches.

use russh::{
    ChannelId, ChannelWriteHalf, Sig,
    server::{Handle, Msg},
};
use thiserror::Error;

/// The connection is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the connection is closed")]
pub(in crate::ssh) struct Gone;

/// One channel's sending half.
#[derive(Clone)]
pub(in crate::ssh) struct Outlet {
    id: ChannelId,
    handle: Handle,
    // Data goes this way alone: russh stops every channel while one has data beyond its window, and only this half waits.
    half: std::sync::Arc<ChannelWriteHalf<Msg>>,
}

impl std::fmt::Debug for Outlet {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Outlet").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Outlet {
    /// Of an opened channel.
    pub(in crate::ssh) fn new(handle: Handle, half: ChannelWriteHalf<Msg>) -> Outlet {
        Outlet { id: half.id(), handle, half: std::sync::Arc::new(half) }
    }

    /// Bytes of standard output or error; waits for the client's window.
    pub(in crate::ssh) async fn data(&self, stderr: bool, bytes: Vec<u8>) -> Result<(), Gone> {
        let sent =
            if stderr { self.half.extended_data_bytes(1, bytes).await } else { self.half.data_bytes(bytes).await };
        sent.map_err(|_| Gone)
    }

    /// The client may send so much more.
    pub(in crate::ssh) async fn grant(&self, bytes: u32) -> Result<(), Gone> {
        self.half.grant_window(bytes).await.map_err(|_| Gone)
    }

    /// How the process ended, then the end of the channel.
    pub(in crate::ssh) async fn finish(&self, exit: Exit) -> Result<(), Gone> {
        match exit {
            Exit::Status(status) => self.half.exit_status(status).await.map_err(|_| Gone)?,
            Exit::Signal { name, core_dumped } => {
                let signal = Sig::Custom(name.to_owned());
                let sending =
                    self.handle.exit_signal_request(self.id, signal, core_dumped, String::new(), String::new());
                sending.await.map_err(|()| Gone)?;
            }
        }
        self.half.eof().await.map_err(|_| Gone)?;
        self.half.close().await.map_err(|_| Gone)
    }
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::ssh) enum Exit {
    Status(u32),
    Signal {
        /// Without `SIG`.
        name: &'static str,
        core_dumped: bool,
    },
}
