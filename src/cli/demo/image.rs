//! The demo's image: one static busybox with a name for each of its tools, and two users.

use std::{
    fs, io,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};

use crate::cli::demo::Trouble;

const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\napp:x:1000:1000:app:/home/app:/bin/sh\n";
const GROUP: &str = "root:x:0:\napp:x:1000:\n";

/// Makes a root file system in `root` out of the host's static busybox.
pub(super) fn make(root: &Path) -> Result<(), Trouble> {
    let busybox = find_busybox().ok_or_else(|| {
        Trouble::new("busybox", "there is no static busybox here; `apt-get install busybox-static` brings it")
    })?;
    fill(root, &busybox).map_err(|err| Trouble::new("the image", err.to_string()))
}

fn find_busybox() -> Option<PathBuf> {
    ["/bin/busybox", "/usr/bin/busybox"].iter().map(PathBuf::from).find(|it| it.exists())
}

fn fill(root: &Path, busybox: &Path) -> io::Result<()> {
    for dir in ["bin", "dev", "etc", "home/app", "proc", "root", "srv", "sys", "tmp", "usr", "var"] {
        fs::create_dir_all(root.join(dir))?;
    }
    fs::copy(busybox, root.join("bin/busybox"))?;
    let list = Command::new(busybox).arg("--list").output()?;
    for tool in String::from_utf8_lossy(&list.stdout).lines().filter(|it| *it != "busybox") {
        symlink("busybox", root.join("bin").join(tool))?;
    }
    fs::write(root.join("etc/passwd"), PASSWD)?;
    fs::write(root.join("etc/group"), GROUP)?;
    fs::write(root.join("srv/index.html"), "hello from the sandbox\n")
}
