//! The instance's end of the network: its address, and port 222, which is ours from the first moment to the last.

use std::{
    net::{Ipv4Addr, SocketAddrV4},
    os::fd::OwnedFd,
    path::Path,
};

use rustix::net::{
    AddressFamily, Shutdown, SocketFlags, SocketType, bind, listen, shutdown, socket_with,
    sockopt::set_socket_reuseaddr,
};

use crate::im::{
    ImError,
    error::Context,
    network::{INSIDE, SSH_PORT, ip, sysctl},
};

/// Configures our network namespace once the instance's end of the pair is in it.
pub async fn configure(host: Ipv4Addr, address: Ipv4Addr) -> Result<(), ImError> {
    // The agent and the job bind low ports without any capability over this namespace.
    sysctl("net/ipv4/ip_unprivileged_port_start", "0")?;
    for name in ["net/ipv6/conf/all/disable_ipv6", "net/ipv6/conf/default/disable_ipv6"] {
        if Path::new("/proc/sys").join(name).exists() {
            sysctl(name, "1")?;
        }
    }
    ip(&format!(
        "link set lo up\naddr add {address}/31 dev {INSIDE}\nlink set {INSIDE} up\nroute add default via {host}\n"
    ))
    .await
}

/// Port 222 of the instance: bound as long as the instance lives, so that the job cannot squat on it; it listens only
/// while SSH is on.
#[derive(Debug)]
pub struct SshPort {
    socket: OwnedFd,
}

impl SshPort {
    /// Takes the port in this process's network namespace.
    pub fn take() -> Result<Self, ImError> {
        let what = || format!("bind port {SSH_PORT} of the instance");
        let socket = socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC, None).context(what)?;
        bind(&socket, &SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, SSH_PORT)).context(what)?;
        Ok(Self { socket })
    }

    /// Listens; connections wait in the kernel until an agent takes them.
    ///
    /// Connections of an earlier time may still be closing, and must not be in the way; they have inherited the option.
    /// While the port is closed it is off, for then whoever sets it too could share the port.
    pub fn open(&self) -> Result<(), ImError> {
        let what = || format!("listen on port {SSH_PORT} of the instance");
        set_socket_reuseaddr(&self.socket, true).context(what)?;
        listen(&self.socket, 64).context(what)
    }

    /// Ends listening at once, for everyone who has the descriptor too. The port stays ours.
    pub fn close(&self) {
        // It fails if the socket does not listen, which is as well.
        let _not_listening = shutdown(&self.socket, Shutdown::Both);
        let _unlikely = set_socket_reuseaddr(&self.socket, false);
    }

    /// For the agent.
    pub fn descriptor(&self) -> &OwnedFd {
        &self.socket
    }
}
