//! Where the lexer and the parser put what they find, so that a hostile document cannot fill the memory with it.

use crate::{diagnostic::Diagnostic, limits::DIAGNOSTICS_SHOWN_MAX};

/// The first diagnostics and the number of the others.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    // INVARIANT (bounded): at most `DIAGNOSTICS_SHOWN_MAX` are kept.
    kept: Vec<Diagnostic>,
    hidden: usize,
}

impl Findings {
    /// Adds one; its caller goes through the text from front to back.
    pub(crate) fn push(&mut self, diagnostic: Diagnostic) {
        if self.kept.len() < DIAGNOSTICS_SHOWN_MAX {
            self.kept.push(diagnostic);
        } else {
            self.hidden = self.hidden.saturating_add(1);
        }
    }

    /// Takes over what another found.
    pub(crate) fn merge(mut self, other: Self) -> Self {
        self.kept.extend(other.kept);
        self.kept.sort_by_key(|it| (it.span.start, it.code));
        let more = self.kept.len().saturating_sub(DIAGNOSTICS_SHOWN_MAX);
        self.kept.truncate(DIAGNOSTICS_SHOWN_MAX);
        self.hidden = self.hidden.saturating_add(other.hidden).saturating_add(more);
        self
    }

    /// The first in source order, and how many more there are.
    pub(crate) fn finish(self) -> (Vec<Diagnostic>, usize) {
        (self.kept, self.hidden)
    }
}
