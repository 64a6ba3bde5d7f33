//! `apc policy lsp`, spoken to as an editor does.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    thread,
    time::Duration,
};

use serde_json::{Value, json};
use tempfile::TempDir;

/// No codes.
const NOTHING: [&str; 0] = [];

/// How long the server may take for one answer before it is taken to be stuck.
const PATIENCE: Duration = Duration::from_mins(1);

/// An editor without a screen, and a folder that it works in.
struct Editor {
    server: Child,
    input: ChildStdin,
    messages: Receiver<Value>,
    folder: TempDir,
    next_id: i64,
}

impl Editor {
    fn start(files: &[(&str, &str)]) -> Self {
        Self::start_with(files, &json!({}))
    }

    fn start_with(files: &[(&str, &str)], capabilities: &Value) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(folder.path().join(name), text).unwrap();
        }
        let mut server = Command::new(env!("CARGO_BIN_EXE_apc"))
            .args(["policy", "lsp"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (sender, messages) = channel();
        let mut output = BufReader::new(server.stdout.take().unwrap());
        thread::spawn(move || {
            while let Some(message) = read_message(&mut output) {
                if sender.send(message).is_err() {
                    break;
                }
            }
        });
        let input = server.stdin.take().unwrap();
        let mut editor = Self { server, input, messages, folder, next_id: 0 };
        let answer = editor.request("initialize", json!({ "capabilities": capabilities }));
        assert!(answer.pointer("/capabilities/renameProvider/prepareProvider").unwrap().as_bool().unwrap());
        editor.notify("initialized", json!({}));
        editor
    }

    fn uri(&self, name: &str) -> String {
        format!("file://{}", self.folder.path().join(name).display())
    }

    fn send(&mut self, message: &Value) {
        let text = message.to_string();
        write!(self.input, "Content-Length: {}\r\n\r\n{text}", text.len()).unwrap();
        self.input.flush().unwrap();
    }

    fn notify(&mut self, method: &str, params: Value) {
        self.send(&message(method, params));
    }

    /// Asks, and waits for the answer or the refusal.
    fn answer(&mut self, method: &str, params: Value) -> Value {
        self.next_id += 1;
        let id = self.next_id;
        let mut asked = message(method, params);
        asked.as_object_mut().unwrap().insert("id".to_owned(), json!(id));
        self.send(&asked);
        loop {
            let message = self.messages.recv_timeout(PATIENCE).unwrap();
            if message.get("method").is_none() && message.get("id") == Some(&json!(id)) {
                return message;
            }
        }
    }

    fn request(&mut self, method: &str, params: Value) -> Value {
        let answer = self.answer(method, params);
        assert!(answer.get("result").is_some(), "{method}: {answer}");
        answer.get("result").unwrap().clone()
    }

    fn open(&mut self, name: &str) {
        let text = fs::read_to_string(self.folder.path().join(name)).unwrap();
        let uri = self.uri(name);
        let document = json!({ "uri": uri, "languageId": "gatehouse", "version": 1, "text": text });
        self.notify("textDocument/didOpen", json!({ "textDocument": document }));
    }

    fn change(&mut self, name: &str, version: i64, range: &Value, text: &str) {
        let uri = self.uri(name);
        let change = json!({ "range": range, "text": text });
        let document = json!({ "uri": uri, "version": version });
        self.notify("textDocument/didChange", json!({ "textDocument": document, "contentChanges": [change] }));
    }

    /// The codes that are told of a document, once a report fits.
    fn codes_when(&mut self, name: &str, version: Option<i64>, fits: impl Fn(&[String]) -> bool) -> Vec<String> {
        let uri = self.uri(name);
        loop {
            let message = self.messages.recv_timeout(PATIENCE).unwrap();
            let is_report = message.get("method") == Some(&json!("textDocument/publishDiagnostics"));
            if !is_report || message.pointer("/params/uri") != Some(&json!(uri)) {
                continue;
            }
            let found = message.pointer("/params/diagnostics").unwrap().as_array().unwrap();
            let codes: Vec<String> =
                found.iter().map(|it| it.get("code").unwrap().as_str().unwrap().to_owned()).collect();
            let told = message.pointer("/params/version").and_then(Value::as_i64);
            if told == version && fits(&codes) {
                return codes;
            }
        }
    }

    fn at(&self, name: &str, line: u32, character: u32) -> Value {
        json!({ "textDocument": { "uri": self.uri(name) }, "position": place(line, character) })
    }
}

