//! Lexemes to tree, with every mistake told once.
//!
//! Each function with a production above it is that production of `grammar/policy.ebnf`. The other files of this folder
//! say what to do when the text does not follow it.
#![expect(clippy::wildcard_enum_match_arm, reason = "a parser asks for some tokens; every other one is the same to it")]

mod check;
mod claim;
mod condition;
mod item;
mod policy;
mod recover;
mod value;

use smol_str::SmolStr;

use crate::{
    diagnostic::{Code, Diagnostic, printable::short},
    source::{Source, Span},
    syntax::{
        Parse,
        ast::{Document, Expr, Header, Local, Policy, Realm, Segment},
        findings::Findings,
        foreign::foreign,
        lexer::{check_normal_form, lex},
        slip,
        stream::{Parsed, Stream, Trouble, token},
        token::Token,
        vocabulary::{self, ResourceType},
    },
};

/// Reads one document. It never fails: what cannot be read is in the diagnostics, and everything else in the tree.
///
/// ```
/// use gatehouse::{source::Source, syntax::parse};
///
/// let text = "job::/sandbox/[name] { if (auth_server@apcera.me->name == \"[name]\") { permit ssh } }";
/// let source = Source::new("tom.pol", text.into())?;
/// let parse = parse(&source);
/// assert_eq!(parse.diagnostics, []);
/// assert_eq!(parse.document.policies.len(), 1);
/// # Ok::<(), gatehouse::source::SourceError>(())
/// ```
pub fn parse(source: &Source) -> Parse {
    if let Some(foreign) = foreign(source.text()) {
        return Parse { diagnostics: vec![foreign], ..Parse::default() };
    }
    let mut parse = read(source);
    slip::find(source, &mut parse, read);
    parse
}

/// Reads one document and tells each policy when it has been read, so that not all of them need be there at once.
///
/// What is returned has no policies. Where an error is in it, what was told is worth nothing, and [`parse`] says what the
/// author has to know.
pub(crate) fn parse_each(source: &Source, tell: impl FnMut(Policy)) -> Parse {
    match foreign(source.text()) {
        Some(foreign) => Parse { diagnostics: vec![foreign], ..Parse::default() },
        None => read_each(source, tell),
    }
}

/// Reads what is policy, however badly written.
fn read(source: &Source) -> Parse {
    let mut policies = Vec::with_capacity(source.text().len() / POLICY_BYTES);
    let mut parse = read_each(source, |policy| policies.push(policy));
    parse.document.policies = policies;
    parse
}

fn read_each(source: &Source, tell: impl FnMut(Policy)) -> Parse {
    let mut lexical = Findings::default();
    let lexed = lex(&mut lexical, source);
    let mut unnormal = Findings::default();
    check_normal_form(&mut unnormal, source);
    let input = Stream::new(&lexed.lexemes);
    let mut reader = Reader::new(source, input);
    let header = reader.document(input, tell);
    let (diagnostics, hidden) = lexical.merge(unnormal).merge(reader.found).finish();
    Parse { document: Document { header, policies: Vec::new() }, diagnostics, hidden, comments: lexed.comments }
}

/// How long a policy is at least on the average of an ordinary document: too much room costs less than moving them all.
const POLICY_BYTES: usize = 48;

/// A `{` that is not closed yet.
#[derive(Debug, Clone, Copy)]
struct Brace {
    span: Span,
    /// The text does not have it; it was told that it is missing.
    implied: bool,
}

/// Where a policy lies, for whoever has to say which of its braces is wrong.
#[derive(Debug, Clone, Copy)]
struct Lines {
    /// `on` and the realm.
    head: Span,
    /// With its braces.
    block: Span,
}

/// What the rules of the policy at hand stand under.
#[derive(Debug, Default)]
struct Ground {
    /// Absent where the realm could not be read.
    resource_type: Option<&'static ResourceType>,
    /// What the realm binds; absent where it could not be read, so that nothing is called unbound.
    variables: Option<Vec<SmolStr>>,
    /// Unbound variables that were told.
    told: Vec<SmolStr>,
}

/// The state of reading one document, beside what is still to be read.
#[derive(Debug)]
struct Reader<'a> {
    source: &'a Source,
    /// The whole document.
    all: Stream<'a>,
    found: Findings,
    ground: Ground,
    /// Innermost last; the first is the policy's own.
    braces: Vec<Brace>,
    /// Expressions that were read and belong to nothing yet: of rules around this place, then parts of the one at hand.
    exprs: Vec<Expr>,
    /// Parentheses around this place.
    parentheses: usize,
    /// The first brace of this policy whose `}` stands where that of another is expected.
    suspect: Option<Span>,
    /// Implied braces that were closed by a `}` that may belong to another.
    borrowed: usize,
    /// `}` that will be left over because a policy stands within another.
    owed: usize,
    /// The policy that was read last.
    last: Option<Lines>,
    /// How many lexemes were left when a missing `}` was noticed last.
    noticed: Option<Span>,
}

