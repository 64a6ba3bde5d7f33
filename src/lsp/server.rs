//! The conversation with the editor: each message is answered from the documents as they are then.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, OnceLock},
};

use tokio::task::AbortHandle;
use tower_lsp_server::{
    Client, LanguageServer,
    jsonrpc::{Error, ErrorCode, Result},
    ls_types::{
        CodeActionParams, CodeActionResponse, CompletionParams, CompletionResponse, DidChangeTextDocumentParams,
        DidChangeWatchedFilesParams, DidCloseTextDocumentParams, DidOpenTextDocumentParams, DidSaveTextDocumentParams,
        DocumentFormattingParams, DocumentHighlight, DocumentHighlightParams, DocumentSymbolParams,
        DocumentSymbolResponse, FoldingRange, FoldingRangeParams, GotoDefinitionParams, GotoDefinitionResponse, Hover,
        HoverContents, HoverParams, InitializeParams, InitializeResult, InitializedParams, Location, MarkupContent,
        MarkupKind, MessageType, Position, PrepareRenameResponse, ReferenceParams, Registration, RenameParams,
        SemanticTokens, SemanticTokensParams, SemanticTokensResult, TextDocumentIdentifier, TextDocumentPositionParams,
        TextEdit, Uri, WorkspaceEdit,
    },
};

use crate::{
    compile::system::system_sources,
    diagnostic::Edit,
    editor::{self, Place, RenameRefusal},
    format::format,
    lsp::{
        actions,
        analysis::{self, Changes, lock},
        capabilities, convert,
        document::Document,
        text::{Encoding, offset, range},
        workspace::{Set, SetKey, Workspace},
    },
    source::Source,
    syntax::{Parse, parse},
};

/// One editor's server.
#[derive(Debug)]
pub(super) struct Backend {
    client: Client,
    workspace: Arc<Mutex<Workspace>>,
    changes: Arc<Changes>,
    /// What is to be asked of the editor once the conversation has begun.
    watch: OnceLock<Registration>,
    analysis: OnceLock<AbortHandle>,
}

/// What a request is about: a set, the document in it and, if it names one, a place.
struct Asked {
    set: Set,
    at: usize,
    document: Arc<Document>,
    encoding: Encoding,
}

impl Backend {
    pub(super) fn new(client: Client) -> Self {
        Self {
            client,
            workspace: Arc::default(),
            changes: Arc::default(),
            watch: OnceLock::new(),
            analysis: OnceLock::new(),
        }
    }

    fn asked(&self, uri: &Uri) -> Option<Asked> {
        let workspace = lock(&self.workspace);
        let (set, at) = workspace.set_of(uri)?;
        let document = Arc::clone(set.documents.get(at)?);
        Some(Asked { set, at, document, encoding: workspace.encoding })
    }

    fn asked_at(&self, place: &TextDocumentPositionParams) -> Option<(Asked, usize)> {
        let asked = self.asked(&place.text_document.uri)?;
        let at = offset(&asked.document.source, place.position, asked.encoding);
        Some((asked, at))
    }

    /// Reads a set's folder again and looks through the set.
    async fn reload(&self, key: SetKey) {
        let trouble = if let SetKey::Folder(folder) = &key { lock(&self.workspace).read_folder(folder) } else { None };
        self.complain(trouble).await;
        self.changes.push(key);
    }

    async fn complain(&self, trouble: Option<String>) {
        if let Some(trouble) = trouble {
            self.client.show_message(MessageType::WARNING, trouble).await;
        }
    }
}

impl Asked {
    fn documents(&self) -> Vec<(&Source, &Parse)> {
        self.set.documents.iter().map(|it| (&it.source, it.parse())).collect()
    }

    fn location(&self, place: Place) -> Option<Location> {
        let document = self.set.documents.get(place.document)?;
        Some(Location { uri: document.uri.clone(), range: range(&document.source, place.span, self.encoding) })
    }

    /// Edits of several documents; of none where one of them cannot be changed.
    fn workspace_edit(&self, edits: &[(usize, Edit)]) -> Option<WorkspaceEdit> {
        let mut changes: HashMap<Uri, Vec<TextEdit>> = HashMap::new();
        for (at, edit) in edits {
            let document = self.set.documents.get(*at).filter(|it| it.is_whole)?;
            let edit = convert::text_edit(&document.source, edit, self.encoding);
            changes.entry(document.uri.clone()).or_default().push(edit);
        }
        Some(WorkspaceEdit { changes: Some(changes), ..WorkspaceEdit::default() })
    }
}

