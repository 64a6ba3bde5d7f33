//! The specification as a program: slow, without index or order, and meant to be obviously right.
//!
//! It walks the syntax tree for every round and every rule and shares with the compiled evaluator only the reader of
//! documents, the request and the shape of the answer. Where the two disagree, one of them is wrong, and a test says so.
//! It does not check documents: give it only sets that compile. Section numbers are those of the reference.

use std::collections::{BTreeMap, BTreeSet};

use smol_str::SmolStr;

use crate::{
    eval::{Claim, Effective, Fact, Refusal, Request, Total},
    source::Source,
    syntax::{
        ast::{Asserted, Block, Comparison, Document, Expr, Item, Local, Operator, Piece, Realm, Segment, Value},
        cidr::{Network, parse_address},
        fqn::Fqn,
        literal::Literal,
        parse, realm,
    },
};

/// What the compiled evaluator has to answer too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Whether all that is wanted was asserted and nothing refuses.
    pub allowed: bool,
    /// Unique, in the request's order.
    pub missing: Vec<Claim>,
    /// Unique, ascending.
    pub claims: Vec<Claim>,
    /// What restricts.
    pub effective: Effective,
    /// Unique, ascending.
    pub refusals: Vec<Refusal>,
}

type Bindings = BTreeMap<String, String>;

/// A claim that was asserted, and by which realm: text with variables replaced, and how specific it is.
type Assertion = (Claim, Specificity, String);

/// Section 6: longer namespace; longer local name, `::*`, `::`, none; literal before variable.
type Specificity = (usize, (u8, usize), Vec<bool>);

/// Decides by documents, the system documents among them where they are to count.
pub fn decide(sources: &[Source], request: &Request) -> Answer {
    let documents: Vec<Document> = sources.iter().map(|it| parse(it).document).collect();
    let mut assertions: BTreeSet<Assertion> = BTreeSet::new();
    loop {
        let before = assertions.len();
        let claims: BTreeSet<Claim> = assertions.iter().map(|(claim, _, _)| claim.clone()).collect();
        for policy in documents.iter().flat_map(|it| &it.policies) {
            if let Some(bindings) = bind(&policy.realm, request.target()) {
                let found = block(&policy.block, request, &bindings, &claims);
                let realm = (specificity(&policy.realm), shown(&policy.realm, &bindings));
                assertions.extend(found.into_iter().map(|claim| (claim, realm.0.clone(), realm.1.clone())));
            }
        }
        if assertions.len() == before {
            break;
        }
    }
    answer(request, &assertions)
}

fn answer(request: &Request, assertions: &BTreeSet<Assertion>) -> Answer {
    let claims: BTreeSet<Claim> = assertions.iter().map(|(claim, _, _)| claim.clone()).collect();
    let mut missing: Vec<Claim> = Vec::new();
    for want in request.want() {
        if !claims.iter().any(|it| covers(it, want)) && !missing.contains(want) {
            missing.push(want.clone());
        }
    }
    let mut refusals = BTreeSet::new();
    let effective = restrict(request, assertions, &mut refusals);
    name_of_token(request, &claims, &mut refusals);
    Answer {
        allowed: missing.is_empty() && refusals.is_empty(),
        missing,
        claims: claims.into_iter().collect(),
        effective,
        refusals: refusals.into_iter().collect(),
    }
}

// Section 4: realms.

fn bind(realm: &Realm, target: &Fqn) -> Option<Bindings> {
    let mut bindings = Bindings::new();
    let local = target.local();
    let same_namespace = realm.namespace.len() == target.namespace().len();
    let matches = realm.resource_type.text == target.resource_type()
        && bind_segments(&realm.namespace, target.namespace(), &mut bindings)
        && match &realm.local {
            Local::Below => true,
            Local::Exact => same_namespace,
            Local::Any => same_namespace && local.is_some(),
            Local::Named(names) => {
                same_namespace && local.is_some_and(|local| bind_segments(names, local, &mut bindings))
            }
        };
    matches.then_some(bindings)
}

/// Whether the pattern is the beginning of the segments.
fn bind_segments(pattern: &[Segment], segments: &[String], bindings: &mut Bindings) -> bool {
    pattern.iter().enumerate().all(|(at, wanted)| match (wanted, segments.get(at)) {
        (_, None) => false,
        (Segment::Literal(name), Some(segment)) => name.text == *segment,
        (Segment::Variable(name), Some(segment)) => {
            bindings.entry(name.text.to_string()).or_insert_with(|| segment.clone()) == segment
        }
    })
}

