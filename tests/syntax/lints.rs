//! What lints find, what they leave alone, and how they are silenced.

use gatehouse::{
    compile::System,
    diagnostic::Code::{
        self, BareClaimInRealm, GrantToEveryoneInTemplate, IssueWithoutLocalName, MixedOperators, OneSidedHandshake,
        PointlessAllow, PolicyUpdateOnEveryType, PrefixNotAtBoundary, PrefixOnTemplate, RoleNeverAsserted,
        UnconditionalGrant, UnknownClaim, UnknownPermit,
    },
    lint::lint,
    source::Source,
    syntax::{Parse, parse},
};

fn lint_set(texts: &[&str], system: System) -> Vec<Code> {
    let sources: Vec<Source> =
        texts.iter().enumerate().map(|(at, text)| Source::new(format!("{at}.pol"), (*text).into()).unwrap()).collect();
    let parsed: Vec<Parse> = sources.iter().map(parse).collect();
    lint(&sources, &parsed, system).iter().map(|it| it.diagnostic.code).collect()
}

fn codes(text: &str) -> Vec<Code> {
    lint_set(&[text], System::Included)
}

/// A rule with this condition on jobs of `/sandbox/[name]`, where another rule uses the variable.
fn condition(condition: &str) -> Vec<Code> {
    let used = "if (auth_server@apcera.me->name == \"[name]\") { permit update }";
    codes(&format!("job::/sandbox/[name] {{ if ({condition}) {{ permit read }} {used} }}"))
}

#[test]
fn a_clean_document_has_no_findings() {
    let text = "on job::/sandbox/[name] {\n  if (auth_server@apcera.me->name == \"[name]\") { permit create, read, ssh }\n  \
                if (time.hour < 18 && (job fqnMatch \"job::/prod\" || side == source)) { permit link }\n  \
                { tokenTimeout \"15m\" }\n}\n";
    assert_eq!(codes(text), []);
}

#[test]
fn a_prefix_that_ends_with_a_variable_is_found() {
    assert_eq!(condition("I->name beginsWith \"[name]\""), [PrefixOnTemplate]);
    assert_eq!(condition("I->name beginsWith [name]"), [PrefixOnTemplate]);
    assert_eq!(condition("job beginsWith \"job::/sandbox/[name]\""), [PrefixOnTemplate]);
    assert_eq!(condition("I->name beginsWith \"[name]-\""), []);
    assert_eq!(condition("job beginsWith \"job::/sandbox/[name]/\""), []);
    assert_eq!(condition("I->name == \"[name]\""), []);
    assert_eq!(condition("I->name endsWith \"[name]\""), []);
}

#[test]
fn a_prefix_that_ends_within_a_segment_is_found() {
    assert_eq!(condition("job beginsWith \"job::/prod\""), [PrefixNotAtBoundary]);
    assert_eq!(condition("I->name beginsWith \"job::/a::jenkins\""), [PrefixNotAtBoundary]);
    assert_eq!(condition("network beginsWith \"network::/sandbox/[name]/shop\""), [PrefixNotAtBoundary]);
    for whole in ["job beginsWith \"job::/prod/\"", "job beginsWith \"job::/prod::\"", "job beginsWith \"job::/\""] {
        assert_eq!(condition(whole), [], "{whole}");
    }
    assert_eq!(condition("I->name beginsWith admin-"), []);
    assert_eq!(condition("I->name beginsWith \"x::/y\""), []);
}

#[test]
fn what_everyone_is_granted_is_found() {
    assert_eq!(codes("job::/a { { permit read } }"), [UnconditionalGrant]);
    assert_eq!(codes("job::/a { { { role admin } } }"), [UnconditionalGrant]);
    assert_eq!(codes("job::/a { { permit read } { permit create } }"), [UnconditionalGrant, UnconditionalGrant]);
    assert_eq!(codes("job::/a/[n] { { permit read } }"), [GrantToEveryoneInTemplate]);
    assert_eq!(codes("job::/a::[n] { { permit read } }"), [GrantToEveryoneInTemplate]);
    assert_eq!(codes("job::/a { if (side == source) { { permit link } } }"), []);
    assert_eq!(codes("job::/a { { tokenTimeout 15m package.allow \"package::/x\" label x } }"), []);
}

