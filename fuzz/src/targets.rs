//! The bodies of the fuzz targets: each takes bytes and panics where a promise is broken.

use gatehouse::{
    compile::{Finding, PolicySet, System, compile_parsed},
    diagnostic::{
        Diagnostic, of_source_error,
        printable::is_hidden,
        render::{self, Color},
    },
    editor,
    eval::{Decision, Request, could, decide as evaluate, denial},
    format::{Refusal, format as in_canonical_form, print, without_layout},
    limits::DIAGNOSTICS_SHOWN_MAX,
    lint::lint as look_through,
    source::{Source, Span},
    syntax::{Parse, parse as read, token_spans},
};

use crate::{
    agreement::{agree, agree_on_verdict, compiled},
    world::World,
};

/// Tokens tile the text.
pub fn lex(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let mut at = 0;
    for span in token_spans(&text) {
        assert!(span.start == at && !span.is_empty() && text.is_char_boundary(span.end), "{span:?} behind {at}");
        at = span.end;
    }
    assert_eq!(at, text.len(), "text behind the last token");
}

/// A document is read in one way, places lie in it, and what a fix leaves can be read again.
pub fn parse(data: &[u8]) {
    let (source, parse) = document("fuzz.pol", data);
    check_diagnostics(&source, &parse.diagnostics);
    assert!(parse.diagnostics.len() <= DIAGNOSTICS_SHOWN_MAX);
    assert!(parse.diagnostics.is_sorted_by_key(|it| it.span.start), "not in source order");
    if parse.is_usable() {
        assert!(parse.comments.iter().all(|it| source.slice(*it).starts_with("//")), "{:?}", parse.comments);
        for policy in &parse.document.policies {
            let block = source.slice(policy.block.span);
            assert!(source.slice(policy.span).ends_with(block) && block.starts_with('{') && block.ends_with('}'));
        }
    }
    if data.len() == source.text().len() {
        assert_eq!(read(&source), parse, "read twice");
    }
    for edited in parse.diagnostics.iter().take(20).flat_map(|it| fixed(source.text(), it)) {
        document("fixed.pol", edited.as_bytes());
    }
}

/// The canonical form says the same and is its own canonical form; what is printed is read as what it was.
pub fn format(data: &[u8]) {
    let (source, parse) = document("fuzz.pol", data);
    if !parse.is_usable() {
        return;
    }
    match in_canonical_form(&source, &parse) {
        Ok(text) => {
            let (formatted, again) = document("formatted.pol", text.as_bytes());
            assert_eq!(without_layout(&again.document), without_layout(&parse.document));
            assert_eq!(in_canonical_form(&formatted, &again).as_deref(), Ok(text.as_str()), "formatted twice");
        }
        Err(refusal) => assert_eq!(refusal, Refusal::TooLarge),
    }
    let (_, again) = document("printed.pol", print(&parse.document).as_bytes());
    // What would begin a comment elsewhere is printed in quotes.
    assert_eq!(without_layout(&again.document), without_layout(&parse.document), "printed");
}

/// Whatever an editor asks at whatever place is answered by places of the document.
pub fn editor(data: &[u8]) {
    let (place, text) = data.split_at(data.len().min(2));
    let (source, parse) = document("fuzz.pol", text);
    let place = place.iter().fold(0, |sum, it| sum * 256 + usize::from(*it));
    let offset = (0..=place % (source.text().len() + 1)).rev().find(|it| source.text().is_char_boundary(*it)).unwrap();
    let documents = [(&source, &parse)];
    let words = editor::highlights(&source, &parse);
    assert!(words.is_sorted_by(|a, b| a.span.end <= b.span.start), "one word over another");
    let mut spans: Vec<Span> = words.iter().map(|it| it.span).collect();
    spans.extend(editor::complete(&documents, 0, offset).iter().map(|it| it.replaces));
    spans.extend(editor::hover(&documents, 0, offset).iter().map(|it| it.span));
    spans.extend(editor::definitions(&documents, 0, offset).iter().map(|it| it.span));
    spans.extend(editor::references(&documents, 0, offset, true).iter().map(|it| it.span));
    spans.extend(editor::folds(&source, &parse));
    spans.extend(editor::outline(&source, &parse).iter().map(|it| it.span));
    if let Ok(edits) = editor::rename(&documents, &[], (0, offset), "zz") {
        spans.extend(edits.iter().map(|(_, it)| it.span));
    }
    for span in spans {
        assert!(source.text().get(span.range()).is_some(), "{span:?} is outside");
    }
}

