//! CEL: an expression for each sandbox, and one expression over a map.

use cel::{Context, Program, Value};

use crate::{
    engine::{Engine, Question},
    sandboxes::ROLE_EVERY,
    texts,
};

fn compile(text: &str) -> Program {
    Program::compile(text).expect("the expression is good")
}

fn is_true(program: &Program, context: &Context<'_, '_>) -> bool {
    program.execute(context).is_ok_and(|it| it == Value::Bool(true))
}

/// Expressions, a line each.
pub(crate) fn texts(policies: usize) -> Vec<String> {
    let who = |it: usize| match it % ROLE_EVERY {
        0 => format!("\"{}\" in groups", texts::team(it)),
        _ => format!("user == \"{}\"", texts::user(it)),
    };
    (0..policies).map(|it| format!("sandbox == \"{}\" && {}", texts::namespace(it), who(it))).collect()
}

pub(crate) struct Expressions {
    programs: Vec<Program>,
    questions: Vec<(String, String)>,
}

pub(crate) fn load(texts: &[String]) -> Expressions {
    Expressions { programs: texts.iter().map(|it| compile(it)).collect(), questions: Vec::new() }
}

impl Engine for Expressions {
    fn prepare(&mut self, questions: &[Question]) {
        self.questions = questions.iter().map(|it| (texts::namespace(it.sandbox), texts::user(it.user))).collect();
    }

    fn allows(&mut self, question: usize) -> bool {
        let (namespace, user) = &self.questions[question];
        let mut context = Context::default();
        context.add_variable_from_value("sandbox", namespace.clone());
        context.add_variable_from_value("user", user.clone());
        context.add_variable_from_value("groups", Vec::<String>::new());
        self.programs.iter().any(|it| is_true(it, &context))
    }
}

const OWNER_OR_TEAM: &str =
    "sandbox in owners && owners[sandbox] == user || sandbox in teams && teams[sandbox] in groups";

/// One expression; whose a sandbox is, or which team's, stands in maps.
pub(crate) struct Map {
    program: Program,
    context: Context<'static, 'static>,
    questions: Vec<(String, String)>,
}

pub(crate) fn load_map(policies: usize) -> Map {
    let mut context = Context::default();
    context.add_variable_from_value("owners", texts::owners(policies));
    context.add_variable_from_value("teams", texts::teams(policies));
    Map { program: compile(OWNER_OR_TEAM), context, questions: Vec::new() }
}

impl Engine for Map {
    fn prepare(&mut self, questions: &[Question]) {
        self.questions = questions.iter().map(|it| (texts::namespace(it.sandbox), texts::user(it.user))).collect();
    }

    fn allows(&mut self, question: usize) -> bool {
        let (namespace, user) = &self.questions[question];
        let mut context = self.context.new_inner_scope();
        context.add_variable_from_value("sandbox", namespace.clone());
        context.add_variable_from_value("user", user.clone());
        context.add_variable_from_value("groups", Vec::<String>::new());
        is_true(&self.program, &context)
    }
}