#[test]
fn issue_to_one_job_is_no_grant_to_everyone() {
    assert_eq!(codes("job::/a::web { { permit issue } }"), []);
    assert_eq!(codes("job::/a::web { { permit issue, read } }"), [UnconditionalGrant]);
    assert_eq!(codes("job::/a { { permit issue } }"), [IssueWithoutLocalName]);
    assert_eq!(codes("job::/a::* { { permit issue } }"), [IssueWithoutLocalName]);
    assert_eq!(codes("job::/a { { permit issue, read } }"), [UnconditionalGrant, IssueWithoutLocalName]);
    assert_eq!(codes("auth::/oauth2/http { { permit issue } }"), [UnconditionalGrant]);
}

#[test]
fn a_role_that_its_type_never_asserts_is_found() {
    let tested = "job::/a { if (role == ops) { permit read } }";
    assert_eq!(codes(tested), [RoleNeverAsserted]);
    assert_eq!(codes("job::/a { if (role in (ops, dev)) { permit read } }"), [RoleNeverAsserted, RoleNeverAsserted]);
    let asserted = "job::/elsewhere { if (I->g == x) { role ops } }";
    assert_eq!(lint_set(&[tested, asserted], System::Included), []);
    let on_another_type = "package::/a { if (I->g == x) { role ops } }";
    assert_eq!(lint_set(&[tested, on_another_type], System::Included), [RoleNeverAsserted]);
    // A role of an issuer is a fact, and nobody's to assert.
    assert_eq!(codes("job::/a { if (I->role == ops) { permit read } }"), []);
    // The system documents test for `admin` and assert it nowhere.
    assert_eq!(codes("job::/a { if (role == admin) { permit read } }"), [RoleNeverAsserted]);
}

#[test]
fn what_could_not_be_read_is_not_called_missing() {
    let tested = "job::/a { if (role == ops && team == x) { permit read } }";
    let broken = "job::/b { if (I->g = x) { role ops team x } }";
    assert_eq!(lint_set(&[tested, broken], System::Included), []);
    // A policy beside the broken one was read.
    let beside = "job::/c { { teem x } }";
    assert_eq!(lint_set(&[tested, &format!("{broken} {beside}")], System::Included), [UnknownClaim]);
}

#[test]
fn permits_that_a_type_does_not_have_are_found() {
    assert_eq!(codes("job::/a { if (I->g == x) { permit raed, read, all, shell, watch } }"), [UnknownPermit]);
    assert_eq!(codes("route::/a { if (I->g == x) { permit ssh } }"), [UnknownPermit]);
    assert_eq!(codes("job::/a { if (permit == al) { permit read } }"), [UnknownPermit]);
    assert_eq!(codes("quota::/a { if (I->g == x) { permit read } }"), [UnknownPermit]);
}

#[test]
fn claims_that_mean_nothing_are_found() {
    assert_eq!(codes("job::/a { if (I->g == x) { deny ssh } }"), [UnknownClaim]);
    assert_eq!(codes("route::/a { { docker.allow \"*\" } }"), [UnknownClaim]);
    assert_eq!(codes("job::/a { if (name == x) { permit read } }"), [UnknownClaim]);
    assert_eq!(codes("job::/a { if (tag.team == x && owner == y && mfa == totp) { permit read } }"), []);
    // One's own claim is told where nothing on its type asks for it.
    assert_eq!(codes("job::/a { { team x } }"), [UnknownClaim]);
    assert_eq!(codes("job::/a { { team x } if (team == x) { permit read } }"), []);
    assert_eq!(codes("job::/a { { team x } if (I->team == x) { permit read } }"), [UnknownClaim]);
}

#[test]
fn the_other_side_of_a_handshake_may_stand_in_another_document() {
    let job = "job::/a { if (I->g == x) { permit bind } }";
    assert_eq!(codes(job), []);
    assert_eq!(
        lint_set(&[job, "route::/http/a { if (I->g == x) { permit read } }"], System::Included),
        [OneSidedHandshake]
    );
    let service = "service::/a { if (I->g == x) { permit read } }";
    assert_eq!(codes(&format!("{job} {service}")), [OneSidedHandshake]);
}