/// A refusal that the editor shows.
fn refused(refusal: &RenameRefusal) -> Error {
    // RequestFailed of the protocol: the request was good, and the answer is no.
    Error { code: ErrorCode::ServerError(-32_803), message: refusal.to_string().into(), data: None }
}

impl LanguageServer for Backend {
    async fn initialize(&self, params: InitializeParams) -> Result<InitializeResult> {
        let general = params.capabilities.general.as_ref();
        let encoding = Encoding::of_client(general.and_then(|it| it.position_encodings.as_deref()));
        lock(&self.workspace).encoding = encoding;
        if let Some(watch) = capabilities::watched(&params.capabilities) {
            self.watch.get_or_init(|| watch);
        }
        Ok(capabilities::initialized(encoding))
    }

    async fn initialized(&self, _: InitializedParams) {
        let (changes, workspace) = (Arc::clone(&self.changes), Arc::clone(&self.workspace));
        let client = self.client.clone();
        self.analysis.get_or_init(|| tokio::spawn(analysis::run(changes, workspace, client)).abort_handle());
        if let Some(watch) = self.watch.get() {
            // Without it the documents are read again when one of them is opened or saved.
            drop(self.client.register_capability(vec![watch.clone()]).await);
        }
    }

    async fn shutdown(&self) -> Result<()> {
        if let Some(analysis) = self.analysis.get() {
            analysis.abort();
        }
        Ok(())
    }

    async fn did_open(&self, params: DidOpenTextDocumentParams) {
        let document = params.text_document;
        let (trouble, key) = {
            let mut workspace = lock(&self.workspace);
            let trouble = workspace.open(&document.uri, document.version, document.text);
            (trouble, workspace.key_of(&document.uri))
        };
        self.complain(trouble).await;
        if let Some(key) = key {
            self.changes.push(key);
        }
    }

    async fn did_change(&self, params: DidChangeTextDocumentParams) {
        let document = params.text_document;
        let key = {
            let mut workspace = lock(&self.workspace);
            workspace.change(&document.uri, document.version, params.content_changes);
            workspace.key_of(&document.uri)
        };
        if let Some(key) = key {
            self.changes.push(key);
        }
    }

    async fn did_save(&self, params: DidSaveTextDocumentParams) {
        let key = lock(&self.workspace).key_of(&params.text_document.uri);
        if let Some(key) = key {
            self.reload(key).await;
        }
    }

    async fn did_close(&self, params: DidCloseTextDocumentParams) {
        let closed = lock(&self.workspace).close(&params.text_document.uri);
        if let Some((key, _)) = closed {
            self.changes.push(key);
        }
    }

    async fn did_change_watched_files(&self, _: DidChangeWatchedFilesParams) {
        // A file of settings counts for the folders below its own, so all sets are read again.
        let keys = lock(&self.workspace).keys();
        for key in keys {
            self.reload(key).await;
        }
    }

    async fn completion(&self, params: CompletionParams) -> Result<Option<CompletionResponse>> {
        let Some((asked, at)) = self.asked_at(&params.text_document_position) else { return Ok(None) };
        let source = &asked.document.source;
        let found = editor::complete(&asked.documents(), asked.at, at).into_iter().enumerate();
        let items = found.map(|(order, it)| convert::completion(source, order, it, asked.encoding));
        Ok(Some(CompletionResponse::Array(items.collect())))
    }

    async fn hover(&self, params: HoverParams) -> Result<Option<Hover>> {
        let Some((asked, at)) = self.asked_at(&params.text_document_position_params) else { return Ok(None) };
        let found = editor::hover(&asked.documents(), asked.at, at);
        Ok(found.map(|it| Hover {
            contents: HoverContents::Markup(MarkupContent { kind: MarkupKind::Markdown, value: it.markdown }),
            range: Some(range(&asked.document.source, it.span, asked.encoding)),
        }))
    }

    async fn goto_definition(&self, params: GotoDefinitionParams) -> Result<Option<GotoDefinitionResponse>> {
        let Some((asked, at)) = self.asked_at(&params.text_document_position_params) else { return Ok(None) };
        let places = editor::definitions(&asked.documents(), asked.at, at).into_iter();
        Ok(Some(GotoDefinitionResponse::Array(places.filter_map(|it| asked.location(it)).collect())))
    }

