//! Numbers of instances on this host: each has its own pair of addresses and its own range of user ids.

use std::{collections::BTreeSet, net::Ipv4Addr};

use crate::im::{ImError, Settings, network::Pair, runtime::spec::RANGE};

/// User ids end here; above lies what some programs take for negative.
const UID_END: u32 = 1 << 31;

/// Which numbers are in use.
#[derive(Debug)]
pub struct Slots {
    network: (Ipv4Addr, u8),
    uid_base: u32,
    used: BTreeSet<u32>,
    next: u32,
}

impl Slots {
    /// None in use; checks that the settings leave room for at least one.
    pub fn new(settings: &Settings) -> Result<Self, ImError> {
        let slots = Self { network: settings.network, uid_base: settings.uid_base, used: BTreeSet::new(), next: 0 };
        if settings.uid_base < RANGE {
            return Err(ImError::Unusable(format!("user ids of instances cannot begin at {}", settings.uid_base)));
        }
        slots.resources(0)?;
        Ok(slots)
    }

    /// A number that has not been in use for the longest time.
    pub fn take(&mut self) -> Result<u32, ImError> {
        // A full circle, at whose end the first is looked at again; numbers end where addresses or ids do.
        for _ in 0..=self.used.len().saturating_add(1) {
            let slot = self.next;
            self.next = match self.resources(slot.saturating_add(1)) {
                Ok(_) => slot.saturating_add(1),
                Err(_) => 0,
            };
            if self.used.insert(slot) {
                return Ok(slot);
            }
        }
        Err(ImError::Exhausted("range of user ids"))
    }

    /// Takes up the number of an instance that was found.
    pub fn adopt(&mut self, slot: u32) {
        self.used.insert(slot);
        self.next = self.next.max(slot.saturating_add(1));
        if self.resources(self.next).is_err() {
            self.next = 0;
        }
    }

    /// Gives a number back.
    pub fn release(&mut self, slot: u32) {
        self.used.remove(&slot);
    }

    /// The pair of addresses and the first user id of a number.
    pub fn resources(&self, slot: u32) -> Result<(Pair, u32), ImError> {
        let pair = Pair::new(self.network, slot)?;
        let first = slot.checked_mul(RANGE).and_then(|it| it.checked_add(self.uid_base));
        let first = first.filter(|it| it.checked_add(RANGE).is_some_and(|end| end <= UID_END));
        Ok((pair, first.ok_or(ImError::Exhausted("range of user ids"))?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    fn slots(length: u8) -> Slots {
        let mut settings = Settings::new(PathBuf::new(), PathBuf::new(), Vec::new());
        settings.network = (Ipv4Addr::new(10, 0, 0, 0), length);
        Slots::new(&settings).unwrap()
    }

    #[test]
    fn numbers_are_used_in_turn_and_never_twice() {
        let mut slots = slots(29);
        assert_eq!([slots.take().unwrap(), slots.take().unwrap()], [0, 1]);
        slots.release(0);
        assert_eq!([slots.take().unwrap(), slots.take().unwrap(), slots.take().unwrap()], [2, 3, 0]);
        assert!(slots.take().is_err());
        slots.release(2);
        assert_eq!(slots.take().unwrap(), 2);
    }

    #[test]
    fn ranges_of_user_ids_are_disjoint_and_end_in_time() {
        let slots = slots(8);
        let first = |slot| slots.resources(slot).map(|(_, uid)| uid);
        assert_eq!(first(0).unwrap() + RANGE, first(1).unwrap());
        let last = (UID_END - 0x7000_0000) / RANGE - 1;
        assert_eq!(first(last).unwrap() + RANGE, UID_END);
        assert!(first(last + 1).is_err());
    }

    #[test]
    fn adopted_number_is_not_given_again() {
        let mut slots = slots(29);
        slots.adopt(3);
        assert_eq!([slots.take().unwrap(), slots.take().unwrap(), slots.take().unwrap()], [0, 1, 2]);
        assert!(slots.take().is_err());
    }
}
