//! Text to realm: in a document, at the right of `fqnMatch`, and in values such as those of `package.allow`.

use smol_str::SmolStr;

use crate::{
    diagnostic::{Code, Diagnostic, printable::short},
    limits::{FQN_BYTES_MAX, FQN_SEGMENTS_MAX},
    source::Span,
    syntax::{
        ast::{Local, Name, Piece, Realm, Segment, Value},
        character::{find_doubled, is_invisible, is_letter, is_made_of},
        fqn::Segments,
        suggest::closest,
        vocabulary::{self, RESOURCE_TYPES},
    },
};

/// What comes of reading; the error is boxed because it is large and rare.
type Result<T> = std::result::Result<T, Box<Diagnostic>>;

/// What stands behind the resource type.
const ROOT: &[u8] = b"::/";

/// A part of the text and where it begins in the document.
#[derive(Debug, Clone, Copy)]
struct Part<'a> {
    text: &'a str,
    offset: usize,
}

impl<'a> Part<'a> {
    fn span(self) -> Span {
        Span::new(self.offset, self.offset.saturating_add(self.text.len()))
    }

    /// What stands before and behind the first `::`.
    fn split_colons(self) -> Option<(Self, Self)> {
        self.split_around(find_doubled(self.text.as_bytes(), b':')?, "::".len())
    }

    /// What stands before and behind the first `::/`.
    fn split_root(self) -> Option<(Self, Self)> {
        // Mostly it is the first colon that there is.
        let (at, text) = (self.text.bytes().position(|it| it == b':')?, self.text.as_bytes());
        let rest = text.get(at..)?;
        let next = if rest.starts_with(ROOT) { 0 } else { rest.windows(ROOT.len()).position(|it| it == ROOT)? };
        self.split_around(at.saturating_add(next), ROOT.len())
    }

    fn split_around(self, at: usize, length: usize) -> Option<(Self, Self)> {
        let (before, rest) = self.text.split_at_checked(at)?;
        let offset = self.offset.saturating_add(at).saturating_add(length);
        Some((Part { text: before, ..self }, Part { text: rest.get(length..)?, offset }))
    }

    /// The parts between slashes.
    fn segments(self) -> impl Iterator<Item = Part<'a>> {
        let mut offset = self.offset;
        Segments::of(self.text).map(move |text| {
            let part = Part { text, offset };
            offset = offset.saturating_add(text.len()).saturating_add(1);
            part
        })
    }

    fn name(self) -> Name {
        Name { text: self.text.into(), span: self.span() }
    }

    fn error(self, code: Code, message: impl Into<String>, label: impl Into<String>) -> Box<Diagnostic> {
        Box::new(Diagnostic::new(code, self.span(), message, label))
    }
}

/// Reads a whole text as a realm; spans count from `offset`.
///
/// ```
/// use gatehouse::syntax::realm;
///
/// let realm = realm::parse("job::/sandbox/[name]::web", 0)?;
/// assert_eq!(realm.namespace.len(), 2);
/// # Ok::<(), Box<gatehouse::diagnostic::Diagnostic>>(())
/// ```
pub fn parse(text: &str, offset: usize) -> Result<Realm> {
    let part = Part { text, offset };
    if text.len() > FQN_BYTES_MAX {
        let message = format!("this realm has {} bytes, more than the {FQN_BYTES_MAX} a realm may have", text.len());
        return Err(part.error(Code::RealmTooLong, message, "too long"));
    }
    let realm = realm(part).map_err(|error| with_realm_above(part, error))?;
    let local = if let Local::Named(segments) = &realm.local { segments.len() } else { 0 };
    let count = realm.namespace.len().saturating_add(local);
    if count > FQN_SEGMENTS_MAX {
        let message = format!("this realm has {count} segments, more than the {FQN_SEGMENTS_MAX} a realm may have");
        return Err(part.error(Code::RealmTooLong, message, "too many segments"));
    }
    Ok(realm)
}

/// Reads a value as a realm; its variables are segments of it.
///
/// A `[` that the value has as text is no variable, and so no part of a realm.
pub fn of_value(value: &Value) -> Result<Realm> {
    let mut text = String::new();
    for piece in &value.pieces {
        match piece {
            Piece::Text(plain) if plain.contains(['[', ']', '\\', '"']) => {
                let message = "this holds a character that may not stand in a realm";
                return Err(Box::new(Diagnostic::new(Code::BadSegment, value.span, message, "in this text")));
            }
            Piece::Text(plain) => text.push_str(plain),
            Piece::Variable(name) => text.extend(["[", name.text.as_str(), "]"]),
        }
    }
    let quotes = if value.quoted { 2 } else { 0 };
    let length = value.span.end.saturating_sub(value.span.start);
    parse(&text, value.span.start.saturating_add(quotes / 2)).map_err(|mut error| {
        // Only where the text stands in the document letter for letter do the places within it mean something.
        if length != text.len().saturating_add(quotes) {
            error.span = value.span;
            error.fixes.clear();
        }
        error
    })
}

