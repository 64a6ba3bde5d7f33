//! A set that is changed document by document is the set that would be made of the documents at once.

use std::cell::Cell;

use gatehouse::{
    compile::{PolicySet, System, compile},
    eval::{Request, decide},
    source::Source,
};
use proptest::{arbitrary::any, collection::vec};

use crate::{
    agreement::{agree_on_verdict, sources},
    cases::source,
    property::{answer, cases, run, world},
    world::World,
};

/// Of each document which text it has: that of one of the worlds, or none.
type Choice = Vec<u8>;

fn chosen(worlds: &[World], choice: &Choice) -> Vec<Source> {
    let texts: Vec<Vec<Source>> = worlds.iter().map(|it| sources(&it.texts())).collect();
    let text = |(at, world): (usize, &u8)| texts.get(usize::from(*world) % (worlds.len() + 1))?.get(at).cloned();
    choice.iter().enumerate().filter_map(text).collect()
}

#[test]
fn changed_sets_answer_as_fresh_ones() {
    let (met, untouched) = (Cell::new(0), Cell::new(0));
    let all = (vec(world(), 2..4), vec(vec(any::<u8>(), 3), 2..6));
    run(cases(400), &all, |(worlds, choices)| {
        let system = worlds[0].system;
        let requests: Vec<Request> = worlds.iter().filter_map(World::request).collect();
        let mut set = compile(&[], system).unwrap();
        for choice in &choices {
            let documents = chosen(&worlds, choice);
            let fresh = compile(&documents, system);
            let next = set.changed_to(&documents);
            let (fresh, next) = match (fresh, next) {
                (Ok(fresh), Ok(next)) => (fresh, next),
                (Err(fresh), Err(next)) if fresh == next => continue,
                (fresh, next) => return Err(format!("{next:#?}\nis not\n{fresh:#?}")),
            };
            let changes = set.changes_to(&next);
            for request in &requests {
                let decision = decide(&next, request);
                if decision != decide(&fresh, request) {
                    return Err(format!("{decision:#?}\nis not\n{:#?}", decide(&fresh, request)));
                }
                agree_on_verdict(&next, request, &decision)?;
                if changes.may_touch(request.target()) {
                    met.set(met.get() + 1);
                } else {
                    untouched.set(untouched.get() + 1);
                    if answer(&decide(&set, request)) != answer(&decision) {
                        return Err(format!("untouched, and yet {decision:#?}"));
                    }
                }
            }
            set = next;
        }
        Ok(())
    });
    for seen in [met, untouched] {
        assert!(100 < seen.get(), "hardly any: {seen:?}");
    }
}

fn version(version: usize) -> Source {
    let policy = |user| {
        format!("job::/sandbox/user-{user} {{ if (LDAP->group == \"g{}\") {{ permit ssh }} }}\n", user + version)
    };
    source("users.pol", &(0..200).map(policy).collect::<String>())
}

fn is_let_in(set: &PolicySet, user: usize, group: usize) -> bool {
    use gatehouse::eval::{Claim, Fact};
    let facts = vec![Fact::new("LDAP", "group", format!("g{group}"))];
    let target = format!("job::/sandbox/user-{user}::web");
    let request = Request::new(&target, facts, vec![Claim::permit("ssh")], None).unwrap();
    let decision = decide(set, &request);
    agree_on_verdict(set, &request, &decision).unwrap();
    decision.is_allowed()
}

#[test]
fn what_changes_leave_behind_is_cleared_away() {
    let mut set = compile(&[version(0)], System::Included).unwrap();
    let (first, mut largest) = (set.layout_bytes(), 0);
    for at in 1..200 {
        set = set.changed_to(&[version(at)]).unwrap();
        largest = largest.max(set.layout_bytes());
        assert!(is_let_in(&set, 7, 7 + at) && !is_let_in(&set, 7, 6 + at));
    }
    // More than a mebibyte of waste is not kept.
    assert!(first + 100_000 < largest && largest < first + 2_000_000, "{first} bytes grew to {largest}");
}

#[test]
fn a_change_touches_what_its_policies_speak_of() {
    let documents =
        [source("a.pol", "job::/a { permit ssh }\njob::/b { permit ssh }"), source("c.pol", "job::/c { permit ssh }")];
    let before = compile(&documents, System::Included).unwrap();
    let touched = |after: &[Source]| {
        let changes = before.changes_to(&before.changed_to(after).unwrap());
        ["a", "b", "c", "d"]
            .into_iter()
            .filter(|it| changes.may_touch(&format!("job::/{it}::x").parse().unwrap()))
            .collect::<String>()
    };
    let [a, c] = documents.clone();
    assert_eq!(touched(&[a.clone(), c.clone()]), "");
    // A comment and the order mean nothing.
    let same = source("a.pol", "// Moved.\njob::/b { permit ssh }\n\njob::/a { permit ssh }");
    assert_eq!(touched(&[same, c.clone()]), "");
    assert_eq!(touched(&[source("a.pol", "job::/a { permit ssh }\njob::/b { permit read }"), c.clone()]), "b");
    assert_eq!(touched(std::slice::from_ref(&a)), "c");
    assert_eq!(touched(&[a.clone(), c.clone(), source("d.pol", "job::/d { permit ssh }")]), "d");
    assert_eq!(touched(&[a, c, source("all.pol", "job::/[any] { permit ssh }")]), "abcd");
}

#[test]
fn a_change_is_refused_as_the_whole_would_be() {
    let user = |name, user| source(name, &format!("job::/a {{ {{ ssh.user \"{user}\" }} }}"));
    let before = compile(&[user("a.pol", "u1"), source("b.pol", "job::/ { permit ssh }")], System::Included).unwrap();
    let unreadable = source("b.pol", "job::/ { permit }");
    let system = source("rolePermissions.pol", "job::/ { permit ssh }");
    for after in [
        vec![user("a.pol", "u1"), user("c.pol", "u2")],
        vec![user("a.pol", "u1"), unreadable],
        vec![user("a.pol", "u1"), user("a.pol", "u1")],
        vec![user("a.pol", "u1"), system],
    ] {
        let findings = before.changed_to(&after).unwrap_err();
        assert_eq!(findings, compile(&after, System::Included).unwrap_err());
    }
    assert!(before.changed_to(&[user("a.pol", "u2"), user("c.pol", "u2")]).is_ok());
    // Without the system documents their names are names like any other.
    let alone = compile(&[source("rolePermissions.pol", "job::/a { permit ssh }")], System::LeftOut).unwrap();
    assert_eq!(
        alone.changed_to(&[source("rolePermissions.pol", "job::/b { permit ssh }")]).unwrap().sources().len(),
        1
    );
}
