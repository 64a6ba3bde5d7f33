//! Random policy sets and requests from a world so small that they meet.

use gatehouse::{
    compile::System,
    eval::{Claim, Fact, Now, Request},
};
use proptest::{
    collection::vec,
    option,
    prelude::{Just, Strategy, any, prop_oneof},
    sample::select,
    strategy::BoxedStrategy,
};

/// A policy set and a question.
#[derive(Clone)]
pub(crate) struct World {
    /// Each a list of policies.
    pub(crate) documents: Vec<Vec<Policy>>,
    /// Whether the system documents are part of the set.
    pub(crate) system: System,
    pub(crate) target: String,
    pub(crate) facts: Vec<Fact>,
    pub(crate) want: Vec<Claim>,
    pub(crate) now: Option<Now>,
}

#[derive(Debug, Clone)]
pub(crate) struct Policy {
    pub(crate) realm: String,
    pub(crate) items: Vec<Item>,
    variables: Vec<&'static str>,
}

#[derive(Debug, Clone)]
pub(crate) enum Item {
    Rule(Expr, Vec<Self>),
    Block(Vec<Self>),
    /// Type, value, and whether a variable stands in it where there is one.
    Claim(&'static str, Text),
}

#[derive(Debug, Clone)]
pub(crate) enum Expr {
    And(Vec<Self>),
    Or(Vec<Self>),
    Comparison(Comparison),
}

#[derive(Debug, Clone)]
pub(crate) struct Comparison {
    /// With its issuer.
    subject: &'static str,
    pub(crate) operator: &'static str,
    right: Text,
}

/// What stands on the right, with `%` where a variable goes if the realm has one.
#[derive(Debug, Clone)]
pub(crate) struct Text {
    text: String,
    variable: usize,
}

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

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for text in self.texts() {
            writeln!(f, "---\n{text}")?;
        }
        writeln!(f, "{:?} {} {:?} {:?}", self.system, self.target, self.want, self.now)?;
        self.facts.iter().try_for_each(|it| writeln!(f, "{it}"))
    }
}

impl World {
    pub(crate) fn request(&self) -> Option<Request> {
        Request::new(&self.target, self.facts.clone(), self.want.clone(), self.now).ok()
    }

    /// The documents as text.
    pub(crate) fn texts(&self) -> Vec<String> {
        self.documents.iter().map(|it| it.iter().map(Policy::text).collect()).collect()
    }
}

impl Policy {
    pub(crate) fn text(&self) -> String {
        let mut out = format!("{} {{\n", self.realm);
        for it in &self.items {
            it.write(&mut out, &self.variables);
        }
        out + "}\n"
    }

    /// All its comparisons: how and as text.
    pub(crate) fn comparisons(&self) -> Vec<(&'static str, String)> {
        let mut found = Vec::new();
        for it in &self.items {
            it.comparisons(&mut found);
        }
        found.into_iter().map(|it| (it.operator, it.text(&self.variables))).collect()
    }
}

impl Item {
    fn write(&self, out: &mut String, variables: &[&str]) {
        match self {
            Self::Rule(condition, items) => {
                out.push_str(&format!("if ({}) {{\n", condition.text(variables)));
                for it in items {
                    it.write(out, variables);
                }
                out.push_str("}\n");
            }
            Self::Block(items) => {
                out.push_str("{ ");
                for it in items {
                    it.write(out, variables);
                }
                out.push_str("}\n");
            }
            Self::Claim(claim_type, value) => {
                let is_reference = *claim_type != "ssh.require" && value.text.contains("->");
                let value = value.fill(if matches!(*claim_type, "role" | "permit") { &[] } else { variables });
                let value = if is_reference { value } else { format!("\"{value}\"") };
                out.push_str(&format!("{claim_type} {value}\n"));
            }
        }
    }

