//! Both evaluators asked the same question.

use gatehouse::{
    compile::{PolicySet, System, compile, system::system_sources},
    eval::{Decision, Request, reference},
    source::Source,
};

/// Texts as the documents `d0.pol`, `d1.pol`, ...
pub(crate) fn sources(texts: &[String]) -> Vec<Source> {
    let named = texts.iter().enumerate();
    named.map(|(at, text)| Source::new(format!("d{at}.pol"), text.as_bytes().to_vec()).unwrap()).collect()
}

/// The set, and its documents with those of the system, as the reference evaluator wants them; none where the random
/// documents are no set.
pub(crate) fn compiled(texts: &[String], system: System) -> Option<(Vec<Source>, PolicySet)> {
    let mut sources = sources(texts);
    let set = match compile(&sources, system) {
        Ok(set) => set,
        Err(findings) => {
            // Two values of a scalar are the one mistake that the generator makes.
            let other = findings.iter().find(|it| it.diagnostic.code.code() != "E0603");
            assert!(other.is_none(), "{findings:#?}\n{}", texts.join("\n"));
            return None;
        }
    };
    if system == System::Included {
        sources.extend(system_sources());
    }
    Some((sources, set))
}

/// Whether the reference evaluator says the same; else both answers.
pub(crate) fn agree(sources: &[Source], request: &Request, decision: &Decision) -> Result<(), String> {
    let answer = reference::decide(sources, request);
    let same = answer.allowed == decision.is_allowed()
        && answer.missing == decision.missing()
        && answer.claims == decision.claims()
        && answer.effective == *decision.effective()
        && answer.refusals == decision.refusals();
    if same {
        return Ok(());
    }
    let texts: Vec<&str> = sources.iter().map(Source::text).collect();
    Err(format!("{request:#?}\n{answer:#?}\nis not\n{decision:#?}\nof\n{}", texts.join("\n")))
}
