//! The documents that an editor has open, and those beside them on disk.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use tower_lsp_server::ls_types::{TextDocumentContentChangeEvent, Uri};

use crate::{
    lint::Settings,
    lsp::{
        document::Document,
        text::{Encoding, replace},
    },
    site::{
        documents::{documents_in, read_file},
        settings::{self, nearest},
    },
    source::Source,
};

/// Which documents form one set: those of a folder, or one that is in no folder.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum SetKey {
    Folder(PathBuf),
    Alone(String),
}

/// Documents that form one set, at one moment.
#[derive(Debug, Clone)]
pub(super) struct Set {
    /// By path, so that their order is always the same.
    pub(super) documents: Vec<Arc<Document>>,
    /// None where the site's settings have mistakes: lints by others would mislead.
    pub(super) settings: Option<Arc<Settings>>,
}

/// What the server knows.
#[derive(Debug, Default)]
pub(super) struct Workspace {
    pub(super) encoding: Encoding,
    open: BTreeMap<String, Open>,
    folders: BTreeMap<PathBuf, Folder>,
}

/// A document in an editor. Its text is kept even where it is too large to be a source, because changes refer to it.
#[derive(Debug)]
struct Open {
    key: SetKey,
    name: String,
    text: String,
    document: Option<Arc<Document>>,
}

/// What is on disk in a folder.
#[derive(Debug)]
struct Folder {
    documents: BTreeMap<String, Arc<Document>>,
    settings: Option<Arc<Settings>>,
}

impl Workspace {
    /// Takes a document that was opened. If the site's settings are wrong the answer has a sentence about it.
    pub(super) fn open(&mut self, uri: &Uri, version: i32, text: String) -> Option<String> {
        let (key, name) = key_of(uri);
        let trouble = if let SetKey::Folder(folder) = &key
            && !self.folders.contains_key(folder)
        {
            self.read_folder(folder)
        } else {
            None
        };
        let document = document(uri, version, &name, &text);
        self.open.insert(uri.to_string(), Open { key, name, text, document });
        trouble
    }

    /// Changes an open document.
    pub(super) fn change(&mut self, uri: &Uri, version: i32, changes: Vec<TextDocumentContentChangeEvent>) {
        let Some(open) = self.open.get_mut(uri.as_str()) else { return };
        for change in changes {
            match change.range {
                Some(range) => replace(&mut open.text, range, &change.text, self.encoding),
                None => open.text = change.text,
            }
        }
        open.document = document(uri, version, &open.name, &open.text);
    }

    /// Forgets an open document; from now on it is what it is on disk. The answer is its set, and whether nothing of it
    /// is open any more.
    pub(super) fn close(&mut self, uri: &Uri) -> Option<(SetKey, bool)> {
        let open = self.open.remove(uri.as_str())?;
        let is_last = !self.open.values().any(|it| it.key == open.key);
        if let SetKey::Folder(folder) = &open.key {
            if is_last {
                self.folders.remove(folder);
            } else {
                self.read_folder(folder);
            }
        }
        Some((open.key, is_last))
    }

    /// Reads a folder's documents and settings again. If the settings are wrong the answer has a sentence about it.
    pub(super) fn read_folder(&mut self, folder: &Path) -> Option<String> {
        let (settings, trouble) = match nearest(folder).map(|path| settings::read(&path)) {
            None => (Some(Arc::default()), None),
            Some(Ok(settings)) => (Some(Arc::new(settings)), None),
            Some(Err(error)) => (None, Some(format!("{error}; until they are mended there are no lints"))),
        };
        // A folder that is not there (yet) has no documents.
        let paths = documents_in(folder).unwrap_or_default();
        let documents = paths.iter().filter_map(|path| {
            let uri = Uri::from_file_path(path)?;
            let given = read_file(path).ok()?;
            let document = Document::new(uri.clone(), None, &given.name, given.source)?;
            Some((uri.to_string(), Arc::new(document)))
        });
        self.folders.insert(folder.to_owned(), Folder { documents: documents.collect(), settings });
        trouble
    }

    /// The set that an open document is in, and its index there.
    pub(super) fn set_of(&self, uri: &Uri) -> Option<(Set, usize)> {
        let open = self.open.get(uri.as_str())?;
        let set = self.set(&open.key);
        let at = set.documents.iter().position(|it| it.uri == *uri)?;
        Some((set, at))
    }

    /// The set of an open document, by name.
    pub(super) fn key_of(&self, uri: &Uri) -> Option<SetKey> {
        self.open.get(uri.as_str()).map(|it| it.key.clone())
    }

    /// All sets of which something is open.
    pub(super) fn keys(&self) -> Vec<SetKey> {
        let mut keys: Vec<SetKey> = self.open.values().map(|it| it.key.clone()).collect();
        keys.sort();
        keys.dedup();
        keys
    }

    /// The documents of a set: what is open counts before what is on disk.
    pub(super) fn set(&self, key: &SetKey) -> Set {
        let folder = if let SetKey::Folder(folder) = key { self.folders.get(folder) } else { None };
        let mut documents = folder.map(|it| it.documents.clone()).unwrap_or_default();
        for (uri, open) in self.open.iter().filter(|(_, it)| it.key == *key) {
            documents.extend(open.document.clone().map(|it| (uri.clone(), it)));
        }
        let settings = folder.map_or_else(|| Some(Arc::default()), |it| it.settings.clone());
        Set { documents: documents.into_values().collect(), settings }
    }
}

fn key_of(uri: &Uri) -> (SetKey, String) {
    let path = uri.to_file_path().filter(|_| uri.scheme().as_str() == "file");
    let folder = path.as_deref().and_then(Path::parent);
    match (&path, folder) {
        (Some(path), Some(folder)) => (SetKey::Folder(folder.to_owned()), path.display().to_string()),
        _ => (SetKey::Alone(uri.to_string()), uri.to_string()),
    }
}

fn document(uri: &Uri, version: i32, name: &str, text: &str) -> Option<Arc<Document>> {
    let source = Source::new(name, text.as_bytes().to_vec());
    Document::new(uri.clone(), Some(version), name, source).map(Arc::new)
}
