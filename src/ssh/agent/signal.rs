//! Signals by the names of RFC 4254 section 6.10.

use rustix::process::Signal;

/// What a client may send.
const ACCEPTED: &[(&str, Signal)] = &[
    ("ABRT", Signal::ABORT),
    ("ALRM", Signal::ALARM),
    ("FPE", Signal::FPE),
    ("HUP", Signal::HUP),
    ("ILL", Signal::ILL),
    ("INT", Signal::INT),
    ("KILL", Signal::KILL),
    ("PIPE", Signal::PIPE),
    ("QUIT", Signal::QUIT),
    ("SEGV", Signal::SEGV),
    ("TERM", Signal::TERM),
    ("USR1", Signal::USR1),
    ("USR2", Signal::USR2),
];

/// What else can end a process. The RFC wants such names marked by whom they are from.
const FURTHER: &[(&str, Signal)] = &[
    ("BUS@openssh.com", Signal::BUS),
    ("SYS@openssh.com", Signal::SYS),
    ("TRAP@openssh.com", Signal::TRAP),
    ("VTALRM@openssh.com", Signal::VTALARM),
    ("XCPU@openssh.com", Signal::XCPU),
    ("XFSZ@openssh.com", Signal::XFSZ),
    ("PROF@openssh.com", Signal::PROF),
    ("STKFLT@openssh.com", Signal::STKFLT),
    ("IO@openssh.com", Signal::IO),
    ("PWR@openssh.com", Signal::POWER),
];

/// The signal of this name, if a client may send it.
pub(in crate::ssh) fn by_name(name: &str) -> Option<Signal> {
    ACCEPTED.iter().find(|(it, _)| *it == name).map(|(_, signal)| *signal)
}

/// The name of the signal that ended a process.
pub(in crate::ssh) fn name(number: i32) -> &'static str {
    let found = ACCEPTED.iter().chain(FURTHER).find(|(_, signal)| signal.as_raw() == number);
    found.map_or("UNKNOWN@openssh.com", |(name, _)| *name)
}
