//! `apc package`: import, list, delete.

use std::{io, path::PathBuf};

use axum::{body::Body, http::Method};
use tokio_util::io::ReaderStream;

use crate::{
    cli::client::{
        error::ClientError,
        home::Home,
        names::full_name,
        output::{Output, remark, safe, table},
        pack,
        rest::{Rest, encode},
    },
    wire::job::Package,
};

/// What to do with packages.
#[derive(Debug, clap::Subcommand)]
pub enum PackageCommand {
    /// Import a root file system or an OCI image layout: a folder, or a tar archive (gzip or not; `-` is standard input)
    Import {
        /// Folder or archive
        source: PathBuf,
        /// Name of the package; else that of the folder or archive
        #[arg(long)]
        name: Option<String>,
    },
    /// List the packages that you may use or read
    List,
    /// Delete a package that no job uses
    Delete {
        /// Name
        name: String,
    },
}

pub(crate) async fn run(home: &Home, command: PackageCommand, output: Output) -> Result<(), ClientError> {
    let rest = Rest::open(home)?;
    match command {
        PackageCommand::Import { source, name } => import(&rest, source, name, output).await,
        PackageCommand::List => {
            let packages: Vec<Package> = rest.get("/v1/packages").await?;
            output.answer(&packages, |packages| {
                let row = |it: &Package| {
                    let bytes: u64 = it.layers.iter().map(|layer| layer.bytes).sum();
                    vec![it.fqn.clone(), it.layers.len().to_string(), megabytes(bytes), it.owner.clone()]
                };
                table(&["PACKAGE", "LAYERS", "SIZE", "OWNER"], packages.iter().map(row))
            })
        }
        PackageCommand::Delete { name } => {
            let fqn = full_name(&rest, "package", &name).await?;
            rest.delete(&format!("/v1/packages?fqn={}", encode(&fqn))).await?;
            output.done(&format!("deleted {}", safe(&fqn)));
            Ok(())
        }
    }
}

async fn import(rest: &Rest, source: PathBuf, name: Option<String>, output: Output) -> Result<(), ClientError> {
    let name = match name {
        Some(name) => name,
        None => name_of(&source)?,
    };
    let fqn = full_name(rest, "package", &name).await?;
    let path = format!("/v1/packages?fqn={}", encode(&fqn));
    let failed = |error: io::Error| ClientError::File { path: source.clone(), cause: error.to_string() };
    let package: Package = if source.is_dir() {
        let (body, packing) = pack::body(&source);
        let answer = rest.exchange(Method::POST, &path, body).await;
        let packed = packing.await.map_err(io::Error::other).and_then(|it| it);
        // The cluster may have refused before all was packed: its reason is the better one.
        let refused = matches!(answer, Err(ClientError::Refused(_)));
        match packed {
            Err(error) if !refused => return Err(failed(error)),
            Ok(packed) if packed.left_out != 0 && !output.batch => {
                remark(&format!("{} devices, pipes and sockets were left out", packed.left_out));
            }
            Ok(_) | Err(_) => (),
        }
        answer?
    } else if source.as_os_str() == "-" {
        rest.exchange(Method::POST, &path, Body::from_stream(ReaderStream::new(tokio::io::stdin()))).await?
    } else {
        let file = tokio::fs::File::open(&source).await.map_err(failed)?;
        rest.exchange(Method::POST, &path, Body::from_stream(ReaderStream::with_capacity(file, 128 * 1024))).await?
    };
    output.answer(&package, |package| format!("imported {} ({} layers)", safe(&package.fqn), package.layers.len()))
}

/// The file's name up to its first dot.
fn name_of(source: &std::path::Path) -> Result<String, ClientError> {
    let full = source.canonicalize().unwrap_or_else(|_| source.to_owned());
    let name = full.file_name().map(|it| it.to_string_lossy().into_owned()).unwrap_or_default();
    let stem = name.split('.').next().unwrap_or_default();
    if stem.is_empty() || source.as_os_str() == "-" {
        return Err(ClientError::Usage("name the package with `--name`".to_owned()));
    }
    Ok(stem.to_owned())
}

fn megabytes(bytes: u64) -> String {
    let tenths = bytes.saturating_mul(10) / (1024 * 1024);
    format!("{}.{} MB", tenths / 10, tenths % 10)
}
