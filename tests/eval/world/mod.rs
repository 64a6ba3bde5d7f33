//! Random policy sets and requests from a world so small that they meet; fuzz targets and property tests share it.

mod choices;
mod generate;

use gatehouse::{
    compile::System,
    eval::{Claim, Fact, Now, Request},
};

pub(crate) use generate::OPERATORS;

/// A policy set and a question.
#[derive(Clone)]
pub(crate) struct World {
    /// Each a list of policies.
    pub(crate) documents: Vec<Vec<Policy>>,
    /// Whether the system documents are part of the set.
    pub(crate) system: System,
    pub(crate) target: String,
    pub(crate) facts: Vec<Fact>,
    pub(crate) want: Vec<Claim>,
    pub(crate) now: Option<Now>,
}

#[derive(Debug, Clone)]
pub(crate) struct Policy {
    pub(crate) realm: String,
    pub(crate) items: Vec<Item>,
    variables: Vec<&'static str>,
}

#[derive(Debug, Clone)]
pub(crate) enum Item {
    Rule(Expr, Vec<Self>),
    Block(Vec<Self>),
    /// Type, value, and whether a variable stands in it where there is one.
    Claim(&'static str, Text),
}

#[derive(Debug, Clone)]
pub(crate) enum Expr {
    And(Vec<Self>),
    Or(Vec<Self>),
    Comparison(Comparison),
}

#[derive(Debug, Clone)]
pub(crate) struct Comparison {
    /// With its issuer.
    subject: &'static str,
    pub(crate) operator: &'static str,
    right: Text,
}

/// What stands on the right, with `%` where a variable goes if the realm has one.
#[derive(Debug, Clone)]
pub(crate) struct Text {
    text: &'static str,
    variable: usize,
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for text in self.texts() {
            writeln!(f, "---\n{text}")?;
        }
        writeln!(f, "{:?} {} {:?} {:?}", self.system, self.target, self.want, self.now)?;
        self.facts.iter().try_for_each(|it| writeln!(f, "{it}"))
    }
}

impl World {
    pub(crate) fn request(&self) -> Option<Request> {
        Request::new(&self.target, self.facts.clone(), self.want.clone(), self.now).ok()
    }

    /// The same with documents, policies, items, and the parts of conditions in the opposite order.
    pub(crate) fn turned(&self) -> Self {
        let mut other = self.clone();
        other.documents.reverse();
        for document in &mut other.documents {
            document.reverse();
            for it in document.iter_mut() {
                turn(&mut it.items);
            }
        }
        other
    }

    /// The same in one document.
    pub(crate) fn joined(&self) -> Self {
        Self { documents: vec![self.documents.concat()], ..self.clone() }
    }

    /// The same without one of the items of its policies.
    pub(crate) fn without_one_item(&self, chosen: usize) -> Self {
        let mut other = self.clone();
        let mut policies: Vec<&mut Policy> = other.documents.iter_mut().flatten().collect();
        let count: usize = policies.iter().map(|it| it.items.len()).sum();
        let mut left = chosen % count;
        for policy in &mut policies {
            if left < policy.items.len() {
                policy.items.remove(left);
                break;
            }
            left -= policy.items.len();
        }
        other
    }

    /// The documents as text.
    pub(crate) fn texts(&self) -> Vec<String> {
        self.documents.iter().map(|it| it.iter().map(Policy::text).collect()).collect()
    }
}

fn turn(items: &mut [Item]) {
    items.reverse();
    for it in items {
        match it {
            Item::Rule(condition, items) => {
                condition.turn();
                turn(items);
            }
            Item::Block(items) => turn(items),
            Item::Claim(..) => (),
        }
    }
}

impl Policy {
    pub(crate) fn text(&self) -> String {
        let mut out = format!("{} {{\n", self.realm);
        for it in &self.items {
            it.write(&mut out, &self.variables);
        }
        out + "}\n"
    }

    /// All its comparisons: how and as text.
    pub(crate) fn comparisons(&self) -> Vec<(&'static str, String)> {
        let mut found = Vec::new();
        for it in &self.items {
            it.comparisons(&mut found);
        }
        found.into_iter().map(|it| (it.operator, it.text(&self.variables))).collect()
    }
}

impl Item {
    fn write(&self, out: &mut String, variables: &[&str]) {
        match self {
            Self::Rule(condition, items) => {
                out.push_str(&format!("if ({}) {{\n", condition.text(variables)));
                for it in items {
                    it.write(out, variables);
                }
                out.push_str("}\n");
            }
            Self::Block(items) => {
                out.push_str("{ ");
                for it in items {
                    it.write(out, variables);
                }
                out.push_str("}\n");
            }
            Self::Claim(claim_type, value) => {
                let is_reference = *claim_type != "ssh.require" && value.text.contains("->");
                let value = value.fill(if matches!(*claim_type, "role" | "permit") { &[] } else { variables });
                let value = if is_reference { value } else { format!("\"{value}\"") };
                out.push_str(&format!("{claim_type} {value}\n"));
            }
        }
    }

    fn comparisons<'a>(&'a self, found: &mut Vec<&'a Comparison>) {
        match self {
            Self::Rule(condition, items) => {
                condition.comparisons(found);
                for it in items {
                    it.comparisons(found);
                }
            }
            Self::Block(items) => items.iter().for_each(|it| it.comparisons(found)),
            Self::Claim(..) => (),
        }
    }
}

impl Expr {
    fn turn(&mut self) {
        match self {
            Self::And(parts) | Self::Or(parts) => {
                parts.reverse();
                parts.iter_mut().for_each(Self::turn);
            }
            Self::Comparison(_) => (),
        }
    }

    fn text(&self, variables: &[&str]) -> String {
        let join = |parts: &[Self], word: &str| {
            let texts: Vec<String> = parts.iter().map(|it| it.text(variables)).collect();
            format!("({})", texts.join(word))
        };
        match self {
            Self::And(parts) => join(parts, " && "),
            Self::Or(parts) => join(parts, " || "),
            Self::Comparison(it) => it.text(variables),
        }
    }

    fn comparisons<'a>(&'a self, found: &mut Vec<&'a Comparison>) {
        match self {
            Self::And(parts) | Self::Or(parts) => parts.iter().for_each(|it| it.comparisons(found)),
            Self::Comparison(it) => found.push(it),
        }
    }
}

impl Comparison {
    fn text(&self, variables: &[&str]) -> String {
        let right = self.right.fill(variables);
        match self.operator {
            "in" => format!("{} in (\"{right}\", \"dev\")", self.subject),
            operator => format!("{} {operator} \"{right}\"", self.subject),
        }
    }
}

impl Text {
    fn fixed(text: &'static str) -> Self {
        Self { text, variable: 0 }
    }

    fn fill(&self, variables: &[&str]) -> String {
        if variables.is_empty() {
            return self.text.replace('%', "a");
        }
        self.text.replace('%', &format!("[{}]", variables[self.variable % variables.len()]))
    }
}
