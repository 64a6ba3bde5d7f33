//! Hashes of what is looked up. Their seed is of this process alone, so that nobody can choose names that collide.

use std::{hash::BuildHasher, sync::LazyLock};

use foldhash::fast::RandomState;

static STATE: LazyLock<RandomState> = LazyLock::new(RandomState::default);

/// Of a fact's issuer and type; an empty issuer for context.
#[inline]
pub(crate) fn fact_type(issuer: &str, claim_type: &str) -> u64 {
    STATE.hash_one((issuer, claim_type))
}

/// Of a whole fact, of whose issuer and type this is the hash.
#[inline]
pub(crate) fn fact(fact_type: u64, value: &str) -> u64 {
    STATE.hash_one((fact_type, value))
}

#[inline]
pub(super) fn edge(parent: u32, segment: &str) -> u64 {
    STATE.hash_one((parent, segment))
}

#[inline]
pub(super) fn claim(claim_type: &str, value: &str) -> u64 {
    STATE.hash_one((claim_type, value))
}

#[inline]
pub(super) fn key(unit: u32, claim: u32, fact: u64) -> u64 {
    STATE.hash_one((unit, claim, fact))
}
