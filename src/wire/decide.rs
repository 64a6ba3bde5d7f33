//! Decisions as JSON: what `apc policy decide` and `why` read and write, one object a line.
//!
//! Reading is strict, because a key that is ignored is a condition that is ignored: unknown and doubled keys, `null`,
//! and values of another kind are errors.

use std::collections::BTreeMap;

use jiff::{civil, tz::Offset};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::eval::{
    BadRequest, Claim, Condition, Decision, Denial, Fact, NearMiss, Now, Place, Request, Step, Used, sentence,
};

/// A request to be decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a request: an object with `target`, `facts` and `want`")]
pub struct DecideRequest {
    /// A complete name.
    pub target: String,
    /// None where absent.
    #[serde(default)]
    pub facts: Vec<FactJson>,
    /// At least one.
    pub want: Vec<ClaimJson>,
    /// RFC 3339 with offset; supplies the time context.
    #[serde(default, deserialize_with = "some_text", skip_serializing_if = "Option::is_none")]
    pub now: Option<String>,
}

/// A fact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, expecting = r#"a fact such as {"issuer": "LDAP", "type": "group", "value": "sre"}"#)]
pub struct FactJson {
    /// Empty or absent for context.
    #[serde(default)]
    pub issuer: String,
    /// Claim type.
    #[serde(rename = "type")]
    pub claim_type: String,
    /// Value.
    pub value: String,
}

/// A claim.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, expecting = r#"a claim such as {"type": "permit", "value": "ssh"}"#)]
pub struct ClaimJson {
    /// Claim type.
    #[serde(rename = "type")]
    pub claim_type: String,
    /// Value.
    pub value: String,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DecideAnswer {
    /// Whether all that is wanted was asserted and nothing restricts it away.
    pub allowed: bool,
    /// Unique, in the request's order.
    pub missing: Vec<ClaimJson>,
    /// Unique, ascending by bytes.
    pub claims: Vec<ClaimJson>,
    /// The rules of one derivation of each wanted claim; empty on denial.
    pub because: Vec<PlaceJson>,
    /// Restricting claims and scalars in force: type to values.
    pub effective: BTreeMap<String, Vec<String>>,
}

/// Where a rule stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlaceJson {
    /// Document name without `.pol`.
    pub document: String,
    /// From 1.
    pub line: usize,
    /// From 1, in code points.
    pub column: usize,
}

/// An answer and its reasons, as `apc policy why` writes them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WhyAnswer {
    /// The same as of `decide`.
    #[serde(flatten)]
    pub answer: DecideAnswer,
    /// All of it in a sentence for a person; of a denial with the rule that comes nearest.
    pub sentence: String,
    /// Restrictions that refuse what would otherwise be allowed, one sentence each.
    pub refusals: Vec<String>,
    /// The derivation of each wanted claim that was asserted; what a step uses stands before it.
    pub steps: Vec<StepJson>,
    /// Rules that would have given a missing claim, or one that leads to it; the nearest first.
    pub nearest: Vec<NearMissJson>,
    /// How many more of these there are.
    pub more: usize,
    /// Unix second at which a time condition that the answer depends on turns, or null.
    pub valid_until: Option<i64>,
}

/// One asserted claim and its rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepJson {
    /// What was asserted.
    pub claim: ClaimJson,
    /// The rule.
    pub place: PlaceJson,
    /// The facts that made it true.
    pub facts: Vec<FactJson>,
    /// The claims that made it true.
    pub claims: Vec<ClaimJson>,
}

/// A rule that would have helped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NearMissJson {
    /// What it would have asserted.
    pub claim: ClaimJson,
    /// The missing claim that this leads to.
    pub wanted: ClaimJson,
    /// The rule.
    pub place: PlaceJson,
    /// How many of its conditions at least would have to become true.
    pub unmet: usize,
    /// In the order of its text.
    pub conditions: Vec<ConditionJson>,
}

/// One condition of a rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConditionJson {
    /// As the document has it.
    pub text: String,
    /// Whether it holds.
    pub held: bool,
    /// What there is of the fact or claim that is compared.
    pub found: Vec<String>,
    /// What the variables in it are bound to.
    pub bound: BTreeMap<String, String>,
    /// A fact of the request that someone may have taken for the one that is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// What stands in an answer's place where a request could not be decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DecideError {
    /// One sentence.
    pub error: String,
}

/// Why a request that is good JSON is no good request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecideRequestError {
    /// What the evaluator refuses.
    #[error(transparent)]
    Request(#[from] BadRequest),
    /// Not a date and time with offset.
    #[error("`{}` is no RFC 3339 time with an offset", .0.escape_debug())]
    Now(String),
}

