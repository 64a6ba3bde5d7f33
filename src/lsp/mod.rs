//! A language server for policy documents, over standard input and output (Language Server Protocol 3.17).
//!
//! What it knows of documents is in `editor`; this layer keeps the documents that an editor has open beside those on
//! disk, and translates places and answers. The documents of a folder are one set, as they are for `apc policy lint`.

mod actions;
mod analysis;
mod capabilities;
mod convert;
mod document;
mod server;
mod text;
mod workspace;

use tokio::io::{AsyncRead, AsyncWrite};
use tower_lsp_server::{LspService, Server};

use crate::lsp::server::Backend;

/// Serves one editor on standard input and output, until it says `exit` or closes its end.
pub async fn serve() {
    serve_on(tokio::io::stdin(), tokio::io::stdout()).await;
}

/// The same on any two streams, within a tokio runtime.
///
/// Messages are answered one after another, so that an answer is always about the text that the editor had when it asked.
pub async fn serve_on(input: impl AsyncRead + Unpin, output: impl AsyncWrite) {
    let (service, socket) = LspService::new(Backend::new);
    Server::new(input, output, socket).concurrency_level(1).serve(service).await;
}
