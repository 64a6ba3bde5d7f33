//! A verdict takes no memory, whatever it is about.

use gatehouse::{
    compile::{System, compile},
    eval::{Claim, Fact, Principal, Verdict, verdict_for, verdict_of_text},
    source::Source,
};

use crate::meter::measured;

#[test]
fn a_verdict_that_can_be_looked_up_takes_no_memory() {
    let text = r#"
        job::/sandbox/[name] { if (auth_server@apcera.me->name == "[name]") { role admin } }
        job::/prod { if (LDAP->group in (sre, "on call") && time.hour >= 8) { role oncall } }
        job::/prod::web { if (role == oncall || Google->email endsWith "@acme.com") { permit ssh } }
    "#;
    let set = compile(&[Source::new("a.pol", text.as_bytes().to_vec()).unwrap()], System::Included).unwrap();
    let mut facts: Vec<Fact> = (0..50).map(|at| Fact::new("LDAP", "group", format!("g{at}"))).collect();
    facts.extend([
        Fact::new("auth_server@apcera.me", "name", "tom"),
        Fact::new("LDAP", "group", "sre"),
        Fact::new("Google", "email", "tom@acme.org"),
        Fact::context("time.hour", "9"),
    ]);
    let tom = Principal::new(facts.clone(), None).unwrap();
    let texts: Vec<Fact<&str>> = facts.iter().map(Fact::as_text).collect();
    for (target, permit, allowed) in [
        ("job::/sandbox/tom/lab::web", "exec", true),
        ("job::/sandbox/mary::web", "ssh", false),
        ("job::/prod::web", "shell", true),
        ("job::/prod::db", "ssh", false),
        ("job::/nowhere", "ssh", false),
    ] {
        let want = [Claim::permit(permit)];
        let (verdict, used) = measured(|| verdict_for(&set, &tom, target, &want));
        assert_eq!(verdict.map(Verdict::is_allowed), Ok(allowed), "{target} {permit}");
        assert_eq!(used.calls, 0, "{target} {permit}");
        let want = [Claim { claim_type: "permit", value: permit }];
        let (verdict, used) = measured(|| verdict_of_text(&set, &texts, target, &want));
        assert_eq!(verdict.map(Verdict::is_allowed), Ok(allowed), "{target} {permit}");
        assert_eq!(used.calls, 0, "{target} {permit}");
    }
}
