//! A request's body into a file without a name.

use std::{
    fs::File,
    io::{self, Seek},
    path::Path,
};

use axum::body::Body;
use futures_util::StreamExt;
use tokio::io::AsyncWriteExt;

use crate::api::import::ImportError;

/// Receives at most `bytes_max` bytes.
pub(crate) async fn receive(scratch: &Path, body: Body, bytes_max: u64) -> Result<File, ImportError> {
    let file = tempfile::tempfile_in(scratch).map_err(ImportError::Disk)?;
    let mut file = tokio::fs::File::from_std(file);
    let mut received: u64 = 0;
    let mut chunks = body.into_data_stream();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|error| ImportError::Archive(io::Error::other(error)))?;
        received = received.saturating_add(u64::try_from(chunk.len()).unwrap_or(u64::MAX));
        if bytes_max < received {
            return Err(ImportError::TooLarge(bytes_max));
        }
        file.write_all(&chunk).await.map_err(ImportError::Disk)?;
    }
    file.flush().await.map_err(ImportError::Disk)?;
    let mut file = file.into_std().await;
    file.rewind().map_err(ImportError::Disk)?;
    Ok(file)
}
