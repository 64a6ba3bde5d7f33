//! What every test stands on: a network namespace, a manager in it, a root file system, and a look at what is left.

use std::{
    collections::BTreeMap,
    fs,
    net::IpAddr,
    path::{Path, PathBuf},
    process::{Child, Command},
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
};

use gatehouse::wire::{
    im::DesiredInstance,
    job::{Layer, Process, Resources},
};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use uuid::Uuid;

use crate::{api::Api, manager::Told};

static COUNT: AtomicU32 = AtomicU32::new(0);

/// One test's world.
#[derive(Debug)]
pub(crate) struct Rig {
    pub(crate) folder: TempDir,
    pub(crate) api: Api,
    pub(crate) network: String,
    pub(crate) layers: Vec<Layer>,
    addresses: Vec<IpAddr>,
    number: u32,
    manager: Option<Child>,
}

/// Runs a test's body to its end, and removes everything even if it fails.
pub(crate) fn test(body: impl AsyncFnOnce(&mut Rig)) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut rig = Rig::new();
        rig.start().await;
        body(&mut rig).await;
        rig.stop().await;
        assert_eq!(rig.left(), Vec::<String>::new(), "something is left on the host");
    });
}

impl Rig {
    fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("gatehouse-instance-").tempdir().unwrap();
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let network = format!("gh{}-{number}", std::process::id());
        run(&["ip", "netns", "add", &network]);
        run(&["ip", "-n", &network, "link", "set", "lo", "up"]);
        fs::create_dir(folder.path().join("blobs")).unwrap();
        let api = Api::new(folder.path());
        let mut rig = Self { folder, api, network, layers: Vec::new(), addresses: Vec::new(), number, manager: None };
        let layer = rig.add_layer(&base_layer());
        rig.layers.push(layer);
        rig
    }

    /// Starts the manager, and plays the API server towards it.
    pub(crate) async fn start(&mut self) {
        let told = Told {
            network: self.network_path(),
            folder: self.folder.path().to_owned(),
            agent: stand_in().to_owned(),
            uid_base: 0x6000_0000 + self.number * 64 * 65_536,
            stop_instances_on_exit: true,
        };
        let settings = self.folder.path().join("told.json");
        fs::write(&settings, serde_json::to_vec(&told).unwrap()).unwrap();
        let mut command = Command::new(std::env::current_exe().unwrap());
        self.manager = Some(command.arg("im").arg(settings).spawn().unwrap());
        self.api.welcome(&self.addresses).await;
    }

    /// `kill -9` of the manager.
    pub(crate) fn kill_manager(&mut self) {
        let mut manager = self.manager.take().unwrap();
        manager.kill().unwrap();
        manager.wait().unwrap();
        self.api.hang_up();
    }

    /// A clean stop, at which this manager removes all its instances.
    pub(crate) async fn stop(&mut self) {
        let mut manager = self.manager.take().unwrap();
        let pid = rustix::process::Pid::from_child(&manager);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        let status = tokio::task::spawn_blocking(move || manager.wait()).await.unwrap().unwrap();
        assert!(status.success(), "the manager did not stop cleanly: {status}");
    }

    /// API servers at these addresses from the next start on.
    pub(crate) fn set_addresses(&mut self, addresses: &[IpAddr]) {
        self.addresses = addresses.to_vec();
    }

    /// An instance with one command, SSH off, no restarts.
    pub(crate) fn instance(&self, command: &[&str]) -> DesiredInstance {
        let uuid = Uuid::new_v4();
        DesiredInstance {
            uuid,
            job: Uuid::new_v4(),
            fqn: "job::/sandbox/tom::web".to_owned(),
            epoch: 1,
            process: Process {
                command: command.iter().map(|it| (*it).to_owned()).collect(),
                environment: BTreeMap::from([("GREETING".to_owned(), "hello there".to_owned())]),
                user: "root".to_owned(),
                working_directory: "/".to_owned(),
            },
            layers: self.layers.clone(),
            resources: Resources::default(),
            ssh: false,
            restart: false,
            lease_ms: None,
        }
    }

    /// An instance that runs the stand-in's `probe` of some kind.
    pub(crate) fn probe(&self, arguments: &[&str]) -> DesiredInstance {
        self.instance(&[&["/bin/probe"], arguments].concat())
    }

    /// An instance that idles, with SSH on.
    pub(crate) fn capsule(&self) -> DesiredInstance {
        DesiredInstance { ssh: true, ..self.instance(&[]) }
    }

    /// Runs an instance to its end and answers what it wrote, and its exit status.
    pub(crate) async fn output(&mut self, instance: &DesiredInstance) -> (String, Option<i32>) {
        self.api.desire(std::slice::from_ref(instance)).await;
        let ended = self.api.over(instance.uuid).await;
        let text = self.api.logs(instance.uuid).await;
        assert!(ended.message.is_none(), "{:?}; it wrote {text}", ended.message);
        (text, ended.exit)
    }

    /// Keeps an archive where the manager asks for it.
    pub(crate) fn add_layer(&mut self, archive: &[u8]) -> Layer {
        let digest = format!("sha256:{}", hex::encode(Sha256::digest(archive)));
        fs::write(self.folder.path().join("blobs").join(&digest), archive).unwrap();
        Layer { digest, bytes: archive.len().try_into().unwrap() }
    }

    pub(crate) fn network_path(&self) -> PathBuf {
        Path::new("/run/netns").join(&self.network)
    }

    /// Six characters that name everything of the manager on the host.
    pub(crate) fn name(&self) -> String {
        let own = fs::read(self.folder.path().join("state/manager.json")).unwrap();
        let own: serde_json::Value = serde_json::from_slice(&own).unwrap();
        own["name"].as_str().unwrap().to_owned()
    }

    /// Packets counted at the element of a public port.
    pub(crate) fn packets(&self, port: u16) -> u64 {
        let table = format!("gatehouse_{}", self.name());
        let text = run(&["ip", "netns", "exec", &self.network, "nft", "-j", "list", "map", "inet", &table, "ports"]);
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        let elements = value["nftables"].as_array().unwrap().iter().find_map(|it| it["map"]["elem"].as_array());
        let elements = elements.unwrap().iter().filter(|it| it[0]["elem"]["val"] == port);
        elements.map(|it| it[0]["elem"]["counter"]["packets"].as_u64().unwrap()).sum()
    }

    /// First process of an instance's container, in the host's numbers.
    pub(crate) fn first_process(&self, instance: Uuid) -> i32 {
        let folder = self.instance_folder(instance);
        let state: serde_json::Value =
            serde_json::from_slice(&fs::read(folder.join(format!("runtime/{instance}/state.json"))).unwrap()).unwrap();
        i32::try_from(state["init_process_pid"].as_i64().unwrap()).unwrap()
    }

    /// Address of an instance.
    pub(crate) fn address(&self, instance: Uuid) -> std::net::Ipv4Addr {
        let text = fs::read(self.instance_folder(instance).join("spec.json")).unwrap();
        let value: serde_json::Value = serde_json::from_slice(&text).unwrap();
        value["address"].as_str().unwrap().parse().unwrap()
    }

    /// Runs something in the network namespace of an instance.
    pub(crate) async fn inside<T: Send + 'static>(
        &self,
        instance: Uuid,
        body: impl FnOnce() -> T + Send + 'static,
    ) -> T {
        in_network(format!("/proc/{}/ns/net", self.first_process(instance)).into(), body).await
    }

    /// Waits for what tells nobody when it happens.
    pub(crate) async fn eventually(&self, what: &str, good: impl Fn(&Self) -> bool) {
        let deadline = std::time::Instant::now() + crate::api::PATIENCE;
        while !good(self) {
            assert!(std::time::Instant::now() < deadline, "waited in vain for: {what}");
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    }

    pub(crate) fn instance_folder(&self, instance: Uuid) -> PathBuf {
        self.folder.path().join("state/instances").join(instance.to_string())
    }

    /// What of this manager is still on the host: veths, namespaces, tables or elements, mounts, cgroups, folders, processes.
    pub(crate) fn left(&self) -> Vec<String> {
        let name = self.name();
        let mut left = Vec::new();
        let links = run(&["ip", "-n", &self.network, "-o", "link", "show"]);
        left.extend(links.lines().filter(|it| it.contains(&format!("gh{name}-"))).map(|it| format!("link {it}")));
        let rules = run(&["ip", "netns", "exec", &self.network, "nft", "list", "ruleset"]);
        left.extend(
            rules.lines().filter(|it| it.contains(" : 10.222.") || it.contains(&name)).map(|it| format!("nft {it}")),
        );
        let state = self.folder.path().join("state").display().to_string();
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        left.extend(mounts.lines().filter(|it| it.contains(&state)).map(|it| format!("mount {it}")));
        left.extend(
            cgroups(&format!("gatehouse-test/{name}")).into_iter().map(|it| format!("cgroup {}", it.display())),
        );
        let instances = fs::read_dir(self.folder.path().join("state/instances")).unwrap();
        left.extend(instances.map(|it| format!("folder {}", it.unwrap().path().display())));
        left.extend(self.processes().into_iter().map(|it| format!("process {it}")));
        left
    }

    /// Shims of this test.
    pub(crate) fn processes(&self) -> Vec<i32> {
        let state = self.folder.path().join("state/instances").display().to_string();
        let mut res = Vec::new();
        for entry in fs::read_dir("/proc").unwrap().flatten() {
            let Some(pid) = entry.file_name().to_str().and_then(|it| it.parse().ok()) else { continue };
            let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
            if String::from_utf8_lossy(&line).contains(&state) {
                res.push(pid);
            }
        }
        res
    }
}