impl DecideRequest {
    /// Reads one line.
    ///
    /// ```
    /// use gatehouse::wire::decide::DecideRequest;
    ///
    /// let line = r#"{"target":"job::/sandbox/tom::web","want":[{"type":"permit","value":"ssh"}]}"#;
    /// assert!(DecideRequest::parse(line)?.into_request().is_ok());
    /// # Ok::<(), serde_json::Error>(())
    /// ```
    pub fn parse(line: &str) -> Result<Self, serde_json::Error> {
        let request = serde_json::from_str(line)?;
        // Serde takes `["x"]` for `{"a":"x"}`. Whether names are there is part of the contract.
        let value: Value = serde_json::from_str(line)?;
        let items = ["facts", "want"].iter().filter_map(|it| value.get(it)?.as_array()).flatten();
        if value.is_object() && items.into_iter().all(Value::is_object) {
            return Ok(request);
        }
        Err(serde::de::Error::custom("a request, a fact and a claim are objects"))
    }

    /// The request as the evaluator takes it.
    pub fn into_request(self) -> Result<Request, DecideRequestError> {
        let now = match &self.now {
            Some(text) => Some(parse_now(text).ok_or_else(|| DecideRequestError::Now(text.clone()))?),
            None => None,
        };
        let facts = self.facts.into_iter().map(|it| Fact::new(it.issuer, it.claim_type, it.value)).collect();
        let want = self.want.into_iter().map(|it| Claim::new(it.claim_type, it.value)).collect();
        Ok(Request::new(&self.target, facts, want, now)?)
    }
}

/// Reads an instant as RFC 3339 writes it; fractions of a second are dropped.
///
/// Stricter than a general parser of times: no blank in place of `T`, no missing seconds, no zone in brackets, so that
/// two programs cannot read two instants.
pub fn parse_now(text: &str) -> Option<Now> {
    let (date, rest) = text.split_once(['T', 't'])?;
    let zone_at = rest.find(['Z', 'z', '+', '-'])?;
    let (time, zone) = rest.split_at_checked(zone_at)?;
    let (time, fraction) = time.split_once('.').map_or((time, None), |(time, fraction)| (time, Some(fraction)));
    let is_fraction = |it: &str| !it.is_empty() && it.bytes().all(|it| it.is_ascii_digit());
    let good = has_shape(date, "0000-00-00") && has_shape(time, "00:00:00") && fraction.is_none_or(is_fraction);
    if !good || time.ends_with("60") {
        return None;
    }
    let local: civil::DateTime = format!("{date}T{time}").parse().ok()?;
    let offset = Offset::from_seconds(parse_offset(zone)?).ok()?;
    let unix_seconds = offset.to_timestamp(local).ok()?.as_second();
    Some(Now { unix_seconds, offset_seconds: offset.seconds() })
}

fn parse_offset(zone: &str) -> Option<i32> {
    let (sign, time) = match zone.split_at_checked(1)? {
        ("Z" | "z", "") => return Some(0),
        ("+", time) => (1, time),
        ("-", time) => (-1, time),
        _ => return None,
    };
    let (hours, minutes) = time.split_once(':').filter(|_| has_shape(time, "00:00"))?;
    let (hours, minutes): (i32, i32) = (hours.parse().ok()?, minutes.parse().ok()?);
    let seconds = hours.checked_mul(3_600)?.checked_add(minutes.checked_mul(60)?)?.checked_mul(sign)?;
    (hours <= 23 && minutes <= 59).then_some(seconds)
}

/// Whether the text has digits where the pattern has `0`, and the pattern's own characters elsewhere.
fn has_shape(text: &str, pattern: &str) -> bool {
    text.len() == pattern.len()
        && text.bytes().zip(pattern.bytes()).all(|(own, wanted)| match wanted {
            b'0' => own.is_ascii_digit(),
            wanted => own == wanted,
        })
}

/// A text that is there; `null` is none.
fn some_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    String::deserialize(deserializer).map(Some)
}

impl From<&Decision> for DecideAnswer {
    fn from(decision: &Decision) -> Self {
        Self {
            allowed: decision.is_allowed(),
            missing: decision.missing().iter().map(ClaimJson::from).collect(),
            claims: decision.claims().iter().map(ClaimJson::from).collect(),
            because: decision.because().iter().map(PlaceJson::from).collect(),
            effective: decision.effective().values.clone(),
        }
    }
}

impl WhyAnswer {
    /// An answer with its reasons.
    pub fn new(request: &Request, decision: &Decision, denial: &Denial) -> Self {
        Self {
            answer: decision.into(),
            sentence: sentence(request, decision, denial),
            refusals: decision.refusals().iter().map(ToString::to_string).collect(),
            steps: decision.why().iter().map(StepJson::from).collect(),
            nearest: denial.nearest.iter().map(NearMissJson::from).collect(),
            more: denial.more,
            valid_until: decision.valid_until(),
        }
    }
}

impl From<&Step> for StepJson {
    fn from(step: &Step) -> Self {
        let (mut facts, mut claims) = (Vec::new(), Vec::new());
        for used in &step.used {
            match used {
                Used::Fact(fact) => facts.push(fact.into()),
                Used::Claim(claim) => claims.push(claim.into()),
            }
        }
        Self { claim: (&step.claim).into(), place: (&step.place).into(), facts, claims }
    }
}

