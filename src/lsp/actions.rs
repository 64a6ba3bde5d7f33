//! What an editor offers to do: the fixes of findings.

use std::collections::HashMap;

use tower_lsp_server::ls_types::{CodeAction, CodeActionKind, CodeActionOrCommand, TextEdit, WorkspaceEdit};

use crate::{
    diagnostic::{Diagnostic, Fix, mend},
    lsp::{convert, document::Document, text::Encoding},
};

/// The fixes of what was found between two bytes, and all safe ones of the document at once; of the kinds wanted.
pub(super) fn actions(
    document: &Document,
    found: &[Diagnostic],
    (start, end): (usize, usize),
    only: Option<&[CodeActionKind]>,
    encoding: Encoding,
) -> Vec<CodeActionOrCommand> {
    let mut actions = Vec::new();
    if !document.is_whole {
        return actions;
    }
    if is_wanted(only, &CodeActionKind::QUICKFIX) {
        let here = found.iter().filter(|it| it.span.start <= end && start <= it.span.end);
        for it in here {
            actions.extend(it.fixes.iter().map(|fix| quick_fix(document, it, fix, encoding)));
        }
    }
    if is_wanted(only, &CodeActionKind::SOURCE_FIX_ALL) {
        actions.extend(fix_all(document, found, encoding));
    }
    actions
}

/// Kinds are wanted with those below them: `source` with `source.fixAll`.
fn is_wanted(only: Option<&[CodeActionKind]>, kind: &CodeActionKind) -> bool {
    let is_below = |wanted: &CodeActionKind| {
        kind == wanted || kind.as_str().strip_prefix(wanted.as_str()).is_some_and(|it| it.starts_with('.'))
    };
    only.is_none_or(|only| only.iter().any(is_below))
}

fn quick_fix(document: &Document, found: &Diagnostic, fix: &Fix, encoding: Encoding) -> CodeActionOrCommand {
    let edits = fix.edits.iter().map(|it| convert::text_edit(&document.source, it, encoding)).collect();
    // Nothing is granted by a document with an error, so mending one is never a danger by itself.
    let warning = if fix.safe || found.is_error() { "" } else { " (may change what is granted)" };
    CodeActionOrCommand::CodeAction(CodeAction {
        title: format!("{}{warning}", fix.title),
        kind: Some(CodeActionKind::QUICKFIX),
        diagnostics: Some(vec![convert::diagnostic(document, found, encoding)]),
        edit: Some(edit_of(document, edits)),
        is_preferred: Some(fix.safe || found.is_error()),
        ..CodeAction::default()
    })
}

/// All fixes that change no grant.
fn fix_all(document: &Document, found: &[Diagnostic], encoding: Encoding) -> Option<CodeActionOrCommand> {
    let fixes: Vec<&Fix> = found.iter().filter_map(|it| it.fixes.iter().find(|fix| fix.safe)).collect();
    let mended = mend::apply(document.source.text(), &fixes);
    let edit = convert::whole_edit(&document.source, &mended.text, encoding)?;
    Some(CodeActionOrCommand::CodeAction(CodeAction {
        title: "Apply all safe fixes".to_owned(),
        kind: Some(CodeActionKind::SOURCE_FIX_ALL),
        edit: Some(edit_of(document, vec![edit])),
        ..CodeAction::default()
    }))
}

fn edit_of(document: &Document, edits: Vec<TextEdit>) -> WorkspaceEdit {
    WorkspaceEdit { changes: Some(HashMap::from([(document.uri.clone(), edits)])), ..WorkspaceEdit::default() }
}
