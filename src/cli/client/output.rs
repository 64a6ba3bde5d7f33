//! What a command says: tables for people, JSON for programs; standard output has the answer and nothing else.

use std::io::{self, IsTerminal, Write};

use comfy_table::{Table, presets};
use serde::Serialize;

use crate::{
    cli::client::error::ClientError,
    wire::{error::ApiError, printable::Printable},
};

/// How to say it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Output {
    /// JSON instead of tables.
    pub json: bool,
    /// For scripts: no progress, no questions.
    pub batch: bool,
}

impl Output {
    /// Whether progress can be shown.
    pub fn shows_progress(self) -> bool {
        !self.batch && !self.json && io::stderr().is_terminal()
    }

    /// A value as JSON on one line, or else what `text` makes of it.
    pub fn answer<T: Serialize>(self, value: &T, text: impl FnOnce(&T) -> String) -> Result<(), ClientError> {
        let text = if self.json { json(value)? } else { text(value) };
        print(&text);
        Ok(())
    }

    /// What was done; nothing with `--json`, where the exit status says it.
    pub fn done(self, text: &str) {
        if !self.json {
            print(text);
        }
    }
}

/// Why a command failed, for people, on standard error.
pub fn complain(error: &ClientError) {
    let mut lines = vec![format!("error: {}", Printable(&error.to_string()))];
    if let ClientError::Refused(refused) = error {
        lines.extend(details(refused));
    }
    // Where standard error is closed nobody is left to be told.
    let _closed = writeln!(io::stderr(), "{}", lines.join("\n"));
}

fn details(error: &ApiError) -> Vec<String> {
    let mut lines: Vec<String> = error
        .diagnostics
        .iter()
        .map(|it| {
            let place = format!("{}:{}:{}", Printable(&it.file), it.start.line, it.start.column);
            let help = it.help.as_deref().map(|help| format!("\n  help: {}", Printable(help))).unwrap_or_default();
            format!("{place}: {}[{}]: {}{help}", Printable(&it.severity), Printable(&it.code), Printable(&it.message))
        })
        .collect();
    if !error.request_id.is_empty() && error.retry {
        lines.push(format!("request {}", Printable(&error.request_id)));
    }
    lines
}

/// A table with a head.
pub(crate) fn table(head: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_preset(presets::UTF8_FULL_CONDENSED).set_header(head);
    for row in rows {
        table.add_row(row.iter().map(|cell| safe(cell)));
    }
    table.to_string()
}

/// Names on the left, what they are on the right.
pub(crate) fn properties(rows: impl IntoIterator<Item = (&'static str, String)>) -> String {
    let mut table = Table::new();
    table.load_preset(presets::UTF8_FULL_CONDENSED);
    for (name, value) in rows {
        table.add_row([format!("{name}:"), safe(&value)]);
    }
    table.to_string()
}

/// Text of others, line by line, so that lines stay lines and everything else is shown.
pub(crate) fn safe(text: &str) -> String {
    let lines: Vec<String> = text.split('\n').map(|line| Printable(line).to_string()).collect();
    lines.join("\n")
}

pub(crate) fn json<T: Serialize>(value: &T) -> Result<String, ClientError> {
    serde_json::to_string(value).map_err(|error| ClientError::Failed(error.to_string()))
}

/// To standard output. A reader that went away (`| head`) is no failure of ours.
pub(crate) fn print(text: &str) {
    let _closed = writeln!(io::stdout(), "{text}");
}

/// To standard error.
pub(crate) fn remark(text: &str) {
    let _closed = writeln!(io::stderr(), "{text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_others_cannot_draw_on_the_terminal() {
        let drawn = table(&["NAME"], [vec!["a\u{1b}[2Jb\r".to_owned()]]);
        assert!(!drawn.contains('\u{1b}') && !drawn.contains('\r'), "{drawn}");
        assert_eq!(safe("one\ntwo\u{7}"), "one\ntwo\\u{7}");
    }
}