impl From<&NearMiss> for NearMissJson {
    fn from(miss: &NearMiss) -> Self {
        let condition = |it: &Condition| ConditionJson {
            text: it.text.clone(),
            held: it.held,
            found: it.found.clone(),
            bound: it.bound.iter().cloned().collect(),
            hint: it.hint.clone(),
        };
        Self {
            claim: (&miss.claim).into(),
            wanted: (&miss.wanted).into(),
            place: (&miss.place).into(),
            unmet: miss.unmet,
            conditions: miss.conditions.iter().map(condition).collect(),
        }
    }
}

impl From<&Fact> for FactJson {
    fn from(fact: &Fact) -> Self {
        let [issuer, claim_type, value] = [&fact.issuer, &fact.claim_type, &fact.value].map(ToString::to_string);
        Self { issuer, claim_type, value }
    }
}

impl From<&Claim> for ClaimJson {
    fn from(claim: &Claim) -> Self {
        Self { claim_type: claim.claim_type.to_string(), value: claim.value.to_string() }
    }
}

impl From<&Place> for PlaceJson {
    fn from(place: &Place) -> Self {
        Self { document: place.document.to_string(), line: place.line, column: place.column }
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        eval::Now,
        wire::decide::{DecideRequest, parse_now},
    };

    #[test]
    fn what_is_no_request_is_told_in_words_of_requests() {
        for (text, expected) in [
            ("[]", "a request: an object with"),
            (r#"{"target": "job::/", "want": ["ssh"]}"#, r#"a claim such as {"type": "permit", "value": "ssh"}"#),
            (r#"{"target": "job::/", "facts": ["tom"], "want": []}"#, r#"a fact such as {"issuer": "LDAP""#),
        ] {
            let error = DecideRequest::parse(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }

    #[test]
    fn an_instant_has_its_offset() {
        let now = |unix_seconds, offset_seconds| Some(Now { unix_seconds, offset_seconds });
        assert_eq!(parse_now("1970-01-01T00:00:00Z"), now(0, 0));
        assert_eq!(parse_now("1970-01-01t01:00:00.999+01:00"), now(0, 3_600));
        assert_eq!(parse_now("1969-12-31T19:00:00-05:00"), now(0, -18_000));
        assert_eq!(parse_now("1970-01-01T00:00:00-00:00"), now(0, 0));
    }

    #[test]
    fn what_is_no_instant_is_refused() {
        for text in [
            "",
            "now",
            "1970-01-01",
            "1970-01-01T00:00Z",
            "1970-01-01T00:00:00",
            "1970-01-01 00:00:00Z",
            "1970-01-01T00:00:00+0100",
            "1970-01-01T00:00:00+01",
            "1970-01-01T00:00:00+24:00",
            "1970-01-01T00:00:00+01:60",
            "1970-02-30T00:00:00Z",
            "1970-01-01T24:00:00Z",
            "1970-01-01T00:00:60Z",
            "1970-01-01T00:00:00.Z",
            "1970-01-01T00:00:00Z[UTC]",
            " 1970-01-01T00:00:00Z",
            "1970-01-01T00:00:00Zjunk",
            "+1970-01-01T00:00:00Z",
            "1970-01-01T00:00:00+١٢:٠٠",
        ] {
            assert_eq!(parse_now(text), None, "{text:?}");
        }
    }

    #[test]
    fn json_that_means_two_things_is_refused() {
        let good = r#"{"target":"job::/","want":[{"type":"permit","value":"ssh"}]}"#;
        assert!(DecideRequest::parse(good).is_ok());
        for bad in [
            r#"{"target":"job::/"}"#,
            r#"{"want":[{"type":"permit","value":"ssh"}]}"#,
            r#"{"target":"job::/","target":"job::/a","want":[]}"#,
            r#"{"target":"job::/","want":[],"Facts":[]}"#,
            r#"{"target":"job::/","want":[],"facts":null}"#,
            r#"{"target":"job::/","want":[],"now":null}"#,
            r#"{"target":"job::/","want":[],"now":0}"#,
            r#"{"target":null,"want":[]}"#,
            r#"{"target":"job::/","want":[{"type":"permit"}]}"#,
            r#"{"target":"job::/","want":[{"type":"permit","value":1}]}"#,
            r#"{"target":"job::/","want":[{"type":"permit","value":"a","value":"b"}]}"#,
            r#"{"target":"job::/","want":[{"type":"permit","value":"a","issuer":""}]}"#,
            r#"{"target":"job::/","want":[],"facts":[{"issuer":null,"type":"a","value":"b"}]}"#,
            r#"{"target":"job::/","want":[],"facts":[{"type":"a","value":["b"]}]}"#,
            r#"["job::/",[],[{"type":"permit","value":"ssh"}]]"#,
            r#"{"target":"job::/","want":[["permit","ssh"]]}"#,
            r#"{"target":"job::/","want":[{"type":"permit","value":"ssh"}],"facts":[["","a","b"]]}"#,
            r#"{"target":"job::/","want":[]} {}"#,
            "",
            "null",
        ] {
            assert!(DecideRequest::parse(bad).is_err(), "{bad}");
        }
    }
}
