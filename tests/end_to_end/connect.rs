//! Connecting: a shell, a command, piped input, exits, refusals, the kernel's own count of packets.

use std::{io::Write, process::Command};

use crate::cluster::{Cluster, is_root, read_until, wait};

const JOB: &str = "job::/sandbox/tom::web";

#[test]
fn command_gives_its_output_streams_and_status() {
    if !is_root("connect") {
        return;
    }
    let mut cluster = Cluster::start();
    cluster.deploy(true);

    let said = cluster.apc("tom", &["app", "connect", "web", "--", "sh", "-c", "id -un; echo oops >&2; exit 7"]);
    assert_eq!((said.code, said.out.as_str(), said.err.as_str()), (Some(7), "app\n", "oops\n"));

    let said = cluster.apc("tom", &["app", "connect", "web", "--", "sh", "-c", "kill -TERM $$"]);
    assert_eq!(said.code, Some(128 + 15), "{said:?}");

    let said = cluster.apc_with("tom", &["app", "connect", "web"], b"echo one\necho $GREETING\nexit 3\n");
    assert_eq!((said.code, said.out.as_str()), (Some(3), "one\nhello\n"), "{said:?}");

    let words = cluster.apc("tom", &["app", "connect", "web", "--", "printf", "[%s]", "a b", "$HOME", "it's", ""]);
    assert_eq!(words.out, "[a b][$HOME][it's][]", "{words:?}");

    let big = vec![b'x'; 3_000_000];
    let said =
        cluster.apc_with("tom", &["app", "connect", "web", "--", "sh", "-c", "cat; echo; wc -c < /bin/busybox"], &big);
    let size = std::fs::metadata("/bin/busybox").unwrap().len();
    assert_eq!(said.out.len(), 3_000_001 + size.to_string().len() + 1);
    assert!(said.out.ends_with(&format!("x\n{size}\n")));

    assert!(cluster.stop().success(), "it did not stop cleanly:\n{}", cluster.log());
    let links = cluster.namespace.run("ip", &["-o", "link"]);
    assert_eq!(links.lines().count(), 1, "only loopback should be left:\n{links}");
}

#[test]
fn container_holds_what_runs_in_it() {
    if !is_root("connect") {
        return;
    }
    let cluster = Cluster::start();
    cluster.deploy(true);
    let status = cluster.does("tom", &["app", "connect", "web", "--", "cat", "/proc/self/status"]).out;
    assert!(status.contains("Seccomp:\t2"), "{status}");
    assert!(status.contains("NoNewPrivs:\t1"), "{status}");
    let map = cluster.does("tom", &["app", "connect", "web", "--", "cat", "/proc/self/uid_map"]).out;
    let fields: Vec<u64> = map.split_whitespace().map(|it| it.parse().unwrap()).collect();
    assert_eq!((fields[0], fields[2], fields.len()), (0, 65_536, 3), "{map}");
    assert_ne!(fields[1], 0, "an identity map: {map}");
    let mount = cluster.apc("tom", &["app", "connect", "web", "--", "mount", "-t", "tmpfs", "none", "/tmp"]);
    assert_ne!(mount.code, Some(0), "{mount:?}");
}

#[test]
fn refusals_say_why_and_reach_no_container() {
    if !is_root("connect") {
        return;
    }
    let cluster = Cluster::start();
    cluster.deploy(false);

    let off = cluster.apc("tom", &["app", "connect", "web"]);
    assert_eq!(off.code, Some(255));
    assert!(off.err.contains("SSH is not enabled"), "{off:?}");

    cluster.does("tom", &["app", "update", "web", "--allow-ssh", "--restart"]);
    let stranger = cluster.apc("mary", &["app", "connect", JOB]);
    assert_eq!(stranger.code, Some(255));
    assert!(stranger.err.contains("not found") && !stranger.err.contains("claim"), "{stranger:?}");

    cluster.import("readers", "job::/sandbox/tom { if (auth_server@apcera.me->name == \"mary\") { permit read } }\n");
    let before = nat_packets(&cluster);
    let reader = cluster.apc("mary", &["app", "connect", JOB]);
    assert_eq!(reader.code, Some(255));
    assert!(reader.err.contains(&format!("missing claim \"permit ssh\" on \"{JOB}\"")), "{reader:?}");
    assert_eq!(nat_packets(&cluster), before, "a refused connect reached the port");

    cluster.does("tom", &["app", "connect", "web", "--", "true"]);
    assert!(nat_packets(&cluster) > before, "an allowed connect did not go through the NAT rule");
}

