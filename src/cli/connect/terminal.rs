//! The person's terminal: what it is, raw while a session has it, and as before afterwards, whatever happens.

use std::{
    env,
    fs::File,
    io::{IsTerminal, stdin, stdout},
    os::fd::{AsFd, AsRawFd},
    panic,
    sync::{Mutex, Once, PoisonError},
};

use rustix::{
    fs::{Mode, OFlags, open},
    termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr},
};

use crate::{cli::connect::modes, session::frame::Size, wire::sign::Pty};

/// As most programs assume where nothing is known.
const SIZE: Size = Size { columns: 80, rows: 24 };

/// Bytes of `TERM`.
const TERM_BYTES_MAX: usize = 64;

/// What the terminal was before it was made raw, for whoever ends the process.
static BEFORE: Mutex<Option<Termios>> = Mutex::new(None);

static HOOK: Once = Once::new();

/// The process's terminal.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terminal {
    has_input: bool,
    has_output: bool,
}

impl Terminal {
    pub(crate) fn of_process() -> Self {
        Self { has_input: stdin().is_terminal(), has_output: stdout().is_terminal() }
    }

    /// Whether a person sits at both ends.
    pub(crate) fn is_whole(self) -> bool {
        self.has_input && self.has_output
    }

    /// Whether keys come from it.
    pub(crate) fn has_input(self) -> bool {
        self.has_input
    }

    /// It as a request for one like it.
    pub(crate) fn pty(self) -> Pty {
        let size = self.size();
        let modes = if self.has_input { tcgetattr(stdin()).map(|it| modes::of(&it)).ok() } else { None };
        Pty { term: term(), columns: size.columns, rows: size.rows, modes: modes.unwrap_or_default() }
    }

    /// Its size; one with a zero is none.
    pub(crate) fn size(self) -> Size {
        let of = |it: rustix::termios::Winsize| Size { columns: it.ws_col, rows: it.ws_row };
        let output = self.has_output.then(|| tcgetwinsize(stdout()).ok()).flatten();
        let input = self.has_input.then(|| tcgetwinsize(stdin()).ok()).flatten();
        output.or(input).map(of).filter(|it| it.columns != 0 && it.rows != 0).unwrap_or(SIZE)
    }
}

/// The terminal of a stream, opened once more, so that reads and writes which would have to wait say so instead: for a
/// stream itself that would hold for everybody who shares it. Nothing where it is none or must not be opened.
pub(crate) fn without_waiting(stream: impl AsFd, access: OFlags) -> Option<File> {
    let stream = stream.as_fd();
    if !stream.is_terminal() {
        return None;
    }
    let path = format!("/proc/self/fd/{}", stream.as_raw_fd());
    let flags = access | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    open(path, flags, Mode::empty()).ok().map(File::from)
}

/// The terminal while it is raw. Dropping it restores it; a panic restores it before it speaks.
#[derive(Debug)]
pub(crate) struct Raw {
    before: Termios,
}

impl Raw {
    /// Every key goes to the session, and nothing is done to its output.
    pub(crate) fn enter() -> rustix::io::Result<Self> {
        let before = tcgetattr(stdin())?;
        *BEFORE.lock().unwrap_or_else(PoisonError::into_inner) = Some(before.clone());
        HOOK.call_once(|| {
            let usual = panic::take_hook();
            panic::set_hook(Box::new(move |info| {
                restore();
                usual(info);
            }));
        });
        make_raw(before.clone())?;
        Ok(Self { before })
    }

    /// After the process was stopped and goes on, a shell may have set the terminal as it likes it.
    pub(crate) fn again(&self) {
        if let Err(error) = make_raw(self.before.clone()) {
            tracing::debug!(%error, "the terminal cannot be made raw again");
        }
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        restore();
    }
}

fn make_raw(mut termios: Termios) -> rustix::io::Result<()> {
    termios.make_raw();
    tcsetattr(stdin(), OptionalActions::Drain, &termios)
}

fn restore() {
    let before = BEFORE.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(before) = before {
        // A terminal that is gone needs nothing.
        let _gone = tcsetattr(stdin(), OptionalActions::Drain, &before);
    }
}