fn specificity(realm: &Realm) -> Specificity {
    let (local, names) = match &realm.local {
        Local::Named(names) => ((3, names.len()), names.as_slice()),
        Local::Any => ((2, 0), [].as_slice()),
        Local::Exact => ((1, 0), [].as_slice()),
        Local::Below => ((0, 0), [].as_slice()),
    };
    let literal = realm.namespace.iter().chain(names).map(|it| matches!(it, Segment::Literal(_))).collect();
    (realm.namespace.len(), local, literal)
}

fn shown(realm: &Realm, bindings: &Bindings) -> String {
    let join = |segments: &[Segment]| {
        let texts = segments.iter().map(|it| match it {
            Segment::Literal(name) => name.text.as_str(),
            Segment::Variable(name) => bindings.get(name.text.as_str()).map(String::as_str).unwrap_or_default(),
        });
        texts.collect::<Vec<_>>().join("/")
    };
    let local = match &realm.local {
        Local::Below => String::new(),
        Local::Exact => "::".to_owned(),
        Local::Any => "::*".to_owned(),
        Local::Named(names) => format!("::{}", join(names)),
    };
    format!("{}::/{}{local}", realm.resource_type.text, join(&realm.namespace))
}

// Section 5: rules and conditions.

fn block(block: &Block, request: &Request, bindings: &Bindings, claims: &BTreeSet<Claim>) -> Vec<Claim> {
    let mut res = Vec::new();
    for item in &block.items {
        match item {
            Item::Block(inner) => res.extend(self::block(inner, request, bindings, claims)),
            Item::Rule(rule) if holds(&rule.condition, request, bindings, claims) => {
                res.extend(self::block(&rule.block, request, bindings, claims));
            }
            Item::Rule(_) => (),
            Item::Claim(claim) => {
                for asserted in &claim.asserted {
                    let values = match asserted {
                        Asserted::Value(value) => vec![fill(value, bindings).into()],
                        Asserted::Reference { issuer, claim_type, .. } => {
                            values(request, &issuer.text, &claim_type.text)
                        }
                    };
                    res.extend(values.into_iter().map(|it| Claim::new(claim.claim_type.text.as_str(), it)));
                }
            }
        }
    }
    res
}

fn holds(expr: &Expr, request: &Request, bindings: &Bindings, claims: &BTreeSet<Claim>) -> bool {
    match expr {
        Expr::Or(parts) => parts.iter().any(|it| holds(it, request, bindings, claims)),
        Expr::And(parts) => parts.iter().all(|it| holds(it, request, bindings, claims)),
        Expr::Group(inner, _) => holds(inner, request, bindings, claims),
        Expr::Comparison(comparison) => {
            let claim_type = &comparison.claim_type.text;
            match &comparison.issuer {
                Some(issuer) => compare(comparison, &values(request, &issuer.text, claim_type), bindings),
                None => {
                    let mut present = values(request, "", claim_type);
                    let asserted = claims.iter().filter(|it| it.claim_type == *claim_type);
                    present.extend(asserted.map(|it| it.value.clone()));
                    compare(comparison, &present, bindings)
                }
            }
        }
    }
}

fn values(request: &Request, issuer: &str, claim_type: &str) -> Vec<SmolStr> {
    let fitting = request.facts().iter().filter(|it| it.issuer == issuer && it.claim_type == claim_type);
    fitting.map(|it| it.value.clone()).collect()
}

fn compare(comparison: &Comparison, present: &[SmolStr], bindings: &Bindings) -> bool {
    let is_command = comparison.issuer.is_none() && comparison.claim_type.text == "command";
    let is_equality = matches!(comparison.operator, Operator::Equal | Operator::Equals | Operator::In);
    if is_command && !is_equality && present.iter().any(|it| it.contains(is_metacharacter)) {
        return false;
    }
    let one = |left: &SmolStr, right: &Value| compare_one(comparison.operator, left, right, bindings);
    if comparison.operator == Operator::NotEqual {
        return !present.is_empty() && present.iter().all(|left| comparison.values.iter().all(|it| one(left, it)));
    }
    present.iter().any(|left| comparison.values.iter().any(|it| one(left, it)))
}

fn is_metacharacter(c: char) -> bool {
    c.is_control() || ";&|<>$(){}*?~#!\\'\"`".contains(c)
}