    fn comparisons<'a>(&'a self, found: &mut Vec<&'a Comparison>) {
        match self {
            Self::Rule(condition, items) => {
                condition.comparisons(found);
                for it in items {
                    it.comparisons(found);
                }
            }
            Self::Block(items) => items.iter().for_each(|it| it.comparisons(found)),
            Self::Claim(..) => (),
        }
    }
}

impl Expr {
    fn text(&self, variables: &[&str]) -> String {
        let join = |parts: &[Self], word: &str| {
            let texts: Vec<String> = parts.iter().map(|it| it.text(variables)).collect();
            format!("({})", texts.join(word))
        };
        match self {
            Self::And(parts) => join(parts, " && "),
            Self::Or(parts) => join(parts, " || "),
            Self::Comparison(it) => it.text(variables),
        }
    }

    fn comparisons<'a>(&'a self, found: &mut Vec<&'a Comparison>) {
        match self {
            Self::And(parts) | Self::Or(parts) => parts.iter().for_each(|it| it.comparisons(found)),
            Self::Comparison(it) => found.push(it),
        }
    }
}

impl Comparison {
    fn text(&self, variables: &[&str]) -> String {
        let right = self.right.fill(variables);
        match self.operator {
            "in" => format!("{} in (\"{right}\", \"dev\")", self.subject),
            operator => format!("{} {operator} \"{right}\"", self.subject),
        }
    }
}

impl Text {
    fn fill(&self, variables: &[&str]) -> String {
        if variables.is_empty() {
            return self.text.replace('%', "a");
        }
        self.text.replace('%', &format!("[{}]", variables[self.variable % variables.len()]))
    }
}

pub(crate) fn world() -> impl Strategy<Value = World> {
    let documents = vec(vec(policy(), 2..7), 1..4);
    let facts = (option::weighted(0.9, select(NAMES)), vec(select(VALUES), 0..6), vec(fact(), 0..8));
    let now = option::of((0..1_000_000_i64, select(vec![0, 3_600, -18_000, 19_800])));
    let system = prop_oneof![1 => Just(System::Included), 3 => Just(System::LeftOut)];
    let parts = (
        resource_type(),
        (documents, system),
        target(),
        facts,
        prop_oneof![5 => vec(want(), 1..2), 1 => vec(want(), 2..4)],
        now,
    );
    parts.prop_map(|(resource_type, (mut documents, system), target, (name, groups, others), want, now)| {
        let at = |(ahead, offset_seconds)| Now { unix_seconds: 1_795_000_000 + ahead, offset_seconds };
        let now: Option<Now> = now.map(at);
        let mut facts: Vec<Fact> = groups.iter().map(|it| Fact::new("LDAP", "group", *it)).collect();
        facts.extend(name.map(|it| Fact::new("auth_server@apcera.me", "name", it)));
        let mut seen = Vec::new();
        // One of each is what most types can have; time comes from the instant.
        facts.extend(others.into_iter().filter(|it| {
            let is_new = it.claim_type.starts_with("tag.") || !seen.contains(&it.claim_type);
            seen.push(it.claim_type.clone());
            is_new && (now.is_none() || !it.claim_type.starts_with("time."))
        }));
        // Most policies are on the target's type.
        for policy in documents.iter_mut().flatten() {
            if let Some(rest) = policy.realm.strip_prefix("TYPE") {
                policy.realm = format!("{resource_type}{rest}");
            }
        }
        World { documents, system, target: format!("{resource_type}{target}"), facts, want, now }
    })
}

fn target() -> impl Strategy<Value = String> {
    let local = option::of(vec(select(vec!["web", "api"]), 1..3));
    (vec(select(SEGMENTS), 0..4), local).prop_map(|(namespace, local)| {
        let local = local.map_or_else(String::new, |it| format!("::{}", it.join("/")));
        format!("::/{}{local}", namespace.join("/"))
    })
}

fn resource_type() -> impl Strategy<Value = &'static str> {
    prop_oneof![12 => Just("job"), 1 => Just("package"), 1 => Just("auth"), 1 => Just("quota"), 1 => Just("audit")]
}