/// Reports are text that a terminal does not obey, with and without colours.
pub fn render(data: &[u8]) {
    // The first line is the name of the file: it is a stranger's too.
    let (name, text) = split(data, b'\n');
    let (source, parse) = document(&String::from_utf8_lossy(name), text);
    let plain = report(&source, &parse.diagnostics, Color::Plain);
    assert!(plain.chars().all(|it| it == '\n' || !is_hidden(it)), "{plain:?}");
    assert!(plain.lines().all(|it| it.trim_end() == it), "{plain:?}");
    let coloured = report(&source, &parse.diagnostics, Color::Ansi);
    assert_eq!(without_colours(&coloured), plain);
}

/// Lints look at any documents, read or not; a fix that is called safe leaves a set that compiles.
pub fn lint(data: &[u8]) {
    let documents: Vec<&[u8]> = data.split(|it| *it == 0).take(4).collect();
    let named = documents.iter().enumerate();
    let (sources, parsed): (Vec<Source>, Vec<Parse>) =
        named.map(|(at, bytes)| document(&format!("d{at}.pol"), bytes)).unzip();
    for system in [System::Included, System::LeftOut] {
        let findings = look_through(&sources, &parsed, system);
        assert_eq!(findings, look_through(&sources, &parsed, system), "looked through twice");
        for it in &findings {
            assert!(!it.diagnostic.is_error(), "{it:?}");
            check_diagnostics(&sources[it.source], std::slice::from_ref(&it.diagnostic));
        }
        if compile_parsed(&sources, &parsed, system).is_ok() {
            findings.iter().take(20).for_each(|it| check_fixes(&sources, it, system));
        }
    }
}

/// Both evaluators give one answer, and whatever asks beside them survives.
pub fn decide(data: &[u8]) {
    let world = World::from_bytes(data);
    let Some(request) = world.request() else { return };
    let Some((sources, set)) = compiled(&world.texts(), world.system) else { return };
    let decision = evaluate(&set, &request);
    let agreed = agree(&sources, &request, &decision).and_then(|()| agree_on_verdict(&set, &request, &decision));
    if let Err(difference) = agreed {
        panic!("{difference}");
    }
    check_decision(&set, &request, &decision);
}

/// Lines of requests as `apc policy decide` reads them, decided by a set that has something of everything.
#[cfg(feature = "platform")]
pub fn request(data: &[u8]) {
    use gatehouse::wire::decide::{DecideAnswer, DecideRequest, WhyAnswer};

    let Ok(text) = std::str::from_utf8(data) else { return };
    for line in text.lines().take(16) {
        let Ok(asked) = DecideRequest::parse(line) else { continue };
        let written = serde_json::to_string(&asked).unwrap();
        assert_eq!(DecideRequest::parse(&written).unwrap(), asked, "{written}");
        let request = match asked.into_request() {
            Ok(request) => request,
            Err(error) => {
                let message = error.to_string();
                assert!(!message.chars().any(is_hidden), "{message:?}");
                continue;
            }
        };
        let set = sample();
        let decision = evaluate(set, &request);
        check_decision(set, &request, &decision);
        let answer = serde_json::to_string(&DecideAnswer::from(&decision)).unwrap();
        let why = serde_json::to_string(&WhyAnswer::new(&request, &decision, &denial(set, &request))).unwrap();
        assert!(!answer.contains('\n') && !why.contains('\n'), "more than a line");
    }
}

/// Messages of an editor, a line each, between a good beginning and a good end: every one of them is survived.
#[cfg(feature = "platform")]
pub fn lsp(data: &[u8]) {
    const BEGINNING: [&str; 2] = [
        r#"{"jsonrpc":"2.0","method":"initialized","params":{}}"#,
        r#"{"jsonrpc":"2.0","method":"textDocument/didOpen","params":{"textDocument":{"uri":"untitled:a","languageId":"gatehouse","version":1,"text":"job::/a/[n] { if (role == \"x\") { permit ssh role x } }"}}}"#,
    ];
    const END: &str = r#"{"jsonrpc":"2.0","id":"end","method":"textDocument/hover","params":{"textDocument":{"uri":"untitled:b"},"position":{"line":0,"character":2}}}"#;
    let Ok(text) = std::str::from_utf8(data) else { return };
    // What is on disk is not asked for: a finding has to be one everywhere. Behind `exit` nobody answers, and only the last question is
    // called the end.
    let lines = text
        .lines()
        .take(32)
        .filter(|it| !it.contains("file:") && !it.contains("exit") && !it.contains("end") && !it.contains('\\'));
    let lines = lines.filter(|it| is_message(it));
    let messages: Vec<&str> = BEGINNING.into_iter().chain(lines).chain([END]).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let answers = runtime.block_on(conversation(&messages));
    let is_end = |it: &serde_json::Value| it["id"] == "end" && it.get("method").is_none();
    assert!(answers.iter().any(is_end), "the last question is not answered: {answers:?}");
    assert!(answers.iter().all(|it| it["jsonrpc"] == "2.0"), "{answers:?}");
}

