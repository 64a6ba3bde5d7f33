//! Each limit at its value and one past it.

use gatehouse::{
    diagnostic::Code,
    limits::{CLAIM_VALUES_MAX, CONDITION_TOKENS_MAX, DIAGNOSTICS_SHOWN_MAX, DOCUMENT_BYTES_MAX, NESTING_MAX},
    source::{Source, SourceError},
    syntax::{Parse, parse},
};

fn read(text: &str) -> Parse {
    parse(&Source::new("case.pol", text.into()).unwrap())
}

fn codes(text: &str) -> Vec<Code> {
    read(text).diagnostics.iter().map(|it| it.code).collect()
}

#[test]
fn a_document_may_be_as_large_as_the_limit() {
    let fits = vec![b' '; DOCUMENT_BYTES_MAX];
    assert!(Source::new("a", fits).is_ok());
    let bytes = DOCUMENT_BYTES_MAX + 1;
    assert_eq!(Source::new("a", vec![b' '; bytes]), Err(SourceError::TooLarge { bytes }));
}

#[test]
fn blocks_and_parentheses_nest_to_the_limit_together() {
    let nested = |blocks: usize, parentheses: usize| {
        let (open, close) = ("{".repeat(blocks), "}".repeat(blocks));
        let (left, right) = ("(".repeat(parentheses), ")".repeat(parentheses));
        format!("job::/ {{ {open} if ({left} a == b {right}) {{ permit read }} {close} }}")
    };
    for parentheses in [0, 1, 20, NESTING_MAX - 1] {
        // The block of the rule is one of them too, but no parenthesis stands around it.
        let blocks = NESTING_MAX - parentheses.max(1);
        assert_eq!(codes(&nested(blocks, parentheses)), [], "{blocks} {parentheses}");
        let past = codes(&nested(blocks + 1, parentheses));
        assert!(
            !past.is_empty() && past.iter().all(|it| *it == Code::NestedTooDeeply),
            "{blocks} {parentheses}: {past:?}"
        );
    }
    assert_eq!(codes(&nested(0, NESTING_MAX)), []);
    assert_eq!(codes(&nested(0, NESTING_MAX + 1)), [Code::NestedTooDeeply]);
}

#[test]
fn ifs_nest_to_the_limit() {
    let nested =
        |depth: usize| format!("job::/ {{ {} permit read {} }}", "if (a == b) {".repeat(depth), "}".repeat(depth));
    assert_eq!(codes(&nested(NESTING_MAX)), []);
    assert_eq!(codes(&nested(NESTING_MAX + 1)), [Code::NestedTooDeeply]);
    assert_eq!(
        codes(&format!("{} job::/ {{ permit read create }}", nested(1_000))),
        [Code::NestedTooDeeply, Code::ForgottenComma]
    );
}

#[test]
fn a_condition_has_tokens_to_the_limit() {
    // `a == b` are three tokens, each further `|| c == d` four.
    let condition = |terms: usize, more: &str| {
        format!("job::/ {{ if (a == b{}{more}) {{ permit read }} }}", " || c == d".repeat(terms))
    };
    let terms = (CONDITION_TOKENS_MAX - 3) / 4;
    assert_eq!((CONDITION_TOKENS_MAX - 3) % 4, 1);
    assert_eq!(codes(&condition(terms, "")), []);
    // `in ( e )` for `== e`: two tokens more, so one past the limit.
    assert_eq!(codes(&condition(terms - 1, " || x in (e)")), [Code::ConditionTooLong]);
    assert_eq!(codes(&condition(terms + 1, "")), [Code::ConditionTooLong]);
}

#[test]
fn a_claim_has_values_to_the_limit() {
    let claim = |count: usize| format!("job::/ {{ label {} }}", vec!["v"; count].join(","));
    assert_eq!(codes(&claim(CLAIM_VALUES_MAX)), []);
    assert_eq!(codes(&claim(CLAIM_VALUES_MAX + 1)), [Code::TooManyValues]);
}

#[test]
fn the_count_of_diagnostics_goes_on_behind_those_shown() {
    let text = |count: usize| "jobs::/ { permit read }\n".repeat(count);
    let at = read(&text(DIAGNOSTICS_SHOWN_MAX));
    assert_eq!((at.diagnostics.len(), at.hidden), (DIAGNOSTICS_SHOWN_MAX, 0));
    let past = read(&text(DIAGNOSTICS_SHOWN_MAX + 5));
    assert_eq!((past.diagnostics.len(), past.hidden), (DIAGNOSTICS_SHOWN_MAX, 5));
    assert!(!past.is_usable());
}
