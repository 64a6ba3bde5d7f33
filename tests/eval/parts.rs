//! Many comparisons of a part of a value on one realm: they are looked for at once, and mean what each of them means.

use std::cell::Cell;

use gatehouse::{
    compile::System,
    eval::{Claim, Fact, Request, decide},
};
use proptest::{collection::vec, sample::select, strategy::Strategy};

use crate::{
    agreement::{agree, agree_on_verdict, compiled},
    property::{cases, run},
};

/// Enough of them that they are not tried one by one any more.
const MANY: usize = 150;

/// A condition of a rule that gives a permit: on what, how, and which text.
type Asks = (&'static str, &'static str, String);

fn asks() -> impl Strategy<Value = Asks> {
    let on = select(vec!["LDAP->group", "role", "label"]);
    let how = select(vec!["beginsWith", "endsWith", "contains", "matches", "fqnMatch", "!=", "=="]);
    (on, how, "[ab]{1,3}").prop_map(|(on, how, text)| match (on, how) {
        (on, "fqnMatch") => (on, how, format!("job::/{}", text.replace('a', "a/").trim_end_matches('/'))),
        (on, "matches") => (on, how, text.replace("bb", "*").replace("ab", "?b")),
        // What rules assert may not be asked for its absence.
        ("LDAP->group", how) | (_, how @ "==") => ("LDAP->group", how, text),
        (on, "!=") => (on, "==", text),
        (on, how) => (on, how, text),
    })
}

fn value() -> impl Strategy<Value = String> {
    (select(vec!["", "job::/", "job::/a/"]), "[ab]{1,5}").prop_map(|(before, text)| format!("{before}{text}"))
}

#[test]
fn many_parts_mean_what_each_of_them_means() {
    let permits = ["read", "ssh", "update", "delete", "start", "stop"];
    let world = (vec(asks(), MANY..MANY + 60), vec(value(), 40..120), vec(value(), 1..60), select(permits.to_vec()));
    let (allowed, denied) = (Cell::new(0), Cell::new(0));
    run(cases(60), &world, |(asks, given, facts, want)| {
        let mut text = String::new();
        // What the claims are that others ask for: a role each, and a label for every other.
        for (at, value) in given.iter().enumerate() {
            let kind = if at % 2 == 0 { "role" } else { "label" };
            text += &format!("job::/ {{ if (LDAP->group contains \"{}\") {{ {kind} \"{value}\" }} }}\n", at % 7);
            text += &format!("job::/ {{ if (LDAP->all == yes) {{ {kind} \"{value}\" }} }}\n");
        }
        for (at, (on, how, text_asked)) in asks.iter().enumerate() {
            let permit = permits[at % permits.len()];
            let also = if at % 3 == 0 { " && LDAP->all == yes" } else { "" };
            text += &format!("job::/ {{ if ({on} {how} \"{text_asked}\"{also}) {{ permit {permit} }} }}\n");
        }
        let Some((sources, set)) = compiled(&[text], System::LeftOut) else { return Ok(()) };
        for all in ["yes", "no"] {
            let mut brought: Vec<Fact> = facts.iter().map(|it| Fact::new("LDAP", "group", it)).collect();
            brought.push(Fact::new("LDAP", "all", all));
            let request = Request::new("job::/a::web", brought, vec![Claim::permit(want)], None).unwrap();
            let decision = decide(&set, &request);
            agree(&sources, &request, &decision)?;
            agree_on_verdict(&set, &request, &decision)?;
            let seen = if decision.is_allowed() { &allowed } else { &denied };
            seen.set(seen.get() + 1);
        }
        Ok(())
    });
    assert!(10 < allowed.get() && 10 < denied.get(), "{allowed:?} {denied:?}");
}
