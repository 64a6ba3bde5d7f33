//! Twice the text is about twice the work, counted in what is asked of the memory and not by a clock.

use std::fmt::Write as _;

use gatehouse::{
    compile::System,
    lint::lint,
    source::Source,
    syntax::{Parse, parse},
};

use crate::pipeline::survive;

/// Lines of one kind of finding each, its code in front; `{n}` is a number of the line's own.
const FINDINGS: &[(&str, &str)] = &[
    ("W0101 prefix", "job::/p{n}/[v] { if (auth_server@apcera.me->name beginsWith \"[v]\") { permit read } }\n"),
    ("W0103 everyone", "job::/p{n} { { permit all } }\n"),
    ("W0106 permit", "job::/p{n} { if (a == b{n}) { permit raed } }\n"),
    ("W0107 claim", "job::/p{n} { if (a == b{n}) { labell x{n} } }\n"),
    ("W0105 role", "job::/p{n} { if (role == r{n}) { permit read } }\n"),
    ("W0108 mixed", "job::/p{n} { if (a == b{n} || c == d && e == f) { permit read } }\n"),
    ("W0109 no braces", "job::/p{n} { permit read }\n"),
    ("W0114 nobody asks", "job::/p{n} { if (a == b) { role r{n} } }\n"),
    ("W0115 issuer", "job::/p{n} { if (Gogle->email == e{n}) { permit read } }\n"),
    ("W0116 twice", "job::/same { if (a == b) { permit read } }\n"),
    ("W0118 namespace", "job::/p{n}/a { if (a == b{n}) { permit issue } }\n"),
    ("W0120 alphabet", "job::/pа{n} { if (a == b) { permit read } }\njob::/pa{n} { if (a == b) { permit read } }\n"),
    ("W0122 quota", "quota::/p{n} { { total.memory \"2GB\" } }\nquota::/p{n}/a { { total.memory \"3GB\" } }\n"),
    ("W0123 variable", "job::/p{n}/[v] { if (a == b) { permit read } }\n"),
    ("W0124 slash", "job::/p{n}/ { if (a == b) { permit read } }\n"),
    ("W0126 nothing", "job::/p{n} { }\n"),
    ("W0128 groups", "job::/p{n} { if (g == a{n} || g == b{n} || g == c{n}) { permit read } }\n"),
    ("W0131 left over", "// allow: W0126 nothing of the kind\njob::/p{n} { if (a == b) { permit read } }\n"),
    ("E0402 one equals sign", "job::/p{n} { if (a = b) { permit read } }\n"),
    ("W0105 chain", "job::/ { if (role == r{n}) { role r{n}x } }\n"),
];

fn lines(line: &str, count: usize) -> Vec<u8> {
    let mut text = String::new();
    for at in 0..count {
        write!(text, "{}", line.replace("{n}", &at.to_string())).unwrap();
    }
    text.into_bytes()
}

/// A line that finds something else, or nothing, would measure that.
#[test]
fn each_line_is_the_finding_that_it_is_there_for() {
    let mut others = Vec::new();
    for (name, line) in FINDINGS {
        let code = name.split(' ').next().unwrap();
        let sources = [Source::new("d.pol", lines(line, 3)).unwrap()];
        let parsed: Vec<Parse> = sources.iter().map(parse).collect();
        let linted = lint(&sources, &parsed, System::LeftOut);
        let read = parsed.iter().flat_map(|it| &it.diagnostics);
        let codes: Vec<&str> = read.chain(linted.iter().map(|it| &it.diagnostic)).map(|it| it.code.code()).collect();
        // Of two that are alike one is told.
        if codes.iter().filter(|it| **it == code).count() < 2 {
            others.push(format!("{name}: {codes:?}"));
        }
    }
    assert!(others.is_empty(), "\n{}\n", others.join("\n"));
}

#[test]
fn twice_the_findings_are_about_twice_the_work() {
    let few = if cfg!(debug_assertions) { 500 } else { 2_000 };
    for (name, line) in FINDINGS {
        let (_, once) = survive(name, vec![lines(line, few)]);
        let (_, twice) = survive(name, vec![lines(line, 2 * few)]);
        // Vectors double, so that bytes come in steps; a square would be four times as much.
        assert!(twice.calls * 2 <= once.calls * 5, "{name}: {once:?}, then {twice:?}");
        assert!(twice.bytes <= once.bytes * 3, "{name}: {once:?}, then {twice:?}");
        assert!(twice.left < 64 * 1024, "{name}: {twice:?} was kept");
    }
}

#[test]
fn twice_the_rules_are_about_twice_the_work() {
    let few = if cfg!(debug_assertions) { 1_000 } else { 4_000 };
    for (name, before, unit, behind) in [
        ("rules", "job::/ {\n", "if (a == b{n}) { permit read }\n", "}"),
        ("policies", "", "job::/p{n} { if (a == b) { permit read } }\n", ""),
        ("strings", "job::/ {\n", "if (a == b{n}) { label \"x{n}\" }\n", "}"),
        ("comments", "", "// {n}\n", ""),
    ] {
        let document = |count| [before.as_bytes(), &lines(unit, count), behind.as_bytes()].concat();
        let (_, once) = survive(name, vec![document(few)]);
        let (_, twice) = survive(name, vec![document(2 * few)]);
        assert!(twice.calls * 2 <= once.calls * 5, "{name}: {once:?}, then {twice:?}");
        assert!(twice.bytes <= once.bytes * 3, "{name}: {once:?}, then {twice:?}");
    }
}
