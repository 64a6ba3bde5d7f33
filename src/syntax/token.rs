//! The words of the language as regular expressions: the only file that knows logos.
//!
//! To these expressions every character beyond ASCII is a letter, but for quotes and spaces; which of them are letters
//! indeed is asked of what was read. The tables of Unicode's classes, multiplied by the expressions that need them,
//! would take minutes to compile.

use logos::Logos;

use crate::syntax::character::{find_doubled, is_letter};

/// Kind of a lexeme. What stands below `Header` never reaches the parser: the lexer drops, mends or reports it.
#[derive(Logos, Debug, Clone, Copy, PartialEq, Eq)]
#[logos(subpattern far = r"[^\x00-\x7F“”‘’\u{A0}\u{1680}\u{2000}-\u{200A}\u{2028}\u{2029}\u{202F}\u{205F}\u{3000}]")]
#[logos(subpattern word = r"([A-Za-z0-9._@*/:\-]|(?&far))")]
#[logos(subpattern name = r"([A-Za-z0-9_\-]|(?&far))+")]
#[logos(subpattern blank = r"([A-Za-z_]|(?&far))([A-Za-z0-9_.\-]|(?&far))*")]
#[logos(subpattern phrase = r"([A-Za-z_]|(?&far))([A-Za-z0-9_. \-]|(?&far))*")]
#[logos(subpattern odd = r#"([^ \t\r\n"{}()\[\],<>=!&|;#\x80-\u{10FFFF}]|(?&far))"#)]
pub(crate) enum Token {
    #[token("{")]
    LeftBrace,
    #[token("}")]
    RightBrace,
    #[token("(")]
    LeftParen,
    #[token(")")]
    RightParen,
    #[token(",")]
    Comma,
    #[token("->", priority = 100)]
    Arrow,
    #[token("&&")]
    And,
    #[token("||")]
    Or,
    #[token("!")]
    Bang,
    #[token("==")]
    Equal,
    #[token("!=")]
    NotEqual,
    #[token("<")]
    Less,
    #[token("<=")]
    LessOrEqual,
    #[token(">")]
    Greater,
    #[token(">=")]
    GreaterOrEqual,
    /// What other languages write for an operator.
    #[regex(r"=|===|=>|=<|<>|!==|=!|=~|!~|&|\|")]
    Misspelled,
    /// Letters, digits and `. _ @ * / : -`.
    #[regex(r"(?&word)+", priority = 50)]
    Word,
    /// `[name]`
    #[regex(r"\[(?&name)\]", priority = 60)]
    Variable,
    /// A word with variables in it.
    #[regex(r"((?&word)|\[(?&name)\])+", priority = 40)]
    Path,
    /// A word with something in it that was to be replaced: `job::/<USER>`, `{namespace}`.
    #[regex(r"((?&word)|\[(?&name)\]|\$?\{(?&blank)\}|<(?&phrase)>)+", priority = 30)]
    Placeholder,
    /// `"..."`
    #[regex(r#""([^"\\\n]|\\[^\n])*""#)]
    String,
    /// `<continuum-policy ...>`
    #[regex(r"<continuum-policy[^>\n]*>", priority = 90)]
    Header,

    /// White space.
    #[regex(r"([ \t\n]|\r\n)+")]
    Space,
    /// `// ...` to the end of the line.
    #[regex(r"//[^\n]*", priority = 80, allow_greedy = true)]
    Comment,
    /// `# ...`, a comment of other languages.
    #[regex(r"#[^\n]*", allow_greedy = true)]
    Hash,
    /// White space that is none of ours.
    #[regex(r"[\u{A0}\u{1680}\u{2000}-\u{200A}\u{2028}\u{2029}\u{202F}\u{205F}\u{3000}]+")]
    UnusualSpace,
    /// `\r` without `\n`.
    #[regex(r"\r+", priority = 1)]
    LoneReturn,
    /// `;`
    #[regex(r";+")]
    Semicolon,
    /// A string that its line does not end.
    #[regex(r#""([^"\\\n]|\\[^\n])*\\?"#, priority = 1)]
    OpenString,
    /// `“...”`
    #[regex(r#"[“”][^“”"\n{}]*[“”"]"#)]
    TypographicString,
    /// `‘...’`
    #[regex(r"[‘’][^‘’'\n{}]*[‘’']")]
    TypographicSingle,
    /// A typographic quote alone.
    #[regex(r"[“”‘’]", priority = 1)]
    TypographicQuote,
    /// `'...'`
    #[regex(r#"'[^'"\n{}]*'"#, priority = 20)]
    SingleQuoted,
    /// `<continuum-policy` without its `>`, or `</continuum-policy>`.
    #[regex(r"<continuum-policy[^>\n]*|</continuum-policy>", priority = 10)]
    BadHeader,
    /// A word with a character in it that no word has.
    #[regex(r#"((?&odd)|\[[^\[\]\n"{}]*\]|\[|\])+"#, priority = 5)]
    Odd,
}

