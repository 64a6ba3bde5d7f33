//! A real Neovim with the setup that we hand out, and its built-in client.

use std::{collections::BTreeMap, env, fs, path::Path, process::Command};

use serde_json::{Value, json};

const USES: &str = "job::/a {\n  if (role == \"sre\") { permit 'ssh' }\n}\n";
const ROLES: &str = "job::/ {\n  if (LDAP->group == \"ops\") { role sre }\n}\n";

#[test]
fn neovim_reports_mends_jumps_renames_formats_and_completes() {
    if Command::new("nvim").arg("--version").output().is_err() {
        eprintln!("SKIPPED: there is no nvim on this machine; `make deps` installs it");
        return;
    }
    let kept = tempfile::tempdir().unwrap();
    // A link on the way to the folder would give its documents two names.
    let folder = fs::canonicalize(kept.path()).unwrap();
    fs::write(folder.join("a.pol"), USES).unwrap();
    fs::write(folder.join("roles.pol"), ROLES).unwrap();
    let steps = steps(&folder);
    let of = |step: &str| steps.get(step).unwrap_or_else(|| panic!("{step} is missing: {steps:?}"));
    assert_eq!(of("filetype"), "gatehouse");
    assert_eq!(of("opened"), &json!(["E0103"]));
    assert_eq!(of("mended"), &lines(&USES.replace('\'', "\"")));
    assert_eq!(of("definition"), &json!([2, 35]));
    let renamed = USES.replace('\'', "\"").replace("sre", "oncall");
    assert_eq!(of("renamed"), &lines(&renamed));
    assert_eq!(of("formatted"), &lines(&renamed.replace('"', "")));
    let labels = of("completed").as_array().unwrap();
    assert!(labels.contains(&json!("ssh")) && labels.contains(&json!("sftp")), "{labels:?}");
}

fn lines(text: &str) -> Value {
    json!(text.lines().collect::<Vec<_>>())
}

/// What each step of `neovim.lua` told.
fn steps(folder: &Path) -> BTreeMap<String, Value> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let apc = Path::new(env!("CARGO_BIN_EXE_apc")).parent().unwrap();
    let path = format!("{}:{}", apc.display(), env::var("PATH").unwrap());
    let output = Command::new("nvim")
        .args(["--headless", "-i", "NONE", "-n", "-u"])
        .arg(root.join("grammar/editors/neovim.lua"))
        .arg("-c")
        .arg(format!("luafile {}", root.join("tests/cli/neovim.lua").display()))
        .current_dir(folder)
        .env("PATH", path)
        // Nothing of whoever runs the tests is read or written.
        .env("HOME", folder)
        .env("XDG_STATE_HOME", folder)
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}\n{errors}");
    let each = told.lines().filter_map(|it| serde_json::from_str::<Value>(it).ok());
    each.map(|it| (it.get("step").unwrap().as_str().unwrap().to_owned(), it.get("what").unwrap().clone())).collect()
}
