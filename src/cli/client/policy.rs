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
    wire::policy::{PolicyDocument, PolicyList, PutDocument, PutPolicy, PutTests},
};

/// What to do with the cluster's policy documents.
#[derive(Debug, clap::Subcommand)]
pub enum PolicyServerCommand {
    /// Write documents to the cluster: all or none
    Import {
        /// Files, or folders of `*.pol`
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// Keep the tests beside them too, `decisions.toml` under the folder's name: no later change may break one
        #[arg(long)]
        tests: bool,
        /// Accept that you could not make this change again afterwards
        #[arg(long)]
        force: bool,
    },
    /// List the cluster's documents
    List,
    /// Show one document, or tests that are kept
    Show {
        /// Name without `.pol`, or `NAME.decisions.toml`
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
    /// Delete one document, or tests that are kept
    Delete {
        /// Name without `.pol`, or `NAME.decisions.toml`
        name: String,
    },
}

pub(crate) async fn run(home: &Home, command: PolicyServerCommand, output: Output) -> Result<(), ClientError> {
    let rest = Rest::open(home)?;
    match command {
        PolicyServerCommand::Import { files, tests, force } => {
            let put = change(&rest, &files, tests, force).await?;
            let list: PolicyList = rest.send(Method::PUT, "/v1/policy", &put).await?;
            output.answer(&list, |list| format!("imported {}, revision {}", imported(&put), list.revision))
        }
        PolicyServerCommand::List => {
            let list: PolicyList = rest.get("/v1/policy").await?;
            output.answer(&list, show_list)
        }
        PolicyServerCommand::Show { name } => {
            let document: PolicyDocument = rest.get(&path_of(&name)).await?;
            // Policy text is for a terminal too: what would draw on it is shown escaped.
            output.answer(&document, |it| safe(it.text.as_deref().unwrap_or_default().trim_end_matches('\n')))
        }
        PolicyServerCommand::Export { folder, overwrite } => export(&rest, &folder, overwrite, output).await,
        PolicyServerCommand::Delete { name } => {
            let list: PolicyList = rest.get("/v1/policy").await?;
            let list: PolicyList = if let Some(tests) = tests_called(&name) {
                let tests = PutTests { for_version: version(&list.tests, tests), name: tests.to_owned(), text: None };
                let put = PutPolicy { docs: Vec::new(), tests: vec![tests], force: false };
                rest.send(Method::PUT, "/v1/policy", &put).await?
            } else {
                let version = version(&list.documents, &name).map(|it| format!("?for_version={it}"));
                let path = format!("{}{}", path_of(&name), version.unwrap_or_default());
                rest.exchange(Method::DELETE, &path, Body::empty()).await?
            };
            output.answer(&list, |list| format!("deleted {}, revision {}", safe(&name), list.revision))
        }
    }
}

/// The name of tests, where a name is one of tests.
fn tests_called(name: &str) -> Option<&str> {
    name.strip_suffix(".decisions.toml")
}

fn path_of(name: &str) -> String {
    match tests_called(name) {
        Some(tests) => format!("/v1/policy/tests/{}", encode(tests)),
        None => format!("/v1/policy/{}", encode(name)),
    }
}

fn version(present: &[PolicyDocument], name: &str) -> Option<u64> {
    present.iter().find(|it| it.name == name && !it.system).map(|it| it.version)
}

fn imported(put: &PutPolicy) -> String {
    let count = |count: usize, one: &str, many: &str| format!("{count} {}", if count == 1 { one } else { many });
    let documents = count(put.docs.len(), "document", "documents");
    match put.tests.len() {
        0 => documents,
        tests => format!("{documents} and {}", count(tests, "file of tests", "files of tests")),
    }
}

/// What an import asks of the cluster. Each change names the version that it replaces; who may not read what is there names
/// none.
async fn change(rest: &Rest, files: &[PathBuf], with_tests: bool, force: bool) -> Result<PutPolicy, ClientError> {
    let (documents, tests) = files_of(files, with_tests)?;
    let present = match rest.get::<PolicyList>("/v1/policy").await {
        Ok(list) => Some(list),
        Err(ClientError::Refused(error)) if error.code == "missing_claim" => None,
        Err(error) => return Err(error),
    };
    let known = |of: fn(&PolicyList) -> &Vec<PolicyDocument>, name: &str| {
        present.as_ref().map(|it| version(of(it), name).unwrap_or(0))
    };
    let docs = texts(documents)?.into_iter().map(|(name, text)| PutDocument {
        for_version: known(|it| &it.documents, &name),
        name,
        text,
    });
    let tests = texts(tests)?.into_iter().map(|(name, text)| PutTests {
        for_version: known(|it| &it.tests, &name),
        name,
        text: Some(text),
    });
    Ok(PutPolicy { docs: docs.collect(), tests: tests.collect(), force })
}

async fn export(rest: &Rest, folder: &Path, overwrite: bool, output: Output) -> Result<(), ClientError> {
    let list: PolicyList = rest.get("/v1/policy").await?;
    fs::create_dir_all(folder).map_err(|error| file_error(folder, &error))?;
    let documents = list.documents.iter().filter(|it| !it.system).map(|it| (&it.name, it.name.clone(), "pol"));
    let tests = list.tests.iter().map(|it| (&it.name, format!("{}.decisions.toml", it.name), "decisions.toml"));
    let mut written = 0_usize;
    for (name, called, suffix) in documents.chain(tests) {
        // The name comes from the cluster: it must not leave the folder.
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        if name.starts_with('.') || name.is_empty() || !name.chars().all(plain) {
            return Err(ClientError::Failed(format!("`{name}` cannot be a file's name")));
        }
        let document: PolicyDocument = rest.get(&path_of(&called)).await?;
        let path = folder.join(format!("{name}.{suffix}"));
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
        print(&format!("wrote {written} files to {}", safe(&folder.display().to_string())));
    }
    Ok(())
}

/// Names and files, of documents and of tests.
type Named = Vec<(String, PathBuf)>;

/// Each file, and each `*.pol` of each folder, in order; with tests also those of each folder.
fn files_of(files: &[PathBuf], with_tests: bool) -> Result<(Named, Named), ClientError> {
    let (mut documents, mut tests) = (Vec::new(), Vec::new());
    for path in files {
        if !path.is_dir() {
            match tests_name(path) {
                Some(name) => tests.push((name, path.clone())),
                None => documents.push((stem(path)?, path.clone())),
            }
            continue;
        }
        let mut found = Vec::new();
        for entry in fs::read_dir(path).map_err(|error| file_error(path, &error))? {
            found.push(entry.map_err(|error| file_error(path, &error))?.path());
        }
        found.sort();
        let before = documents.len();
        for path in found {
            if path.extension().is_some_and(|it| it == "pol") {
                documents.push((stem(&path)?, path));
            } else if let Some(name) = tests_name(&path).filter(|_| with_tests) {
                tests.push((name, path));
            }
        }
        if documents.len() == before {
            return Err(ClientError::Usage(format!("no `*.pol` in `{}`", path.display())));
        }
    }
    Ok((documents, tests))
}

/// The name that tests are kept under: before `.decisions.toml`, and of `decisions.toml` that of its folder.
fn tests_name(path: &Path) -> Option<String> {
    let file = path.file_name()?.to_str()?;
    if file == "decisions.toml" {
        let folder = path.parent().and_then(|it| it.canonicalize().ok());
        return Some(folder.as_deref().and_then(Path::file_name)?.to_str()?.to_owned());
    }
    tests_called(file).map(str::to_owned)
}

fn stem(path: &Path) -> Result<String, ClientError> {
    let stem = path.file_stem().and_then(|it| it.to_str()).filter(|it| !it.is_empty());
    let no_name = || ClientError::File { path: path.to_owned(), cause: "no name for a document".to_owned() };
    stem.map(str::to_owned).ok_or_else(no_name)
}

fn texts(named: Named) -> Result<BTreeMap<String, String>, ClientError> {
    let mut texts = BTreeMap::new();
    for (name, path) in named {
        let text = read(&path)?;
        if texts.insert(name.clone(), text).is_some() {
            return Err(ClientError::Usage(format!("two files are named `{name}`")));
        }
    }
    Ok(texts)
}

fn read(path: &Path) -> Result<String, ClientError> {
    let size = fs::metadata(path).map_err(|error| file_error(path, &error))?.len();
    if u64::try_from(DOCUMENT_BYTES_MAX).unwrap_or(u64::MAX) < size {
        let cause = "larger than a policy document may be".to_owned();
        return Err(ClientError::File { path: path.to_owned(), cause });
    }
    fs::read_to_string(path).map_err(|error| file_error(path, &error))
}

fn show_list(list: &PolicyList) -> String {
    let row = |it: &PolicyDocument| {
        let version = if it.system { "system".to_owned() } else { it.version.to_string() };
        vec![it.name.clone(), version, it.author.clone()]
    };
    let tests =
        list.tests.iter().map(|it| PolicyDocument { name: format!("{}.decisions.toml", it.name), ..it.clone() });
    let rows = list.documents.iter().map(row).chain(tests.map(|it| row(&it)));
    let documents = table(&["DOCUMENT", "VERSION", "AUTHOR"], rows);
    format!("{documents}\nrevision {}", list.revision)
}

fn file_error(path: &Path, error: &std::io::Error) -> ClientError {
    ClientError::File { path: path.to_owned(), cause: error.to_string() }
}
