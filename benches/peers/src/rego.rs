//! Regorus, an interpreter of Rego: a rule for each sandbox, and one rule over data.

use std::{fmt::Write as _, sync::Arc};

use regorus::{CompiledPolicy, Engine as Rego, Value};
use serde_json::json;

use crate::{
    engine::{Engine, Question},
    sandboxes::ROLE_EVERY,
    texts,
};

pub(crate) struct Compiled {
    policy: CompiledPolicy,
    questions: Vec<Value>,
}

const HEAD: &str = "package gate\n\ndefault allow := false\n\n";

/// Rules as rules.
pub(crate) fn text(policies: usize) -> String {
    (0..policies).fold(HEAD.to_owned(), |mut text, it| {
        let who = match it % ROLE_EVERY {
            0 => format!("\"{}\" in input.groups", texts::team(it)),
            _ => format!("input.user == \"{}\"", texts::user(it)),
        };
        writeln!(text, "allow if {{ input.namespace == \"{}\"; {who} }}", texts::namespace(it)).expect("room");
        text
    })
}

/// The rule that reads data.
pub(crate) fn text_data() -> String {
    format!(
        "{HEAD}allow if data.owners[input.namespace] == input.user\nallow if data.teams[input.namespace] in input.groups\n"
    )
}

/// Owners and teams by sandbox.
pub(crate) fn data(policies: usize) -> String {
    json!({ "owners": texts::owners(policies), "teams": texts::teams(policies) }).to_string()
}

/// None where the engine refuses so many rules.
pub(crate) fn load(text: &str, data: Option<&str>) -> Option<Compiled> {
    let mut engine = Rego::new();
    engine.clear_policy_length_config();
    engine.add_policy("gate.rego".to_owned(), text.to_owned()).ok()?;
    if let Some(data) = data {
        engine.add_data_json(data).ok()?;
    }
    let policy = engine.compile_with_entrypoint(&Arc::from("data.gate.allow")).ok()?;
    Some(Compiled { policy, questions: Vec::new() })
}

impl Engine for Compiled {
    fn prepare(&mut self, questions: &[Question]) {
        let input = |it: &Question| {
            let input =
                json!({ "namespace": texts::namespace(it.sandbox), "user": texts::user(it.user), "groups": [] });
            Value::from_json_str(&input.to_string()).expect("JSON")
        };
        self.questions = questions.iter().map(input).collect();
    }

    fn allows(&mut self, question: usize) -> bool {
        let answer = self.policy.eval_with_input(self.questions[question].clone());
        answer.is_ok_and(|it| it == Value::Bool(true))
    }
}
