//! Two stock sshds of our own: one to log in to, and one to jump through.

use std::{
    fmt::Write as _,
    fs,
    io::{self, BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
};

use crate::cluster::{Cluster, run};

/// The host to jump through, and the one that is meant, as the client's configuration calls them.
pub const FIRST: &str = "first";
pub const SECOND: &str = "second";

/// Nothing else is in the namespace; only the gate's own public ports, which are above 20000.
const PORTS: [(&str, u16); 2] = [(FIRST, 2201), (SECOND, 2202)];

/// Runs in a mount namespace: the user of the bench is in no other's list of users. sshd wants its empty folder in `/run`.
const START: &str = "mount --bind \"$1/passwd\" /etc/passwd && mount --bind \"$1/shadow\" /etc/shadow && \
    mount -t tmpfs none /run && mkdir -m 755 /run/sshd && exec /usr/sbin/sshd -D -e -f \"$1/$2.conf\"";

/// The running servers; killed when they go.
pub struct Servers {
    children: Vec<Child>,
    pub client_config: PathBuf,
}

impl Servers {
    /// Starts them inside the cluster's namespace. `image` is the folder whose busybox they run.
    pub fn start(cluster: &Cluster, image: &str) -> Self {
        assert!(Path::new("/usr/sbin/sshd").exists(), "there is no sshd; `make bench-gate` installs one");
        let folder = cluster.directory.join("sshd");
        fs::create_dir(&folder).unwrap();
        let user_key = make_key(&folder, "user");
        fs::copy(folder.join("user.pub"), folder.join("authorized_keys")).unwrap();
        let passwd = format!(
            "root:x:0:0:root:/root:/bin/sh\nsshd:x:100:65534::/run/sshd:/usr/sbin/nologin\napp:x:1000:1000:app:/:{image}/bin/sh\n"
        );
        fs::write(folder.join("passwd"), passwd).unwrap();
        fs::write(folder.join("shadow"), "root:*:19000::::::\nsshd:!:19000::::::\napp:*:19000::::::\n").unwrap();
        let mut client =
            format!("{CLIENT}UserKnownHostsFile {0}/known_hosts\nIdentityFile {user_key}\n", folder.display());
        let mut known_hosts = String::new();
        let mut res = Self { children: Vec::new(), client_config: folder.join("client.conf") };
        for (name, port) in PORTS {
            let host_key = make_key(&folder, name);
            let public = fs::read_to_string(folder.join(format!("{name}.pub"))).unwrap();
            write!(known_hosts, "[127.0.0.1]:{port} {public}").unwrap();
            writeln!(client, "Host {name}\n  Port {port}").unwrap();
            let config = format!(
                "{SERVER}Port {port}\nHostKey {host_key}\nAuthorizedKeysFile {}/authorized_keys\nSetEnv PATH={image}/bin\n",
                folder.display()
            );
            fs::write(folder.join(format!("{name}.conf")), config).unwrap();
            res.children.push(start(cluster, &folder, name));
        }
        fs::write(folder.join("known_hosts"), known_hosts).unwrap();
        fs::write(&res.client_config, client).unwrap();
        res
    }

    /// Ids of the listening processes.
    pub fn ids(&self) -> impl Iterator<Item = u32> {
        self.children.iter().map(Child::id)
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        for child in &mut self.children {
            let _gone = child.kill();
            let _gone = child.wait();
        }
    }
}

/// Nothing of the person's own configuration; newer clients would hide keystrokes among made-up ones, 20 ms apart.
const CLIENT: &str = "IgnoreUnknown ObscureKeystrokeTiming\nObscureKeystrokeTiming no\nBatchMode yes\nLogLevel ERROR\n\
    StrictHostKeyChecking yes\nGlobalKnownHostsFile /dev/null\nIdentitiesOnly yes\nIdentityAgent none\n\
    HostName 127.0.0.1\nUser app\n";

const SERVER: &str = "ListenAddress 127.0.0.1\nPidFile none\nStrictModes no\nUsePAM no\nPasswordAuthentication no\n\
    KbdInteractiveAuthentication no\n";

fn make_key(folder: &Path, name: &str) -> String {
    let path = folder.join(name).display().to_string();
    run("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-f", &path]);
    path
}

fn start(cluster: &Cluster, folder: &Path, name: &str) -> Child {
    let mut command: Command = cluster.namespace.command("unshare");
    command.args(["--mount", "--", "/bin/sh", "-c", START, "sh"]).arg(folder).arg(name);
    let mut child = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut log = BufReader::new(child.stderr.take().unwrap());
    let mut said = String::new();
    while !said.contains("Server listening") {
        assert_ne!(log.read_line(&mut said).unwrap(), 0, "sshd did not start: {said}");
    }
    // It tells each login, and would stop at a full pipe.
    thread::spawn(move || io::copy(&mut log, &mut io::sink()));
    child
}
