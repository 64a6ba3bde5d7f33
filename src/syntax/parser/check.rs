//! What the grammar cannot say: which right sides an operator takes, which names and variables there are.

use smol_str::SmolStr;

use crate::{
    diagnostic::{Code, Diagnostic, printable::short},
    limits::CLAIM_VALUES_MAX,
    source::Span,
    syntax::{
        ast::{Asserted, Claim, Comparison, Name, Operator, Piece, Value},
        character::{is_bidi_control, is_forbidden_control, is_invisible, is_made_of, is_name},
        cidr::{Network, NetworkError},
        lexer::Lexeme,
        literal::Literal,
        parser::Reader,
        realm,
        suggest::{closest, one_slip},
        vocabulary::{CONTEXT_TYPES, is_context},
    },
};

impl<'a> Reader<'a> {
    pub(super) fn check_header(&mut self, lexeme: Lexeme<'a>) {
        let is_hidden = |c: char| is_bidi_control(c) || is_forbidden_control(c) || is_invisible(c) || c == '\r';
        if let Some((at, c)) = lexeme.text.char_indices().find(|&(_, c)| is_hidden(c)) {
            let start = lexeme.span.start.saturating_add(at);
            self.push(Diagnostic::new(
                if is_bidi_control(c) { Code::BidiControl } else { Code::ControlCharacter },
                Span::new(start, start.saturating_add(c.len_utf8())),
                "the header holds a character that nobody can see",
                format!("U+{:04X} stands here", u32::from(c)),
            ));
        }
    }

    pub(super) fn check_claim_type(&mut self, lexeme: Lexeme<'a>) {
        self.check_name(lexeme, "claim type", "letters, digits, `.`, `_` and `-`", is_name);
    }

    pub(super) fn check_issuer(&mut self, lexeme: Lexeme<'a>) {
        self.check_name(lexeme, "issuer", "letters, digits, `.`, `_`, `-` and `@`", |c| is_name(c) || c == '@');
    }

    #[inline]
    fn check_name(&mut self, lexeme: Lexeme<'a>, what: &str, made_of: &str, is_part: fn(char) -> bool) {
        if !lexeme.flawed && !is_made_of(lexeme.text, is_part) {
            self.bad_name(lexeme, what, made_of, is_part);
        }
    }

    fn bad_name(&mut self, lexeme: Lexeme<'a>, what: &str, made_of: &str, is_part: fn(char) -> bool) {
        let text = short(lexeme.text);
        let error = Diagnostic::new(
            Code::BadName,
            lexeme.span,
            format!("`{text}` is no {what}"),
            format!("a {what} is made of {made_of}"),
        );
        if what == "claim type"
            && let Some(meant) = with_arrow(lexeme.text)
        {
            let error = error.with_help(format!("between an issuer and its claim stands `->`: `{}`", short(&meant)));
            return self.push(error.with_fix("write `->`", false, lexeme.span, meant));
        }
        let plain = lexeme.text.trim_end_matches(':');
        self.push(if plain.chars().all(is_part) && !plain.is_empty() {
            let error = error.with_help(format!("did you mean `{}`?", short(plain)));
            error.with_fix(format!("write `{}`", short(plain)), true, lexeme.span, plain)
        } else if lexeme.text.contains("::") {
            error.with_help(
                "if a policy begins here, `{` belongs behind its realm; if it is a value, `,` belongs before it",
            )
        } else {
            error
        });
    }

    /// Every variable of a value is bound by the realm; each unbound one is told once for a policy.
    pub(super) fn check_variables(&mut self, value: &Value) {
        for piece in &value.pieces {
            if let Piece::Variable(name) = piece {
                self.check_bound(name);
            }
        }
    }

    fn check_bound(&mut self, name: &Name) {
        let Some(bound) = &self.ground.variables else { return };
        if bound.contains(&name.text) || self.ground.told.contains(&name.text) {
            return;
        }
        let error = Diagnostic::new(
            Code::UnboundVariable,
            name.span,
            format!("the realm binds no `[{}]`", short(&name.text)),
            "a variable gets its value from a segment of the realm",
        );
        let near = closest(&name.text, bound.iter().map(SmolStr::as_str)).map(str::to_owned);
        let error = match (near, bound.as_slice()) {
            (Some(near), _) => error.with_help(format!("did you mean `[{near}]`?")).with_fix(
                format!("write `[{near}]`"),
                false,
                name.span,
                format!("[{near}]"),
            ),
            (None, []) => {
                error.with_help(format!("bind it: `job::/sandbox/[{}]`; as plain text it is `\\[`", short(&name.text)))
            }
            (None, bound) => error.with_help(format!("bound are [{}]", short(&bound.join("], [")))),
        };
        self.ground.told.push(name.text.clone());
        self.push(error);
    }

