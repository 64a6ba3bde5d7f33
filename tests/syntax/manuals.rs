//! The manuals of the reader's and the compiler's rules tell the truth.

use gatehouse::{
    compile::{System, compile},
    diagnostic::{Code, Severity, manual},
    source::Source,
};

/// The codes of what is found in one document.
fn codes(text: &str) -> Vec<Code> {
    let source = Source::new("a.pol", text.as_bytes().to_vec()).unwrap();
    compile(&[source], System::Included).err().into_iter().flatten().map(|it| it.diagnostic.code).collect()
}

/// The block of policy behind a heading.
fn block<'a>(manual: &'a str, heading: &str) -> Option<&'a str> {
    let (_, behind) = manual.split_once(&format!("## {heading}\n\n```policy\n"))?;
    behind.split_once("```").map(|(block, _)| block)
}

#[test]
fn every_error_has_a_manual() {
    let errors = Code::ALL.iter().filter(|it| it.severity() == Severity::Error || **it == Code::ByteOrderMark);
    let without: Vec<&Code> = errors.filter(|it| manual(**it).is_none()).collect();
    assert_eq!(without, Vec::<&Code>::new());
}

#[test]
fn the_example_of_a_manual_shows_its_rule_alone_and_what_to_write_instead_shows_none() {
    let mut examples = 0;
    let mut wrong = Vec::new();
    for (code, text) in Code::ALL.iter().filter_map(|code| Some((*code, manual(*code)?))) {
        assert!(text.starts_with("## Why it matters\n\n"), "{code}");
        let (example, instead) = (block(text, "Example"), block(text, "Instead"));
        assert_eq!(example.is_some(), instead.is_some(), "{code}");
        assert_eq!(text.matches("```policy").count(), if example.is_some() { 2 } else { 0 }, "{code}");
        let (Some(example), Some(instead)) = (example, instead) else { continue };
        if codes(example) != [code] || !codes(instead).is_empty() {
            wrong.push((code, codes(example), codes(instead)));
        }
        examples += 1;
    }
    assert_eq!(wrong, []);
    assert!(examples >= 40, "only {examples} examples");
}
