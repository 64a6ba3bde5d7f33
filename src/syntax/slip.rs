//! Slips of the fingers: two characters that changed places, one doubled, one left out.
//!
//! What a parser says of such text is true and of little use, because the mistake lies beside the place where reading
//! ends. So whatever is likely there is tried: the text around a mistake with one character changed. If it then reads
//! well, that change is the fix, and the mistakes that it takes away were one.

use std::ops::Range;

use crate::{
    diagnostic::{Code, Diagnostic, Edit, Fix, printable::short},
    limits::{SLIP_ERRORS_MAX, SLIP_TEXT_BYTES_MAX, SLIP_TRIED_BYTES_MAX},
    source::{Source, Span},
    syntax::{Parse, ast::Operator, character::is_name, vocabulary},
};

/// Bytes before the place of a mistake that the slip may be in.
const BEFORE_BYTES: usize = 16;

/// Bytes of the mistake itself, and of what is behind it.
const WITHIN_BYTES: usize = 64;
const BEHIND_BYTES: usize = 12;

/// Finds the slips of a document that was read by `read`, and tells each once.
pub(super) fn find(source: &Source, parse: &mut Parse, read: fn(&Source) -> Parse) {
    let errors = parse.diagnostics.iter().filter(|it| it.is_error()).count();
    if errors == 0 || errors > SLIP_ERRORS_MAX || parse.hidden > 0 {
        return;
    }
    let all: Vec<Span> = parse.document.policies.iter().map(|it| it.span).collect();
    let is_good = |span: &Span| !parse.diagnostics.iter().any(|it| it.is_error() && is_within(it, *span));
    let good: Vec<Span> = all.iter().copied().filter(is_good).collect();
    let told = std::mem::take(&mut parse.diagnostics).into_iter().map(Told::new).collect();
    let mut search = Search { source, read, left: SLIP_TRIED_BYTES_MAX, told, comments: &parse.comments };
    // Other policies may have slips of their own; but a slip may also make of one policy two.
    for bounds in [&all, &good] {
        search.through(bounds);
    }
    parse.diagnostics = search.told.into_iter().filter(|it| !it.is_gone).map(|it| it.diagnostic).collect();
}

fn is_within(diagnostic: &Diagnostic, span: Span) -> bool {
    (span.start..=span.end).contains(&diagnostic.span.start)
}

/// Whether a slip may be what was told in another way.
fn may_be_slip(error: &Diagnostic) -> bool {
    let may_be = matches!(
        error.code,
        Code::UnexpectedCharacter
            | Code::UnterminatedString
            | Code::UnknownResourceType
            | Code::MalformedRealm
            | Code::EmptySegment
            | Code::BadSegment
            | Code::UnboundVariable
            | Code::BadName
            | Code::UnexpectedToken
            | Code::MissingRealm
            | Code::MisspelledOperator
            | Code::UnknownOperator
            | Code::IncompleteComparison
            | Code::NotARealm
            | Code::NotANetwork
            | Code::ForgottenComma
            | Code::MissingValue
    );
    // `equal` for `==` is no slip; `ndsWith` is.
    let is_foreign_word = error.code == Code::UnknownOperator
        && error.fixes.iter().flat_map(|it| &it.edits).any(|it| !it.text.starts_with(|c: char| c.is_alphabetic()));
    // `permit:` is YAML and no slip.
    let is_key = error.code == Code::BadName && error.fixes.iter().any(|it| it.safe);
    may_be && !is_foreign_word && !is_key
}

/// What was told of the document, and what is known of it by now.
struct Told {
    diagnostic: Diagnostic,
    /// It is a slip.
    is_settled: bool,
    /// It came of a slip that another one tells of.
    is_gone: bool,
}

impl Told {
    fn new(diagnostic: Diagnostic) -> Self {
        Self { diagnostic, is_settled: false, is_gone: false }
    }
}

