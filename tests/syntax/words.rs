//! What is and what is not part of the language, by small documents.

use gatehouse::{
    source::Source,
    syntax::{
        ast::{Asserted, Expr, Item, Local, Operator, Piece, Policy},
        parse,
    },
};

fn policies(text: &str) -> Vec<Policy> {
    let source = Source::new("case.pol", text.into()).unwrap();
    let parse = parse(&source);
    assert_eq!(parse.diagnostics, [], "{text}");
    parse.document.policies
}

/// The values of the claim in a policy `job::/[n] { label ... }`.
fn values(text: &str) -> Vec<String> {
    let policies = policies(&format!("job::/[n] {{ label {text} }}"));
    let Item::Claim(claim) = &policies[0].block.items[0] else { panic!("{text}") };
    let show = |piece: &Piece| match piece {
        Piece::Text(text) => text.to_string(),
        Piece::Variable(name) => format!("<{}>", name.text),
    };
    let value = |asserted: &Asserted| match asserted {
        Asserted::Value(value) => value.pieces.iter().map(show).collect(),
        Asserted::Reference { issuer, claim_type, .. } => format!("{}->{}", issuer.text, claim_type.text),
    };
    claim.asserted.iter().map(value).collect()
}

#[test]
fn strings_have_three_escapes_and_variables() {
    assert_eq!(values(r#""a \" \\ \[n] [n] [no one] ] [""#), [r#"a " \ [n] <n> [no one] ] ["#]);
    assert_eq!(values("\"\""), [""]);
    assert_eq!(values("\"tab\there\""), ["tab\there"]);
    assert_eq!(values("\"it's “quoted” // and # and /* \""), ["it's “quoted” // and # and /* "]);
}

#[test]
fn words_end_before_an_arrow() {
    assert_eq!(values("Google->email"), ["Google->email"]);
    assert_eq!(values("a-b->c-d"), ["a-b->c-d"]);
    assert_eq!(values("auth_server@apcera.me->name, x"), ["auth_server@apcera.me->name", "x"]);
    assert_eq!(values("a-"), ["a-"]);
}

#[test]
fn stars_slashes_and_colons_are_parts_of_words() {
    assert_eq!(
        values("*, /*, a/b, job::/x, 10Mbps, é, 007, क्षि"),
        ["*", "/*", "a/b", "job::/x", "10Mbps", "é", "007", "क्षि"]
    );
}

#[test]
fn only_on_and_if_are_reserved() {
    assert_eq!(
        values("name, role, permit, job, true, else, in, equals, not"),
        ["name", "role", "permit", "job", "true", "else", "in", "equals", "not"]
    );
    assert_eq!(values("\"on\", \"if\""), ["on", "if"]);
    assert_eq!(policies("job::/ { else x in y equals z not a }")[0].block.items.len(), 4);
    assert_eq!(policies("job::/ { if (in in (in, equals) && not == x) { permit read } }").len(), 1);
}

#[test]
fn white_space_is_free_and_comments_stand_anywhere() {
    let spread = "on\njob::/a // x\n{\r\n\tif\n(// y\na\n==\n\"b\")\n{permit\nread\n,\ncreate}}// z";
    let tight = "on job::/a{if(a==\"b\"){permit read,create}}";
    let shape = |text| policies(text)[0].block.items.len();
    assert_eq!(shape(spread), shape(tight));
}

#[test]
fn each_operator_is_read() {
    let cases = [
        ("a == b", Operator::Equal),
        ("a equals b", Operator::Equals),
        ("a beginsWith b", Operator::BeginsWith),
        ("a endsWith b", Operator::EndsWith),
        ("a fqnMatch job::/b", Operator::FqnMatch),
        ("I->a != b", Operator::NotEqual),
        ("a contains b", Operator::Contains),
        ("a matches b", Operator::Matches),
        ("a inCidr 10.0.0.0/8", Operator::InCidr),
        ("time.hour<5", Operator::Less),
        ("time.hour <= 5", Operator::LessOrEqual),
        ("time.hour > 5", Operator::Greater),
        ("time.clock>=\"08:00\"", Operator::GreaterOrEqual),
        ("a in (b, \"c\")", Operator::In),
    ];
    for (text, operator) in cases {
        let policies = policies(&format!("job::/ {{ if ({text}) {{ permit read }} }}"));
        let Item::Rule(rule) = &policies[0].block.items[0] else { panic!("{text}") };
        let Expr::Comparison(comparison) = &rule.condition else { panic!("{text}") };
        assert_eq!(comparison.operator, operator);
    }
}

#[test]
fn and_binds_tighter_than_or() {
    let policies = policies("job::/ { if (a == 1 || b == 2 && c == 3) { permit read } }");
    let Item::Rule(rule) = &policies[0].block.items[0] else { panic!() };
    let Expr::Or(parts) = &rule.condition else { panic!() };
    assert!(matches!(parts.as_slice(), [Expr::Comparison(_), Expr::And(both)] if both.len() == 2));
}

#[test]
fn realms_have_their_shapes() {
    let policies =
        policies("job::/ {} on job::/a/ {} job::/a:: {} job::/a::* {} job::/[n]::b/[m] {} route::/http/com {}");
    let locals: Vec<bool> = policies.iter().map(|it| it.realm.local == Local::Below).collect();
    assert_eq!(locals, [true, true, false, false, false, true]);
    assert!(policies[1].realm.trailing_slash && policies[1].on.is_some());
}

#[test]
fn a_header_is_kept_byte_for_byte() {
    let header = "<continuum-policy description=\"é, it's; #1 // x\">";
    let source = Source::new("case.pol", format!("// first\n{header}\njob::/ {{}}").into_bytes()).unwrap();
    let parse = parse(&source);
    assert_eq!(parse.diagnostics, []);
    assert_eq!(parse.document.header.unwrap().text, header);
}

#[test]
fn a_byte_order_mark_is_dropped_with_a_warning() {
    let source = Source::new("case.pol", "\u{feff}job::/ { permit read }".into()).unwrap();
    let parse = parse(&source);
    assert!(parse.is_usable() && parse.diagnostics.len() == 1);
    assert_eq!(parse.document.policies.len(), 1);
}

#[test]
fn spans_are_those_of_the_text() {
    let text = "on job::/é/[n]::w { if (I->a == \"x[n]\") { permit read } }";
    let source = Source::new("case.pol", text.into()).unwrap();
    let policy = &parse(&source).document.policies[0];
    assert_eq!(source.slice(policy.span), text);
    assert_eq!(source.slice(policy.realm.span), "job::/é/[n]::w");
    assert_eq!(source.slice(policy.realm.namespace[1].span()), "[n]");
    let Item::Rule(rule) = &policy.block.items[0] else { panic!() };
    assert_eq!(source.slice(rule.condition.span()), "I->a == \"x[n]\"");
    let Expr::Comparison(comparison) = &rule.condition else { panic!() };
    let Piece::Variable(name) = &comparison.values[0].pieces[1] else { panic!() };
    assert_eq!(source.slice(name.span), "[n]");
    let Item::Claim(claim) = &rule.block.items[0] else { panic!() };
    assert_eq!(source.slice(claim.span), "permit read");
}
