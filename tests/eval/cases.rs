//! `tests/eval/*.toml`: policy sets, requests, and what must come of them, by both evaluators.
//!
//! A file is a list of `[[set]]` with `documents` (name to text) and `[[set.case]]`. A fact is `issuer->type value` or
//! for context `type value`; a claim is `type value`; `user` is short for the platform's name of the principal.

use std::{collections::BTreeMap, fs, path::Path};

use gatehouse::{
    compile::{Finding, PolicySet, System, compile, system::system_sources},
    eval::{Claim, Decision, Fact, Refusal, Request, decide, reference},
    source::Source,
    wire::decide::parse_now,
};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    set: Vec<Set>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Set {
    /// Whether the system documents are part of it.
    #[serde(default)]
    system: bool,
    documents: BTreeMap<String, String>,
    /// Codes of all findings, where it must not compile.
    #[serde(default)]
    findings: Vec<String>,
    #[serde(default)]
    case: Vec<Case>,
}

#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Case {
    /// The fact that the case proves.
    name: String,
    target: String,
    user: Option<String>,
    #[serde(default)]
    facts: Vec<String>,
    /// `permit read` where absent.
    #[serde(default = "read")]
    want: Vec<String>,
    now: Option<String>,
    /// Part of the message where the request must be refused as bad; then nothing else is given.
    error: Option<String>,
    allowed: Option<bool>,
    /// All of them.
    missing: Option<Vec<String>>,
    /// All of them.
    claims: Option<Vec<String>>,
    /// `document:line:column`, all of them.
    because: Option<Vec<String>>,
    /// All of it.
    effective: Option<BTreeMap<String, Vec<String>>>,
    /// `type value realm`, all of them.
    totals: Option<Vec<String>>,
    /// All of them, as a person reads them.
    refusals: Option<Vec<String>>,
    /// RFC 3339, or `never`.
    valid_until: Option<String>,
}

#[test]
fn every_case_holds_for_both_evaluators() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/eval");
    let mut paths: Vec<_> = fs::read_dir(folder).unwrap().map(|it| it.unwrap().path()).collect();
    paths.retain(|it| it.extension().is_some_and(|it| it == "toml"));
    paths.sort();
    let mut count = 0;
    let mut failures = Vec::new();
    for path in &paths {
        let topic = path.file_stem().unwrap().to_str().unwrap();
        let file: File =
            toml::from_str(&fs::read_to_string(path).unwrap()).unwrap_or_else(|it| panic!("{topic}: {it}"));
        for set in &file.set {
            count += set.case.len().max(1);
            set.check(topic, &mut failures);
        }
    }
    assert!(failures.is_empty(), "\n{}\n", failures.join("\n"));
    assert!(count > 300, "only {count} cases were found");
}

impl Set {
    fn check(&self, topic: &str, failures: &mut Vec<String>) {
        let sources: Vec<Source> =
            self.documents.iter().map(|(name, text)| source(&format!("{name}.pol"), text)).collect();
        let system = if self.system { System::Included } else { System::LeftOut };
        let set = match compile(&sources, system) {
            Ok(set) if self.findings.is_empty() => set,
            Ok(_) => return failures.push(format!("{topic}: compiles, but {:?} was expected", self.findings)),
            Err(findings) => return self.check_findings(topic, &findings, failures),
        };
        let mut all = sources;
        if self.system {
            all.extend(system_sources());
        }
        for case in &self.case {
            for failure in case.check(&set, &all) {
                failures.push(format!("{topic}: {}: {failure}", case.name));
            }
        }
    }

    fn check_findings(&self, topic: &str, findings: &[Finding], failures: &mut Vec<String>) {
        let codes: Vec<&str> = findings.iter().map(|it| it.diagnostic.code.code()).collect();
        if codes != self.findings {
            let first = self.documents.values().next().unwrap();
            failures.push(format!("{topic}: {:?} expected, and {findings:#?} found in\n{first}", self.findings));
        }
    }
}