    pub(super) fn check_claim(&mut self, claim: &Claim) {
        if claim.asserted.len() > CLAIM_VALUES_MAX {
            let count = claim.asserted.len();
            let message = format!("this claim has {count} values, more than the {CLAIM_VALUES_MAX} it may have");
            self.push(Diagnostic::new(Code::TooManyValues, claim.span, message, "too many values"));
        }
        if matches!(claim.claim_type.text.as_str(), "permit" | "role") {
            for asserted in &claim.asserted {
                self.check_constant(&claim.claim_type, asserted);
            }
        }
    }

    /// Else `role Google->role` would let an identity provider name roles.
    fn check_constant(&mut self, claim_type: &Name, asserted: &Asserted) {
        let (span, what) = match asserted {
            Asserted::Reference { span, .. } => (*span, "someone else's claim"),
            Asserted::Value(value) if value.constant().is_none() => (value.span, "a variable"),
            Asserted::Value(_) => return,
        };
        let claim_type = &claim_type.text;
        self.push(
            Diagnostic::new(
                Code::NotConstant,
                span,
                format!("the value of `{claim_type}` is written out, never taken from {what}"),
                "not a constant",
            )
            .with_help(format!("else whoever chooses that text would choose the {claim_type}")),
        );
    }

    pub(super) fn check_comparison(&mut self, comparison: &Comparison) {
        self.check_monotone(comparison);
        let Some(value) = comparison.values.first() else { return };
        match comparison.operator {
            Operator::Equal | Operator::Equals | Operator::NotEqual | Operator::In => {
                for value in &comparison.values {
                    self.check_segments(value);
                }
            }
            Operator::BeginsWith | Operator::EndsWith => self.check_affix(value),
            Operator::FqnMatch => self.check_realm(value),
            Operator::Contains => self.check_without_variable(value, "`contains`"),
            Operator::Matches => self.check_pattern(value),
            Operator::InCidr => self.check_network(value),
            Operator::Less | Operator::LessOrEqual | Operator::Greater | Operator::GreaterOrEqual => {
                self.check_ordered(value);
            }
        }
    }

    /// What rules assert may only be asked for, so that granting more never takes anything away (section 5).
    fn check_monotone(&mut self, comparison: &Comparison) {
        let sign = match comparison.operator {
            Operator::NotEqual => "!=",
            Operator::Less => "<",
            Operator::LessOrEqual => "<=",
            Operator::Greater => ">",
            Operator::GreaterOrEqual => ">=",
            Operator::Equal
            | Operator::Equals
            | Operator::BeginsWith
            | Operator::EndsWith
            | Operator::FqnMatch
            | Operator::Contains
            | Operator::Matches
            | Operator::InCidr
            | Operator::In => return,
        };
        let claim_type = &comparison.claim_type;
        if comparison.issuer.is_some() || is_context(&claim_type.text) || !is_made_of(&claim_type.text, is_name) {
            return;
        }
        let error = Diagnostic::new(
            Code::NotMonotone,
            comparison.operator_span,
            format!("`{sign}` does not apply to `{}`, which rules assert", short(&claim_type.text)),
            "else one more grant could take another away",
        )
        .with_label(claim_type.span, "a claim without an issuer is one that rules assert");
        self.push(match one_slip(&claim_type.text, CONTEXT_TYPES.iter().copied().filter(|it| it.contains('.'))) {
            Some(near) => error.with_help(format!("did you mean `{near}`, which the engine supplies?")).with_fix(
                format!("write `{near}`"),
                false,
                claim_type.span,
                near,
            ),
            None => error.with_help("name the issuer, as in `Google->email`, or test for what is there with `==`"),
        });
    }

    /// At most one variable between two slashes.
    fn check_segments(&mut self, value: &Value) {
        let mut seen = false;
        for piece in &value.pieces {
            match piece {
                Piece::Text(text) if text.contains('/') => seen = false,
                Piece::Text(_) => (),
                Piece::Variable(name) if seen => {
                    return self.variable_not_allowed(name.span, "a segment takes one variable, not two");
                }
                Piece::Variable(_) => seen = true,
            }
        }
    }

