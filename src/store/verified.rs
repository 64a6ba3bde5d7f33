//! Blobs by digest: the name of one, and a reader that fails at the end of another.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use sha2::{Digest, Sha256};
use tokio::io::{AsyncRead, ReadBuf};

use crate::store::StoreError;

/// Hex part of `sha256:<64 lower-case hex digits>`; nothing else names a blob, and so no name leads out of a folder.
pub(in crate::store) fn hex_of(digest: &str) -> Result<&str, StoreError> {
    let hex = digest.strip_prefix("sha256:").filter(|it| it.len() == 64);
    let hex = hex.filter(|it| it.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')));
    hex.ok_or_else(|| StoreError::NoBlob(digest.to_owned()))
}

/// Digest of what was hashed.
pub(in crate::store) fn digest_of(hasher: Sha256) -> String {
    format!("sha256:{}", hex::encode(hasher.finalize()))
}

/// Passes bytes on and, at their end, fails if they are not those of the digest.
pub(in crate::store) struct Verified<R> {
    bytes: R,
    digest: String,
    /// Taken when the end was good; reading on is at the end again.
    hasher: Option<Sha256>,
}

impl<R> Verified<R> {
    pub(in crate::store) fn new(bytes: R, digest: &str) -> Self {
        Self { bytes, digest: digest.to_owned(), hasher: Some(Sha256::new()) }
    }
}

impl<R: AsyncRead + Unpin> AsyncRead for Verified<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.hasher.is_none() || buffer.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.bytes).poll_read(context, buffer))?;
        let read = buffer.filled().get(before..).unwrap_or_default();
        if let Some(hasher) = self.hasher.as_mut().filter(|_| !read.is_empty()) {
            hasher.update(read);
            return Poll::Ready(Ok(()));
        }
        let found = self.hasher.clone().map(digest_of);
        if found.as_ref() != Some(&self.digest) {
            let message = format!("the blob `{}` is damaged", self.digest);
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, message)));
        }
        self.hasher = None;
        Poll::Ready(Ok(()))
    }
}
