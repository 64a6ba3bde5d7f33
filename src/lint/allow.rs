//! Findings that their author has thought about: `// allow: CODE reason`.

use std::collections::BTreeMap;

use crate::{
    compile::Finding,
    diagnostic::Code,
    lint::Set,
    source::{Source, Span},
    syntax::{
        Parse,
        ast::{Block, Item},
    },
};

/// A comment that says that findings are known.
#[derive(Debug)]
pub(super) struct Allowance<'a> {
    /// From `//` to the end of the line.
    pub(super) comment: Span,
    /// The codes or names that it has, each with its place; none where the comment stops behind `allow:`.
    pub(super) rules: Vec<(&'a str, Span)>,
    /// Whether there is a reason. Without one nobody can tell later whether it still holds, so it does not hold.
    pub(super) has_reason: bool,
    /// Lines, from the first to the last.
    covers: (usize, usize),
}

impl Allowance<'_> {
    /// Whether one of these lines, which are ascending, is among those that it covers.
    pub(super) fn covers_some(&self, lines: &[usize]) -> bool {
        let at = lines.partition_point(|line| *line < self.covers.0);
        lines.get(at).is_some_and(|line| *line <= self.covers.1)
    }
}

/// The findings that no comment on their line, or above the item that they lie in, silences.
pub(super) fn without_allowed(set: &Set<'_>, mut findings: Vec<Finding>) -> Vec<Finding> {
    let allowed: Vec<Vec<Allowance<'_>>> =
        set.documents.iter().take(set.given).map(|(source, parse)| allowances(source, parse)).collect();
    let by_rule: Vec<BTreeMap<Code, Lines>> = allowed.iter().map(|it| lines_by_rule(it)).collect();
    findings.retain(|finding| {
        let Some(((source, _), by_rule)) = set.documents.get(finding.source).zip(by_rule.get(finding.source)) else {
            return true;
        };
        let line = source.line(finding.diagnostic.span.start);
        !by_rule.get(&finding.diagnostic.code).is_some_and(|lines| lines.hold(line))
    });
    findings
}

/// Ranges of lines, so that thousands of comments and findings are not held against each other one by one.
struct Lines {
    // INVARIANT (ascending): by first line; none overlaps or touches the next.
    ranges: Vec<(usize, usize)>,
}

impl Lines {
    fn new(mut all: Vec<(usize, usize)>) -> Self {
        all.sort_unstable();
        let mut ranges: Vec<(usize, usize)> = Vec::new();
        for (first, last) in all {
            match ranges.last_mut() {
                Some(before) if first <= before.1 => before.1 = before.1.max(last),
                Some(_) | None => ranges.push((first, last)),
            }
        }
        Self { ranges }
    }

    fn hold(&self, line: usize) -> bool {
        let behind = self.ranges.partition_point(|(first, _)| *first <= line);
        behind.checked_sub(1).and_then(|at| self.ranges.get(at)).is_some_and(|(_, last)| line <= *last)
    }
}

fn lines_by_rule(allowances: &[Allowance<'_>]) -> BTreeMap<Code, Lines> {
    let mut lines: BTreeMap<Code, Vec<(usize, usize)>> = BTreeMap::new();
    for allowance in allowances.iter().filter(|it| it.has_reason) {
        for code in allowance.rules.iter().filter_map(|(rule, _)| lint_called(rule)) {
            lines.entry(code).or_default().push(allowance.covers);
        }
    }
    lines.into_iter().map(|(code, lines)| (code, Lines::new(lines))).collect()
}

/// The lint of a code or name.
pub(super) fn lint_called(rule: &str) -> Option<Code> {
    Code::ALL.iter().copied().find(|code| code.is_lint() && (code.code() == rule || code.name() == rule))
}

/// The comments of a document that allow something.
pub(super) fn allowances<'a>(source: &'a Source, parse: &Parse) -> Vec<Allowance<'a>> {
    // Most documents have none, and the lines of all items are many.
    if !parse.comments.iter().any(|it| read(source, *it).is_some()) {
        return Vec::new();
    }
    let below = lines_below(source, parse);
    let items = last_lines(source, parse);
    let allowance = |comment: &Span| {
        let (rules, has_reason) = read(source, *comment)?;
        let line = source.line(comment.start);
        let below = below.get(&line);
        let last = below.map_or(line, |below| items.get(below).copied().unwrap_or(*below));
        Some(Allowance { comment: *comment, rules, has_reason, covers: (line, last) })
    };
    parse.comments.iter().filter_map(allowance).collect()
}

/// For each line that is a comment and nothing else, the line that it speaks of: the first below that is none.
fn lines_below(source: &Source, parse: &Parse) -> BTreeMap<usize, usize> {
    let mut below = BTreeMap::new();
    for comment in parse.comments.iter().rev().filter(|it| source.is_first_on_line(it.start)) {
        let line = source.line(comment.start);
        let next = line.saturating_add(1);
        below.insert(line, below.get(&next).copied().unwrap_or(next));
    }
    below
}

/// The rules that a comment names, and whether it has a reason; none where it allows nothing.
fn read(source: &Source, comment: Span) -> Option<(Vec<(&str, Span)>, bool)> {
    let text = source.slice(comment).trim_start_matches('/').trim_start();
    let mut rest = text.strip_prefix("allow:")?.trim_start();
    let mut rules = Vec::new();
    loop {
        let end = rest.find(|c: char| c.is_whitespace() || c == ',').unwrap_or(rest.len());
        let Some((rule, behind)) = rest.split_at_checked(end) else { break };
        if rule.is_empty() {
            break;
        }
        let start = source.offset_of(rule);
        rules.push((rule, Span::new(start, start.saturating_add(rule.len()))));
        rest = behind.trim_start();
        let Some(more) = rest.strip_prefix(',') else { break };
        rest = more.trim_start();
    }
    Some((rules, rest.contains(char::is_alphanumeric)))
}

/// The line that each item begins on, and the last line of the longest item that begins there.
fn last_lines(source: &Source, parse: &Parse) -> BTreeMap<usize, usize> {
    let mut lines = BTreeMap::new();
    for policy in &parse.document.policies {
        add(&mut lines, source, policy.span);
        add_block(&mut lines, source, &policy.block);
    }
    lines
}

fn add_block(lines: &mut BTreeMap<usize, usize>, source: &Source, block: &Block) {
    for item in &block.items {
        match item {
            Item::Claim(claim) => add(lines, source, claim.span),
            Item::Block(inner) => {
                add(lines, source, inner.span);
                add_block(lines, source, inner);
            }
            Item::Rule(rule) => {
                add(lines, source, rule.span);
                add_block(lines, source, &rule.block);
            }
        }
    }
}

fn add(lines: &mut BTreeMap<usize, usize>, source: &Source, span: Span) {
    let last = source.line(span.end.saturating_sub(1).max(span.start));
    let known = lines.entry(source.line(span.start)).or_insert(last);
    *known = last.max(*known);
}