/// Whether a line is a message. What is none ends the conversation: the library hangs up on whoever does not speak JSON-RPC, and
/// a key that stands there twice is enough for that.
#[cfg(feature = "platform")]
fn is_message(line: &str) -> bool {
    use serde_json::Value;

    #[derive(serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Message {
        jsonrpc: String,
        #[serde(default)]
        id: Option<Value>,
        #[serde(rename = "method")]
        _method: String,
        #[serde(default)]
        params: Option<Value>,
    }

    serde_json::from_str::<Message>(line).is_ok_and(|it| {
        it.jsonrpc == "2.0"
            && it.id.is_none_or(|it| it.is_string() || it.is_i64())
            && it.params.is_none_or(|it| it.is_object() || it.is_array())
    })
}

/// Everything that the server says to an editor that waits for the first answer and then for nothing.
#[cfg(feature = "platform")]
async fn conversation(messages: &[&str]) -> Vec<serde_json::Value> {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    const FIRST: &str = r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"capabilities":{}}}"#;
    let framed = |it: &str| ["Content-Length: ", &it.len().to_string(), "\r\n\r\n", it].concat();
    let (mut to_server, input) = duplex(64 * 1024);
    let (output, mut from_server) = duplex(64 * 1024);
    let editor = async {
        to_server.write_all(framed(FIRST).as_bytes()).await.unwrap();
        let mut said = Vec::new();
        while !said.ends_with(b"}") {
            from_server.read_buf(&mut said).await.unwrap();
        }
        let ask = async {
            for it in messages {
                // A server that has ended reads no more; that its last answer is missing tells.
                if to_server.write_all(framed(it).as_bytes()).await.is_err() {
                    break;
                }
            }
        };
        let listen = async {
            let is_last = |said: &[u8]| said.windows(10).any(|it| it == br#""id":"end""#);
            while !is_last(&said) && from_server.read_buf(&mut said).await.unwrap() > 0 {}
        };
        tokio::join!(ask, listen);
        // Whoever hangs up is owed nothing more.
        drop(to_server);
        from_server.read_to_end(&mut said).await.unwrap();
        String::from_utf8(said).unwrap()
    };
    let ((), said) = tokio::join!(gatehouse::lsp::serve_on(input, output), editor);
    let bodies = said.split("Content-Length: ").skip(1).map(|it| it.split_once("\r\n\r\n").unwrap().1);
    bodies.map(|it| serde_json::from_str(it).unwrap()).collect()
}

/// What is read of bytes; a report in its place where they are no text.
fn document(name: &str, bytes: &[u8]) -> (Source, Parse) {
    match Source::new(name, bytes.to_vec()) {
        Ok(source) => {
            let parse = read(&source);
            (source, parse)
        }
        Err(error) => {
            let (source, diagnostic) = of_source_error(name, error);
            (source.unwrap(), Parse { diagnostics: vec![diagnostic], ..Parse::default() })
        }
    }
}

fn check_diagnostics(source: &Source, diagnostics: &[Diagnostic]) {
    for diagnostic in diagnostics {
        let places = diagnostic.secondary.iter().map(|it| it.span);
        let edits = diagnostic.fixes.iter().flat_map(|it| &it.edits).map(|it| it.span);
        for span in places.chain(edits).chain([diagnostic.span]) {
            assert!(source.text().get(span.range()).is_some(), "a place outside: {diagnostic:?}");
        }
        for fix in &diagnostic.fixes {
            assert!(fix.edits.is_sorted_by(|a, b| a.span.end <= b.span.start), "edits overlap: {diagnostic:?}");
        }
        assert!(!diagnostic.message.is_empty() && !diagnostic.message.ends_with('.'), "{diagnostic:?}");
        assert!(diagnostic.message.len() < 1_000, "{diagnostic:?}");
    }
}

