//! Trees of documents, of every construct of the grammar, as a generator for properties.

use gatehouse::{
    source::Span,
    syntax::ast::{
        Asserted, Block, Claim, Comparison, Document, Expr, Header, Item, Local, Name, Operator, Piece, Policy, Realm,
        Rule, Segment, Value,
    },
};
use proptest::{
    collection::vec,
    option,
    prelude::{Just, Strategy, any, prop_oneof},
    sample::select,
    strategy::BoxedStrategy,
};

/// A document that has no errors, with empty places.
pub(crate) fn document() -> impl Strategy<Value = Document> {
    let header = select(vec!["<continuum-policy>", "<continuum-policy description=\"é // no comment\">"]);
    let header = header.prop_map(|text| Header { text: text.to_owned(), span: Span::default() });
    (option::of(header), vec(policy(), 0..4)).prop_map(|(header, policies)| Document { header, policies })
}

fn policy() -> impl Strategy<Value = Policy> {
    (option::of(Just(Span::default())), realm()).prop_flat_map(|(on, realm)| {
        let bound = variables(&realm);
        block(bound).prop_map(move |block| Policy { on, realm: realm.clone(), block, span: Span::default() })
    })
}

fn variables(realm: &Realm) -> Vec<String> {
    let local = match &realm.local {
        Local::Named(segments) => segments.as_slice(),
        Local::Below | Local::Exact | Local::Any => &[],
    };
    let names = realm.namespace.iter().chain(local).filter_map(|it| match it {
        Segment::Variable(name) => Some(name.text.to_string()),
        Segment::Literal(_) => None,
    });
    names.collect()
}

fn name(text: &str) -> Name {
    Name { text: text.into(), span: Span::default() }
}

fn realm() -> impl Strategy<Value = Realm> {
    let namespace = vec(segment(), 0..4);
    let local = prop_oneof![
        3 => Just(Local::Below),
        1 => Just(Local::Exact),
        1 => Just(Local::Any),
        2 => vec(segment(), 1..3).prop_map(Local::Named),
    ];
    let resource_type = select(vec!["job", "auth", "quota", "sempiperule"]);
    (resource_type, namespace, local, any::<bool>()).prop_map(|(resource_type, namespace, local, slash)| Realm {
        trailing_slash: slash && !namespace.is_empty(),
        resource_type: name(resource_type),
        namespace,
        local,
        span: Span::default(),
    })
}

fn segment() -> impl Strategy<Value = Segment> {
    prop_oneof![
        4 => select(vec!["sandbox", "tom", "a.b", "-", "é", "@x", "on", "if", "...", "東京"])
            .prop_map(|it| Segment::Literal(name(it))),
        1 => select(vec!["name", "n-1", "é"]).prop_map(|it| Segment::Variable(name(it))),
    ]
}

fn block(bound: Vec<String>) -> BoxedStrategy<Block> {
    let leaf = claim(bound.clone()).prop_map(Item::Claim);
    let item = leaf.boxed().prop_recursive(5, 40, 4, move |inner| {
        let block = vec(inner, 0..4).prop_map(|items| Block { items, span: Span::default() });
        prop_oneof![
            2 => (expr(bound.clone()), block.clone()).prop_map(|(condition, block)| Item::Rule(Rule {
                keyword: Span::default(),
                condition,
                block,
                span: Span::default(),
            })),
            1 => block.prop_map(Item::Block),
        ]
    });
    vec(item, 0..5).prop_map(|items| Block { items, span: Span::default() }).boxed()
}

fn claim(bound: Vec<String>) -> impl Strategy<Value = Claim> {
    let constant = |texts: Vec<&'static str>| {
        let value = (select(texts), any::<bool>()).prop_map(|(text, quoted)| {
            let quoted = quoted || matches!(text, "on" | "if" | "a b" | "");
            let pieces = if text.is_empty() { Vec::new() } else { vec![Piece::Text(text.into())] };
            Asserted::Value(Value { pieces: pieces.into(), quoted, span: Span::default() })
        });
        vec(value, 1..6).boxed()
    };
    let reference =
        (select(vec!["Google", "a@b", "on-call"]), select(vec!["email", "é.x"])).prop_map(|(issuer, it)| {
            Asserted::Reference { issuer: name(issuer), claim_type: name(it), span: Span::default() }
        });
    let any_value = prop_oneof![3 => value(bound).prop_map(Asserted::Value), 1 => reference];
    prop_oneof![
        2 => (Just("permit"), constant(vec!["ssh", "read", "all", "on", "if", "in", "else", "not", "é"])),
        2 => (Just("role"), constant(vec!["admin", "a.b", "x-", "a b", "and", "*", "-x"])),
        3 => (select(vec!["label", "docker.allow", "x_y", "é-1"]), vec(any_value, 1..9).boxed()),
    ]
    .prop_map(|(claim_type, asserted)| Claim {
        claim_type: name(claim_type),
        asserted: asserted.into(),
        span: Span::default(),
    })
}

