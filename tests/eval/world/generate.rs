//! The random part: every choice is a byte, and the first of what can be chosen is the plainest.

use gatehouse::{
    compile::System,
    eval::{Claim, Fact, Now},
};

use crate::world::{Comparison, Expr, Item, Policy, Text, World, choices::Choices};

/// Every operator of the language.
pub(crate) const OPERATORS: &[&str] = &[
    "==",
    "equals",
    "beginsWith",
    "endsWith",
    "fqnMatch",
    "!=",
    "contains",
    "matches",
    "inCidr",
    "<",
    "<=",
    ">",
    ">=",
    "in",
];

/// Those that may be put to claims that rules assert.
const MONOTONE: &[&str] = &[
    "==",
    "==",
    "==",
    "==",
    "==",
    "==",
    "equals",
    "beginsWith",
    "endsWith",
    "fqnMatch",
    "contains",
    "matches",
    "inCidr",
    "in",
];

const CLAIMS: &[&str] = &["role", "role", "role", "role", "role", "label", "permit", "name", "ssh.user"];

/// Values that facts and texts share, so that comparisons are often true.
const VALUES: &[&str] = &[
    "tom",
    "tommy",
    "a",
    "b",
    "ops",
    "ops-a",
    "dev",
    "r0",
    "r1",
    "r2",
    "r3",
    "admin",
    "ssh",
    "read",
    "job::/a/b::web",
    "job::/tom",
    "job::/a",
    "10.1.2.3",
    "::ffff:10.9.9.9",
    "42",
    "7",
    "500MB",
    "10Mbps",
    "15m",
    "2026-11-23",
    "08:30",
    "mon",
    "tom@a.com",
    "ls -l",
    "ls; sh",
    "source",
    "totp",
    "",
];

const NAMES: &[&str] = &["tom", "tom", "tommy", "a", "b"];
const SEGMENTS: &[&str] = &["a", "a", "tom", "tom", "b", "tommy"];
const VARIABLES: &[&str] = &["x", "y"];

const ROLES: &[&str] = &["r0", "r1", "r2", "r3"];

impl World {
    /// The world that bytes stand for; all bytes stand for one.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Self {
        let choices = &mut Choices::new(bytes);
        let now = if choices.likely(&[(1, false), (1, true)]) { Some(now(choices)) } else { None };
        let resource_type = resource_type(choices);
        let target = format!("{resource_type}{}", target(choices));
        let wants = choices.likely(&[(5, 1), (1, 2), (1, 3)]);
        let want = (0..wants).map(|_| want(choices)).collect();
        let facts = facts(choices, now.is_some());
        let system = choices.likely(&[(3, System::LeftOut), (1, System::Included)]);
        let documents = choices.several(1, 4, |it| it.several(2, 7, |it| policy(it, resource_type)));
        Self { documents, system, target, facts, want, now }
    }
}

fn now(choices: &mut Choices<'_>) -> Now {
    let ahead = choices.number() % 1_000_000;
    Now { unix_seconds: 1_795_000_000 + ahead, offset_seconds: choices.pick(&[0, 3_600, -18_000, 19_800]) }
}

