//! Headers from hop to hop.

use std::net::IpAddr;

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};

/// Headers that are for one hop only (RFC 9110 section 7.6.1), and `Expect`, which hyper answers itself.
const ONE_HOP: [HeaderName; 8] = [
    header::CONNECTION,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::EXPECT,
];

/// The same, without a constant of their own.
const ONE_HOP_NAMES: [&str; 3] = ["keep-alive", "proxy-connection", "http2-settings"];

/// Headers by which a client could pretend to be elsewhere or to be somebody else.
const PRETENCES: [&str; 6] = ["forwarded", "x-real-ip", "x-client-ip", "true-client-ip", "client-ip", "via"];

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Makes a client's headers those of the next hop: the client's address is what the socket says and nothing else.
pub(in crate::router) fn inbound(headers: &mut HeaderMap, client: Option<IpAddr>) {
    one_hop(headers);
    let pretended: Vec<HeaderName> = headers
        .keys()
        .filter(|name| name.as_str().starts_with("x-forwarded-") || PRETENCES.contains(&name.as_str()))
        .cloned()
        .collect();
    for name in pretended {
        headers.remove(name);
    }
    let address = client.and_then(|it| HeaderValue::try_from(it.to_canonical().to_string()).ok());
    if let Some(address) = address {
        headers.insert(FORWARDED_FOR, address);
    }
}

/// Makes an answer's headers those of the hop to the client.
pub(in crate::router) fn outbound(headers: &mut HeaderMap) {
    one_hop(headers);
}

/// Says that the next hop shall become, or has become, a WebSocket.
pub(in crate::router) fn upgrading(headers: &mut HeaderMap) {
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
}

/// What a request wants to become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::router) enum Wish {
    /// Nothing.
    None,
    /// A WebSocket, said in full.
    WebSocket,
    /// Anything else, or a WebSocket by halves.
    Other,
}

/// Reads `Connection` and `Upgrade` together.
pub(in crate::router) fn wish(headers: &HeaderMap) -> Wish {
    let connection = tokens(headers, &header::CONNECTION).any(|it| it.eq_ignore_ascii_case("upgrade"));
    let mut upgrades = headers.get_all(header::UPGRADE).iter();
    match (connection, upgrades.next(), upgrades.next()) {
        (false, None, None) => Wish::None,
        (true, Some(one), None) if one.as_bytes().eq_ignore_ascii_case(b"websocket") => Wish::WebSocket,
        _ => Wish::Other,
    }
}

fn one_hop(headers: &mut HeaderMap) {
    // Those that `Connection` names, except what must not be taken away by being named.
    let kept = [header::AUTHORIZATION, header::HOST, header::CONTENT_LENGTH, header::CONTENT_TYPE];
    let named: Vec<HeaderName> = tokens(headers, &header::CONNECTION)
        .filter_map(|it| HeaderName::try_from(it).ok())
        .filter(|it| !kept.contains(it))
        .collect();
    for name in named.into_iter().chain(ONE_HOP) {
        headers.remove(name);
    }
    for name in ONE_HOP_NAMES {
        headers.remove(name);
    }
}

/// The words of a header that is a list.
fn tokens<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    headers.get_all(name).iter().filter_map(|it| it.to_str().ok()).flat_map(|it| it.split(',')).map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&str, &str)]) -> HeaderMap {
        lines.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn nothing_of_one_hop_and_nothing_pretended_is_passed_on() {
        let mut given = headers(&[
            ("authorization", "Bearer x"),
            ("host", "gate"),
            ("apc-open", "e30"),
            ("connection", "keep-alive, X-Secret, Authorization, content-length"),
            ("x-secret", "1"),
            ("content-length", "3"),
            ("keep-alive", "5"),
            ("transfer-encoding", "chunked"),
            ("te", "trailers"),
            ("upgrade", "h2c"),
            ("proxy-connection", "x"),
            ("expect", "100-continue"),
            ("x-forwarded-for", "10.0.0.1"),
            ("x-forwarded-for", "10.0.0.2"),
            ("x-forwarded-host", "x"),
            ("x-forwarded-anything", "x"),
            ("forwarded", "for=10.0.0.1"),
            ("x-real-ip", "10.0.0.1"),
        ]);
        inbound(&mut given, Some("::ffff:192.0.2.7".parse().unwrap()));
        let expected = headers(&[
            ("authorization", "Bearer x"),
            ("host", "gate"),
            ("apc-open", "e30"),
            ("content-length", "3"),
            ("x-forwarded-for", "192.0.2.7"),
        ]);
        assert_eq!(given, expected);
    }

    #[test]
    fn only_a_whole_wish_is_one() {
        for (lines, expected) in [
            (&[][..], Wish::None),
            (&[("connection", "keep-alive")], Wish::None),
            (&[("connection", "keep-alive, Upgrade"), ("upgrade", "WebSocket")], Wish::WebSocket),
            (&[("connection", "upgrade")], Wish::Other),
            (&[("upgrade", "websocket")], Wish::Other),
            (&[("connection", "upgrade"), ("upgrade", "h2c")], Wish::Other),
            (&[("connection", "upgrade"), ("upgrade", "websocket, h2c")], Wish::Other),
            (&[("connection", "upgrade"), ("upgrade", "websocket"), ("upgrade", "h2c")], Wish::Other),
        ] {
            assert_eq!(wish(&headers(lines)), expected, "{lines:?}");
        }
    }
}
