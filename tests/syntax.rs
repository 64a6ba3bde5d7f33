//! What the reader of documents promises: every mistake told once, hostile text survived, limits kept.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a test fails by panicking, and says loudly what it skips"
)]

mod syntax {
    mod broken;
    mod codes;
    mod editor;
    mod format;
    mod hostile;
    mod limits;
    mod lints;
    mod manuals;
    mod mistakes;
    mod real;
    mod reference;
    mod report;
    mod tree;
    mod words;
    mod written;
}
