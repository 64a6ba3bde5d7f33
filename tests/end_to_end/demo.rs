//! The demo, and the demo sabotaged: each step that does not do what it claims makes it fail.

use std::{fs, os::unix::fs::PermissionsExt, path::Path, process::Stdio};

use crate::cluster::{APC, APCD, Namespace, is_root};

#[test]
fn demo_shows_what_it_claims() {
    if !is_root("demo") {
        return;
    }
    let (code, text) = demo(&[]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("missing claim \"permit ssh\""), "{text}");
    assert!(text.contains("Every step did what it claims."), "{text}");
}

/// Each sabotage is a wrapper around `apc` that falsifies one thing.
#[test]
fn sabotaged_demo_fails() {
    if !is_root("demo") {
        return;
    }
    let sabotages = [
        ("a command that fails", "case \"$*\" in 'app start web') exit 1;; esac"),
        ("ssh is shown as on", "case \"$*\" in 'app show web') echo 'ssh: on'; exit 0;; esac"),
        ("a connect that should be refused goes through", "case \"$*\" in 'app connect web -- id') exit 0;; esac"),
        ("a refusal without its reason", "case \"$*\" in *'connect job::'*) echo no >&2; exit 255;; esac"),
        (
            "the environment of the console is lost",
            "case \"$*\" in 'app console'*) \"$APC\" \"$@\" | grep -v GREETING; exit 0;; esac",
        ),
        ("a clone is left", "case \"$*\" in 'job list') \"$APC\" \"$@\"; echo web-console-00000000; exit 0;; esac"),
        ("an audit line is dropped", "case \"$*\" in 'audit tail'*) \"$APC\" \"$@\" | grep -v revoked; exit 0;; esac"),
        ("the audit chain is broken", "case \"$*\" in 'audit verify') exit 1;; esac"),
    ];
    for (what, script) in sabotages {
        let directory = scratch();
        let wrapper = directory.join("apc");
        fs::write(&wrapper, format!("#!/bin/sh\nAPC={APC}\n{script}\nexec \"$APC\" \"$@\"\n")).unwrap();
        fs::set_permissions(&wrapper, fs::Permissions::from_mode(0o755)).unwrap();
        let (code, text) = demo(&["--apc", wrapper.to_str().unwrap()]);
        assert_eq!(code, Some(1), "{what}:\n{text}");
        assert!(text.contains("the demo FAILED at: "), "{what}:\n{text}");
        fs::remove_dir_all(directory).unwrap();
    }
}

#[test]
fn demo_fails_when_mary_is_granted_ssh() {
    if !is_root("demo") {
        return;
    }
    let directory = scratch();
    let documents = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies/demo");
    for entry in fs::read_dir(documents).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap().replace("permit read }", "permit read, ssh }");
        fs::write(directory.join(path.file_name().unwrap()), text).unwrap();
    }
    let (code, text) = demo(&["--documents", directory.to_str().unwrap()]);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("should end with 255"), "{text}");
    fs::remove_dir_all(directory).unwrap();
}

fn demo(arguments: &[&str]) -> (Option<i32>, String) {
    let namespace = Namespace::new();
    let output =
        namespace.command(APCD).arg("demo").arg("--batch").args(arguments).stdin(Stdio::null()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    (output.status.code(), text.into_owned())
}

fn scratch() -> std::path::PathBuf {
    let directory = std::env::temp_dir().join(format!("gatehouse-demo-test-{}", uuid::Uuid::new_v4().simple()));
    fs::create_dir_all(&directory).unwrap();
    directory
}