fn resource_type(choices: &mut Choices<'_>) -> &'static str {
    choices.likely(&[(12, "job"), (1, "package"), (1, "auth"), (1, "quota"), (1, "audit")])
}

fn target(choices: &mut Choices<'_>) -> String {
    let namespace = choices.several(0, 4, |it| it.pick(SEGMENTS)).join("/");
    let local = choices.several(0, 3, |it| it.pick(&["web", "api"])).join("/");
    if local.is_empty() { format!("::/{namespace}") } else { format!("::/{namespace}::{local}") }
}

fn want(choices: &mut Choices<'_>) -> Claim {
    let (claim_type, value) = choices.likely(&[
        (16, ("permit", "read")),
        (5, ("permit", "ssh")),
        (2, ("permit", "issue")),
        (2, ("role", "r3")),
        (1, ("label", "tom")),
        (1, ("package.allow", "package::/a/b::c")),
        (1, ("docker.allow", "nginx")),
        (1, ("permit", "nothing")),
    ]);
    Claim::new(claim_type, value)
}

fn facts(choices: &mut Choices<'_>, timed: bool) -> Vec<Fact> {
    let mut facts = choices.several(0, 6, |it| Fact::new("LDAP", "group", it.pick(VALUES)));
    if choices.likely(&[(9, true), (1, false)]) {
        facts.push(Fact::new("auth_server@apcera.me", "name", choices.pick(NAMES)));
    }
    let mut seen = Vec::new();
    // One of each is what most types can have; time comes from the instant.
    facts.extend(choices.several(0, 8, fact).into_iter().filter(|it| {
        let is_new = it.claim_type.starts_with("tag.") || !seen.contains(&it.claim_type);
        seen.push(it.claim_type.clone());
        is_new && !(timed && it.claim_type.starts_with("time."))
    }));
    facts
}

fn fact(choices: &mut Choices<'_>) -> Fact {
    let (issuer, claim_type, values) = choices.likely::<(&str, &str, &[&str])>(&[
        (2, ("Google", "email", &["tom", "a", "tom@a.com"])),
        (2, ("", "command", &["ls -l", "ls; sh", "tom", "r0"])),
        (2, ("", "client.address", &["10.1.2.3", "::ffff:10.9.9.9", "192.0.2.1", "2001:db8::1", "tom"])),
        (1, ("", "mfa", &["totp", "a"])),
        (1, ("", "tag.team", &["ops", "dev", "a", "42"])),
        (1, ("", "owner", &["tom", "tommy"])),
        (1, ("", "job", &["job::/a/b::web", "job::/tom", "job::/tommy::api"])),
        (1, ("", "network", &["network::/a/b", "network::/tom"])),
        (1, ("", "time.hour", &["7", "8", "23"])),
        (1, ("", "time.clock", &["08:29", "08:30"])),
        (1, ("", "time.weekday", &["mon", "sun"])),
        (1, ("", "time.date", &["2026-11-23", "2026-11-24"])),
        (1, ("", "approvals.count", &["0", "2", "42"])),
        (1, ("", "forward.port", &["5432", "42"])),
        (1, ("", "side", &["source", "destination"])),
    ]);
    Fact::new(issuer, claim_type, choices.pick(values))
}

/// Most policies are on the target's type.
fn policy(choices: &mut Choices<'_>, resource_type: &'static str) -> Policy {
    let on = choices.likely(&[(8, resource_type), (1, "job"), (1, "package")]);
    let mut variables = Vec::new();
    let segments = choices.likely(&[(8, 0), (6, 1), (2, 2), (1, 3)]);
    let namespace: Vec<String> = (0..segments).map(|_| segment(choices, SEGMENTS, &mut variables)).collect();
    let local = match choices.likely(&[(9, "below"), (1, "exact"), (1, "any"), (2, "name")]) {
        "below" => String::new(),
        "exact" => "::".to_owned(),
        "any" => "::*".to_owned(),
        _ => {
            format!("::{}", choices.several(1, 3, |it| segment(it, &["web", "api", "web"], &mut variables)).join("/"))
        }
    };
    let items = choices.several(1, 6, item);
    Policy { realm: format!("{on}::/{}{local}", namespace.join("/")), items, variables }
}

fn segment(choices: &mut Choices<'_>, names: &[&str], variables: &mut Vec<&'static str>) -> String {
    if choices.likely(&[(1, true), (1, false)]) {
        return choices.pick(names).to_owned();
    }
    let variable = choices.pick(VARIABLES);
    variables.push(variable);
    format!("[{variable}]")
}

fn item(choices: &mut Choices<'_>) -> Item {
    if choices.likely(&[(3, false), (2, true)]) {
        return link(choices);
    }
    match nested(choices, 3) {
        // Most claims stand under a condition.
        Item::Claim(claim_type, text) if choices.likely(&[(3, false), (5, true)]) => {
            Item::Rule(expr(choices, 2), vec![Item::Claim(claim_type, text)])
        }
        other @ (Item::Rule(..) | Item::Block(_) | Item::Claim(..)) => other,
    }
}

/// A rule that waits for a role and gives the next, so that chains are long.
fn link(choices: &mut Choices<'_>) -> Item {
    let at = choices.below(6);
    let given = match ROLES.get(at + 1) {
        Some(role) => Item::Claim("role", Text::fixed(role)),
        None => Item::Claim("permit", Text::fixed(["ssh", "read", "all"][at % 3])),
    };
    let (subject, right) = if at < 4 { ("role", ROLES[at]) } else { ("permit", ["ssh", "all"][at % 2]) };
    Item::Rule(Expr::Comparison(Comparison { subject, operator: "==", right: Text::fixed(right) }), vec![given])
}

fn nested(choices: &mut Choices<'_>, depth: usize) -> Item {
    let kinds: &[(usize, char)] = if depth == 0 { &[(1, 'c')] } else { &[(7, 'c'), (6, 'r'), (1, 'b')] };
    match choices.likely(kinds) {
        'r' => Item::Rule(expr(choices, 2), choices.several(1, 4, |it| nested(it, depth - 1))),
        'b' => Item::Block(choices.several(0, 3, |it| nested(it, depth - 1))),
        _ => claim(choices),
    }
}

fn claim(choices: &mut Choices<'_>) -> Item {
    let (claim_type, values) = choices.likely::<(&str, &[&str])>(&[
        (14, ("role", &["r0", "r1", "r2", "r3", "r3", "admin"])),
        (16, ("permit", &["read", "ssh", "all", "issue", "read", "read"])),
        (3, ("label", &["tom", "a", "%", "ops-%", "LDAP->group", "10.1.2.3", "job::/%/b"])),
        (1, ("name", &["tom", "%", "Google->email", "auth_server@apcera.me->name", "job::/a::web"])),
        (1, ("ssh.user", &["tom", "%", "Google->email"])),
        (1, ("ssh.record", &["none", "output", "full", "%"])),
        (1, ("ssh.idleTimeout", &["15m", "900s", "1h", "soon", "LDAP->group"])),
        (1, ("ssh.require", &["mfa", "approval", "LDAP->group", "->x", "owner"])),
        (1, ("tokenTimeout", &["15m", "1d"])),
        (1, ("package.allow", &["package::/a", "package::/%/b::*", "package::/a/b::c", "package::/tom", "a"])),
        (
            1,
            (
                "docker.allow",
                &[
                    "*",
                    "nginx",
                    "library/*",
                    "docker.io/*",
                    "nginx:*",
                    "quay.io/nginx",
                    "https://index.docker.io/nginx",
                ],
            ),
        ),
        (1, ("package.default", &["package::/a/b::c", "package::/%"])),
        (1, ("schedulingTag.hard", &["ssd", "%"])),
        (1, ("total.memory", &["1GB", "2GB", "%"])),
        (1, ("max.instances", &["1", "42", "007"])),
        (1, ("max.instance.memory", &["500MB", "1GB", "10Mbps"])),
        (1, ("defaultNamespace", &["/a", "/%"])),
        (1, ("log", &["none", "allow", "deny"])),
    ]);
    Item::Claim(claim_type, text(choices, values))
}

fn text(choices: &mut Choices<'_>, of: &[&'static str]) -> Text {
    let text = choices.pick(of);
    Text { text, variable: if text.contains('%') { choices.below(2) } else { 0 } }
}