fn compare_one(operator: Operator, left: &str, right: &Value, bindings: &Bindings) -> bool {
    let text = fill(right, bindings);
    let order = || Literal::parse(left).ok()?.compare(Literal::parse(&text).ok()?);
    match operator {
        Operator::Equal | Operator::Equals | Operator::In => left == text,
        Operator::NotEqual => left != text,
        Operator::BeginsWith => left.starts_with(&text),
        Operator::EndsWith => left.ends_with(&text),
        Operator::Contains => left.contains(&text),
        Operator::Matches => glob(&text, left),
        Operator::FqnMatch => Fqn::parse(left).is_ok_and(|name| lies_in(&name, &text)),
        Operator::InCidr => match (Network::parse(&text), parse_address(left)) {
            (Ok(network), Some(address)) => network.contains(address),
            (Ok(_) | Err(_), _) => false,
        },
        Operator::Less => order().is_some_and(std::cmp::Ordering::is_lt),
        Operator::LessOrEqual => order().is_some_and(std::cmp::Ordering::is_le),
        Operator::Greater => order().is_some_and(std::cmp::Ordering::is_gt),
        Operator::GreaterOrEqual => order().is_some_and(std::cmp::Ordering::is_ge),
    }
}

fn fill(value: &Value, bindings: &Bindings) -> String {
    let text = |piece: &Piece| match piece {
        Piece::Text(text) => text.to_string(),
        Piece::Variable(name) => bindings.get(name.text.as_str()).cloned().unwrap_or_default(),
    };
    value.pieces.iter().map(text).collect()
}

/// Whether a name lies in a realm given as text. What a variable was bound to is a segment of a name, so it has none
/// of the characters that mean something in a realm.
fn lies_in(name: &Fqn, realm: &str) -> bool {
    !realm.contains('[') && realm::parse(realm, 0).is_ok_and(|it| bind(&it, name).is_some())
}

/// The textbook table: whether the first so many units of the pattern take the first so many of the value.
fn glob(pattern: &str, value: &str) -> bool {
    let mut units: Vec<(char, bool)> = Vec::new();
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        let escaped = if c == '\\' { chars.next() } else { None };
        units.push((escaped.unwrap_or(c), escaped.is_some()));
    }
    let value: Vec<char> = value.chars().collect();
    let mut reached: BTreeSet<usize> = BTreeSet::from([0]);
    for (c, is_escaped) in units {
        reached = match (c, is_escaped) {
            ('*', false) => reached.first().map(|first| (*first..=value.len()).collect()).unwrap_or_default(),
            ('?', false) => reached.iter().filter(|at| **at < value.len()).map(|at| at + 1).collect(),
            (c, _) => reached.iter().filter(|at| value.get(**at) == Some(&c)).map(|at| at + 1).collect(),
        };
    }
    reached.contains(&value.len())
}

// Section 6: wants, restricting claims, scalars, names of tokens.

fn covers(asserted: &Claim, want: &Claim) -> bool {
    asserted.claim_type == want.claim_type
        && match want.claim_type.as_str() {
            "package.allow" | "package.default" | "package.lock" | "package.retire" => {
                Fqn::parse(&want.value).is_ok_and(|name| lies_in(&name, &asserted.value))
            }
            "docker.allow" => image_covers(&asserted.value, &want.value),
            _ => asserted.value == want.value,
        }
}

/// Compares references written out in full: `https://docker.io/library/nginx:latest`.
fn image_covers(asserted: &str, want: &str) -> bool {
    let Some((want_place, want_version)) = full_image(want) else { return false };
    if asserted == "*" {
        return true;
    }
    if let Some(place) = asserted.strip_suffix("/*") {
        return full_place(place, true).is_some_and(|it| want_place.starts_with(&format!("{it}/")));
    }
    if let Some(repository) = asserted.strip_suffix(":*") {
        let untagged = full_image(&format!("{repository}:x")).filter(|_| !repository.contains('@'));
        return untagged.is_some_and(|(place, _)| place == want_place);
    }
    full_image(asserted).is_some_and(|(place, version)| place == want_place && version == want_version)
}

