//! Documents and their tests, kept in a cluster: what breaks a promise does not get in.

use std::fs;

use crate::cluster::{Cluster, is_root};

const DOCUMENT: &str = "job::/prod {\n  if (LDAP->group == \"oncall\") { permit ssh }\n}\n";
const TESTS: &str = r#"[[test]]
name = "who is on call gets in"
target = "job::/prod::web"
facts = { "LDAP->group" = "oncall" }
want = "permit ssh"
allow = true
"#;

#[test]
fn import_that_breaks_a_kept_test_is_refused() {
    if !is_root("kept tests") {
        return;
    }
    let cluster = Cluster::start();
    let folder = cluster.directory.join("production");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("prod.pol"), DOCUMENT).unwrap();
    fs::write(folder.join("decisions.toml"), TESTS).unwrap();
    let folder = folder.to_str().unwrap();
    let said = cluster.does("admin", &["policy", "import", "--tests", folder]);
    assert!(said.out.contains("imported 1 document and 1 file of tests"), "{said:?}");
    let listed = cluster.does("admin", &["policy", "list"]).out;
    assert!(listed.contains("production.decisions.toml"), "{listed}");
    assert_eq!(
        cluster.does("admin", &["policy", "show", "production.decisions.toml"]).out.trim_end(),
        TESTS.trim_end()
    );

    fs::write(cluster.directory.join("production/prod.pol"), DOCUMENT.replace("oncall", "ops")).unwrap();
    for arguments in [&["policy", "import", folder][..], &["policy", "delete", "prod"]] {
        let said = cluster.apc("admin", arguments);
        assert_eq!(said.code, Some(1), "{said:?}");
        for part in ["the change would break tests", "production.decisions.toml", "E0711", "expected to be allowed"] {
            assert!(said.err.contains(part), "{part}: {said:?}");
        }
    }
    let copy = cluster.directory.join("copy");
    cluster.does("admin", &["policy", "export", copy.to_str().unwrap()]);
    assert_eq!(fs::read_to_string(copy.join("prod.pol")).unwrap(), DOCUMENT);
    assert_eq!(fs::read_to_string(copy.join("production.decisions.toml")).unwrap(), TESTS);

    cluster.does("admin", &["policy", "delete", "production.decisions.toml"]);
    cluster.does("admin", &["policy", "import", folder]);
}
