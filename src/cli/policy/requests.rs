//! Requests from standard input, one JSON object a line, put to a set one by one.

use std::{
    io::{self, BufRead, Read, Write},
    path::PathBuf,
    process::ExitCode,
};

use crate::{
    compile::{Finding, PolicySet, System, compile},
    diagnostic::{
        Diagnostic,
        render::{self, Color},
    },
    eval::Request,
    limits::REQUEST_LINE_BYTES_MAX,
    site::documents,
    source::Source,
    syntax::character::is_invisible,
    wire::{decide::DecideRequest, printable::Printable},
};

/// What comes of a request, as an exit status; the worst of all wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Outcome {
    /// Allowed.
    Yes,
    /// Denied.
    No,
    /// Could not be decided.
    Unknown,
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> Self {
        Self::from(match outcome {
            Outcome::Yes => 0,
            Outcome::No => 1,
            Outcome::Unknown => 2,
        })
    }
}

/// A line, as far as it could be read: a set and a request, or one sentence.
pub(super) type Question<'a> = Result<(&'a PolicySet, Request), String>;

/// Puts each line to the set that the documents make, and each answer on standard output as soon as it is there.
pub(super) fn answer_all(
    paths: &[PathBuf],
    no_system: bool,
    answer: impl FnMut(&mut dyn Write, Question<'_>) -> io::Result<Outcome>,
) -> ExitCode {
    let system = if no_system { System::LeftOut } else { System::Included };
    let set = load(paths, system).inspect_err(|err| complain(&err.details));
    let set = set.as_ref().map_err(|err| err.sentence.as_str());
    match converse(io::stdin().lock(), &mut io::stdout().lock(), set, answer) {
        Ok(Some(outcome)) => outcome.into(),
        Ok(None) => {
            complain("error: no request on standard input\n");
            Outcome::Unknown.into()
        }
        Err(err) => {
            complain(&format!("error: {err}\n"));
            Outcome::Unknown.into()
        }
    }
}

/// Why there is no set.
struct NoSet {
    /// For each answer.
    sentence: String,
    /// For standard error.
    details: String,
}

fn load(paths: &[PathBuf], system: System) -> Result<PolicySet, NoSet> {
    let given = documents::read(paths).map_err(|err| {
        let sentence = Printable(&err.to_string()).to_string();
        NoSet { details: format!("error: {sentence}\n"), sentence }
    })?;
    let mut sources = Vec::new();
    for it in given {
        let at = Printable(&it.name).to_string();
        sources.push(it.source.map_err(|err| {
            let sentence = format!("the policy set does not compile: {at}: {err}");
            NoSet { details: format!("error: {at}: {err}\n"), sentence }
        })?);
    }
    compile(&sources, system)
        .map_err(|findings| NoSet { sentence: sentence(&sources, &findings), details: details(&sources, &findings) })
}

fn sentence(sources: &[Source], findings: &[Finding]) -> String {
    let errors: Vec<&Finding> = findings.iter().filter(|it| it.diagnostic.is_error()).collect();
    let Some(first) = errors.first() else { return "the policy set does not compile".to_owned() };
    let place = sources.get(first.source).map_or_else(String::new, |source| {
        let location = source.location(first.diagnostic.span.start);
        format!("{}:{}:{}: ", Printable(source.name()), location.line, location.column)
    });
    let more = match errors.len() {
        0 | 1 => String::new(),
        count => format!(" (and {} more)", count.saturating_sub(1)),
    };
    let message = Printable(&first.diagnostic.message);
    format!("the policy set does not compile: {place}{}: {message}{more}", first.diagnostic.code)
}

fn details(sources: &[Source], findings: &[Finding]) -> String {
    let mut out = Vec::new();
    for (at, source) in sources.iter().enumerate() {
        let own = findings.iter().filter(|it| it.source == at).map(|it| it.diagnostic.clone());
        // A report that cannot be drawn is no reason to stop: the sentence says the same.
        let _drawn = render::write(&mut out, source, &own.collect::<Vec<Diagnostic>>(), Color::Plain);
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Answers each line; none where there was no request at all.
fn converse(
    mut input: impl BufRead,
    out: &mut dyn Write,
    set: Result<&PolicySet, &str>,
    mut answer: impl FnMut(&mut dyn Write, Question<'_>) -> io::Result<Outcome>,
) -> io::Result<Option<Outcome>> {
    let mut worst = None;
    let mut line = Vec::new();
    while let Some(is_whole) = next_line(&mut input, &mut line)? {
        if is_whole && line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        let question = match set {
            Ok(set) if is_whole => parse(&line).map(|request| (set, request)),
            Ok(_) => Err(format!("the line has more than {REQUEST_LINE_BYTES_MAX} bytes")),
            Err(sentence) => Err(sentence.to_owned()),
        };
        let outcome = answer(out, question)?;
        out.flush()?;
        worst = worst.max(Some(outcome));
    }
    Ok(worst)
}

/// Reads a line without keeping more of it than a request can have; false where it had more.
fn next_line(input: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<Option<bool>> {
    line.clear();
    let most = u64::try_from(REQUEST_LINE_BYTES_MAX).unwrap_or(u64::MAX).saturating_add(1);
    if input.by_ref().take(most).read_until(b'\n', line)? == 0 {
        return Ok(None);
    }
    if line.len() <= REQUEST_LINE_BYTES_MAX || line.ends_with(b"\n") {
        return Ok(Some(true));
    }
    line.clear();
    loop {
        let buffer = input.fill_buf()?;
        let end = buffer.iter().position(|it| *it == b'\n');
        let length = end.map_or(buffer.len(), |at| at.saturating_add(1));
        input.consume(length);
        if end.is_some() || length == 0 {
            return Ok(Some(false));
        }
    }
}

fn parse(line: &[u8]) -> Result<Request, String> {
    let line = std::str::from_utf8(line).map_err(|_| "the line is not UTF-8 text".to_owned())?;
    let request = DecideRequest::parse(line).map_err(|err| err.to_string())?;
    request.into_request().map_err(|err| err.to_string())
}

/// JSON for a program that may well be a terminal: what an eye would not see is escaped, which changes no value.
pub(super) fn write_json(out: &mut dyn Write, value: &impl serde::Serialize) -> io::Result<()> {
    let json = serde_json::to_string(value).map_err(io::Error::other)?;
    let mut line = String::with_capacity(json.len().saturating_add(1));
    for c in json.chars() {
        if is_invisible(c) || c.is_control() {
            let mut units = [0; 2];
            line.extend(c.encode_utf16(&mut units).iter().map(|it| format!("\\u{it:04x}")));
        } else {
            line.push(c);
        }
    }
    writeln!(out, "{line}")
}

fn complain(text: &str) {
    // Where standard error is closed nobody is left to be told; the exit status says it too.
    let _told = io::stderr().write_all(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use crate::{
        cli::policy::requests::{Outcome, converse, next_line, write_json},
        compile::{System, compile},
        limits::REQUEST_LINE_BYTES_MAX,
    };

    #[test]
    fn a_line_is_read_at_the_limit_and_skipped_past_it() {
        let mut text = vec![b'a'; REQUEST_LINE_BYTES_MAX];
        text.push(b'\n');
        text.extend(vec![b'b'; REQUEST_LINE_BYTES_MAX + 1]);
        text.extend(b"\nc");
        let mut input = Cursor::new(text);
        let mut line = Vec::new();
        assert_eq!(next_line(&mut input, &mut line).unwrap(), Some(true));
        assert_eq!(next_line(&mut input, &mut line).unwrap(), Some(false));
        assert_eq!(next_line(&mut input, &mut line).unwrap(), Some(true));
        assert_eq!(line, b"c");
        assert_eq!(next_line(&mut input, &mut line).unwrap(), None);
    }

    #[test]
    fn a_bad_line_does_not_stop_the_rest() {
        let set = compile(&[], System::LeftOut).unwrap();
        let good = r#"{"target":"job::/","want":[{"type":"permit","value":"read"}]}"#;
        let input = format!("\n{good}\nnonsense\n  \r\n\u{0}\n{good}");
        let mut kinds = Vec::new();
        let worst = converse(Cursor::new(input), &mut Vec::new(), Ok(&set), |out, question| {
            kinds.push(question.is_ok());
            out.write_all(b".")?;
            Ok(if question.is_ok() { Outcome::No } else { Outcome::Unknown })
        });
        assert_eq!(kinds, [true, false, false, true]);
        assert_eq!(worst.unwrap(), Some(Outcome::Unknown));
    }

    #[test]
    fn hidden_characters_are_escaped_and_stay_themselves() {
        let text = "a\u{202e}b\u{9b}é";
        let mut out = Vec::new();
        write_json(&mut out, &text).unwrap();
        let line = String::from_utf8(out).unwrap();
        assert_eq!(line, "\"a\\u202eb\\u009bé\"\n");
        assert_eq!(serde_json::from_str::<String>(&line).unwrap(), text);
    }
}
