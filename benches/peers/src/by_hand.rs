//! The same question answered by someone who has no language: a hash map from namespace to owner.

use crate::{
    engine::{Engine, Question},
    sandboxes::ByHand,
    texts,
};

pub(crate) struct HashMapLookUp {
    map: ByHand,
    questions: Vec<(String, String)>,
}

pub(crate) fn load(policies: usize) -> HashMapLookUp {
    HashMapLookUp { map: ByHand::new(policies), questions: Vec::new() }
}

impl Engine for HashMapLookUp {
    fn prepare(&mut self, questions: &[Question]) {
        self.questions = questions.iter().map(|it| (texts::target(it.sandbox), texts::user(it.user))).collect();
    }

    fn allows(&mut self, question: usize) -> bool {
        let (target, user) = &self.questions[question];
        self.map.allows(target, user)
    }
}