struct Search<'a> {
    source: &'a Source,
    read: fn(&Source) -> Parse,
    /// Bytes that may still be read anew.
    left: usize,
    told: Vec<Told>,
    comments: &'a [Span],
}

impl Search<'_> {
    /// Looks at each mistake within the text between some of the policies, or in one of them.
    fn through(&mut self, bounds: &[Span]) {
        for index in 0..self.told.len() {
            let Some(told) = self.told.get(index) else { continue };
            if told.is_settled || told.is_gone || !may_be_slip(&told.diagnostic) {
                continue;
            }
            let region = self.region(bounds, told.diagnostic.span.start);
            let is_other = |it: &(usize, &Told)| {
                it.0 != index && !it.1.is_gone && it.1.diagnostic.is_error() && is_within(&it.1.diagnostic, region)
            };
            let others: Vec<usize> = self.told.iter().enumerate().filter(is_other).map(|it| it.0).collect();
            if let Some((change, gone)) = self.slip(region, index, &others) {
                self.tell(index, region, &change, &gone);
            }
        }
    }

    /// The policy that a place is in, up to the next one, or what is between two.
    fn region(&self, bounds: &[Span], at: usize) -> Span {
        let before = bounds.partition_point(|it| it.end < at);
        let own = bounds.get(before).filter(|it| it.start <= at);
        let last = before.checked_sub(1).and_then(|index| bounds.get(index));
        let start = own.map(|it| it.start).or(last.map(|it| it.end)).unwrap_or(0);
        let next = bounds.get(before.saturating_add(usize::from(own.is_some())));
        // A policy on the line of the mistake may be what the mistake is about.
        let end = match next {
            Some(next) if self.source.line(next.start) == self.source.line(at) => next.end,
            Some(next) => next.start,
            None => self.source.text().len(),
        };
        Span::new(start, end)
    }

    /// The likeliest change of one character that takes a mistake away and brings no other, and which of the others it
    /// takes away too.
    fn slip(&mut self, region: Span, index: usize, others: &[usize]) -> Option<(Change, Vec<usize>)> {
        let error = &self.told.get(index)?.diagnostic;
        if self.source.slice(region).len() > SLIP_TEXT_BYTES_MAX {
            return None;
        }
        let at = error.span.start;
        let end = error.span.end.min(at.saturating_add(WITHIN_BYTES)).saturating_add(BEHIND_BYTES);
        let window = at.saturating_sub(BEFORE_BYTES).max(region.start)..end.min(region.end);
        let code = error.code;
        // What has a fix that is surely right needs another only if there was more to it.
        let is_known = error.fixes.first().is_some_and(|it| it.safe);
        if is_known && others.is_empty() {
            return None;
        }
        let mut changes = changes(self.source, region, window, code);
        changes.sort_by_key(|it| (it.kind, it.span.start.abs_diff(at)));
        let nothing = Change::new(Kind::Mistaken, String::new(), region.start, 0, "");
        let mut elsewhere = others.to_vec();
        elsewhere.push(index);
        let parse = self.read_with(region, &nothing)?;
        let alone = self.left_over(&parse, &mut elsewhere);
        let others: Vec<usize> = others.iter().copied().filter(|it| !elsewhere.contains(it)).collect();
        changes.into_iter().find_map(|change| {
            let gone = self.taken_away(region, &change, code, &others, &alone)?;
            (!is_known || !gone.is_empty()).then_some((change, gone))
        })
    }

    /// A part of the text with a change in it, read anew.
    fn read_with(&mut self, region: Span, change: &Change) -> Option<Parse> {
        let before = self.source.slice(Span::new(region.start, change.span.start));
        let behind = self.source.slice(Span::new(change.span.end, region.end));
        let text = [before, change.text.as_str(), behind].concat();
        self.left = self.left.checked_sub(text.len())?;
        let source = Source::new(self.source.name(), text.into_bytes()).ok()?;
        let parse = (self.read)(&source);
        (parse.hidden == 0).then_some(parse)
    }

    /// Takes out of a list what was found again; the rest is what was found besides.
    fn left_over(&self, parse: &Parse, told: &mut Vec<usize>) -> Vec<(Code, String)> {
        let mut more = Vec::new();
        for error in parse.diagnostics.iter().filter(|it| it.is_error()) {
            let is_same = |index: &usize| {
                let told = self.told.get(*index).map(|it| &it.diagnostic);
                told.is_some_and(|it| it.code == error.code && it.message == error.message)
            };
            match told.iter().position(is_same) {
                Some(index) => drop(told.remove(index)),
                None => more.push((error.code, error.message.clone())),
            }
        }
        more
    }

    /// Which of the other mistakes of a region a change takes away; nothing where it brings new ones or leaves its own.
    /// Those that the region has by being only a part of the text do not count.
    fn taken_away(
        &mut self,
        region: Span,
        change: &Change,
        code: Code,
        others: &[usize],
        alone: &[(Code, String)],
    ) -> Option<Vec<usize>> {
        let start = self.source.line_span(self.source.line(change.span.start)).start.max(region.start);
        let line = self.source.slice(Span::new(start, region.end)).lines().next().unwrap_or_default();
        let head = self.source.slice(Span::new(start, change.span.start));
        let tail = self.source.slice(Span::new(change.span.end, start.saturating_add(line.len())));
        let changed = [head, change.text.as_str(), tail].concat();
        let (was, is) = (oddities(line), oddities(&changed));
        // What leaves traces of a slip is none's mending; and more commas are forgotten than moved.
        let has_to_vanish = matches!(code, Code::ForgottenComma | Code::UnboundVariable);
        if was < is || has_to_vanish && was == is {
            return None;
        }
        // A blank that only moves makes two other words of any two.
        if change.kind == Kind::MovedBlank && was == is && !change.makes_word(self.source, region) {
            return None;
        }
        let parse = self.read_with(region, change)?;
        // A rule that becomes a comment is a rule that is not there.
        let comments = self.comments.iter().filter(|it| region.start <= it.start && it.end <= region.end).count();
        if comments < parse.comments.len() && changed.contains(['{', '}', '"']) {
            return None;
        }
        let mut gone = others.to_vec();
        let more = self.left_over(&parse, &mut gone);
        // What someone wants to take away is not mended by writing something else.
        let is_refusal = |it: &usize| {
            let code = self.told.get(*it).map(|it| it.diagnostic.code);
            matches!(code, Some(Code::Negation | Code::Else))
        };
        (more.iter().all(|it| alone.contains(it)) && !gone.iter().any(is_refusal)).then_some(gone)
    }

    /// Leaves one mistake, with the fix that takes the others away.
    fn tell(&mut self, index: usize, region: Span, change: &Change, gone: &[usize]) {
        for index in gone {
            if let Some(told) = self.told.get_mut(*index) {
                told.is_gone = true;
            }
        }
        if let Some(told) = self.told.get_mut(index) {
            told.is_settled = true;
            let words = change.words(self.source, region);
            told.diagnostic.help = Some(format!("did you mean `{}`?", short(&words))).filter(|_| !words.is_empty());
            told.diagnostic.fixes.insert(0, change.fix());
        }
    }
}

