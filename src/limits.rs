//! Every bound of the language and the gate, each a named constant with its reason.

/// Bytes in a policy document; a larger one is one diagnostic and is not read further.
pub const DOCUMENT_BYTES_MAX: usize = 512 * 1024;

/// Blocks and parentheses around one place, counted together, so that no walk of the tree needs a deep stack.
pub const NESTING_MAX: usize = 64;

/// Tokens between the parentheses of one `if`.
pub const CONDITION_TOKENS_MAX: usize = 4_096;

/// Values asserted by one claim (`permit a, b, ...`).
pub const CLAIM_VALUES_MAX: usize = 1_024;

/// Bytes in a fully qualified name or a realm.
pub const FQN_BYTES_MAX: usize = 4_096;

/// Segments of namespace and local name together.
pub const FQN_SEGMENTS_MAX: usize = 64;

/// Facts in one request.
pub const FACTS_MAX: usize = 4_096;

/// Bytes of all facts of one request together (issuers, types and values).
pub const FACTS_BYTES_MAX: usize = 1024 * 1024;

/// Bytes in one line of requests to be decided: the largest request with every character escaped, and its keys.
pub const REQUEST_LINE_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Diagnostics shown for one document; the count goes on.
pub const DIAGNOSTICS_SHOWN_MAX: usize = 200;

/// Bytes of a session read at once. With the headers of a frame and of a WebSocket message, which are at most 12 bytes, one
/// piece fills two TLS records, and two pieces in one frame fill four: a record of few bytes costs as much as a full one.
pub const PIECE_BYTES: usize = 32 * 1024 - 12;

/// Bytes in one session frame with its header, so that no peer makes the other allocate more.
pub const FRAME_BYTES_MAX: usize = 64 * 1024;

/// Bytes in a token; larger ones are refused before any cryptography.
pub const TOKEN_BYTES_MAX: usize = 8 * 1024;

/// Bytes of facts inline in a token.
pub const TOKEN_FACTS_BYTES_MAX: usize = 4 * 1024;

/// Bytes in one stored value; larger ones are blobs (the bound of the narrowest store).
pub const STORE_VALUE_BYTES_MAX: usize = 768 * 1024;

/// Policy documents in one set, so that a head fits into a stored value and a load is bounded.
pub const POLICY_DOCUMENTS_MAX: usize = 1_024;

/// Tests in one file of them; whoever has more can split it.
pub const SUITE_TESTS_MAX: usize = 10_000;

/// Bytes of the requests of all tests in one file: shared facts are multiplied by the cases that inherit them.
pub const SUITE_FACTS_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Changed documents that tests are held against in one run; each is compiled with its whole set.
pub const MUTANTS_MAX: usize = 10_000;

/// Blanks at the start of a line that are looked at as its indentation; more of them show nothing, and each brace on the
/// line would look at all of them.
pub const INDENT_BYTES_MAX: usize = 1_024;

/// Bytes behind the `[` of a list in which its `]` is looked for.
pub const LIST_BYTES_MAX: usize = 1_024;

/// Errors in a document up to which slips of the fingers are looked for; more of them are no slips.
pub const SLIP_ERRORS_MAX: usize = 32;

/// Bytes of the text around one mistake that is read anew for each slip that may be there.
pub const SLIP_TEXT_BYTES_MAX: usize = 4 * 1024;

/// Bytes read anew for all slips of one document together: an eighth of what a document may have, so that many small bad
/// ones take no longer than as many large ones.
pub const SLIP_TRIED_BYTES_MAX: usize = 64 * 1024;
