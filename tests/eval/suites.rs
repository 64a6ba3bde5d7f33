//! Files of tests: mistakes in them are told on the exact text, and the documents under `policies` keep their promises.

use std::{collections::BTreeSet, fs, path::Path};

use gatehouse::{
    compile::{PolicySet, System, compile, compile_parsed},
    diagnostic::{Code, Diagnostic, Severity},
    eval::Coverage,
    lint::{Level, lint},
    source::Source,
    suite::{self, Suite, mutants},
    syntax::{Parse, parse},
    wire,
};

use crate::cases::source;

/// The folders of documents that one would deploy, that a cluster begins with, and of the demo.
const LIBRARY: &[&str] =
    &["auditor", "break-glass", "ci-robot", "default", "delegation", "demo", "production", "sandbox", "tenants"];

/// A folder of the library, read.
struct Folder {
    name: &'static str,
    sources: Vec<Source>,
    parsed: Vec<Parse>,
    suite: Suite,
}

fn library() -> Vec<Folder> {
    let policies = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies");
    let read = |path: &Path| {
        let name = path.file_name().unwrap().to_str().unwrap();
        Source::new(name, fs::read(path).unwrap()).unwrap()
    };
    let folder = |name: &&'static str| {
        let folder = policies.join(name);
        let paths = fs::read_dir(&folder).unwrap().map(|it| it.unwrap().path());
        let sources: Vec<Source> = paths.filter(|it| it.extension().unwrap() == "pol").map(|it| read(&it)).collect();
        let parsed = sources.iter().map(parse).collect();
        let suite = wire::suite::parse(&read(&folder.join("decisions.toml"))).unwrap();
        Folder { name, sources, parsed, suite }
    };
    LIBRARY.iter().map(folder).collect()
}

#[test]
fn documents_to_deploy_pass_their_tests_are_touched_as_a_whole_and_have_no_lint() {
    for Folder { name, sources, parsed, suite } in library() {
        assert_eq!(lint(&sources, &parsed, System::Included), [], "{name}");
        let set = compile_parsed(&sources, &parsed, System::Included).unwrap();
        assert_eq!(suite::check(&suite, &set), [], "{name}");
        let mut coverage = Coverage::new(&set);
        for test in &suite.tests {
            let outcome = test.run_covering(&set, &mut coverage);
            assert!(outcome.passed(), "{name}: {}: {:#?}", test.name, outcome);
        }
        assert!(coverage.rules().all(|it| it.asserted), "{name}: {:?}", coverage.rules().collect::<Vec<_>>());
        let one_way: Vec<&str> = coverage
            .comparisons()
            .filter(|it| it.seen.count() < 2)
            .map(|it| set.sources()[it.document].slice(it.span))
            .collect();
        assert_eq!(one_way, Vec::<&str>::new(), "{name}");
    }
}

/// What the tests do not say, a document does not promise: each change of a document fails one of its tests.
#[test]
fn tests_of_documents_to_deploy_notice_each_change_of_them() {
    let mut changes = 0;
    for Folder { name, sources, parsed, suite } in library() {
        for (at, source) in sources.iter().enumerate() {
            for mutant in mutants(source, &parsed[at].document) {
                let mut with_change = parsed.clone();
                with_change[at].document = mutant.document;
                let Ok(set) = compile_parsed(&sources, &with_change, System::Included) else { continue };
                assert!(!suite.passes(&set), "{name}: {}: {}", source.slice(mutant.span), mutant.change);
                changes += 1;
            }
        }
    }
    assert!(changes > 100, "{changes}");
}

/// A good test, into which mistakes are written.
const GOOD: &str = r#"[[test]]
name = "a"
target = "job::/a"
want = "permit ssh"
allow = true
"#;

