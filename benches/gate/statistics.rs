//! Medians, and how sure one can be of a relation between two of them.

use std::fmt;

use serde_json::{Value, json};

/// How often rounds are drawn anew for an interval.
const DRAWS: usize = 2_000;

/// Where the drawing starts, so that the same measurements give the same interval.
const SEED: u64 = 0x6761_7465_686f_7573;

/// What was measured, round by round.
pub type Rounds = Vec<Vec<f64>>;

/// A figure with the bounds between which it lies in 95 of 100 draws.
#[derive(Debug, Clone, Copy)]
pub struct Estimate {
    pub value: f64,
    pub low: f64,
    pub high: f64,
}

impl Estimate {
    pub fn json(self) -> Value {
        json!({ "value": self.value, "low": self.low, "high": self.high })
    }
}

impl fmt::Display for Estimate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The relation of something to itself is certain.
        let places = f.precision().unwrap_or(2);
        if self.low.total_cmp(&self.high).is_eq() {
            return write!(f, "{:.places$}", self.value);
        }
        write!(f, "{:.places$} [{:.places$}, {:.places$}]", self.value, self.low, self.high)
    }
}

pub fn median(rounds: &Rounds) -> f64 {
    at_rank(rounds.iter().flatten().copied().collect(), 50)
}

/// What so many in a hundred do not exceed.
pub fn at_rank(mut all: Vec<f64>, percent: usize) -> f64 {
    all.sort_unstable_by(f64::total_cmp);
    all.get(all.len() * percent / 100).copied().unwrap()
}

/// How the medians of two stand to each other. A draw takes the same rounds of both, because they were disturbed together.
pub fn compare(one: &Rounds, other: &Rounds, relation: fn(f64, f64) -> f64) -> Estimate {
    assert_eq!(one.len(), other.len());
    let mut state = SEED;
    let mut draws = Vec::with_capacity(DRAWS);
    for _ in 0..DRAWS {
        let rounds: Vec<usize> = one.iter().map(|_| below(&mut state, one.len())).collect();
        let of = |all: &Rounds| median(&rounds.iter().map(|at| all.get(*at).unwrap().clone()).collect());
        draws.push(relation(of(one), of(other)));
    }
    draws.sort_unstable_by(f64::total_cmp);
    let bound = |per_mille: usize| draws.get((DRAWS - 1) * per_mille / 1_000).copied().unwrap();
    Estimate { value: relation(median(one), median(other)), low: bound(25), high: bound(975) }
}

/// The next number of a linear congruential generator (Knuth's, MMIX), below a bound. Its high bits are the good ones.
fn below(state: &mut u64, bound: usize) -> usize {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    usize::try_from(*state >> 33).unwrap() % bound
}
