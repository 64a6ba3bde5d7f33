//! Golden corpora: every folder `tests/lint/CODE-slug` is a set of documents that shows a rule, and `case.expected` is
//! what the user sees of it. Each fix that is offered there keeps its promises.
//!
//! `UPDATE_EXPECT=1 cargo test --test corpus` rewrites the expectations; read the diff before you commit it.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{fs, path::Path};

use datatest_stable::Result;
use expect_test::expect_file;
use gatehouse::{
    compile::{Finding, System, compile, compile_parsed},
    diagnostic::{
        Diagnostic,
        mend::apply,
        of_source_error,
        render::{self, Color},
    },
    eval::{Claim, Fact, Request, decide},
    lint,
    source::Source,
    syntax::{
        Parse,
        ast::{Block, Expr, Item, Local, Piece, Policy, Segment, Value},
        parse,
    },
};

fn case(path: &Path) -> Result<()> {
    let folder = path.parent().unwrap();
    let code = folder.file_name().unwrap().to_str().unwrap().split('-').next().unwrap();
    let (sources, parsed) = documents(folder);
    in_one_go(&sources, &parsed);
    let mut findings = findings(&sources, &parsed);
    findings.extend(lint::lint(&sources, &parsed, System::Included));
    assert!(findings.iter().any(|it| it.diagnostic.code.code() == code), "no {code} in {findings:?}");
    let mut actual = Vec::new();
    for (at, source) in sources.iter().enumerate() {
        let own: Vec<Diagnostic> =
            findings.iter().filter(|it| it.source == at).map(|it| it.diagnostic.clone()).collect();
        render::write(&mut actual, source, &own, Color::Plain)?;
    }
    let expected = std::env::current_dir()?.join(path.with_extension("expected"));
    expect_file![expected].assert_eq(&String::from_utf8(actual)?);
    Ok(())
}

/// Reading and compiling one policy after the other comes to the same as reading everything first.
fn in_one_go(sources: &[Source], parsed: &[Parse]) {
    // What is no text was replaced by some.
    if sources.iter().zip(parsed).all(|(source, parsed)| parse(source) == *parsed) {
        let [one_by_one, after_all] =
            [compile(sources, System::Included), compile_parsed(sources, parsed, System::Included)];
        assert_eq!(one_by_one.map(|it| it.layout_bytes()), after_all.map(|it| it.layout_bytes()));
    }
}

/// The documents of a folder in order of name, and what reading them gave.
fn documents(folder: &Path) -> (Vec<Source>, Vec<Parse>) {
    let mut paths: Vec<_> = fs::read_dir(folder).unwrap().map(|it| it.unwrap().path()).collect();
    paths.retain(|it| it.extension().is_some_and(|it| it == "pol"));
    paths.sort();
    let read = |path: &std::path::PathBuf| {
        let name = path.file_name().unwrap().to_str().unwrap();
        match Source::new(name, fs::read(path).unwrap()) {
            Ok(source) => {
                let parse = parse(&source);
                (source, parse)
            }
            Err(error) => {
                let (source, diagnostic) = of_source_error(name, error);
                (source.unwrap(), Parse { diagnostics: vec![diagnostic], ..Parse::default() })
            }
        }
    };
    paths.iter().map(read).unzip()
}

/// What reading and compiling found.
fn findings(sources: &[Source], parsed: &[Parse]) -> Vec<Finding> {
    match compile_parsed(sources, parsed, System::Included) {
        Err(findings) => findings,
        Ok(_) => {
            let warnings = parsed.iter().enumerate().flat_map(|(at, it)| it.diagnostics.iter().map(move |it| (at, it)));
            warnings.map(|(source, it)| Finding { source, diagnostic: it.clone() }).collect()
        }
    }
}