#[test]
fn each_mistake_is_told_on_its_text() {
    let with = |line: &str| format!("{GOOD}{line}\n");
    let without = |line: &str| GOOD.replace(line, "");
    let cases = [
        (with("alow = true"), Code::TestUnknownKey, "alow"),
        (with("user = 3"), Code::TestBadValue, "3"),
        (with(r#"now = "noon""#), Code::TestBadValue, r#""noon""#),
        (with(r#"rules = "a:0""#), Code::TestBadValue, r#""a:0""#),
        (with(r#"facts = { mfa = "totp" }"#), Code::TestBadValue, r#"mfa = "totp""#),
        (with(r#"context = { role = "admin" }"#), Code::TestBadValue, r#"role = "admin""#),
        (with(r#"context = { job = "web" }"#), Code::TestBadRequest, r#"job = "web""#),
        (with(r#"missing = "permit ssh""#), Code::TestCannotPass, r#""a""#),
        (GOOD.replace("job::/a", "job:/a"), Code::TestBadRequest, r#""job:/a""#),
        (GOOD.replace("permit ssh", "ssh"), Code::TestBadValue, r#""ssh""#),
        (without("allow = true\n"), Code::TestCannotFail, r#""a""#),
        (without("target = \"job::/a\"\n"), Code::TestIncomplete, r#""a""#),
        (format!("{GOOD}{GOOD}"), Code::DuplicateTestName, r#""a""#),
        (String::new(), Code::NoTests, ""),
        ("[[test]]\nname = ".to_owned(), Code::TestSyntax, ""),
    ];
    for (text, code, place) in cases {
        let (source, found) = mistakes(&text);
        let [diagnostic] = found.as_slice() else { panic!("{text}\n{found:#?}") };
        assert_eq!(diagnostic.code, code, "{text}");
        assert_eq!(source.slice(diagnostic.span), place, "{text}");
    }
}

#[test]
fn several_mistakes_are_all_told_and_a_shared_one_once() {
    let text = "[defaults]\ntarget = \"job:/a\"\nwant = \"permit ssh\"\nallow = true\n\
                [[test]]\nname = \"a\"\ncases = [{ user = \"x\" }, { user = \"y\", alow = 1 }]\n";
    let codes: Vec<Code> = mistakes(text).1.iter().map(|it| it.code).collect();
    assert_eq!(codes, [Code::TestBadRequest, Code::TestUnknownKey]);
}

#[test]
fn shared_facts_cannot_be_multiplied_without_bound() {
    let facts = "x".repeat(200_000);
    let cases: Vec<String> = (0..1_000).map(|it| format!("{{ user = \"u{it}\" }}")).collect();
    let text = format!(
        "[[test]]\nname = \"a\"\ntarget = \"job::/a\"\nwant = \"permit ssh\"\nallow = true\nfacts = {{ \"A->b\" = \"{facts}\" }}\ncases = [{}]\n",
        cases.join(",")
    );
    let codes: BTreeSet<Code> = mistakes(&text).1.iter().map(|it| it.code).collect();
    assert_eq!(codes, BTreeSet::from([Code::TooManyTests]));
}

#[test]
fn a_case_has_what_its_test_shares_and_replaces_it() {
    let suite = read(
        "[defaults]\ntarget = \"job::/a\"\nwant = \"permit ssh\"\n\
         [[test]]\nname = \"shared\"\nuser = \"tom\"\nallow = true\n\
         cases = [{}, { user = \"mary\", allow = false }, { name = \"own\", target = \"job::/b\" }]\n",
    );
    let names: Vec<&str> = suite.tests.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(names, ["shared: as it is", "shared: user mary", "shared: own"]);
    let set = set("job::/a { if (auth_server@apcera.me->name == \"tom\") { permit ssh } }");
    let passed: Vec<bool> = suite.tests.iter().map(|it| it.run(&set).passed()).collect();
    assert_eq!(passed, [true, true, false]);
    assert_eq!(suite.failing(&set).len(), 1);
}

#[test]
fn the_examples_of_the_reference_hold() {
    let page = include_str!("../../grammar/README.md");
    let mut examples = page.split("```toml\n").skip(1).map(|it| it.split("```").next().unwrap());
    let settings = wire::settings::parse(&source(".gatehouse.toml", examples.next().unwrap())).unwrap();
    assert_eq!(settings.level(Code::UnconditionalGrant), Level::Told(Severity::Error));
    let example = examples.next().unwrap();
    let text = "job::/sandbox/[name] {\n  if (auth_server@apcera.me->name == \"[name]\") { role admin }\n}\n";
    let set = compile(&[source("sandbox.pol", text)], System::Included).unwrap();
    let suite = read(example);
    assert_eq!((suite.tests.len(), suite::check(&suite, &set), suite.failing(&set)), (4, vec![], vec![]));
}

#[test]
fn a_denial_of_what_there_is_not_proves_nothing() {
    let suite = read(&GOOD.replace("permit ssh", "permit shh").replace("true", "false"));
    let found = suite::check(&suite, &set("job::/a { { permit read } }"));
    assert_eq!(found.iter().map(|it| it.code).collect::<Vec<_>>(), [Code::TestCannotFail]);
    assert_eq!(found[0].help.as_deref(), Some("did you mean `permit ssh`?"));
    assert_eq!(suite::check(&suite, &set("job::/a { { permit shh } }")), []);
}

fn set(text: &str) -> PolicySet {
    compile(&[source("a.pol", text)], System::Included).unwrap()
}

fn read(text: &str) -> Suite {
    wire::suite::parse(&source("decisions.toml", text)).unwrap()
}

fn mistakes(text: &str) -> (Source, Vec<Diagnostic>) {
    let source = source("decisions.toml", text);
    let found = wire::suite::parse(&source).unwrap_err();
    (source, found)
}
