//! What a process writes, kept in a bounded file: when it is full it becomes `.1` and a new one begins.

use std::{
    fs::{self, File},
    io::{self, Read, Seek, SeekFrom, Write},
    os::{fd::OwnedFd, unix::fs::OpenOptionsExt},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use rustix::pipe::{PipeFlags, pipe_with};
use tokio::{io::AsyncReadExt, net::unix::pipe::Receiver, task::JoinHandle};

use crate::im::{ImError, error::Context};

/// Bytes of one file; two are kept.
pub const LOG_BYTES_MAX: u64 = 2 * 1024 * 1024;

/// Bytes answered at most when the end of a log is asked for.
pub const TAIL_BYTES_MAX: usize = 256 * 1024;

/// A log that several streams are written to.
#[derive(Debug, Clone)]
pub struct Log {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    bytes_max: u64,
    file: Option<File>,
    length: u64,
}

impl Log {
    /// Goes on with what is there.
    pub fn open(path: PathBuf, bytes_max: u64) -> Self {
        Self { inner: Arc::new(Mutex::new(Inner { path, bytes_max, file: None, length: 0 })) }
    }

    /// Appends. A full disk loses the log, never the job: what cannot be written is dropped.
    pub fn write(&self, bytes: &[u8]) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if inner.write(bytes).is_err() {
            inner.file = None;
        }
    }

    /// A pipe whose bytes come here; the task ends when all its writers are gone and everything is written.
    pub fn pipe(&self) -> Result<(OwnedFd, JoinHandle<()>), ImError> {
        let what = || "make a pipe".to_owned();
        let (reader, writer) = pipe_with(PipeFlags::CLOEXEC).context(what)?;
        let mut reader = Receiver::from_owned_fd(reader).context(what)?;
        let log = self.clone();
        let task = tokio::spawn(async move {
            let mut buffer = vec![0; 32 * 1024];
            while let Ok(count @ 1..) = reader.read(&mut buffer).await {
                log.write(buffer.get(..count).unwrap_or_default());
            }
        });
        Ok((writer, task))
    }
}

impl Inner {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            none => {
                let file = fs::OpenOptions::new().append(true).create(true).mode(0o600).open(&self.path)?;
                self.length = file.metadata()?.len();
                none.insert(file)
            }
        };
        file.write_all(bytes)?;
        self.length = self.length.saturating_add(bytes.len().try_into().unwrap_or(u64::MAX));
        if self.bytes_max <= self.length {
            fs::rename(&self.path, older(&self.path))?;
            self.file = None;
        }
        Ok(())
    }
}

/// The last lines of a log, lossy UTF-8.
pub fn tail(path: &Path, lines: u32) -> String {
    let mut bytes = last_bytes(path);
    if bytes.len() < TAIL_BYTES_MAX {
        let mut before = last_bytes(&older(path));
        before.append(&mut bytes);
        bytes = before;
    }
    let start = bytes.len().saturating_sub(TAIL_BYTES_MAX);
    let bytes = bytes.get(start..).unwrap_or_default();
    let text = String::from_utf8_lossy(bytes);
    let all: Vec<&str> = text.split_inclusive('\n').collect();
    let skipped = all.len().saturating_sub(lines.try_into().unwrap_or(usize::MAX));
    all.into_iter().skip(skipped).collect()
}

fn last_bytes(path: &Path) -> Vec<u8> {
    let read = || -> io::Result<Vec<u8>> {
        let mut file = File::open(path)?;
        let wanted = u64::try_from(TAIL_BYTES_MAX).unwrap_or(u64::MAX);
        file.seek(SeekFrom::Start(file.metadata()?.len().saturating_sub(wanted)))?;
        let mut bytes = Vec::new();
        file.take(wanted).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    read().unwrap_or_default()
}

fn older(path: &Path) -> PathBuf {
    path.with_extension("log.1")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_is_bounded_and_its_tail_spans_both_files() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("output.log");
        let log = Log::open(path.clone(), 1_000);
        for number in 0..1_000 {
            log.write(format!("line {number}\n").as_bytes());
        }
        let kept: u64 = fs::read_dir(folder.path()).unwrap().map(|it| it.unwrap().metadata().unwrap().len()).sum();
        assert!(kept < 2_100, "{kept}");
        assert_eq!(tail(&path, 2), "line 998\nline 999\n");
        assert!(tail(&path, 100_000).lines().count() > 70);
    }

    #[tokio::test]
    async fn everything_written_to_the_pipe_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("output.log");
        let (writer, task) = Log::open(path.clone(), LOG_BYTES_MAX).pipe().unwrap();
        let written = tokio::task::spawn_blocking(move || File::from(writer).write_all(&vec![b'x'; 300_000]));
        written.await.unwrap().unwrap();
        task.await.unwrap();
        assert_eq!(fs::metadata(path).unwrap().len(), 300_000);
    }
}
