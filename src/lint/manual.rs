//! The manual of each rule: the head comment of the file that holds it.

use crate::{diagnostic::Code, lint::RULES};

/// The manual of a lint as Markdown: a sentence, what it finds and why it matters, an example, and what to write instead.
///
/// None for codes that are no lints. The rule's file is its only source, so that the two cannot part.
///
/// ```
/// use gatehouse::{diagnostic::Code, lint::manual};
///
/// assert!(manual(Code::UnknownPermit).is_some_and(|it| it.contains("## Instead")));
/// assert_eq!(manual(Code::NotUtf8), None);
/// ```
pub fn manual(code: Code) -> Option<String> {
    let rule = RULES.iter().find(|it| it.lint.code() == code)?;
    let lines = rule.file.lines().map_while(|line| line.strip_prefix("//!"));
    let mut text = String::new();
    for line in lines {
        text.push_str(line.strip_prefix(' ').unwrap_or(line));
        text.push('\n');
    }
    Some(text)
}
