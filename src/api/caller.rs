//! Who calls: the router's word for the address, the bearer token for the person.

use std::{net::IpAddr, sync::Arc};

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, header, request::Parts},
};

use crate::{
    api::{Api, error::Failure},
    gate::Principal,
    link::{Peer, Role, require},
};

/// A request from someone whose token was verified, through a router.
#[derive(Debug, Clone)]
pub struct Caller {
    /// Who.
    pub principal: Principal,
    /// Their token, to be passed on to the auth role, which decides by it for itself.
    pub token: Token,
    /// The client's address as the router saw it.
    pub client: Option<IpAddr>,
}

/// A bearer token. It never shows in logs.
#[derive(Clone)]
pub struct Token(String);

impl Token {
    /// The token itself.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token")
    }
}

impl FromRequestParts<Arc<Api>> for Caller {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, api: &Arc<Api>) -> Result<Self, Failure> {
        let peer = parts.extensions.get::<Peer>().cloned().unwrap_or_default();
        require(&peer, Role::Router)?;
        let token = bearer(&parts.headers);
        let principal = api.gate.authenticate(token)?;
        let token = Token(token.unwrap_or_default().to_owned());
        Ok(Self { principal, token, client: peer.client_address(&parts.headers) })
    }
}

/// The token of `Authorization: Bearer ...`, if there is exactly one such header.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut all = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(one), None) = (all.next(), all.next()) else { return None };
    let (scheme, token) = one.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(values: &[&'static str]) -> HeaderMap {
        values.iter().map(|it| (header::AUTHORIZATION, it.parse().unwrap())).collect()
    }

    #[test]
    fn a_token_is_one_bearer_header_and_nothing_else() {
        assert_eq!(bearer(&headers(&["Bearer abc"])), Some("abc"));
        assert_eq!(bearer(&headers(&["bearer abc"])), Some("abc"));
        for none in [&[][..], &["Basic abc"], &["Bearer"], &["Bearer a", "Bearer b"]] {
            assert_eq!(bearer(&headers(none)), None, "{none:?}");
        }
    }
}
