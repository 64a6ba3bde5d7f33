//! `apc policy fmt`: documents in their canonical form.

use std::{
    io::{self, IsTerminal, Read, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Args;
use serde::Serialize;

use crate::{
    cli::{
        client::output::Output,
        policy::{
            difference::unified,
            format::{Format, FormatArgs, json_for_terminals},
            save,
        },
    },
    diagnostic::{
        Diagnostic, of_source_error,
        printable::is_hidden,
        render::{self, Color},
    },
    format::{Refusal, format},
    limits::DOCUMENT_BYTES_MAX,
    site::documents::{self, Given},
    source::Source,
    syntax::parse,
    wire::{policy::DiagnosticJson, printable::Printable},
};

/// What `fmt` takes.
#[derive(Debug, Args)]
pub(in crate::cli) struct FmtArgs {
    /// Write nothing; name the files that would change, and exit with 1 if there are any
    #[arg(long)]
    check: bool,
    /// Write nothing; show what would change, and exit with 1 if anything would
    #[arg(long)]
    diff: bool,
    #[command(flatten)]
    format: FormatArgs,
    /// Policy documents, and folders of them; `-` is standard input, and the result goes to standard output
    #[arg(required = true, value_name = "FILES")]
    files: Vec<PathBuf>,
}

/// What came of one file.
#[derive(Debug, Serialize)]
struct Told {
    /// As given.
    file: String,
    status: Status,
    /// Why it could not be done.
    message: Option<String>,
    /// Errors of the document.
    diagnostics: Vec<DiagnosticJson>,
    /// With `--diff`, what would change.
    diff: Option<String>,
    /// Of standard input, the result.
    text: Option<String>,
    /// The same errors for people.
    #[serde(skip)]
    report: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Status {
    Unchanged,
    Formatted,
    WouldChange,
    /// The document has errors, and was left alone.
    Errors,
    /// It could not be read or written.
    Failed,
}

/// Formats each file by itself; the worst that came of one is the exit status.
pub(super) fn run(args: &FmtArgs, output: Output) -> ExitCode {
    let inputs = args.files.iter().filter(|it| is_input(it)).count();
    if inputs > 1 {
        say("error: standard input was given twice, and can be read once");
        return ExitCode::from(2);
    }
    let format = args.format.or(Format::Text, output);
    let told: Vec<Told> = args.files.iter().flat_map(|path| each(path, args)).collect();
    let is_told = match format {
        Format::Json => tell_json(&told),
        Format::Text => tell_text(&told, args),
    };
    let worst = told.iter().map(|it| it.status.exit()).max().unwrap_or(0);
    ExitCode::from(if is_told.is_ok() { worst } else { 2 })
}

fn is_input(path: &Path) -> bool {
    path.as_os_str() == "-"
}

impl Status {
    fn exit(self) -> u8 {
        match self {
            Self::Unchanged | Self::Formatted => 0,
            Self::WouldChange | Self::Errors => 1,
            Self::Failed => 2,
        }
    }
}

fn each(path: &PathBuf, args: &FmtArgs) -> Vec<Told> {
    if is_input(path) {
        return vec![
            read_input()
                .map_or_else(|cause| failed("-", &format!("cannot read standard input: {cause}")), |it| one(&it, args)),
        ];
    }
    let given = documents::read_each(std::slice::from_ref(path)).into_iter();
    let name = path.display().to_string();
    given.map(|it| it.map_or_else(|err| failed(&name, &err.to_string()), |it| one(&it, args))).collect()
}

fn read_input() -> io::Result<Given> {
    let mut bytes = Vec::new();
    let most = u64::try_from(DOCUMENT_BYTES_MAX).unwrap_or(u64::MAX).saturating_add(1);
    io::stdin().lock().take(most).read_to_end(&mut bytes)?;
    Ok(Given { path: PathBuf::from("-"), name: "-".to_owned(), source: Source::new("-", bytes) })
}

fn told(file: &str, status: Status) -> Told {
    Told {
        file: file.to_owned(),
        status,
        message: None,
        diagnostics: Vec::new(),
        diff: None,
        text: None,
        report: Vec::new(),
    }
}

fn failed(file: &str, message: &str) -> Told {
    Told { message: Some(message.to_owned()), ..told(file, Status::Failed) }
}

fn with_errors(file: &str, source: Option<&Source>, diagnostics: &[Diagnostic]) -> Told {
    let mut told = told(file, Status::Errors);
    if let Some(source) = source {
        told.diagnostics = diagnostics.iter().map(|it| DiagnosticJson::new(source, it)).collect();
        // A report that cannot be drawn is no reason to stop: the exit status says it too.
        let _drawn = render::write(&mut told.report, source, diagnostics, color());
    }
    told
}

fn color() -> Color {
    let wanted = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    if wanted { Color::Ansi } else { Color::Plain }
}

fn one(given: &Given, args: &FmtArgs) -> Told {
    let name = given.name.as_str();
    let source = match &given.source {
        Ok(source) => source,
        Err(error) => {
            let (source, diagnostic) = of_source_error(name, error.clone());
            return with_errors(name, source.as_ref(), &[diagnostic]);
        }
    };
    let parse = parse(source);
    let text = match format(source, &parse) {
        Ok(text) => text,
        Err(Refusal::Unusable) => return with_errors(name, Some(source), &parse.diagnostics),
        Err(refusal @ (Refusal::TooLarge | Refusal::Changed)) => {
            return failed(name, &format!("cannot format `{name}`: {refusal}"));
        }
    };
    finish(given, source.text(), text, args)
}

/// Says or writes what is in form now.
fn finish(given: &Given, old: &str, text: String, args: &FmtArgs) -> Told {
    let name = given.name.as_str();
    let changes = old != text;
    let shows = args.check || args.diff;
    let mut told = told(
        name,
        match (changes, shows) {
            (false, _) => Status::Unchanged,
            (true, true) => Status::WouldChange,
            (true, false) => Status::Formatted,
        },
    );
    if args.diff && changes {
        told.diff = Some(unified(name, old, &text));
    }
    if is_input(&given.path) {
        told.text = (!shows).then_some(text);
    } else if changes
        && !shows
        && let Err(err) = save::replace(&given.path, old, &text)
    {
        return failed(name, &err.to_string());
    }
    told
}

fn tell_json(told: &[Told]) -> io::Result<()> {
    let json = serde_json::to_string_pretty(told)?;
    writeln!(io::stdout(), "{}", json_for_terminals(&json))
}

fn tell_text(told: &[Told], args: &FmtArgs) -> io::Result<()> {
    let mut out = io::stdout().lock();
    for it in told {
        let file = Printable(&it.file);
        match it.status {
            Status::Formatted if it.text.is_none() => say(&format!("formatted {file}")),
            Status::WouldChange if args.check && !args.diff => writeln!(out, "{file}")?,
            Status::Unchanged | Status::Formatted | Status::WouldChange => (),
            Status::Errors => {
                // Where standard error is closed nobody is left to be told.
                let _closed = io::stderr().write_all(&it.report);
                say(&format!("{file} has errors and was left as it is"));
            }
            Status::Failed => say(&format!("error: {}", Printable(it.message.as_deref().unwrap_or_default()))),
        }
        for text in it.diff.iter().chain(&it.text) {
            write_text(&mut out, text)?;
        }
    }
    out.flush()
}

/// Text of a document: byte for byte for a program, but fit to be seen where a terminal would obey it.
pub(super) fn write_text(out: &mut (impl Write + IsTerminal), text: &str) -> io::Result<()> {
    let is_kept = |c: char| matches!(c, '\n' | '\t') || !is_hidden(c);
    if !out.is_terminal() || text.chars().all(is_kept) {
        return out.write_all(text.as_bytes());
    }
    for c in text.chars() {
        if is_kept(c) { write!(out, "{c}")? } else { write!(out, "{}", c.escape_unicode())? }
    }
    Ok(())
}

/// For people, beside the answer.
fn say(text: &str) {
    // Where standard error is closed nobody is left to be told.
    let _closed = writeln!(io::stderr(), "{text}");
}
