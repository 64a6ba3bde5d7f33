//! Pairs of addresses: one /31 (RFC 3021) for each slot of a private network.

use std::net::Ipv4Addr;

use crate::im::ImError;

/// The two addresses of a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pair {
    slot: u32,
    first: u32,
}

impl Pair {
    /// The pair of a slot, if the network has that many.
    pub fn new(network: (Ipv4Addr, u8), slot: u32) -> Result<Self, ImError> {
        let (base, length) = network;
        let bits = 31_u32.checked_sub(length.into());
        let slots = bits.and_then(|it| 1_u32.checked_shl(it)).ok_or(ImError::Exhausted("address"))?;
        let offset = slot.checked_mul(2).filter(|_| slot < slots).ok_or(ImError::Exhausted("address"))?;
        let first = base.to_bits().checked_add(offset).ok_or(ImError::Exhausted("address"))?;
        Ok(Self { slot, first })
    }

    /// Which slot.
    pub fn slot(self) -> u32 {
        self.slot
    }

    /// The host's end.
    pub fn host(self) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.first)
    }

    /// The instance's end.
    pub fn instance(self) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.first | 1)
    }
}

/// The hardware address of an end, always the same for an address, so that no neighbour table is ever stale.
///
/// `02` marks it as locally administered (IEEE 802).
pub fn mac(address: Ipv4Addr) -> String {
    let [a, b, c, d] = address.octets();
    format!("02:67:{a:02x}:{b:02x}:{c:02x}:{d:02x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_disjoint_and_end_with_the_network() {
        let network = (Ipv4Addr::new(10, 222, 0, 0), 30);
        let first = Pair::new(network, 0).unwrap();
        let second = Pair::new(network, 1).unwrap();
        assert_eq!((first.host(), first.instance()), (Ipv4Addr::new(10, 222, 0, 0), Ipv4Addr::new(10, 222, 0, 1)));
        assert_eq!((second.host(), second.instance()), (Ipv4Addr::new(10, 222, 0, 2), Ipv4Addr::new(10, 222, 0, 3)));
        assert!(Pair::new(network, 2).is_err());
        assert!(Pair::new((Ipv4Addr::UNSPECIFIED, 32), 0).is_err());
    }

    #[test]
    fn hardware_address_is_the_addresss() {
        assert_eq!(mac(Ipv4Addr::new(10, 222, 1, 255)), "02:67:0a:de:01:ff");
    }
}
