//! What is looked up, and what is decided as usual. That both say the same is the matter of `tests/eval`.

use std::fmt::Write as _;

use crate::{
    compile::{PolicySet, System, compile},
    eval::{
        Claim, Fact, Place, Principal, Verdict,
        verdict::{known, verdict_for},
    },
    source::Source,
    syntax::fqn::FqnRef,
};

fn set(text: &str) -> PolicySet {
    set_of(&[text])
}

/// Documents `a`, `b` and so on.
fn set_of(texts: &[&str]) -> PolicySet {
    let source = |(name, text): (char, &&str)| Source::new(format!("{name}.pol"), text.as_bytes().to_vec()).unwrap();
    compile(&('a'..).zip(texts).map(source).collect::<Vec<_>>(), System::Included).unwrap()
}

fn named(name: &str) -> Principal {
    Principal::new(vec![Fact::new("auth_server@apcera.me", "name", name)], None).unwrap()
}

/// What looking up tells; nothing where it cannot.
fn looked_up(set: &PolicySet, principal: &Principal, target: &str, want: &str) -> Option<Verdict> {
    known(set, principal.facts(), FqnRef::parse(target).unwrap(), &[Claim::permit(want)])
}

#[test]
fn a_verdict_names_the_rule() {
    let set = set("job::/sandbox/tom {\n  if (auth_server@apcera.me->name == \"tom\") { permit ssh }\n}");
    let Some(Verdict::Allowed(reason)) = looked_up(&set, &named("tom"), "job::/sandbox/tom::web", "ssh") else {
        panic!("not looked up");
    };
    assert_eq!(reason.place(&set), Some(Place { document: "a".into(), line: 2, column: 3 }));
}

#[test]
fn what_is_common_is_looked_up() {
    let text = r#"
        job::/sandbox/[name] { if (auth_server@apcera.me->name == "[name]") { role admin } }
        job::/prod { if (LDAP->group == "sre" && time.hour >= 8) { role oncall } }
        job::/prod::web { if (role == oncall || role == lead) { permit ssh } }
        job::/[team]/[team] { if (LDAP->group beginsWith "x-") { permit read } }
    "#;
    let set = set(text);
    let allowed =
        |principal: &Principal, target, want| looked_up(&set, principal, target, want).map(Verdict::is_allowed);
    let (tom, mary) = (named("tom"), named("mary"));
    for permit in ["ssh", "exec", "shell", "create"] {
        assert_eq!(allowed(&tom, "job::/sandbox/tom::web", permit), Some(true), "{permit}");
        assert_eq!(allowed(&tom, "job::/sandbox/tom/lab::web", permit), Some(true), "{permit}");
        assert_eq!(allowed(&mary, "job::/sandbox/tom::web", permit), Some(false), "{permit}");
    }
    assert_eq!(allowed(&tom, "job::/sandbox/tom::web", "join"), Some(false));
    assert_eq!(allowed(&tom, "package::/sandbox/tom::web", "read"), Some(false));
    let sre = |hour: &str, group: &str| {
        let facts = vec![Fact::new("LDAP", "group", group), Fact::context("time.hour", hour)];
        Principal::new(facts, None).unwrap()
    };
    assert_eq!(allowed(&sre("9", "sre"), "job::/prod::web/1", "ssh"), Some(true));
    assert_eq!(allowed(&sre("7", "sre"), "job::/prod::web", "ssh"), Some(false));
    assert_eq!(allowed(&sre("9", "sre"), "job::/prod::db", "ssh"), Some(false));
    assert_eq!(allowed(&sre("9", "x-1"), "job::/a/a::db", "read"), Some(true));
    assert_eq!(allowed(&sre("9", "x-1"), "job::/a/b::db", "read"), Some(false));
}

