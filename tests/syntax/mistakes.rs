//! One run tells every mistake, each once and on its own line.

use gatehouse::{
    diagnostic::Code,
    source::Source,
    syntax::{Parse, parse},
};

fn read(text: &str) -> (Source, Parse) {
    let source = Source::new("case.pol", text.into()).unwrap();
    let parse = parse(&source);
    (source, parse)
}

fn codes(text: &str) -> Vec<Code> {
    read(text).1.diagnostics.iter().map(|it| it.code).collect()
}

/// Each line has one mistake of its own kind and is otherwise a policy.
const MISTAKES: &[(&str, Code)] = &[
    ("jobs::/a { if (role == admin) { permit read } }", Code::UnknownResourceType),
    ("job::/b { if (role = admin) { permit read } }", Code::MisspelledOperator),
    ("job::/c { if (role == admin) { permit read create update } }", Code::ForgottenComma),
    ("job::/d { if (role == admin) { permit } }", Code::MissingValue),
    ("job::/e { if (role == “admin”) { permit read } }", Code::TypographicQuotes),
    ("job::/f { if (role == admin { permit read } }", Code::UnexpectedToken),
    ("job::/g { if role == admin) { permit read } }", Code::UnexpectedToken),
    ("job::/h { if (!role == admin) { permit read } }", Code::Negation),
    ("job::/i { if (role == admin) { permit read } else { permit create } }", Code::Else),
    ("job::/j { if (role == admin) { role Google->role } }", Code::NotConstant),
    ("job::/k { if (client.address inCidr \"10.0.0.1/8\") { permit read } }", Code::NotANetwork),
    ("job::/l { if (Google->x == \"[user]\") { permit read } }", Code::UnboundVariable),
    ("job::/m { if (job fqnMatch \"sandbox\") { permit read } }", Code::NotARealm),
    ("job::/n { if (role == 'admin') { permit read } }", Code::SingleQuotes),
    ("job::/o { if (role == admin) { permit read; } }", Code::Semicolon),
    ("job::/p { permit read } # comment", Code::ForeignComment),
    ("job::/q//r { if (role == admin) { permit read } }", Code::SlashesAfterWord),
    ("job::/s { if (role == admin) { permit read }", Code::UnclosedBrace),
    ("job::/t { if (role == \"admin) { permit read } }", Code::UnterminatedString),
    ("job::/<USER> { if (role == admin) { permit read } }", Code::Placeholder),
    ("job::/u { if (role startsWith adm) { permit read } }", Code::UnknownOperator),
    ("job::/v { if (role != admin) { permit read } }", Code::NotMonotone),
    ("job::/w { if (role == admin) { permit read, } }", Code::MissingValue),
    ("job::/x { if (role) { permit read } }", Code::IncompleteComparison),
    ("job::/y { if (role == admin and role == user) { permit read } }", Code::MisspelledOperator),
    ("job::/z if (role == admin) { permit read } }", Code::UnexpectedToken),
    ("job::/aa { if (role == admin) permit read } }", Code::UnexpectedToken),
    ("job::/bb { if (role == admin)) { permit read } }", Code::UnexpectedToken),
    ("job::/cc { if (role == admin) { permit read } } }", Code::UnmatchedBrace),
    ("job::/dd { if (time.hour < 09) { permit read } }", Code::NotOrdered),
    ("job::/ee { if (Google->x beginsWith \"\") { permit read } }", Code::EmptyAffix),
    ("job::/../ff { if (role == admin) { permit read } }", Code::DotSegment),
    ("job::/*/gg { if (role == admin) { permit read } }", Code::MisplacedStar),
    ("job::/h h { if (role == admin) { permit read } }", Code::BlankInRealm),
    ("job::/ii { permit read \"create\" }", Code::ForgottenComma),
    ("job::/jj { Google->role admin }", Code::ForeignIssuer),
    ("\"job::/kk\" { permit read }", Code::MalformedRealm),
    ("job::/ll { if (->name == \"x\") { permit read } }", Code::MissingIssuer),
    ("job::/mm { label \"a\\n\" }", Code::UnknownEscape),
    ("job::/[nn] { label job::/[nn]/y }", Code::MustBeQuoted),
    ("job:/oo { permit read }", Code::MalformedRealm),
    ("job::/pp { if (name == if) { permit read } }", Code::ReservedWord),
    ("job::/qq { label http://x }", Code::SlashesAfterWord),
    ("job::/rr { /* hm, \"don't */ permit read }", Code::ForeignComment),
    ("job::/ss { if () { permit read } }", Code::IncompleteComparison),
    ("job::/tt { If (role == admin) { permit read } }", Code::UnexpectedToken),
    ("job::/uu { if (role == admin) { permit read }} }", Code::UnmatchedBrace),
    ("job::/vv { if (role == admin) then { permit read } }", Code::UnexpectedToken),
    ("job::/ww { permit: read }", Code::BadName),
    ("job::/xx { permit = read }", Code::UnexpectedToken),
    ("job::/yy { permit (read, create) }", Code::MissingValue),
    ("job::/zz { if (name in (a b)) { permit read } }", Code::ForgottenComma),
    ("job::/ab { permit \"read, \"create\" }", Code::UnterminatedString),
    ("job::/ac { if (name == \"tom” ) { permit read } }", Code::TypographicQuotes),
    ("job::/ad { if (name == tom || ) { permit read } }", Code::UnexpectedToken),
    ("job::/ae { if (name == tom) { permit read } elseif (name == b) { permit read } }", Code::Else),
    ("job::/af { if (name == Google->x) { permit read } }", Code::UnexpectedToken),
    ("job::/ag { job::/ah { permit read } }", Code::UnclosedBrace),
    ("job::/ak, job::/al { permit read }", Code::UnexpectedToken),
    ("job::/am { if (Google->x matches \"a\\\\\") { permit read } }", Code::BadPattern),
    ("job::/an { if not (name == tom) { permit read } }", Code::Negation),
    ("job::/ap { if (name == \"tom\" name == \"x\") { permit read } }", Code::UnexpectedToken),
    ("job::/[x]/[y] { if (name == \"[x][y]\") { permit read } }", Code::VariableNotAllowed),
    ("job::/[x]/a { if (auth.age < \"[x]\") { permit read } }", Code::VariableNotAllowed),
    ("job::/as { create, read }", Code::ForgottenComma),
    ("job::/av { if (name == tom) { permit read, , create } }", Code::MissingValue),
    ("job::/aw { if (name == tom) { permit $USER } }", Code::Placeholder),
    ("job::/ay { if (name == tom) { on x } }", Code::UnexpectedToken),
    ("job::／ba { permit read }", Code::UnexpectedCharacter),
    ("job::/bb { permit\u{a0}read }", Code::UnusualSpace),
    ("job::/bc { per\u{200b}mit read }", Code::InvisibleCharacter),
    ("job::/bd { label \"a\u{202e}b\" }", Code::BidiControl),
    ("job::/be { label \"a\u{1}b\" }", Code::ControlCharacter),
    ("job::/bf { label \"e\u{301}\" }", Code::NotNfc),
    ("job::/bg { label \"a\rb\" }", Code::ControlCharacter),
    ("job::/bh { permit read }\r// bi", Code::LoneCarriageReturn),
    ("<continuum-policy description=\"late\">", Code::BadHeader),
    ("job::/bj /bk { permit read }", Code::BlankInRealm),
    ("job::/bl[x] { permit read }", Code::BadSegment),
    ("job::/bm { permit read } // \u{2066}", Code::BidiControl),
];

