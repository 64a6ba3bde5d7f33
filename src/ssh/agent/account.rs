//! Who a session runs as: the image's own `/etc/passwd` and `/etc/group`, read as the hostile files that they may be.

use std::{
    ffi::{OsStr, OsString},
    fs::File,
    io::Read,
    os::unix::ffi::OsStrExt,
    path::Path,
};

use rustix::fs::{CWD, FileType, Mode, OFlags, fstat, openat};
use thiserror::Error;

/// Bytes of either file that are read; a larger one counts as absent.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// Supplementary groups of one user.
const GROUPS_MAX: usize = 256;

/// The one shell that an image must have.
pub(in crate::ssh) const SHELL: &str = "/bin/sh";

/// A user of the image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::ssh) struct Account {
    /// For `USER` and `LOGNAME`; the number where there is no name.
    pub(in crate::ssh) name: OsString,
    pub(in crate::ssh) user: u32,
    pub(in crate::ssh) group: u32,
    pub(in crate::ssh) groups: Vec<u32>,
    pub(in crate::ssh) home: OsString,
    /// As the image says; whether it can be run is another question.
    pub(in crate::ssh) shell: OsString,
}

/// Why nobody can be run as this user.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(in crate::ssh) enum AccountError {
    #[error("no user `{0}` in this image")]
    User(String),
    #[error("no group `{0}` in this image")]
    Group(String),
}

/// Looks up `user`, `user:group`, or numbers in the place of either.
pub(in crate::ssh) fn look_up(etc: &Path, wanted: &str) -> Result<Account, AccountError> {
    let (user, group) = match wanted.split_once(':') {
        Some((user, group)) => (user, Some(group)),
        None => (wanted, None),
    };
    let passwd = read(&etc.join("passwd"));
    let groups = read(&etc.join("group"));
    let mut account = named(&passwd, user).ok_or_else(|| AccountError::User(user.escape_debug().to_string()))?;
    account.groups = memberships(&groups, &account);
    if let Some(group) = group {
        let found = number(group).or_else(|| group_named(&groups, group));
        account.group = found.ok_or_else(|| AccountError::Group(group.escape_debug().to_string()))?;
    }
    Ok(account)
}

fn named(passwd: &[u8], user: &str) -> Option<Account> {
    let number = number(user);
    let matches = |entry: &Account| match number {
        Some(number) => entry.user == number,
        None => entry.name.as_bytes() == user.as_bytes(),
    };
    if let Some(found) = passwd.split(|it| *it == b'\n').filter_map(passwd_entry).find(matches) {
        return Some(found);
    }
    // An image without the file still has its root, and any number may run processes.
    let (user_id, home) = match number {
        Some(number) => (number, "/"),
        None if user == "root" => (0, "/root"),
        None => return None,
    };
    Some(Account {
        name: user.into(),
        user: user_id,
        group: if user_id == 0 { 0 } else { user_id },
        groups: Vec::new(),
        home: home.into(),
        shell: SHELL.into(),
    })
}

/// `name:password:uid:gid:gecos:home:shell`.
fn passwd_entry(line: &[u8]) -> Option<Account> {
    let mut fields = line.split(|it| *it == b':');
    let name = fields.next().filter(|it| !it.is_empty())?;
    let _password = fields.next()?;
    let user = number(std::str::from_utf8(fields.next()?).ok()?)?;
    let group = number(std::str::from_utf8(fields.next()?).ok()?)?;
    let _gecos = fields.next()?;
    let home = fields.next()?;
    let shell = fields.next()?;
    let or = |field: &[u8], default: &str| -> OsString {
        if field.is_empty() { default.into() } else { OsStr::from_bytes(field).to_owned() }
    };
    Some(Account {
        name: OsStr::from_bytes(name).to_owned(),
        user,
        group,
        groups: Vec::new(),
        home: or(home, "/"),
        shell: or(shell, SHELL),
    })
}

/// `name:password:gid:member,member`.
fn group_entry(line: &[u8]) -> Option<(&[u8], u32, &[u8])> {
    let mut fields = line.split(|it| *it == b':');
    let name = fields.next().filter(|it| !it.is_empty())?;
    let _password = fields.next()?;
    let id = number(std::str::from_utf8(fields.next()?).ok()?)?;
    Some((name, id, fields.next()?))
}

fn memberships(groups: &[u8], account: &Account) -> Vec<u32> {
    let entries = groups.split(|it| *it == b'\n').filter_map(group_entry);
    let of = |members: &[u8]| members.split(|it| *it == b',').any(|it| it == account.name.as_bytes());
    entries.filter(|(_, _, members)| of(members)).map(|(_, id, _)| id).take(GROUPS_MAX).collect()
}

