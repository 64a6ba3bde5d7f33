//! Whole documents of another language: told once, because nothing in them was meant as policy of this one.
//!
//! Only how a document begins is looked at. What begins as policy does and goes on otherwise is read, mistake by mistake.

use crate::{
    diagnostic::{Code, Diagnostic},
    source::Span,
};

/// What other systems write their permissions in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Language {
    Yaml,
    Json,
    Cedar,
    Rego,
}

impl Language {
    fn name(self) -> &'static str {
        match self {
            Self::Yaml => "YAML",
            Self::Json => "JSON",
            Self::Cedar => "Cedar",
            Self::Rego => "Rego",
        }
    }
}

/// The one finding of a document in another language.
pub(super) fn foreign(text: &str) -> Option<Diagnostic> {
    let start = beginning(text);
    let rest = text.get(start..)?;
    let language = language(rest)?;
    let line = rest.lines().next().unwrap_or_default().trim_end();
    let span = Span::new(start, start.saturating_add(line.len()));
    let name = language.name();
    let message = format!("this document is written in {name}, not in the policy language");
    let label = format!("{name} begins like this");
    let help = "a policy is a realm with rules in braces: `job::/sandbox/tom { if (role == admin) { permit ssh } }`";
    Some(Diagnostic::new(Code::ForeignLanguage, span, message, label).with_help(help))
}

/// Where the first line stands that is neither blank nor a comment, without its indentation.
fn beginning(text: &str) -> usize {
    let mut at = 0_usize;
    for line in text.split_inclusive('\n') {
        let shown = line.trim_start_matches(|c: char| c.is_whitespace() || c == '\u{FEFF}');
        if !shown.is_empty() && !shown.starts_with('#') && !shown.starts_with("//") {
            return at.saturating_add(line.len().saturating_sub(shown.len()));
        }
        at = at.saturating_add(line.len());
    }
    at
}

fn language(rest: &str) -> Option<Language> {
    let is = [
        (Language::Json, is_json as fn(&str) -> bool),
        (Language::Cedar, is_cedar),
        (Language::Rego, is_rego),
        (Language::Yaml, is_yaml),
    ];
    is.into_iter().find(|(_, is)| is(rest)).map(|(language, _)| language)
}

/// `{"permit": ...`, `[{`: a string and a colon behind a bracket.
fn is_json(rest: &str) -> bool {
    let Some(rest) = rest.strip_prefix(['{', '[']) else { return false };
    let rest = rest.trim_start_matches(|c: char| c.is_whitespace() || c == '{');
    let Some((key, behind)) = rest.strip_prefix('"').and_then(|it| it.split_once('"')) else { return false };
    !key.contains('\n') && behind.trim_start().starts_with(':')
}

/// `permit(principal, ...`, `@id("x")`.
fn is_cedar(rest: &str) -> bool {
    let (word, behind) = first_word(rest);
    let behind = behind.trim_start();
    match word {
        "permit" | "forbid" => behind.strip_prefix('(').is_some_and(|it| it.trim_start().starts_with("principal")),
        "" => behind.starts_with("@id(") || behind.starts_with("@annotation("),
        _ => false,
    }
}

/// `package x`, `default allow := false`, `allow {`, `allow if {`.
fn is_rego(rest: &str) -> bool {
    let line = rest.lines().next().unwrap_or_default();
    let line = line.split('#').next().unwrap_or_default();
    let mut words = line.split_whitespace();
    match (words.next(), words.next(), words.next()) {
        (Some("package"), Some(name), None) => !name.contains([':', '/', '{', '"']),
        (Some("import"), Some(name), _) => {
            ["rego.", "data.", "future.", "input."].iter().any(|it| name.starts_with(it))
        }
        (Some("default"), Some(_), Some(":=" | "="))
        | (Some("allow" | "deny" | "violation"), Some("{" | ":="), _)
        | (Some("allow" | "deny" | "violation"), Some("if" | "contains"), Some(_)) => true,
        _ => false,
    }
}

/// `---`, a key above an indented line, a list.
fn is_yaml(rest: &str) -> bool {
    let mut lines = rest.lines();
    let first = lines.next().unwrap_or_default().trim_end();
    if first == "---" {
        return true;
    }
    let below = lines.find(|it| !it.trim().is_empty() && !it.trim_start().starts_with('#')).unwrap_or_default();
    if let Some(item) = first.strip_prefix("- ") {
        return below.is_empty() || !item.contains(['{', '(']);
    }
    let nested = below.starts_with([' ', '\t', '-']) || is_pair(below);
    match first.strip_suffix(':') {
        Some(key) if key.ends_with(':') || key.contains(['{', '(', '"']) => false,
        Some(_) => nested && !rest.contains('{'),
        None => is_pair(first) && nested && !rest.contains('{'),
    }
}

/// `key: value` or `key:`.
fn is_pair(line: &str) -> bool {
    let (word, behind) = first_word(line);
    !word.is_empty() && behind.strip_prefix(':').is_some_and(|it| it.is_empty() || it.starts_with(' '))
}

/// The letters and digits that a text begins with, and what is behind them.
fn first_word(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(text.len());
    text.split_at_checked(end).unwrap_or((text, ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_language_is_known_by_its_beginning() {
        let cases = [
            ("permissions:\n  - ssh\n", Some(Language::Yaml)),
            ("# who\n---\na: b\n", Some(Language::Yaml)),
            ("job::/sandbox/tom:\n  permit: ssh\n", Some(Language::Yaml)),
            ("- permit: ssh\n", Some(Language::Yaml)),
            ("apiVersion: v1\nkind: Role\n", Some(Language::Yaml)),
            ("{\"permit\": [\"ssh\"]}", Some(Language::Json)),
            ("[\n  {\n    \"Effect\": \"Allow\" } ]", Some(Language::Json)),
            ("permit(principal, action, resource) when { true };", Some(Language::Cedar)),
            ("@id(\"x\")\nforbid (principal, action, resource);", Some(Language::Cedar)),
            ("package gate.ssh\n\ndefault allow := false\n", Some(Language::Rego)),
            ("import rego.v1\n", Some(Language::Rego)),
            ("allow if { input.user == \"tom\" }", Some(Language::Rego)),
            ("allow { input.user == \"tom\" }", Some(Language::Rego)),
            ("job::/sandbox/tom { permit ssh }", None),
            ("permit: ssh", None),
            ("package::/x { permit use }", None),
            ("{ permit ssh }", None),
            ("[name] { permit ssh }", None),
            ("", None),
        ];
        for (text, wanted) in cases {
            assert_eq!(text.get(beginning(text)..).and_then(language), wanted, "{text}");
        }
    }
}
