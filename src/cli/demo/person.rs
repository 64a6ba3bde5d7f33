//! One person at one terminal: runs the real `apc` with a home of their own and shows what it said.

use std::{
    io::{self, Read, Write},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use crate::{cli::demo::Trouble, wire::printable::Printable};

/// Longer than any command of the scene takes on a loaded machine; a hang must not hang the demo.
const COMMAND_MAX: Duration = Duration::from_mins(2);

/// Somebody who types.
#[derive(Debug)]
pub(super) struct Person {
    name: &'static str,
    apc: PathBuf,
    home: PathBuf,
}

/// What a command said and how it ended.
#[derive(Debug)]
pub(super) struct Outcome {
    command: String,
    text: String,
    code: Option<i32>,
}

impl Person {
    /// Gives `name` an empty `APC_HOME` below `homes`.
    pub(super) fn new(name: &'static str, apc: &Path, homes: &Path) -> io::Result<Self> {
        let home = homes.join(name);
        std::fs::create_dir_all(&home)?;
        Ok(Self { name, apc: apc.to_owned(), home })
    }

    /// The user name.
    pub(super) fn name(&self) -> &'static str {
        self.name
    }

    /// Types a command, shows it and its output, and waits for its end.
    pub(super) fn types(&self, arguments: &[&str]) -> Result<Outcome, Trouble> {
        self.types_with_input(arguments, "")
    }

    /// As [`Person::types`], with standard input; the input is not shown (it may be a password).
    pub(super) fn types_with_input(&self, arguments: &[&str], input: &str) -> Result<Outcome, Trouble> {
        let shown = self.show(arguments)?;
        let mut child = self.command(arguments).spawn().map_err(|err| Trouble::start(&self.apc, &err))?;
        if let Some(mut stdin) = child.stdin.take() {
            // A command that does not read its input closes the pipe; its output says why.
            drop(stdin.write_all(input.as_bytes()));
        }
        let outcome = collect(shown, child)?;
        outcome.show()?;
        Ok(outcome)
    }

    /// Opens a session that stays open: sends `script`, waits until the output holds `ready`.
    pub(super) fn opens(&self, arguments: &[&str], script: &str, ready: &str) -> Result<OpenSession, Trouble> {
        let shown = self.show(arguments)?;
        let mut child = self.command(arguments).spawn().map_err(|err| Trouble::start(&self.apc, &err))?;
        let mut stdin = child.stdin.take().ok_or_else(|| Trouble::new(&shown, "it has no standard input"))?;
        stdin.write_all(script.as_bytes()).map_err(|err| Trouble::new(&shown, err.to_string()))?;
        let mut lines = Lines::of(&mut child);
        let text = lines.until(ready).ok_or_else(|| Trouble::new(&shown, "the session did not come up"))?;
        say(&indent(&text))?;
        Ok(OpenSession { shown, child, _stdin: stdin, lines })
    }

    fn show(&self, arguments: &[&str]) -> Result<String, Trouble> {
        let words: Vec<String> = arguments.iter().map(|word| quoted(word)).collect();
        let shown = format!("{}$ apc {}", self.name, words.join(" "));
        say(&shown)?;
        Ok(shown)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.apc);
        command
            .args(arguments)
            .env("APC_HOME", &self.home)
            .env_remove("APC_TOKEN")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }
}

/// A session that somebody has open.
#[derive(Debug)]
pub(super) struct OpenSession {
    shown: String,
    child: Child,
    _stdin: std::process::ChildStdin,
    lines: Lines,
}

impl OpenSession {
    /// Waits until the other side ends it; the open input keeps it from ending by itself.
    pub(super) fn ends_by_itself(mut self) -> Result<Outcome, Trouble> {
        let text = self.lines.rest().ok_or_else(|| Trouble::new(&self.shown, "the session was not ended"))?;
        let status = self.child.wait().map_err(|err| Trouble::new(&self.shown, err.to_string()))?;
        let outcome = Outcome { command: self.shown, text, code: code(status) };
        outcome.show()?;
        Ok(outcome)
    }
}

