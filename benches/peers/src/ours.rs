//! Gatehouse: with facts looked at before, and with everything as text.

use gatehouse::{
    compile::{PolicySet, System, compile},
    eval::{Claim, Fact, Principal, Request, decide, verdict_for, verdict_of_text},
    source::Source,
};

use crate::{
    engine::{Engine, Question},
    texts,
};

const ISSUER: &str = "auth_server@apcera.me";

/// Documents to a set.
pub(crate) fn load(sources: &[Source]) -> PolicySet {
    compile(sources, System::Included).expect("the documents have no error")
}

/// Facts looked at once for a token.
pub(crate) struct Prepared<'a> {
    pub(crate) set: &'a PolicySet,
    /// What else is known of everyone.
    pub(crate) facts: Vec<Fact>,
    want: [Claim<&'static str>; 1],
    questions: Vec<(String, Principal)>,
}

impl<'a> Prepared<'a> {
    pub(crate) fn new(set: &'a PolicySet, facts: Vec<Fact>) -> Self {
        Self { set, facts, want: ssh(), questions: Vec::new() }
    }
}

fn ssh() -> [Claim<&'static str>; 1] {
    [Claim { claim_type: "permit", value: "ssh" }]
}

fn facts(more: &[Fact], user: usize) -> Vec<Fact> {
    more.iter().cloned().chain([Fact::new(ISSUER, "name", texts::user(user))]).collect()
}

impl Engine for Prepared<'_> {
    fn prepare(&mut self, questions: &[Question]) {
        let principal = |user| Principal::new(facts(&self.facts, user), None).expect("facts are good");
        self.questions = questions.iter().map(|it| (texts::target(it.sandbox), principal(it.user))).collect();
    }

    fn allows(&mut self, question: usize) -> bool {
        let (target, principal) = &self.questions[question];
        verdict_for(self.set, principal, target, &self.want).is_ok_and(|it| it.is_allowed())
    }
}

/// Facts, name and claims as text.
pub(crate) struct Text<'a> {
    set: &'a PolicySet,
    /// What else is known of everyone.
    facts: Vec<Fact>,
    want: [Claim<&'static str>; 1],
    questions: Vec<(String, String)>,
}

impl<'a> Text<'a> {
    pub(crate) fn new(set: &'a PolicySet, facts: Vec<Fact>) -> Self {
        Self { set, facts, want: ssh(), questions: Vec::new() }
    }
}

impl Engine for Text<'_> {
    fn prepare(&mut self, questions: &[Question]) {
        self.questions = questions.iter().map(|it| (texts::target(it.sandbox), texts::user(it.user))).collect();
    }

    fn allows(&mut self, question: usize) -> bool {
        const NONE: Fact<&str> = Fact { issuer: "", claim_type: "", value: "" };
        let (target, user) = &self.questions[question];
        let count = self.facts.len() + 1;
        let mut texts = [NONE; 64];
        texts[0] = Fact { issuer: ISSUER, claim_type: "name", value: user };
        for (text, fact) in texts[1..count].iter_mut().zip(&self.facts) {
            *text = fact.as_text();
        }
        verdict_of_text(self.set, &texts[..count], target, &self.want).is_ok_and(|it| it.is_allowed())
    }
}

/// A whole decision, with what it explains.
pub(crate) struct Explained<'a> {
    set: &'a PolicySet,
    questions: Vec<Request>,
}

impl<'a> Explained<'a> {
    pub(crate) fn new(set: &'a PolicySet) -> Self {
        Self { set, questions: Vec::new() }
    }
}

impl Engine for Explained<'_> {
    fn prepare(&mut self, questions: &[Question]) {
        let request = |it: &Question| {
            let want = vec![Claim::permit("ssh")];
            Request::new(&texts::target(it.sandbox), facts(&[], it.user), want, None).expect("requests are good")
        };
        self.questions = questions.iter().map(request).collect();
    }

    fn allows(&mut self, question: usize) -> bool {
        decide(self.set, &self.questions[question]).is_allowed()
    }
}