fn term() -> String {
    let is_name =
        |it: &String| !it.is_empty() && it.len() <= TERM_BYTES_MAX && it.bytes().all(|c| c.is_ascii_graphic());
    env::var("TERM").ok().filter(is_name).unwrap_or_else(|| "dumb".to_owned())
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read, Write},
        os::fd::OwnedFd,
        process::{Command, ExitStatus},
    };

    use rustix::{
        fs::fcntl_getfl,
        pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
        termios::{LocalModes, Winsize, tcsetwinsize},
    };

    use super::*;

    const ENDS: &str = "GATEHOUSE_TEST_TERMINAL_ENDS";

    /// The program that the test below runs on a terminal of its own.
    #[test]
    #[ignore = "run by `the_terminal_is_raw_while_it_is_used_and_itself_again_however_that_ends`"]
    fn child() {
        let ends = env::var(ENDS).unwrap();
        let terminal = Terminal::of_process();
        assert!(terminal.is_whole());
        assert_eq!(terminal.size(), Size { columns: 132, rows: 43 });
        let pty = terminal.pty();
        assert!(pty.modes.contains(&(53, 1)) && pty.modes.contains(&(1, 3)), "{:?}", pty.modes);
        let raw = Raw::enter().unwrap();
        let _tell = stdout().write_all(b"raw!").and_then(|()| stdout().flush());
        let mut byte = [0];
        stdin().read_exact(&mut byte).unwrap();
        assert_eq!(byte, [3], "an interrupt is a byte like any other");
        assert_ne!(ends, "panic");
        drop(raw);
    }

    fn run(ends: &str) -> ExitStatus {
        let leader = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&leader).unwrap();
        unlockpt(&leader).unwrap();
        let name = ptsname(&leader, Vec::new()).unwrap();
        let open = || open(&name, OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).unwrap();
        let terminal: OwnedFd = open();
        tcsetwinsize(&terminal, Winsize { ws_col: 132, ws_row: 43, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
        let is_cooked = || {
            let modes = tcgetattr(&terminal).unwrap().local_modes;
            modes.contains(LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG)
        };
        assert!(is_cooked());
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["--exact", "cli::connect::terminal::tests::child", "--ignored", "--nocapture", "--test-threads=1"])
            .env(ENDS, ends)
            .stdin(open())
            .stdout(open())
            .stderr(open())
            .spawn()
            .unwrap();
        let mut leader = File::from(leader);
        let (mut seen, mut buffer) = (Vec::new(), [0; 1024]);
        while !seen.ends_with(b"raw!") {
            let count = leader.read(&mut buffer).unwrap();
            seen.extend(&buffer[..count]);
        }
        assert!(!is_cooked());
        leader.write_all(&[3]).unwrap();
        // What a program on a terminal says must be read, or it waits.
        let reading = std::thread::spawn(move || std::io::copy(&mut leader, &mut std::io::sink()));
        let status = child.wait().unwrap();
        assert!(is_cooked(), "after {ends}");
        drop(terminal);
        let _hung_up = reading.join().unwrap();
        status
    }

    #[test]
    fn the_terminal_is_raw_while_it_is_used_and_itself_again_however_that_ends() {
        assert!(run("return").success());
        assert!(!run("panic").success());
    }

    #[test]
    fn a_terminal_opened_once_more_does_not_wait_and_the_stream_itself_still_would() {
        let leader = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&leader).unwrap();
        unlockpt(&leader).unwrap();
        let name = ptsname(&leader, Vec::new()).unwrap();
        let stream = open(&name, OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).unwrap();
        let mut again = without_waiting(&stream, OFlags::RDWR).unwrap();
        assert_eq!(again.read(&mut [0]).unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
        assert!(!fcntl_getfl(&stream).unwrap().contains(OFlags::NONBLOCK));
        again.write_all(b"x").unwrap();
        let mut echoed = [0];
        File::from(leader).read_exact(&mut echoed).unwrap();
        assert_eq!(echoed, *b"x");
        assert!(without_waiting(File::open("/dev/null").unwrap(), OFlags::RDONLY).is_none());
    }
}