    fn check_affix(&mut self, value: &Value) {
        let variables = value.pieces.iter().filter_map(|piece| match piece {
            Piece::Variable(name) => Some(name.span),
            Piece::Text(_) => None,
        });
        if let Some(second) = variables.clone().nth(1) {
            self.variable_not_allowed(second, "`beginsWith` and `endsWith` take one variable, not two");
        }
        if value.constant() == Some("") {
            self.push(
                Diagnostic::new(Code::EmptyAffix, value.span, "every text begins and ends with an empty text", "empty")
                    .with_help("write what the text has to begin or end with"),
            );
        }
    }

    fn check_realm(&mut self, value: &Value) {
        let Err(inner) = realm::of_value(value) else { return };
        let message = format!("right of `fqnMatch` stands a realm: {}", inner.message);
        let mut error = Diagnostic::new(Code::NotARealm, inner.span, message, inner.label);
        (error.help, error.fixes) = (inner.help, inner.fixes);
        self.push(error);
    }

    fn check_without_variable(&mut self, value: &Value, operator: &str) {
        if let Some(Piece::Variable(name)) = value.pieces.iter().find(|it| matches!(it, Piece::Variable(_))) {
            self.variable_not_allowed(name.span, &format!("no variable stands right of {operator}"));
        }
    }

    fn check_pattern(&mut self, value: &Value) {
        self.check_without_variable(value, "`matches`");
        let Some(pattern) = value.constant() else { return };
        let escapes = pattern.len().saturating_sub(pattern.trim_end_matches('\\').len());
        if !escapes.is_multiple_of(2) {
            self.push(
                Diagnostic::new(
                    Code::BadPattern,
                    value.span,
                    "this pattern ends with a `\\` that takes the next character as it is",
                    "no character follows",
                )
                .with_help("a `\\` itself is `\\\\\\\\` in a pattern in quotes"),
            );
        }
    }

    fn check_network(&mut self, value: &Value) {
        let Some(text) = value.constant() else { return self.check_without_variable(value, "`inCidr`") };
        let Err(error) = Network::parse(text) else { return };
        let diagnostic = Diagnostic::new(
            Code::NotANetwork,
            value.span,
            format!("right of `inCidr` stands a network, and `{}` is none", short(text)),
            error.to_string(),
        );
        self.push(match error {
            NetworkError::HostBits { base, prefix } => {
                let fixed = format!("\"{base}/{prefix}\"");
                diagnostic
                    .with_help(format!("write `{base}/{prefix}` for the network, or no `/` for one address"))
                    .with_fix("write the network", false, value.span, fixed)
            }
            NetworkError::Address | NetworkError::Prefix { .. } => {
                diagnostic.with_help("a network looks like `10.0.0.0/8` or `2001:db8::/32`")
            }
        });
    }

    fn check_ordered(&mut self, value: &Value) {
        let Some(text) = value.constant() else {
            return self.check_without_variable(value, "an ordering operator");
        };
        if let Err(error) = Literal::parse(text) {
            self.push(
                Diagnostic::new(
                    Code::NotOrdered,
                    value.span,
                    format!("`{}` has no place in an order", short(text)),
                    error.to_string(),
                )
                .with_help("such values are `42`, `500MB`, `10Mbps`, `15m`, `2026-01-31` and `\"08:30\"`"),
            );
        }
    }

    fn variable_not_allowed(&mut self, span: Span, message: &str) {
        self.push(
            Diagnostic::new(Code::VariableNotAllowed, span, message, "this variable")
                .with_help("else nobody could say from the policy alone whom it admits"),
        );
    }
}

/// `auth_server@apcera.me.name`, `Google::email`: an issuer and a claim type with something else than `->` between them.
fn with_arrow(text: &str) -> Option<String> {
    const ENGINE: &str = "auth_server@apcera.me";
    let (issuer, claim_type) = match text.strip_prefix(ENGINE) {
        Some(rest) => (ENGINE, rest.trim_start_matches(['.', ':', '-'])),
        None => text.split_once("::")?,
    };
    let are_names = claim_type.chars().all(is_name) && issuer.chars().all(|c| is_name(c) || c == '@');
    (are_names && !issuer.is_empty() && !claim_type.is_empty()).then(|| format!("{issuer}->{claim_type}"))
}
