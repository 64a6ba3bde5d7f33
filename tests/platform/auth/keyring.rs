//! Keys: each for one purpose, in files of their owner alone.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use gatehouse::auth::{Keyring, KeyringError, Purpose, add_key};

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn key_files(folder: &Path) -> Vec<std::path::PathBuf> {
    Purpose::ALL.iter().map(|it| folder.join(it.as_str()).join("1.key")).collect()
}

#[test]
fn keys_are_made_once_and_are_all_different() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys");
    let first = Keyring::open(&path, "demo").unwrap();
    let again = Keyring::open(&path, "demo").unwrap();
    assert_eq!(first.token_keys(), again.token_keys());
    assert_eq!(first.snapshot_keys(), again.snapshot_keys());
    assert_eq!(first.instance_user_authorities(), again.instance_user_authorities());
    assert_eq!(first.components().fingerprint(), again.components().fingerprint());
    let texts: std::collections::BTreeSet<String> =
        key_files(&path).iter().map(|it| fs::read_to_string(it).unwrap()).collect();
    assert_eq!(texts.len(), Purpose::ALL.len());
    for file in key_files(&path) {
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o7777, 0o600, "{}", file.display());
        assert_eq!(fs::metadata(file.parent().unwrap()).unwrap().permissions().mode() & 0o7777, 0o700);
    }
    for secret in texts.iter().flat_map(|it| it.lines()).filter(|it| 40 < it.len()) {
        assert!(!format!("{first:?}").contains(secret));
    }
}

#[test]
fn a_key_that_others_may_read_or_write_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys");
    Keyring::open(&path, "demo").unwrap();
    for file in key_files(&path) {
        for mode in [0o640, 0o604, 0o620, 0o602, 0o610, 0o666, 0o777] {
            set_mode(&file, mode);
            let refused = Keyring::open(&path, "demo");
            assert!(matches!(refused, Err(KeyringError::Loose { .. })), "{} {mode:o}: {refused:?}", file.display());
        }
        set_mode(&file, 0o600);
    }
    for loose in [path.clone(), path.join("tokens")] {
        set_mode(&loose, 0o755);
        assert!(matches!(Keyring::open(&path, "demo"), Err(KeyringError::Loose { .. })), "{}", loose.display());
        set_mode(&loose, 0o700);
    }
    Keyring::open(&path, "demo").unwrap();
}

#[test]
fn a_link_is_no_key() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys");
    Keyring::open(&path, "demo").unwrap();
    let key = path.join("tokens/1.key");
    let elsewhere = folder.path().join("elsewhere");
    fs::rename(&key, &elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, &key).unwrap();
    assert!(matches!(Keyring::open(&path, "demo"), Err(KeyringError::File { .. })));
}

#[test]
fn what_is_no_key_is_never_replaced_by_a_new_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys");
    Keyring::open(&path, "demo").unwrap();
    let tokens = fs::read_to_string(path.join("tokens/1.key")).unwrap();
    for file in key_files(&path) {
        let good = fs::read(&file).unwrap();
        for bad in [&b""[..], b"not a key", &good[..good.len() / 2]] {
            fs::write(&file, bad).unwrap();
            let refused = Keyring::open(&path, "demo");
            assert!(matches!(refused, Err(KeyringError::Unusable { .. })), "{}: {refused:?}", file.display());
            assert_eq!(fs::read(&file).unwrap(), bad);
        }
        fs::write(&file, good).unwrap();
    }
    // A key of one kind in the place of another.
    fs::write(path.join("instance-users/1.key"), tokens).unwrap();
    assert!(matches!(Keyring::open(&path, "demo"), Err(KeyringError::Unusable { .. })));
}

#[test]
fn keys_rotate_by_overlap() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys");
    let old = Keyring::open(&path, "demo").unwrap();
    for purpose in Purpose::ALL {
        add_key(&path, purpose, "demo").unwrap();
    }
    let both = Keyring::open(&path, "demo").unwrap();
    assert_eq!(both.token_keys().to_wire().len(), 2);
    assert!(old.token_keys().to_wire().iter().all(|it| both.token_keys().get(&it.kid).is_some()));
    assert_eq!(both.instance_user_authorities().len(), 2);
    assert_eq!(both.components().trust().matches("BEGIN CERTIFICATE").count(), 2);
    assert_ne!(both.components().fingerprint(), old.components().fingerprint());
    fs::remove_file(path.join("tokens/1.key")).unwrap();
    let new = Keyring::open(&path, "demo").unwrap();
    assert_eq!(new.token_keys().to_wire().len(), 1);
    assert!(old.token_keys().to_wire().iter().all(|it| new.token_keys().get(&it.kid).is_none()), "revoked");
}
