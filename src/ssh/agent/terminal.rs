//! Pseudo-terminals: opened in the instance's own devpts, with every mode of RFC 4254 section 8.

use std::os::fd::OwnedFd;

use rustix::{
    fs::{Gid, Mode, OFlags, Uid, fchmod, fchown, fcntl_getfl, fcntl_setfl},
    io::Errno,
    pty::{OpenptFlags, ioctl_tiocgptpeer, openpt, ptsname, unlockpt},
    termios::{
        ControlModes, InputModes, LocalModes, OptionalActions, OutputModes, SpecialCodeIndex, Termios, Winsize,
        tcgetattr, tcsetattr, tcsetwinsize,
    },
};
use thiserror::Error;

/// Bytes of `TERM`.
const NAME_BYTES_MAX: usize = 64;

/// A terminal, not yet in use.
#[derive(Debug)]
pub(in crate::ssh) struct Terminal {
    /// Non-blocking.
    pub(in crate::ssh) master: OwnedFd,
    /// Becomes the process's standard streams.
    pub(in crate::ssh) slave: OwnedFd,
    /// For `SSH_TTY`.
    pub(in crate::ssh) path: String,
    /// For `TERM`.
    pub(in crate::ssh) name: String,
}

/// Characters across and lines.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::ssh) struct Size {
    pub(in crate::ssh) columns: u16,
    pub(in crate::ssh) rows: u16,
}

impl Size {
    /// Of what a peer says; more than a terminal can have is as much as it can have.
    pub(in crate::ssh) fn new(columns: u32, rows: u32) -> Size {
        let clamp = |it: u32| u16::try_from(it).unwrap_or(u16::MAX);
        Size { columns: clamp(columns), rows: clamp(rows) }
    }
}

/// Why there is no terminal; the text is for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(in crate::ssh) enum TerminalError {
    #[error("no terminal: this instance has no /dev/ptmx and /dev/pts")]
    Missing,
    #[error("no terminal: {0}")]
    System(Errno),
}

/// Opens a terminal with these modes, given by opcode.
pub(in crate::ssh) fn open(name: &str, size: Size, modes: &[(u8, u32)]) -> Result<Terminal, TerminalError> {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let master = openpt(flags).map_err(|error| match error {
        Errno::NOENT | Errno::NODEV | Errno::NXIO => TerminalError::Missing,
        other => TerminalError::System(other),
    })?;
    prepare(master, flags, name, size, modes).map_err(TerminalError::System)
}

fn prepare(
    master: OwnedFd,
    flags: OpenptFlags,
    name: &str,
    size: Size,
    modes: &[(u8, u32)],
) -> Result<Terminal, Errno> {
    unlockpt(&master)?;
    // By descriptor, not by path: what the instance has mounted over /dev/pts does not matter.
    let slave = ioctl_tiocgptpeer(&master, flags)?;
    let path = ptsname(&master, Vec::new())?.into_string().map_err(|_| Errno::INVAL)?;
    let mut attributes = tcgetattr(&slave)?;
    for (opcode, value) in modes {
        apply(&mut attributes, *opcode, *value);
    }
    tcsetattr(&slave, OptionalActions::Now, &attributes)?;
    resize(&master, size)?;
    fcntl_setfl(&master, fcntl_getfl(&master)? | OFlags::NONBLOCK)?;
    let name = name.chars().filter(char::is_ascii_graphic).take(NAME_BYTES_MAX).collect();
    Ok(Terminal { master, slave, path, name })
}

/// Gives the terminal to the session's user, so that programs may open it by its path. The job may have been denied
/// the right to do so; the session works without.
pub(in crate::ssh) fn hand_over(slave: &OwnedFd, user: u32) {
    let _denied = fchown(slave, Some(Uid::from_raw(user)), None::<Gid>);
    let _denied = fchmod(slave, Mode::RUSR | Mode::WUSR | Mode::WGRP);
}

/// Sets the size; the foreground process is told by the kernel.
pub(in crate::ssh) fn resize(master: &OwnedFd, size: Size) -> Result<(), Errno> {
    tcsetwinsize(master, Winsize { ws_col: size.columns, ws_row: size.rows, ws_xpixel: 0, ws_ypixel: 0 })
}

/// What a person would type to end the input: the terminal's own character for it.
///
/// The line discipline hands on an unfinished line at the first, and ends at the second. A program that has turned it off
/// (a shell with a line editor) looks at each character itself.
pub(in crate::ssh) fn end_of_file(master: &OwnedFd) -> Vec<u8> {
    let Ok(attributes) = tcgetattr(master) else { return Vec::new() };
    let character = special(&attributes, SpecialCodeIndex::VEOF);
    let count = match (character, attributes.local_modes.contains(LocalModes::ICANON)) {
        (0, _) => 0,
        (_, true) => 2,
        (_, false) => 1,
    };
    vec![character; count]
}

fn special(attributes: &Termios, index: SpecialCodeIndex) -> u8 {
    attributes.special_codes[index]
}

