//! `apc policy` against a cluster: import, list, show, export, delete.

use std::{
    collections::BTreeMap,
    fs,
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use axum::{body::Body, http::Method};

use crate::{
    cli::client::{
        error::ClientError,
        home::Home,
        output::{Output, print, safe, table},
        rest::{Rest, encode},
    },
    limits::DOCUMENT_BYTES_MAX,
    wire::policy::{PolicyDocument, PolicyList, PutDocument, PutPolicy},
};

/// What to do with the cluster's policy documents.
#[derive(Debug, clap::Subcommand)]
pub enum PolicyServerCommand {
    /// Write documents to the cluster: all or none
    Import {
        /// Files, or folders of `*.pol`
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// Accept that you could not make this change again afterwards
        #[arg(long)]
        force: bool,
    },
    /// List the cluster's documents
    List,
    /// Show one document
    Show {
        /// Name without `.pol`
        name: String,
    },
    /// Write the cluster's editable documents into a folder
    Export {
        /// Folder, made if absent
        folder: PathBuf,
        /// Replace files that exist
        #[arg(long)]
        overwrite: bool,
    },
    /// Delete one document
    Delete {
        /// Name without `.pol`
        name: String,
    },
}

pub(crate) async fn run(home: &Home, command: PolicyServerCommand, output: Output) -> Result<(), ClientError> {
    let rest = Rest::open(home)?;
    match command {
        PolicyServerCommand::Import { files, force } => import(&rest, &files, force, output).await,
        PolicyServerCommand::List => {
            let list: PolicyList = rest.get("/v1/policy").await?;
            output.answer(&list, show_list)
        }
        PolicyServerCommand::Show { name } => {
            let document: PolicyDocument = rest.get(&format!("/v1/policy/{}", encode(&name))).await?;
            // Policy text is for a terminal too: what would draw on it is shown escaped.
            output.answer(&document, |it| safe(it.text.as_deref().unwrap_or_default().trim_end_matches('\n')))
        }
        PolicyServerCommand::Export { folder, overwrite } => export(&rest, &folder, overwrite, output).await,
        PolicyServerCommand::Delete { name } => {
            let list: PolicyList = rest.get("/v1/policy").await?;
            let version = list.documents.iter().find(|it| it.name == name).map(|it| it.version);
            let version = version.map(|it| format!("?for_version={it}")).unwrap_or_default();
            let path = format!("/v1/policy/{}{version}", encode(&name));
            let list: PolicyList = rest.exchange(Method::DELETE, &path, Body::empty()).await?;
            output.answer(&list, |list| format!("deleted {}, revision {}", safe(&name), list.revision))
        }
    }
}

async fn import(rest: &Rest, files: &[PathBuf], force: bool, output: Output) -> Result<(), ClientError> {
    let mut texts = BTreeMap::new();
    for path in documents_of(files)? {
        let (name, text) = read(&path)?;
        if texts.insert(name.clone(), text).is_some() {
            return Err(ClientError::Usage(format!("two documents are named `{name}`")));
        }
    }
    // Each change names the version that it replaces. Who may not read what is there names none.
    let present = match rest.get::<PolicyList>("/v1/policy").await {
        Ok(list) => Some(list.documents),
        Err(ClientError::Refused(error)) if error.code == "missing_claim" => None,
        Err(error) => return Err(error),
    };
    let version = |name: &str| {
        present.as_ref().map(|all| all.iter().find(|it| it.name == name && !it.system).map_or(0, |it| it.version))
    };
    let docs = texts.into_iter().map(|(name, text)| PutDocument { for_version: version(&name), name, text });
    let put = PutPolicy { docs: docs.collect(), force };
    let list: PolicyList = rest.send(Method::PUT, "/v1/policy", &put).await?;
    output.answer(&list, |list| format!("imported {} documents, revision {}", put.docs.len(), list.revision))
}

async fn export(rest: &Rest, folder: &Path, overwrite: bool, output: Output) -> Result<(), ClientError> {
    let list: PolicyList = rest.get("/v1/policy").await?;
    fs::create_dir_all(folder).map_err(|error| file_error(folder, &error))?;
    let mut written = 0_usize;
    for entry in list.documents.iter().filter(|it| !it.system) {
        // The name comes from the cluster: it must not leave the folder.
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        if entry.name.starts_with('.') || entry.name.is_empty() || !entry.name.chars().all(plain) {
            return Err(ClientError::Failed(format!("`{}` cannot be a file's name", entry.name)));
        }
        let document: PolicyDocument = rest.get(&format!("/v1/policy/{}", encode(&entry.name))).await?;
        let path = folder.join(format!("{}.pol", entry.name));
        let mut options = fs::OpenOptions::new();
        options.write(true).mode(0o644).custom_flags(libc::O_NOFOLLOW);
        if overwrite {
            options.create(true).truncate(true)
        } else {
            options.create_new(true)
        };
        let mut file = options.open(&path).map_err(|error| file_error(&path, &error))?;
        let text = document.text.unwrap_or_default();
        file.write_all(text.as_bytes()).map_err(|error| file_error(&path, &error))?;
        written = written.saturating_add(1);
    }
    if !output.json {
        print(&format!("wrote {written} documents to {}", safe(&folder.display().to_string())));
    }
    Ok(())
}

/// Each file, and each `*.pol` of each folder, in order.
fn documents_of(files: &[PathBuf]) -> Result<Vec<PathBuf>, ClientError> {
    let mut all = Vec::new();
    for path in files {
        if !path.is_dir() {
            all.push(path.clone());
            continue;
        }
        let mut found = Vec::new();
        for entry in fs::read_dir(path).map_err(|error| file_error(path, &error))? {
            found.push(entry.map_err(|error| file_error(path, &error))?.path());
        }
        found.retain(|it| it.extension().is_some_and(|it| it == "pol"));
        found.sort();
        if found.is_empty() {
            return Err(ClientError::Usage(format!("no `*.pol` in `{}`", path.display())));
        }
        all.extend(found);
    }
    Ok(all)
}

/// A document's name and text.
fn read(path: &Path) -> Result<(String, String), ClientError> {
    let failed = |cause: &str| ClientError::File { path: path.to_owned(), cause: cause.to_owned() };
    let size = fs::metadata(path).map_err(|error| file_error(path, &error))?.len();
    if u64::try_from(DOCUMENT_BYTES_MAX).unwrap_or(u64::MAX) < size {
        return Err(failed("larger than a policy document may be"));
    }
    let text = fs::read_to_string(path).map_err(|error| file_error(path, &error))?;
    let stem = path.file_stem().and_then(|it| it.to_str()).filter(|it| !it.is_empty());
    Ok((stem.ok_or_else(|| failed("no name for a document"))?.to_owned(), text))
}

fn show_list(list: &PolicyList) -> String {
    let row = |it: &PolicyDocument| {
        let version = if it.system { "system".to_owned() } else { it.version.to_string() };
        vec![it.name.clone(), version, it.author.clone()]
    };
    let documents = table(&["DOCUMENT", "VERSION", "AUTHOR"], list.documents.iter().map(row));
    format!("{documents}\nrevision {}", list.revision)
}

fn file_error(path: &Path, error: &std::io::Error) -> ClientError {
    ClientError::File { path: path.to_owned(), cause: error.to_string() }
}
