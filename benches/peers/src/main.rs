//! Gatehouse, a look-up written by hand, and other engines, asked the same questions on one machine in one run.
//!
//! Each user may enter their own sandbox; one policy in a hundred grants by a role. Every engine is asked in the way in
//! which its language would say that, and in the way in which it bears many sandboxes. Answers are compared with what is
//! expected; who answers otherwise ends the run. Nobody is asked about a sandbox that is open to a group: Casbin, and CEL
//! over a map, have its name in the place of an owner's, which makes them simpler than the others. Memory is what loading
//! leaves behind, without the text that was loaded. `GATEHOUSE_POLICIES` is the largest size (100,000 if it is not given).

mod by_hand;
mod cedar;
mod engine;
mod expressions;
mod memory;
mod ours;
mod plot;
mod rego;
mod rules;
#[path = "../../sandboxes/mod.rs"]
mod sandboxes;
mod table;
mod texts;

use std::{
    env,
    time::{Duration, Instant},
};

use gatehouse::eval::Fact;

use crate::{
    engine::{Engine, Question, costs},
    table::{Row, Table},
};

/// Small sizes are there for the curve.
const SIZES: [usize; 6] = [10, 100, 1_000, 10_000, 100_000, 1_000_000];

/// Questions that everyone is asked, spread over the whole set.
const QUESTIONS: usize = 4_096;

/// Everyone into their own sandbox, or the one before them; in an order of no pattern, because 7,919 divides no size.
fn questions(policies: usize, own: bool) -> Vec<Question> {
    let sandboxes = (0..QUESTIONS).map(|at| at * 7_919 % policies).filter(|it| it % sandboxes::ROLE_EVERY > 1);
    sandboxes.map(|sandbox| Question { sandbox, user: if own { sandbox } else { sandbox - 1 } }).collect()
}

/// What loading gave, how long it took and what it left in memory.
struct Loaded<T> {
    it: T,
    time: Duration,
    bytes: usize,
}

fn loaded<T>(load: impl FnOnce() -> T) -> Loaded<T> {
    let start = Instant::now();
    let (it, bytes) = memory::kept(load);
    Loaded { it, time: start.elapsed(), bytes }
}

/// An engine in one of the ways to use it.
struct Named<'a> {
    engine: &'static str,
    variant: &'static str,
    loaded: Loaded<Box<dyn Engine + 'a>>,
}

/// Asks several engines that were loaded, in turn, and adds a row for each.
fn ask(table: &mut Table, policies: usize, mut named: Vec<Named<'_>>) {
    let mut all = Vec::new();
    for own in [true, false] {
        let mut engines: Vec<&mut dyn Engine> =
            named.iter_mut().map(|it| &mut *it.loaded.it as &mut dyn Engine).collect();
        let (costs, compared) = costs(&mut engines, &questions(policies, own), own);
        table.compared += compared;
        all.push(costs);
    }
    for (at, Named { engine, variant, loaded }) in named.iter().enumerate() {
        let (allow, deny) = (all[0][at], all[1][at]);
        let row = Row { engine, variant, policies, load: loaded.time, bytes: loaded.bytes, allow, deny };
        println!("{row}");
        table.rows.push(row);
    }
}

fn groups(count: usize) -> Vec<Fact> {
    (0..count).map(|at| Fact::new("LDAP", "group", format!("group-{at}"))).collect()
}

/// Gatehouse and the look-up side by side, then its other variants, each alone as the peers are.
fn ours(table: &mut Table, policies: usize) {
    let sources = sandboxes::sources(policies);
    let set = loaded(|| ours::load(&sources));
    let (time, bytes) = (set.time, set.bytes);
    drop(sources);
    let set = &set.it;
    let variants: [(_, Box<dyn Engine + '_>); 5] = [
        ("prepared, 50 groups", Box::new(ours::Prepared::new(set, groups(50)))),
        ("text", Box::new(ours::Text::new(set, Vec::new()))),
        ("text, 4 facts", Box::new(ours::Text::new(set, groups(3)))),
        ("text, 54 facts", Box::new(ours::Text::new(set, groups(53)))),
        ("explained", Box::new(ours::Explained::new(set))),
    ];
    let hand = loaded(|| Box::new(by_hand::load(policies)) as Box<dyn Engine>);
    let hand = Named { engine: "by hand", variant: "hash map", loaded: hand };
    let own = |(variant, it)| Named { engine: "gatehouse", variant, loaded: Loaded { it, time, bytes } };
    let prepared = own(("prepared", Box::new(ours::Prepared::new(set, Vec::new()))));
    ask(table, policies, vec![hand, prepared]);
    for variant in variants {
        ask(table, policies, vec![own(variant)]);
    }
}

/// Each peer alone, so that the memory of one does not weigh on another.
fn peers(table: &mut Table, policies: usize) {
    let one = |table: &mut Table, engine, variant, loaded: Loaded<Box<dyn Engine>>| {
        ask(table, policies, vec![Named { engine, variant, loaded }]);
    };
    let text = cedar::text(policies);
    one(table, "cedar", "policies", loaded(|| Box::new(cedar::load(&text)) as _));
    one(table, "cedar", "entities", loaded(|| Box::new(cedar::load_data(policies)) as _));
    one(table, "cedar", "sliced by hand", loaded(|| Box::new(cedar::load_sliced(policies)) as _));
    let text = rego::text(policies);
    let rules = loaded(|| rego::load(&text, None));
    match rules.it {
        Some(it) => one(table, "regorus", "rules", Loaded { it: Box::new(it), time: rules.time, bytes: rules.bytes }),
        None => println!("{:<10} {:<20} {policies:>9}  refuses so many rules", "regorus", "rules"),
    }
    let (text, data) = (rego::text_data(), rego::data(policies));
    one(
        table,
        "regorus",
        "data",
        loaded(|| Box::new(rego::load(&text, Some(&data)).expect("two rules are not too many")) as _),
    );
    let lines = rules::lines(policies);
    one(table, "casbin", "lines", loaded(|| Box::new(rules::load(lines)) as _));
    one(table, "casbin", "attributes", loaded(|| Box::new(rules::load_attributes(policies)) as _));
    let texts = expressions::texts(policies);
    one(table, "cel", "expressions", loaded(|| Box::new(expressions::load(&texts)) as _));
    one(table, "cel", "map", loaded(|| Box::new(expressions::load_map(policies)) as _));
}

fn main() {
    let most = env::var("GATEHOUSE_POLICIES").map_or(100_000, |it| it.parse().expect("a number of policies"));
    let mut table = Table::default();
    println!("{}", table::HEAD);
    for policies in SIZES.into_iter().filter(|it| *it <= most) {
        ours(&mut table, policies);
        // What they cost between these sizes follows from both; at a million most of them do not load.
        if matches!(policies, 1_000 | 10_000 | 100_000) {
            peers(&mut table, policies);
        }
    }
    table.write();
    plot::write(&table);
    println!("{}", table.last_line());
}
