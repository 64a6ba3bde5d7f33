//! What every part of the language does with a set of documents, in a thread that has little of everything.

use std::{
    sync::mpsc::{RecvTimeoutError, channel},
    thread::Builder,
    time::Duration,
};

use gatehouse::{
    compile::{System, compile_parsed},
    diagnostic::{
        Diagnostic, Fix,
        mend::apply,
        render::{self, Color},
    },
    eval::{Claim, Fact, Request, decide},
    format::{format, print},
    lint::lint,
    source::{Source, SourceError},
    syntax::{Parse, parse, token_spans},
};

use crate::meter::{Used, measured};

/// What a release build keeps to; without optimisation each level takes several times as much.
const STACK: usize = if cfg!(debug_assertions) { 256 * 1024 } else { 64 * 1024 };

/// Above what the documents themselves take; 512 KiB of one-line policies take the most.
const PEAK: usize = 64 * 1024 * 1024;

/// Far above any answer; only a hang takes longer.
const HANG: Duration = Duration::from_mins(5);

/// What became of a set of documents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    /// A document was refused before it was read.
    Refused(SourceError),
    /// Errors, so many of them.
    Errors(usize),
    /// A set that decides.
    Set,
}

/// Asks everything of the documents in order; the answer.
pub(crate) fn answer(documents: Vec<Vec<u8>>) -> Answer {
    let named = documents.into_iter().enumerate();
    let sources: Result<Vec<Source>, SourceError> =
        named.map(|(at, bytes)| Source::new(format!("d{at}.pol"), bytes)).collect();
    let sources = match sources {
        Ok(sources) => sources,
        Err(err) => {
            assert!(err.to_string().len() < 1_000);
            return Answer::Refused(err);
        }
    };
    let parsed: Vec<Parse> = sources.iter().map(parse).collect();
    for (source, read) in sources.iter().zip(&parsed) {
        tiles(source);
        report(source, &read.diagnostics);
        assert!(read.clone() == *read);
        printed_is_read_again(source, read);
        if let Ok(text) = format(source, read) {
            let again = Source::new(source.name(), text.into_bytes()).unwrap();
            assert_eq!(format(&again, &parse(&again)).as_deref(), Ok(again.text()));
        }
    }
    report_lints(&sources, &parsed);
    match compile_parsed(&sources, &parsed, System::LeftOut) {
        Ok(set) => {
            let facts = vec![Fact::new("LDAP", "group", "staff")];
            let request = Request::new("job::/sandbox/tom::web", facts, vec![Claim::permit("read")], None).unwrap();
            // Whatever it is, it is an answer.
            let _is_allowed = decide(&set, &request).is_allowed();
            Answer::Set
        }
        Err(findings) => {
            let errors = findings.iter().filter(|it| it.diagnostic.is_error()).count();
            assert!(errors > 0, "no set and no reason");
            Answer::Errors(errors)
        }
    }
}

/// What was found is gone when it was told: nobody needs it beside the compiled set.
fn report_lints(sources: &[Source], parsed: &[Parse]) {
    let findings = lint(sources, parsed, System::LeftOut);
    for (at, source) in sources.iter().enumerate() {
        let own: Vec<Diagnostic> =
            findings.iter().filter(|it| it.source == at).take(200).map(|it| it.diagnostic.clone()).collect();
        report(source, &own);
    }
}

fn tiles(source: &Source) {
    let mut at = 0;
    for span in token_spans(source.text()) {
        assert_eq!(span.range().start, at, "tokens tile the text");
        at = span.range().end;
    }
    assert_eq!(at, source.text().len(), "tokens tile the text");
}

/// Draws what was found, and applies its fixes.
fn report(source: &Source, found: &[Diagnostic]) {
    let mut out = Vec::new();
    render::write(&mut out, source, found, Color::Plain).unwrap();
    let fixes: Vec<&Fix> = found.iter().flat_map(|it| &it.fixes).collect();
    assert_eq!(apply(source.text(), &fixes).applied.len(), fixes.len());
}

fn printed_is_read_again(source: &Source, read: &Parse) {
    let text = print(&read.document);
    if !read.is_usable() {
        return;
    }
    // Indentation may make it larger than a document may be.
    let Ok(again) = Source::new(source.name(), text.into_bytes()) else { return };
    let reread = parse(&again);
    assert!(reread.is_usable(), "{}", again.text());
    assert_eq!(print(&reread.document), again.text());
}

/// The answer from a thread with a small stack, and what it took.
pub(crate) fn survive(name: &str, documents: Vec<Vec<u8>>) -> (Answer, Used) {
    guarded(name, move || within_bounds(documents))
}

/// The answer and what it took, which is not too much.
pub(crate) fn within_bounds(documents: Vec<Vec<u8>>) -> (Answer, Used) {
    let (answer, used) = measured(|| answer(documents));
    assert!(used.peak <= PEAK, "{used:?}");
    (answer, used)
}

/// Runs the work in a thread with a small stack that bears the name, for an overflow is told by that alone.
pub(crate) fn guarded<T: Send + 'static>(name: &str, work: impl FnOnce() -> T + Send + 'static) -> T {
    let (sender, receiver) = channel();
    let work = move || sender.send(work());
    let thread = Builder::new().name(name.escape_debug().to_string()).stack_size(STACK).spawn(work).unwrap();
    match receiver.recv_timeout(HANG) {
        Ok(answer) => answer,
        Err(RecvTimeoutError::Disconnected) => panic!("{name}: {:?}", thread.join().unwrap_err()),
        Err(RecvTimeoutError::Timeout) => panic!("{name}: no answer"),
    }
}
