//! A full disk: no record, no access.

use std::{path::PathBuf, process::Command};

use crate::cluster::{Cluster, is_root, run};

#[test]
fn full_disk_refuses_and_does_not_dial() {
    if !is_root("full disk") {
        return;
    }
    let directory = std::env::temp_dir().join(format!("gatehouse-e2e-{}", uuid::Uuid::new_v4().simple()));
    let state = directory.join("state");
    std::fs::create_dir_all(&state).unwrap();
    let _disk = Disk::mount(state.clone());
    let cluster = Cluster::start_in(directory, "");
    cluster.deploy(true);
    cluster.does("tom", &["app", "connect", "web", "--", "true"]);

    let before = cluster.namespace.run("nft", &["list", "ruleset"]);
    fill(&state.join("ballast"));
    let said = cluster.apc("tom", &["app", "connect", "web", "--", "true"]);
    assert_eq!(said.code, Some(255), "{said:?}");
    assert_eq!(cluster.namespace.run("nft", &["list", "ruleset"]), before, "it dialled: a counter rose");

    std::fs::remove_file(state.join("ballast")).unwrap();
    cluster.does("tom", &["app", "connect", "web", "--", "true"]);
}

/// A small file system of its own.
struct Disk(PathBuf);

impl Disk {
    fn mount(at: PathBuf) -> Self {
        run("mount", &["-t", "tmpfs", "-o", "size=128m", "gatehouse-test", at.to_str().unwrap()]);
        Self(at)
    }
}

/// The cluster cannot remove its folder while this is mounted there.
impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).output();
        let _ = self.0.parent().map(std::fs::remove_dir_all);
    }
}

/// Writes until nothing fits any more.
fn fill(path: &std::path::Path) {
    use std::io::Write;
    let mut file = std::fs::File::create(path).unwrap();
    let chunk = vec![0; 64 * 1024];
    while file.write_all(&chunk).is_ok() {}
    while file.write_all(&[0]).is_ok() {}
}
