//! Findings for other tools: SARIF against its schema, annotations of a workflow.

use std::{fs, path::PathBuf, process::Command};

use serde_json::Value;

use crate::tool::Folder;

/// The schema as the standard has it, which a crate of ours carries.
fn schema() -> Value {
    // Crates of other platforms were never fetched.
    let platform = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--offline", "--locked", "--filter-platform", &platform])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata.get("packages").unwrap().as_array().unwrap();
    let package = packages.iter().find(|it| it.get("name").unwrap() == "serde-sarif").unwrap();
    let manifest = PathBuf::from(package.get("manifest_path").unwrap().as_str().unwrap());
    let mut schema: Value =
        serde_json::from_slice(&fs::read(manifest.with_file_name("src/schema.json")).unwrap()).unwrap();
    // As published it is no regular expression (a `]` too many), and our logs have no language.
    for owner in ["run", "toolComponent"] {
        let language = schema.pointer_mut(&format!("/definitions/{owner}/properties/language")).unwrap();
        language.as_object_mut().unwrap().remove("pattern").unwrap();
    }
    schema
}

/// Two documents whose findings have second places, fixes, insertions, and text that is not ASCII.
fn folder() -> Folder {
    Folder::with(&[
        (
            "a b/é:1.pol",
            "job::/é {\n\tif (LDAP->group = \"ops\") { permit ssh\n}\n\njob::/prod { permit read create }\n",
        ),
        ("web.pol", "job::/a/ {\n  { permit read }\n  { permit read }\n}\n"),
    ])
}

#[test]
fn sarif_is_valid_by_its_schema() {
    let schema = schema();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let folder = folder();
    for (verb, code, results_min) in [("check", 1, 3), ("lint", 1, 5)] {
        let outcome = folder.policy(&[verb, "--format", "sarif", "a b/é:1.pol", "web.pol"]);
        assert_eq!(outcome.code, code);
        let log = outcome.json();
        let errors: Vec<String> =
            validator.iter_errors(&log).map(|it| format!("{it} at {}", it.instance_path())).collect();
        assert_eq!(errors, Vec::<String>::new());
        let run = &log["runs"][0];
        let results = run["results"].as_array().unwrap();
        assert!(results.len() >= results_min, "{verb}: {results:#?}");
        for it in results {
            let rule = &run["tool"]["driver"]["rules"][usize::try_from(it["ruleIndex"].as_u64().unwrap()).unwrap()];
            assert_eq!(it["ruleId"], rule["id"]);
        }
    }
    // The schema does refuse something.
    let mut log = folder.policy(&["check", "--format", "sarif", "web.pol"]).json();
    log["runs"][0]["tool"] = Value::Null;
    assert!(!validator.is_valid(&log));
    serde_json::from_value::<serde_sarif::sarif::Sarif>(log).unwrap_err();
}

#[test]
fn sarif_names_files_as_uris_and_places_by_code_points() {
    let folder = folder();
    let log = folder.policy(&["check", "--format", "sarif", "a b/é:1.pol"]).json();
    let results = log["runs"][0]["results"].as_array().unwrap();
    let found = results.iter().find(|it| it["ruleId"] == "E0402").unwrap();
    let place = &found["locations"][0]["physicalLocation"];
    assert_eq!(place["artifactLocation"]["uri"], "a%20b/%C3%A9%3A1.pol");
    assert_eq!((&place["region"]["startLine"], &place["region"]["startColumn"]), (&2.into(), &18.into()));
    let change = &found["fixes"][0]["artifactChanges"][0]["replacements"][0];
    assert_eq!(change["insertedContent"]["text"], "==");
    let clean = Folder::with(&[("a.pol", "job::/a { if (LDAP->group == \"ops\") { permit ssh } }\n")]);
    let log = clean.policy(&["lint", "--format", "sarif", "a.pol"]);
    assert_eq!((log.code, log.json()["runs"][0]["results"].as_array().map(Vec::len)), (0, Some(0)));
}

#[test]
fn github_reads_one_line_a_finding() {
    let outcome = folder().policy(&["lint", "--format", "github", "a b/é:1.pol", "web.pol"]);
    assert_eq!(outcome.code, 1);
    let lines: Vec<&str> = outcome.out.lines().collect();
    assert!(lines.len() >= 5, "{}", outcome.out);
    assert!(lines.iter().all(|it| it.starts_with("::error file=") || it.starts_with("::warning file=")));
    assert!(
        outcome.out.contains(
            "::error file=a b/é%3A1.pol,line=2,col=18,endLine=2,endColumn=18,title=E0402 misspelled-operator::"
        ),
        "{}",
        outcome.out
    );
}