fn want() -> impl Strategy<Value = Claim> {
    let want = |claim_type: &'static str, value: &'static str| Just(Claim::new(claim_type, value));
    prop_oneof![
        16 => want("permit", "read"),
        5 => want("permit", "ssh"),
        2 => want("permit", "issue"),
        2 => want("role", "r3"),
        1 => want("label", "tom"),
        1 => want("package.allow", "package::/a/b::c"),
        1 => want("docker.allow", "nginx"),
        1 => want("permit", "nothing"),
    ]
}

fn fact() -> impl Strategy<Value = Fact> {
    let of_token = select(vec!["tom", "a", "tom@a.com"]).prop_map(|value| Fact::new("Google", "email", value));
    let context = |claim_type: &'static str, values: &'static [&'static str]| {
        select(values).prop_map(move |value| Fact::context(claim_type, value))
    };
    prop_oneof![
        2 => of_token,
        2 => context("command", &["ls -l", "ls; sh", "tom", "r0"]),
        2 => context("client.address", &["10.1.2.3", "::ffff:10.9.9.9", "192.0.2.1", "2001:db8::1", "tom"]),
        1 => context("mfa", &["totp", "a"]),
        1 => context("tag.team", &["ops", "dev", "a", "42"]),
        1 => context("owner", &["tom", "tommy"]),
        1 => context("job", &["job::/a/b::web", "job::/tom", "job::/tommy::api"]),
        1 => context("network", &["network::/a/b", "network::/tom"]),
        1 => context("time.hour", &["7", "8", "23"]),
        1 => context("time.clock", &["08:29", "08:30"]),
        1 => context("time.weekday", &["mon", "sun"]),
        1 => context("time.date", &["2026-11-23", "2026-11-24"]),
        1 => context("approvals.count", &["0", "2", "42"]),
        1 => context("forward.port", &["5432", "42"]),
        1 => context("side", &["source", "destination"]),
    ]
}

fn policy() -> impl Strategy<Value = Policy> {
    let segment = || prop_oneof![select(SEGMENTS).prop_map(Ok), select(VARIABLES).prop_map(Err)];
    let namespace = prop_oneof![
        8 => vec(segment(), 0..1),
        6 => vec(segment(), 1..2),
        2 => vec(segment(), 2..3),
        1 => vec(segment(), 3..4),
    ];
    let name = || prop_oneof![2 => select(vec!["web", "api"]).prop_map(Ok), 1 => select(VARIABLES).prop_map(Err)];
    let local = prop_oneof![9 => Just(None), 1 => Just(Some(Vec::new())), 1 => Just(Some(vec![Ok("*")])), 2 => vec(name(), 1..3).prop_map(Some)];
    let resource_type = prop_oneof![8 => Just("TYPE"), 1 => resource_type()];
    (resource_type, namespace, local, vec(item(), 1..6)).prop_map(|(resource_type, namespace, local, items)| {
        let parts = namespace.iter().chain(local.iter().flatten());
        let variables = parts.filter_map(|it| it.err()).collect();
        let join = |parts: &[Result<&str, &str>]| {
            let text = |it: &Result<&str, &str>| it.map_or_else(|name| format!("[{name}]"), str::to_owned);
            parts.iter().map(text).collect::<Vec<_>>().join("/")
        };
        let local = local.map_or_else(String::new, |it| format!("::{}", join(&it)));
        Policy { realm: format!("{resource_type}::/{}{local}", join(&namespace)), items, variables }
    })
}

/// A rule that waits for a role and gives the next, so that chains are long.
fn link() -> impl Strategy<Value = Item> {
    const ROLES: &[&str] = &["r0", "r1", "r2", "r3"];
    let text = |text: &str| Text { text: text.to_owned(), variable: 0 };
    (0_usize..6).prop_map(move |at| {
        let given = match ROLES.get(at + 1) {
            Some(role) => Item::Claim("role", text(role)),
            None => Item::Claim("permit", text(["ssh", "read", "all"][at % 3])),
        };
        let (subject, right) = if at < 4 { ("role", ROLES[at]) } else { ("permit", ["ssh", "all"][at % 2]) };
        Item::Rule(Expr::Comparison(Comparison { subject, operator: "==", right: text(right) }), vec![given])
    })
}

