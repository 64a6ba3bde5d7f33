//! What a site decides about the rules: how grave each is, and what a few of them go by.

use std::collections::{BTreeMap, BTreeSet};

use crate::diagnostic::{Code, Severity};

/// Seconds of a day, the longest that a token holds by the documents of a first start.
const DAY_SECONDS: u64 = 86_400;

/// How grave a rule's findings are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// They are told, as this.
    Told(Severity),
    /// They are not told.
    Off,
}

/// What a site decides about the rules. The default is what each rule's manual says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    // INVARIANT (lints): only codes of lints; errors are as grave as they are.
    levels: BTreeMap<Code, Level>,
    /// `long-token-timeout`: seconds that a token may hold unnoticed. Default a day.
    pub token_timeout_seconds_max: u64,
    /// `unknown-issuer`: every issuer that there is, the engine's own aside. Default: not known.
    pub issuers: Option<BTreeSet<String>>,
}

/// Why a level cannot be set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is no lint: what it finds keeps the document from being used", .0.name())]
pub struct NotALint(pub Code);

impl Default for Settings {
    fn default() -> Self {
        Self { levels: BTreeMap::new(), token_timeout_seconds_max: DAY_SECONDS, issuers: None }
    }
}

impl Settings {
    /// Sets how grave a rule's findings are; the reader's and the compiler's errors stay errors.
    ///
    /// ```
    /// use gatehouse::{
    ///     diagnostic::Code,
    ///     lint::{Level, Settings},
    /// };
    ///
    /// let mut settings = Settings::default();
    /// assert!(settings.set_level(Code::UnknownPermit, Level::Off).is_ok());
    /// assert!(settings.set_level(Code::NotMonotone, Level::Off).is_err());
    /// ```
    pub fn set_level(&mut self, code: Code, level: Level) -> Result<(), NotALint> {
        if !code.is_lint() {
            return Err(NotALint(code));
        }
        self.levels.insert(code, level);
        Ok(())
    }

    /// How grave a rule's findings are.
    pub fn level(&self, code: Code) -> Level {
        self.levels.get(&code).copied().unwrap_or(Level::Told(code.severity()))
    }
}