fn expr(choices: &mut Choices<'_>, depth: usize) -> Expr {
    let kinds: &[(usize, char)] = if depth == 0 { &[(1, 'c')] } else { &[(4, 'c'), (1, '&'), (1, '|')] };
    match choices.likely(kinds) {
        '&' => Expr::And(choices.several(2, 4, |it| expr(it, depth - 1))),
        '|' => Expr::Or(choices.several(2, 4, |it| expr(it, depth - 1))),
        _ => Expr::Comparison(comparison(choices)),
    }
}

fn comparison(choices: &mut Choices<'_>) -> Comparison {
    let (subject, operator) = if choices.likely(&[(1, true), (1, false)]) {
        let operator = choices.pick(OPERATORS);
        (choices.pick(subjects(operator)), operator)
    } else {
        (choices.pick(CLAIMS), choices.pick(MONOTONE))
    };
    Comparison { subject, operator, right: text(choices, right(subject, operator)) }
}

/// What an operator is put to: mostly what it can be true of.
fn subjects(operator: &str) -> &'static [&'static str] {
    match operator {
        "inCidr" => &["client.address", "client.address", "LDAP->group"],
        "fqnMatch" => &["job", "network", "LDAP->group", "owner"],
        "<" | "<=" | ">" | ">=" => &[
            "time.hour",
            "time.clock",
            "time.date",
            "approvals.count",
            "forward.port",
            "LDAP->group",
            "LDAP->group",
            "command",
        ],
        "==" | "equals" | "!=" | "in" => &[
            "auth_server@apcera.me->name",
            "auth_server@apcera.me->name",
            "LDAP->group",
            "Google->email",
            "command",
            "mfa",
            "tag.team",
            "owner",
            "job",
            "side",
            "time.hour",
            "time.weekday",
            "time.date",
            "time.clock",
        ],
        _ => &[
            "auth_server@apcera.me->name",
            "auth_server@apcera.me->name",
            "LDAP->group",
            "LDAP->group",
            "Google->email",
            "command",
            "owner",
            "job",
            "time.clock",
            "time.date",
            "time.weekday",
        ],
    }
}

