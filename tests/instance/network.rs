//! Who reaches whom, and through which port.

use std::{
    io::{BufRead, BufReader, Write},
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    time::Duration,
};

use gatehouse::wire::im::DesiredInstance;

use crate::{
    Test,
    rig::{Rig, in_network, run, test},
};

pub(crate) const TESTS: &[Test] = &[
    ("port_222_is_reached_through_nat_from_the_host_and_counted", local),
    ("port_222_is_reached_from_api_addresses_only", remote),
    ("instances_reach_neither_each_other_nor_the_host_nor_public_ports", apart),
    ("listener_closes_with_ssh_off_and_opens_again", switched),
    ("job_cannot_take_port_222_but_other_low_ports", squat),
];

/// Asks the agent behind a port something; `None` if nobody is reached.
pub(crate) fn ask(address: SocketAddr, question: &str) -> Option<String> {
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(2)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    talk(&mut stream, question)
}

/// One question on an open connection; `None` once it is broken.
pub(crate) fn talk(stream: &mut TcpStream, question: &str) -> Option<String> {
    writeln!(stream, "{question}").ok()?;
    let mut line = String::new();
    let count = BufReader::new(stream).read_line(&mut line).ok()?;
    (0 < count).then(|| line.trim_end().to_owned())
}

pub(crate) fn loopback(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

fn local() {
    test(async |rig| {
        let instance = rig.capsule();
        rig.api.desire(std::slice::from_ref(&instance)).await;
        let port = rig.api.served(instance.uuid).await;
        assert!((20_000..=20_099).contains(&port));
        assert_eq!(rig.packets(port), 0);
        let answer = in_network(rig.network_path(), move || ask(loopback(port), "hello")).await;
        assert_eq!(answer.as_deref(), Some("echo hello"));
        assert_eq!(rig.packets(port), 1);
        let busy = in_network(rig.network_path(), move || TcpListener::bind(("0.0.0.0", port)).is_err()).await;
        assert!(busy, "the port is reserved");
    });
}

/// A second network namespace at the other end of a cable, with an API server's address and a stranger's.
struct Outside {
    name: String,
}

const HOST: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const API: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 10);
const STRANGER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 11);

impl Outside {
    fn new(rig: &Rig) -> Self {
        let name = format!("{}-out", rig.network);
        run(&["ip", "netns", "add", &name]);
        run(&[
            "ip",
            "-n",
            &rig.network,
            "link",
            "add",
            "cable",
            "type",
            "veth",
            "peer",
            "name",
            "cable",
            "netns",
            &name,
        ]);
        run(&["ip", "-n", &rig.network, "addr", "add", &format!("{HOST}/24"), "dev", "cable"]);
        run(&["ip", "-n", &rig.network, "link", "set", "cable", "up"]);
        for address in [API, STRANGER] {
            run(&["ip", "-n", &name, "addr", "add", &format!("{address}/24"), "dev", "cable"]);
        }
        run(&["ip", "-n", &name, "link", "set", "cable", "up"]);
        Self { name }
    }

    fn path(&self) -> PathBuf {
        Path::new("/run/netns").join(&self.name)
    }
}

impl Drop for Outside {
    fn drop(&mut self) {
        drop(std::process::Command::new("ip").args(["netns", "del", &self.name]).status());
    }
}

/// Connects from one of several addresses of a namespace.
fn ask_from(source: Ipv4Addr, address: SocketAddr) -> Option<String> {
    let socket = rustix::net::socket(rustix::net::AddressFamily::INET, rustix::net::SocketType::STREAM, None).unwrap();
    rustix::net::bind(&socket, &SocketAddr::from((source, 0))).unwrap();
    rustix::net::sockopt::set_socket_timeout(
        &socket,
        rustix::net::sockopt::Timeout::Send,
        Some(Duration::from_secs(2)),
    )
    .unwrap();
    rustix::net::connect(&socket, &address).ok()?;
    talk(&mut TcpStream::from(socket), "hello")
}