    async fn references(&self, params: ReferenceParams) -> Result<Option<Vec<Location>>> {
        let Some((asked, at)) = self.asked_at(&params.text_document_position) else { return Ok(None) };
        let with_definitions = params.context.include_declaration;
        let places = editor::references(&asked.documents(), asked.at, at, with_definitions).into_iter();
        Ok(Some(places.filter_map(|it| asked.location(it)).collect()))
    }

    async fn document_highlight(&self, params: DocumentHighlightParams) -> Result<Option<Vec<DocumentHighlight>>> {
        let Some((asked, at)) = self.asked_at(&params.text_document_position_params) else { return Ok(None) };
        let places = editor::references(&asked.documents(), asked.at, at, true).into_iter();
        let here = places.filter(|it| it.document == asked.at);
        let place = |it: Place| range(&asked.document.source, it.span, asked.encoding);
        Ok(Some(here.map(|it| DocumentHighlight { range: place(it), kind: None }).collect()))
    }

    async fn prepare_rename(&self, params: TextDocumentPositionParams) -> Result<Option<PrepareRenameResponse>> {
        let Some((asked, at)) = self.asked_at(&params) else { return Ok(None) };
        let (span, placeholder) = editor::renameable(&asked.documents(), asked.at, at).map_err(|it| refused(&it))?;
        let range = range(&asked.document.source, span, asked.encoding);
        Ok(Some(PrepareRenameResponse::RangeWithPlaceholder { range, placeholder }))
    }

    async fn rename(&self, params: RenameParams) -> Result<Option<WorkspaceEdit>> {
        let Some((asked, at)) = self.asked_at(&params.text_document_position) else { return Ok(None) };
        let system = system_sources();
        let system_parsed: Vec<Parse> = system.iter().map(parse).collect();
        let system: Vec<(&Source, &Parse)> = system.iter().zip(&system_parsed).collect();
        let edits = editor::rename(&asked.documents(), &system, (asked.at, at), &params.new_name);
        Ok(asked.workspace_edit(&edits.map_err(|it| refused(&it))?))
    }

    async fn document_symbol(&self, params: DocumentSymbolParams) -> Result<Option<DocumentSymbolResponse>> {
        let Some(asked) = self.asked(&params.text_document.uri) else { return Ok(None) };
        let source = &asked.document.source;
        let entries = editor::outline(source, asked.document.parse()).into_iter();
        let symbols = entries.map(|it| convert::symbol(source, it, asked.encoding)).collect();
        Ok(Some(DocumentSymbolResponse::Nested(symbols)))
    }

    async fn folding_range(&self, params: FoldingRangeParams) -> Result<Option<Vec<FoldingRange>>> {
        let Some(asked) = self.asked(&params.text_document.uri) else { return Ok(None) };
        let source = &asked.document.source;
        let spans = editor::folds(source, asked.document.parse()).into_iter();
        Ok(Some(spans.map(|it| convert::fold(source, it, asked.encoding)).collect()))
    }

    async fn semantic_tokens_full(&self, params: SemanticTokensParams) -> Result<Option<SemanticTokensResult>> {
        let Some(asked) = self.asked(&params.text_document.uri) else { return Ok(None) };
        let source = &asked.document.source;
        let words = editor::highlights(source, asked.document.parse());
        let data = convert::tokens(source, &words, asked.encoding);
        Ok(Some(SemanticTokensResult::Tokens(SemanticTokens { result_id: None, data })))
    }

    /// A document with errors stays as it is: what is wrong with it is told already.
    async fn formatting(&self, params: DocumentFormattingParams) -> Result<Option<Vec<TextEdit>>> {
        let Some(asked) = self.asked(&params.text_document.uri) else { return Ok(None) };
        let source = &asked.document.source;
        let Ok(text) = format(source, asked.document.parse()) else { return Ok(None) };
        Ok(Some(convert::whole_edit(source, &text, asked.encoding).into_iter().collect()))
    }

    async fn code_action(&self, params: CodeActionParams) -> Result<Option<CodeActionResponse>> {
        let TextDocumentIdentifier { uri } = &params.text_document;
        let Some(asked) = self.asked(uri) else { return Ok(None) };
        let at = |position: Position| offset(&asked.document.source, position, asked.encoding);
        let wanted = (at(params.range.start), at(params.range.end));
        let found = analysis::findings(&asked.set).into_iter().nth(asked.at).unwrap_or_default();
        Ok(Some(actions::actions(&asked.document, &found, wanted, params.context.only.as_deref(), asked.encoding)))
    }
}
