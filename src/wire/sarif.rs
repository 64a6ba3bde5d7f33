//! Findings as a SARIF log (OASIS, "Static Analysis Results Interchange Format", version 2.1.0).

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;

use crate::{
    diagnostic::{Code, Diagnostic, Fix, manual},
    lint,
    source::{Source, Span},
    wire::diagnostic::severity,
};

/// What stands in the path of a URI as it is (RFC 3986, section 3.3).
const PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// A log of one run.
#[derive(Debug, Serialize)]
pub struct Log {
    #[serde(rename = "$schema")]
    schema: &'static str,
    version: &'static str,
    runs: [Run; 1],
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Run {
    tool: Tool,
    column_kind: &'static str,
    results: Vec<Found>,
}

#[derive(Debug, Serialize)]
struct Tool {
    driver: Driver,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Driver {
    name: &'static str,
    semantic_version: &'static str,
    rules: Vec<Rule>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Rule {
    id: &'static str,
    name: &'static str,
    short_description: Message,
    #[serde(skip_serializing_if = "Option::is_none")]
    help: Option<Message>,
    default_configuration: Configuration,
}

#[derive(Debug, Serialize)]
struct Configuration {
    level: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Message {
    text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    markdown: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Found {
    rule_id: &'static str,
    rule_index: usize,
    level: &'static str,
    message: Message,
    locations: [Place; 1],
    #[serde(skip_serializing_if = "Vec::is_empty")]
    related_locations: Vec<Place>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    fixes: Vec<Mend>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Place {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<usize>,
    physical_location: Physical,
    message: Message,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Physical {
    artifact_location: Artifact,
    region: Region,
}

#[derive(Debug, Clone, Serialize)]
struct Artifact {
    uri: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Region {
    start_line: usize,
    start_column: usize,
    end_line: usize,
    end_column: usize,
    byte_offset: usize,
    byte_length: usize,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Mend {
    description: Message,
    artifact_changes: [Change; 1],
    properties: Safety,
}

/// Beyond the standard, which has no word for it.
#[derive(Debug, Serialize)]
struct Safety {
    safe: bool,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Change {
    artifact_location: Artifact,
    replacements: Vec<Replacement>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Replacement {
    deleted_region: Region,
    inserted_content: Message,
}

impl Log {
    /// Of findings, each in its document, in their order. Every rule is described, found or not.
    pub fn new<'a>(findings: impl IntoIterator<Item = (&'a Source, &'a Diagnostic)>) -> Self {
        let driver = Driver {
            name: "gatehouse",
            semantic_version: env!("CARGO_PKG_VERSION"),
            rules: Code::ALL.iter().map(|it| rule(*it)).collect(),
        };
        Self {
            schema: "https://json.schemastore.org/sarif-2.1.0.json",
            version: "2.1.0",
            runs: [Run {
                tool: Tool { driver },
                column_kind: "unicodeCodePoints",
                results: findings.into_iter().map(|(source, it)| found(source, it)).collect(),
            }],
        }
    }
}

fn rule(code: Code) -> Rule {
    let manual = manual(code).map(str::to_owned).or_else(|| lint::manual(code));
    Rule {
        id: code.code(),
        name: code.name(),
        short_description: text(code.summary().join(" ").trim()),
        help: manual.map(|it| Message { text: it.clone(), markdown: Some(it) }),
        default_configuration: Configuration { level: severity(code.severity()) },
    }
}

fn found(source: &Source, diagnostic: &Diagnostic) -> Found {
    let mut message = diagnostic.message.clone();
    if let Some(help) = &diagnostic.help {
        message.push_str("; ");
        message.push_str(help);
    }
    let related = diagnostic.secondary.iter().enumerate();
    Found {
        rule_id: diagnostic.code.code(),
        rule_index: Code::ALL.iter().position(|it| *it == diagnostic.code).unwrap_or_default(),
        level: severity(diagnostic.severity),
        message: text(&message),
        locations: [place(source, None, diagnostic.span, &diagnostic.label)],
        related_locations: related.map(|(id, it)| place(source, Some(id), it.span, &it.message)).collect(),
        fixes: diagnostic.fixes.iter().map(|it| mend(source, it)).collect(),
    }
}

fn mend(source: &Source, fix: &Fix) -> Mend {
    let replacements = fix
        .edits
        .iter()
        .map(|it| Replacement { deleted_region: region(source, it.span), inserted_content: text(&it.text) });
    Mend {
        description: text(&fix.title),
        artifact_changes: [Change { artifact_location: artifact(source), replacements: replacements.collect() }],
        properties: Safety { safe: fix.safe },
    }
}

fn place(source: &Source, id: Option<usize>, span: Span, message: &str) -> Place {
    let physical_location = Physical { artifact_location: artifact(source), region: region(source, span) };
    Place { id, physical_location, message: text(message) }
}

fn region(source: &Source, span: Span) -> Region {
    let (start, end) = (source.location(span.start), source.location(span.end));
    Region {
        start_line: start.line,
        start_column: start.column,
        end_line: end.line,
        end_column: end.column,
        byte_offset: span.start,
        byte_length: span.end.saturating_sub(span.start),
    }
}

/// A file's name as a reference: relative ones stay relative, so that the log means the same in another checkout.
fn artifact(source: &Source) -> Artifact {
    let path = utf8_percent_encode(source.name(), PATH).to_string();
    Artifact { uri: if path.starts_with('/') { format!("file://{path}") } else { path } }
}

fn text(text: &str) -> Message {
    Message { text: text.to_owned(), markdown: None }
}
