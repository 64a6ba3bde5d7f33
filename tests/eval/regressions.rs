//! What a fuzzer once stopped at, asked again by every run of the tests.

use std::{fs, path::Path};

#[path = "../../fuzz/src/targets.rs"]
#[expect(unreachable_pub, clippy::string_slice, reason = "it is the module of another crate too, and a test")]
mod targets;

/// What is asked of bytes; it panics where a promise is broken.
type Target = fn(&[u8]);

/// Every target by the name of its folder.
const TARGETS: &[(&str, Target)] = &[
    ("decide", targets::decide),
    ("editor", targets::editor),
    ("format", targets::format),
    ("lex", targets::lex),
    ("lint", targets::lint),
    ("lsp", targets::lsp),
    ("parse", targets::parse),
    ("render", targets::render),
    ("request", targets::request),
];

#[test]
fn what_a_fuzzer_once_found_stays_mended() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/regressions");
    let mut replayed = 0;
    for entry in fs::read_dir(&folder).unwrap() {
        let of_target = entry.unwrap().path();
        let name = of_target.file_name().unwrap().to_str().unwrap().to_owned();
        let (_, target) = TARGETS.iter().find(|(it, _)| *it == name).unwrap();
        for input in fs::read_dir(&of_target).unwrap() {
            target(&fs::read(input.unwrap().path()).unwrap());
            replayed += 1;
        }
    }
    assert!(replayed >= 2, "only {replayed} inputs");
}

/// So that a target that has found nothing yet is known to run.
#[test]
fn targets_take_documents_requests_and_noise() {
    let document = b"job::/sandbox/[name] { if (I->name == \"[name]\") { permit read } }";
    let request = br#"{"target":"job::/sandbox/tom::web","want":[{"type":"permit","value":"read"}]}"#;
    let message = br#"{"jsonrpc":"2.0","id":1,"method":"textDocument/hover","params":{"textDocument":{"uri":"untitled:a"},"position":{"line":0,"character":2}}}"#;
    let noise: Vec<u8> = (0..4_096_u32).map(|it| (it.wrapping_mul(2_654_435_761) >> 24).to_le_bytes()[0]).collect();
    for (_, target) in TARGETS {
        for input in [&document[..], request, message, &noise, b""] {
            target(input);
        }
    }
}