/// Each fix alone leaves no more errors than there were, and not the one that it mends; a safe one grants the same.
fn fixes(path: &Path) -> Result<()> {
    let (given, parsed) = documents(path.parent().unwrap());
    let mut all = findings(&given, &parsed);
    let errors = all.iter().filter(|it| it.diagnostic.is_error()).count();
    all.extend(lint::lint(&given, &parsed, System::Included));
    let requests: Vec<Request> = parsed.iter().flat_map(requests).collect();
    for finding in &all {
        for fix in &finding.diagnostic.fixes {
            let shown = format!("{}: {}", finding.diagnostic.code, fix.title);
            let mut sources = given.clone();
            let source = sources.get_mut(finding.source).unwrap();
            let mended = apply(source.text(), &[fix]);
            assert_eq!(mended.applied, [true], "{shown}");
            *source = Source::new(source.name(), mended.text.into_bytes())?;
            let parsed: Vec<Parse> = sources.iter().map(parse).collect();
            let found = findings(&sources, &parsed);
            let left = found.iter().filter(|it| it.diagnostic.is_error()).count();
            assert!(left <= errors, "{shown}: {left} errors after {errors}, {found:?}");
            if finding.diagnostic.is_error() {
                // What was hidden behind it may be told now.
                let told =
                    |it: &[Finding]| it.iter().filter(|it| it.diagnostic.code == finding.diagnostic.code).count();
                assert!(told(&found) < told(&all), "{shown}: told as before, {found:?}");
            }
            if fix.safe && errors == 0 {
                assert_eq!(granted(&sources, &requests), granted(&given, &requests), "{shown}");
            }
        }
    }
    Ok(())
}

/// What is asserted on each request, and whether it is granted.
fn granted(sources: &[Source], requests: &[Request]) -> Vec<(bool, Vec<Claim>)> {
    let set = compile(sources, System::Included).unwrap();
    let decisions = requests.iter().map(|it| decide(&set, it));
    decisions.map(|it| (it.is_allowed(), it.claims().to_vec())).collect()
}

/// Requests on a name of each realm and on one below it, by nobody, by whoever has one or two of the facts that are asked for,
/// and by whoever has nearly all.
fn requests(parse: &Parse) -> Vec<Request> {
    let mut requests = Vec::new();
    for policy in &parse.document.policies {
        let mut facts = Vec::new();
        add_facts(&mut facts, &policy.block);
        facts.sort();
        facts.dedup();
        let mut choices = vec![Vec::new()];
        for (at, one) in facts.iter().enumerate() {
            choices.push(vec![one.clone()]);
            choices.extend(facts.iter().skip(at + 1).map(|other| vec![one.clone(), other.clone()]));
        }
        let mut one_each = facts.clone();
        one_each.dedup_by(|a, b| (&a.issuer, &a.claim_type) == (&b.issuer, &b.claim_type));
        choices.push(one_each);
        for target in targets(policy) {
            // Some facts cannot stand side by side.
            let request = |it: &Vec<Fact>| Request::new(&target, it.clone(), vec![Claim::permit("read")], None).ok();
            requests.extend(choices.iter().filter_map(request));
        }
    }
    requests
}

/// What variables are bound to.
const BOUND: &str = "x";

fn targets(policy: &Policy) -> [String; 2] {
    let join = |segments: &[Segment]| {
        let texts = segments.iter().map(|it| match it {
            Segment::Literal(name) => name.text.as_str(),
            Segment::Variable(_) => BOUND,
        });
        texts.collect::<Vec<_>>().join("/")
    };
    let realm = &policy.realm;
    let (on, namespace) = (&realm.resource_type.text, join(&realm.namespace));
    let local = match &realm.local {
        Local::Below | Local::Exact | Local::Any => "a".to_owned(),
        Local::Named(segments) => join(segments),
    };
    let below = format!("{namespace}/below").trim_start_matches('/').to_owned();
    [format!("{on}::/{namespace}::{local}"), format!("{on}::/{below}::{local}")]
}

fn add_facts(out: &mut Vec<Fact>, block: &Block) {
    for item in &block.items {
        match item {
            Item::Claim(_) => (),
            Item::Block(inner) => add_facts(out, inner),
            Item::Rule(rule) => {
                add_facts_of(out, &rule.condition);
                add_facts(out, &rule.block);
            }
        }
    }
}

fn add_facts_of(out: &mut Vec<Fact>, expr: &Expr) {
    match expr {
        Expr::Group(inner, _) => add_facts_of(out, inner),
        Expr::And(parts) | Expr::Or(parts) => parts.iter().for_each(|it| add_facts_of(out, it)),
        Expr::Comparison(comparison) => {
            let issuer = comparison.issuer.as_ref().map(|it| it.text.as_str()).unwrap_or_default();
            let facts =
                comparison.values.iter().map(|it| Fact::new(issuer, comparison.claim_type.text.as_str(), text(it)));
            out.extend(facts);
        }
    }
}

fn text(value: &Value) -> String {
    let texts = value.pieces.iter().map(|it| match it {
        Piece::Text(text) => text.as_str(),
        Piece::Variable(_) => BOUND,
    });
    texts.collect()
}

datatest_stable::harness! {
    { test = case, root = "tests/lint", pattern = r"/case\.pol$" },
    { test = fixes, root = "tests/lint", pattern = r"/case\.pol$" },
}