#[test]
fn what_looking_up_cannot_tell_is_decided() {
    let text = r#"
        job::/circle {
            if (role == a) { role b }
            if (role == b) { role a, permit ssh }
            if (LDAP->group == "sre") { role b }
        }
        job::/limited { if (LDAP->group == "sre") { permit ssh, ssh.require mfa } }
        job::/[a]/[b]/[c]/[d]/[e]/[f]/[g]/[h]/[i] { if (LDAP->group == "sre") { permit ssh } }
    "#;
    let set =
        set(&text.replace("role a, permit ssh", "role a permit ssh").replace("ssh, ssh.require", "ssh ssh.require"));
    let principal = |group| Principal::new(vec![Fact::new("LDAP", "group", group)], None).unwrap();
    let verdict = |group, target: &str| verdict_for(&set, &principal(group), target, &[Claim::permit("ssh")]).unwrap();
    assert_eq!(looked_up(&set, &principal("dba"), "job::/circle", "ssh"), None);
    assert_eq!(verdict("dba", "job::/circle"), Verdict::Missing(0));
    assert!(looked_up(&set, &principal("sre"), "job::/circle", "ssh").is_some_and(Verdict::is_allowed));
    assert_eq!(looked_up(&set, &principal("sre"), "job::/limited", "ssh"), None);
    assert_eq!(verdict("sre", "job::/limited"), Verdict::Refused);
    assert_eq!(looked_up(&set, &principal("dba"), "job::/limited", "ssh"), Some(Verdict::Missing(0)));
    assert_eq!(looked_up(&set, &principal("sre"), "job::/1/2/3/4/5/6/7/8/9", "ssh"), None);
    assert!(verdict("sre", "job::/1/2/3/4/5/6/7/8/9").is_allowed());
}

#[test]
fn policies_on_one_realm_count_together_wherever_they_stand() {
    let rule = |group: &str| format!("job::/prod {{ if (LDAP->group == \"{group}\") {{ permit ssh }} }}\n");
    let between = "job::/prod::web { permit read }\njob::/[any] { permit map }\n";
    let first = format!("{}{between}{}", rule("a"), rule("b"));
    let set = set_of(&[&first, &rule("c"), between]);
    let place = |group: &str| {
        let principal = Principal::new(vec![Fact::new("LDAP", "group", group)], None).unwrap();
        match looked_up(&set, &principal, "job::/prod::web", "ssh") {
            Some(Verdict::Allowed(reason)) => reason.place(&set).map(|it| format!("{}:{}", it.document, it.line)),
            _ => None,
        }
    };
    let places = ["a", "b", "c", "d"].map(place);
    assert_eq!(places.each_ref().map(Option::as_deref), [Some("a:1"), Some("a:4"), Some("b:1"), None]);
    for permit in ["read", "map"] {
        let allowed = looked_up(&set, &named("tom"), "job::/prod::web", permit).map(Verdict::is_allowed);
        assert_eq!(allowed, Some(true), "{permit}");
    }
}

#[test]
fn a_claim_that_a_later_document_asserts_with_a_variable_counts_in_an_earlier_one() {
    let asks = "job::/prod { if (team == prod) { permit ssh } }";
    let asserts = "job::/[team] { team \"[team]\" }";
    for documents in [[asks, asserts], [asserts, asks]] {
        let verdict = verdict_for(&set_of(&documents), &named("tom"), "job::/prod::web", &[Claim::permit("ssh")]);
        assert!(verdict.unwrap().is_allowed(), "{documents:?}");
    }
}

#[test]
fn of_many_rules_on_one_realm_only_those_that_can_hold_are_tried() {
    let mut rules = String::new();
    for at in 0..1_000 {
        writeln!(rules, "  if (LDAP->group == \"g{at}\" && time.hour < 12) {{ role r{} }}", at % 7).unwrap();
    }
    let set = set(&format!("job::/prod {{\n{rules}  if (role == r3) {{ permit ssh }}\n}}"));
    let allowed = |group: &str, hour: &str| {
        let facts = vec![Fact::new("LDAP", "group", group), Fact::context("time.hour", hour)];
        looked_up(&set, &Principal::new(facts, None).unwrap(), "job::/prod::web", "ssh").map(Verdict::is_allowed)
    };
    assert_eq!(allowed("g10", "9"), Some(true));
    assert_eq!(allowed("g10", "13"), Some(false));
    assert_eq!(allowed("g11", "9"), Some(false));
    assert_eq!(allowed("g1000", "9"), Some(false));
}