/// ```ebnf
/// realm = resource_type , "::/" , [ segment , { "/" , segment } ] , [ "/" ] , [ "::" , [ local_name ] ] ;
/// ```
fn realm(part: Part<'_>) -> Result<Realm> {
    let Some((before, behind)) = part.split_root() else {
        return Err(without_root(part));
    };
    let resource_type = resource_type(before)?;
    let (namespace, local) = match behind.split_colons() {
        Some((namespace, local)) => (namespace, local_name(local)?),
        None => (behind, Local::Below),
    };
    let (namespace, trailing_slash) = match namespace.text.strip_suffix('/') {
        Some(text) if !text.is_empty() => (Part { text, ..namespace }, true),
        Some(_) | None => (namespace, false),
    };
    let namespace = match namespace.text {
        "" => Vec::new(),
        _ => segments(namespace)?,
    };
    Ok(Realm { resource_type, namespace, local, trailing_slash, span: part.span() })
}

/// ```ebnf
/// local_name = "*" | segment , { "/" , segment } ;
/// ```
fn local_name(part: Part<'_>) -> Result<Local> {
    match part.text {
        "" => Ok(Local::Exact),
        "*" => Ok(Local::Any),
        _ => segments(part).map(Local::Named),
    }
}

fn segments(part: Part<'_>) -> Result<Vec<Segment>> {
    // Most realms are two segments deep.
    let mut segments = Vec::with_capacity(2);
    for it in part.segments() {
        segments.push(segment(it)?);
    }
    Ok(segments)
}

/// ```ebnf
/// segment = word without "/" and ":" | variable ;
/// ```
fn segment(part: Part<'_>) -> Result<Segment> {
    match part.text {
        "" => {
            return Err(part
                .error(Code::EmptySegment, "a realm has no empty segments", "a segment is missing here")
                .with_help("write one `/` between two segments, and none behind a local name")
                .into());
        }
        "." | ".." => {
            let message = format!("`{}` is no segment of a realm", part.text);
            return Err(part
                .error(Code::DotSegment, message, "paths of files do this, realms do not")
                .with_help("write the whole namespace out")
                .into());
        }
        _ => (),
    }
    if let Some(name) = part.text.strip_prefix('[').and_then(|it| it.strip_suffix(']'))
        && is_variable_name(name)
    {
        return Ok(Segment::Variable(Name { text: name.into(), span: part.span() }));
    }
    if is_made_of(part.text, is_segment) {
        return Ok(Segment::Literal(part.name()));
    }
    Err(bad_character(part, part.text.chars().find(|&c| !is_segment(c)).unwrap_or_default()))
}

/// Says of `job::/prod/*` which realm covers what it means.
fn with_realm_above(part: Part<'_>, mut error: Box<Diagnostic>) -> Box<Diagnostic> {
    let before = error.span.start.checked_sub(part.offset).and_then(|it| part.text.get(..it));
    let Some(before) = before.filter(|_| error.code == Code::MisplacedStar) else { return error };
    let above = before.strip_suffix('/').filter(|it| !it.ends_with(':')).unwrap_or(before);
    if realm(Part { text: above, offset: 0 }).is_err() {
        return error;
    }
    error.help = Some(format!("a realm without a local name covers everything below it already: `{}`", short(above)));
    let star = part.text.get(before.len()..);
    if star == Some("*") {
        let rest = Span::new(part.offset.saturating_add(above.len()), error.span.end);
        return Box::new(error.with_fix(format!("write `{}`", short(above)), false, rest, ""));
    }
    error
}

fn is_variable_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(is_variable_character)
}

/// Whether this can stand between `[` and `]`.
pub fn is_variable_character(c: char) -> bool {
    c.is_ascii_digit() || matches!(c, '_' | '-') || is_letter(c)
}

// In quotes a segment may hold whatever a name may, so that every name can be written down.
fn is_segment(c: char) -> bool {
    !(c.is_control() || c.is_whitespace() || is_invisible(c) || matches!(c, '"' | '*' | '[' | ']' | '\\' | ':'))
}

fn bad_character(part: Part<'_>, c: char) -> Box<Diagnostic> {
    match c {
        '*' => part
            .error(
                Code::MisplacedStar,
                "`*` stands only for a whole local name: `job::/sandbox::*`",
                "no pattern within a segment",
            )
            .with_help("a realm without a local name covers everything below it already: `job::/sandbox`")
            .into(),
        '[' | ']' => part.error(
            Code::BadSegment,
            format!("a variable in a realm is a whole segment, and `{}` is more than a variable", short(part.text)),
            "write `[name]` alone between two `/`",
        ),
        ':' => part.error(
            Code::BadSegment,
            format!("`{}` has a `:` in a segment", short(part.text)),
            "`::` stands behind the type and before the local name, nowhere else",
        ),
        _ => {
            let message = format!("`{}` may not stand in a realm", short(c.encode_utf8(&mut [0; 4])));
            part.error(Code::BadSegment, message, "in this segment")
        }
    }
}