#[test]
fn each_mistake_alone_is_one_diagnostic() {
    for (line, code) in MISTAKES {
        // A header is late only behind a policy.
        let text = format!("job::/first {{ permit read }}\n{line}\n");
        assert_eq!(codes(&text), [*code], "{line}");
    }
}

#[test]
fn all_mistakes_together_are_as_many_diagnostics_each_on_its_line() {
    let text: String = std::iter::once("job::/first { permit read }").chain(MISTAKES.iter().map(|it| it.0)).fold(
        String::new(),
        |mut text, line| {
            text.extend([line, "\n"]);
            text
        },
    );
    let (source, parse) = read(&text);
    let found: Vec<(usize, Code)> =
        parse.diagnostics.iter().map(|it| (source.location(it.span.start).line, it.code)).collect();
    let wanted: Vec<(usize, Code)> = MISTAKES.iter().zip(2..).map(|((_, code), line)| (line, *code)).collect();
    assert_eq!(found, wanted);
    assert_eq!(parse.hidden, 0);
}

#[test]
fn every_fix_of_a_single_mistake_mends_it() {
    let mut mended = 0;
    for (line, code) in MISTAKES {
        let text = format!("job::/first {{ permit read }}\n{line}\n");
        let (_, parse) = read(&text);
        for fix in parse.diagnostics.iter().flat_map(|it| &it.fixes) {
            let mut after = text.clone();
            for edit in fix.edits.iter().rev() {
                after.replace_range(edit.span.range(), &edit.text);
            }
            // Taking out the quotes of a realm in quotes and the like must leave a document without mistakes.
            assert_eq!(codes(&after), [], "{code}: {line}\n{after}");
            mended += 1;
        }
    }
    assert!(mended > 40, "{mended}");
}

