//! Gatehouse, a look-up written by hand, and other engines, asked the same questions on one machine in one run.
//!
//! Each user may enter their own sandbox; one policy in a hundred grants by a role. Every engine is asked in the way in
//! which its language would say that, and in the way in which it bears many sandboxes. Answers are compared with what is
//! expected; who answers otherwise ends the run. Nobody is in a group, and nobody is asked about a sandbox that is open to
//! one. Memory is what loading leaves behind, without the text that was loaded.
//!
//! Gatehouse is asked in turn with the look-up; then where roles lead to roles through three documents, where a template is
//! meant, about someone with many facts, and with all of it text: each of these in turn with the simple question. The last column
//! says how often a yes of the look-up, or of the simple question, fits into its yes and no. Below the table stands how
//! Gatehouse and the look-up grow from the smallest size to the largest, and at the end what a decision costs beside the look-up
//! and the best peer.
//!
//! `GATEHOUSE_POLICIES` is the largest size (100,000 if it is not given). At 1,000,000, which takes 4 GB of memory and half a
//! minute, peers are not asked; with `GATEHOUSE_ALONE` set (to anything) they are asked at no size.

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
mod worlds;

use std::{
    env,
    time::{Duration, Instant},
};

use gatehouse::{compile::PolicySet, eval::Fact, source::Source};

use crate::{
    engine::{Costs, Engine, Question, costs},
    table::{Row, Table},
};

/// Small sizes are there for the curve.
const SIZES: [usize; 6] = [10, 100, 1_000, 10_000, 100_000, 1_000_000];

/// Questions of each answer that everyone is asked, spread over the whole set.
const QUESTIONS: usize = 2_048;

/// Everyone into their own sandbox, or the one before them; in an order of no pattern, because 7,919 divides no size. The
/// second are about other sandboxes, as long as there are others: else the first would have brought them into the caches.
fn questions(policies: usize, own: bool) -> Vec<Question> {
    let first = if own { 0 } else { QUESTIONS };
    let sandboxes = (first..first + QUESTIONS).map(|at| at * 7_919 % policies);
    let question = |sandbox| Question { sandbox, user: if own { sandbox } else { sandbox - 1 } };
    sandboxes.filter(|it| it % sandboxes::ROLE_EVERY > 1).map(question).collect()
}

/// How often each set is loaded; the median counts, as for everything else.
const LOADS: usize = 3;

/// What loading gave, how long it took and what it left in memory.
struct Loaded<T> {
    it: T,
    time: Duration,
    bytes: usize,
}

fn loaded<T>(mut load: impl FnMut() -> T) -> Loaded<T> {
    let mut timed = || {
        let start = Instant::now();
        let (it, bytes) = memory::kept(&mut load);
        (it, bytes, start.elapsed())
    };
    let mut times: Vec<Duration> = (1..LOADS).map(|_| timed().2).collect();
    let (it, bytes, time) = timed();
    times.push(time);
    times.sort_unstable();
    Loaded { it, time: times[LOADS / 2], bytes }
}

/// An engine in one of the ways to use it.
struct Named<'a> {
    engine: &'static str,
    variant: &'static str,
    loaded: Loaded<Box<dyn Engine + 'a>>,
}

/// Asks several engines that were loaded, in turn, and adds a row for each.
fn ask(table: &mut Table, policies: usize, named: Vec<Named<'_>>) {
    asked(table, policies, named).into_iter().for_each(|it| table.add(it));
}

fn asked(table: &mut Table, policies: usize, mut named: Vec<Named<'_>>) -> Vec<Row> {
    let mut engines: Vec<&mut dyn Engine> = named.iter_mut().map(|it| &mut *it.loaded.it as &mut dyn Engine).collect();
    let (costs, compared) = costs(&mut engines, &questions(policies, true), &questions(policies, false));
    table.compared += compared;
    let row = |(Named { engine, variant, loaded }, costs): (Named<'_>, Costs)| {
        let Loaded { time: load, bytes, .. } = loaded;
        Row { engine, variant, policies, load, bytes, costs }
    };
    named.into_iter().zip(costs).map(row).collect()
}