fn item() -> BoxedStrategy<Item> {
    prop_oneof![3 => other_item(), 2 => link()].boxed()
}

fn other_item() -> BoxedStrategy<Item> {
    let leaf = claim();
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            6 => (expr(), vec(inner.clone(), 1..4)).prop_map(|(condition, items)| Item::Rule(condition, items)),
            1 => vec(inner, 0..3).prop_map(Item::Block),
        ]
    })
    .prop_flat_map(|it| match it {
        // Most claims stand under a condition.
        Item::Claim(..) => prop_oneof![
            3 => Just(it.clone()),
            5 => expr().prop_map(move |condition| Item::Rule(condition, vec![it.clone()])),
        ]
        .boxed(),
        Item::Rule(..) | Item::Block(_) => Just(it).boxed(),
    })
    .boxed()
}

fn claim() -> BoxedStrategy<Item> {
    let of = |claim_type: &'static str, values: &'static [&'static str]| {
        (select(values), any::<usize>())
            .prop_map(move |(text, variable)| Item::Claim(claim_type, Text { text: text.to_owned(), variable }))
    };
    prop_oneof![
        14 => of("role", &["r0", "r1", "r2", "r3", "r3", "admin"]),
        16 => of("permit", &["read", "ssh", "all", "issue", "read", "read"]),
        3 => of("label", &["tom", "a", "%", "ops-%", "LDAP->group", "10.1.2.3", "job::/%/b"]),
        1 => of("name", &["tom", "%", "Google->email", "auth_server@apcera.me->name", "job::/a::web"]),
        1 => of("ssh.user", &["tom", "%", "Google->email"]),
        1 => of("ssh.record", &["none", "output", "full", "%"]),
        1 => of("ssh.idleTimeout", &["15m", "900s", "1h", "soon", "LDAP->group"]),
        1 => of("ssh.require", &["mfa", "approval", "LDAP->group", "->x", "owner"]),
        1 => of("tokenTimeout", &["15m", "1d"]),
        1 => of("package.allow", &["package::/a", "package::/%/b::*", "package::/a/b::c", "package::/tom", "a"]),
        1 => of("docker.allow", &["*", "nginx", "library/*", "docker.io/*", "nginx:*", "quay.io/nginx", "https://index.docker.io/nginx"]),
        1 => of("package.default", &["package::/a/b::c", "package::/%"]),
        1 => of("schedulingTag.hard", &["ssd", "%"]),
        1 => of("total.memory", &["1GB", "2GB", "%"]),
        1 => of("max.instances", &["1", "42", "007"]),
        1 => of("max.instance.memory", &["500MB", "1GB", "10Mbps"]),
        1 => of("defaultNamespace", &["/a", "/%"]),
        1 => of("log", &["none", "allow", "deny"]),
    ]
    .boxed()
}

fn expr() -> BoxedStrategy<Expr> {
    let leaf = comparison().prop_map(Expr::Comparison);
    leaf.prop_recursive(2, 6, 3, |inner| {
        prop_oneof![vec(inner.clone(), 2..4).prop_map(Expr::And), vec(inner, 2..4).prop_map(Expr::Or)]
    })
    .boxed()
}

fn comparison() -> impl Strategy<Value = Comparison> {
    let on_fact = select(OPERATORS).prop_flat_map(|operator| (select(subjects(operator)), Just(operator)));
    let on_claim = (select(CLAIMS), select(MONOTONE));
    prop_oneof![on_fact, on_claim].prop_flat_map(|(subject, operator)| {
        (select(right(subject, operator)), any::<usize>()).prop_map(move |(text, variable)| Comparison {
            subject,
            operator,
            right: Text { text: text.to_owned(), variable },
        })
    })
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