impl Drop for Rig {
    /// Also after a failed test nothing stays: the manager is stopped by its own rules, or what it left is killed.
    fn drop(&mut self) {
        if let Some(mut manager) = self.manager.take() {
            let _gone = rustix::process::kill_process(
                rustix::process::Pid::from_child(&manager),
                rustix::process::Signal::TERM,
            );
            drop(manager.wait());
        }
        for pid in self.processes() {
            let _gone = rustix::process::kill_process(
                rustix::process::Pid::from_raw(pid).unwrap(),
                rustix::process::Signal::KILL,
            );
        }
        drop(Command::new("ip").args(["netns", "del", &self.network]).status());
    }
}

/// Runs something in a network namespace, in a thread of its own.
pub(crate) async fn in_network<T: Send + 'static>(path: PathBuf, body: impl FnOnce() -> T + Send + 'static) -> T {
    let work = move || {
        let namespace = fs::File::open(path).unwrap();
        move_into_link_name_space(rustix::fd::AsFd::as_fd(&namespace), Some(LinkNameSpaceType::Network)).unwrap();
        body()
    };
    let (sender, receiver) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || drop(sender.send(work())));
    receiver.await.expect("the thread failed")
}

/// Runs a program of the host.
pub(crate) fn run(words: &[&str]) -> String {
    let output = Command::new(words[0]).args(&words[1..]).output().unwrap();
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Folders of that path in all cgroup hierarchies.
pub(crate) fn cgroups(path: &str) -> Vec<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let mounts = mounts.lines().filter(|it| it.contains(" - cgroup")).filter_map(|it| it.split(' ').nth(4));
    mounts.map(|it| Path::new(it).join(path)).filter(|it| it.exists()).collect()
}

