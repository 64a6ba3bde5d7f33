//! Values of a TOML file that people write as what they must be, each mistake told on the text that it is in.

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use crate::{
    diagnostic::{Code, Diagnostic, printable::short},
    source::{Source, Span},
    syntax::suggest::closest,
};

/// A value with its place.
pub(super) type Value<'i> = Spanned<DeValue<'i>>;

/// What mistakes of a kind of file are called.
#[derive(Debug, Clone, Copy)]
pub(super) struct Codes {
    pub(super) syntax: Code,
    pub(super) unknown_key: Code,
    pub(super) bad_value: Code,
}

/// What was found wrong so far.
#[derive(Debug)]
pub(super) struct Reader {
    codes: Codes,
    pub(super) found: Vec<Diagnostic>,
}

/// Reads a file as a table, or tells what of it is no TOML.
pub(super) fn read(source: &Source, codes: Codes) -> Result<(Spanned<DeTable<'_>>, Reader), Vec<Diagnostic>> {
    let (document, errors) = DeTable::parse_recoverable(source.text());
    if !errors.is_empty() {
        return Err(errors.iter().map(|it| syntax(source, it, codes)).collect());
    }
    Ok((document, Reader { codes, found: Vec::new() }))
}

fn syntax(source: &Source, error: &toml::de::Error, codes: Codes) -> Diagnostic {
    let range = error.span().unwrap_or(0..0);
    let end = range.end.min(source.text().len());
    let message = format!("not TOML: {}", short(error.message()));
    Diagnostic::new(codes.syntax, Span::new(range.start.min(end), end), message, "here")
}

/// Where a value stands.
pub(super) fn span(value: &Value<'_>) -> Span {
    let range = value.span();
    Span::new(range.start, range.end)
}

impl Reader {
    pub(super) fn push(
        &mut self,
        code: Code,
        span: Span,
        message: impl Into<String>,
        label: impl Into<String>,
        help: Option<String>,
    ) {
        let diagnostic = Diagnostic::new(code, span, message, label);
        self.found.push(match help {
            Some(help) => diagnostic.with_help(help),
            None => diagnostic,
        });
    }

    /// Tells of each key that is none of these.
    pub(super) fn known_keys(&mut self, table: &DeTable<'_>, known: &[&str], what: &str) {
        for key in table.keys() {
            let name = key.get_ref().as_ref();
            if known.contains(&name) {
                continue;
            }
            let range = key.span();
            let help = match closest(name, known.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("the keys are {}", list(known)),
            };
            let message = format!("{what} has no `{}`", short(name));
            self.push(self.codes.unknown_key, Span::new(range.start, range.end), message, "unknown key", Some(help));
        }
    }

    pub(super) fn bad(&mut self, value: &Value<'_>, key: &str, wanted: &str) {
        let message = format!("`{}` takes {wanted}, found {}", short(key), kind(value));
        self.push(self.codes.bad_value, span(value), message, format!("not {wanted}"), None);
    }

    pub(super) fn text(&mut self, value: &Value<'_>, key: &str) -> Option<String> {
        let text = value.get_ref().as_str().map(str::to_owned);
        if text.is_none() {
            self.bad(value, key, "a text");
        }
        text
    }

    pub(super) fn truth(&mut self, value: &Value<'_>, key: &str) -> Option<bool> {
        let truth = value.get_ref().as_bool();
        if truth.is_none() {
            self.bad(value, key, "`true` or `false`");
        }
        truth
    }

    /// A text, or a list of texts.
    pub(super) fn texts(&mut self, value: &Value<'_>, key: &str) -> Vec<(String, Span)> {
        if let Some(text) = value.get_ref().as_str() {
            return vec![(text.to_owned(), span(value))];
        }
        let Some(items) = value.get_ref().as_array() else {
            self.bad(value, key, "a text or a list of texts");
            return Vec::new();
        };
        let mut texts = Vec::new();
        for item in items {
            texts.extend(self.text(item, key).map(|it| (it, span(item))));
        }
        texts
    }

    pub(super) fn table<'v, 'i>(&mut self, value: &'v Value<'i>, key: &str) -> Option<&'v DeTable<'i>> {
        let table = value.get_ref().as_table();
        if table.is_none() {
            self.bad(value, key, "a table");
        }
        table
    }

    /// A list of tables, each with its place.
    pub(super) fn tables<'v, 'i>(&mut self, value: &'v Value<'i>, key: &str) -> Vec<(&'v DeTable<'i>, Span)> {
        let Some(items) = value.get_ref().as_array() else {
            self.bad(value, key, "a list of tables");
            return Vec::new();
        };
        let mut tables = Vec::new();
        for item in items {
            tables.extend(self.table(item, key).map(|it| (it, span(item))));
        }
        tables
    }

    /// A table of texts or lists of texts; a dotted key (`ssh.record`) is one name.
    pub(super) fn values(&mut self, value: &Value<'_>, key: &str) -> Vec<(String, Span, Vec<String>)> {
        let Some(table) = self.table(value, key) else { return Vec::new() };
        let mut out = Vec::new();
        self.flatten(&mut out, "", table, key);
        out
    }

    /// Recursion is bounded by that of the reader of TOML.
    fn flatten(&mut self, out: &mut Vec<(String, Span, Vec<String>)>, prefix: &str, table: &DeTable<'_>, key: &str) {
        for (name, value) in table {
            let range = name.span();
            let full = format!("{prefix}{}", name.get_ref());
            match value.get_ref().as_table() {
                Some(inner) => self.flatten(out, &format!("{full}."), inner, key),
                None => {
                    let texts = self.texts(value, key).into_iter().map(|(it, _)| it).collect();
                    out.push((full, Span::new(range.start, span(value).end), texts));
                }
            }
        }
    }
}

/// What a value is, for a message.
fn kind(value: &Value<'_>) -> &'static str {
    match value.get_ref().type_str() {
        "array" => "a list",
        "boolean" => "a truth value",
        "datetime" => "a date",
        "float" | "integer" => "a number",
        "table" => "a table",
        _ => "a text",
    }
}

fn list(words: &[&str]) -> String {
    words.iter().map(|it| format!("`{it}`")).collect::<Vec<_>>().join(", ")
}
