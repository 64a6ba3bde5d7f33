//! Text of others, made fit for a terminal.

use std::fmt;

/// Shows text with everything escaped that a terminal would obey or an eye would not see: C0 and C1 controls, DEL,
/// bidirectional controls, zero-width characters, line and paragraph separators, tags and noncharacters. The rest
/// stays as it is. A backslash is doubled, so that what is escaped cannot be feigned.
///
/// Whoever prints what another has said (names, commands, banners, errors) prints it by this: a file name with an
/// escape sequence must not move a cursor, set a title or write to a clipboard (CVE-2021-25743).
#[derive(Debug, Clone, Copy)]
pub struct Printable<'a>(pub &'a str);

impl fmt::Display for Printable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            match character {
                '\\' => f.write_str("\\\\")?,
                '\n' => f.write_str("\\n")?,
                '\r' => f.write_str("\\r")?,
                '\t' => f.write_str("\\t")?,
                it if is_hidden(it) => write!(f, "\\u{{{:x}}}", u32::from(it))?,
                it => fmt::Write::write_char(f, it)?,
            }
        }
        Ok(())
    }
}

/// Someone's text for a message: what is hidden is escaped, and of a long text only the beginning is there.
pub fn short(text: &str) -> String {
    const CHARACTERS_MAX: usize = 60;
    let mut shown = String::new();
    for (count, character) in text.chars().enumerate() {
        if count == CHARACTERS_MAX {
            shown.push('…');
            break;
        }
        if is_hidden(character) {
            shown.extend(character.escape_unicode());
        } else {
            shown.push(character);
        }
    }
    shown
}

/// Whether a terminal obeys this character or an eye does not see it.
pub fn is_hidden(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{ad}' // Soft hyphen.
            | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}' // Zero-width and directional marks.
            | '\u{2028}'..='\u{202e}' // Separators, embeddings, overrides.
            | '\u{2060}'..='\u{206f}' // Joiners, isolates, deprecated controls.
            | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
            | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}'
        )
        || u32::from(character) & 0xfffe == 0xfffe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_terminal_obeys_gets_through() {
        for hidden in (0_u32..0x20).chain(0x7f..0xa0).chain([0x202e, 0x2066, 0x2069, 0x200b, 0xfeff, 0x2028, 0xe0041]) {
            let text = char::from_u32(hidden).unwrap().to_string();
            let shown = Printable(&text).to_string();
            assert!(shown.starts_with('\\') && shown.is_ascii(), "{hidden:x}: {shown}");
            assert!(shown.bytes().all(|it| it.is_ascii_graphic()), "{hidden:x}");
        }
        assert_eq!(Printable("a\u{1b}]0;x\u{7}\r\n").to_string(), "a\\u{1b}]0;x\\u{7}\\r\\n");
    }

    #[test]
    fn readable_text_stays_and_escapes_cannot_be_feigned() {
        for text in ["", "web", "tom é 東京 😀 \"x\" 'y'", "a b"] {
            assert_eq!(Printable(text).to_string(), text);
        }
        assert_ne!(Printable("\\u{1b}").to_string(), Printable("\u{1b}").to_string());
    }
}
