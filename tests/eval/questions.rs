//! A question is all of its parts: none is left out of an answer, and no answer is that of a question before it.

use gatehouse::{
    compile::{System, compile},
    eval::{BadRequest, Claim, Fact, Request, decide},
    limits::FACTS_MAX,
};

use crate::cases::source;

fn request(target: &str, facts: &[(&str, &str, &str)], want: &str) -> Request {
    let facts = facts.iter().map(|(issuer, claim_type, value)| Fact::new(*issuer, *claim_type, *value)).collect();
    Request::new(target, facts, vec![Claim::permit(want)], None).unwrap()
}

#[test]
fn no_answer_rests_on_the_questions_before_it() {
    let sources = [source("a.pol", "job::/a { if (LDAP->group == dev) { permit read } }")];
    let kept = compile(&sources, System::LeftOut).unwrap();
    let yes = ("job::/a::web", ("LDAP", "group", "dev"), "read");
    // Each changes one part of the question.
    let questions = [
        (yes, true),
        (("job::/b::web", yes.1, "read"), false),
        ((yes.0, ("Google", "group", "dev"), "read"), false),
        ((yes.0, ("LDAP", "team", "dev"), "read"), false),
        ((yes.0, ("LDAP", "group", "ops"), "read"), false),
        ((yes.0, yes.1, "ssh"), false),
    ];
    for first in &questions {
        for ((target, fact, want), is_allowed) in [first, &questions[0], first] {
            let asked = request(target, &[*fact], want);
            assert_eq!(decide(&kept, &asked).is_allowed(), *is_allowed, "{target} {fact:?} {want}");
            let fresh = compile(&sources, System::LeftOut).unwrap();
            assert_eq!(decide(&fresh, &asked).is_allowed(), *is_allowed, "{target} {fact:?} {want}");
        }
    }
}

#[test]
fn facts_are_taken_to_the_limit_and_no_further() {
    let of = |count: usize| {
        let facts = (0..count).map(|at| Fact::new("LDAP", "group", format!("g{at}"))).collect();
        Request::new("job::/a", facts, vec![Claim::permit("read")], None)
    };
    assert!(of(FACTS_MAX).is_ok());
    assert_eq!(of(FACTS_MAX + 1).unwrap_err(), BadRequest::TooManyFacts(FACTS_MAX + 1));
    assert_eq!(of(10_000).unwrap_err(), BadRequest::TooManyFacts(10_000));
}
