//! What is wrong with a document, where, and the way out.

mod code;
mod excerpt;
mod manual;
pub mod mend;
pub mod printable;
pub mod render;

pub use code::{Code, Severity};
pub use manual::manual;

use crate::source::{Source, SourceError, Span};

/// One finding about one place of one document.
///
/// Messages are lower case without a full stop; the author's own text stands in backticks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// Which rule it is; gives name and manual.
    pub code: Code,
    /// What follows from it: the code's own severity, unless someone's settings give a lint another.
    pub severity: Severity,
    /// The exact text meant.
    pub span: Span,
    /// One sentence.
    pub message: String,
    /// What stands at the span.
    pub label: String,
    /// Further places that matter.
    pub secondary: Vec<Label>,
    /// What to do, if there is one good answer.
    pub help: Option<String>,
    /// Edits that mend it.
    pub fixes: Vec<Fix>,
}

/// What is wrong with bytes that are no source, and a source that stands for them in the report.
pub fn of_source_error(name: &str, error: SourceError) -> (Option<Source>, Diagnostic) {
    let message = error.to_string();
    let (before, diagnostic) = match error {
        SourceError::TooLarge { .. } => {
            let diagnostic = Diagnostic::new(Code::DocumentTooLarge, Span::at(0), message, "nothing of it was read");
            (String::new(), diagnostic.with_help("split it: any number of documents form one set"))
        }
        SourceError::NotUtf8 { valid_up_to, before } => {
            let diagnostic = Diagnostic::new(Code::NotUtf8, Span::at(valid_up_to), message, "this byte");
            (before, diagnostic.with_help("save the file as UTF-8"))
        }
    };
    (Source::new(name, before.into_bytes()).ok(), diagnostic)
}

/// A second place and what it has to do with the first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// The place.
    pub span: Span,
    /// What it is.
    pub message: String,
}

/// A machine-applicable change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fix {
    /// What it does, in the imperative.
    pub title: String,
    /// Whether it leaves unchanged what the document grants (an error has no grant to change).
    pub safe: bool,
    /// Disjoint, in ascending order.
    pub edits: Vec<Edit>,
}

/// One replacement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    /// What goes.
    pub span: Span,
    /// What comes.
    pub text: String,
}

impl Diagnostic {
    /// A finding with nothing beside its label.
    pub fn new(code: Code, span: Span, message: impl Into<String>, label: impl Into<String>) -> Self {
        Self {
            code,
            severity: code.severity(),
            span,
            message: message.into(),
            label: label.into(),
            secondary: Vec::new(),
            help: None,
            fixes: Vec::new(),
        }
    }

    /// Adds a second place.
    #[must_use]
    pub fn with_label(mut self, span: Span, message: impl Into<String>) -> Self {
        self.secondary.push(Label { span, message: message.into() });
        self
    }

    /// Says what to do.
    #[must_use]
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Adds a fix of one replacement.
    #[must_use]
    pub fn with_fix(mut self, title: impl Into<String>, safe: bool, span: Span, text: impl Into<String>) -> Self {
        let edits = vec![Edit { span, text: text.into() }];
        self.fixes.push(Fix { title: title.into(), safe, edits });
        self
    }

    /// Whether the document cannot be used.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}