#[test]
fn a_condition_that_thousands_of_rules_share_is_not_paid_for_by_each() {
    let shared: Vec<String> = (0..600).map(|at| format!("LDAP->group endsWith \"-{at}\"")).collect();
    let mut rules = String::new();
    for at in 0..4_000 {
        let (high, low) = (at / 250, at % 250);
        writeln!(rules, "    if (Google->address inCidr \"10.{high}.{low}.0/24\") {{ permit ssh }}").unwrap();
    }
    let set = set(&format!("job::/prod {{\n  if ({}) {{\n{rules}  }}\n}}", shared.join(" || ")));
    let ask = |group: &str, address: &str| {
        let facts = vec![Fact::new("LDAP", "group", group), Fact::new("Google", "address", address)];
        let principal = Principal::new(facts, None).unwrap();
        let looked_up = looked_up(&set, &principal, "job::/prod::web", "ssh");
        (looked_up, verdict_for(&set, &principal, "job::/prod::web", &[Claim::permit("ssh")]).unwrap())
    };
    // Two million comparisons are more than a question may cost.
    assert_eq!(ask("sre", "10.15.249.7"), (None, Verdict::Missing(0)));
    let (looked_up, verdict) = ask("sre-0", "10.0.3.7");
    assert!(looked_up.is_some_and(Verdict::is_allowed) && verdict.is_allowed());
    assert!(ask("sre-599", "10.15.249.7").1.is_allowed());
}

#[test]
fn a_rule_among_thousands_is_found_by_a_part_of_a_value() {
    for how in ["beginsWith \"user-{n}@\"", "endsWith \"-{n}@acme.com\"", "contains \"-{n}@\"", "matches \"*-{n}@*\""] {
        let rule =
            |at: usize| format!("  if (Google->email {}) {{ permit ssh }}\n", how.replace("{n}", &at.to_string()));
        let set = set(&format!("job::/prod {{\n{}}}", (0..4_000).map(rule).collect::<String>()));
        let allowed = |email: &str| {
            let principal = Principal::new(vec![Fact::new("Google", "email", email)], None).unwrap();
            looked_up(&set, &principal, "job::/prod::web", "ssh").map(Verdict::is_allowed)
        };
        assert_eq!(allowed("user-3999@acme.com"), Some(true), "{how}");
        assert_eq!(allowed("user-4000@acme.com"), Some(false), "{how}");
        // As many texts as would be tried are found in it; that is too much to tell this way.
        let all: Vec<String> = (0..4_000).map(|at| format!("user-{at}@acme.org")).collect();
        let all = all.join(" ");
        assert!(allowed(&all).is_none_or(|it| it != how.starts_with("endsWith")), "{how}");
    }
}

#[test]
fn rules_are_filed_under_the_comparison_with_the_fewest_values() {
    let many: Vec<String> = (0..1_000).map(|at| format!("m{at}")).collect();
    let mut rules = String::new();
    for at in 0..2_000 {
        writeln!(rules, "    if (LDAP->group in (g{at}, h{at})) {{ permit ssh }}").unwrap();
    }
    let set = set(&format!("job::/prod {{\n  if (Google->team in ({})) {{\n{rules}  }}\n}}", many.join(", ")));
    let allowed = |group: &str, team: &str| {
        let facts = vec![Fact::new("LDAP", "group", group), Fact::new("Google", "team", team)];
        looked_up(&set, &Principal::new(facts, None).unwrap(), "job::/prod::web", "ssh").map(Verdict::is_allowed)
    };
    assert_eq!(allowed("h1999", "m999"), Some(true));
    assert_eq!(allowed("g1999", "m1000"), Some(false));
    assert_eq!(allowed("i1999", "m999"), Some(false));
    // Two thousand rules, each filed twice, and a thousand texts once: not each under each.
    assert!(set.layout_bytes() < 1_000_000, "{}", set.layout_bytes());
}
