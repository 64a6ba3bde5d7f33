//! What a change of one document costs until the new set is live, and what it costs to look after live sessions then.
//!
//! `make bench` runs it. The same set made anew is the measure: times say something only beside it. Two changes are made: one
//! document's policies ask for something else, and a rule on a realm above all sessions appears.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a bench fails by panicking, and its table is what it is for"
)]

use std::{
    fmt::Write as _,
    hint::black_box,
    time::{Duration, Instant},
};

use gatehouse::{
    compile::{PolicySet, System, compile},
    eval::{Claim, Fact, Principal, verdict_for},
    source::Source,
    syntax::fqn::Fqn,
};

/// Documents of a set, and policies of each.
const DOCUMENTS: usize = 1_000;
const POLICIES: usize = 100;

/// Sessions that are live when policy changes, spread over the whole set.
const SESSIONS: usize = 10_000;

/// Changes that are timed, each of another document.
const ROUNDS: usize = 51;

/// Someone who is in a sandbox.
struct Session {
    target: Fqn,
    text: String,
    principal: Principal,
}

fn document(at: usize, version: usize) -> Source {
    let mut text = String::new();
    for user in at * POLICIES..(at + 1) * POLICIES {
        let permits = if version == 0 { "ssh" } else { "ssh, read" };
        writeln!(
            text,
            "job::/sandbox/user-{user} {{ if (auth_server@apcera.me->name == \"user-{user}\") {{ permit {permits} }} }}"
        )
        .unwrap();
    }
    Source::new(format!("sandboxes-{at:04}.pol"), text.into_bytes()).unwrap()
}

fn sessions() -> Vec<Session> {
    let session = |at: usize| {
        let user = at * 7_919 % (DOCUMENTS * POLICIES);
        let text = format!("job::/sandbox/user-{user}::web");
        let facts = vec![Fact::new("auth_server@apcera.me", "name", format!("user-{user}"))];
        Session { target: text.parse().unwrap(), text, principal: Principal::new(facts, None).unwrap() }
    };
    (0..SESSIONS).map(session).collect()
}

/// Sessions that a change may touch, all of which are decided again.
fn look_after(before: &PolicySet, after: &PolicySet, sessions: &[Session]) -> (usize, usize) {
    let changes = before.changes_to(after);
    let want = [Claim::permit("ssh")];
    let touched = sessions.iter().filter(|it| changes.may_touch(&it.target));
    touched.fold((0, 0), |(touched, allowed), it| {
        let verdict = verdict_for(after, &it.principal, &it.text, &want).unwrap();
        (touched + 1, allowed + usize::from(verdict.is_allowed()))
    })
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

fn timed<T>(mut work: impl FnMut(usize) -> T, rounds: usize) -> Duration {
    let time = |round| {
        let start = Instant::now();
        black_box(work(round));
        start.elapsed()
    };
    median((0..rounds).map(time).collect())
}

fn main() {
    let sources: Vec<Source> = (0..DOCUMENTS).map(|at| document(at, 0)).collect();
    let anew = timed(|_| compile(&sources, System::Included).unwrap(), 5);
    let set = compile(&sources, System::Included).unwrap();
    let other = |round: usize| {
        let mut sources = sources.clone();
        let at = round * 19 % DOCUMENTS;
        sources[at] = document(at, 1);
        sources
    };
    let changed: Vec<Vec<Source>> = (0..ROUNDS).map(other).collect();
    let change = timed(|round| set.changed_to(&changed[round]).unwrap(), ROUNDS);
    let mut above = sources.clone();
    above
        .push(Source::new("all.pol", b"job::/sandbox { if (LDAP->group == admins) { permit ssh } }".to_vec()).unwrap());
    let sessions = sessions();
    let (one, all) = (set.changed_to(&changed[0]).unwrap(), set.changed_to(&above).unwrap());
    let few = timed(|_| look_after(&set, &one, &sessions), ROUNDS);
    let many = timed(|_| look_after(&set, &all, &sessions), ROUNDS);
    let row = |what: &str, time: Duration| {
        let ms = time.as_secs_f64() * 1e3;
        println!("{what:<58} {ms:>9.2} {:>8.4}", time.as_secs_f64() / anew.as_secs_f64());
    };
    println!("{:<58} {:>9} {:>8}", format!("{DOCUMENTS} documents of {POLICIES} policies"), "ms", "of anew");
    row("all documents read and compiled anew", anew);
    row("one document changed, until the new set is there", change);
    let (touched, allowed) = look_after(&set, &one, &sessions);
    row(&format!("{SESSIONS} sessions after it: {touched} touched, {allowed} allowed"), few);
    let (touched, allowed) = look_after(&set, &all, &sessions);
    assert_eq!((touched, allowed), (SESSIONS, SESSIONS));
    row(&format!("{SESSIONS} sessions after a rule above all: {touched} touched, {allowed} allowed"), many);
    println!("{} bytes a policy, texts left out", set.layout_bytes() / (DOCUMENTS * POLICIES));
}
