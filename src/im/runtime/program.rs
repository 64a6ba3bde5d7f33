//! Runs the programs of the host (`runc`, `ip`, `nft`) with a deadline, and makes one line of what they complain.

use std::{
    ffi::OsString,
    fs::File,
    io::{Read, Seek, Write},
    os::fd::{AsRawFd, OwnedFd, RawFd},
    path::Path,
    process::Stdio,
    time::Duration,
};

use rustix::io::fcntl_dupfd_cloexec;
use tokio::process::Command;

use crate::im::{
    ImError,
    error::{Context, printable},
    runtime::Descriptors,
};

/// A program that does not end by then is killed; each of ours takes a fraction of a second on an idle host.
const PROGRAM_SECONDS_MAX: Duration = Duration::from_mins(1);

/// Bytes of a program's output that are read.
const OUTPUT_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// Runs a program, gives it `input`, and answers its standard output.
pub(crate) async fn run(program: &Path, arguments: Vec<OsString>, input: &[u8]) -> Result<Vec<u8>, ImError> {
    let name = program.display().to_string();
    // Files instead of pipes: a descendant that holds the other end cannot keep us waiting.
    let (mut stdin, mut stdout, mut stderr) = (scratch()?, scratch()?, scratch()?);
    stdin.write_all(input).and_then(|()| stdin.rewind()).context(|| format!("prepare input of `{name}`"))?;
    let mut command = Command::new(program);
    command
        .args(arguments)
        .stdin(stdin)
        .stdout(stdout.try_clone().context(|| "duplicate a descriptor".to_owned())?)
        .stderr(stderr.try_clone().context(|| "duplicate a descriptor".to_owned())?);
    let success = wait(&name, command).await?;
    if !success {
        return Err(ImError::Program { program: name, message: last_line(&read_back(&mut stderr)?) });
    }
    read_back(&mut stdout)
}

/// Runs a program whose descendant keeps the given descriptors; `log` is the file that it writes its complaints to.
pub(crate) async fn hand_over(
    program: &Path,
    arguments: Vec<OsString>,
    descriptors: Descriptors,
    log: &Path,
) -> Result<(), ImError> {
    let name = program.display().to_string();
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(descriptors.stdout).stderr(descriptors.stderr);
    let kept = pass(&mut command, &descriptors.more)?;
    let success = wait(&name, command).await;
    drop(kept);
    let complaint = std::fs::read(log).unwrap_or_default();
    drop(std::fs::remove_file(log));
    if success? {
        return Ok(());
    }
    Err(ImError::Program { program: name, message: last_line(&complaint) })
}

async fn wait(name: &str, mut command: Command) -> Result<bool, ImError> {
    let mut child = command.kill_on_drop(true).spawn().context(|| format!("start `{name}`"))?;
    match tokio::time::timeout(PROGRAM_SECONDS_MAX, child.wait()).await {
        Ok(status) => Ok(status.context(|| format!("wait for `{name}`"))?.success()),
        Err(_) => Err(ImError::Program { program: name.to_owned(), message: "took too long".to_owned() }),
    }
}

/// Arranges that the child has `descriptors` at 3, 4, ...; the answer must live until it has been started.
fn pass(command: &mut Command, descriptors: &[OwnedFd]) -> Result<Vec<OwnedFd>, ImError> {
    // Out of the way of the numbers that they are to have.
    let high: Vec<OwnedFd> = descriptors
        .iter()
        .map(|it| fcntl_dupfd_cloexec(it, 10))
        .collect::<Result<_, _>>()
        .context(|| "duplicate a descriptor".to_owned())?;
    let from: Vec<RawFd> = high.iter().map(AsRawFd::as_raw_fd).collect();
    let place = move || {
        for (to, from) in (3..).zip(&from) {
            // SAFETY: dup2 touches no memory of ours and may be called between fork and exec.
            #[expect(unsafe_code, reason = "std has no other way to pass descriptors")]
            let result = unsafe { libc::dup2(*from, to) };
            if result < 0 {
                return Err(std::io::Error::last_os_error());
            }
        }
        Ok(())
    };
    // SAFETY: `place` calls nothing but dup2, allocates nothing and takes no lock.
    #[expect(unsafe_code, reason = "std has no other way to pass descriptors")]
    unsafe {
        command.pre_exec(place);
    }
    Ok(high)
}

fn scratch() -> Result<File, ImError> {
    let file = rustix::fs::memfd_create("output", rustix::fs::MemfdFlags::CLOEXEC);
    file.map(File::from).context(|| "make a file in memory".to_owned())
}

fn read_back(file: &mut File) -> Result<Vec<u8>, ImError> {
    let mut text = Vec::new();
    file.rewind().context(|| "read output".to_owned())?;
    file.take(OUTPUT_BYTES_MAX).read_to_end(&mut text).context(|| "read output".to_owned())?;
    Ok(text)
}

/// The last line that says something. Runtimes write JSON with a `msg`; container images can choose parts of it.
fn last_line(complaint: &[u8]) -> String {
    let text = String::from_utf8_lossy(complaint);
    let line = text.lines().rev().find(|it| !it.trim().is_empty()).unwrap_or("no reason given");
    let message = serde_json::from_str::<serde_json::Value>(line)
        .ok()
        .and_then(|it| it.get("msg").and_then(|it| it.as_str()).map(str::to_owned));
    printable(message.as_deref().unwrap_or(line), 400)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::im::runtime::arguments;

    #[tokio::test]
    async fn output_is_answered_and_input_given() {
        assert_eq!(run(Path::new("cat"), Vec::new(), b"hello").await.unwrap(), b"hello");
    }

    #[tokio::test]
    async fn failure_says_the_last_line_without_control_characters() {
        let script = "echo first >&2; printf 'bad\\033[2J thing\\n' >&2; exit 3";
        let error = run(Path::new("sh"), arguments([&"-c", &script]), b"").await.unwrap_err();
        assert_eq!(error.to_string(), "`sh` failed: bad\\u{1b}[2J thing");
    }

    #[tokio::test]
    async fn json_complaint_is_reduced_to_its_message() {
        let script = r#"echo '{"level":"error","msg":"no such thing"}' >&2; exit 1"#;
        let error = run(Path::new("sh"), arguments([&"-c", &script]), b"").await.unwrap_err();
        assert_eq!(error.to_string(), "`sh` failed: no such thing");
    }
}
