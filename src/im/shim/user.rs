//! Finds a job's user in the image's own `/etc/passwd` and `/etc/group`.

use crate::im::{ImError, error::printable, runtime::spec::RANGE};

/// Ids as seen inside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// User.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Supplementary groups.
    pub groups: Vec<u32>,
}

/// `name`, `number`, and either with `:group`. A number needs no entry; its group then is 0.
pub fn find(wanted: &str, passwd: &str, group: &str) -> Result<User, ImError> {
    let (user, given_group) = wanted.split_once(':').map_or((wanted, None), |(user, group)| (user, Some(group)));
    let lines = || passwd.lines().map(|it| it.split(':').collect::<Vec<_>>());
    // Names first, as others do: a user may be named `1000`.
    let entry = lines()
        .find(|it| it.first() == Some(&user))
        .or_else(|| lines().find(|it| id(user).is_some() && it.get(2).and_then(|it| id(it)) == id(user)));
    let unknown = || ImError::Unusable(format!("no user `{}` in the image", printable(wanted, 100)));
    let (name, uid, own_group) = match &entry {
        Some(fields) => {
            let number = |at: usize| fields.get(at).and_then(|it| id(it)).ok_or_else(unknown);
            (fields.first().copied(), number(2)?, number(3)?)
        }
        // Images without the file still have a root.
        None if user == "root" => (Some("root"), 0, 0),
        None => (None, id(user).ok_or_else(unknown)?, 0),
    };
    let gid = match given_group {
        None => own_group,
        Some(wanted) => group_id(wanted, group).ok_or_else(unknown)?,
    };
    let groups = name.map(|name| member_of(name, group)).unwrap_or_default();
    Ok(User { uid, gid, groups })
}

fn group_id(wanted: &str, group: &str) -> Option<u32> {
    let entry = group.lines().map(|it| it.split(':').collect::<Vec<_>>()).find(|it| it.first() == Some(&wanted));
    entry.and_then(|it| id(it.get(2)?)).or_else(|| id(wanted))
}

fn member_of(name: &str, group: &str) -> Vec<u32> {
    let entries = group.lines().map(|it| it.split(':').collect::<Vec<_>>());
    let mine = entries.filter(|it| it.get(3).is_some_and(|it| it.split(',').any(|it| it == name)));
    mine.filter_map(|it| id(it.get(2)?)).take(64).collect()
}

/// Digits only, within the instance's range: neither `-1` nor `+1` nor 4294967295.
fn id(text: &str) -> Option<u32> {
    if text.is_empty() || !text.bytes().all(|it| it.is_ascii_digit()) {
        return None;
    }
    text.parse().ok().filter(|it| *it < RANGE)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str =
        "root:x:0:0:root:/root:/bin/sh\nweb:x:1000:1001::/srv:/bin/sh\nodd:x:4294967295:0::/:/bin/sh\n";
    const GROUP: &str = "root:x:0:\nweb:x:1001:\nlogs:x:44:web,other\n";

    fn ids(wanted: &str) -> Option<(u32, u32)> {
        find(wanted, PASSWD, GROUP).ok().map(|it| (it.uid, it.gid))
    }

    #[test]
    fn names_and_numbers_are_found() {
        assert_eq!(find("web", PASSWD, GROUP).unwrap(), User { uid: 1000, gid: 1001, groups: vec![44] });
        assert_eq!(ids("1000"), Some((1000, 1001)));
        assert_eq!(ids("1000:logs"), Some((1000, 44)));
        assert_eq!(ids("4000"), Some((4000, 0)));
        assert_eq!(ids("4000:5"), Some((4000, 5)));
        assert_eq!(find("root", "", "").unwrap().uid, 0);
    }

    #[test]
    fn hostile_names_and_numbers_are_no_user() {
        for wanted in ["", "-1", "+1", "#0", "4294967295", "65536", "odd", "nobody", "web:none", " root", "ro\u{1b}ot"]
        {
            assert_eq!(ids(wanted), None, "{wanted:?}");
        }
    }
}
