//! How much of the documents the tests touch: for people, for programs, and as lcov has it.

use std::fmt::Write as _;

use serde::Serialize;

use crate::{
    compile::PolicySet,
    eval::{Coverage, Seen},
    wire::printable::Printable,
};

/// What was touched of each document, ascending by name.
#[derive(Debug)]
pub(super) struct Covered {
    documents: Vec<Document>,
}

#[derive(Debug)]
struct Document {
    file: String,
    rules: Vec<Rule>,
    conditions: Vec<Condition>,
}

#[derive(Debug, Clone, Serialize)]
struct Rule {
    line: usize,
    column: usize,
    asserted: bool,
    #[serde(skip)]
    excerpt: String,
}

#[derive(Debug, Clone, Serialize)]
struct Condition {
    line: usize,
    column: usize,
    text: String,
    held: bool,
    failed: bool,
}

/// Coverage, for programs.
#[derive(Debug, Serialize)]
pub(super) struct CoverageJson {
    percent: f64,
    documents: Vec<DocumentJson>,
}

#[derive(Debug, Serialize)]
struct DocumentJson {
    file: String,
    rules: Vec<Rule>,
    conditions: Vec<Condition>,
}

/// Parts of a whole.
#[derive(Debug, Clone, Copy, Default)]
struct Share {
    touched: usize,
    all: usize,
}

impl Covered {
    pub(super) fn new(set: &PolicySet, coverage: &Coverage) -> Self {
        let mut documents = Vec::new();
        for (at, source) in set.sources().iter().enumerate() {
            let rules: Vec<Rule> = coverage
                .rules()
                .filter(|it| it.document == at)
                .map(|it| {
                    let place = source.location(it.offset);
                    let excerpt = source.slice(source.line_span(place.line)).trim().to_owned();
                    Rule { line: place.line, column: place.column, asserted: it.asserted, excerpt }
                })
                .collect();
            let conditions: Vec<Condition> = coverage
                .comparisons()
                .filter(|it| it.document == at)
                .map(|it| {
                    let place = source.location(it.span.start);
                    let Seen { held, failed } = it.seen;
                    Condition {
                        line: place.line,
                        column: place.column,
                        text: source.slice(it.span).to_owned(),
                        held,
                        failed,
                    }
                })
                .collect();
            if !rules.is_empty() || !conditions.is_empty() {
                documents.push(Document { file: source.name().to_owned(), rules, conditions });
            }
        }
        Self { documents }
    }

    /// Whether less than this many per cent was touched.
    pub(super) fn is_below(&self, percent: u8) -> bool {
        self.share().is_below(percent)
    }

    fn share(&self) -> Share {
        self.documents.iter().fold(Share::default(), |sum, it| sum.and(it.rule_share()).and(it.condition_share()))
    }

    /// A table, and each place that no test touches.
    pub(super) fn text(&self, threshold: Option<u8>) -> String {
        let wide = self.documents.iter().map(|it| Printable(&it.file).to_string().chars().count()).max().unwrap_or(0);
        let mut out = String::from("\n");
        // Writing to a string does not fail.
        let _written = writeln!(out, "  {:wide$}  {:>12}  {:>12}", "document", "rules", "conditions");
        for it in &self.documents {
            let file = Printable(&it.file).to_string();
            let _written = writeln!(out, "  {file:wide$}  {:>12}  {:>12}", it.rule_share(), it.condition_share());
        }
        for it in &self.documents {
            out.push_str(&it.untouched());
        }
        let share = self.share();
        let verdict = match threshold {
            Some(threshold) if share.is_below(threshold) => format!(", less than the {threshold} % asked for"),
            Some(_) | None => String::new(),
        };
        let _written = writeln!(out, "\n  {:.1} % of rules and conditions both ways{verdict}\n", share.percent());
        out
    }

    pub(super) fn json(&self) -> CoverageJson {
        let document = |it: &Document| DocumentJson {
            file: it.file.clone(),
            rules: it.rules.clone(),
            conditions: it.conditions.clone(),
        };
        CoverageJson { percent: self.share().percent(), documents: self.documents.iter().map(document).collect() }
    }

    /// Rules as lines, conditions as branches that were taken or not.
    pub(super) fn lcov(&self) -> String {
        let mut out = String::new();
        for it in &self.documents {
            let file = Printable(&it.file);
            let _written = writeln!(out, "TN:\nSF:{file}");
            for (block, it) in it.conditions.iter().enumerate() {
                let (held, failed) = (u8::from(it.held), u8::from(it.failed));
                let _written = writeln!(out, "BRDA:{0},{block},0,{held}\nBRDA:{0},{block},1,{failed}", it.line);
            }
            let branches = it.condition_share();
            let _written = writeln!(out, "BRF:{}\nBRH:{}", branches.all, branches.touched);
            let lines = it.lines();
            for (line, touched) in &lines {
                let _written = writeln!(out, "DA:{line},{}", u8::from(*touched));
            }
            let hit = lines.values().filter(|it| **it).count();
            let _written = writeln!(out, "LF:{}\nLH:{hit}\nend_of_record", lines.len());
        }
        out
    }
}

impl Document {
    fn rule_share(&self) -> Share {
        Share { touched: self.rules.iter().filter(|it| it.asserted).count(), all: self.rules.len() }
    }

    fn condition_share(&self) -> Share {
        let ways = self.conditions.iter().map(|it| Seen { held: it.held, failed: it.failed }.count());
        Share { touched: ways.fold(0, usize::saturating_add), all: self.conditions.len().saturating_mul(2) }
    }

    /// A line is touched where every rule that begins on it is.
    fn lines(&self) -> std::collections::BTreeMap<usize, bool> {
        let mut lines = std::collections::BTreeMap::new();
        for it in &self.rules {
            *lines.entry(it.line).or_insert(true) &= it.asserted;
        }
        lines
    }

    fn untouched(&self) -> String {
        let mut out = String::new();
        let file = Printable(&self.file);
        for it in self.rules.iter().filter(|it| !it.asserted) {
            let excerpt = Printable(&it.excerpt);
            let _written =
                writeln!(out, "\n  {file}:{}:{} no test makes this rule grant\n    {excerpt}", it.line, it.column);
        }
        for it in self.conditions.iter().filter(|it| !(it.held && it.failed)) {
            let lacks = match (it.held, it.failed) {
                (true, _) => "holds in every test",
                (false, true) => "holds in no test",
                (false, false) => "no test comes here",
            };
            let text = Printable(&it.text);
            let _written = writeln!(out, "\n  {file}:{}:{} {lacks}\n    {text}", it.line, it.column);
        }
        out
    }
}

impl Share {
    fn and(self, other: Self) -> Self {
        Self { touched: self.touched.saturating_add(other.touched), all: self.all.saturating_add(other.all) }
    }

    fn is_below(self, percent: u8) -> bool {
        self.touched.saturating_mul(100) < self.all.saturating_mul(percent.into())
    }

    fn percent(self) -> f64 {
        let number = |it: usize| f64::from(u32::try_from(it).unwrap_or(u32::MAX));
        if self.all == 0 { 100.0 } else { number(self.touched) * 100.0 / number(self.all) }
    }
}

impl std::fmt::Display for Share {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&format!("{} of {}", self.touched, self.all))
    }
}