fn remote() {
    test(async |rig| {
        let outside = Outside::new(rig);
        // The server says its addresses when it welcomes the manager.
        rig.kill_manager();
        rig.set_addresses(&[IpAddr::V4(API)]);
        rig.start().await;
        let instance = rig.capsule();
        rig.api.desire(std::slice::from_ref(&instance)).await;
        let port = rig.api.served(instance.uuid).await;
        let public = SocketAddr::from((HOST, port));
        let answer = in_network(outside.path(), move || ask_from(API, public)).await;
        assert_eq!(answer.as_deref(), Some("echo hello"));
        assert_eq!(rig.packets(port), 1);
        assert_eq!(in_network(outside.path(), move || ask_from(STRANGER, public)).await, None);
        assert_eq!(rig.packets(port), 1, "a stranger's packets are not even translated");
        // Nor is the instance reached by its own address.
        run(&["ip", "-n", &outside.name, "route", "add", "10.222.0.0/24", "via", &HOST.to_string()]);
        let direct = SocketAddr::from((rig.address(instance.uuid), 222));
        assert_eq!(in_network(outside.path(), move || ask_from(API, direct)).await, None);
        rig.api.desire(&[]).await;
        rig.api.until("it is gone", <[_]>::is_empty).await;
        assert_eq!(in_network(outside.path(), move || ask_from(API, public)).await, None);
    });
}

fn apart() {
    test(async |rig| {
        let outside = Outside::new(rig);
        let network = rig.network_path();
        let service = in_network(network, || TcpListener::bind("0.0.0.0:8080").unwrap()).await;
        let target = rig.capsule();
        let server = rig.probe(&["listen", "80"]);
        rig.api.desire(&[target.clone(), server.clone()]).await;
        let port = rig.api.served(target.uuid).await;
        assert_eq!(rig.api.logs_until(server.uuid, "listening").await, "listening\n");
        let (target_address, server_address) = (rig.address(target.uuid), rig.address(server.uuid));
        // It does listen: the host's own programs reach it.
        let direct = SocketAddr::from((server_address, 80));
        let reached =
            in_network(rig.network_path(), move || TcpStream::connect_timeout(&direct, Duration::from_secs(2)).is_ok());
        assert!(reached.await);
        let host_end = Ipv4Addr::from_bits(server_address.to_bits() - 1);
        let goals = [
            format!("{target_address}:222"),
            format!("{server_address}:80"),
            format!("{host_end}:8080"),
            format!("{HOST}:8080"),
            format!("{HOST}:{port}"),
            format!("{host_end}:{port}"),
            format!("{API}:80"),
        ];
        let goals: Vec<&str> = goals.iter().map(String::as_str).collect();
        let prober = rig.probe(&[&["connect"], goals.as_slice()].concat());
        rig.api.desire(&[target.clone(), server.clone(), prober.clone()]).await;
        rig.api.over(prober.uuid).await;
        let text = rig.api.logs(prober.uuid).await;
        assert_eq!(text.lines().count(), goals.len(), "{text}");
        assert!(!text.contains(" reached"), "{text}");
        drop((service, outside));
    });
}

fn switched() {
    test(async |rig| {
        let instance = rig.capsule();
        rig.api.desire(std::slice::from_ref(&instance)).await;
        let port = rig.api.served(instance.uuid).await;
        let mut session = in_network(rig.network_path(), move || TcpStream::connect(loopback(port)).unwrap()).await;
        assert_eq!(talk(&mut session, "hello").as_deref(), Some("echo hello"));
        assert!(rig.inside(instance.uuid, || listening(222)).await);
        let off = DesiredInstance { ssh: false, ..instance.clone() };
        rig.api.desire(std::slice::from_ref(&off)).await;
        rig.api.one(instance.uuid, "ssh is off", |it| it.public_port.is_none() && it.host_key.is_none()).await;
        session.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        assert!(!rig.inside(instance.uuid, || listening(222)).await);
        assert_eq!(in_network(rig.network_path(), move || ask(loopback(port), "hello")).await, None);
        rig.api.desire(std::slice::from_ref(&instance)).await;
        let again = rig.api.served(instance.uuid).await;
        assert_ne!(port, again, "a port rests after its release");
        let answer = in_network(rig.network_path(), move || ask(loopback(again), "hello")).await;
        assert_eq!(answer.as_deref(), Some("echo hello"));
    });
}

/// Whether anything listens on a port of the caller's namespace.
fn listening(port: u16) -> bool {
    let text = std::fs::read_to_string("/proc/thread-self/net/tcp").unwrap();
    text.lines().any(|it| it.contains(&format!(":{port:04X} ")) && it.contains(" 0A "))
}

fn squat() {
    test(async |rig| {
        let instance = rig.probe(&["bind", "222"]);
        assert_eq!(rig.output(&instance).await.0, format!("bind {}\n", rustix::io::Errno::ADDRINUSE.raw_os_error()));
        let mut instance = rig.probe(&["bind", "80"]);
        instance.process.user = "web".to_owned();
        assert_eq!(rig.output(&instance).await.0, "bind 0\n");
    });
}