/// What may have happened, the likeliest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Doubled,
    /// A comma changed places with a letter.
    MovedComma,
    /// A blank changed places with a character, so that one word has a letter of another.
    MovedBlank,
    Swapped,
    LeftOut,
    Mistaken,
}

struct Change {
    kind: Kind,
    title: String,
    span: Span,
    text: String,
}

impl Change {
    fn new(kind: Kind, title: String, start: usize, length: usize, text: impl Into<String>) -> Self {
        Self { kind, title, span: Span::new(start, start.saturating_add(length)), text: text.into() }
    }

    /// The words of a region that the change is in, as they read then.
    fn words(&self, source: &Source, region: Span) -> String {
        let before = source.slice(Span::new(region.start, self.span.start));
        let behind = source.slice(Span::new(self.span.end, region.end));
        let start = before.rfind(char::is_whitespace).map_or(0, |it| it.saturating_add(1));
        let end = behind.find(char::is_whitespace).unwrap_or(behind.len());
        let words = [before.get(start..), Some(&self.text), behind.get(..end)].map(Option::unwrap_or_default);
        words.concat().trim().to_owned()
    }

    /// Whether one of the two words at a moved blank is one that the language knows.
    fn makes_word(&self, source: &Source, region: Span) -> bool {
        let words = self.words(source, region);
        words.split_whitespace().any(|word| {
            let word = word.trim_matches(|c| matches!(c, '(' | ')' | '{' | '}' | '"'));
            let resource_type = word.split("::").next().filter(|it| it.len() < word.len());
            matches!(word, "on" | "if" | "permit" | "role" | "&&" | "||")
                || Operator::ALL.iter().any(|it| it.text() == word)
                || resource_type.is_some_and(|it| vocabulary::resource_type(it).is_some())
        })
    }