fn resource_type(part: Part<'_>) -> Result<Name> {
    if let Some(known) = vocabulary::resource_type(part.text) {
        return Ok(Name { text: SmolStr::new_static(known.name), span: part.span() });
    }
    let known = RESOURCE_TYPES.iter().map(|it| it.name);
    let message = format!("no resource type `{}`", short(part.text));
    let error = part.error(Code::UnknownResourceType, message, "not a resource type");
    Err(match closest(part.text, known.clone()) {
        Some(near) => error.with_help(format!("did you mean `{near}`?")).with_fix(
            format!("replace by `{near}`"),
            false,
            part.span(),
            near,
        ),
        None => error.with_help(format!("the resource types are {}", known.collect::<Vec<_>>().join(", "))),
    }
    .into())
}

/// The text has no `::/`: says what the author may have meant by it.
fn without_root(part: Part<'_>) -> Box<Diagnostic> {
    let text = part.text;
    let message = format!("`{}` is no realm", short(text));
    let error = part.error(Code::MalformedRealm, message, "a realm looks like `job::/sandbox/tom`");
    let split = text.split_once(':').map(|(before, behind)| (before, behind.trim_start_matches(':')));
    let meant = match split {
        Some((before, behind)) => {
            let (namespace, local) = behind.split_once("::").map_or((behind, None), |(a, b)| (a, Some(b)));
            let local = local.map_or_else(String::new, |local| format!("::{local}"));
            format!("{before}::/{}{local}", namespace.trim_start_matches('/'))
        }
        None if text.starts_with('/') => format!("job::{text}"),
        None => format!("job::/{text}"),
    };
    let is_realm = meant != text && realm(Part { text: &meant, offset: 0 }).is_ok();
    match (is_realm, split) {
        (true, Some(_)) => error
            .with_help(format!("behind the resource type stands `::/`: `{}`", short(&meant)))
            .with_fix(format!("write `{}`", short(&meant)), false, part.span(), meant),
        (true, None) => error.with_help(format!("name the resource type first, for example `{}`", short(&meant))),
        (false, _) => *error,
    }
    .into()
}

#[cfg(test)]
mod tests {
    use crate::{
        diagnostic::Code,
        limits::{FQN_BYTES_MAX, FQN_SEGMENTS_MAX},
        syntax::{
            ast::{Local, Segment},
            realm::parse,
        },
    };

    fn code(text: &str) -> Option<Code> {
        parse(text, 0).err().map(|it| it.code)
    }

    #[test]
    fn each_shape_is_read() {
        assert_eq!(parse("job::/", 0).unwrap().namespace, []);
        assert!(parse("job::/a/", 0).unwrap().trailing_slash);
        assert!(parse("job::/a/::x", 0).unwrap().trailing_slash);
        assert_eq!(parse("job::/a", 0).unwrap().local, Local::Below);
        assert_eq!(parse("job::/a::", 0).unwrap().local, Local::Exact);
        assert_eq!(parse("job::/::*", 0).unwrap().local, Local::Any);
        let realm = parse("job::/a/[n]::b/[m]", 7).unwrap();
        assert!(matches!(&realm.namespace[1], Segment::Variable(it) if it.text == "n" && it.span.range() == (15..18)));
        assert!(matches!(&realm.local, Local::Named(it) if it.len() == 2 && it[1].span().range() == (22..25)));
    }

    #[test]
    fn each_mistake_has_its_code() {
        let cases = [
            ("jobs::/", Code::UnknownResourceType),
            ("::/", Code::UnknownResourceType),
            ("job", Code::MalformedRealm),
            ("job::", Code::MalformedRealm),
            ("job:/a", Code::MalformedRealm),
            ("/sandbox", Code::MalformedRealm),
            ("job:://", Code::EmptySegment),
            ("job::/a//b", Code::EmptySegment),
            ("job::/a//", Code::EmptySegment),
            ("job::/a::b/", Code::EmptySegment),
            ("job::/./a", Code::DotSegment),
            ("job::/a::..", Code::DotSegment),
            ("job::/*", Code::MisplacedStar),
            ("job::/a*", Code::MisplacedStar),
            ("job::/a::*/b", Code::MisplacedStar),
            ("job::/a[n]", Code::BadSegment),
            ("job::/[n][m]", Code::BadSegment),
            ("job::/[]", Code::BadSegment),
            ("job::/a:b", Code::BadSegment),
            ("job::/a::b::c", Code::BadSegment),
            ("job::/a b", Code::BadSegment),
        ];
        for (text, expected) in cases {
            assert_eq!(code(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn length_is_bounded_at_the_limit() {
        let longest = format!("job::/{}", "a".repeat(FQN_BYTES_MAX - 6));
        assert_eq!(code(&longest), None);
        assert_eq!(code(&format!("{longest}a")), Some(Code::RealmTooLong));
        let deepest = format!("job::/{}::a", vec!["a"; FQN_SEGMENTS_MAX - 1].join("/"));
        assert_eq!(code(&deepest), None);
        assert_eq!(code(&format!("{deepest}/a")), Some(Code::RealmTooLong));
    }
}
