//! Hashes of what is looked up. Their seed is of this process alone, so that nobody can choose names that collide.
//!
//! All sets of a process share it, because what is known of a principal is hashed once for all of them. A set that was
//! written to a file brings the seed that its layout was made with; a process that has no seed yet takes that one.

use std::{
    hash::{self, BuildHasher, Hash, Hasher},
    sync::{LazyLock, OnceLock},
};

use foldhash::{SharedSeed, fast::SeedableRandomState};

/// Text of which nobody asks whether it is valid, as each was once. No other text begins with it and what stands behind it.
struct Text<'a>(&'a [u8]);

impl Hash for Text<'_> {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write(self.0);
        state.write_u8(0xff);
    }
}

/// What the hashes of a process depend on: secret, as whoever knows it can choose names that collide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::compile) struct Seed(pub(in crate::compile) [u64; 2]);

static SEED: OnceLock<Seed> = OnceLock::new();

static STATE: LazyLock<SeedableRandomState> = LazyLock::new(|| {
    static SHARED: OnceLock<SharedSeed> = OnceLock::new();
    let Seed([shared, own]) = seed();
    SeedableRandomState::with_seed(own, SHARED.get_or_init(|| SharedSeed::from_u64(shared)))
});

/// The seed of this process.
pub(in crate::compile) fn seed() -> Seed {
    // The standard library takes its keys from the operating system.
    *SEED.get_or_init(|| Seed([0, 1].map(|it: u64| hash::RandomState::new().hash_one(it))))
}

/// Takes a seed for this process; no where it has another.
pub(in crate::compile) fn adopt(seed: Seed) -> bool {
    *SEED.get_or_init(|| seed) == seed
}

/// Differs where hashes are made in another way, whatever they are of.
pub(in crate::compile) fn probe() -> u64 {
    key(1, 2, fact(fact_type("issuer", "type"), b"value")) ^ edge(3, b"a segment that is longer than two words")
}

/// Of a fact's issuer and type; an empty issuer for context.
#[inline]
pub(crate) fn fact_type(issuer: &str, claim_type: &str) -> u64 {
    STATE.hash_one((issuer, claim_type))
}

/// Of a whole fact, of whose issuer and type this is the hash.
#[inline]
pub(crate) fn fact(fact_type: u64, value: &[u8]) -> u64 {
    STATE.hash_one((fact_type, Text(value)))
}

#[inline]
pub(super) fn edge(parent: u32, segment: &[u8]) -> u64 {
    STATE.hash_one((parent, Text(segment)))
}

#[inline]
pub(super) fn claim(claim_type: &[u8], value: &[u8]) -> u64 {
    STATE.hash_one((Text(claim_type), Text(value)))
}

#[inline]
pub(super) fn key(unit: u32, claim: u32, fact: u64) -> u64 {
    STATE.hash_one((unit, claim, fact))
}
