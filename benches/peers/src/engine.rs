//! What is asked of every engine, and what its answers cost.

use std::{
    hint::black_box,
    ops::Range,
    time::{Duration, Instant},
};

/// Calls that are timed as one where a single one is too short for the clock.
const BATCH: usize = 32;

/// Rounds through all questions, half of them of single calls.
const ROUNDS: usize = 40;

/// How long one engine is asked about one thing. Who takes milliseconds is asked less often.
const PATIENCE: Duration = Duration::from_millis(1_500);

/// A call that takes longer is timed alone.
const SLOW: Duration = Duration::from_micros(20);

/// A user who wants into a sandbox, by number.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Question {
    pub(crate) sandbox: usize,
    pub(crate) user: usize,
}

/// One engine in one of the ways to use it, loaded, with the questions in the form in which it takes them.
pub(crate) trait Engine {
    /// Takes the questions over; what an application would prepare once for a principal is prepared here.
    fn prepare(&mut self, questions: &[Question]);

    /// Whether the user of a question is let in.
    fn allows(&mut self, question: usize) -> bool;
}

/// Nanoseconds of one call: the median, and what 99 in a hundred stay below.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cost {
    pub(crate) p50: f64,
    pub(crate) p99: f64,
}

/// What the answers of one engine cost.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Costs {
    pub(crate) allow: Cost,
    pub(crate) deny: Cost,
    /// How often a yes of the first engine fits into its yes and no, where it is another one and no call is slow. The median
    /// over all rounds: within one, a machine that is now fast and now slow is mostly one of the two.
    pub(crate) times_first: Option<[f64; 2]>,
}

/// What is known of one engine's times.
#[derive(Default)]
struct Times {
    batches: Vec<f64>,
    /// The median batch of each round.
    rounds: Vec<f64>,
    singles: Vec<Duration>,
    spent: Duration,
    is_slow: Option<bool>,
}

/// Asks several engines the same questions, in turn, so that what disturbs one disturbs the others: those to which the
/// answer is yes, then those to which it is no.
///
/// Fails where one of them answers otherwise. What answers cost, by engine, and how many were compared.
pub(crate) fn costs(engines: &mut [&mut dyn Engine], yes: &[Question], no: &[Question]) -> (Vec<Costs>, usize) {
    let mut all: Vec<[Times; 2]> = engines.iter().map(|_| Default::default()).collect();
    let mut compared = 0;
    let questions = [yes, no].concat();
    for engine in engines.iter_mut() {
        engine.prepare(&questions);
    }
    for round in 0..ROUNDS {
        for (engine, [of_yes, of_no]) in engines.iter_mut().zip(&mut all) {
            compared += of_yes.take(*engine, 0..yes.len(), true, round % 2 == 1);
            compared += of_no.take(*engine, yes.len()..questions.len(), false, round % 2 == 1);
        }
    }
    let first = all.first().map(|[yes, _]| yes.rounds.clone()).unwrap_or_default();
    let costs = |(index, of): (usize, [Times; 2])| {
        let [yes, no] = of.each_ref().map(|it| in_turn(&it.rounds, &first).filter(|_| index > 0));
        let [allow, deny] = of.map(cost);
        Costs { allow, deny, times_first: yes.zip(no).map(|(yes, no)| [yes, no]) }
    };
    (all.into_iter().enumerate().map(costs).collect(), compared)
}

impl Times {
    /// Times one round of questions, each alone or many at once, while there is time left; answers how many they were.
    fn take(&mut self, engine: &mut dyn Engine, questions: Range<usize>, expected: bool, alone: bool) -> usize {
        let mut compared = 0;
        let mut ask = |question| {
            assert_eq!(engine.allows(black_box(question)), expected, "question {question}");
            compared += 1;
        };
        let before = self.batches.len();
        // The first call may only be slow because nothing is in the caches.
        let is_slow = *self.is_slow.get_or_insert_with(|| {
            let call = |_| {
                let start = Instant::now();
                ask(questions.start);
                start.elapsed()
            };
            [0, 1].map(call).into_iter().all(|it| it > SLOW)
        });
        let left = |spent: Duration| PATIENCE.checked_sub(spent).is_some_and(|it| !it.is_zero());
        let batches = questions.clone().step_by(BATCH).map(|it| it..it + BATCH);
        for batch in batches.take_while(|it| it.end <= questions.end) {
            let begin = Instant::now();
            if !left(self.spent) {
                break;
            }
            if is_slow || alone {
                for question in batch {
                    let start = Instant::now();
                    ask(question);
                    self.singles.push(start.elapsed());
                    if is_slow && !left(self.spent + begin.elapsed()) {
                        break;
                    }
                }
            } else {
                batch.for_each(&mut ask);
                self.batches.push(begin.elapsed().as_nanos() as f64 / BATCH as f64);
            }
            if is_slow {
                self.spent += begin.elapsed();
            }
        }
        let round = self.batches.split_at(before).1;
        if !round.is_empty() {
            self.rounds.push(at_rank(round.to_vec(), 50, f64::total_cmp));
        }
        compared
    }
}

/// How often one fits into another, round by round.
fn in_turn(rounds: &[f64], first: &[f64]) -> Option<f64> {
    let times: Vec<f64> = rounds.iter().zip(first).map(|(own, first)| own / first).collect();
    (!times.is_empty()).then(|| at_rank(times, 50, f64::total_cmp))
}

fn cost(times: Times) -> Cost {
    let nanoseconds = |it: Duration| it.saturating_sub(timer()).as_nanos() as f64;
    let p99 = nanoseconds(at_rank(times.singles.clone(), 99, Duration::cmp));
    let p50 = match times.batches.is_empty() {
        true => nanoseconds(at_rank(times.singles, 50, Duration::cmp)),
        false => at_rank(times.batches, 50, f64::total_cmp),
    };
    Cost { p50, p99 }
}

/// What so many in a hundred do not exceed.
fn at_rank<T: Copy>(mut all: Vec<T>, percent: usize, order: fn(&T, &T) -> std::cmp::Ordering) -> T {
    all.sort_unstable_by(order);
    all.get(all.len() * percent / 100).copied().expect("times were taken")
}

/// What reading the clock takes.
pub(crate) fn timer() -> Duration {
    at_rank((0..10_000).map(|_| Instant::now().elapsed()).collect(), 50, Duration::cmp)
}
