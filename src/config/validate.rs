//! What a configuration must be beyond its types: each refusal names the key and the way out.

use std::net::Ipv4Addr;

use crate::config::{Config, ConfigError};

impl Config {
    /// Checks values and what they must be to each other.
    pub fn validate(&self) -> Result<(), ConfigError> {
        self.names()?;
        self.certificates()?;
        self.addresses()?;
        self.instances()?;
        self.durations()?;
        self.bounds()?;
        self.auth.time_zone().map(drop)
    }

    fn names(&self) -> Result<(), ConfigError> {
        word("cluster", &self.cluster, 64, "._-")?;
        // A session id is `<api id>-<32 hex digits>` and has at most 64 bytes.
        word("api.id", &self.api.id, 31, "-")?;
        if self.auth.first_admin.is_empty() || self.auth.first_admin.chars().any(char::is_control) {
            return refuse("auth.first_admin", "must be a user's name");
        }
        if self.state.as_os_str().is_empty() {
            return refuse("state", "is empty; give a folder that only this program writes to");
        }
        Ok(())
    }

    fn certificates(&self) -> Result<(), ConfigError> {
        match (&self.router.certificate, &self.router.key) {
            (Some(_), None) => refuse("router.key", "is missing; `router.certificate` needs its private key"),
            (None, Some(_)) => refuse("router.certificate", "is missing; `router.key` belongs to a certificate"),
            (None, None) if self.router.names.is_empty() => {
                refuse("router.names", "is empty; name the hosts by which clients reach the router")
            }
            (None, None) | (Some(_), Some(_)) => Ok(()),
        }
    }

    fn addresses(&self) -> Result<(), ConfigError> {
        for address in &self.router.api {
            host_and_port("router.api", address)?;
        }
        for address in &self.im.api {
            host_and_port("im.api", address)?;
        }
        if let Some(address) = &self.router.auth {
            host_and_port("router.auth", address)?;
        }
        if self.api.addresses.is_empty() {
            return refuse("api.addresses", "is empty; without an address of ours no instance lets us in");
        }
        if self.im.address.is_unspecified() {
            return refuse("im.address", "must be an address that API servers can dial, not an unspecified one");
        }
        Ok(())
    }

    fn instances(&self) -> Result<(), ConfigError> {
        let ports = self.im.ports;
        if ports.first < 1024 || ports.last < ports.first {
            return refuse("im.ports", "must be a range within 1024 to 65535, the lower port first");
        }
        let listens = [Some(self.router.listen), self.api.cluster_listen, self.auth.cluster_listen];
        if listens.into_iter().flatten().any(|it| (ports.first..=ports.last).contains(&it.port())) {
            return refuse("im.ports", "must not hold a port on which a role listens");
        }
        if private_network(&self.im.network).is_none() {
            return refuse(
                "im.network",
                "must be a private IPv4 network such as `10.222.0.0/16`, /8 to /24, no host bits",
            );
        }
        // Ranges end below 2^31: tools take larger user ids for negative ones.
        if !(65_536..=0x7f00_0000).contains(&self.im.uid_base) || !self.im.uid_base.is_multiple_of(65_536) {
            return refuse("im.uid_base", "must be a multiple of 65536 from 65536 to 2130706432");
        }
        let cgroup = &self.im.cgroup;
        if cgroup.split('/').any(|it| it.is_empty() || it == "." || it == "..") {
            return refuse("im.cgroup", "must be a relative path without `.` and `..`");
        }
        Ok(())
    }