/// The text after each fix of a finding.
fn fixed(text: &str, diagnostic: &Diagnostic) -> Vec<String> {
    let apply = |edits: &[gatehouse::diagnostic::Edit]| {
        let mut after = text.to_owned();
        for edit in edits.iter().rev() {
            after.replace_range(edit.span.range(), &edit.text);
        }
        after
    };
    diagnostic.fixes.iter().map(|it| apply(&it.edits)).collect()
}

fn check_fixes(sources: &[Source], finding: &Finding, system: System) {
    for fix in finding.diagnostic.fixes.iter().filter(|it| it.safe) {
        let only = Diagnostic { fixes: vec![fix.clone()], ..finding.diagnostic.clone() };
        let mut after = sources.to_vec();
        for text in fixed(sources[finding.source].text(), &only) {
            after[finding.source] = Source::new(sources[finding.source].name(), text.into_bytes()).unwrap();
            let parsed: Vec<Parse> = after.iter().map(read).collect();
            let errors = compile_parsed(&after, &parsed, system).err();
            assert_eq!(errors, None, "after `{}` of {finding:?}", fix.title);
        }
    }
}

fn report(source: &Source, diagnostics: &[Diagnostic], color: Color) -> String {
    let mut out = Vec::new();
    render::write(&mut out, source, diagnostics, color).unwrap();
    String::from_utf8(out).unwrap()
}

/// Without `ESC [ ... m`; whatever else is there stays.
fn without_colours(text: &str) -> String {
    let mut parts = text.split("\u{1b}[");
    let first = parts.next().unwrap_or_default().to_owned();
    let plain = parts.fold(first, |mut plain, part| {
        let end = part.find(|it: char| !it.is_ascii_digit() && it != ';').unwrap_or(part.len());
        plain.push_str(part[end..].strip_prefix('m').unwrap_or(&part[end..]));
        plain
    });
    let lines: Vec<&str> = plain.split('\n').map(str::trim_end).collect();
    lines.join("\n")
}

fn split(data: &[u8], at: u8) -> (&[u8], &[u8]) {
    let end = data.iter().position(|it| *it == at).unwrap_or(data.len());
    (&data[..end], data.get(end + 1..).unwrap_or_default())
}

/// What holds of every decision, and of the questions that are put beside it.
fn check_decision(set: &PolicySet, request: &Request, decision: &Decision) {
    assert_eq!(decision, &evaluate(set, request), "decided twice");
    if decision.is_allowed() {
        assert!(decision.missing().is_empty() && decision.refusals().is_empty() && !decision.because().is_empty());
        assert!(could(set, request, &[]), "allowed, and not even possible");
    } else {
        assert!(decision.because().is_empty(), "a reason for a denial");
    }
    assert!(decision.claims().is_sorted(), "claims are sorted");
    for miss in denial(set, request).nearest {
        assert!(miss.conditions.iter().filter(|it| !it.held).count() >= miss.unmet.min(1), "{miss:?}");
    }
}

#[cfg(feature = "platform")]
fn sample() -> &'static PolicySet {
    static SET: std::sync::LazyLock<PolicySet> = std::sync::LazyLock::new(|| {
        let text = r#"
            job::/sandbox/[name] { if (auth_server@apcera.me->name == "[name]") { role admin label "[name]" } }
            job::/ { if (command matches "pg_dump *" || time.hour < 8) { permit exec } { ssh.require mfa } }
            job::/prod::[app] {
              if (approval->by != "" && approvals.count >= 2) { permit ssh ssh.idleTimeout "15m" }
              if (job fqnMatch "job::/prod::[app]" && client.address inCidr "10.0.0.0/8") { permit link }
            }
            auth::/ { if (Google->email endsWith "@a.com") { name Google->email permit issue } }
            quota::/ { { total.memory 2GB max.instances 3 } }
            package::/ { if (LDAP->group contains "x") { package.allow "package::/x" docker.allow "nginx" } }
        "#;
        compile(text)
    });
    &SET
}

#[cfg(feature = "platform")]
fn compile(text: &str) -> PolicySet {
    let source = Source::new("sample.pol", text.into()).unwrap();
    gatehouse::compile::compile(&[source], System::Included).unwrap()
}
