//! Roles apart: an instance manager and a router as processes of their own, on hosts of their own.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, Stdio},
};

use crate::cluster::{APC, APCD, Cluster, Namespace, eventually, is_root, read_until, run, terminate, wait};

const CENTRE: &str = "10.99.0.1";
const HOST: &str = "10.99.0.2";

#[test]
fn manager_and_router_work_from_other_hosts() {
    if !is_root("roles apart") {
        return;
    }
    let host = Host::start();
    host.cluster.deploy(true);
    let said = host.cluster.apc("tom", &["app", "connect", "web", "--", "id", "-un"]);
    assert_eq!((said.code, said.out.as_str()), (Some(0), "app\n"), "{said:?}");
    let managers = host.cluster.does("admin", &["app", "instances", "job::/sandbox/tom::web", "--json"]).out;
    assert!(managers.contains(HOST), "the instance is not on the other host: {managers}");

    // The same through a router on that host: what it needs are the addresses of the roles and a token.
    let (mut router, url) = host.router();
    let authority = host.directory.join("router/router/ca.pem").display().to_string();
    let home = host.cluster.directory.join("homes/elsewhere");
    let apc = |arguments: &[&str], input: &[u8]| {
        let mut command = host.namespace.command(APC);
        command.args(arguments).env("APC_HOME", &home).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(input).unwrap();
        let output = child.wait_with_output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    assert_eq!(apc(&["target", &url, "--ca", &authority], b"").0, Some(0));
    assert_eq!(apc(&["login", "--user", "tom", "--password-stdin"], b"password of tom\n").0, Some(0));
    assert_eq!(apc(&["app", "connect", "web", "--", "id", "-un"], b""), (Some(0), "app\n".to_owned()));
    terminate(&router);
    assert!(wait(&mut router).success());
}

#[test]
fn sessions_outlive_a_killed_manager() {
    if !is_root("a killed manager") {
        return;
    }
    let mut host = Host::start();
    host.cluster.deploy(true);
    let mut session = host.cluster.spawn("tom", &["app", "connect", "web"]);
    let mut stdin = session.stdin.take().unwrap();
    stdin.write_all(b"echo before\n").unwrap();
    read_until(session.stdout.as_mut().unwrap(), "before\n");
    host.kill_manager();
    stdin.write_all(b"echo while it is away\n").unwrap();
    read_until(session.stdout.as_mut().unwrap(), "while it is away\n");
    host.start_manager(None);
    stdin.write_all(b"echo after; exit 4\n").unwrap();
    read_until(session.stdout.as_mut().unwrap(), "after\n");
    assert_eq!(wait(&mut session).code(), Some(4));
    eventually("the manager is back and its instance is the same", || {
        host.cluster.apc("tom", &["app", "connect", "web", "--", "true"]).code == Some(0)
    });
}

#[test]
fn killed_manager_leaves_no_clone() {
    if !is_root("a killed manager") {
        return;
    }
    let mut host = Host::start();
    host.cluster.deploy(false);
    let links = |host: &Host| host.namespace.run("ip", &["-o", "link"]).lines().count();
    let before = links(&host);
    let mut console = host.cluster.spawn("tom", &["app", "console", "web"]);
    let mut stdin = console.stdin.take().unwrap();
    stdin.write_all(b"echo inside\n").unwrap();
    read_until(console.stdout.as_mut().unwrap(), "inside\n");
    host.kill_manager();
    console.kill().unwrap();
    wait(&mut console);
    eventually("the clone's links are gone", || links(&host) == before);
    host.start_manager(None);
    eventually("no clone is in the list", || !host.cluster.does("tom", &["job", "list"]).out.contains("-console-"));
}

#[test]
fn host_that_does_not_answer_is_an_error_in_time() {
    if !is_root("a partition") {
        return;
    }
    let host = Host::start();
    host.cluster.deploy(true);
    host.namespace.run("ip", &["link", "set", "uplink", "down"]);
    let said = host.cluster.apc("tom", &["app", "connect", "web", "--", "true"]);
    assert_eq!(said.code, Some(255), "{said:?}");
    assert!(said.err.contains("cannot reach the host of an instance"), "{said:?}");
    host.namespace.run("ip", &["link", "set", "uplink", "up"]);
}

/// A second host with the only instance manager of a cluster whose `apcd all` has none of its own to offer.
struct Host {
    manager: Option<Child>,
    namespace: Namespace,
    directory: std::path::PathBuf,
    cluster: Cluster,
}

impl Host {
    fn start() -> Self {
        let more = format!(
            "enabled = false\n\n[api]\ncluster_listen = \"{CENTRE}:7443\"\naddresses = [\"{CENTRE}\"]\n\n[auth]\ncluster_listen = \"{CENTRE}:7444\"\n\n\
             [console]\nlease_ms = 3000\n"
        );
        let namespace = Namespace::new();
        let cluster = Cluster::start_linked(&more, |centre| {
            run(
                "ip",
                &[
                    "link",
                    "add",
                    "uplink",
                    "netns",
                    &namespace.name,
                    "type",
                    "veth",
                    "peer",
                    "name",
                    "downlink",
                    "netns",
                    &centre.name,
                ],
            );
            namespace.run("ip", &["addr", "add", &format!("{HOST}/24"), "dev", "uplink"]);
            namespace.run("ip", &["link", "set", "uplink", "up"]);
            centre.run("ip", &["addr", "add", &format!("{CENTRE}/24"), "dev", "downlink"]);
            centre.run("ip", &["link", "set", "downlink", "up"]);
        });
        let directory = cluster.directory.join("host");
        fs::create_dir_all(&directory).unwrap();
        let config = format!(
            "cluster = \"test\"\nstate = \"{}\"\n\n[im]\naddress = \"{HOST}\"\napi = [\"{CENTRE}:7443\"]\n\
             stop_instances_on_exit = true\n",
            directory.join("im").display()
        );
        fs::write(directory.join("im.toml"), config).unwrap();
        let token = cluster.join_token("im");
        let mut res = Self { manager: None, namespace, directory, cluster };
        res.start_manager(Some(&token));
        res
    }

    /// Starts the manager; with a token it joins, without it comes back as who it is.
    fn start_manager(&mut self, token: Option<&str>) {
        let mut arguments = vec!["im", "--config"];
        let config = self.directory.join("im.toml");
        arguments.push(config.to_str().unwrap());
        if let Some(token) = token {
            arguments.extend(["--join", token]);
        }
        self.manager = Some(serve(&self.namespace, &self.directory, &arguments).0);
    }

    /// Kills the manager without warning.
    fn kill_manager(&mut self) {
        let mut manager = self.manager.take().unwrap();
        manager.kill().unwrap();
        wait(&mut manager);
    }

    /// A router on this host, and its URL.
    fn router(&self) -> (Child, String) {
        let config = self.directory.join("router.toml");
        let text = format!(
            "cluster = \"test\"\nstate = \"{}\"\n\n[router]\nlisten = \"127.0.0.1:0\"\napi = [\"{CENTRE}:7443\"]\nauth = \"{CENTRE}:7444\"\n",
            self.directory.join("router").display()
        );
        fs::write(&config, text).unwrap();
        let token = self.cluster.join_token("router");
        serve(&self.namespace, &self.directory, &["router", "--config", config.to_str().unwrap(), "--join", &token])
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if let Some(mut manager) = self.manager.take() {
            terminate(&manager);
            wait(&mut manager);
        }
        if std::thread::panicking() {
            eprintln!(
                "--- the other host said:\n{}",
                fs::read_to_string(self.directory.join("log")).unwrap_or_default()
            );
        }
    }
}

fn serve(namespace: &Namespace, directory: &Path, arguments: &[&str]) -> (Child, String) {
    let log = fs::OpenOptions::new().create(true).append(true).open(directory.join("log")).unwrap();
    let mut child = namespace
        .command(APCD)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(log)
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let ready = lines.map_while(Result::ok).find_map(|line| line.strip_prefix("ready ").map(str::to_owned));
    let Some(ready) = ready else {
        wait(&mut child);
        panic!("it did not start:\n{}", fs::read_to_string(directory.join("log")).unwrap());
    };
    (child, ready)
}
