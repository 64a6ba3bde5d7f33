//! Words of a command line as the one string that a remote `sh -c` reads as the same words.

/// Quotes each word for a POSIX shell (XCU 2.2): what is plain stays, all else stands in single quotes, in which nothing
/// but their end is special.
///
/// ```
/// use gatehouse::cli::connect::shell_words;
///
/// assert_eq!(shell_words(&["echo", "it's", "$HOME", ""]), r"echo 'it'\''s' '$HOME' ''");
/// ```
pub fn shell_words<S: AsRef<str>>(words: &[S]) -> String {
    let quoted: Vec<String> = words.iter().map(|it| quote(it.as_ref())).collect();
    quoted.join(" ")
}

fn quote(word: &str) -> String {
    // `=` and `~` are left out: `a=b` as first word would be an assignment, `~` a home.
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "%+,-./:@_".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use proptest::prelude::*;

    use super::*;

    /// What a real shell makes of it: each word on the output, ended by a NUL.
    fn read_by_shell(words: &[String]) -> Vec<u8> {
        let script = format!("printf '%s\\0' {}", shell_words(words));
        let output = Command::new("sh").arg("-c").arg(script).output().unwrap();
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

        #[test]
        fn a_shell_reads_the_words_that_were_given(words in prop::collection::vec("[^\0]{0,12}", 1..5)) {
            let expected: Vec<u8> = words.iter().flat_map(|it| [it.as_bytes(), b"\0"].concat()).collect();
            prop_assert_eq!(read_by_shell(&words), expected);
        }
    }

    #[test]
    fn nothing_in_a_word_is_special() {
        for word in
            ["$(id)", "`id`", "a b", "'", "''", "\\", "\n", "*", "~", "a=b", "-n", "#x", "!", "\"", "é", "&&", ";"]
        {
            let words = [word.to_owned(), String::new(), "plain".to_owned()];
            assert_eq!(read_by_shell(&words), format!("{word}\0\0plain\0").into_bytes());
        }
        assert_eq!(shell_words(&["A=1", "env"]), "'A=1' env");
    }
}
