//! Cedar: a policy for each sandbox, one policy over entities, and sets cut by hand for each sandbox.

use std::{
    collections::{HashMap, HashSet},
    fmt::Write as _,
};

use cedar_policy::{
    Authorizer, Context, Decision, Entities, Entity, EntityId, EntityUid, PolicySet, Request, RestrictedExpression,
};

use crate::{
    engine::{Engine, Question},
    sandboxes::ROLE_EVERY,
    texts,
};

fn uid(kind: &str, id: &str) -> EntityUid {
    EntityUid::from_type_name_and_id(kind.parse().expect("a type's name"), EntityId::new(id))
}

fn request(question: &Question) -> Request {
    let (user, job) = (uid("User", &texts::user(question.user)), uid("Job", &texts::target(question.sandbox)));
    Request::new(user, uid("Action", "ssh"), job, Context::empty(), None).expect("requests are good")
}

/// The job, lying in its sandbox.
fn entities(question: &Question) -> Entities {
    let above = HashSet::from([uid("Namespace", &texts::namespace(question.sandbox))]);
    let job = Entity::new_no_attrs(uid("Job", &texts::target(question.sandbox)), above);
    Entities::from_entities([job], None).expect("entities are good")
}

fn policy(sandbox: usize) -> String {
    let who = match sandbox % ROLE_EVERY {
        0 => format!("principal in Group::\"{}\"", texts::team(sandbox)),
        _ => format!("principal == User::\"{}\"", texts::user(sandbox)),
    };
    let namespace = texts::namespace(sandbox);
    format!("permit({who}, action == Action::\"ssh\", resource in Namespace::\"{namespace}\");\n")
}

/// Policies as policies.
pub(crate) fn text(policies: usize) -> String {
    (0..policies).fold(String::new(), |mut text, it| {
        text.write_str(&policy(it)).expect("a text takes more");
        text
    })
}

pub(crate) struct Policies {
    authorizer: Authorizer,
    policies: PolicySet,
    questions: Vec<(Request, Entities)>,
}

pub(crate) fn load(text: &str) -> Policies {
    let policies = text.parse().expect("policies are good");
    Policies { authorizer: Authorizer::new(), policies, questions: Vec::new() }
}

impl Engine for Policies {
    fn prepare(&mut self, questions: &[Question]) {
        self.questions = questions.iter().map(|it| (request(it), entities(it))).collect();
    }

    fn allows(&mut self, question: usize) -> bool {
        let (request, entities) = &self.questions[question];
        self.authorizer.is_authorized(request, &self.policies, entities).decision() == Decision::Allow
    }
}

/// One policy, and who owns what as data.
pub(crate) struct Data {
    authorizer: Authorizer,
    policies: PolicySet,
    entities: Entities,
    questions: Vec<Request>,
}

pub(crate) fn load_data(policies: usize) -> Data {
    let job = |it: usize| {
        let owner = RestrictedExpression::new_entity_uid(match it % ROLE_EVERY {
            0 => uid("Group", &texts::team(it)),
            _ => uid("User", &texts::user(it)),
        });
        let attributes = HashMap::from([("owner".to_owned(), owner)]);
        Entity::new(uid("Job", &texts::target(it)), attributes, HashSet::new()).expect("attributes are good")
    };
    let entities = Entities::from_entities((0..policies).map(job), None).expect("entities are good");
    let text = "permit(principal, action == Action::\"ssh\", resource) when { principal in resource.owner };";
    let policies = text.parse().expect("the policy is good");
    Data { authorizer: Authorizer::new(), policies, entities, questions: Vec::new() }
}

impl Engine for Data {
    fn prepare(&mut self, questions: &[Question]) {
        self.questions = questions.iter().map(request).collect();
    }

    fn allows(&mut self, question: usize) -> bool {
        let request = &self.questions[question];
        self.authorizer.is_authorized(request, &self.policies, &self.entities).decision() == Decision::Allow
    }
}

/// The application finds the policies of a sandbox itself.
pub(crate) struct Sliced {
    authorizer: Authorizer,
    slices: HashMap<String, PolicySet>,
    questions: Vec<(String, Request, Entities)>,
}

pub(crate) fn load_sliced(policies: usize) -> Sliced {
    let slice = |it| (texts::namespace(it), policy(it).parse().expect("the policy is good"));
    Sliced { authorizer: Authorizer::new(), slices: (0..policies).map(slice).collect(), questions: Vec::new() }
}

impl Engine for Sliced {
    fn prepare(&mut self, questions: &[Question]) {
        let question = |it: &Question| (texts::namespace(it.sandbox), request(it), entities(it));
        self.questions = questions.iter().map(question).collect();
    }

    fn allows(&mut self, question: usize) -> bool {
        let (namespace, request, entities) = &self.questions[question];
        let slice = self.slices.get(namespace);
        slice.is_some_and(|it| self.authorizer.is_authorized(request, it, entities).decision() == Decision::Allow)
    }
}