    fn fix(&self) -> Fix {
        let edits = vec![Edit { span: self.span, text: self.text.clone() }];
        Fix { title: self.title.clone(), safe: false, edits }
    }
}

/// A character with its neighbours.
#[derive(Clone, Copy)]
struct Place<'a> {
    /// The line up to it, as far as it is part of the region.
    before: &'a str,
    /// It and the rest of the line.
    rest: &'a str,
    at: usize,
    c: char,
}

/// Every change within a part of a region that slips come with.
fn changes(source: &Source, region: Span, window: Range<usize>, code: Code) -> Vec<Change> {
    let mut changes = Vec::new();
    let mut start = region.start;
    for line in source.slice(region).split_inclusive('\n') {
        let line_start = start;
        start = start.saturating_add(line.len());
        let line = line.trim_end_matches(['\n', '\r']);
        for (index, c) in line.char_indices() {
            let at = line_start.saturating_add(index);
            if window.contains(&at)
                && let Some((before, rest)) = line.split_at_checked(index)
            {
                let place = Place { before, rest, at, c };
                changes.extend(place.swapped(code));
                changes.extend(place.doubled());
                changes.extend(place.left_out());
                changes.extend(place.mistaken());
            }
        }
        let end = line_start.saturating_add(line.len());
        if window.contains(&end) && code == Code::UnterminatedString {
            changes.push(Change::new(Kind::LeftOut, "write the `\"`".to_owned(), end, 0, "\""));
        }
    }
    changes
}