impl Drop for Editor {
    fn drop(&mut self) {
        drop(self.server.kill());
        drop(self.server.wait());
    }
}

fn message(method: &str, params: Value) -> Value {
    let mut message = json!({ "jsonrpc": "2.0", "method": method });
    message.as_object_mut().unwrap().insert("params".to_owned(), params);
    message
}

fn place(line: u32, character: u32) -> Value {
    json!({ "line": line, "character": character })
}

fn range(from: (u32, u32), to: (u32, u32)) -> Value {
    json!({ "start": place(from.0, from.1), "end": place(to.0, to.1) })
}

fn read_message(output: &mut impl BufRead) -> Option<Value> {
    let mut length = 0;
    loop {
        let mut line = String::new();
        if output.read_line(&mut line).ok()? == 0 {
            return None;
        }
        match line.trim_end().split_once(": ") {
            Some(("Content-Length", value)) => length = value.parse().ok()?,
            Some(_) => (),
            None => break,
        }
    }
    let mut bytes = vec![0; length];
    output.read_exact(&mut bytes).ok()?;
    serde_json::from_slice(&bytes).ok()
}

/// A text with the edits of an answer in it; for edits within one line.
fn edited(path: &Path, edits: &Value) -> String {
    let mut lines: Vec<String> = fs::read_to_string(path).unwrap().lines().map(str::to_owned).collect();
    let mut edits = edits.as_array().unwrap().clone();
    let number = |edit: &Value, at: &str| usize::try_from(edit.pointer(at).unwrap().as_u64().unwrap()).unwrap();
    edits.sort_by_key(|it| (number(it, "/range/start/line"), number(it, "/range/start/character")));
    for edit in edits.iter().rev() {
        let line = lines.get_mut(number(edit, "/range/start/line")).unwrap();
        let span = number(edit, "/range/start/character")..number(edit, "/range/end/character");
        line.replace_range(span, edit.get("newText").unwrap().as_str().unwrap());
    }
    lines.join("\n") + "\n"
}

const ROLES: &str = "job::/ {\n  if (LDAP->group == \"ops\") { role sre }\n}\n";
const USES: &str = "job::/a {\n  if (role == \"sre\") { permit ssh }\n}\n";

#[test]
fn diagnostics_come_as_one_types() {
    let mut editor = Editor::start(&[("a.pol", USES), ("roles.pol", ROLES)]);
    editor.open("a.pol");
    assert_eq!(editor.codes_when("a.pol", Some(1), |_| true), NOTHING);
    editor.change("a.pol", 2, &range((1, 15), (1, 18)), "sra");
    assert_eq!(editor.codes_when("a.pol", Some(2), |_| true), ["W0105"]);
    editor.change("a.pol", 3, &range((1, 11), (1, 13)), "=");
    assert_eq!(editor.codes_when("a.pol", Some(3), |_| true), ["E0402"]);
    editor.change("a.pol", 4, &range((0, 0), (3, 0)), USES);
    assert_eq!(editor.codes_when("a.pol", Some(4), |_| true), NOTHING);
    // What another document asserts counts as it is in the editor, not as it is on disk.
    editor.open("roles.pol");
    editor.change("roles.pol", 2, &range((1, 35), (1, 38)), "boss");
    assert_eq!(editor.codes_when("a.pol", Some(4), |codes| !codes.is_empty()), ["W0105"]);
}

#[test]
fn a_document_that_nobody_opened_is_part_of_the_set_and_follows_the_disk() {
    let mut editor = Editor::start(&[("a.pol", USES)]);
    editor.open("a.pol");
    assert_eq!(editor.codes_when("a.pol", Some(1), |_| true), ["W0105"]);
    fs::write(editor.folder.path().join("roles.pol"), ROLES).unwrap();
    let changed = json!({ "changes": [{ "uri": editor.uri("roles.pol"), "type": 1 }] });
    editor.notify("workspace/didChangeWatchedFiles", changed);
    assert_eq!(editor.codes_when("a.pol", Some(1), <[String]>::is_empty), NOTHING);
}

