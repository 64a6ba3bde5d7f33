//! A router in a process of its own, so that what a session takes of it is not counted as the API server's.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use crate::cluster::{APC, APCD, Cluster, wait};

/// More configuration of the cluster: where roles in other processes reach the API server and auth.
pub const LISTEN: &str = "\n[api]\ncluster_listen = \"127.0.0.1:7443\"\naddresses = [\"127.0.0.1\"]\n\n\
    [auth]\ncluster_listen = \"127.0.0.1:7444\"\n";

/// The running router; killed when it goes.
pub struct Router {
    child: Child,
    /// Of tom, logged in through it.
    pub home: PathBuf,
}

impl Router {
    pub fn start(cluster: &Cluster) -> Self {
        let state = cluster.directory.join("apart");
        fs::create_dir(&state).unwrap();
        let config = cluster.directory.join("apart.toml");
        let text = format!(
            "cluster = \"test\"\nstate = \"{}\"\n\n[router]\nlisten = \"127.0.0.1:0\"\napi = [\"127.0.0.1:7443\"]\n\
             auth = \"127.0.0.1:7444\"\n",
            state.display()
        );
        fs::write(&config, text).unwrap();
        let log = fs::File::create(cluster.directory.join("apart.log")).unwrap();
        let mut command = Command::new(APCD);
        command.args(["router", "--join", &cluster.join_token("router"), "--config"]).arg(&config);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        // Held from here on, so that it ends whatever happens.
        let res = Self { child, home: cluster.directory.join("homes/apart") };
        let url = lines.map_while(Result::ok).find_map(|it| it.strip_prefix("ready ").map(str::to_owned)).unwrap();
        res.log_in(&url, &state.join("router/ca.pem"));
        res
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    fn log_in(&self, url: &str, authority: &Path) {
        let apc = |arguments: &[&str], input: &[u8]| {
            let mut command = Command::new(APC);
            command.args(arguments).env("APC_HOME", &self.home).stdin(Stdio::piped()).stdout(Stdio::null());
            let mut child = command.spawn().unwrap();
            child.stdin.take().unwrap().write_all(input).unwrap();
            assert!(wait(&mut child).success());
        };
        apc(&["target", url, "--ca", authority.to_str().unwrap()], b"");
        apc(&["login", "--user", "tom", "--password-stdin"], b"password of tom\n");
    }
}

impl Drop for Router {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _gone = self.child.wait();
    }
}