    fn durations(&self) -> Result<(), ConfigError> {
        const HOUR_MS: u64 = 3_600_000;
        for (key, value) in [
            ("router.check_ms", self.router.check_ms),
            ("router.handshake_ms", self.router.handshake_ms),
            ("router.head_ms", self.router.head_ms),
            ("router.response_ms", self.router.response_ms),
            ("api.stale_refuse_ms", self.api.stale_refuse_ms),
            ("api.stale_end_ms", self.api.stale_end_ms),
            ("api.dial_ms", self.api.dial_ms),
            ("api.im_silent_ms", self.api.im_silent_ms),
            ("console.lease_ms", self.console.lease_ms),
            ("console.start_ms", self.console.start_ms),
            ("sessions.keepalive_ms", self.sessions.keepalive_ms),
        ] {
            range(key, value, 100, HOUR_MS)?;
        }
        range("router.drain_ms", self.router.drain_ms, 0, HOUR_MS)?;
        range("auth.token_seconds", self.auth.token_seconds, 60, 30 * 86_400)?;
        range("auth.join_seconds", self.auth.join_seconds, 60, 7 * 86_400)?;
        range("auth.component_seconds", self.auth.component_seconds, 600, 366 * 86_400)?;
        if self.api.stale_end_ms < self.api.stale_refuse_ms {
            return refuse("api.stale_end_ms", "must not be less than `api.stale_refuse_ms`");
        }
        Ok(())
    }

    fn bounds(&self) -> Result<(), ConfigError> {
        for (key, value) in [
            ("router.connections_max", self.router.connections_max),
            ("router.half_open_max", self.router.half_open_max),
            ("router.half_open_source_max", self.router.half_open_source_max),
            ("sessions.sessions_max", self.sessions.sessions_max),
            ("sessions.sessions_principal_max", self.sessions.sessions_principal_max),
        ] {
            if !(1..=1_000_000).contains(&value) {
                return refuse(key, "must be from 1 to 1000000");
            }
        }
        range("audit.free_bytes_min", self.audit.free_bytes_min, 0, 1 << 50)?;
        range("router.body_bytes_max", self.router.body_bytes_max, 64 * 1024, 1 << 30)?;
        range("router.package_bytes_max", self.router.package_bytes_max, 1024 * 1024, 1 << 42)
    }
}

fn word(key: &str, value: &str, bytes_max: usize, marks: &str) -> Result<(), ConfigError> {
    let good = |it: char| it.is_ascii_alphanumeric() || marks.contains(it);
    if value.is_empty() || bytes_max < value.len() || !value.chars().all(good) {
        let marks: Vec<String> = marks.chars().map(|it| format!("`{it}`")).collect();
        let problem = format!("must be 1 to {bytes_max} ASCII letters, digits and {}", marks.join(" "));
        return refuse(key, &problem);
    }
    Ok(())
}

fn host_and_port(key: &str, address: &str) -> Result<(), ConfigError> {
    let good = address.rsplit_once(':').is_some_and(|(host, port)| {
        let number = host.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
        let host_good = match number {
            Some(number) => number.parse::<std::net::Ipv6Addr>().is_ok(),
            None => !host.is_empty() && host.bytes().all(|it| it.is_ascii_alphanumeric() || b".-_".contains(&it)),
        };
        host_good && port.parse::<u16>().is_ok_and(|it| it != 0)
    });
    if good { Ok(()) } else { refuse(key, &format!("has `{address}`; write `host:port`, an IPv6 address in brackets")) }
}

/// Address and prefix length of a private network.
pub(in crate::config) fn private_network(text: &str) -> Option<(Ipv4Addr, u8)> {
    let (address, length) = text.split_once('/')?;
    let address: Ipv4Addr = address.parse().ok()?;
    let length: u8 = length.parse().ok().filter(|it| (8..=24).contains(it))?;
    let host_bits = u32::MAX.checked_shr(u32::from(length))?;
    (address.is_private() && address.to_bits() & host_bits == 0).then_some((address, length))
}

fn range(key: &str, value: u64, least: u64, most: u64) -> Result<(), ConfigError> {
    if (least..=most).contains(&value) {
        return Ok(());
    }
    refuse(key, &format!("is {value}; it must be from {least} to {most}"))
}

fn refuse<T>(key: &str, problem: &str) -> Result<T, ConfigError> {
    Err(ConfigError::Value { key: key.to_owned(), problem: problem.to_owned() })
}
