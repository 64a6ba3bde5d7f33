//! The examples of `grammar/README.md` are what they say they are.

use gatehouse::{
    compile::{System, compile},
    source::Source,
};

#[test]
fn examples_of_the_reference_compile_or_are_refused_as_told() {
    let page = include_str!("../../grammar/README.md");
    let mut examples = 0;
    for block in page.split("\n```").skip(1).step_by(2) {
        let (kind, text) = block.split_once('\n').unwrap();
        // Tests of documents are read where TOML is.
        if kind == "toml" {
            continue;
        }
        let source = Source::new("example.pol", text.as_bytes().to_vec()).unwrap();
        let found = compile(&[source], System::Included);
        let errors: Vec<&str> = found.err().into_iter().flatten().map(|it| it.diagnostic.code.code()).collect();
        match kind.split_once(' ') {
            None => assert_eq!((kind, errors), ("policy", Vec::new()), "{text}"),
            Some((word, code)) => assert_eq!((word, errors), ("refused", vec![code]), "{text}"),
        }
        examples += 1;
    }
    assert!(7 <= examples, "only {examples} examples were found");
}
