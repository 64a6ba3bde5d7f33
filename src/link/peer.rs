//! The other side of a request, as a handler sees it.

use std::net::{IpAddr, SocketAddr};

use axum::http::HeaderMap;

use crate::{
    link::{Identity, Role},
    wire::error::ApiError,
};

/// The other side of a connection. Each request carries it as an extension.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Peer {
    /// By its certificate; none without one, and so a stranger.
    pub identity: Option<Identity>,
    /// The socket's other end; none inside one process.
    pub address: Option<SocketAddr>,
}

/// Header by which a router tells the client's address: one address, no list.
const FORWARDED_FOR: &str = "x-forwarded-for";

impl Peer {
    /// The client's address: as a router tells it, else the socket's. Nobody but a router is believed.
    pub fn client_address(&self, headers: &HeaderMap) -> Option<IpAddr> {
        let of_router = self.identity.as_ref().is_some_and(|it| it.role == Role::Router);
        if !of_router {
            return self.address.map(|it| it.ip());
        }
        let mut told = headers.get_all(FORWARDED_FOR).iter();
        match (told.next(), told.next()) {
            (Some(one), None) => one.to_str().ok()?.parse().ok(),
            _ => None,
        }
    }
}

/// The peer's identity, if it has this role.
pub fn require(peer: &Peer, role: Role) -> Result<&Identity, ApiError> {
    peer.identity.as_ref().filter(|it| it.role == role).ok_or_else(|| ApiError {
        code: "unauthorized".to_owned(),
        message: format!("only a component of role `{role}` may ask this"),
        ..ApiError::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(role: Option<Role>) -> Peer {
        let identity = role.map(|it| Identity::new(it, "a", "demo").unwrap());
        Peer { identity, address: Some("192.0.2.1:7".parse().unwrap()) }
    }

    fn told(values: &[&str]) -> HeaderMap {
        values.iter().map(|it| (FORWARDED_FOR.parse().unwrap(), it.parse().unwrap())).collect()
    }

    #[test]
    fn only_routers_are_believed_about_client_addresses() {
        let own: IpAddr = "192.0.2.1".parse().unwrap();
        let other: IpAddr = "198.51.100.9".parse().unwrap();
        assert_eq!(peer(Some(Role::Router)).client_address(&told(&["198.51.100.9"])), Some(other));
        for role in [None, Some(Role::Im), Some(Role::Api), Some(Role::Auth)] {
            assert_eq!(peer(role).client_address(&told(&["198.51.100.9"])), Some(own));
        }
    }

    #[test]
    fn a_doubtful_forwarded_address_is_none() {
        for values in [&["198.51.100.9", "10.0.0.1"][..], &["198.51.100.9, 10.0.0.1"], &["localhost"], &[]] {
            assert_eq!(peer(Some(Role::Router)).client_address(&told(values)), None, "{values:?}");
        }
    }

    #[test]
    fn another_role_is_refused() {
        assert!(require(&peer(Some(Role::Im)), Role::Im).is_ok());
        assert_eq!(require(&peer(Some(Role::Im)), Role::Api).unwrap_err().code, "unauthorized");
        assert_eq!(require(&peer(None), Role::Api).unwrap_err().code, "unauthorized");
    }
}
