//! How many connections may stand in the doorway: in total, and from one source.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};

/// Counts connections that are not yet through TLS and their first head, so that a thousand slow ones from one place
/// take nobody else's turn. Clones count together.
#[derive(Debug, Clone)]
pub struct Admission {
    counts: Arc<Mutex<Counts>>,
    total_max: usize,
    source_max: usize,
}

#[derive(Debug, Default)]
struct Counts {
    total: usize,
    sources: HashMap<Source, usize>,
}

/// An IPv4 address or an IPv6 /64: one customer has a whole /64 to call from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Source {
    V4([u8; 4]),
    V6([u16; 4]),
}

/// A place in the doorway; given back when it drops.
#[derive(Debug)]
pub struct Ticket {
    counts: Arc<Mutex<Counts>>,
    source: Option<Source>,
}

impl Admission {
    /// At most so many in total and from one source.
    pub fn new(total_max: usize, source_max: usize) -> Self {
        Self { counts: Arc::default(), total_max, source_max }
    }

    /// A place for a connection from `address` (none: inside this process, counted in total only).
    pub fn admit(&self, address: Option<IpAddr>) -> Option<Ticket> {
        let source = address.map(source_of);
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if self.total_max <= counts.total {
            return None;
        }
        if let Some(source) = source {
            let here = counts.sources.entry(source).or_default();
            if self.source_max <= *here {
                return None;
            }
            *here = here.saturating_add(1);
        }
        counts.total = counts.total.saturating_add(1);
        Some(Ticket { counts: Arc::clone(&self.counts), source })
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.total = counts.total.saturating_sub(1);
        let Some(source) = self.source else { return };
        if let Some(here) = counts.sources.get_mut(&source) {
            *here = here.saturating_sub(1);
            if *here == 0 {
                counts.sources.remove(&source);
            }
        }
    }
}

fn source_of(address: IpAddr) -> Source {
    match address.to_canonical() {
        IpAddr::V4(it) => Source::V4(it.octets()),
        IpAddr::V6(it) => {
            let [a, b, c, d, ..] = it.segments();
            Source::V6([a, b, c, d])
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_source_cannot_take_every_place() {
        let admission = Admission::new(3, 2);
        let far = |text: &str| Some(text.parse().unwrap());
        let held: Vec<_> = (0..2).map(|_| admission.admit(far("192.0.2.1")).unwrap()).collect();
        assert!(admission.admit(far("192.0.2.1")).is_none());
        assert!(admission.admit(far("::ffff:192.0.2.1")).is_none(), "the same source, mapped");
        let other = admission.admit(far("2001:db8::1")).unwrap();
        assert!(admission.admit(far("192.0.2.9")).is_none(), "the total is reached");
        drop(held);
        assert!(admission.admit(far("2001:db8::2")).is_some(), "the same /64 has two places");
        drop(other);
        assert!(admission.counts.lock().unwrap().sources.is_empty(), "nothing is kept about those who left");
    }
}