#[test]
fn permit_ssh_alone_is_enough_to_connect() {
    if !is_root("connect") {
        return;
    }
    let cluster = Cluster::start();
    cluster.deploy(true);
    cluster.import("only-ssh", "job::/sandbox/tom { if (auth_server@apcera.me->name == \"mary\") { permit ssh } }\n");
    let said = cluster.apc("mary", &["app", "connect", JOB, "--", "id", "-un"]);
    assert_eq!((said.code, said.out.as_str()), (Some(0), "app\n"), "{said:?}");
    assert_eq!(cluster.apc("mary", &["app", "delete", JOB]).code, Some(1));
}

#[test]
fn session_ends_when_its_grant_does() {
    if !is_root("connect") {
        return;
    }
    let cluster = Cluster::start();
    cluster.deploy(true);
    cluster.import("on-call", "job::/sandbox/tom { if (auth_server@apcera.me->name == \"mary\") { permit ssh } }\n");
    let mut session = cluster.spawn("mary", &["app", "connect", JOB]);
    let mut stdin = session.stdin.take().unwrap();
    stdin.write_all(b"echo inside\n").unwrap();
    read_until(session.stdout.as_mut().unwrap(), "inside\n");
    cluster.does("admin", &["policy", "delete", "on-call"]);
    read_until(session.stderr.as_mut().unwrap(), "missing claim \"permit ssh\"");
    assert_eq!(wait(&mut session).code(), Some(255));
    drop(stdin);
    let trail = cluster.does("admin", &["audit", "tail", "--limit", "1000"]).out;
    for event in ["ssh.session.opened", "ssh.session.request", "ssh.session.revoked", "policy.changed"] {
        assert!(trail.contains(event), "no {event} in\n{trail}");
    }
}

#[test]
fn removing_ssh_ends_sessions_at_once() {
    if !is_root("connect") {
        return;
    }
    let cluster = Cluster::start();
    cluster.deploy(true);
    let mut session = cluster.spawn("tom", &["app", "connect", "web"]);
    let mut stdin = session.stdin.take().unwrap();
    stdin.write_all(b"echo inside\n").unwrap();
    read_until(session.stdout.as_mut().unwrap(), "inside\n");
    cluster.does("tom", &["app", "update", "web", "--remove-ssh"]);
    assert_eq!(wait(&mut session).code(), Some(255));
    drop(stdin);
    let show = cluster.does("tom", &["app", "show", "web"]).out;
    assert!(show.contains("ssh: false") && !show.contains("222"), "{show}");
    assert_eq!(cluster.apc("tom", &["app", "connect", "web", "--", "true"]).code, Some(255));
}

#[test]
fn openssh_sees_the_pinned_key_and_is_refused_without_a_certificate() {
    if !is_root("connect") {
        return;
    }
    let cluster = Cluster::start();
    cluster.deploy(true);
    let instances = cluster.does("tom", &["app", "instances", "web", "--json"]).out;
    let instances: serde_json::Value = serde_json::from_str(&instances).unwrap();
    let instance = &instances[0];
    let port = instance["public_port"].as_u64().unwrap().to_string();
    let scan = cluster.namespace.run("ssh-keyscan", &["-T", "10", "-p", &port, "127.0.0.1"]);
    let key = cluster.directory.join("scanned");
    std::fs::write(&key, scan).unwrap();
    let fingerprint = Command::new("ssh-keygen").arg("-lf").arg(&key).output().unwrap();
    let fingerprint = String::from_utf8_lossy(&fingerprint.stdout).into_owned();
    assert!(fingerprint.contains(instance["host_key_fingerprint"].as_str().unwrap()), "{fingerprint}");

    let ssh = cluster
        .namespace
        .command("ssh")
        .args([
            "-F",
            "none",
            "-o",
            "BatchMode=yes",
            "-o",
            "StrictHostKeyChecking=no",
            "-o",
            "UserKnownHostsFile=/dev/null",
        ])
        .args(["-p", &port, "job@127.0.0.1", "id"])
        .output()
        .unwrap();
    assert_eq!(ssh.status.code(), Some(255));
    assert!(String::from_utf8_lossy(&ssh.stderr).contains("Permission denied (publickey)"));
}

/// Packets that went to a container's port 222 through the NAT table.
fn nat_packets(cluster: &Cluster) -> u64 {
    let rules = cluster.namespace.run("nft", &["list", "ruleset"]);
    rules
        .split("counter packets ")
        .skip(1)
        .map(|it| it.split_whitespace().next().unwrap().parse::<u64>().unwrap())
        .sum()
}
