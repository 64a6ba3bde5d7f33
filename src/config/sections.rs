//! The sections of the file.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
    str::FromStr,
};

use serde::{Deserialize, Serialize};

/// `[router]`: the door for clients.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Router {
    /// Address and port for clients. Default `127.0.0.1:8443`.
    pub listen: SocketAddr,
    /// PEM file of the certificate chain that clients see, leaf first. Without it and `key`, `apcd all` makes a local
    /// authority and a certificate for `names`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<PathBuf>,
    /// PEM file of its private key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<PathBuf>,
    /// Names and addresses in a certificate made here. Default `localhost`, `127.0.0.1`, `::1`.
    pub names: Vec<String>,
    /// `host:port` of each API server's `api.cluster_listen`; empty in `apcd all`, which has its own.
    pub api: Vec<String>,
    /// `host:port` of `auth.cluster_listen`; absent in `apcd all`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth: Option<String>,
    /// Milliseconds between health checks of an API server. Default 1,000.
    pub check_ms: u64,
    /// Milliseconds for TLS with a client. Default 5,000.
    pub handshake_ms: u64,
    /// Milliseconds for a request's head, and so for an idle connection. Default 5,000.
    pub head_ms: u64,
    /// Milliseconds from a request's head to the head of its answer; a tunnel is dialled in that time. Default 60,000.
    pub response_ms: u64,
    /// Bytes of a request's body; packages aside. Default 8 MiB.
    pub body_bytes_max: u64,
    /// Bytes of an imported package. Default 16 GiB.
    pub package_bytes_max: u64,
    /// Connections in all. Default 4,096.
    pub connections_max: usize,
    /// Connections that have not yet sent a head. Default 256.
    pub half_open_max: usize,
    /// The same from one address (IPv6: from one /64). Default 32.
    pub half_open_source_max: usize,
    /// Milliseconds that sessions may go on after a stop was asked for. Default 2,000.
    pub drain_ms: u64,
}

impl Default for Router {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8443)),
            certificate: None,
            key: None,
            names: ["localhost", "127.0.0.1", "::1"].map(str::to_owned).to_vec(),
            api: Vec::new(),
            auth: None,
            check_ms: 1_000,
            handshake_ms: 5_000,
            head_ms: 5_000,
            response_ms: 60_000,
            body_bytes_max: 8 * 1024 * 1024,
            package_bytes_max: 16 * 1024 * 1024 * 1024,
            connections_max: 4_096,
            half_open_max: 256,
            half_open_source_max: 32,
            drain_ms: 2_000,
        }
    }
}

/// `[api]`: API servers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Api {
    /// Names this API server in session ids and in its certificate, `[A-Za-z0-9-]{1,31}`. Default `api-1`.
    pub id: String,
    /// Address and port for routers and instance managers on other hosts, by mutual TLS. Absent: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster_listen: Option<SocketAddr>,
    /// Addresses from which this server dials instances; others are kept from their ports. Default `127.0.0.1`.
    pub addresses: Vec<IpAddr>,
    /// Milliseconds without word from the store after which new sessions are refused. Default 10,000.
    pub stale_refuse_ms: u64,
    /// Milliseconds without word from the store after which live sessions end. Default 60,000.
    pub stale_end_ms: u64,
    /// Milliseconds to reach an instance's port 222. Default 5,000.
    pub dial_ms: u64,
    /// Milliseconds without word from an instance manager after which its instances count as unknown. Default 30,000.
    pub im_silent_ms: u64,
}

impl Default for Api {
    fn default() -> Self {
        Self {
            id: "api-1".to_owned(),
            cluster_listen: None,
            addresses: vec![IpAddr::V4(Ipv4Addr::LOCALHOST)],
            stale_refuse_ms: 10_000,
            stale_end_ms: 60_000,
            dial_ms: 5_000,
            im_silent_ms: 30_000,
        }
    }
}

/// `[auth]`: logins, tokens, policy documents.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Auth {
    /// Address and port for routers on other hosts, by mutual TLS. Absent: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster_listen: Option<SocketAddr>,
    /// Name of the user who may do everything in a new cluster. Default `admin`.
    pub first_admin: String,
    /// Time zone of `time.*` in policy: `UTC`, an offset (`+02:00`), a name of the time zone database
    /// (`Europe/Berlin`, read from `/usr/share/zoneinfo`), or a POSIX rule. Default `UTC`.
    pub zone: String,
    /// Seconds that a token is good for at most; policy may shorten it (`tokenTimeout`). Default 86,400.
    pub token_seconds: u64,
    /// Seconds that a join token is good for. Default 3,600.
    pub join_seconds: u64,
    /// Seconds that a component's certificate is good for; it is renewed at half time. Default 86,400.
    pub component_seconds: u64,
}

