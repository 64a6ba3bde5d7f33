//! What a keystroke in the largest document costs until its errors and its lints are there, beside reading the document alone.
//!
//! The server is the program itself, spoken to as an editor does. `make bench` runs it behind the language's own.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench fails by panicking, and its line is what it is for"
)]

use std::{
    fmt::Write as _,
    fs,
    io::{BufRead, BufReader, Read as _, Write as _},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::{Duration, Instant},
};

use gatehouse::{limits::DOCUMENT_BYTES_MAX, source::Source, syntax::parse};
use serde_json::{Value, json};

/// How many keystrokes are timed, one after another.
const KEYSTROKES: usize = 60;

/// As large as a document may be, but for a line: rules of every common kind.
fn largest() -> String {
    let mut text = String::new();
    let mut at = 0;
    while text.len() + 400 < DOCUMENT_BYTES_MAX {
        writeln!(
            text,
            "job::/team-{at}/[user] {{\n  if (auth_server@apcera.me->name == \"[user]\") {{ permit ssh, read }}\n  \
             if (LDAP->group in (\"ops-{at}\", oncall) && time.hour >= 8) {{ role ops-{at} }}\n  \
             if (role == ops-{at}) {{ permit exec }}\n}}"
        )
        .unwrap();
        at += 1;
    }
    // Something to be told, so that one sees when lints are.
    text.push_str("job::/ { { permit read } }\n");
    text
}

struct Server {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Server {
    fn start() -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_apc"))
            .args(["policy", "lsp"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (input, output) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        Self { child, input, output }
    }

    fn send(&mut self, message: &Value) {
        let text = message.to_string();
        write!(self.input, "Content-Length: {}\r\n\r\n{text}", text.len()).unwrap();
        self.input.flush().unwrap();
    }

    fn read(&mut self) -> Value {
        let mut length = 0;
        loop {
            let mut line = String::new();
            self.output.read_line(&mut line).unwrap();
            match line.trim_end().split_once(": ") {
                Some(("Content-Length", value)) => length = value.parse().unwrap(),
                Some(_) => (),
                None => break,
            }
        }
        let mut bytes = vec![0; length];
        self.output.read_exact(&mut bytes).unwrap();
        serde_json::from_slice(&bytes).unwrap()
    }

    fn wait_for_version(&mut self, version: usize) {
        loop {
            let message = self.read();
            if message.pointer("/params/version").and_then(Value::as_u64) == u64::try_from(version).ok() {
                return;
            }
        }
    }
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap()
}

fn main() {
    let text = largest();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("largest.pol");
    fs::write(&path, &text).unwrap();
    let uri = format!("file://{}", path.display());
    let mut server = Server::start();
    server.send(&json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": { "capabilities": {} } }));
    // Before the answer the server takes nothing else.
    server.read();
    server.send(&json!({ "jsonrpc": "2.0", "method": "initialized", "params": {} }));
    let document = json!({ "uri": uri, "languageId": "gatehouse", "version": 0, "text": text });
    let params = json!({ "textDocument": document });
    server.send(&json!({ "jsonrpc": "2.0", "method": "textDocument/didOpen", "params": params }));
    server.wait_for_version(0);
    server.wait_for_version(0);
    let line = text.lines().count() / 2 / 5 * 5 + 4;
    let mut keystrokes = Vec::new();
    let mut lint_times = Vec::new();
    let mut readings = Vec::new();
    for version in 1..=KEYSTROKES {
        let place = json!({ "line": line, "character": 0 });
        let change = json!({ "range": { "start": place, "end": place }, "text": " " });
        let document = json!({ "uri": uri, "version": version });
        let params = json!({ "textDocument": document, "contentChanges": [change] });
        let start = Instant::now();
        server.send(&json!({ "jsonrpc": "2.0", "method": "textDocument/didChange", "params": params }));
        server.wait_for_version(version);
        keystrokes.push(start.elapsed());
        server.wait_for_version(version);
        lint_times.push(start.elapsed());
        let source = Source::new("largest.pol", text.clone().into_bytes()).unwrap();
        let start = Instant::now();
        assert!(parse(&source).is_usable());
        readings.push(start.elapsed());
    }
    let (keystroke, linting, reading) = (median(&mut keystrokes), median(&mut lint_times), median(&mut readings));
    let times = |it: Duration| it.as_secs_f64() / reading.as_secs_f64();
    println!(
        "a keystroke in {} KiB: errors after {keystroke:.1?} (slowest {:.1?}; {:.1} times reading the document, {reading:.1?}), \
         lints after {linting:.1?} ({:.1} times)",
        text.len() / 1024,
        keystrokes.last().unwrap(),
        times(keystroke),
        times(linting),
    );
    server.child.kill().unwrap();
    server.child.wait().unwrap();
}