impl Token {
    /// The first token of `text` and its length in bytes; whatever no rule knows is `Odd`.
    #[inline]
    pub(crate) fn first(text: &str) -> Option<(Self, usize)> {
        Self::plain(text.as_bytes()).or_else(|| Self::any(text))
    }

    /// What nearly every token is, in one pass; nothing where more has to be looked at, as at a word that begins with `/` or has
    /// two of them in a row, and at a string of more than visible ASCII and blanks. A `-` before `>` belongs to the arrow.
    #[inline]
    pub(crate) fn plain(text: &[u8]) -> Option<(Self, usize)> {
        let second = || text.get(1).copied();
        match *text.first()? {
            b'}' => Some((Self::RightBrace, 1)),
            b'(' => Some((Self::LeftParen, 1)),
            b')' => Some((Self::RightParen, 1)),
            b',' => Some((Self::Comma, 1)),
            // Before a letter it may begin a placeholder.
            b'{' if matches!(second(), Some(b' ' | b'\n' | b'\r' | b'\t')) => Some((Self::LeftBrace, 1)),
            b'-' if second() == Some(b'>') => Some((Self::Arrow, 2)),
            b'=' if second() == Some(b'=') && text.get(2) != Some(&b'=') => Some((Self::Equal, 2)),
            b'"' => {
                let inner = text.get(1..)?;
                let length = inner.iter().position(|it| !matches!(it, b' '..=b'~') || matches!(it, b'"' | b'\\'))?;
                (inner.get(length) == Some(&b'"')).then_some((Self::String, length.saturating_add(2)))
            }
            _ => {
                let kind = |it: &u8| KINDS.get(usize::from(*it)).copied().unwrap_or(OTHER);
                let mut kinds = 0;
                let length = text.iter().position(|it| {
                    kinds |= kind(it);
                    kinds >= END
                });
                let length = length.unwrap_or(text.len());
                let word = text.get(..length)?;
                let has_more = kinds & SLASH != 0 && (word.starts_with(b"/") || find_doubled(word, b'/').is_some());
                if kinds >= OTHER || has_more {
                    return None;
                }
                let has_arrow = text.get(length) == Some(&b'>') && word.ends_with(b"-");
                let length = length.saturating_sub(usize::from(has_arrow));
                (length != 0).then_some((Self::Word, length))
            }
        }
    }

    /// Whether a byte behind a string may be of something that goes on, and is no blank or sign.
    pub(crate) fn goes_on(byte: u8) -> bool {
        KINDS.get(usize::from(byte)).is_none_or(|it| *it != END)
    }

    /// Any token.
    fn any(text: &str) -> Option<(Self, usize)> {
        let mut lexer = Self::lexer(text);
        let token = lexer.next()?.unwrap_or(Self::Odd);
        let is_word = matches!(token, Self::Word | Self::Variable | Self::Path | Self::Placeholder);
        let is_odd =
            is_word && !lexer.slice().is_ascii() && lexer.slice().contains(|c: char| !c.is_ascii() && !is_letter(c));
        Some((if is_odd { Self::Odd } else { token }, lexer.span().end))
    }

