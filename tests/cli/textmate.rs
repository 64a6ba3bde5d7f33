//! The colours of editors without a server know the words of the language.

use std::{fs, path::Path};

use gatehouse::syntax::vocabulary::RESOURCE_TYPES;
use serde_json::Value;

fn grammar() -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("grammar/policy.tmLanguage.json");
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

/// The words of the first group in parentheses of a pattern.
fn words(pattern: &Value) -> Vec<&str> {
    let group = pattern.as_str().unwrap().split_once("(a").or_else(|| pattern.as_str().unwrap().split_once("(e"));
    let (before, _) = group.unwrap();
    let rest = pattern.as_str().unwrap().get(before.len() + 1..).unwrap();
    rest.split_once(')').unwrap().0.split('|').collect()
}

#[test]
fn textmate_knows_the_resource_types_and_the_operators() {
    let grammar = grammar();
    let types: Vec<&str> = RESOURCE_TYPES.iter().map(|it| it.name).collect();
    assert_eq!(words(grammar.pointer("/repository/realm/patterns/1/begin").unwrap()), types);
    let operators = ["equals", "beginsWith", "endsWith", "fqnMatch", "contains", "matches", "inCidr", "in"];
    assert_eq!(words(grammar.pointer("/repository/operator/patterns/2/match").unwrap()), operators);
    let ebnf = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("grammar/policy.ebnf")).unwrap();
    assert!(operators.iter().all(|it| ebnf.contains(&format!("\"{it}\""))));
}

/// Every name that a pattern includes is one of the repository's.
#[test]
fn textmate_includes_what_there_is() {
    let grammar = grammar();
    let repository = grammar.get("repository").unwrap();
    let mut left = vec![&grammar];
    while let Some(value) = left.pop() {
        match value {
            Value::Object(fields) => {
                if let Some(name) = fields.get("include").and_then(Value::as_str) {
                    assert!(repository.get(name.trim_start_matches('#')).is_some(), "{name}");
                }
                left.extend(fields.values());
            }
            Value::Array(all) => left.extend(all),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => (),
        }
    }
}