impl Place<'_> {
    fn previous(&self) -> Option<char> {
        self.before.chars().next_back()
    }

    fn next(&self) -> Option<char> {
        self.rest.chars().nth(1)
    }

    fn swapped(&self, code: Code) -> Option<Change> {
        let (first, second) = (self.c, self.next()?);
        let is_blank = first.is_whitespace() || second.is_whitespace();
        let is_useless = first == second
            || first.is_alphanumeric() && second.is_alphanumeric()
            || first.is_whitespace() && second.is_whitespace()
            // Brackets around a list are no part of a text.
            || matches!((first, second), ('"', '[' | ']') | ('[' | ']', '"'));
        let is_comma = code == Code::ForgottenComma && (first == ',' || second == ',');
        let kind = match (is_blank, is_comma) {
            (true, _) => Kind::MovedBlank,
            (false, true) => Kind::MovedComma,
            (false, false) => Kind::Swapped,
        };
        let title = format!("swap {} and {}", name(first), name(second));
        let length = first.len_utf8().saturating_add(second.len_utf8());
        (!is_useless).then(|| Change::new(kind, title, self.at, length, [second, first].iter().collect::<String>()))
    }

    fn doubled(&self) -> Option<Change> {
        let is_second = self.previous() == Some(self.c) && !self.c.is_whitespace();
        let near = |text: &str| text.trim().contains('=');
        let before = self.before.len().saturating_sub(2);
        let is_sign = self.c == '='
            && (near(self.before.get(before..).unwrap_or_default()) || near(self.rest.get(1..4).unwrap_or_default()));
        // Without a `!` a condition would say the opposite, and braces have a way of their own.
        let is_possible = (is_second || is_sign) && !matches!(self.c, '!' | '{' | '}');
        let title = format!("remove {}", name(self.c));
        is_possible.then(|| Change::new(Kind::Doubled, title, self.at, self.c.len_utf8(), ""))
    }

    fn left_out(&self) -> Option<Change> {
        let (previous, c) = (self.previous().unwrap_or(' '), self.c);
        let is_edge = |c: char| c.is_whitespace() || matches!(c, '(' | ')' | ',' | '{' | '}' | '=' | '"');
        let is_comment = !self.rest.contains(['{', '}', '"']) && self.before.trim().is_empty();
        let text = match c {
            '/' if self.next() != Some('/') && is_comment => "/",
            '[' if previous.is_alphanumeric() => "/",
            ':' if previous != ':' && self.next() != Some(':') => ":",
            '>' if previous != '-' => "-",
            _ if previous == '-' && c != '>' => ">",
            _ if is_name(previous) && !is_name(c) && is_open(self.before) => "]",
            _ if is_name(c) && matches!(previous, '/' | ':' | '"') && self.rest.contains(']') => "[",
            // Brackets around a list are no part of a text.
            '[' | ']' => return None,
            _ if is_edge(previous) != is_edge(c) && !matches!(previous, '"' | '[' | ']') && c != '"' => "\"",
            _ if is_name(previous) && is_name(c) && ends_in_keyword(self.before) => " ",
            _ => return None,
        };
        let name = if text == " " { "a space".to_owned() } else { format!("the `{text}`") };
        Some(Change::new(Kind::LeftOut, format!("write {name}"), self.at, 0, text))
    }

    fn mistaken(&self) -> Option<Change> {
        let text = match self.c {
            '=' if self.next() == Some('>') => "-",
            // What word processors make of a hyphen and an arrow.
            '\u{2010}'..='\u{2015}' | '\u{2212}' => "-",
            '→' | '⇒' => "->",
            _ => return None,
        };
        let title = format!("write `{text}` for {}", name(self.c));
        Some(Change::new(Kind::Mistaken, title, self.at, self.c.len_utf8(), text))
    }
}

/// Traces of slips in a line: words of one letter, a quote within a word, letters directly behind a comma or at the outside
/// of the brackets of a variable.
fn oddities(line: &str) -> usize {
    let at = |offset: usize| line.chars().skip(offset).chain([' ', ' ']);
    let neighbours = [' '].into_iter().chain(line.chars()).zip(at(0)).zip(at(1));
    let is_edge = |c: char| c.is_whitespace() || matches!(c, '{' | '}');
    let is_odd = |((before, c), behind): &((char, char), char)| match c {
        '"' => before.is_alphanumeric() && behind.is_alphanumeric(),
        '[' => before.is_alphanumeric(),
        ']' | ',' => behind.is_alphanumeric(),
        _ => c.is_alphanumeric() && is_edge(*before) && is_edge(*behind),
    };
    neighbours.filter(is_odd).count()
}

/// Whether a text ends in a `[` and the name behind it.
fn is_open(before: &str) -> bool {
    before.trim_end_matches(|c| is_name(c) && c != '[').ends_with('[')
}

fn ends_in_keyword(before: &str) -> bool {
    let word = before.rsplit(|c: char| !is_name(c)).next().unwrap_or_default();
    matches!(word, "on" | "permit" | "role" | "if")
}

fn name(c: char) -> String {
    if c.is_whitespace() { "the space".to_owned() } else { format!("`{}`", short(c.encode_utf8(&mut [0; 4]))) }
}
