//! A site on disk: its documents and its settings, for whoever works on them, at a terminal or in an editor.

pub(crate) mod documents;
pub(crate) mod settings;
