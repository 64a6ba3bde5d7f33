//! Both evaluators asked the same question.

use gatehouse::{
    compile::{PolicySet, System, compile, system::system_sources},
    eval::{
        Claim, Decision, Fact, Principal, Reason, Request, Verdict, decide, reference, verdict, verdict_for,
        verdict_of_text,
    },
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

/// Whether looking up says of a request, and of each claim alone that it or a decision has, what deciding says.
pub(crate) fn agree_on_verdict(set: &PolicySet, request: &Request, decision: &Decision) -> Result<(), String> {
    same_verdict(set, request, decision)?;
    let target = request.target().to_string();
    let without_time = |it: &&Fact| request.now().is_none() || !it.claim_type.starts_with("time.");
    let facts: Vec<Fact> = request.facts().iter().filter(without_time).cloned().collect();
    for claim in request.want().iter().chain(decision.claims()) {
        let alone = Request::new(&target, facts.clone(), vec![claim.clone()], request.now());
        let alone = alone.map_err(|err| err.to_string())?;
        same_verdict(set, &alone, &decide(set, &alone))?;
    }
    Ok(())
}

fn same_verdict(set: &PolicySet, request: &Request, decision: &Decision) -> Result<(), String> {
    let given = verdict(set, request);
    let missing = decision.missing().first().map(|it| request.want().iter().position(|want| want == it));
    let facts: Vec<Fact<&str>> = request.facts().iter().map(Fact::as_text).collect();
    let want: Vec<Claim<&str>> = request.want().iter().map(Claim::as_text).collect();
    let of_text = verdict_of_text(set, &facts, &request.target().to_string(), &want);
    if of_text != Ok(given) {
        return Err(format!("{request:#?}\n{given:?}, and of text\n{of_text:?}"));
    }
    let principal = Principal::new(request.facts().to_vec(), None).map_err(|it| it.to_string())?;
    let prepared = verdict_for(set, &principal, &request.target().to_string(), &want);
    if prepared != Ok(given) {
        return Err(format!("{request:#?}\n{given:?}, and prepared\n{prepared:?}"));
    }
    let same = match (given, missing) {
        (Verdict::Allowed(reason), None) => decision.is_allowed() && is_rule(set, reason),
        (Verdict::Missing(at), Some(missing)) => missing == Some(at),
        (Verdict::Refused, None) => !decision.is_allowed(),
        (Verdict::Allowed(_) | Verdict::Refused, Some(_)) | (Verdict::Missing(_), None) => false,
    };
    if same {
        return Ok(());
    }
    let texts: Vec<&str> = set.sources().iter().map(Source::text).collect();
    Err(format!("{request:#?}\n{given:?}\nis not\n{decision:#?}\nof\n{}", texts.join("\n")))
}

/// Whether a reason is a rule, a block or a claim of its document.
fn is_rule(set: &PolicySet, reason: Reason) -> bool {
    let Some(place) = reason.place(set) else { return false };
    let source = set.sources().iter().find(|it| it.document() == place.document);
    let line = source.and_then(|it| it.text().lines().nth(place.line - 1)).unwrap_or_default();
    let text: String = line.chars().skip(place.column - 1).collect();
    text.starts_with("if") || text.starts_with(|c: char| c == '{' || c.is_alphabetic())
}
