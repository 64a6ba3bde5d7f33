//! What a test says, all levels together, to a request and what is expected of it.

use crate::{
    diagnostic::{Code, Diagnostic, printable::short},
    eval::{BadRequest, Request},
    source::Span,
    suite::Test,
    wire::{decide::parse_now, suite::fields::Fields, table::Reader},
};

/// The test, unless something is wrong with it; then that is told.
pub(super) fn test(
    reader: &mut Reader,
    name: Option<String>,
    span: Span,
    place: Span,
    fields: &Fields,
) -> Option<Test> {
    let name = needed(reader, place, "name", name.filter(|it| !it.trim().is_empty()));
    let target = needed(reader, span, "target", fields.target.as_ref());
    let want = needed(reader, span, "want", fields.want.as_ref());
    expectations(reader, span, fields);
    let now = match &fields.now {
        None => None,
        Some((text, at)) => {
            let now = parse_now(text);
            if now.is_none() {
                let message = format!("`{}` is no RFC 3339 time with an offset", short(text));
                let help = "such as `2026-11-25T03:00:00+01:00`".to_owned();
                reader.push(Code::TestBadValue, *at, message, "not a time", Some(help));
                return None;
            }
            now
        }
    };
    let ((target, target_span), (want, want_span)) = (target?, want?);
    match Request::new(target, fields.facts(), want.clone(), now) {
        Ok(request) => Some(Test { name: name?, span, want: *want_span, request, expected: fields.expected.clone() }),
        Err(error) => {
            let at = locate(&error, fields, *target_span, *want_span);
            // Where the claims were no claims, that is the mistake, and it was told.
            let told = |it: &Diagnostic| it.span.start >= at.start && it.span.end <= at.end;
            if error == BadRequest::EmptyWant && reader.found.iter().any(told) {
                return None;
            }
            let message = format!("this request is never decided: {error}");
            reader.push(Code::TestBadRequest, at, message, "because of this", None);
            None
        }
    }
}

fn needed<T>(reader: &mut Reader, span: Span, key: &str, value: Option<T>) -> Option<T> {
    if value.is_none() {
        let message = format!("a test needs `{key}`");
        let help =
            if key == "name" { "name it for the fact that it proves" } else { "write it here, or in `[defaults]`" };
        reader.push(Code::TestIncomplete, span, message, format!("without `{key}`"), Some(help.to_owned()));
    }
    value
}

fn expectations(reader: &mut Reader, span: Span, fields: &Fields) {
    if fields.expected.is_anything() {
        let help =
            "say what must come of it: `allow`, `missing`, `refused`, `rules`, `claims` or `effective`".to_owned();
        reader.push(Code::TestCannotFail, span, "a test that expects nothing cannot fail", "holds always", Some(help));
    }
    if let Some(contradiction) = fields.expected.contradiction() {
        reader.push(Code::TestCannotPass, span, contradiction.to_string(), "holds never", None);
    }
}

/// The text that a request is refused for.
fn locate(error: &BadRequest, fields: &Fields, target: Span, want: Span) -> Span {
    let of = |fits: &dyn Fn(&str, &str, &[String]) -> bool| {
        fields.facts.iter().find(|((issuer, name), (values, _))| fits(issuer, name, values)).map(|(_, (_, at))| *at)
    };
    match error {
        BadRequest::Target(_) => target,
        BadRequest::EmptyWant | BadRequest::TooManyWants(_) | BadRequest::EmptyType => want,
        BadRequest::NotNfc(text) | BadRequest::ControlCharacter(text) => {
            of(&|issuer, name, values| issuer == text || name == text || values.contains(text)).unwrap_or(want)
        }
        BadRequest::NotContext(text) | BadRequest::TimeTwice(text) => {
            of(&|issuer, name, _| issuer.is_empty() && name == text).unwrap_or(target)
        }
        BadRequest::SeveralValues(text) => of(&|issuer, name, _| {
            name == text && issuer.is_empty()
                || text.strip_prefix(issuer).is_some_and(|it| it.strip_prefix("->") == Some(name))
        })
        .unwrap_or(target),
        BadRequest::BadContext { claim_type, .. } => {
            of(&|issuer, name, _| issuer.is_empty() && name == claim_type).unwrap_or(target)
        }
        BadRequest::BadNow => fields.now.as_ref().map_or(target, |(_, at)| *at),
        BadRequest::TooManyFacts(_) | BadRequest::FactsTooLarge(_) => of(&|_, _, _| true).unwrap_or(target),
    }
}
