//! The documents of the command line as one set, as far as they could be read.

use std::path::PathBuf;

use crate::{
    compile::{Finding, System, check_parsed},
    diagnostic::of_source_error,
    lint::{self, Settings},
    site::documents::{Given, Unreadable},
    source::Source,
    syntax::{Parse, parse},
    wire::printable::Printable,
};

/// Documents, read and parsed.
pub(super) struct Site {
    pub(super) sources: Vec<Source>,
    /// One for each source.
    pub(super) parsed: Vec<Parse>,
    /// The file of each source; none where its bytes are no source, so that nothing in it can be mended.
    pub(super) paths: Vec<Option<PathBuf>>,
    /// Files that could not be read at all, as sentences for a terminal.
    pub(super) unreadable: Vec<String>,
    system: System,
}

impl Site {
    pub(super) fn read(documents: Vec<Result<Given, Unreadable>>, system: System) -> Self {
        let mut site =
            Self { sources: Vec::new(), parsed: Vec::new(), paths: Vec::new(), unreadable: Vec::new(), system };
        for given in documents {
            match given {
                Ok(given) => site.add(given),
                Err(error) => site.unreadable.push(Printable(&error.to_string()).to_string()),
            }
        }
        site
    }

    fn add(&mut self, given: Given) {
        match given.source {
            Ok(source) => {
                self.parsed.push(parse(&source));
                self.sources.push(source);
                self.paths.push(Some(given.path));
            }
            Err(error) => {
                let (source, diagnostic) = of_source_error(&given.name, error);
                let Some(source) = source else { return };
                self.sources.push(source);
                self.parsed.push(Parse { diagnostics: vec![diagnostic], ..Parse::default() });
                self.paths.push(None);
            }
        }
    }

    /// Puts another text in the place of a document's.
    pub(super) fn replace(&mut self, at: usize, source: Source) {
        if let (Some(old), Some(parsed)) = (self.sources.get_mut(at), self.parsed.get_mut(at)) {
            *parsed = parse(&source);
            *old = source;
        }
    }

    /// What reading and compiling found, by document and place.
    pub(super) fn findings(&self) -> Vec<Finding> {
        let given: Vec<(&Source, &Parse)> = self.sources.iter().zip(&self.parsed).collect();
        check_parsed(&given, self.system)
    }

    /// What the rules found, as the site has them.
    pub(super) fn lints(&self, settings: &Settings) -> Vec<Finding> {
        let given: Vec<(&Source, &Parse)> = self.sources.iter().zip(&self.parsed).collect();
        lint::lint_each(&given, self.system, settings)
    }
}
