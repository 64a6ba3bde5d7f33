//! Public ports, reserved by sockets that are bound but never listen.

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddrV4},
    os::fd::OwnedFd,
    time::{Duration, Instant},
};

use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, socket_with};

use crate::im::ImError;

/// How long a released port stays closed, so that who still tries it does not meet another instance.
const REST: Duration = Duration::from_mins(2);

/// The ports of one manager.
#[derive(Debug)]
pub struct Ports {
    first: u16,
    last: u16,
    next: u16,
    reserved: BTreeMap<u16, Option<OwnedFd>>,
    resting: BTreeMap<u16, (Instant, Option<OwnedFd>)>,
}

impl Ports {
    /// `first` to `last`, both within 1024 to 65535.
    pub fn new((first, last): (u16, u16)) -> Result<Self, ImError> {
        if first < 1024 || last < first {
            return Err(ImError::Unusable(format!("`{first}-{last}` is no range of ports within 1024 to 65535")));
        }
        Ok(Self { first, last, next: first, reserved: BTreeMap::new(), resting: BTreeMap::new() })
    }

    /// Reserves the next port that nobody on the host has.
    pub fn reserve(&mut self, now: Instant) -> Result<u16, ImError> {
        self.resting.retain(|_, (since, _)| now.saturating_duration_since(*since) < REST);
        for _ in self.first..=self.last {
            let port = self.next;
            self.next = if port == self.last { self.first } else { port.saturating_add(1) };
            if self.reserved.contains_key(&port) || self.resting.contains_key(&port) {
                continue;
            }
            if let Ok(socket) = hold(port) {
                self.reserved.insert(port, Some(socket));
                return Ok(port);
            }
        }
        Err(ImError::Exhausted("public port"))
    }

    /// Takes up a port that an instance already has.
    ///
    /// While no manager ran another program may have bound it; the packet filter comes before that, so it is still ours.
    pub fn adopt(&mut self, port: u16) {
        self.reserved.insert(port, hold(port).ok());
    }

    /// Lets a port rest; call it when nothing leads through it any more.
    pub fn release(&mut self, port: u16, now: Instant) {
        if let Some(socket) = self.reserved.remove(&port) {
            self.resting.insert(port, (now, socket));
        }
    }
}

/// Bound without `SO_REUSEADDR` and without listening: nobody else can bind it, and nothing answers.
fn hold(port: u16) -> Result<OwnedFd, rustix::io::Errno> {
    let socket = socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    bind(&socket, &SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, port))?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn reserved_port_cannot_be_bound_by_others_and_rests_after_release() {
        let base = TcpListener::bind("0.0.0.0:0").unwrap().local_addr().unwrap().port();
        let mut ports = Ports::new((base, base)).unwrap();
        let now = Instant::now();
        assert_eq!(ports.reserve(now).unwrap(), base);
        assert!(TcpListener::bind(("0.0.0.0", base)).is_err());
        assert!(ports.reserve(now).is_err());
        ports.release(base, now);
        assert!(ports.reserve(now).is_err(), "it rests");
        assert!(TcpListener::bind(("0.0.0.0", base)).is_err());
        assert_eq!(ports.reserve(now + REST).unwrap(), base);
    }

    #[test]
    fn port_of_another_program_is_passed_over() {
        let taken = TcpListener::bind("0.0.0.0:0").unwrap();
        let port = taken.local_addr().unwrap().port();
        assert!(Ports::new((port, port)).unwrap().reserve(Instant::now()).is_err());
    }

    #[test]
    fn low_or_turned_ranges_are_refused() {
        assert!(Ports::new((22, 2000)).is_err());
        assert!(Ports::new((3000, 2000)).is_err());
    }
}