#[test]
fn a_link_from_which_one_end_is_missing_is_found() {
    let source = "job::/a { if (side == source && I->g == x) { permit link } }";
    assert_eq!(codes(source), []);
    let beside = |other: &str| lint_set(&[source, other], System::Included);
    assert_eq!(beside("route::/http/a { if (I->g == x) { permit read } }"), [OneSidedHandshake]);
    assert_eq!(beside("job::/b { if (side == destination) { permit link } }"), []);
    assert_eq!(beside("job::/b { if (I->g == y) { permit link } }"), []);
    assert_eq!(beside("job::/b { if (I->g == y) { role admin } }"), []);
}

#[test]
fn operators_side_by_side_are_found() {
    assert_eq!(condition("I->a == 1 || I->b == 2 && I->c == 3"), [MixedOperators]);
    assert_eq!(condition("I->a == 1 && I->b == 2 || I->c == 3 && I->d == 4"), [MixedOperators]);
    assert_eq!(condition("I->a == 1 || (I->b == 2 && I->c == 3)"), []);
    assert_eq!(condition("I->z == 0 && (I->a == 1 || I->b == 2 && I->c == 3)"), [MixedOperators]);
}

#[test]
fn claims_without_braces_are_found() {
    assert_eq!(codes("job::/a { tokenTimeout 15m label x }"), [BareClaimInRealm, BareClaimInRealm]);
    assert_eq!(codes("job::/a { permit read }"), [UnconditionalGrant, BareClaimInRealm]);
    assert_eq!(codes("job::/a { { label x } if (I->a == b) { label y } }"), []);
}

#[test]
fn a_comment_with_a_reason_silences_a_lint_on_its_line() {
    let silent = [
        "job::/a { { permit read } } // allow: W0103 a public demo",
        "// allow: unconditional-grant a public demo\njob::/a { { permit read } }",
    ];
    for text in silent {
        assert_eq!(codes(text), [], "{text}");
    }
    let loud = [
        "job::/a { { permit read } } // allow: W0103",
        "job::/a { { permit read } } // allow: W0104 another rule",
        "// allow: W0103 too far away\n\njob::/a { { permit read } }",
        "job::/b { { label x } } // allow: W0103 behind an item, so for that line\njob::/a { { permit read } }",
    ];
    for text in loud {
        let mut found = codes(text);
        found.sort();
        assert_eq!(found, [UnconditionalGrant, PointlessAllow], "{text}");
    }
}

#[test]
fn the_documents_of_the_program_are_clean() {
    let found = |sources: &[Source], system| -> Vec<Code> {
        let parsed: Vec<Parse> = sources.iter().map(parse).collect();
        lint(sources, &parsed, system).iter().map(|it| it.diagnostic.code).collect()
    };
    let defaults = gatehouse::compile::system::default_sources("root").unwrap();
    assert_eq!(found(&defaults, System::Included), []);
    // The system's own documents, without anybody to have the role, wait for it and do nothing else wrong.
    let own = found(&gatehouse::compile::system::system_sources(), System::LeftOut);
    let waits = |code: &Code| matches!(code, RoleNeverAsserted | OneSidedHandshake | PolicyUpdateOnEveryType);
    assert!(own.iter().all(waits), "{own:?}");
}

#[test]
fn a_fix_that_is_called_safe_leaves_the_finding_out_and_the_tree_as_it_was() {
    for text in ["job::/a { tokenTimeout 15m }", "job::/a { if (I->a == 1 || I->b == 2 && I->c == 3) { permit read } }"]
    {
        let source = Source::new("a.pol", text.into()).unwrap();
        let findings = lint(std::slice::from_ref(&source), &[parse(&source)], System::Included);
        let mut after = text.to_owned();
        for edit in findings[0].diagnostic.fixes[0].edits.iter().rev() {
            after.replace_range(edit.span.range(), &edit.text);
        }
        assert!(findings[0].diagnostic.fixes[0].safe);
        assert_eq!(codes(&after), [], "{after}");
    }
}
