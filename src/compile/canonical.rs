//! The meaning of a condition as text, so that what means the same is found by looking it up.

use std::fmt::Write as _;

use crate::{compile::realm::Variables, syntax::ast};

/// The meaning of a condition as text: no groups, one name for each operator, variables by number.
pub(crate) fn canonical_expr(out: &mut String, expr: &ast::Expr, variables: &Variables) {
    match expr {
        ast::Expr::Group(inner, _) => canonical_expr(out, inner, variables),
        ast::Expr::And(parts) => canonical_parts(out, "and", parts, variables),
        ast::Expr::Or(parts) => canonical_parts(out, "or", parts, variables),
        ast::Expr::Comparison(comparison) => {
            let issuer = comparison.issuer.as_ref().map(|it| it.text.as_str()).unwrap_or_default();
            let is_equals = comparison.operator == ast::Operator::Equals;
            let operator = if is_equals { ast::Operator::Equal } else { comparison.operator };
            out.extend(["(", issuer, "->", &comparison.claim_type.text, " ", operator.text()]);
            for value in &comparison.values {
                out.push(' ');
                canonical_value(out, value, variables);
            }
            out.push(')');
        }
    }
}

fn canonical_parts(out: &mut String, word: &str, parts: &[ast::Expr], variables: &Variables) {
    out.push('(');
    out.push_str(word);
    for part in parts {
        canonical_expr(out, part, variables);
    }
    out.push(')');
}

/// A value as text that no other value has: each text in it with its length.
pub(crate) fn canonical_value(out: &mut String, value: &ast::Value, variables: &Variables) {
    for piece in &value.pieces {
        match piece {
            ast::Piece::Text(text) => {
                number(out, text.len());
                out.extend([":", text]);
            }
            ast::Piece::Variable(name) => {
                out.push('[');
                if let Some(variable) = variables.find(&name.text) {
                    number(out, variable);
                }
                out.push(']');
            }
        }
    }
}

fn number(out: &mut String, number: usize) {
    let _written = write!(out, "{number}");
}
