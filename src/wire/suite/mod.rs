//! Files of tests, `decisions.toml`: TOML to a [`Suite`], every mistake told on the text that it is in.

mod fields;
mod request;

use crate::{
    diagnostic::{Code, Diagnostic},
    limits::{SUITE_FACTS_BYTES_MAX, SUITE_TESTS_MAX},
    source::{Source, Span},
    suite::{Suite, duplicates},
    wire::{
        suite::fields::Fields,
        table::{Codes, Reader, read, span},
    },
};

/// Reads a file of tests; with a mistake anywhere there is no suite, and all mistakes are told, in the order of the text.
///
/// ```
/// use gatehouse::{source::Source, wire::suite::parse};
///
/// let text = r#"
/// [[test]]
/// name = "tom enters his own job"
/// target = "job::/sandbox/tom::web"
/// user = "tom"
/// want = "permit ssh"
/// allow = true
/// "#;
/// let suite = parse(&Source::new("decisions.toml", text.as_bytes().to_vec())?).unwrap();
/// assert_eq!(suite.tests[0].name, "tom enters his own job");
/// # Ok::<(), gatehouse::source::SourceError>(())
/// ```
pub fn parse(source: &Source) -> Result<Suite, Vec<Diagnostic>> {
    let codes = Codes { syntax: Code::TestSyntax, unknown_key: Code::TestUnknownKey, bad_value: Code::TestBadValue };
    let (document, mut reader) = read(source, codes)?;
    let mut tests = Vec::new();
    let root = document.get_ref();
    reader.known_keys(root, &["defaults", "test"], "a file of tests");
    let defaults = match root.get("defaults") {
        Some(it) => reader.table(it, "defaults").map(|it| Fields::read(&mut reader, it, &[])),
        None => None,
    };
    let defaults = defaults.unwrap_or_default();
    let given = root.get("test").map(|it| reader.tables(it, "test")).unwrap_or_default();
    let mut facts_bytes = 0_usize;
    for (table, place) in given {
        let shared = Fields::read(&mut reader, table, &["name", "cases"]).over(&defaults);
        let name = table.get("name").and_then(|it| reader.text(it, "name"));
        let cases = match table.get("cases") {
            Some(it) => reader.tables(it, "cases"),
            None => {
                let span = table.get("name").map_or(place, span);
                add(&mut reader, &mut tests, &mut facts_bytes, Named { name, span, place }, &shared);
                continue;
            }
        };
        if cases.is_empty() {
            reader.push(Code::NoTests, place, "a test without a case", "`cases` is empty", None);
        }
        for (case, place) in cases {
            let own = case.get("name").and_then(|it| reader.text(it, "name"));
            let fields = Fields::read(&mut reader, case, &["name"]);
            let own = own.unwrap_or_else(|| fields.summary());
            let name = Some(match &name {
                Some(name) => format!("{name}: {own}"),
                None => own,
            });
            let span = case.get("name").map_or(place, span);
            // Text is multiplied where cases inherit it.
            facts_bytes = facts_bytes.saturating_add(shared.bytes());
            if facts_bytes > SUITE_FACTS_BYTES_MAX {
                break;
            }
            add(&mut reader, &mut tests, &mut facts_bytes, Named { name, span, place }, &fields.over(&shared));
        }
        if tests.len() > SUITE_TESTS_MAX || facts_bytes > SUITE_FACTS_BYTES_MAX {
            let message = format!(
                "more than {SUITE_TESTS_MAX} tests, or {SUITE_FACTS_BYTES_MAX} bytes of requests, are in this file"
            );
            reader.push(Code::TooManyTests, place, message, "too many with this", Some("split the file".to_owned()));
            break;
        }
    }
    if tests.is_empty() && reader.found.is_empty() {
        let help = "a test is `[[test]]` with a name, a target, what it wants, and what must come of it";
        reader.push(Code::NoTests, Span::at(0), "no test is in this file", "nothing is tested", Some(help.to_owned()));
    }
    finish(source, reader, tests)
}

/// What a test is called and where it stands.
struct Named {
    name: Option<String>,
    span: Span,
    place: Span,
}

fn add(
    reader: &mut Reader,
    tests: &mut Vec<crate::suite::Test>,
    facts_bytes: &mut usize,
    named: Named,
    fields: &Fields,
) {
    *facts_bytes = facts_bytes.saturating_add(fields.bytes());
    tests.extend(request::test(reader, named.name, named.span, named.place, fields));
}

fn finish(source: &Source, reader: Reader, tests: Vec<crate::suite::Test>) -> Result<Suite, Vec<Diagnostic>> {
    let mut found = reader.found;
    let suite = Suite { source: source.clone(), tests };
    found.extend(duplicates(std::slice::from_ref(&suite)).into_iter().map(|(_, it)| it));
    found.sort_by(|a, b| (a.span, a.code, &a.message).cmp(&(b.span, b.code, &b.message)));
    // What is shared is told once, however many cases it is wrong in.
    found.dedup();
    if found.is_empty() { Ok(suite) } else { Err(found) }
}