impl<'a> Reader<'a> {
    fn new(source: &'a Source, all: Stream<'a>) -> Self {
        Self {
            source,
            all,
            found: Findings::default(),
            ground: Ground::default(),
            braces: Vec::new(),
            exprs: Vec::new(),
            parentheses: 0,
            suspect: None,
            borrowed: 0,
            owed: 0,
            last: None,
            noticed: None,
        }
    }

    /// ```ebnf
    /// document = [ header ] , { policy } ;
    /// ```
    fn document(&mut self, input: Stream<'a>, mut tell: impl FnMut(Policy)) -> Option<Header> {
        let (mut input, header) = match self.header(input) {
            Ok((rest, header)) => (rest, Some(header)),
            Err(_) => (input, None),
        };
        // INVARIANT (progress): each round reads at least one lexeme.
        while input.peek().is_some() {
            if !recover::may_begin_policy(input) {
                input = self.outside_of_policies(input);
                continue;
            }
            match self.policy(input) {
                Ok((rest, policy)) => {
                    if let Some(policy) = policy {
                        tell(policy);
                    }
                    input = rest;
                }
                Err(trouble) => {
                    self.report(&trouble);
                    input = recover::next_policy(input.skip());
                }
            }
        }
        header
    }

    /// ```ebnf
    /// header = "<continuum-policy" , { any character but ">" } , ">" ;
    /// ```
    fn header(&mut self, input: Stream<'a>) -> Parsed<'a, Header> {
        let (rest, lexeme) = token(Token::Header)(input)?;
        self.check_header(lexeme);
        Ok((rest, Header { text: lexeme.text.to_owned(), span: lexeme.span }))
    }

    fn push(&mut self, diagnostic: Diagnostic) {
        self.found.push(diagnostic);
    }

    /// Tells what a parser could not go on with.
    fn report(&mut self, trouble: &nom::Err<Trouble>) {
        let (nom::Err::Error(trouble) | nom::Err::Failure(trouble)) = *trouble else { return };
        let Trouble::Unexpected { wanted, at } = trouble else { return };
        let input = self.all.seek(at);
        let (span, found) = (input.span(), self.name_token(input.token(), input.span()));
        let message = format!("expected {wanted}, found {found}");
        self.push(Diagnostic::new(Code::UnexpectedToken, span, message, format!("{wanted} belongs here")));
    }

    /// What stands there, in the author's own text where that is short.
    fn name_token(&self, met: Option<Token>, span: Span) -> String {
        const SHOWN_BYTES_MAX: usize = 40;
        match met {
            None => "the end of the text".to_owned(),
            Some(Token::Word | Token::Misspelled) if span.end.saturating_sub(span.start) <= SHOWN_BYTES_MAX => {
                format!("`{}`", short(self.source.slice(span)))
            }
            Some(token) => token.describe().to_owned(),
        }
    }

    /// How many braces and parentheses are open, without the policy's own.
    fn depth(&self) -> usize {
        self.braces.len().saturating_sub(1).saturating_add(self.parentheses)
    }
}

impl Ground {
    fn of(realm: &Realm) -> Self {
        let local = match &realm.local {
            Local::Named(segments) => segments.as_slice(),
            Local::Below | Local::Exact | Local::Any => &[],
        };
        let variables = realm.namespace.iter().chain(local).filter_map(|segment| match segment {
            Segment::Variable(name) => Some(name.text.clone()),
            Segment::Literal(_) => None,
        });
        Self {
            resource_type: vocabulary::resource_type(&realm.resource_type.text),
            variables: Some(variables.collect()),
            told: Vec::new(),
        }
    }

    /// What a realm that could not be read still says of its type.
    fn guess(text: &str) -> Self {
        let name = text.split(':').next().unwrap_or_default();
        Self { resource_type: vocabulary::resource_type(name), variables: None, told: Vec::new() }
    }

    /// Whether `permit text` means something here; of an unknown type, on any.
    fn has_permit(&self, text: &str) -> bool {
        match self.resource_type {
            Some(resource_type) => resource_type.has_permit(text),
            None => vocabulary::RESOURCE_TYPES.iter().any(|it| it.has_permit(text)),
        }
    }
}
