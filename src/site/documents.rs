//! Documents that form one set, read from files and folders.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use crate::{
    limits::DOCUMENT_BYTES_MAX,
    source::{Source, SourceError},
};

/// A document that could be read as a file, and is one of a set or says why not.
#[derive(Debug)]
pub(crate) struct Given {
    /// Where it is.
    pub(crate) path: PathBuf,
    /// The file as the user gave it.
    pub(crate) name: String,
    /// Not UTF-8 or too large is the author's mistake, not the file system's.
    pub(crate) source: Result<Source, SourceError>,
}

/// Why the arguments are no documents.
#[derive(Debug, thiserror::Error)]
#[error("cannot read `{path}`: {cause}")]
pub(crate) struct Unreadable {
    path: String,
    cause: io::Error,
}

/// Reads all arguments; a folder means its `*.pol` in order of name, without those below.
pub(crate) fn read(paths: &[PathBuf]) -> Result<Vec<Given>, Unreadable> {
    read_each(paths).into_iter().collect()
}

/// The same, going on behind what cannot be read.
pub(crate) fn read_each(paths: &[PathBuf]) -> Vec<Result<Given, Unreadable>> {
    let mut given = Vec::new();
    for path in paths {
        if !path.is_dir() {
            given.push(read_file(path));
            continue;
        }
        match documents_in(path) {
            Ok(paths) => given.extend(paths.iter().map(|path| read_file(path))),
            Err(cause) => given.push(Err(Unreadable { path: path.display().to_string(), cause })),
        }
    }
    given
}

/// The `*.pol` of a folder in order of name, without those below; at least one.
pub(crate) fn documents_in(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in folder.read_dir()? {
        let path = entry?.path();
        if path.extension().is_some_and(|it| it == "pol") && !path.is_dir() {
            paths.push(path);
        }
    }
    if paths.is_empty() {
        // A wrong folder must not look like a clean one.
        return Err(io::Error::new(io::ErrorKind::NotFound, "there is no `*.pol` in this folder"));
    }
    paths.sort();
    Ok(paths)
}

/// Reads one document.
pub(crate) fn read_file(path: &Path) -> Result<Given, Unreadable> {
    let name = path.display().to_string();
    let mut bytes = Vec::new();
    // One byte more than fits is enough to know that it does not, even of a file without end.
    let most = u64::try_from(DOCUMENT_BYTES_MAX).unwrap_or(u64::MAX).saturating_add(1);
    let read = File::open(path).and_then(|it| it.take(most).read_to_end(&mut bytes));
    match read {
        Ok(_) => Ok(Given { path: path.to_owned(), source: Source::new(&name, bytes), name }),
        Err(cause) => Err(Unreadable { path: name, cause }),
    }
}
