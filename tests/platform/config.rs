//! The operator's file: what it says, what it may not say, and what is printed of it.

use gatehouse::config::{Config, Overrides};

fn refusal(text: &str) -> String {
    Config::parse("apcd.toml", text, &Overrides::new()).unwrap_err().to_string()
}

#[test]
fn the_printed_configuration_means_the_same() {
    let text = "cluster = \"demo\"\n[router]\nlisten = \"0.0.0.0:443\"\ncertificate = \"c.pem\"\nkey = \"k.pem\"\n\
                api = [\"10.0.0.1:7001\", \"[fd00::1]:7001\"]\n[im]\nports = \"2000-3000\"\n[console]\nlease_ms = 500\n";
    let config = Config::parse("apcd.toml", text, &Overrides::new()).unwrap();
    assert_eq!((config.im.ports.first, config.im.ports.last), (2000, 3000));
    assert_eq!(config.console.lease_ms, 500);
    assert_eq!(config.sessions.keepalive_ms, 20_000);
    assert_eq!(Config::parse("printed", &config.to_string(), &Overrides::new()).unwrap(), config);
    let default = Config::default();
    assert_eq!(Config::parse("printed", &default.to_string(), &Overrides::new()).unwrap(), default);
}

#[test]
fn without_being_told_nothing_listens_to_strangers() {
    let config = Config::parse("apcd.toml", "", &Overrides::new()).unwrap();
    assert!(config.router.listen.ip().is_loopback(), "{}", config.router.listen);
    assert!(config.im.address.is_loopback(), "{}", config.im.address);
    assert_eq!((config.api.cluster_listen, config.auth.cluster_listen), (None, None));
}

#[test]
fn flags_replace_keys_of_the_file() {
    let mut flags = Overrides::new();
    flags.set("state", "/tmp/a").set("router.drain_ms", 7);
    flags.parse("router.listen=127.0.0.1:9000").unwrap();
    flags.parse("im.api=[\"a:1\"]").unwrap();
    flags.parse("cluster=first").unwrap().parse("cluster=last").unwrap();
    let config = Config::parse("apcd.toml", "state = \"/var/b\"\n[router]\ndrain_ms = 1\n", &flags).unwrap();
    assert_eq!(config.state.to_str(), Some("/tmp/a"));
    assert_eq!(config.router.drain_ms, 7);
    assert_eq!(config.router.listen.to_string(), "127.0.0.1:9000");
    assert_eq!(config.im.api, ["a:1"]);
    assert_eq!(config.cluster, "last");
    let unknown = Overrides::new().set("router.lisen", "x").clone();
    let said = Config::parse("apcd.toml", "", &unknown).unwrap_err().to_string();
    assert!(said.starts_with("flags: ") && said.contains("lisen"), "{said}");
    assert!(Overrides::new().parse("router.listen").is_err());
}

#[test]
fn unknown_keys_and_wrong_types_are_named_with_their_line() {
    let said = refusal("[router]\nlisten = \"127.0.0.1:1\"\nlisen = 3\n");
    assert!(said.starts_with("apcd.toml: ") && said.contains("line 3") && said.contains("lisen"), "{said}");
    let said = refusal("colour = \"red\"\n");
    assert!(said.contains("colour") && said.contains("line 1"), "{said}");
    let said = refusal("[router]\ncheck_ms = \"soon\"\n");
    assert!(said.contains("line 2"), "{said}");
    let said = refusal("[im]\nports = \"high\"\n");
    assert!(said.contains("20000-29999"), "{said}");
    assert!(refusal("[router\n").contains("line 1"));
}

#[test]
fn each_bad_value_is_refused_by_its_key() {
    for (key, text) in [
        ("cluster", "cluster = \"a/b\""),
        ("cluster", "cluster = \"\""),
        ("state", "state = \"\""),
        ("api.id", "[api]\nid = \"api_1\""),
        ("api.id", "[api]\nid = \"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\""),
        ("auth.first_admin", "[auth]\nfirst_admin = \"\""),
        ("auth.zone", "[auth]\nzone = \"Middle/Earth\""),
        ("auth.token_seconds", "[auth]\ntoken_seconds = 1"),
        ("router.key", "[router]\ncertificate = \"c.pem\""),
        ("router.certificate", "[router]\nkey = \"k.pem\""),
        ("router.names", "[router]\nnames = []"),
        ("router.api", "[router]\napi = [\"host\"]"),
        ("router.api", "[router]\napi = [\"fd00::1\"]"),
        ("router.api", "[router]\napi = [\"https://host:1\"]"),
        ("router.auth", "[router]\nauth = \"host:0\""),
        ("router.head_ms", "[router]\nhead_ms = 0"),
        ("router.half_open_max", "[router]\nhalf_open_max = 0"),
        ("im.api", "[im]\napi = [\":7\"]"),
        ("im.address", "[im]\naddress = \"0.0.0.0\""),
        ("im.ports", "[im]\nports = \"1000-2000\""),
        ("im.ports", "[im]\nports = \"3000-2000\""),
        ("im.ports", "[im]\nports = \"8000-9000\""),
        ("im.network", "[im]\nnetwork = \"8.8.0.0/16\""),
        ("im.network", "[im]\nnetwork = \"10.222.1.0/16\""),
        ("im.uid_base", "[im]\nuid_base = 1"),
        ("im.cgroup", "[im]\ncgroup = \"../x\""),
        ("api.addresses", "[api]\naddresses = []"),
        ("api.stale_end_ms", "[api]\nstale_end_ms = 5000"),
        ("console.lease_ms", "[console]\nlease_ms = 1"),
        ("sessions.sessions_max", "[sessions]\nsessions_max = 0"),
        ("audit.free_bytes_min", "[audit]\nfree_bytes_min = 9223372036854775807"),
    ] {
        let said = refusal(text);
        assert!(said.starts_with(&format!("`{key}` ")), "{text}: {said}");
    }
}

#[test]
fn a_missing_file_is_named() {
    let said = Config::load(Some("/nonexistent/apcd.toml".as_ref()), &Overrides::new()).unwrap_err().to_string();
    assert!(said.contains("`/nonexistent/apcd.toml`"), "{said}");
}
