//! Tests held against documents that were changed in one place: a change that no test notices is one that nobody would.

use std::fmt::Write as _;

use serde::Serialize;

use crate::{
    cli::policy::test::folder::Folder,
    compile::compile_parsed,
    limits::MUTANTS_MAX,
    source::Source,
    suite::{Mutant, mutants},
    wire::printable::Printable,
};

/// What came of the changes.
#[derive(Debug, Default)]
pub(super) struct Mutated {
    noticed: usize,
    survived: Vec<Survivor>,
    /// Whether there were more than were tried.
    is_cut: bool,
}

/// A change that no test notices.
#[derive(Debug, Serialize)]
struct Survivor {
    file: String,
    line: usize,
    column: usize,
    change: String,
    #[serde(skip)]
    excerpt: String,
}

/// The same, for programs.
#[derive(Debug, Serialize)]
pub(super) struct MutatedJson<'a> {
    made: usize,
    noticed: usize,
    survived: &'a [Survivor],
    complete: bool,
}

impl Mutated {
    /// Tries each change of each document by itself. One that does not compile would be noticed before any test.
    pub(super) fn new(folder: &Folder) -> Self {
        let mut mutated = Self::default();
        let mut parsed = folder.parsed.clone();
        for (at, source) in folder.sources.iter().enumerate() {
            let Some(document) = folder.parsed.get(at).map(|it| &it.document) else { continue };
            for mutant in mutants(source, document) {
                if mutated.made() >= MUTANTS_MAX {
                    mutated.is_cut = true;
                    return mutated;
                }
                let Mutant { span, change, document } = mutant;
                if let Some(parse) = parsed.get_mut(at) {
                    parse.document = document;
                }
                let Ok(set) = compile_parsed(&folder.sources, &parsed, folder.system) else { continue };
                if folder.suites.iter().all(|it| it.passes(&set)) {
                    mutated.survived.push(Survivor::new(source, span.start, change));
                } else {
                    mutated.noticed = mutated.noticed.saturating_add(1);
                }
            }
            if let (Some(parse), Some(original)) = (parsed.get_mut(at), folder.parsed.get(at)) {
                parse.document.clone_from(&original.document);
            }
        }
        mutated
    }

    pub(super) fn survives(&self) -> bool {
        !self.survived.is_empty()
    }

    fn made(&self) -> usize {
        self.noticed.saturating_add(self.survived.len())
    }

    /// How many were noticed, and each that was not.
    pub(super) fn text(&self) -> String {
        let mut out = String::new();
        for it in &self.survived {
            let (file, change, excerpt) = (Printable(&it.file), Printable(&it.change), Printable(&it.excerpt));
            // Writing to a string does not fail.
            let _written =
                writeln!(out, "\n  {file}:{}:{} no test would notice: {change}\n    {excerpt}", it.line, it.column);
        }
        let cut = if self.is_cut { "; there are more, which were not tried" } else { "" };
        let _written = writeln!(out, "\n  {} of {} changes noticed{cut}\n", self.noticed, self.made());
        out
    }

    pub(super) fn json(&self) -> MutatedJson<'_> {
        MutatedJson { made: self.made(), noticed: self.noticed, survived: &self.survived, complete: !self.is_cut }
    }
}

impl Survivor {
    fn new(source: &Source, offset: usize, change: String) -> Self {
        let place = source.location(offset);
        let excerpt = source.slice(source.line_span(place.line)).trim().to_owned();
        Self { file: source.name().to_owned(), line: place.line, column: place.column, change, excerpt }
    }
}
