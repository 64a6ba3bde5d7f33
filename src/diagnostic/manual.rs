//! The manuals of what the reader and the compiler find: one Markdown file a code, in `manuals/`.

use crate::diagnostic::Code;

macro_rules! manuals {
    ($($code:literal,)+) => {
        /// Why a rule is there, an example of what it finds, and what to write instead, as Markdown.
        ///
        /// None for lints: the manual of each stands in its own file, and `lint::manual` gives it.
        ///
        /// ```
        /// use gatehouse::diagnostic::{Code, manual};
        ///
        /// assert!(manual(Code::Semicolon).is_some_and(|it| it.contains("## Instead")));
        /// ```
        pub fn manual(code: Code) -> Option<&'static str> {
            match code.code() {
                $($code => Some(include_str!(concat!("manuals/", $code, ".md"))),)+
                _ => None,
            }
        }
    };
}

manuals! {
    "E0001",
    "E0002",
    "E0101",
    "E0102",
    "E0103",
    "E0104",
    "E0105",
    "E0106",
    "E0107",
    "E0108",
    "E0109",
    "E0110",
    "E0111",
    "E0112",
    "E0113",
    "E0114",
    "E0115",
    "E0116",
    "E0117",
    "E0201",
    "E0202",
    "E0203",
    "E0204",
    "E0205",
    "E0206",
    "E0207",
    "E0208",
    "E0209",
    "E0210",
    "E0211",
    "E0301",
    "E0302",
    "E0303",
    "E0304",
    "E0305",
    "E0306",
    "E0307",
    "E0401",
    "E0402",
    "E0403",
    "E0404",
    "E0405",
    "E0406",
    "E0407",
    "E0408",
    "E0409",
    "E0410",
    "E0411",
    "E0412",
    "E0413",
    "E0501",
    "E0502",
    "E0503",
    "E0504",
    "E0505",
    "E0506",
    "E0601",
    "E0602",
    "E0603",
    "E0701",
    "E0702",
    "E0703",
    "E0704",
    "E0705",
    "E0706",
    "E0707",
    "E0708",
    "E0709",
    "E0710",
    "E0711",
    "E0801",
    "E0802",
    "E0803",
    "W0001",
}
