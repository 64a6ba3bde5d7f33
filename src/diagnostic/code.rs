//! The table of codes: one line a rule.

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
    ($($(#[$doc:meta])* $variant:ident = $code:literal $name:literal $severity:ident,)+) => {
        /// A rule of the language or a lint: stable code, name, severity.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code { $($(#[$doc])* $variant,)+ }

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
        }
    };
}

codes! {
    /// The document is larger than a document may be.
    DocumentTooLarge = "E0001" "document-too-large" Error,
    /// The document is not UTF-8.
    NotUtf8 = "E0002" "not-utf8" Error,

    /// The resource type of a realm is none of the known ones.
    UnknownResourceType = "E0201" "unknown-resource-type" Error,

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
}

impl std::fmt::Display for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.code())
    }
}