/// One mode. Unknown opcodes are ignored, as the RFC says; so are speeds, which a pseudo-terminal does not have.
fn apply(attributes: &mut Termios, opcode: u8, value: u32) {
    if let Some(index) = special_code(opcode) {
        // 255 stands for "none", which Linux writes as 0.
        let value = u8::try_from(value).ok().filter(|it| *it != u8::MAX).unwrap_or(0);
        attributes.special_codes[index] = value;
        return;
    }
    let on = value != 0;
    if let Some(flag) = input_mode(opcode) {
        attributes.input_modes.set(flag, on);
    } else if let Some(flag) = local_mode(opcode) {
        attributes.local_modes.set(flag, on);
    } else if let Some(flag) = output_mode(opcode) {
        attributes.output_modes.set(flag, on);
    } else {
        control_mode(&mut attributes.control_modes, opcode, on);
    }
}

fn special_code(opcode: u8) -> Option<SpecialCodeIndex> {
    Some(match opcode {
        1 => SpecialCodeIndex::VINTR,
        2 => SpecialCodeIndex::VQUIT,
        3 => SpecialCodeIndex::VERASE,
        4 => SpecialCodeIndex::VKILL,
        5 => SpecialCodeIndex::VEOF,
        6 => SpecialCodeIndex::VEOL,
        7 => SpecialCodeIndex::VEOL2,
        8 => SpecialCodeIndex::VSTART,
        9 => SpecialCodeIndex::VSTOP,
        10 => SpecialCodeIndex::VSUSP,
        12 => SpecialCodeIndex::VREPRINT,
        13 => SpecialCodeIndex::VWERASE,
        14 => SpecialCodeIndex::VLNEXT,
        16 => SpecialCodeIndex::VSWTC,
        18 => SpecialCodeIndex::VDISCARD,
        _ => return None,
    })
}

fn input_mode(opcode: u8) -> Option<InputModes> {
    Some(match opcode {
        30 => InputModes::IGNPAR,
        31 => InputModes::PARMRK,
        32 => InputModes::INPCK,
        33 => InputModes::ISTRIP,
        34 => InputModes::INLCR,
        35 => InputModes::IGNCR,
        36 => InputModes::ICRNL,
        37 => InputModes::IUCLC,
        38 => InputModes::IXON,
        39 => InputModes::IXANY,
        40 => InputModes::IXOFF,
        41 => InputModes::IMAXBEL,
        42 => InputModes::IUTF8,
        _ => return None,
    })
}

fn local_mode(opcode: u8) -> Option<LocalModes> {
    Some(match opcode {
        50 => LocalModes::ISIG,
        51 => LocalModes::ICANON,
        52 => LocalModes::XCASE,
        53 => LocalModes::ECHO,
        54 => LocalModes::ECHOE,
        55 => LocalModes::ECHOK,
        56 => LocalModes::ECHONL,
        57 => LocalModes::NOFLSH,
        58 => LocalModes::TOSTOP,
        59 => LocalModes::IEXTEN,
        60 => LocalModes::ECHOCTL,
        61 => LocalModes::ECHOKE,
        62 => LocalModes::PENDIN,
        _ => return None,
    })
}

fn output_mode(opcode: u8) -> Option<OutputModes> {
    Some(match opcode {
        70 => OutputModes::OPOST,
        71 => OutputModes::OLCUC,
        72 => OutputModes::ONLCR,
        73 => OutputModes::OCRNL,
        74 => OutputModes::ONOCR,
        75 => OutputModes::ONLRET,
        _ => return None,
    })
}

fn control_mode(modes: &mut ControlModes, opcode: u8, on: bool) {
    match opcode {
        // Character sizes are one field, not flags: they are set, never cleared.
        90 | 91 if on => {
            modes.remove(ControlModes::CSIZE);
            modes.insert(if opcode == 90 { ControlModes::CS7 } else { ControlModes::CS8 });
        }
        92 => modes.set(ControlModes::PARENB, on),
        93 => modes.set(ControlModes::PARODD, on),
        _ => (),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_and_size_are_as_asked() {
        let modes = [(1, 7), (5, 255), (36, 0), (53, 0), (72, 1), (90, 1), (128, 9600), (255, 1), (11, 3)];
        let terminal = open("xterm\n256", Size::new(132, 70_000), &modes).unwrap();
        let attributes = tcgetattr(&terminal.slave).unwrap();
        assert_eq!(attributes.special_codes[SpecialCodeIndex::VINTR], 7);
        assert_eq!(attributes.special_codes[SpecialCodeIndex::VEOF], 0);
        assert!(!attributes.input_modes.contains(InputModes::ICRNL));
        assert!(!attributes.local_modes.contains(LocalModes::ECHO));
        assert!(attributes.output_modes.contains(OutputModes::ONLCR));
        // Linux gives every pseudo-terminal eight bits, whatever is asked (`pty_set_termios`).
        assert_eq!(attributes.control_modes & ControlModes::CSIZE, ControlModes::CS8);
        assert!(end_of_file(&terminal.master).is_empty());
        let size = rustix::termios::tcgetwinsize(&terminal.slave).unwrap();
        assert_eq!((size.ws_col, size.ws_row), (132, u16::MAX));
        assert_eq!(terminal.name, "xterm256");
        assert!(terminal.path.starts_with("/dev/pts/"));
    }
}