#[test]
fn a_role_is_completed_explained_found_and_renamed_across_documents() {
    let mut editor = Editor::start(&[("a.pol", USES), ("roles.pol", ROLES)]);
    editor.open("a.pol");
    let asked = editor.at("a.pol", 1, 15);
    let found = editor.request("textDocument/completion", asked.clone());
    let labels: Vec<&str> =
        found.as_array().unwrap().iter().map(|it| it.get("label").unwrap().as_str().unwrap()).collect();
    assert_eq!(labels, ["sre", "admin"]);
    let hover = editor.request("textDocument/hover", asked.clone());
    let text = hover.pointer("/contents/value").unwrap().as_str().unwrap();
    assert!(text.contains("asserted in one place and asked for in one place"), "{text}");
    let defined = editor.request("textDocument/definition", asked.clone());
    let roles = editor.uri("roles.pol");
    assert_eq!(defined, json!([{ "uri": roles, "range": range((1, 35), (1, 38)) }]));
    let mut with_name = asked.clone();
    with_name.as_object_mut().unwrap().insert("newName".to_owned(), json!("on-call"));
    let edit = editor.request("textDocument/rename", with_name);
    for (name, text) in [("a.pol", USES), ("roles.pol", ROLES)] {
        let edits = edit.get("changes").unwrap().get(editor.uri(name)).unwrap();
        let after = edited(&editor.folder.path().join(name), edits);
        assert_eq!(after, text.replace("sre", "on-call"));
    }
    let mut taken = asked;
    taken.as_object_mut().unwrap().insert("newName".to_owned(), json!("admin"));
    let refused = editor.answer("textDocument/rename", taken);
    assert_eq!(refused.pointer("/error/message").unwrap(), "`admin` is in use already; two would become one");
}

#[test]
fn fixes_are_offered_and_a_document_is_formatted_folded_outlined_and_coloured() {
    let text = "job::/a{if(role==admin){permit 'ssh'}\n}\n";
    let mut editor = Editor::start(&[("a.pol", text), ("b.pol", "job::/b{\n{ permit read }\n}\n")]);
    editor.open("a.pol");
    editor.open("b.pol");
    let of = |editor: &Editor, name: &str| json!({ "uri": editor.uri(name) });
    let document = of(&editor, "a.pol");
    let context = json!({ "diagnostics": [] });
    let asked = json!({ "textDocument": document, "range": range((0, 33), (0, 33)), "context": context });
    let actions = editor.request("textDocument/codeAction", asked);
    let fix = actions.pointer("/0/edit/changes").unwrap().get(editor.uri("a.pol")).unwrap();
    assert_eq!(edited(&editor.folder.path().join("a.pol"), fix), text.replace('\'', "\""));
    // A document with errors stays as it is.
    let options = json!({ "tabSize": 2, "insertSpaces": true });
    let asked = json!({ "textDocument": document, "options": options });
    assert_eq!(editor.request("textDocument/formatting", asked), Value::Null);
    let document = of(&editor, "b.pol");
    let asked = json!({ "textDocument": document, "options": options });
    let edits = editor.request("textDocument/formatting", asked);
    assert_eq!(edits.pointer("/0/newText").unwrap(), "job::/b {\n  { permit read }\n");
    let asked = json!({ "textDocument": document });
    let folds = editor.request("textDocument/foldingRange", asked.clone());
    assert_eq!(folds, json!([{ "startLine": 0, "endLine": 1 }]));
    let symbols = editor.request("textDocument/documentSymbol", asked.clone());
    assert_eq!(symbols.pointer("/0/children/0/name").unwrap(), "permit read");
    let tokens = editor.request("textDocument/semanticTokens/full", asked);
    assert_eq!(tokens.get("data").unwrap(), &json!([0, 0, 3, 2, 0, 0, 6, 1, 3, 0, 1, 2, 6, 5, 0, 0, 7, 4, 9, 0]));
}

