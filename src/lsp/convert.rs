//! Answers about documents, in the protocol's words.

use tower_lsp_server::ls_types::{
    self as lsp, CompletionItem, CompletionItemKind, CompletionTextEdit, DiagnosticRelatedInformation,
    DiagnosticSeverity, DocumentSymbol, FoldingRange, FoldingRangeKind, InsertTextFormat, Location, NumberOrString,
    SemanticToken, SymbolKind, TextEdit,
};

use crate::{
    diagnostic::{Diagnostic, Edit, Severity},
    editor::{Completion, CompletionKind, Entry, EntryKind, Highlight, HighlightKind},
    lsp::{
        document::Document,
        text::{Encoding, position, range},
    },
    source::{Source, Span},
};

/// A finding, with the way out below it.
pub(super) fn diagnostic(document: &Document, found: &Diagnostic, encoding: Encoding) -> lsp::Diagnostic {
    let source = &document.source;
    let help = found.help.iter().map(|it| format!("\nhelp: {it}"));
    let message = format!("{}\n{}{}", found.message, found.label, help.collect::<String>());
    let related = found.secondary.iter().map(|it| DiagnosticRelatedInformation {
        location: Location { uri: document.uri.clone(), range: range(source, it.span, encoding) },
        message: it.message.clone(),
    });
    let related: Vec<_> = related.collect();
    lsp::Diagnostic {
        range: range(source, found.span, encoding),
        severity: Some(match found.severity {
            Severity::Error => DiagnosticSeverity::ERROR,
            Severity::Warning => DiagnosticSeverity::WARNING,
            Severity::Note => DiagnosticSeverity::INFORMATION,
        }),
        code: Some(NumberOrString::String(found.code.code().to_owned())),
        source: Some("gatehouse".to_owned()),
        message,
        related_information: (!related.is_empty()).then_some(related),
        ..lsp::Diagnostic::default()
    }
}

/// A replacement.
pub(super) fn text_edit(source: &Source, edit: &Edit, encoding: Encoding) -> TextEdit {
    TextEdit { range: range(source, edit.span, encoding), new_text: edit.text.clone() }
}

/// The replacement that makes one text of another: of the lines that differ, so that an editor keeps its place in the
/// others. None where the texts are the same.
pub(super) fn whole_edit(source: &Source, new: &str, encoding: Encoding) -> Option<TextEdit> {
    let old = source.text();
    if old == new {
        return None;
    }
    let same = |mut pairs: Vec<(&str, &str)>| {
        let count = pairs.iter().take_while(|(a, b)| a == b).count();
        pairs.truncate(count);
        pairs.iter().map(|(a, _)| a.len()).sum::<usize>()
    };
    let start = same(old.split_inclusive('\n').zip(new.split_inclusive('\n')).collect());
    let (old_rest, new_rest) = (old.get(start..).unwrap_or_default(), new.get(start..).unwrap_or_default());
    let end = same(old_rest.split_inclusive('\n').rev().zip(new_rest.split_inclusive('\n').rev()).collect());
    let span = Span::new(start, old.len().saturating_sub(end));
    let text = new_rest.get(..new_rest.len().saturating_sub(end)).unwrap_or_default();
    Some(TextEdit { range: range(source, span, encoding), new_text: text.to_owned() })
}

/// A word that may come next; `at` is its place among them.
pub(super) fn completion(source: &Source, at: usize, found: Completion, encoding: Encoding) -> CompletionItem {
    let Completion { label, kind, detail, text: new_text, is_snippet, replaces } = found;
    CompletionItem {
        kind: Some(match kind {
            CompletionKind::Keyword => CompletionItemKind::KEYWORD,
            CompletionKind::Realm => CompletionItemKind::MODULE,
            CompletionKind::ClaimType => CompletionItemKind::PROPERTY,
            CompletionKind::Value => CompletionItemKind::ENUM_MEMBER,
            CompletionKind::Role => CompletionItemKind::CLASS,
            CompletionKind::Issuer => CompletionItemKind::INTERFACE,
            CompletionKind::FactType => CompletionItemKind::FIELD,
            CompletionKind::Operator => CompletionItemKind::OPERATOR,
            CompletionKind::Variable => CompletionItemKind::VARIABLE,
        }),
        detail: (!detail.is_empty()).then_some(detail),
        sort_text: Some(format!("{at:04}")),
        // What is in quotes is found by what stands in the document, its quote included.
        filter_text: new_text.starts_with('"').then(|| new_text.clone()),
        insert_text_format: Some(if is_snippet { InsertTextFormat::SNIPPET } else { InsertTextFormat::PLAIN_TEXT }),
        text_edit: Some(CompletionTextEdit::Edit(TextEdit { range: range(source, replaces, encoding), new_text })),
        label,
        ..CompletionItem::default()
    }
}

