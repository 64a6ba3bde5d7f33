//! A folder of documents and their tests: one set, and the suites that it is held to.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use crate::{
    compile::{PolicySet, System, compile_parsed},
    diagnostic::{
        Diagnostic, of_source_error,
        render::{self, Color},
    },
    limits::DOCUMENT_BYTES_MAX,
    site::documents,
    source::{Source, SourceError},
    suite::{Suite, check, duplicates},
    syntax::{Parse, parse},
    wire::{printable::Printable, suite},
};

/// Documents that compile and tests that can be run.
#[derive(Debug)]
pub(super) struct Folder {
    pub(super) path: PathBuf,
    pub(super) sources: Vec<Source>,
    /// One for each source.
    pub(super) parsed: Vec<Parse>,
    pub(super) system: System,
    /// What they compile to.
    pub(super) set: PolicySet,
    /// In order of their names.
    pub(super) suites: Vec<Suite>,
}

/// Why tests cannot be run.
#[derive(Debug)]
pub(super) enum Problem {
    /// The world's failure: one sentence.
    Unreadable(String),
    /// The author's mistakes: a report.
    Mistakes(String),
}

impl Problem {
    pub(super) fn exit(&self) -> u8 {
        match self {
            Self::Unreadable(_) => 2,
            Self::Mistakes(_) => 1,
        }
    }

    /// For a terminal.
    pub(super) fn text(&self) -> String {
        match self {
            Self::Unreadable(sentence) => format!("error: {}\n", Printable(sentence)),
            Self::Mistakes(report) => report.clone(),
        }
    }
}

impl Folder {
    pub(super) fn read(path: &Path, system: System) -> Result<Self, Problem> {
        let files = test_files(path).map_err(|err| unreadable(path, &err))?;
        let mut report = Report::default();
        let (sources, parsed) = documents(path, &mut report)?;
        let set = match compile_parsed(&sources, &parsed, system) {
            Ok(set) => Some(set),
            Err(findings) => {
                for (at, source) in sources.iter().enumerate() {
                    let own = findings.iter().filter(|it| it.source == at && it.diagnostic.is_error());
                    report.add(source, &own.map(|it| it.diagnostic.clone()).collect::<Vec<_>>());
                }
                None
            }
        };
        let mut suites = Vec::new();
        for file in files {
            let source = match read_file(&file).map_err(|err| unreadable(&file, &err))? {
                Ok(source) => source,
                Err(error) => {
                    report.add_unread(&file.display().to_string(), error);
                    continue;
                }
            };
            match suite::parse(&source) {
                Ok(suite) => suites.push(suite),
                Err(found) => report.add(&source, &found),
            }
        }
        let twice = if suites.len() > 1 { duplicates(&suites) } else { Vec::new() };
        for (at, suite) in suites.iter().enumerate() {
            let mut found: Vec<Diagnostic> =
                twice.iter().filter(|(own, _)| *own == at).map(|(_, it)| it.clone()).collect();
            found.extend(set.iter().flat_map(|it| check(suite, it)));
            report.add(&suite.source, &found);
        }
        match set {
            Some(set) if report.text.is_empty() => {
                Ok(Self { path: path.to_owned(), sources, parsed, system, set, suites })
            }
            Some(_) | None => Err(Problem::Mistakes(report.text)),
        }
    }
}

/// What is wrong, as a person reads it.
#[derive(Default)]
struct Report {
    text: String,
}

impl Report {
    fn add(&mut self, source: &Source, found: &[Diagnostic]) {
        if found.is_empty() {
            return;
        }
        let mut out = Vec::new();
        if render::write(&mut out, source, found, Color::Plain).is_err() {
            // A report that cannot be drawn is still a mistake.
            out = format!("error: {}\n", Printable(source.name())).into_bytes();
        }
        self.text.push_str(&String::from_utf8_lossy(&out));
        self.text.push('\n');
    }

    fn add_unread(&mut self, name: &str, error: SourceError) {
        let (source, diagnostic) = of_source_error(name, error);
        match source {
            Some(source) => self.add(&source, &[diagnostic]),
            None => self.text.extend([format!("error: {}\n", Printable(&diagnostic.message))]),
        }
    }
}

fn documents(path: &Path, report: &mut Report) -> Result<(Vec<Source>, Vec<Parse>), Problem> {
    let given = documents::read(&[path.to_owned()]).map_err(|err| Problem::Unreadable(err.to_string()))?;
    let (mut sources, mut parsed) = (Vec::new(), Vec::new());
    for it in given {
        match it.source {
            Ok(source) => {
                parsed.push(parse(&source));
                sources.push(source);
            }
            Err(error) => report.add_unread(&it.name, error),
        }
    }
    Ok((sources, parsed))
}

/// `decisions.toml` and `*.decisions.toml`, ascending by name.
fn test_files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in folder.read_dir()? {
        let path = entry?.path();
        let name = path.file_name().map(|it| it.to_string_lossy().into_owned()).unwrap_or_default();
        if (name == "decisions.toml" || name.ends_with(".decisions.toml")) && !path.is_dir() {
            paths.push(path);
        }
    }
    if paths.is_empty() {
        // Documents without tests must not look like documents whose tests hold.
        return Err(io::Error::new(io::ErrorKind::NotFound, "there is no `decisions.toml` in this folder"));
    }
    paths.sort();
    Ok(paths)
}

fn read_file(path: &Path) -> io::Result<Result<Source, SourceError>> {
    let mut bytes = Vec::new();
    let most = u64::try_from(DOCUMENT_BYTES_MAX).unwrap_or(u64::MAX).saturating_add(1);
    File::open(path)?.take(most).read_to_end(&mut bytes)?;
    Ok(Source::new(path.display().to_string(), bytes))
}

fn unreadable(path: &Path, error: &io::Error) -> Problem {
    Problem::Unreadable(format!("cannot read `{}`: {error}", path.display()))
}