    /// As a person calls it.
    pub(crate) fn describe(self) -> &'static str {
        match self {
            Self::LeftBrace => "`{`",
            Self::RightBrace => "`}`",
            Self::LeftParen => "`(`",
            Self::RightParen => "`)`",
            Self::Comma => "`,`",
            Self::Arrow => "`->`",
            Self::And => "`&&`",
            Self::Or => "`||`",
            Self::Bang => "`!`",
            Self::Equal => "`==`",
            Self::NotEqual => "`!=`",
            Self::Less => "`<`",
            Self::LessOrEqual => "`<=`",
            Self::Greater => "`>`",
            Self::GreaterOrEqual => "`>=`",
            Self::Misspelled => "an operator",
            Self::Word => "a word",
            Self::Variable | Self::Path => "a variable",
            Self::Placeholder => "a placeholder",
            Self::Header | Self::BadHeader => "a header",
            Self::Space | Self::UnusualSpace | Self::LoneReturn => "white space",
            Self::Comment | Self::Hash => "a comment",
            Self::Semicolon => "`;`",
            Self::String
            | Self::OpenString
            | Self::TypographicString
            | Self::TypographicSingle
            | Self::TypographicQuote
            | Self::SingleQuoted => "a string",
            Self::Odd => "a strange character",
        }
    }

    /// Whether a value can begin with it.
    pub(crate) fn begins_value(self) -> bool {
        matches!(self, Self::Word | Self::Variable | Self::Path | Self::Placeholder | Self::String)
    }
}

/// What a byte is to a word that is read in one pass, as a bit: a sign of a word that may be more.
const SLASH: u8 = 1;

/// Whatever stands before it is a whole token.
const END: u8 = 2;

/// Not of a word, and looked at more closely.
const OTHER: u8 = 4;

/// The kind of each byte; 0 is any other sign of a word.
const KINDS: [u8; 256] = {
    let mut kinds = [OTHER; 256];
    let mut rest: &mut [u8] = &mut kinds;
    let mut byte = 0_u8;
    while let [kind, more @ ..] = rest {
        *kind = match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'_' | b'@' | b'*' | b':' | b'-' => 0,
            b'/' => SLASH,
            b' ' | b'\t' | b'\n' | b'\r' | b'"' | b'(' | b')' | b',' | b'}' | b'=' | b'>' | b'!' => END,
            _ => OTHER,
        };
        byte = byte.wrapping_add(1);
        rest = more;
    }
    kinds
};

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::syntax::token::Token::{self, *};

    proptest! {
        #[test]
        fn one_pass_reads_what_the_expressions_read(text in r#"[a1.\-/:*@_>=<!&|;#,(){}$\[\]"' \t\r\n\\+é“”\u{0}\u{200b}]{1,12}"#) {
            if let Some((token, length)) = Token::plain(text.as_bytes()) {
                let arrow = usize::from(token == Word && text.as_bytes()[length..].starts_with(b"->"));
                prop_assert_eq!(Token::any(&text), Some((token, length + arrow)));
            }
        }
    }

    fn tokens(mut text: &str) -> Vec<(Token, &str)> {
        let mut res = Vec::new();
        while let Some((token, length)) = Token::first(text) {
            let (first, rest) = text.split_at(length);
            res.push((token, first));
            text = rest;
        }
        res
    }

    #[test]
    fn each_shape_is_one_token() {
        let cases = [
            ("job::/sandbox/tom", Word),
            ("é", Word),
            ("docker.allow", Word),
            ("[name]", Variable),
            ("job::/[name]/x", Path),
            ("job::/sandbox/<USER>::x", Placeholder),
            ("job::{namespace}::apcera-job-scaler", Placeholder),
            ("{TargetJobFQN}", Placeholder),
            ("${USER}", Placeholder),
            ("<your name>", Placeholder),
            ("\"a \\\" b\"", String),
            ("\"a \\", OpenString),
            ("“tom”", TypographicString),
            ("'tom'", SingleQuoted),
            ("//x", Comment),
            ("/sandbox", Word),
            ("https://x", Word),
            ("->", Arrow),
            ("per\u{200b}mit", Odd),
            ("[foo bar]", Odd),
            ("job::/sand+box", Odd),
            ("\r\r", LoneReturn),
            ("\u{a0}\u{3000}", UnusualSpace),
            ("<continuum-policy description=\"x\">", Header),
            ("<continuum-policy x", BadHeader),
            ("===", Misspelled),
            ("\u{0}", Odd),
        ];
        for (text, token) in cases {
            assert_eq!(tokens(text), [(token, text)]);
        }
    }

    #[test]
    fn what_only_looks_like_a_placeholder_is_none() {
        assert_eq!(
            tokens("job::/a{permit read}").iter().map(|it| it.0).collect::<Vec<_>>(),
            [Word, LeftBrace, Word, Space, Word, RightBrace]
        );
        assert_eq!(
            tokens("(a<b && c>d)").iter().map(|it| it.0).collect::<Vec<_>>(),
            [LeftParen, Word, Less, Word, Space, And, Space, Word, Greater, Word, RightParen]
        );
    }
}