/// Words that stand bare, texts in quotes, and variables in every place of them.
fn value(bound: Vec<String>) -> BoxedStrategy<Value> {
    let words = vec!["tom", "500MB", "10Mbps", "package::/a/b", "*", "a/b", "2026-01-31", "08:30", "@", "-", "é"];
    let word = select(words).prop_map(|it| (vec![Piece::Text(it.into())], false));
    let text = prop_oneof![
        select(vec![
            "", " ", "\\", "\"", "[", "]", "[a]", "[[a]", "[a", "\\[a]", "//", "/*", "“x”", "\t", "é", "{x}", "on",
            "if", "a-", "😀", "#", "; ", "'", "<USER>",
        ])
        .prop_map(str::to_owned),
        "[a-c\\[\\]\\\\\" /é-]{0,12}",
    ];
    let quoted = text.clone().prop_map(|it| (vec![Piece::Text(it.into())], true));
    let constant = prop_oneof![word, quoted];
    let pieces = if bound.is_empty() {
        constant.boxed()
    } else {
        let variable = select(bound).prop_map(|it| Piece::Variable(name(&it)));
        let alone = (variable.clone(), any::<bool>()).prop_map(|(it, quoted)| (vec![it], quoted));
        let within = (text.clone(), variable, text)
            .prop_map(|(a, it, b)| (vec![Piece::Text(a.into()), it, Piece::Text(b.into())], true));
        prop_oneof![3 => constant, 1 => alone, 1 => within].boxed()
    };
    pieces
        .prop_map(|(mut pieces, quoted)| {
            pieces.retain(|it| !matches!(it, Piece::Text(text) if text.is_empty()));
            Value { pieces: pieces.into(), quoted, span: Span::default() }
        })
        .boxed()
}

fn expr(bound: Vec<String>) -> BoxedStrategy<Expr> {
    let leaf = comparison(bound).prop_map(Expr::Comparison).boxed();
    let primary = leaf.clone().prop_recursive(4, 24, 4, move |inner| {
        let conjunction = prop_oneof![
            inner.clone(),
            vec(inner.clone(), 2..4).prop_map(Expr::And),
            vec(prop_oneof![inner.clone(), vec(inner.clone(), 2..3).prop_map(Expr::And)], 2..4).prop_map(Expr::Or),
        ];
        conjunction.prop_map(|it| Expr::Group(Box::new(it), Span::default()))
    });
    let conjunction = prop_oneof![primary.clone(), vec(primary, 2..5).prop_map(Expr::And)];
    prop_oneof![2 => conjunction.clone(), 1 => vec(conjunction, 2..4).prop_map(Expr::Or)].boxed()
}

fn comparison(bound: Vec<String>) -> BoxedStrategy<Comparison> {
    let one = |operators: Vec<Operator>, value: BoxedStrategy<Value>| {
        (select(operators), value.prop_map(|it| vec![it])).boxed()
    };
    let constant = |texts: Vec<&'static str>| {
        let value = (select(texts), any::<bool>()).prop_map(|(text, quoted)| Value {
            pieces: vec![Piece::Text(text.into())].into(),
            quoted,
            span: Span::default(),
        });
        value.boxed()
    };
    let text = constant(vec!["tom", "a/b", "*", "x\\\"", "é [b]"]).prop_map(|mut it| {
        it.quoted = it.quoted || it.constant().is_some_and(|it| it.contains([' ', '\\']));
        it
    });
    let ordered = constant(vec!["8", "500MB", "15m", "2026-01-31", "08:30", "10Gbps"]);
    let realms = constant(vec!["job::/", "job::/sandbox/tom::*", "route::/http/com"]);
    let networks = constant(vec!["10.0.0.0/8", "192.0.2.7"]);
    let right = prop_oneof![
        3 => one(vec![Operator::Equal, Operator::Equals, Operator::NotEqual], value(bound.clone())),
        1 => one(vec![Operator::BeginsWith, Operator::EndsWith, Operator::Contains, Operator::Matches], text.boxed()),
        1 => one(vec![Operator::FqnMatch], realms),
        1 => one(vec![Operator::InCidr], networks),
        1 => one(vec![Operator::Less, Operator::LessOrEqual, Operator::Greater, Operator::GreaterOrEqual], ordered),
        1 => (Just(Operator::In), vec(value(bound), 1..6)).boxed(),
    ];
    let issuer = select(vec!["auth_server@apcera.me", "Google", "x-"]);
    let claim_type = select(vec!["name", "role", "permit", "time.hour", "not", "in", "é"]);
    (option::of(issuer), claim_type, right)
        .prop_map(|(issuer, claim_type, (operator, values))| {
            // What rules assert can be asked for, and not be ordered or denied; `not x` reads as a negation.
            let needs_issuer = matches!(claim_type, "not")
                || claim_type != "time.hour"
                    && matches!(
                        operator,
                        Operator::NotEqual
                            | Operator::Less
                            | Operator::LessOrEqual
                            | Operator::Greater
                            | Operator::GreaterOrEqual
                    );
            Comparison {
                issuer: issuer.or(needs_issuer.then_some("LDAP")).map(name),
                claim_type: name(claim_type),
                operator,
                operator_span: Span::default(),
                values: values.into(),
                span: Span::default(),
            }
        })
        .boxed()
}
