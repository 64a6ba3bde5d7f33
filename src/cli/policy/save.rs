//! A file's text replaced: whole or not at all, and only if it still is what was read.

use std::{
    fs::{self, File, Metadata},
    io::{self, Write},
    os::unix::fs::{MetadataExt, fchown},
    path::Path,
};

/// Why a file was left as it is.
#[derive(Debug, thiserror::Error)]
pub(super) enum SaveError {
    /// A device or a pipe has no text that could be replaced.
    #[error("cannot write `{0}`: it is not an ordinary file")]
    NotAFile(String),
    /// Nobody may write it; a new file in its place would get around that.
    #[error("cannot write `{0}`: the file is read-only")]
    ReadOnly(String),
    /// Somebody else wrote it meanwhile.
    #[error("cannot write `{0}`: it was changed meanwhile; nothing of that is lost, run this again")]
    Changed(String),
    /// The file system's reason.
    #[error("cannot write `{path}`: {cause}")]
    Io {
        /// As given.
        path: String,
        /// What it says.
        cause: io::Error,
    },
}

/// Writes a new file beside the old one and puts it in its place, with the same mode. A link stays a link: what it leads
/// to is replaced.
pub(super) fn replace(path: &Path, read: &str, text: &str) -> Result<(), SaveError> {
    let name = path.display().to_string();
    try_replace(path, read, text)
        .map_err(|cause| SaveError::Io { path: name.clone(), cause })?
        .map_err(|refusal| refusal(name))
}

type Refusal = fn(String) -> SaveError;

fn try_replace(path: &Path, read: &str, text: &str) -> io::Result<Result<(), Refusal>> {
    let target = fs::canonicalize(path)?;
    let metadata = fs::metadata(&target)?;
    if !metadata.is_file() {
        return Ok(Err(SaveError::NotAFile));
    }
    if metadata.permissions().readonly() {
        return Ok(Err(SaveError::ReadOnly));
    }
    let folder = target.parent().unwrap_or(Path::new("/"));
    let mut beside = tempfile::Builder::new().prefix(".apc-").suffix(".tmp").tempfile_in(folder)?;
    beside.write_all(text.as_bytes())?;
    keep_owner(beside.as_file(), &metadata);
    // Behind the owner, whose change takes rights away.
    beside.as_file().set_permissions(metadata.permissions())?;
    beside.as_file().sync_all()?;
    if fs::read(&target)? != read.as_bytes() {
        return Ok(Err(SaveError::Changed));
    }
    beside.persist(&target).map_err(|err| err.error)?;
    Ok(Ok(()))
}

/// Owner and group, as far as whoever runs this may give files away.
fn keep_owner(file: &File, metadata: &Metadata) {
    let _by_group = fchown(file, None, Some(metadata.gid()));
    let _by_owner = fchown(file, Some(metadata.uid()), None);
}

#[cfg(test)]
mod tests {
    use std::{
        fs::{self, Permissions},
        os::unix::fs::{PermissionsExt, symlink},
    };

    use crate::cli::policy::save::{SaveError, replace};

    #[test]
    fn mode_and_links_stay_and_nothing_is_left_beside() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("a.pol"), folder.path().join("link.pol"));
        fs::write(&file, "old").unwrap();
        fs::set_permissions(&file, Permissions::from_mode(0o640)).unwrap();
        symlink("a.pol", &link).unwrap();
        replace(&link, "old", "new").unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "new");
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o7777, 0o640);
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    #[test]
    fn what_changed_or_may_not_be_written_stays() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.pol");
        fs::write(&file, "theirs").unwrap();
        assert!(matches!(replace(&file, "old", "new"), Err(SaveError::Changed(_))));
        fs::set_permissions(&file, Permissions::from_mode(0o444)).unwrap();
        assert!(matches!(replace(&file, "theirs", "new"), Err(SaveError::ReadOnly(_))));
        assert_eq!(fs::read_to_string(&file).unwrap(), "theirs");
        assert!(matches!(replace(folder.path(), "", "new"), Err(SaveError::NotAFile(_))));
        assert!(matches!(replace(&folder.path().join("b.pol"), "", "new"), Err(SaveError::Io { .. })));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