fn right(subject: &str, operator: &str) -> &'static [&'static str] {
    match (operator, subject) {
        ("==" | "equals" | "in", "role") => &["r0", "r1", "r2", "r3", "admin"],
        ("==" | "equals" | "in", "permit") => &["all", "ssh", "read"],
        ("==" | "equals" | "!=" | "in", "time.weekday") => &["mon", "sun", "thu"],
        ("==" | "equals" | "!=" | "in", "time.hour") => &["7", "8", "23"],
        ("==" | "equals" | "!=" | "in", "time.clock") => &["08:30", "8:30"],
        ("==" | "equals" | "!=" | "in", "time.date") => &["2026-11-23", "2026-11-24"],
        ("==" | "equals" | "!=" | "in", "command") => &["ls -l", "ls; sh", "%"],
        ("==" | "equals" | "!=" | "in", "mfa" | "side" | "tag.team") => &["totp", "source", "ops", "%"],
        ("==" | "equals" | "!=" | "in", "job") => &["job::/a/b::web", "job::/%"],
        ("==" | "equals" | "!=" | "in", "LDAP->group") => {
            &["ops", "dev", "%", "ops-%", "42", "", "%@a.com", "10.1.2.3"]
        }
        ("==" | "equals" | "!=" | "in", _) => &["tom", "tommy", "a", "b", "%", "%", "%@a.com"],
        ("beginsWith", _) => &["t", "tom", "%", "ops", "ops-%", "r", "1", "job::/%", "l", "ls", "m", "0", "2"],
        ("endsWith", _) => &["m", "tom", "%", "y", "-%", "3", "::web", "h", "@%.com", "n", "0", "s"],
        ("contains", _) => &["", "o", "m", "1", ":", "ops", "ls"],
        ("matches", _) => &["*", "?", "t*", "*m", "r?", "*o*", "job::/*", "??:??", "*s*-*", "\\\\*", "ls *"],
        ("fqnMatch", _) => &[
            "job::/",
            "job::/a",
            "job::/%",
            "job::/%/b::*",
            "job::/tom::",
            "network::/a/b",
            "network::/%",
            "job::/a/b::web",
        ],
        ("inCidr", _) => &["10.0.0.0/8", "10.1.2.3", "::/0", "0.0.0.0/0", "2001:db8::/32"],
        (_, "time.hour") => &["8", "12", "20"],
        (_, "time.clock") => &["08:30", "00:00", "23:59", "8"],
        (_, "time.date") => &["2026-11-23", "2026-11-24", "2026-12-01"],
        (_, _) => &["42", "8", "2", "500MB", "1GB", "10Mbps", "15m", "900s", "2026-11-23", "08:30", "0"],
    }
}