#[test]
fn columns_are_counted_as_the_editor_wants() {
    let text = "job::/ { // \u{1F600}\n  if (LDAP->cn == \"\u{1F600}\" && rol == x) { permit read }\n}\n";
    for (capabilities, column) in
        [(json!({}), 27), (json!({ "general": { "positionEncodings": ["utf-32", "utf-8", "utf-16"] } }), 29)]
    {
        let mut editor = Editor::start_with(&[("a.pol", text)], &capabilities);
        editor.open("a.pol");
        let hover = editor.at("a.pol", 1, column);
        let hover = editor.request("textDocument/hover", hover);
        assert_eq!(hover.pointer("/range/start/character").unwrap().as_u64().unwrap(), u64::from(column) - 1);
    }
}

#[test]
fn a_document_that_is_too_large_is_one_mistake_until_it_is_cut() {
    let text = "// a\n".repeat(110_000);
    let mut editor = Editor::start(&[("a.pol", &text)]);
    editor.open("a.pol");
    assert_eq!(editor.codes_when("a.pol", Some(1), |_| true), ["E0001"]);
    let hover = editor.at("a.pol", 9, 0);
    assert_eq!(editor.request("textDocument/hover", hover), Value::Null);
    editor.change("a.pol", 2, &range((1, 0), (110_000, 0)), "");
    assert_eq!(editor.codes_when("a.pol", Some(2), |_| true), NOTHING);
}

#[test]
fn errors_of_a_large_set_are_told_before_its_lints() {
    let text = format!("job::/a {{ {{ permit read }} }}\n{}", "// a\n".repeat(20_000));
    let mut editor = Editor::start(&[("a.pol", &text)]);
    editor.open("a.pol");
    assert_eq!(editor.codes_when("a.pol", Some(1), |_| true), NOTHING);
    assert_eq!(editor.codes_when("a.pol", Some(1), |_| true), ["W0103"]);
    editor.change("a.pol", 2, &range((20_001, 0), (20_001, 0)), "jobs::/ {}");
    assert_eq!(editor.codes_when("a.pol", Some(2), |_| true), ["E0201"]);
    assert_eq!(editor.codes_when("a.pol", Some(2), |_| true), ["W0103", "E0201"]);
}

#[test]
fn settings_with_mistakes_are_told_and_nothing_is_linted_by_others() {
    let mut editor = Editor::start(&[("a.pol", USES), (".gatehouse.toml", "[lint.levels]\nnothing = \"off\"\n")]);
    editor.open("a.pol");
    let message = editor.messages.recv_timeout(PATIENCE).unwrap();
    assert_eq!(message.get("method").unwrap(), "window/showMessage");
    assert!(message.pointer("/params/message").unwrap().as_str().unwrap().contains(".gatehouse.toml"));
    assert_eq!(editor.codes_when("a.pol", Some(1), |_| true), NOTHING);
}

#[test]
fn nonsense_is_refused_and_the_conversation_goes_on() {
    let mut editor = Editor::start(&[("a.pol", USES)]);
    let nowhere = json!({ "textDocument": { "uri": "untitled:1" }, "position": place(0, 0) });
    assert_eq!(editor.request("textDocument/hover", nowhere), Value::Null);
    let refused = editor.answer("textDocument/hover", json!({ "position": "here" }));
    assert!(refused.get("error").is_some(), "{refused}");
    let refused = editor.answer("textDocument/noSuchThing", json!({}));
    assert!(refused.get("error").is_some(), "{refused}");
    let document = json!({ "uri": "untitled:1", "languageId": "gatehouse", "version": 1, "text": ROLES });
    editor.notify("textDocument/didOpen", json!({ "textDocument": document }));
    let far = json!({ "textDocument": { "uri": "untitled:1" }, "position": place(4_000_000_000, 4_000_000_000) });
    assert!(editor.request("textDocument/completion", far).is_array());
    assert_eq!(editor.request("shutdown", Value::Null), Value::Null);
    editor.notify("exit", Value::Null);
    assert!(editor.server.wait().unwrap().success());
}
