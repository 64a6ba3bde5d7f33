//! The person's terminal: what it is, raw while a session has it, and as before afterwards, whatever happens.

use std::{
    env,
    io::{IsTerminal, stdin, stdout},
    panic,
    sync::{Mutex, Once, PoisonError},
};

use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};

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
