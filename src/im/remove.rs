//! Removes a folder that a hostile job has filled, however deep it has nested it.

use std::{
    ffi::{CString, OsStr},
    os::{fd::OwnedFd, unix::ffi::OsStrExt},
    path::Path,
};

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, RenameFlags, openat, renameat_with, unlinkat};

use crate::im::{ImError, error::Context};

/// Removes `folder` and all in it; that it is not there is no error.
///
/// Recursion would need a descriptor, or a stretch of stack, for each level, of which a job can make as many as it
/// likes. Instead every folder found inside another is first moved to the top.
pub fn remove(folder: &Path) -> Result<(), ImError> {
    let what = || format!("remove `{}`", folder.display());
    let top = match open(CWD, folder.as_os_str()) {
        Ok(top) => top,
        Err(rustix::io::Errno::NOENT) => return Ok(()),
        Err(error) => return Err(error).context(what),
    };
    let mut moved = 0_u64;
    loop {
        let mut emptied = Vec::new();
        for (name, kind) in entries(&top).context(what)? {
            if kind == FileType::Directory {
                empty(&top, &name, &mut moved).context(what)?;
                emptied.push(name);
            } else {
                unlinkat(&top, &name, AtFlags::empty()).context(what)?;
            }
        }
        if emptied.is_empty() {
            break;
        }
        for name in emptied {
            unlinkat(&top, &name, AtFlags::REMOVEDIR).context(what)?;
        }
    }
    std::fs::remove_dir(folder).context(what)
}

/// Empties a folder directly below the top: its files go, its folders move to the top.
fn empty(top: &OwnedFd, name: &CString, moved: &mut u64) -> rustix::io::Result<()> {
    let folder = open(top, OsStr::from_bytes(name.as_bytes()))?;
    for (name, kind) in entries(&folder)? {
        if kind != FileType::Directory {
            unlinkat(&folder, &name, AtFlags::empty())?;
            continue;
        }
        // The job may have used any name, also the next of ours.
        loop {
            *moved = moved.wrapping_add(1);
            match renameat_with(&folder, &name, top, format!(".moved-{moved}"), RenameFlags::NOREPLACE) {
                Err(rustix::io::Errno::EXIST) => {}
                other => break other?,
            }
        }
    }
    Ok(())
}

fn entries(folder: &OwnedFd) -> rustix::io::Result<Vec<(CString, FileType)>> {
    let mut res = Vec::new();
    for entry in Dir::read_from(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        if name == c"." || name == c".." {
            continue;
        }
        let mut kind = entry.file_type();
        if kind == FileType::Unknown {
            // Not every file system tells.
            kind = FileType::from_raw_mode(rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)?.st_mode);
        }
        res.push((name.to_owned(), kind));
    }
    Ok(res)
}

fn open(at: impl rustix::fd::AsFd, name: &OsStr) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(at, name, flags, Mode::empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deeper_than_descriptors_and_paths_go_is_removed() {
        let outside = tempfile::tempdir().unwrap();
        std::fs::write(outside.path().join("kept"), "x").unwrap();
        let base = tempfile::tempdir().unwrap();
        let folder = base.path().join("victim");
        std::fs::create_dir(&folder).unwrap();
        let mut at = open(CWD, folder.as_os_str()).unwrap();
        for _ in 0..5_000 {
            rustix::fs::mkdirat(&at, "d", Mode::from_raw_mode(0o700)).unwrap();
            rustix::fs::mkdirat(&at, ".moved-1", Mode::from_raw_mode(0o700)).unwrap();
            rustix::fs::symlinkat(outside.path(), &at, "link").unwrap();
            at = open(&at, OsStr::new("d")).unwrap();
        }
        drop(at);
        remove(&folder).unwrap();
        assert!(!folder.exists());
        assert!(outside.path().join("kept").exists());
        remove(&folder).unwrap();
    }
}
