//! Standard output and standard error: written at once where that cannot block, else by a thread.

use std::{
    fs::File,
    io::{self, IoSlice, Write},
    os::fd::AsFd,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use rustix::{
    fs::OFlags,
    io::{Errno, ReadWriteFlags, pwritev2, write},
};
use tokio::{
    io::AsyncWrite,
    task::{JoinHandle, spawn_blocking},
};

use crate::cli::connect::terminal;

/// Bytes that a thread is given at a time.
const THREAD_BYTES: usize = 64 * 1024;

/// At the file's own offset (preadv2(2), pwritev2(2)).
pub(crate) const HERE: u64 = u64::MAX;

/// One of the process's own streams.
///
/// It is shared with whoever started us, so it cannot be made non-blocking. For a file or pipe a single write can; a terminal
/// is opened once more. Where there is no such way, and where it is full, a thread waits.
#[derive(Debug)]
pub(crate) struct Standard {
    file: Arc<File>,
    now: Now,
    writing: Option<JoinHandle<io::Result<()>>>,
}

/// How to write without waiting.
#[derive(Debug)]
enum Now {
    /// By a flag of each write (pwritev2(2)).
    Flag,
    /// To the same terminal, opened non-blocking.
    Terminal(File),
    No,
}

impl Standard {
    /// Of a descriptor, which is duplicated.
    pub(crate) fn of(stream: impl AsFd) -> io::Result<Self> {
        let file = Arc::new(File::from(stream.as_fd().try_clone_to_owned()?));
        let now = terminal::without_waiting(&file, OFlags::WRONLY).map_or(Now::Flag, Now::Terminal);
        Ok(Self { file, now, writing: None })
    }

    /// `Ready` when no thread writes.
    fn poll_written(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(writing) = &mut self.writing else { return Poll::Ready(Ok(())) };
        let written = ready!(Pin::new(writing).poll(context));
        self.writing = None;
        Poll::Ready(written?)
    }

    /// Writes what can be written without waiting; nothing where something must be waited for. What fails is left to a thread,
    /// which says why.
    fn write_now(&mut self, bytes: &[u8]) -> Option<usize> {
        loop {
            let written = match &self.now {
                Now::Flag => pwritev2(&self.file, &[IoSlice::new(bytes)], HERE, ReadWriteFlags::NOWAIT),
                Now::Terminal(terminal) => write(terminal, bytes),
                Now::No => return None,
            };
            match written {
                Ok(count) => return Some(count),
                Err(Errno::AGAIN) => return None,
                Err(Errno::INTR) => (),
                Err(_) => self.now = Now::No,
            }
        }
    }
}

impl AsyncWrite for Standard {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.poll_written(context))?;
        if let Some(count) = self.write_now(bytes) {
            return Poll::Ready(Ok(count));
        }
        let piece = bytes.get(..THREAD_BYTES).unwrap_or(bytes).to_vec();
        let (file, count) = (Arc::clone(&self.file), piece.len());
        self.writing = Some(spawn_blocking(move || (&*file).write_all(&piece)));
        Poll::Ready(Ok(count))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_written(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_written(context)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Seek, pipe};

    use tokio::io::AsyncWriteExt;

    use super::*;

    /// Far more than a pipe holds, so that it is full again and again.
    fn text() -> Vec<u8> {
        (0..1_000_000_u32).flat_map(u32::to_le_bytes).collect()
    }

    #[tokio::test]
    async fn a_pipe_gets_all_in_order_however_slow_its_reader_is() {
        let (mut reader, writer) = pipe().unwrap();
        let mut standard = Standard::of(&writer).unwrap();
        drop(writer);
        let reading = std::thread::spawn(move || {
            let mut received = Vec::new();
            reader.read_to_end(&mut received).unwrap();
            received
        });
        standard.write_all(&text()).await.unwrap();
        standard.flush().await.unwrap();
        drop(standard);
        assert!(reading.join().unwrap() == text());
    }

    #[tokio::test]
    async fn a_file_is_written_where_its_offset_is() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"before ").unwrap();
        let mut standard = Standard::of(&file).unwrap();
        standard.write_all(b"behind").await.unwrap();
        standard.flush().await.unwrap();
        let mut found = String::new();
        file.rewind().unwrap();
        file.read_to_string(&mut found).unwrap();
        assert_eq!(found, "before behind");
    }

    #[tokio::test]
    async fn a_pipe_without_a_reader_is_an_error() {
        let (reader, writer) = pipe().unwrap();
        drop(reader);
        let mut standard = Standard::of(&writer).unwrap();
        let written = match standard.write_all(b"x").await {
            Ok(()) => standard.flush().await,
            Err(error) => Err(error),
        };
        assert_eq!(written.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }
}
