//! The table of codes: one line a rule, its comment says what it finds.

/// How grave a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The document cannot be used.
    Error,
    /// The document can be used; look at it.
    Warning,
    /// Worth knowing.
    Note,
}

macro_rules! codes {
    ($($(#[doc = $doc:literal])* $variant:ident = $code:literal $name:literal $severity:ident,)+) => {
        /// A rule of the language or a lint: stable code, name, severity.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code { $($(#[doc = $doc])* $variant,)+ }

        impl Code {
            /// All of them, in the order of the table.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// `E0101`, `W0201`.
            pub fn code(self) -> &'static str {
                match self { $(Self::$variant => $code,)+ }
            }

            /// `unknown-permit`.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// What follows from a finding.
            pub fn severity(self) -> Severity {
                match self { $(Self::$variant => Severity::$severity,)+ }
            }

            /// Whether `lint` finds it, and not the reader of documents.
            pub fn is_lint(self) -> bool {
                self.code().starts_with("W01")
            }

            /// What it finds, line by line; [`manual`](crate::diagnostic::manual) says more.
            pub fn summary(self) -> &'static [&'static str] {
                match self { $(Self::$variant => &[$($doc),*],)+ }
            }
        }
    };
}

codes! {
    /// The document is larger than a document may be (512 KiB).
    DocumentTooLarge = "E0001" "document-too-large" Error,
    /// The document is not UTF-8.
    NotUtf8 = "E0002" "not-utf8" Error,
    /// A byte-order mark at the start is dropped; save the file without one.
    ByteOrderMark = "W0001" "byte-order-mark" Warning,

    /// A character that means nothing in a policy document.
    UnexpectedCharacter = "E0101" "unexpected-character" Error,
    /// Typographic quotes in place of straight ones, as word processors write them.
    TypographicQuotes = "E0102" "typographic-quotes" Error,
    /// Single quotes; strings stand in double quotes.
    SingleQuotes = "E0103" "single-quotes" Error,
    /// A string without its closing quote on the same line.
    UnterminatedString = "E0104" "unterminated-string" Error,
    /// A `\` in a string that is followed by none of `"`, `\`, `[`.
    UnknownEscape = "E0105" "unknown-escape" Error,
    /// A control character other than tab and line end.
    ControlCharacter = "E0106" "control-character" Error,
    /// A character without width, which no reader can see.
    InvisibleCharacter = "E0107" "invisible-character" Error,
    /// A character that changes the direction of the text around it, so that a reader sees another order than the engine.
    BidiControl = "E0108" "bidi-control" Error,
    /// A space that is no plain space, such as U+00A0.
    UnusualSpace = "E0109" "unusual-space" Error,
    /// Text that is not in Unicode normalization form C: it may look the same as other text and yet differ.
    NotNfc = "E0110" "not-nfc" Error,
    /// A carriage return without a line feed; lines end at LF or CRLF.
    LoneCarriageReturn = "E0111" "lone-carriage-return" Error,
    /// A comment of another language: `#` or `/* */`; comments start with `//`.
    ForeignComment = "E0112" "foreign-comment" Error,
    /// `//` directly behind a word: a comment begins behind white space, and a text with `//` stands in quotes.
    SlashesAfterWord = "E0113" "slashes-after-word" Error,
    /// A semicolon; items need nothing between them.
    Semicolon = "E0114" "semicolon" Error,
    /// A header that is not the first thing, not closed on its line, or a closing tag.
    BadHeader = "E0115" "bad-header" Error,
    /// A whole document in another language: YAML, JSON, Cedar, Rego.
    ForeignLanguage = "E0116" "foreign-language" Error,
    /// Lines of a merge conflict: `<<<<<<<`, `=======`, `>>>>>>>`.
    MergeConflict = "E0117" "merge-conflict" Error,

    /// The resource type of a realm is none of the known ones.
    UnknownResourceType = "E0201" "unknown-resource-type" Error,
    /// A text that is not of the form `type::/namespace::local`.
    MalformedRealm = "E0202" "malformed-realm" Error,
    /// Two slashes in a row, or one at the end of a local name.
    EmptySegment = "E0203" "empty-segment" Error,
    /// `.` or `..` as a segment.
    DotSegment = "E0204" "dot-segment" Error,
    /// `*` anywhere but as the whole local name.
    MisplacedStar = "E0205" "misplaced-star" Error,
    /// A segment that mixes text and a variable, or holds a character that no name can hold.
    BadSegment = "E0206" "bad-segment" Error,
    /// More bytes or segments than a name can have.
    RealmTooLong = "E0207" "realm-too-long" Error,
    /// White space in the middle of a realm.
    BlankInRealm = "E0208" "blank-in-realm" Error,
    /// A placeholder such as `<USER>` or `{namespace}` that was never filled in.
    Placeholder = "E0209" "placeholder" Error,
    /// A variable that the realm does not bind.
    UnboundVariable = "E0210" "unbound-variable" Error,
    /// A claim type or issuer with a character that none can hold.
    BadName = "E0211" "bad-name" Error,

    /// Something else belongs here.
    UnexpectedToken = "E0301" "unexpected-token" Error,
    /// Rules that stand in no realm, so that they speak of nothing.
    MissingRealm = "E0302" "missing-realm" Error,
    /// A `{` that is never closed.
    UnclosedBrace = "E0303" "unclosed-brace" Error,
    /// A `}` that closes nothing, or closes a policy too early.
    UnmatchedBrace = "E0304" "unmatched-brace" Error,
    /// More blocks and parentheses around one place than 64.
    NestedTooDeeply = "E0305" "nested-too-deeply" Error,
    /// `else`: the language only ever grants, so there is nothing to do otherwise.
    Else = "E0306" "else" Error,
    /// `on` or `if` where a name or a value belongs.
    ReservedWord = "E0307" "reserved-word" Error,

    /// `!`, `not`, `unless`, `forbid` and their like: the language only ever grants.
    Negation = "E0401" "negation" Error,
    /// A single `=`, `&`, `|`, or a word such as `and`.
    MisspelledOperator = "E0402" "misspelled-operator" Error,
    /// A word in the place of an operator that is none.
    UnknownOperator = "E0403" "unknown-operator" Error,
    /// A condition that is not of the form `claim operator value`.
    IncompleteComparison = "E0404" "incomplete-comparison" Error,
    /// The right side of `fqnMatch` is no realm.
    NotARealm = "E0405" "not-a-realm" Error,
    /// The right side of `inCidr` is no address or network.
    NotANetwork = "E0406" "not-a-network" Error,
    /// The right side of an ordering operator has no order.
    NotOrdered = "E0407" "not-ordered" Error,
    /// A variable where the operator takes none, or more of them than it takes.
    VariableNotAllowed = "E0408" "variable-not-allowed" Error,
    /// An empty text right of `beginsWith` or `endsWith`, which everything begins and ends with.
    EmptyAffix = "E0409" "empty-affix" Error,
    /// `!=` or an ordering operator on a claim that rules assert: what one rule grants could take away what another does.
    NotMonotone = "E0410" "not-monotone" Error,
    /// More than 4,096 tokens in one condition.
    ConditionTooLong = "E0411" "condition-too-long" Error,
    /// `->` without an issuer before it.
    MissingIssuer = "E0412" "missing-issuer" Error,
    /// A pattern of `matches` that ends in the middle of an escape.
    BadPattern = "E0413" "bad-pattern" Error,

    /// Two values without a comma between them.
    ForgottenComma = "E0501" "forgotten-comma" Error,
    /// A claim type without a value.
    MissingValue = "E0502" "missing-value" Error,
    /// A variable or a claim reference asserted as `permit` or `role`, so that someone else would name them.
    NotConstant = "E0503" "not-constant" Error,
    /// More than 1,024 values in one claim.
    TooManyValues = "E0504" "too-many-values" Error,
    /// A value with variables in it that does not stand in quotes.
    MustBeQuoted = "E0505" "must-be-quoted" Error,
    /// A claim asserted under an issuer; rules speak for the engine only.
    ForeignIssuer = "E0506" "foreign-issuer" Error,

    /// A rule asserts a context type, which only the engine supplies.
    AssertsContext = "E0601" "asserts-context" Error,
    /// Two documents of one set have the same name.
    DuplicateDocument = "E0602" "duplicate-document" Error,
    /// A scalar has two values on one realm under the same condition.
    ScalarConflict = "E0603" "scalar-conflict" Error,

    /// A file of tests that is no TOML.
    TestSyntax = "E0701" "test-syntax" Error,
    /// A key that a test does not have; what it should have said would not be looked at.
    TestUnknownKey = "E0702" "test-unknown-key" Error,
    /// A value of another kind or form than its key takes.
    TestBadValue = "E0703" "test-bad-value" Error,
    /// A request that is never decided: its target is no complete name, or a fact cannot be.
    TestBadRequest = "E0704" "test-bad-request" Error,
    /// A test without a name, a target, or anything that it wants.
    TestIncomplete = "E0705" "test-incomplete" Error,
    /// Two tests of one set of documents have the same name.
    DuplicateTestName = "E0706" "duplicate-test-name" Error,
    /// A test that holds whatever the documents say: it expects nothing, or the denial of what nothing could ever give.
    TestCannotFail = "E0707" "test-cannot-fail" Error,
    /// A test whose expectations exclude each other.
    TestCannotPass = "E0708" "test-cannot-pass" Error,
    /// A file of tests without a test.
    NoTests = "E0709" "no-tests" Error,
    /// A file of tests with more tests or facts than one may have.
    TooManyTests = "E0710" "too-many-tests" Error,
    /// A test kept in the cluster that a change of policy would break.
    TestFailed = "E0711" "test-failed" Error,

    /// A file of settings, `.gatehouse.toml`, that is no TOML.
    SettingsSyntax = "E0801" "settings-syntax" Error,
    /// A key that a file of settings does not have.
    UnknownSetting = "E0802" "unknown-setting" Error,
    /// A setting whose value is not what it takes.
    BadSetting = "E0803" "bad-setting" Error,

    /// A condition lets a longer name into a shorter name's realm.
    PrefixOnTemplate = "W0101" "prefix-on-template" Warning,
    /// A prefix test ends within a segment.
    PrefixNotAtBoundary = "W0102" "prefix-not-at-boundary" Warning,
    /// A block without a condition grants to everyone.
    UnconditionalGrant = "W0103" "unconditional-grant" Warning,
    /// A template realm grants to everyone.
    GrantToEveryoneInTemplate = "W0104" "grant-to-everyone-in-template" Warning,
    /// A role is tested that nothing asserts on that type.
    RoleNeverAsserted = "W0105" "role-never-asserted" Warning,
    /// A permit value that the resource type does not have.
    UnknownPermit = "W0106" "unknown-permit" Warning,
    /// A claim type that the catalogue does not have for the resource type.
    UnknownClaim = "W0107" "unknown-claim" Warning,
    /// `&&` beside `||` without parentheses.
    MixedOperators = "W0108" "mixed-operators" Warning,
    /// A claim directly in a realm's braces.
    BareClaimInRealm = "W0109" "bare-claim-in-realm" Warning,
    /// A docker.allow that lets every image in.
    WildcardDockerAllow = "W0110" "wildcard-docker-allow" Warning,
    /// The role `admin` on every resource of a type.
    AdminOnRoot = "W0111" "admin-on-root" Warning,
    /// Sandbox jobs may take any host of a whole tree.
    OpenRoute = "W0112" "open-route" Warning,
    /// Tokens that hold for longer than a day.
    LongTokenTimeout = "W0113" "long-token-timeout" Warning,
    /// A role is asserted that nothing on that type tests.
    RoleNeverTested = "W0114" "role-never-tested" Warning,
    /// An issuer that brings no facts.
    UnknownIssuer = "W0115" "unknown-issuer" Warning,
    /// The same claim on the same realm under the same condition, twice.
    DuplicateRule = "W0116" "duplicate-rule" Warning,
    /// A condition that waits for a claim that nothing brings about.
    UnreachableChain = "W0117" "unreachable-chain" Warning,
    /// Tokens for every job of a namespace.
    IssueWithoutLocalName = "W0118" "issue-without-local-name" Warning,
    /// A permit for a handshake whose other side nobody may do.
    OneSidedHandshake = "W0119" "one-sided-handshake" Warning,
    /// Two names that look alike, or one that mixes alphabets.
    ConfusableNames = "W0120" "confusable-names" Warning,
    /// A scalar has two values on one realm under conditions that can hold together.
    ConflictingScalar = "W0121" "conflicting-scalar" Warning,
    /// A limit that a realm above has already set tighter.
    QuotaLooserThanParent = "W0122" "quota-looser-than-parent" Warning,
    /// A realm's variable that no rule in it uses.
    UnusedVariable = "W0123" "unused-variable" Warning,
    /// A `/` at the end of a realm.
    TrailingSlash = "W0124" "trailing-slash" Warning,
    /// The header line of old documents.
    DeprecatedHeader = "W0125" "deprecated-header" Warning,
    /// Braces in which nothing is asserted.
    EmptyPolicy = "W0126" "empty-policy" Warning,
    /// Whoever may change policy in a realm may change it for every type of resource.
    PolicyUpdateOnEveryType = "W0127" "policy-update-on-every-type" Warning,
    /// Alternatives of one claim that `in` would say at once.
    MergeAlternatives = "W0128" "merge-alternatives" Note,
    /// A limit or setting whose value cannot be read as what it is.
    BadValue = "W0129" "bad-value" Warning,
    /// A comparison with what the operation never brings.
    ValueNeverOccurs = "W0130" "value-never-occurs" Warning,
    /// A pattern where the operator has none, or a value that was to be filled in.
    TakenLiterally = "W0132" "taken-literally" Warning,
    /// A comment that allows a finding that is not there, or gives no reason.
    PointlessAllow = "W0131" "pointless-allow" Warning,
}

impl std::fmt::Display for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.code())
    }
}