impl Case {
    fn check(&self, set: &PolicySet, sources: &[Source]) -> Vec<String> {
        let request = match self.request() {
            Ok(request) if self.error.is_none() => request,
            Ok(_) => return vec!["the request was taken".to_owned()],
            Err(err) => {
                let expected = self.error.as_ref().is_some_and(|it| err.contains(it.as_str()));
                return if expected { Vec::new() } else { vec![format!("bad request: {err}")] };
            }
        };
        let decision = decide(set, &request);
        let mut failures = self.compare(&decision);
        let answer = reference::decide(sources, &request);
        let mut agrees = |what: &str, same: bool| {
            if !same {
                failures.push(format!("the reference has another `{what}`:\n{answer:#?}\n{decision:#?}"));
            }
        };
        agrees("allowed", answer.allowed == decision.is_allowed());
        agrees("missing", answer.missing == decision.missing());
        agrees("claims", answer.claims == decision.claims());
        agrees("effective", answer.effective == *decision.effective());
        agrees("refusals", answer.refusals == decision.refusals());
        failures
    }

    fn request(&self) -> Result<Request, String> {
        let mut facts: Vec<Fact> = self.facts.iter().map(|it| fact(it)).collect();
        facts.extend(self.user.iter().map(|it| Fact::new("auth_server@apcera.me", "name", it)));
        let want = self.want.iter().map(|it| claim(it)).collect();
        let now = self.now.as_ref().map(|it| parse_now(it).unwrap());
        Request::new(&self.target, facts, want, now).map_err(|err| err.to_string())
    }

    fn compare(&self, decision: &Decision) -> Vec<String> {
        let mut failures = Vec::new();
        if self.allowed.is_none() {
            failures.push("the case does not say whether it is allowed".to_owned());
        }
        compare(&mut failures, "allowed", self.allowed.as_ref(), &decision.is_allowed());
        compare(&mut failures, "missing", self.missing.as_ref(), &texts(decision.missing()));
        let mut claims = self.claims.clone();
        if let Some(claims) = &mut claims {
            claims.sort();
        }
        compare(&mut failures, "claims", claims.as_ref(), &texts(decision.claims()));
        let because = decision.because().iter().map(|it| format!("{}:{}:{}", it.document, it.line, it.column));
        compare(&mut failures, "because", self.because.as_ref(), &because.collect());
        compare(&mut failures, "effective", self.effective.as_ref(), &decision.effective().values);
        let totals =
            decision.effective().totals.iter().map(|it| format!("{} {} {}", it.claim_type, it.value, it.realm));
        compare(&mut failures, "totals", self.totals.as_ref(), &totals.collect());
        compare(&mut failures, "refusals", self.refusals.as_ref(), &texts::<Refusal>(decision.refusals()));
        if self.refusals.is_none() && !decision.refusals().is_empty() {
            failures.push(format!("refused: {:?}", decision.refusals()));
        }
        let valid_until = self.valid_until.as_ref().map(|it| parse_now(it).map(|it| it.unix_seconds));
        compare(&mut failures, "valid-until", valid_until.as_ref(), &decision.valid_until());
        failures
    }
}

fn compare<T: PartialEq + std::fmt::Debug>(failures: &mut Vec<String>, what: &str, expected: Option<&T>, found: &T) {
    if expected.is_some_and(|it| it != found) {
        failures.push(format!("{what} is {found:?}, not {:?}", expected.unwrap()));
    }
}

fn read() -> Vec<String> {
    vec!["permit read".to_owned()]
}

fn texts<T: ToString>(items: &[T]) -> Vec<String> {
    items.iter().map(ToString::to_string).collect()
}

fn claim(text: &str) -> Claim {
    let (claim_type, value) = text.split_once(' ').unwrap_or((text, ""));
    Claim::new(claim_type, value)
}

fn fact(text: &str) -> Fact {
    let (key, value) = text.split_once(' ').unwrap_or((text, ""));
    match key.split_once("->") {
        Some((issuer, claim_type)) => Fact::new(issuer, claim_type, value),
        None => Fact::context(key, value),
    }
}

/// A source from text.
pub(crate) fn source(name: &str, text: &str) -> Source {
    Source::new(name, text.as_bytes().to_vec()).unwrap()
}