#[test]
fn a_missing_brace_is_told_where_the_lines_show_it() {
    let inner = "job::/a {\n  if (role == x) {\n    permit read\n\n  if (role == y) { permit create }\n}\n\njob::/b { permit read }\n";
    let (source, parse) = read(inner);
    assert_eq!(codes(inner), [Code::UnclosedBrace]);
    // Where it belongs, and beside that what is open.
    assert_eq!(source.location(parse.diagnostics[0].span.start).line, 3);
    assert_eq!(source.location(parse.diagnostics[0].secondary[0].span.start).line, 2);
    assert_eq!(parse.document.policies.len(), 2);
}

#[test]
fn a_missing_brace_hides_no_other_mistake() {
    let text =
        "job::/a {\n  if (role == x) { permit read\n}\njobs::/b { permit read }\njob::/c { permit read create }\n";
    assert_eq!(codes(text), [Code::UnclosedBrace, Code::UnknownResourceType, Code::ForgottenComma]);
}

#[test]
fn a_brace_too_many_within_a_policy_is_one_mistake() {
    let text = "job::/a {\n  if (role == x) { permit read }\n  }\n  if (role == y) { permit create }\n}\njob::/b { permit read }\n";
    assert_eq!(codes(text), [Code::UnmatchedBrace]);
}

#[test]
fn braces_of_c_are_one_mistake() {
    let text = "job::/a {\n  if (role == x)\n    permit read\n  permit create\n}\njob::/b { permit read }\n";
    assert_eq!(codes(text), [Code::UnexpectedToken]);
}

#[test]
fn a_policy_within_a_policy_is_one_mistake() {
    let text = "job::/a {\n  job::/a/b {\n    permit read\n  }\n}\njob::/b { permit read }\n";
    assert_eq!(codes(text), [Code::UnclosedBrace]);
}

#[test]
fn rules_without_a_realm_are_one_mistake_however_many() {
    let text = "if (role == a) { permit read }\nif (role == b) { permit read }\n";
    assert_eq!(codes(text), [Code::MissingRealm]);
    assert!(read(text).1.diagnostics[0].message.contains("no realm"));
}

#[test]
fn a_comma_before_the_next_claim_is_the_mistake() {
    assert_eq!(codes("job::/a {\n  permit read,\n  role admin\n}"), [Code::MissingValue]);
    assert_eq!(codes("job::/a {\n  permit read,\n  if (a == b) { permit create }\n}"), [Code::MissingValue]);
    // What the grammar reads is no mistake, odd as it looks.
    assert_eq!(codes("job::/a {\n  label read,\n  role\n}"), []);
}

#[test]
fn an_unbound_variable_is_told_once_for_a_policy() {
    let text = "job::/[name] { if (Google->x == \"[nmae]\") { label \"[nmae]\" } }\njob::/[a] { label \"[b]\" }";
    assert_eq!(codes(text), [Code::UnboundVariable, Code::UnboundVariable]);
}