fn full_image(text: &str) -> Option<(String, String)> {
    let (rest, digest) = text.split_once('@').map_or((text, None), |(rest, digest)| (rest, Some(digest)));
    let name_at = rest.rfind('/').map_or(0, |at| at + 1);
    let (before, name) = rest.split_at_checked(name_at)?;
    let (name, tag) = name.split_once(':').unwrap_or((name, "latest"));
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if !tag.starts_with(word) || !tag.chars().all(|c| word(c) || c == '.' || c == '-') {
        return None;
    }
    let version = match digest {
        None => tag.to_owned(),
        Some(digest) => {
            let (kind, hex) = digest.split_once(':')?;
            let good = |text: &str, last: char| {
                !text.is_empty() && text.chars().all(|c| c.is_ascii_digit() || ('a'..=last).contains(&c))
            };
            (good(kind, 'z') && good(hex, 'f')).then(|| format!("@{digest}"))?
        }
    };
    Some((full_place(&format!("{before}{name}"), false)?, version))
}

fn full_place(text: &str, is_prefix: bool) -> Option<String> {
    let (scheme, rest) = match text.split_once("://") {
        Some((scheme @ ("http" | "https"), rest)) => (Some(scheme), rest),
        Some(_) => return None,
        None => (None, text),
    };
    let mut parts: Vec<&str> = rest.split('/').collect();
    let first = *parts.first()?;
    let is_host = first == "localhost" || first.contains('.') || first.contains(':');
    let named = scheme.is_some() || (is_host && (is_prefix || parts.len() > 1));
    let host = if named { parts.remove(0) } else { "docker.io" };
    let host = if matches!(host, "index.docker.io" | "registry-1.docker.io") { "docker.io" } else { host };
    if host == "docker.io" && parts.len() == 1 && !is_prefix {
        parts.insert(0, "library");
    }
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let good = |it: &str, also: &str| {
        it.starts_with(plain) && it.ends_with(plain) && it.chars().all(|c| plain(c) || also.contains(c))
    };
    let enough = is_prefix || !parts.is_empty();
    let place = [&[host], parts.as_slice()].concat().join("/");
    (enough && good(host, ".-:") && parts.iter().all(|it| good(it, "._-")))
        .then(|| format!("{}://{place}", scheme.unwrap_or("https")))
}

fn restrict(request: &Request, assertions: &BTreeSet<Assertion>, refusals: &mut BTreeSet<Refusal>) -> Effective {
    let mut effective = Effective::default();
    let types: BTreeSet<&str> = assertions.iter().map(|(claim, _, _)| claim.claim_type.as_str()).collect();
    for claim_type in types {
        let of_type: Vec<&Assertion> = assertions.iter().filter(|(it, _, _)| it.claim_type == claim_type).collect();
        let all: BTreeSet<&str> = of_type.iter().map(|(it, _, _)| it.value.as_str()).collect();
        let values = match (request.target().resource_type(), claim_type) {
            ("auth", "defaultNamespace" | "defaultNamespacePrefix") | ("job", "package.default" | "ssh.user") => {
                most_specific(&of_type, refusals)
            }
            ("quota", name) if name.starts_with("total.") => {
                least(claim_type, &all, refusals);
                let total = |it: &&Assertion| Total {
                    claim_type: claim_type.to_owned(),
                    value: it.0.value.to_string(),
                    realm: it.2.clone(),
                };
                effective.totals.extend(of_type.iter().map(total));
                all
            }
            ("quota", name) if name.starts_with("max.") => least(claim_type, &all, refusals),
            ("auth" | "job", "tokenTimeout") | ("job", "ssh.idleTimeout" | "ssh.maxSession") => {
                least(claim_type, &all, refusals)
            }
            ("job", "ssh.record") => most_recording(&all, refusals),
            ("job", "ssh.require") => {
                require(request, &all, refusals);
                all
            }
            ("job", "schedulingTag.hard" | "package.lock" | "package.retire" | "sp.disable") => all,
            ("audit", "log") => logged(&of_type),
            _ => continue,
        };
        if !values.is_empty() {
            effective.values.insert(claim_type.to_owned(), values.into_iter().map(str::to_owned).collect());
        }
    }
    effective.totals.sort();
    effective.totals.dedup();
    effective
}

fn most_specific<'a>(of_type: &[&'a Assertion], refusals: &mut BTreeSet<Refusal>) -> BTreeSet<&'a str> {
    let top = of_type.iter().map(|(_, rank, _)| rank).max();
    let values: BTreeSet<&str> =
        of_type.iter().filter(|(_, rank, _)| Some(rank) == top).map(|(it, _, _)| it.value.as_str()).collect();
    if let Some((claim, _, _)) = of_type.first() {
        refuse_two(&claim.claim_type, &values, refusals);
    }
    values
}