fn groups(count: usize) -> Vec<Fact> {
    (0..count).map(|at| Fact::new("LDAP", "group", format!("group-{at}"))).collect()
}

/// Gatehouse and the look-up side by side, then its other variants.
fn ours(table: &mut Table, policies: usize) {
    let simple = &load_ours(&sandboxes::sources(policies));
    let hand = loaded(|| Box::new(by_hand::load(policies)) as Box<dyn Engine>);
    let hand = Named { engine: "by hand", variant: "hash map", loaded: hand };
    ask(table, policies, vec![hand, prepared("prepared", simple, 0)]);
    beside_simple(table, policies, simple, vec![prepared("prepared, 20 facts", simple, 19)]);
    beside_simple(table, policies, simple, vec![prepared("prepared, 50 groups", simple, 50)]);
    let role_chain = load_ours(&worlds::role_chain(policies));
    beside_simple(table, policies, simple, vec![prepared("prepared, role chain", &role_chain, 0)]);
    drop(role_chain);
    let template = load_ours(&worlds::template(policies));
    beside_simple(table, policies, simple, vec![prepared("prepared, template", &template, 0)]);
    drop(template);
    let set = &simple.it;
    beside_simple(table, policies, simple, vec![own("explained", simple, Box::new(ours::Explained::new(set)))]);
    let text = |variant, facts| own(variant, simple, Box::new(ours::Text::new(set, groups(facts))));
    // All three in turn: they are compared with each other, too.
    beside_simple(table, policies, simple, vec![text("text", 0), text("text, 4 facts", 3), text("text, 54 facts", 53)]);
}

/// In turn with the simple question, because what they say is how they stand to that.
fn beside_simple<'a>(table: &mut Table, policies: usize, simple: &'a Loaded<PolicySet>, others: Vec<Named<'a>>) {
    let named = std::iter::once(prepared("prepared", simple, 0)).chain(others).collect();
    asked(table, policies, named).into_iter().skip(1).for_each(|it| table.add(it));
}

fn load_ours(sources: &[Source]) -> Loaded<PolicySet> {
    loaded(|| ours::load(sources))
}

/// With so many groups beside the name.
fn prepared<'a>(variant: &'static str, of: &'a Loaded<PolicySet>, facts: usize) -> Named<'a> {
    own(variant, of, Box::new(ours::Prepared::new(&of.it, groups(facts))))
}

fn own<'a>(variant: &'static str, of: &Loaded<PolicySet>, it: Box<dyn Engine + 'a>) -> Named<'a> {
    Named { engine: "gatehouse", variant, loaded: Loaded { it, time: of.time, bytes: of.bytes } }
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
    // It takes them as its own.
    let mut lines = vec![rules::lines(policies); LOADS].into_iter();
    one(table, "casbin", "lines", loaded(|| Box::new(rules::load(lines.next().expect("one for each load"))) as _));
    one(table, "casbin", "attributes", loaded(|| Box::new(rules::load_attributes(policies)) as _));
    let texts = expressions::texts(policies);
    one(table, "cel", "expressions", loaded(|| Box::new(expressions::load(&texts)) as _));
    one(table, "cel", "map", loaded(|| Box::new(expressions::load_map(policies)) as _));
}

fn main() {
    let most = env::var("GATEHOUSE_POLICIES").map_or(100_000, |it| it.parse().expect("a number of policies"));
    let is_alone = env::var_os("GATEHOUSE_ALONE").is_some();
    let mut table = Table::default();
    println!("{}", table::HEAD);
    for policies in SIZES.into_iter().filter(|it| *it <= most) {
        ours(&mut table, policies);
        // What they cost between these sizes follows from both; at a million most of them do not load.
        if !is_alone && matches!(policies, 1_000 | 10_000 | 100_000) {
            peers(&mut table, policies);
        }
    }
    table.write();
    plot::write(&table);
    println!("{}", table.last_lines());
}