fn group_named(groups: &[u8], wanted: &str) -> Option<u32> {
    let mut entries = groups.split(|it| *it == b'\n').filter_map(group_entry);
    entries.find(|(name, _, _)| *name == wanted.as_bytes()).map(|(_, id, _)| id)
}

/// A user or group id written plainly: no sign, no leading zero, and not the one that means "unchanged"
/// (CVE-2019-14287).
fn number(text: &str) -> Option<u32> {
    let plain = text.bytes().all(|it| it.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    let value = text.parse().ok().filter(|_| plain)?;
    (value != u32::MAX).then_some(value)
}

/// Empty when there is no such regular file of bearable size. Never blocks: a FIFO is opened without waiting.
fn read(path: &Path) -> Vec<u8> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let Ok(file) = openat(CWD, path, flags, Mode::empty()) else { return Vec::new() };
    let regular = fstat(&file).is_ok_and(|it| FileType::from_raw_mode(it.st_mode) == FileType::RegularFile);
    let mut text = Vec::new();
    if !regular {
        return text;
    }
    match File::from(file).take(FILE_BYTES_MAX.saturating_add(1)).read_to_end(&mut text) {
        Ok(count) if u64::try_from(count).is_ok_and(|it| it <= FILE_BYTES_MAX) => text,
        Ok(_) | Err(_) => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn etc(passwd: &str, group: &str) -> tempfile::TempDir {
        let etc = tempfile::tempdir().unwrap();
        std::fs::write(etc.path().join("passwd"), passwd).unwrap();
        std::fs::write(etc.path().join("group"), group).unwrap();
        etc
    }

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/bash\n\nbroken\nbad:x:-1:0::/:/bin/sh\nbig:x:4294967295:0::/:/bin/sh\n\
                          app:x:1000:1001:An App,,,:/srv/app:\nwww-data:x:33:33::/var/www:/usr/sbin/nologin\n";
    const GROUP: &str = "root:x:0:\nstaff:x:50:app,other\napp:x:1001:\nwheel:x:10:apple,app\nbad:x:01:app\n";

    #[test]
    fn a_name_is_found_with_its_groups() {
        let etc = etc(PASSWD, GROUP);
        let app = look_up(etc.path(), "app").unwrap();
        assert_eq!((app.user, app.group, app.groups), (1000, 1001, vec![50, 10]));
        assert_eq!((app.home.to_str(), app.shell.to_str()), (Some("/srv/app"), Some("/bin/sh")));
        assert_eq!(look_up(etc.path(), "1000").unwrap().name, "app");
        assert_eq!(look_up(etc.path(), "app:staff").unwrap().group, 50);
        assert_eq!(look_up(etc.path(), "app:7").unwrap().group, 7);
        assert_eq!(look_up(etc.path(), "www-data").unwrap().shell, "/usr/sbin/nologin");
    }

    #[test]
    fn nobody_becomes_root_by_a_strange_name() {
        let etc = etc(PASSWD, GROUP);
        for name in [
            "",
            " root",
            "root ",
            "ROOT",
            "-1",
            "+0",
            "00",
            "0x0",
            "#0",
            "4294967295",
            "4294967296",
            "bad",
            "big",
            "broken",
            "x",
            "root\n",
            "app\0",
            "tom",
            "../root",
            "root:nogroup",
            ":0",
            "app:",
            "app:-1",
            "app:01",
        ] {
            assert!(look_up(etc.path(), name).is_err(), "{name:?}");
        }
    }

    #[test]
    fn without_files_there_is_root_and_there_are_numbers() {
        let etc = tempfile::tempdir().unwrap();
        let root = look_up(etc.path(), "root").unwrap();
        assert_eq!((root.user, root.group, root.home.to_str()), (0, 0, Some("/root")));
        let number = look_up(etc.path(), "1234").unwrap();
        assert_eq!((number.user, number.group, number.home.to_str()), (1234, 1234, Some("/")));
        assert_eq!(look_up(etc.path(), "app"), Err(AccountError::User("app".into())));
    }

    #[test]
    fn a_pipe_or_a_directory_in_the_place_of_the_file_is_no_file() {
        let etc = tempfile::tempdir().unwrap();
        let fifo = FileType::Fifo;
        rustix::fs::mknodat(CWD, etc.path().join("passwd"), fifo, Mode::RWXU, 0).unwrap();
        std::fs::create_dir(etc.path().join("group")).unwrap();
        assert!(look_up(etc.path(), "app").is_err());
        assert_eq!(look_up(etc.path(), "root").unwrap().user, 0);
    }
}