/// A part of a document and its parts.
#[expect(deprecated, reason = "the field has to be named to be left empty")]
pub(super) fn symbol(source: &Source, entry: Entry, encoding: Encoding) -> DocumentSymbol {
    let children: Vec<_> = entry.children.into_iter().map(|it| symbol(source, it, encoding)).collect();
    DocumentSymbol {
        name: entry.name,
        detail: None,
        kind: match entry.kind {
            EntryKind::Policy => SymbolKind::MODULE,
            EntryKind::Rule => SymbolKind::EVENT,
            EntryKind::Claim => SymbolKind::PROPERTY,
        },
        tags: None,
        deprecated: None,
        range: range(source, entry.span, encoding),
        selection_range: range(source, entry.name_span, encoding),
        children: (!children.is_empty()).then_some(children),
    }
}

/// Lines that can be folded away. Of a block the line with its brace stays.
pub(super) fn fold(source: &Source, span: Span, encoding: Encoding) -> FoldingRange {
    let is_comment = source.slice(span).starts_with("//");
    let place = range(source, span, encoding);
    FoldingRange {
        start_line: place.start.line,
        start_character: None,
        end_line: if is_comment { place.end.line } else { place.end.line.saturating_sub(1) },
        end_character: None,
        kind: is_comment.then_some(FoldingRangeKind::Comment),
        collapsed_text: None,
    }
}

/// The words of a document, each from the one before it on.
pub(super) fn tokens(source: &Source, words: &[Highlight], encoding: Encoding) -> Vec<SemanticToken> {
    let mut before = lsp::Position::default();
    let token = |word: &Highlight| {
        let place = position(source, word.span.start, encoding);
        let delta_line = place.line.saturating_sub(before.line);
        let from = if delta_line == 0 { before.character } else { 0 };
        before = place;
        SemanticToken {
            delta_line,
            delta_start: place.character.saturating_sub(from),
            length: encoding.length(source.slice(word.span)),
            token_type: token_type(word.kind),
            token_modifiers_bitset: 0,
        }
    };
    words.iter().map(token).collect()
}

/// The protocol's names of our kinds of words, in the order that [`token_type`] counts in.
pub(super) const TOKEN_TYPES: &[lsp::SemanticTokenType] = &[
    lsp::SemanticTokenType::COMMENT,
    lsp::SemanticTokenType::KEYWORD,
    lsp::SemanticTokenType::TYPE,
    lsp::SemanticTokenType::NAMESPACE,
    lsp::SemanticTokenType::PARAMETER,
    lsp::SemanticTokenType::PROPERTY,
    lsp::SemanticTokenType::INTERFACE,
    lsp::SemanticTokenType::OPERATOR,
    lsp::SemanticTokenType::STRING,
    lsp::SemanticTokenType::ENUM_MEMBER,
];

fn token_type(kind: HighlightKind) -> u32 {
    match kind {
        HighlightKind::Comment => 0,
        HighlightKind::Keyword => 1,
        HighlightKind::ResourceType => 2,
        HighlightKind::Segment => 3,
        HighlightKind::Variable => 4,
        HighlightKind::ClaimType => 5,
        HighlightKind::Issuer => 6,
        HighlightKind::Operator => 7,
        HighlightKind::Text => 8,
        HighlightKind::Word => 9,
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        lsp::{
            convert::whole_edit,
            text::{Encoding, replace},
        },
        source::Source,
    };

    #[test]
    fn only_the_lines_that_differ_are_replaced() {
        let cases = [
            ("a\nb\nc\n", "a\nB\nc\n", (1, 2)),
            ("a\nb\nc\n", "a\nc\n", (1, 2)),
            ("a\n", "a\nb\n", (1, 1)),
            ("a", "b", (0, 0)),
            ("x\nx\n", "x\n", (1, 2)),
            ("", "a\n", (0, 0)),
        ];
        for (old, new, lines) in cases {
            let source = Source::new("a.pol", old.as_bytes().to_vec()).unwrap();
            let edit = whole_edit(&source, new, Encoding::Utf16).unwrap();
            let mut text = old.to_owned();
            replace(&mut text, edit.range, &edit.new_text, Encoding::Utf16);
            assert_eq!(text, new);
            assert_eq!((edit.range.start.line, edit.range.end.line), lines, "{old:?}");
        }
        let source = Source::new("a.pol", b"a".to_vec()).unwrap();
        assert_eq!(whole_edit(&source, "a", Encoding::Utf16), None);
    }
}
