//! Casbin: a line for each sandbox, and a matcher over what the application looks up.

use std::collections::HashMap;

use casbin::{CoreApi, DefaultModel, Enforcer, MemoryAdapter, MgmtApi};
use serde::Serialize;
use tokio::runtime::{Builder, Runtime};

use crate::{
    engine::{Engine, Question},
    texts,
};

const LINES: &str = "
[request_definition]
r = sub, obj, act

[policy_definition]
p = sub, obj, act

[role_definition]
g = _, _

[policy_effect]
e = some(where (p.eft == allow))

[matchers]
m = r.obj == p.obj && r.act == p.act && g(r.sub, p.sub)
";

const ATTRIBUTES: &str = "
[request_definition]
r = sub, obj, act

[policy_definition]
p = act

[policy_effect]
e = some(where (p.eft == allow))

[matchers]
m = r.act == p.act && (r.sub.name == r.obj.owner || r.obj.team in r.sub.groups)
";

fn runtime() -> Runtime {
    Builder::new_current_thread().build().expect("a runtime")
}

fn enforcer(model: &str, lines: Vec<Vec<String>>) -> Enforcer {
    runtime().block_on(async {
        let model = DefaultModel::from_str(model).await.expect("the model is good");
        let mut enforcer = Enforcer::new(model, MemoryAdapter::default()).await.expect("an enforcer");
        enforcer.add_policies(lines).await.expect("lines are good");
        enforcer
    })
}

/// Policies as lines. Whom a group has, lines of `g` would say; nobody is in one.
pub(crate) fn lines(policies: usize) -> Vec<Vec<String>> {
    (0..policies).map(|it| vec![texts::owner(it), texts::namespace(it), "ssh".to_owned()]).collect()
}

pub(crate) struct Lines {
    enforcer: Enforcer,
    questions: Vec<(String, String)>,
}

pub(crate) fn load(lines: Vec<Vec<String>>) -> Lines {
    Lines { enforcer: enforcer(LINES, lines), questions: Vec::new() }
}

impl Engine for Lines {
    fn prepare(&mut self, questions: &[Question]) {
        self.questions = questions.iter().map(|it| (texts::user(it.user), texts::namespace(it.sandbox))).collect();
    }

    fn allows(&mut self, question: usize) -> bool {
        let (user, namespace) = &self.questions[question];
        self.enforcer.enforce((user.as_str(), namespace.as_str(), "ssh")).is_ok_and(|it| it)
    }
}

/// One rule over attributes, which the application looks up.
pub(crate) struct Attributes {
    enforcer: Enforcer,
    owners: HashMap<String, String>,
    teams: HashMap<String, String>,
    questions: Vec<(String, String)>,
}

#[derive(Serialize, Hash)]
struct User<'a> {
    name: &'a str,
    groups: &'a [String],
}

/// Open to its owner or to a team.
#[derive(Serialize, Hash)]
struct Sandbox<'a> {
    owner: Option<&'a str>,
    team: Option<&'a str>,
}

pub(crate) fn load_attributes(policies: usize) -> Attributes {
    Attributes {
        enforcer: enforcer(ATTRIBUTES, vec![vec!["ssh".to_owned()]]),
        owners: texts::owners(policies),
        teams: texts::teams(policies),
        questions: Vec::new(),
    }
}

impl Engine for Attributes {
    fn prepare(&mut self, questions: &[Question]) {
        self.questions = questions.iter().map(|it| (texts::user(it.user), texts::namespace(it.sandbox))).collect();
    }

    fn allows(&mut self, question: usize) -> bool {
        let (user, namespace) = &self.questions[question];
        let [owner, team] = [&self.owners, &self.teams].map(|it| it.get(namespace).map(String::as_str));
        let sandbox = Sandbox { owner, team };
        self.enforcer.enforce((User { name: user, groups: &[] }, sandbox, "ssh")).is_ok_and(|it| it)
    }
}
