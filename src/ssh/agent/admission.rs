//! Who may knock: bounds on connections that nobody is authenticated on, in all and from one address.

use std::{
    collections::BTreeMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Half-open connections in all. Real ones are half-open for milliseconds.
pub(in crate::ssh) const HALF_OPEN_MAX: usize = 64;

/// Half-open connections from one address. An instance is reached from few: those of the API servers.
pub(in crate::ssh) const HALF_OPEN_PER_SOURCE_MAX: usize = 16;

/// Counts them.
#[derive(Debug, Clone, Default)]
pub(in crate::ssh) struct Door {
    sources: Arc<Mutex<BTreeMap<IpAddr, usize>>>,
}

/// A place among the half-open; given back when dropped.
#[derive(Debug)]
pub(in crate::ssh) struct HalfOpen {
    door: Door,
    source: IpAddr,
}

impl Door {
    /// A place for a connection from this address, if there is one.
    pub(in crate::ssh) fn admit(&self, source: IpAddr) -> Option<HalfOpen> {
        let mut sources = self.sources();
        let all: usize = sources.values().sum();
        let own = sources.get(&source).copied().unwrap_or(0);
        if HALF_OPEN_MAX <= all || HALF_OPEN_PER_SOURCE_MAX <= own {
            return None;
        }
        sources.insert(source, own.saturating_add(1));
        drop(sources);
        Some(HalfOpen { door: self.clone(), source })
    }

    fn sources(&self) -> MutexGuard<'_, BTreeMap<IpAddr, usize>> {
        self.sources.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for HalfOpen {
    fn drop(&mut self) {
        let mut sources = self.door.sources();
        let left = sources.get(&self.source).copied().unwrap_or(0).saturating_sub(1);
        if left == 0 {
            sources.remove(&self.source);
        } else {
            sources.insert(self.source, left);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_source_cannot_take_all_places_and_all_sources_no_more_than_there_are() {
        let door = Door::default();
        let of = |last: u8| IpAddr::from([10, 0, 0, last]);
        let first: Vec<_> = std::iter::from_fn(|| door.admit(of(1))).collect();
        assert_eq!(first.len(), HALF_OPEN_PER_SOURCE_MAX);
        let others: Vec<_> = (2..100).filter_map(|it| door.admit(of(it))).collect();
        assert_eq!(first.len() + others.len(), HALF_OPEN_MAX);
        assert!(door.admit(of(200)).is_none());
        drop(first);
        assert!(door.admit(of(1)).is_some());
        drop(others);
        assert!(door.sources().is_empty());
    }
}
