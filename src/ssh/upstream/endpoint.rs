//! Where an instance's SSH server is, and the one key that may answer there.

use std::net::{IpAddr, SocketAddr};

use russh::keys::PublicKey;
use thiserror::Error;
use uuid::Uuid;

/// Public ports are high ones, so that no report of a manager can lead the dialer to a service of the host's own.
const PORT_MIN: u16 = 1024;

/// An address and a pinned host key.
///
/// Made only of what the fleet has located, never of a request: a user's text cannot choose where the API server dials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    instance: Uuid,
    // INVARIANT (endpoint): an address that may be of a manager, its port at least `PORT_MIN`.
    address: SocketAddr,
    host_key: PublicKey,
}

/// Why something is no endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum EndpointError {
    /// A privileged port.
    #[error("port {0} is no public port of an instance")]
    Port(u16),
    /// Unspecified, multicast, broadcast or link-local.
    #[error("the address of the instance manager is no unicast address")]
    Address,
    /// Not in the OpenSSH format.
    #[error("the instance's host key is malformed")]
    HostKey,
}

/// Whether an instance manager can be reached there: by a unicast address that means the same on every link. Clouds serve
/// their metadata, credentials too, at link-local ones.
pub fn may_be_of_manager(address: IpAddr) -> bool {
    let address = address.to_canonical();
    let local = match address {
        IpAddr::V4(it) => it.is_broadcast() || it.is_link_local(),
        IpAddr::V6(it) => it.is_unicast_link_local(),
    };
    !local && !address.is_unspecified() && !address.is_multicast()
}

impl Endpoint {
    /// A located instance, its public port, and its host key in the OpenSSH format.
    pub fn new(instance: Uuid, address: SocketAddr, host_key: &str) -> Result<Endpoint, EndpointError> {
        if address.port() < PORT_MIN {
            return Err(EndpointError::Port(address.port()));
        }
        if !may_be_of_manager(address.ip()) {
            return Err(EndpointError::Address);
        }
        let mut host_key = PublicKey::from_openssh(host_key).map_err(|_| EndpointError::HostKey)?;
        // A comment is no part of the key.
        host_key.set_comment("");
        Ok(Endpoint { instance, address, host_key })
    }

    /// Which instance is there.
    pub fn instance(&self) -> Uuid {
        self.instance
    }

    /// Where to dial.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The only key that may answer.
    pub(in crate::ssh) fn host_key(&self) -> &PublicKey {
        &self.host_key
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ agent";

    #[test]
    fn only_high_ports_of_unicast_addresses_are_endpoints() {
        let of = |text: &str| Endpoint::new(Uuid::nil(), text.parse().unwrap(), KEY).map(|it| it.address().port());
        assert_eq!(of("10.0.0.1:1024"), Ok(1024));
        assert_eq!(of("[::1]:65535"), Ok(65535));
        assert_eq!(of("10.0.0.1:1023"), Err(EndpointError::Port(1023)));
        assert_eq!(of("10.0.0.1:222"), Err(EndpointError::Port(222)));
        assert_eq!(of("0.0.0.0:20000"), Err(EndpointError::Address));
        assert_eq!(of("[::]:20000"), Err(EndpointError::Address));
        assert_eq!(of("224.0.0.1:20000"), Err(EndpointError::Address));
        assert_eq!(of("255.255.255.255:20000"), Err(EndpointError::Address));
        // Link-local addresses are those of nobody's instances, and of clouds' metadata.
        for address in ["169.254.169.254", "[fe80::1]", "[::ffff:169.254.169.254]", "[::ffff:0.0.0.0]"] {
            assert_eq!(of(&format!("{address}:20000")), Err(EndpointError::Address), "{address}");
        }
    }

    #[test]
    fn a_malformed_host_key_is_refused() {
        let address = "10.0.0.1:20000".parse().unwrap();
        for key in ["", "ssh-ed25519", "ssh-ed25519 AAAA", "ssh-rsa AAAAC3NzaC1lZDI1NTE5AAAAIA=="] {
            assert_eq!(Endpoint::new(Uuid::nil(), address, key), Err(EndpointError::HostKey), "{key}");
        }
    }
}