fn refuse_two(claim_type: &str, values: &BTreeSet<&str>, refusals: &mut BTreeSet<Refusal>) {
    let mut values = values.iter().map(|it| (*it).to_owned());
    if let (Some(first), Some(second)) = (values.next(), values.next()) {
        refusals.insert(Refusal::Conflict { claim_type: claim_type.to_owned(), first, second });
    }
}

fn unreadable(claim_type: &str, value: &str, refusals: &mut BTreeSet<Refusal>) {
    refusals.insert(Refusal::Unreadable { claim_type: claim_type.to_owned(), value: value.to_owned() });
}

fn least<'a>(claim_type: &str, all: &BTreeSet<&'a str>, refusals: &mut BTreeSet<Refusal>) -> BTreeSet<&'a str> {
    let mut read: Vec<(u64, &str)> = Vec::new();
    for value in all {
        match (claim_type.rsplit('.').next(), Literal::parse(value)) {
            (Some("memory" | "disk" | "size"), Ok(Literal::Size(amount)))
            | (Some("network"), Ok(Literal::Rate(amount)))
            | (Some("cpu" | "instances"), Ok(Literal::Number(amount)))
            | (Some("tokenTimeout" | "idleTimeout" | "maxSession"), Ok(Literal::Duration(amount))) => {
                read.push((amount, value));
            }
            (_, _) => unreadable(claim_type, value, refusals),
        }
    }
    read.sort_unstable();
    read.first().map(|(_, value)| *value).into_iter().collect()
}

fn most_recording<'a>(all: &BTreeSet<&'a str>, refusals: &mut BTreeSet<Refusal>) -> BTreeSet<&'a str> {
    let order = ["full", "output", "none"];
    for value in all.iter().filter(|it| !order.contains(it)) {
        unreadable("ssh.record", value, refusals);
    }
    order.iter().find_map(|it| all.get(it)).copied().into_iter().collect()
}

fn require(request: &Request, names: &BTreeSet<&str>, refusals: &mut BTreeSet<Refusal>) {
    let ssh = ["all", "ssh", "shell", "exec", "sftp", "forward", "watch"];
    if !request.want().iter().any(|it| it.claim_type == "permit" && ssh.contains(&it.value.as_str())) {
        return;
    }
    for name in names {
        let present = match name.split_once("->") {
            Some(("", _)) => false,
            Some((issuer, claim_type)) => !values(request, issuer, claim_type).is_empty(),
            None if *name == "approval" => request.facts().iter().any(|it| it.issuer == "approval"),
            None => !values(request, "", name).is_empty(),
        };
        if !present {
            refusals.insert(Refusal::Required { fact: (*name).to_owned() });
        }
    }
}

fn logged<'a>(of_type: &[&'a Assertion]) -> BTreeSet<&'a str> {
    let cancelled = |rank: &Specificity| of_type.iter().any(|(it, none, _)| it.value == "none" && none >= rank);
    let kept: BTreeSet<&str> =
        of_type.iter().filter(|(_, rank, _)| !cancelled(rank)).map(|(it, _, _)| it.value.as_str()).collect();
    if kept.is_empty() { BTreeSet::from(["none"]) } else { kept }
}

fn name_of_token(request: &Request, claims: &BTreeSet<Claim>, refusals: &mut BTreeSet<Refusal>) {
    let issue = Claim::permit("issue");
    if request.target().resource_type() != "auth" || !request.want().contains(&issue) || !claims.contains(&issue) {
        return;
    }
    let names: BTreeSet<&str> =
        claims.iter().filter(|it| it.claim_type == "name").map(|it| it.value.as_str()).collect();
    refuse_two("name", &names, refusals);
    let only = names.first().filter(|_| names.len() == 1);
    match only {
        None if names.is_empty() => {
            refusals.insert(Refusal::NoName);
        }
        Some(name) if is_like_resource(name) && !request.facts().contains(&Fact::context("job", *name)) => {
            refusals.insert(Refusal::ReservedName { name: (*name).to_owned() });
        }
        Some(_) | None => (),
    }
}

fn is_like_resource(name: &str) -> bool {
    name.split_once("::/").is_some_and(|(before, _)| Fqn::parse(&format!("{before}::/")).is_ok())
}