impl Outcome {
    /// Demands the exit code.
    pub(super) fn ends(self, code: i32) -> Result<Self, Trouble> {
        if self.code == Some(code) {
            return Ok(self);
        }
        let found = self.code.map_or_else(|| "a signal".to_owned(), |it| it.to_string());
        Err(Trouble::new(&self.command, format!("should end with {code}, ended with {found}")))
    }

    /// Demands a text in the output.
    pub(super) fn says(self, text: &str) -> Result<Self, Trouble> {
        if self.text.contains(text) {
            return Ok(self);
        }
        Err(Trouble::new(&self.command, format!("should say `{text}`")))
    }

    /// Demands that a text is not in the output.
    pub(super) fn says_nothing_of(self, text: &str) -> Result<Self, Trouble> {
        if self.text.contains(text) {
            return Err(Trouble::new(&self.command, format!("should say nothing of `{text}`")));
        }
        Ok(self)
    }

    fn show(&self) -> Result<(), Trouble> {
        say(&indent(&self.text))
    }
}

/// Output of a child, both streams in the order of arrival.
#[derive(Debug)]
struct Lines {
    chunks: mpsc::Receiver<Vec<u8>>,
    seen: Vec<u8>,
}

impl Lines {
    fn of(child: &mut Child) -> Self {
        let (sender, chunks) = mpsc::channel();
        if let Some(stdout) = child.stdout.take() {
            pump(stdout, sender.clone());
        }
        if let Some(stderr) = child.stderr.take() {
            pump(stderr, sender);
        }
        Self { chunks, seen: Vec::new() }
    }

    /// What has come when `ready` is in it; none at the end of output or after [`COMMAND_MAX`].
    fn until(&mut self, ready: &str) -> Option<String> {
        loop {
            let text = String::from_utf8_lossy(&self.seen).into_owned();
            if text.contains(ready) {
                self.seen.clear();
                return Some(text);
            }
            self.seen.extend(self.chunks.recv_timeout(COMMAND_MAX).ok()?);
        }
    }

    /// All that comes until both streams end; none after [`COMMAND_MAX`] of silence.
    fn rest(&mut self) -> Option<String> {
        loop {
            match self.chunks.recv_timeout(COMMAND_MAX) {
                Ok(chunk) => self.seen.extend(chunk),
                Err(mpsc::RecvTimeoutError::Disconnected) => {
                    return Some(String::from_utf8_lossy(&self.seen).into_owned());
                }
                Err(mpsc::RecvTimeoutError::Timeout) => return None,
            }
        }
    }
}

fn pump(mut from: impl Read + Send + 'static, to: mpsc::Sender<Vec<u8>>) {
    thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(count) = from.read(&mut buffer) {
            let Some(chunk) = buffer.get(..count).filter(|chunk| !chunk.is_empty()) else { return };
            if to.send(chunk.to_vec()).is_err() {
                return;
            }
        }
    });
}

fn collect(shown: String, mut child: Child) -> Result<Outcome, Trouble> {
    let Some(text) = Lines::of(&mut child).rest() else {
        // It hangs: the demo must not.
        drop(child.kill());
        return Err(Trouble::new(&shown, "it did not end"));
    };
    let status = child.wait().map_err(|err| Trouble::new(&shown, err.to_string()))?;
    Ok(Outcome { command: shown, text, code: code(status) })
}

fn code(status: ExitStatus) -> Option<i32> {
    status.code()
}

/// Writes one line of the scene.
pub(super) fn say(line: &str) -> Result<(), Trouble> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).map_err(|err| Trouble::new("standard output", err.to_string()))
}

/// Output of jobs is untrusted: it is shown escaped, line by line.
fn indent(text: &str) -> String {
    text.lines().map(|line| format!("    {}", Printable(line))).collect::<Vec<_>>().join("\n")
}

fn quoted(word: &str) -> String {
    if word.chars().all(|it| it.is_ascii_alphanumeric() || "-_./:=@".contains(it)) {
        return word.to_owned();
    }
    format!("'{word}'")
}
