//! Networks that `inCidr` tests for (reference sections 3 and 5; RFC 4632, RFC 4291).

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

/// An IPv4 or IPv6 network. An IPv4-mapped IPv6 address or network counts as IPv4.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Network {
    // INVARIANT (no host bits): every bit of `base` behind the first `prefix` is zero; `prefix` fits the family.
    base: IpAddr,
    prefix: u8,
}

/// Why a text is no network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NetworkError {
    /// The part before `/` is no address.
    #[error("this is no IPv4 or IPv6 address")]
    Address,
    /// The part behind `/` is no number of bits that this kind of address has.
    #[error("behind `/` stands the number of fixed bits, at most {max} here")]
    Prefix {
        /// 32 or 128.
        max: u8,
    },
    /// The address has bits behind the prefix.
    #[error("the address has bits behind the first {prefix}; the network is `{base}/{prefix}`")]
    HostBits {
        /// The network's own address.
        base: IpAddr,
        /// How many bits are fixed.
        prefix: u8,
    },
}

impl Network {
    /// Reads `10.0.0.0/8`, `2001:db8::/32`, or one address.
    ///
    /// ```
    /// use gatehouse::syntax::cidr::Network;
    ///
    /// let network = Network::parse("10.0.0.0/8")?;
    /// assert!(network.contains("::ffff:10.1.2.3".parse().unwrap()));
    /// assert!(Network::parse("10.0.0.1/8").is_err());
    /// # Ok::<(), gatehouse::syntax::cidr::NetworkError>(())
    /// ```
    pub fn parse(text: &str) -> Result<Self, NetworkError> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| NetworkError::Address)?;
        let max = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match bits {
            Some(bits) => prefix_length(bits).filter(|it| *it <= max).ok_or(NetworkError::Prefix { max })?,
            None => max,
        };
        let base = masked(address, prefix);
        if base != address {
            return Err(NetworkError::HostBits { base, prefix });
        }
        Ok(Self::canonical(base, prefix))
    }

    /// Whether the address lies in the network.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_ipv4() == self.base.is_ipv4() && masked(address, self.prefix) == self.base
    }

    fn canonical(base: IpAddr, prefix: u8) -> Self {
        // `::ffff:a.b.c.d/96+n` is `a.b.c.d/n`. A mapped base with a shorter prefix has host bits and never gets here.
        match (base.to_canonical(), prefix.checked_sub(96)) {
            (mapped @ IpAddr::V4(_), Some(rest)) if base.is_ipv6() => Self { base: mapped, prefix: rest },
            _ => Self { base, prefix },
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.base, self.prefix)
    }
}

/// An address as a fact has it: the whole text, nothing around it.
pub fn parse_address(text: &str) -> Option<IpAddr> {
    text.parse().ok()
}

// `u8::from_str` would take `+8` and `08`.
fn prefix_length(text: &str) -> Option<u8> {
    let plain = text.bytes().all(|it| it.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    text.parse().ok().filter(|_| plain)
}

fn masked(address: IpAddr, prefix: u8) -> IpAddr {
    match address {
        IpAddr::V4(it) => {
            let mask = u32::MAX.checked_shl(32_u32.saturating_sub(prefix.into())).unwrap_or(0);
            Ipv4Addr::from_bits(it.to_bits() & mask).into()
        }
        IpAddr::V6(it) => {
            let mask = u128::MAX.checked_shl(128_u32.saturating_sub(prefix.into())).unwrap_or(0);
            Ipv6Addr::from_bits(it.to_bits() & mask).into()
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::syntax::cidr::{Network, NetworkError};

    fn contains(network: &str, address: &str) -> bool {
        Network::parse(network).unwrap().contains(address.parse().unwrap())
    }

    #[test]
    fn addresses_lie_in_their_networks() {
        assert!(contains("0.0.0.0/0", "255.255.255.255"));
        assert!(contains("10.0.0.0/31", "10.0.0.1"));
        assert!(!contains("10.0.0.0/31", "10.0.0.2"));
        assert!(contains("192.0.2.7", "192.0.2.7"));
        assert!(!contains("192.0.2.7", "192.0.2.6"));
        assert!(contains("2001:db8::/32", "2001:db8:ffff::1"));
        assert!(contains("::/0", "::1"));
    }

    #[test]
    fn a_mapped_address_is_an_ipv4_address() {
        assert!(contains("10.0.0.0/8", "::ffff:10.0.0.1"));
        assert!(contains("::ffff:10.0.0.0/104", "10.0.0.1"));
        assert!(contains("::ffff:0.0.0.0/96", "10.0.0.1"));
        assert!(!contains("::/0", "::ffff:10.0.0.1"));
        assert!(!contains("::/0", "10.0.0.1"));
        assert!(!contains("0.0.0.0/0", "::1"));
    }

    #[test]
    fn what_is_written_is_read_as_the_same() {
        for text in
            ["10.0.0.0/8", "192.0.2.7", "::/0", "2001:db8::/32", "::1", "::ffff:10.0.0.0/104", "::ffff:0.0.0.0/96"]
        {
            let network = Network::parse(text).unwrap();
            assert_eq!(Network::parse(&network.to_string()), Ok(network), "{text}");
        }
    }

    #[test]
    fn bad_networks_are_refused() {
        for text in [
            "",
            "10",
            "10.0.0",
            "10.0.0.0/33",
            "10.0.0.0/+8",
            "10.0.0.0/08",
            "10.0.0.0/",
            "10.0.0.0/8/8",
            "010.0.0.0/8",
            "::/129",
            "fe80::1%eth0",
            "::ffff:0.0.0.0/95",
            " 10.0.0.0",
        ] {
            assert!(Network::parse(text).is_err(), "{text:?}");
        }
        let base = "10.0.0.0".parse().unwrap();
        assert_eq!(Network::parse("10.0.0.1/8"), Err(NetworkError::HostBits { base, prefix: 8 }));
    }
}
