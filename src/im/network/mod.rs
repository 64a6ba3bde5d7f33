//! The instances' network: pairs of addresses, the packet filter, and the way from a public port to port 222.
//!
//! Each instance has a network namespace (its shim's) and a veth pair with a /31. There is one nftables table for each
//! manager. Instances reach nothing by themselves, neither each other nor the host nor the world: they only answer.
//! From outside only the API servers' addresses are let through the public ports; programs on the host itself are too.
//! Those reach loopback addresses by `route_localnet` and a masquerade.
//!
//! For API servers on other hosts the host must forward packets; [`Network::allow`] turns `net.ipv4.ip_forward` on then.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs,
    net::{IpAddr, Ipv4Addr},
    path::Path,
};

use rustix::process::Pid;
use serde_json::Value;

use crate::im::{
    ImError,
    error::Context,
    runtime::{arguments, program},
};

pub mod addresses;
pub mod conntrack;
pub mod ports;

pub use addresses::Pair;
pub use ports::Ports;

/// Where SSH is served inside every instance.
pub const SSH_PORT: u16 = 222;

/// The name of an instance's end of its pair, inside.
pub const INSIDE: &str = "eth0";

/// The network of one manager's instances.
#[derive(Debug, Clone)]
pub struct Network {
    table: String,
    prefix: String,
}

impl Network {
    /// Makes the table, or brings the rules of an old one up to date without touching who is reachable behind which port.
    ///
    /// `name` is this manager's own, six characters of `[0-9a-f]`.
    pub async fn open(name: &str) -> Result<Self, ImError> {
        let network = Self { table: format!("gatehouse_{name}"), prefix: format!("gh{name}-") };
        nft(&network.rules()).await?;
        Ok(network)
    }

    /// The table's name, in family `inet`.
    pub fn table(&self) -> &str {
        &self.table
    }

    fn rules(&self) -> String {
        let (t, ours) = (format!("inet {}", self.table), format!("\"{}*\"", self.prefix));
        let chains = [
            ("arriving", "type nat hook prerouting priority dstnat"),
            ("local", "type nat hook output priority -100"),
            ("leaving", "type nat hook postrouting priority srcnat"),
            ("passing", "type filter hook forward priority filter"),
            ("to_host", "type filter hook input priority filter"),
        ];
        let rules = [
            // What comes from an instance is never translated: it reaches no other instance's public port.
            format!("arriving iifname {ours} accept"),
            "arriving fib daddr type local ip saddr @api dnat ip to tcp dport map @ports".to_owned(),
            "local fib daddr type local dnat ip to tcp dport map @ports".to_owned(),
            format!("leaving oifname {ours} ip saddr 127.0.0.0/8 masquerade"),
            format!("passing iifname {ours} oifname {ours} drop"),
            format!("passing iifname {ours} ct state established,related accept"),
            format!("passing iifname {ours} drop"),
            format!("passing oifname {ours} ct state established,related accept"),
            format!("passing oifname {ours} ct status dnat ip saddr @api accept"),
            format!("passing oifname {ours} drop"),
            format!("to_host iifname {ours} ct state established,related accept"),
            format!("to_host iifname {ours} drop"),
        ];
        let mut text = format!(
            "add table {t}\nadd set {t} api {{ type ipv4_addr; }}\n\
             add map {t} ports {{ type inet_service : ipv4_addr . inet_service; counter; }}\n"
        );
        for (name, hook) in chains {
            // Writing to a `String` cannot fail.
            let _ = writeln!(text, "add chain {t} {name} {{ {hook}; policy accept; }}\nflush chain {t} {name}");
        }
        for rule in rules {
            let _ = writeln!(text, "add rule {t} {rule}");
        }
        text
    }

    /// From now on only these addresses, and the host's own programs, may reach public ports.
    pub async fn allow(&self, addresses: &[IpAddr]) -> Result<(), ImError> {
        let addresses: BTreeSet<Ipv4Addr> = addresses
            .iter()
            .filter_map(|it| match it {
                IpAddr::V4(it) => Some(*it),
                // Instances have no IPv6.
                IpAddr::V6(it) => it.to_ipv4_mapped(),
            })
            .filter(|it| !it.is_loopback())
            .collect();
        let mut text = format!("flush set inet {} api\n", self.table);
        if !addresses.is_empty() {
            let list = addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            let _ = writeln!(text, "add element inet {} api {{ {list} }}", self.table);
            sysctl("net/ipv4/ip_forward", "1")?;
        }
        nft(&text).await
    }

    /// Connects the network namespace of process `shim` by a pair of its own, and brings the host's end up.
    pub async fn attach(&self, pair: Pair, shim: Pid) -> Result<(), ImError> {
        let link = self.link(pair);
        let (host, inside) = (pair.host(), pair.instance());
        ip(&format!(
            "link add {link} address {} type veth peer name {INSIDE} address {} netns {}\n",
            addresses::mac(host),
            addresses::mac(inside),
            shim.as_raw_nonzero(),
        ))
        .await?;
        // Absent where the kernel has no IPv6 at all.
        let ipv6 = format!("net/ipv6/conf/{link}/disable_ipv6");
        if Path::new("/proc/sys").join(&ipv6).exists() {
            sysctl(&ipv6, "1")?;
        }
        sysctl(&format!("net/ipv4/conf/{link}/route_localnet"), "1")?;
        ip(&format!("addr add {host}/31 dev {link}\nlink set {link} up\n")).await
    }

    /// Removes a pair; that there is none is no error.
    pub async fn detach(&self, pair: Pair) -> Result<(), ImError> {
        let link = self.link(pair);
        if !self.links().await?.contains(&link) {
            return Ok(());
        }
        match ip(&format!("link del {link}\n")).await {
            // It went with its namespace.
            Err(_) if !self.links().await?.contains(&link) => Ok(()),
            other => other,
        }
    }