impl Default for Auth {
    fn default() -> Self {
        Self {
            cluster_listen: None,
            first_admin: "admin".to_owned(),
            zone: "UTC".to_owned(),
            token_seconds: 86_400,
            join_seconds: 3_600,
            component_seconds: 86_400,
        }
    }
}

/// `[im]`: the manager of this host's instances.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Im {
    /// Whether `apcd all` has an instance manager of its own. Default true.
    pub enabled: bool,
    /// Address at which API servers reach the public ports. Default `127.0.0.1`.
    pub address: IpAddr,
    /// First and last public port, within 1024 to 65535. Default `20000-29999`.
    pub ports: PortRange,
    /// The static `apc-agent`. Absent: the one beside `apcd`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<PathBuf>,
    /// The OCI runtime. Default `runc`.
    pub runtime: PathBuf,
    /// `host:port` of each API server's `api.cluster_listen`; empty in `apcd all`.
    pub api: Vec<String>,
    /// Folder of layers and instances. Absent: `im` in the state folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<PathBuf>,
    /// First user id of the instances' ranges of 65,536. Default 1,879,048,192.
    pub uid_base: u32,
    /// Private IPv4 network of the instances. Default `10.222.0.0/16`.
    pub network: String,
    /// Folder of the cgroup tree under which instances lie. Default `gatehouse`.
    pub cgroup: String,
    /// Whether a clean stop removes all instances. Default false: they outlive the manager.
    pub stop_instances_on_exit: bool,
}

impl Default for Im {
    fn default() -> Self {
        Self {
            enabled: true,
            address: IpAddr::V4(Ipv4Addr::LOCALHOST),
            ports: PortRange { first: 20_000, last: 29_999 },
            agent: None,
            runtime: PathBuf::from("runc"),
            api: Vec::new(),
            state: None,
            uid_base: 0x7000_0000,
            network: "10.222.0.0/16".to_owned(),
            cgroup: "gatehouse".to_owned(),
            stop_instances_on_exit: false,
        }
    }
}

impl Im {
    /// Address and prefix length of `network`; none where it is not valid, which a checked configuration's is.
    pub fn private_network(&self) -> Option<(Ipv4Addr, u8)> {
        crate::config::validate::private_network(&self.network)
    }
}

/// `[console]`: console clones.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Console {
    /// Milliseconds that a clone lives without renewal. Default 30,000.
    pub lease_ms: u64,
    /// Milliseconds for a clone to run. Default 60,000.
    pub start_ms: u64,
}

impl Default for Console {
    fn default() -> Self {
        Self { lease_ms: 30_000, start_ms: 60_000 }
    }
}

/// `[sessions]`: live sessions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sessions {
    /// Milliseconds between keepalives; three unanswered end a session. Default 20,000.
    pub keepalive_ms: u64,
    /// Sessions of one API server. Default 1,000.
    pub sessions_max: usize,
    /// Sessions of one principal. Default 50.
    pub sessions_principal_max: usize,
}

impl Default for Sessions {
    fn default() -> Self {
        Self { keepalive_ms: 20_000, sessions_max: 1_000, sessions_principal_max: 50 }
    }
}

/// `[audit]`: the audit log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Audit {
    /// Bytes that must be free on the state folder's disk; with less, everything that must be recorded is refused, and
    /// what goes on has room to be written. Default 64 MiB.
    pub free_bytes_min: u64,
}

impl Default for Audit {
    fn default() -> Self {
        Self { free_bytes_min: 64 * 1024 * 1024 }
    }
}

/// A range of ports, both ends included; written `20000-29999`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PortRange {
    /// Lowest.
    pub first: u16,
    /// Highest.
    pub last: u16,
}

impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.first, self.last)
    }
}

impl FromStr for PortRange {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let range = text.split_once('-').and_then(|(first, last)| {
            Some(Self { first: first.trim().parse().ok()?, last: last.trim().parse().ok()? })
        });
        range.ok_or_else(|| "expected a range of ports such as `20000-29999`".to_owned())
    }
}

impl TryFrom<String> for PortRange {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<PortRange> for String {
    fn from(range: PortRange) -> Self {
        range.to_string()
    }
}
