//! `apc policy why`: a decision explained to someone who was woken by it.

use std::{
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
};

use clap::Args;
use jiff::{Timestamp, tz::Offset};

use crate::{
    cli::{
        client::output::Output,
        policy::{
            format::{Format, FormatArgs},
            requests::{Outcome, Question, answer_all, write_json},
        },
    },
    eval::{Condition, Decision, Denial, NearMiss, Place, Request, Step, Used, decide, denial, sentence},
    wire::{
        decide::{DecideError, WhyAnswer},
        printable::Printable,
    },
};

/// Rules shown to a person; the JSON has them all.
const NEAREST_SHOWN: usize = 5;

/// What `why` takes.
#[derive(Debug, Args)]
pub(in crate::cli) struct WhyArgs {
    /// Leave out the system documents
    #[arg(long)]
    no_system: bool,
    #[command(flatten)]
    format: FormatArgs,
    /// Policy documents, and folders of them
    #[arg(required = true, value_name = "DOCS")]
    documents: Vec<PathBuf>,
}

/// Explains every request on standard input.
pub(super) fn run(args: &WhyArgs, output: Output) -> ExitCode {
    let format = args.format.or(Format::Text, output);
    let mut is_first = true;
    answer_all(&args.documents, args.no_system, |out, question| {
        if !std::mem::take(&mut is_first) && format == Format::Text {
            writeln!(out)?;
        }
        answer(out, question, format)
    })
}

fn answer(out: &mut dyn Write, question: Question<'_>, format: Format) -> io::Result<Outcome> {
    let (set, request) = match question {
        Ok(question) => question,
        Err(error) => {
            match format {
                Format::Json => write_json(out, &DecideError { error })?,
                Format::Text => writeln!(out, "error: {}", Printable(&error))?,
            }
            return Ok(Outcome::Unknown);
        }
    };
    let decision = decide(set, &request);
    let denial = denial(set, &request);
    match format {
        Format::Json => write_json(out, &WhyAnswer::new(&request, &decision, &denial))?,
        Format::Text => out.write_all(explain(&request, &decision, &denial).as_bytes())?,
    }
    Ok(if decision.is_allowed() { Outcome::Yes } else { Outcome::No })
}

/// One sentence on top; then the chain of rules, or what was nearest to one.
pub(super) fn explain(request: &Request, decision: &Decision, denial: &Denial) -> String {
    let mut lines = vec![sentence(request, decision, denial), String::new()];
    if decision.missing().is_empty() {
        lines.extend(chain(decision.why()));
    } else {
        lines.extend(misses(decision, denial));
    }
    lines.extend(in_force(decision));
    lines.extend(validity(request, decision));
    lines.push(String::new());
    lines.join("\n")
}

/// The steps as columns: where, what, because of what.
fn chain(steps: &[Step]) -> Vec<String> {
    let places: Vec<String> = steps.iter().map(|it| place(&it.place)).collect();
    let claims: Vec<String> = steps.iter().map(|it| claim(&it.claim.claim_type, &it.claim.value)).collect();
    let width = |texts: &[String]| texts.iter().map(|it| it.chars().count()).max().unwrap_or(0);
    let (wide, long) = (width(&places), width(&claims));
    let lines = steps.iter().zip(places.iter().zip(&claims)).map(|(step, (place, claim))| {
        let used: Vec<String> = step.used.iter().map(used).collect();
        let ground = if used.is_empty() { "always".to_owned() } else { format!("because {}", used.join(" and ")) };
        format!("  {place:wide$}  {claim:long$}  {ground}")
    });
    lines.collect()
}

fn used(used: &Used) -> String {
    match used {
        Used::Fact(fact) => format!("{} is \"{}\"", subject(&fact.issuer, &fact.claim_type), Printable(&fact.value)),
        Used::Claim(it) => claim(&it.claim_type, &it.value),
    }
}

fn misses(decision: &Decision, denial: &Denial) -> Vec<String> {
    let shown = denial.worth_showing();
    let mut lines = Vec::new();
    for missing in decision.missing() {
        if !denial.nearest.iter().any(|it| it.wanted == *missing) {
            let claim = claim(&missing.claim_type, &missing.value);
            lines.push(format!("no rule on this target gives {claim}, whatever the facts"));
        }
    }
    if !shown.is_empty() {
        lines.push("what comes nearest:".to_owned());
    }
    for miss in shown.iter().take(NEAREST_SHOWN) {
        lines.push(String::new());
        lines.push(format!("  {} would give {}", place(&miss.place), gain(miss)));
        lines.extend(miss.conditions.iter().map(condition));
    }
    let more = shown.len().saturating_sub(NEAREST_SHOWN).saturating_add(denial.more);
    if more > 0 {
        lines.extend([String::new(), format!("{more} more rules are farther away")]);
    }
    lines
}

fn gain(miss: &NearMiss) -> String {
    let own = claim(&miss.claim.claim_type, &miss.claim.value);
    if miss.claim == miss.wanted {
        return own;
    }
    format!("{own}, and with it {}", claim(&miss.wanted.claim_type, &miss.wanted.value))
}

fn condition(condition: &Condition) -> String {
    let mark = if condition.held { '✓' } else { '✗' };
    let mut notes: Vec<String> = condition
        .bound
        .iter()
        .map(|(name, text)| format!("[{}] is \"{}\"", Printable(name), Printable(text)))
        .collect();
    if !condition.held {
        let values: Vec<String> = condition.found.iter().map(|it| format!("\"{}\"", Printable(it))).collect();
        notes.push(match (values.is_empty(), condition.on_claim) {
            (true, true) => "no rule has given it".to_owned(),
            (true, false) => "the request has no such fact".to_owned(),
            (false, _) => format!("it is {}", values.join(", ")),
        });
    }
    notes.extend(condition.hint.iter().map(|it| Printable(it).to_string()));
    let notes = if notes.is_empty() { String::new() } else { format!("   ({})", notes.join("; ")) };
    format!("    {mark} {}{notes}", Printable(&condition.text))
}

fn in_force(decision: &Decision) -> Option<String> {
    let values = decision.effective().values.iter();
    let texts: Vec<String> =
        values.flat_map(|(name, values)| values.iter().map(move |value| claim(name, value))).collect();
    (!texts.is_empty()).then(|| format!("\nin force: {}", texts.join(", ")))
}

fn validity(request: &Request, decision: &Decision) -> Option<String> {
    let offset = Offset::from_seconds(request.now()?.offset_seconds).ok()?;
    let turn = Timestamp::from_second(decision.valid_until()?).ok()?;
    Some(format!("\na time condition turns at {}", turn.display_with_offset(offset)))
}

fn place(place: &Place) -> String {
    format!("{}:{}:{}", Printable(&place.document), place.line, place.column)
}

fn claim(claim_type: &str, value: &str) -> String {
    format!("{} {}", Printable(claim_type), Printable(value))
}

fn subject(issuer: &str, claim_type: &str) -> String {
    let (issuer, claim_type) = (Printable(issuer).to_string(), Printable(claim_type));
    if issuer.is_empty() { claim_type.to_string() } else { format!("{issuer}->{claim_type}") }
}