    /// Lets a public port lead to an instance.
    pub async fn publish(&self, port: u16, pair: Pair) -> Result<(), ImError> {
        if self.published().await?.get(&port).map(|it| it.address) == Some(pair.instance()) {
            return Ok(());
        }
        let element = format!("{port} : {} . {SSH_PORT}", pair.instance());
        nft(&format!("add element inet {} ports {{ {element} }}\n", self.table)).await
    }

    /// Closes a public port: first for new connections, then the kernel forgets the old ones.
    pub async fn withdraw(&self, port: u16) -> Result<(), ImError> {
        let Some(element) = self.published().await?.remove(&port) else { return Ok(()) };
        nft(&format!("delete element inet {} ports {{ {port} }}\n", self.table)).await?;
        let forgotten = tokio::task::spawn_blocking(move || conntrack::forget(element.address, SSH_PORT)).await;
        forgotten.unwrap_or_else(|error| Err(ImError::Unusable(error.to_string())))
    }

    /// What is reachable behind which public port.
    pub async fn published(&self) -> Result<BTreeMap<u16, Published>, ImError> {
        let text =
            program::run(Path::new("nft"), arguments([&"-j", &"list", &"map", &"inet", &self.table, &"ports"]), b"")
                .await?;
        let value: Value =
            serde_json::from_slice(&text).map_err(|error| ImError::Protocol(format!("answer of `nft`: {error}")))?;
        let elements = value.pointer("/nftables").and_then(Value::as_array).into_iter().flatten();
        let elements = elements.filter_map(|it| it.pointer("/map/elem")).filter_map(Value::as_array).flatten();
        elements
            .map(|it| element(it).ok_or_else(|| ImError::Protocol(format!("answer of `nft`: element {it}"))))
            .collect()
    }

    /// The host's ends of all pairs of this manager.
    pub async fn links(&self) -> Result<BTreeSet<String>, ImError> {
        let text = program::run(Path::new("ip"), arguments([&"-j", &"link", &"show"]), b"").await?;
        let value: Value =
            serde_json::from_slice(&text).map_err(|error| ImError::Protocol(format!("answer of `ip`: {error}")))?;
        let names = value.as_array().into_iter().flatten().filter_map(|it| it.get("ifname")?.as_str());
        Ok(names.filter(|it| it.starts_with(&self.prefix)).map(str::to_owned).collect())
    }

    /// Removes pairs and elements that belong to none of `known`, which crashes have left.
    pub async fn sweep(&self, known: &BTreeSet<Pair>) -> Result<(), ImError> {
        let addresses: BTreeSet<Ipv4Addr> = known.iter().map(|it| it.instance()).collect();
        for (port, element) in self.published().await? {
            if !addresses.contains(&element.address) {
                self.withdraw(port).await?;
            }
        }
        let names: BTreeSet<String> = known.iter().map(|it| self.link(*it)).collect();
        for link in self.links().await?.difference(&names) {
            ip(&format!("link del {link}\n")).await?;
        }
        Ok(())
    }

    /// Removes the table.
    pub async fn close(&self) -> Result<(), ImError> {
        nft(&format!("delete table inet {}\n", self.table)).await
    }

    fn link(&self, pair: Pair) -> String {
        format!("{}{:04x}", self.prefix, pair.slot())
    }
}

/// An element of the map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Published {
    /// The instance's address.
    pub address: Ipv4Addr,
    /// Packets that began a connection.
    pub packets: u64,
}

/// `[{"elem": {"val": 20001, "counter": {"packets": 0, ..}}}, {"concat": ["10.1.1.1", 222]}]`, or a bare number first.
fn element(value: &Value) -> Option<(u16, Published)> {
    let key = value.get(0)?;
    let port = key.as_u64().or_else(|| key.pointer("/elem/val")?.as_u64())?.try_into().ok()?;
    let packets = key.pointer("/elem/counter/packets").and_then(Value::as_u64).unwrap_or_default();
    let address = value.get(1)?.pointer("/concat/0")?.as_str()?.parse().ok()?;
    Some((port, Published { address, packets }))
}

/// Runs an `nft` script: all of it or nothing.
async fn nft(script: &str) -> Result<(), ImError> {
    program::run(Path::new("nft"), arguments([&"-f", &"-"]), script.as_bytes()).await.map(drop)
}

/// Runs `ip` commands, one a line.
pub(crate) async fn ip(batch: &str) -> Result<(), ImError> {
    program::run(Path::new("ip"), arguments([&"-batch", &"-"]), batch.as_bytes()).await.map(drop)
}

/// Sets a kernel parameter of the caller's network namespace.
pub(crate) fn sysctl(name: &str, value: &str) -> Result<(), ImError> {
    let file = Path::new("/proc/sys").join(name);
    fs::write(&file, value).context(|| format!("write {value} to `{}`", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn element_is_read_with_and_without_counter() {
        let counted =
            json!([{"elem": {"val": 20001, "counter": {"packets": 3, "bytes": 1}}}, {"concat": ["10.1.1.1", 222]}]);
        let address = Ipv4Addr::new(10, 1, 1, 1);
        assert_eq!(element(&counted), Some((20_001, Published { address, packets: 3 })));
        assert_eq!(
            element(&json!([20001, {"concat": ["10.1.1.1", 222]}])),
            Some((20_001, Published { address, packets: 0 }))
        );
        assert_eq!(element(&json!([70000, {"concat": ["10.1.1.1", 222]}])), None);
    }
}
