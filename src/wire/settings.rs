//! A site's settings, `.gatehouse.toml`: TOML to [`Settings`], every mistake told on the text that it is in.

use toml::de::DeTable;

use crate::{
    diagnostic::{Code, Diagnostic, Severity, printable::short},
    lint::{Level, Settings},
    source::{Source, Span},
    syntax::{literal::Literal, suggest::closest},
    wire::table::{Codes, Reader, read, span},
};

/// What a file of settings is called.
pub const FILE: &str = ".gatehouse.toml";

/// Reads a file of settings; with a mistake anywhere there are none, and all mistakes are told.
///
/// ```
/// use gatehouse::{
///     diagnostic::Code,
///     lint::Level,
///     source::Source,
///     wire::settings::parse,
/// };
///
/// let text = r#"
/// [lint.levels]
/// unknown-permit = "off"
/// [lint.long-token-timeout]
/// max = "12h"
/// [lint.unknown-issuer]
/// issuers = ["LDAP", "Google"]
/// "#;
/// let settings = parse(&Source::new(".gatehouse.toml", text.as_bytes().to_vec())?).unwrap();
/// assert_eq!(settings.level(Code::UnknownPermit), Level::Off);
/// assert_eq!(settings.token_timeout_seconds_max, 43_200);
/// # Ok::<(), gatehouse::source::SourceError>(())
/// ```
pub fn parse(source: &Source) -> Result<Settings, Vec<Diagnostic>> {
    let codes = Codes { syntax: Code::SettingsSyntax, unknown_key: Code::UnknownSetting, bad_value: Code::BadSetting };
    let (document, mut reader) = read(source, codes)?;
    let mut settings = Settings::default();
    let root = document.get_ref();
    reader.known_keys(root, &["lint"], "a file of settings");
    if let Some(lint) = table(&mut reader, root, "lint") {
        reader.known_keys(lint, &["levels", "long-token-timeout", "unknown-issuer"], "`lint`");
        if let Some(levels) = table(&mut reader, lint, "levels") {
            add_levels(&mut settings, &mut reader, levels);
        }
        if let Some(timeout) = table(&mut reader, lint, "long-token-timeout") {
            add_timeout(&mut settings, &mut reader, timeout);
        }
        if let Some(issuer) = table(&mut reader, lint, "unknown-issuer") {
            reader.known_keys(issuer, &["issuers"], "`unknown-issuer`");
            let issuers = issuer.get("issuers").map(|it| reader.texts(it, "issuers"));
            settings.issuers = issuers.map(|it| it.into_iter().map(|(issuer, _)| issuer).collect());
        }
    }
    let mut found = reader.found;
    found.sort_by_key(|it| it.span);
    if found.is_empty() { Ok(settings) } else { Err(found) }
}

fn table<'v, 'i>(reader: &mut Reader, within: &'v DeTable<'i>, key: &str) -> Option<&'v DeTable<'i>> {
    within.get(key).and_then(|it| reader.table(it, key))
}

fn add_levels(settings: &mut Settings, reader: &mut Reader, levels: &DeTable<'_>) {
    for (rule, value) in levels {
        let (name, place) = (rule.get_ref().as_ref(), Span::new(rule.span().start, rule.span().end));
        let Some(code) = code_called(name) else {
            let help = match closest(name, Code::ALL.iter().filter(|it| it.is_lint()).map(|it| it.name())) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "`apc policy explain` lists all codes and names".to_owned(),
            };
            reader.push(
                Code::UnknownSetting,
                place,
                format!("no lint is called `{}`", short(name)),
                "this",
                Some(help),
            );
            continue;
        };
        let Some(text) = reader.text(value, name) else { continue };
        let level = match text.as_str() {
            "off" => Level::Off,
            "note" => Level::Told(Severity::Note),
            "warning" => Level::Told(Severity::Warning),
            "error" => Level::Told(Severity::Error),
            other => {
                let message = format!("`{}` is no level", short(other));
                let help = "a level is `off`, `note`, `warning` or `error`".to_owned();
                reader.push(Code::BadSetting, span(value), message, "not a level", Some(help));
                continue;
            }
        };
        if let Err(refusal) = settings.set_level(code, level) {
            reader.push(Code::BadSetting, place, refusal.to_string(), "has no level", None);
        }
    }
}

fn code_called(name: &str) -> Option<Code> {
    Code::ALL.iter().copied().find(|it| it.code() == name || it.name() == name)
}

fn add_timeout(settings: &mut Settings, reader: &mut Reader, table: &DeTable<'_>) {
    reader.known_keys(table, &["max"], "`long-token-timeout`");
    let Some(value) = table.get("max") else { return };
    let Some(text) = reader.text(value, "max") else { return };
    match Literal::parse(&text) {
        Ok(Literal::Duration(seconds)) => settings.token_timeout_seconds_max = seconds,
        Ok(_) | Err(_) => {
            let message = format!("`{}` is no duration", short(&text));
            let help = "a duration is a number and a unit, such as `12h`".to_owned();
            reader.push(Code::BadSetting, span(value), message, "not a duration", Some(help));
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::{diagnostic::Code, source::Source, wire::settings::parse};

    fn found(text: &str) -> Vec<(Code, String)> {
        let source = Source::new(".gatehouse.toml", text.as_bytes().to_vec()).unwrap();
        let found = parse(&source).err().unwrap_or_default();
        found.into_iter().map(|it| (it.code, source.slice(it.span).to_owned())).collect()
    }

    #[test]
    fn each_mistake_is_told_where_it_is() {
        for (text, code, place) in [
            ("[lint", Code::SettingsSyntax, ""),
            ("[lnit]", Code::UnknownSetting, "lnit"),
            ("lint = 1", Code::BadSetting, "1"),
            ("[lint.levls]", Code::UnknownSetting, "levls"),
            ("[lint.levels]\nunknown-prmit = \"off\"", Code::UnknownSetting, "unknown-prmit"),
            ("[lint.levels]\nunknown-permit = \"of\"", Code::BadSetting, "\"of\""),
            ("[lint.levels]\nunknown-permit = 1", Code::BadSetting, "1"),
            ("[lint.levels]\nnot-monotone = \"off\"", Code::BadSetting, "not-monotone"),
            ("[lint.levels]\nE0410 = \"warning\"", Code::BadSetting, "E0410"),
            ("[lint.long-token-timeout]\nmax = \"a day\"", Code::BadSetting, "\"a day\""),
            ("[lint.long-token-timeout]\nmax = 12", Code::BadSetting, "12"),
            ("[lint.long-token-timeout]\nmin = \"1h\"", Code::UnknownSetting, "min"),
            ("[lint.unknown-issuer]\nissuers = [1]", Code::BadSetting, "1"),
        ] {
            assert_eq!(found(text), [(code, place.to_owned())], "{text}");
        }
        assert_eq!(found("[lint.levels]\na = \"off\"\nb = \"off\"\n").len(), 2);
    }

    #[test]
    fn nothing_said_is_the_default() {
        assert_eq!(found(""), []);
        assert_eq!(found("[lint]\n[lint.levels]\n"), []);
    }
}
