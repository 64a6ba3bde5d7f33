//! What `apc` itself says during a session: on standard error, and never as a terminal would obey it.

use std::{
    fmt,
    io::{Write, stderr},
};

use crate::wire::printable::Printable;

/// One line. On a raw terminal a line begins at the left edge only after a carriage return.
pub(crate) fn tell(text: fmt::Arguments<'_>, is_raw: bool) {
    let line = line(text, is_raw);
    // Where standard error is closed there is nobody to tell.
    let _nobody_there = stderr().lock().write_all(line.as_bytes());
}

/// The line, made harmless: it may quote what a server or an instance has said.
pub(crate) fn line(text: fmt::Arguments<'_>, is_raw: bool) -> String {
    let text = text.to_string();
    let (before, after) = if is_raw { ("\r\n", "\r\n") } else { ("", "\n") };
    format!("{before}apc: {}{after}", Printable(&text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_says_cannot_move_the_cursor() {
        let said = "gone\u{1b}[2J\r\nroot# ";
        assert_eq!(line(format_args!("{said}"), false), "apc: gone\\u{1b}[2J\\r\\nroot# \n");
        assert_eq!(line(format_args!("bye"), true), "\r\napc: bye\r\n");
    }
}
