//! A terminal's settings as SSH sends them (RFC 4254 section 8, RFC 8160): pairs of an opcode and a number.

use rustix::termios::{ControlModes, InputModes, LocalModes, OutputModes, SpecialCodeIndex, Termios};

/// A special character that is switched off (RFC 4254: 255; POSIX: `_POSIX_VDISABLE`, 0 on Linux).
const DISABLED: u32 = 255;

const SPECIAL: [(u8, SpecialCodeIndex); 14] = [
    (1, SpecialCodeIndex::VINTR),
    (2, SpecialCodeIndex::VQUIT),
    (3, SpecialCodeIndex::VERASE),
    (4, SpecialCodeIndex::VKILL),
    (5, SpecialCodeIndex::VEOF),
    (6, SpecialCodeIndex::VEOL),
    (7, SpecialCodeIndex::VEOL2),
    (8, SpecialCodeIndex::VSTART),
    (9, SpecialCodeIndex::VSTOP),
    (10, SpecialCodeIndex::VSUSP),
    (12, SpecialCodeIndex::VREPRINT),
    (13, SpecialCodeIndex::VWERASE),
    (14, SpecialCodeIndex::VLNEXT),
    (18, SpecialCodeIndex::VDISCARD),
];

const INPUT: [(u8, InputModes); 13] = [
    (30, InputModes::IGNPAR),
    (31, InputModes::PARMRK),
    (32, InputModes::INPCK),
    (33, InputModes::ISTRIP),
    (34, InputModes::INLCR),
    (35, InputModes::IGNCR),
    (36, InputModes::ICRNL),
    (37, InputModes::IUCLC),
    (38, InputModes::IXON),
    (39, InputModes::IXANY),
    (40, InputModes::IXOFF),
    (41, InputModes::IMAXBEL),
    (42, InputModes::IUTF8),
];

const LOCAL: [(u8, LocalModes); 13] = [
    (50, LocalModes::ISIG),
    (51, LocalModes::ICANON),
    (52, LocalModes::XCASE),
    (53, LocalModes::ECHO),
    (54, LocalModes::ECHOE),
    (55, LocalModes::ECHOK),
    (56, LocalModes::ECHONL),
    (57, LocalModes::NOFLSH),
    (58, LocalModes::TOSTOP),
    (59, LocalModes::IEXTEN),
    (60, LocalModes::ECHOCTL),
    (61, LocalModes::ECHOKE),
    (62, LocalModes::PENDIN),
];

const OUTPUT: [(u8, OutputModes); 6] = [
    (70, OutputModes::OPOST),
    (71, OutputModes::OLCUC),
    (72, OutputModes::ONLCR),
    (73, OutputModes::OCRNL),
    (74, OutputModes::ONOCR),
    (75, OutputModes::ONLRET),
];

const CONTROL: [(u8, ControlModes); 4] =
    [(90, ControlModes::CS7), (91, ControlModes::CS8), (92, ControlModes::PARENB), (93, ControlModes::PARODD)];

/// Every setting that SSH has a number for.
pub(crate) fn of(termios: &Termios) -> Vec<(u8, u32)> {
    let special = SPECIAL.iter().map(|(code, index)| {
        let character = u32::from(termios.special_codes[*index]);
        (*code, if character == 0 { DISABLED } else { character })
    });
    let input = INPUT.iter().map(|(code, it)| (*code, u32::from(termios.input_modes.contains(*it))));
    let local = LOCAL.iter().map(|(code, it)| (*code, u32::from(termios.local_modes.contains(*it))));
    let output = OUTPUT.iter().map(|(code, it)| (*code, u32::from(termios.output_modes.contains(*it))));
    let size = termios.control_modes & ControlModes::CSIZE;
    let control = CONTROL.iter().map(|(code, it)| {
        let is_size = ControlModes::CSIZE.contains(*it);
        (*code, u32::from(if is_size { size == *it } else { termios.control_modes.contains(*it) }))
    });
    let speeds = [(128, termios.input_speed()), (129, termios.output_speed())];
    special.chain(input).chain(local).chain(output).chain(control).chain(speeds).collect()
}
