//! Makes the kernel forget tracked connections to an instance, by netlink (`nfnetlink_conntrack.h`).

use std::{mem::MaybeUninit, net::Ipv4Addr, os::fd::OwnedFd, time::Duration};

use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink, recv, send, socket_with,
    sockopt::{Timeout, set_socket_timeout},
};

use crate::im::{ImError, error::Context};

const GET: u16 = 0x0101;
const DELETE: u16 = 0x0102;
const NEW: u16 = 0x0100;
const ERROR: u16 = 2;
const DONE: u16 = 3;

const REQUEST: u16 = 0x01;
const ACKNOWLEDGE: u16 = 0x04;
const DUMP: u16 = 0x300;

const TUPLE_ORIGINAL: u16 = 1;
const TUPLE_REPLY: u16 = 2;
const NAME: u16 = 12;

/// Forgets every TCP connection that `address` answers from `port`: packets of old clients are then nobody's.
pub fn forget(address: Ipv4Addr, port: u16) -> Result<(), ImError> {
    let what = || "forget tracked connections".to_owned();
    let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, Some(netlink::NETFILTER));
    let socket = socket.context(what)?;
    set_socket_timeout(&socket, Timeout::Recv, Some(Duration::from_secs(5))).context(what)?;
    send(&socket, &message(GET, REQUEST | DUMP, &[]), SendFlags::empty()).context(what)?;
    let mut found = Vec::new();
    receive(&socket, |kind, body| {
        if kind == NEW {
            found.extend(matching(body, address, port));
        }
    })?;
    for attributes in found {
        send(&socket, &message(DELETE, REQUEST | ACKNOWLEDGE, &attributes), SendFlags::empty()).context(what)?;
        // Whether it was still there does not matter.
        receive(&socket, |_, _| {})?;
    }
    Ok(())
}

/// A netlink message for connections of IPv4. Lengths here never come near what 32 bits hold.
fn message(kind: u16, flags: u16, attributes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(attributes.len().saturating_add(20)).unwrap_or(u32::MAX);
    let mut res = Vec::new();
    res.extend(length.to_ne_bytes());
    res.extend(kind.to_ne_bytes());
    res.extend(flags.to_ne_bytes());
    res.extend([0; 8]); // Sequence and port: one question at a time.
    res.extend([2, 0, 0, 0]); // AF_INET, version 0, resource 0.
    res.extend(attributes);
    res
}

/// Reads answers until the kernel says that there are no more.
fn receive(socket: &OwnedFd, mut each: impl FnMut(u16, &[u8])) -> Result<(), ImError> {
    let mut buffer = vec![MaybeUninit::<u8>::uninit(); 64 * 1024];
    loop {
        let ((bytes, _), _) =
            recv(socket, buffer.as_mut_slice(), RecvFlags::empty()).context(|| "read from netlink".to_owned())?;
        let mut rest = &*bytes;
        while let Some((kind, body, behind)) = split(rest) {
            match kind {
                DONE | ERROR => return Ok(()),
                _ => each(kind, body),
            }
            rest = behind;
        }
    }
}

/// The first message, and what is behind it.
fn split(bytes: &[u8]) -> Option<(u16, &[u8], &[u8])> {
    let length = usize::try_from(u32::from_ne_bytes(*bytes.first_chunk()?)).ok()?;
    let kind = u16::from_ne_bytes(*bytes.get(4..)?.first_chunk()?);
    let body = bytes.get(16..length)?;
    Some((kind, body, bytes.get(aligned(length)..).unwrap_or_default()))
}

/// The attributes that name a connection, if it is one that `address` answers from `port`.
fn matching(body: &[u8], address: Ipv4Addr, port: u16) -> Option<Vec<u8>> {
    let attributes = body.get(4..)?;
    let reply = find(attributes, TUPLE_REPLY)?;
    let (addresses, protocol) = (find(reply, 1)?, find(reply, 2)?);
    let answers = find(addresses, 1)? == address.octets()
        && find(protocol, 1)? == [6]
        && find(protocol, 2)? == port.to_be_bytes();
    answers.then(|| {
        let named = each(attributes).filter(|(kind, ..)| matches!(*kind, TUPLE_ORIGINAL | NAME));
        named.flat_map(|(_, _, whole)| whole.to_vec()).collect()
    })
}

fn find(attributes: &[u8], wanted: u16) -> Option<&[u8]> {
    each(attributes).find(|(kind, ..)| *kind == wanted).map(|(_, value, _)| value)
}

/// Kind without the nesting flags, value, and the whole attribute with its padding.
fn each(mut attributes: &[u8]) -> impl Iterator<Item = (u16, &[u8], &[u8])> {
    std::iter::from_fn(move || {
        let length = usize::from(u16::from_ne_bytes(*attributes.first_chunk()?));
        let kind = u16::from_ne_bytes(*attributes.get(2..)?.first_chunk()?) & 0x3fff;
        let value = attributes.get(4..length)?;
        let whole = attributes.get(..aligned(length)).unwrap_or(attributes);
        attributes = attributes.get(aligned(length)..).unwrap_or_default();
        Some((kind, value, whole))
    })
}

fn aligned(length: usize) -> usize {
    length.next_multiple_of(4)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
        let mut res = u16::try_from(value.len() + 4).unwrap().to_ne_bytes().to_vec();
        res.extend(kind.to_ne_bytes());
        res.extend(value);
        res.resize(res.len().next_multiple_of(4), 0);
        res
    }

    fn tuple(kind: u16, source: [u8; 4], port: u16) -> Vec<u8> {
        let addresses = attribute(1 | 0x8000, &[attribute(1, &source), attribute(2, &[127, 0, 0, 1])].concat());
        let protocol = [attribute(1, &[6]), attribute(2, &port.to_be_bytes()), attribute(3, &[0, 1])].concat();
        attribute(kind | 0x8000, &[addresses, attribute(2 | 0x8000, &protocol)].concat())
    }

    #[test]
    fn only_the_instances_connections_match() {
        let original = tuple(TUPLE_ORIGINAL, [127, 0, 0, 1], 40_000);
        let body = [vec![2, 0, 0, 0], original.clone(), tuple(TUPLE_REPLY, [10, 0, 0, 1], 222), attribute(3, &[0; 4])]
            .concat();
        assert_eq!(matching(&body, Ipv4Addr::new(10, 0, 0, 1), 222), Some(original));
        assert_eq!(matching(&body, Ipv4Addr::new(10, 0, 0, 2), 222), None);
        assert_eq!(matching(&body, Ipv4Addr::new(10, 0, 0, 1), 223), None);
    }

    #[test]
    fn truncated_messages_end_the_reading() {
        let whole = message(GET, 0, &tuple(TUPLE_REPLY, [1, 2, 3, 4], 1));
        assert!(split(&whole).is_some());
        for length in 0..whole.len() {
            assert!(split(&whole[..length]).is_none());
        }
        for length in 0..40 {
            let _ = each(&tuple(TUPLE_REPLY, [1, 2, 3, 4], 1)[..length]).count();
        }
    }

    #[test]
    fn forgetting_what_is_not_there_is_no_error() {
        if rustix::process::geteuid().is_root() {
            forget(Ipv4Addr::new(203, 0, 113, 9), 222).unwrap();
        }
    }
}