/// The program that stands in for the agent, and probes from inside. Compiled once.
pub(crate) fn stand_in() -> &'static Path {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/instance/standin.rs");
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("standin-{}", std::process::id()));
        let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
        let flags = ["--edition", "2024", "-C", "opt-level=1", "-C", "target-feature=+crt-static", "-C", "panic=abort"];
        let status = Command::new(rustc).args(flags).arg("-o").arg(&target).arg(source).status().unwrap();
        assert!(status.success());
        target
    })
}

/// busybox with its usual names, two users, and the probe.
pub(crate) fn base_layer() -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for folder in ["bin", "etc", "tmp", "srv"] {
        append(&mut tar, tar::EntryType::Directory, folder, 0o755, b"");
    }
    append(&mut tar, tar::EntryType::Regular, "bin/busybox", 0o755, &fs::read("/bin/busybox").unwrap());
    append(&mut tar, tar::EntryType::Regular, "bin/probe", 0o755, &fs::read(stand_in()).unwrap());
    for name in
        ["sh", "cat", "id", "ls", "sleep", "echo", "mount", "hostname", "ip", "env", "pwd", "stat", "dd", "touch"]
    {
        let mut header = header(tar::EntryType::Symlink, 0o777, 0);
        tar.append_link(&mut header, format!("bin/{name}"), "busybox").unwrap();
    }
    append(
        &mut tar,
        tar::EntryType::Regular,
        "etc/passwd",
        0o644,
        b"root:x:0:0::/:/bin/sh\nweb:x:1000:1000::/srv:/bin/sh\n",
    );
    append(&mut tar, tar::EntryType::Regular, "etc/group", 0o644, b"root:x:0:\nweb:x:1000:\n");
    tar.into_inner().unwrap()
}

/// A header of root's.
pub(crate) fn header(kind: tar::EntryType, mode: u32, size: u64) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(1_000_000_000);
    header.set_size(size);
    header
}

/// Adds an entry.
pub(crate) fn append(tar: &mut tar::Builder<Vec<u8>>, kind: tar::EntryType, path: &str, mode: u32, bytes: &[u8]) {
    let mut header = header(kind, mode, bytes.len().try_into().unwrap());
    tar.append_data(&mut header, path, bytes).unwrap();
}
