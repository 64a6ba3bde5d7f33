//! A folder of documents, and `apc policy` run in it.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde_json::Value;

/// A folder that goes when the test ends.
pub(crate) struct Folder(tempfile::TempDir);

/// A folder within one.
pub(crate) struct Below(PathBuf);

/// What a run left behind.
pub(crate) struct Outcome {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Folder {
    /// With these files in it.
    pub(crate) fn with(files: &[(&str, &str)]) -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        for (name, text) in files {
            folder.write(name, text.as_bytes());
        }
        folder
    }

    pub(crate) fn write(&self, name: &str, bytes: &[u8]) {
        let path = self.0.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.0.path().join(name)).unwrap()
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn below(&self, name: &str) -> Below {
        Below(self.path().join(name))
    }

    /// Runs `apc policy`, nothing on its standard input.
    pub(crate) fn policy(&self, arguments: &[&str]) -> Outcome {
        self.policy_with_input(arguments, "")
    }

    pub(crate) fn policy_with_input(&self, arguments: &[&str], input: &str) -> Outcome {
        run(self.path(), arguments, input)
    }
}

impl Below {
    /// Runs `apc policy` in it.
    pub(crate) fn policy(&self, arguments: &[&str]) -> Outcome {
        run(&self.0, arguments, "")
    }
}

/// `apc policy` in a folder, not yet started.
pub(crate) fn program(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_apc"));
    command.arg("policy").args(arguments).current_dir(folder).env("APC_HOME", folder).env("NO_COLOR", "1");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn run(folder: &Path, arguments: &[&str], input: &str) -> Outcome {
    let mut child = program(folder, arguments).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_owned();
    // A program that reads nothing closes the pipe, which is no failure of the test.
    let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()).ok());
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    Outcome {
        code: output.status.code().unwrap(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

impl Outcome {
    /// Standard output as one JSON document, which is all that stands there.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap()
    }

    /// Standard output as a JSON document a line.
    pub(crate) fn lines(&self) -> Vec<Value> {
        self.out.lines().map(|it| serde_json::from_str(it).unwrap()).collect()
    }

    /// The codes of a JSON array of diagnostics.
    pub(crate) fn codes(&self) -> Vec<String> {
        let json = self.json();
        json.as_array().unwrap().iter().map(|it| it["code"].as_str().unwrap().to_owned()).collect()
    }
}
