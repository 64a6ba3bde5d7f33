//! What the reader of documents promises: every mistake told once, hostile text survived, limits kept.

mod syntax {
    mod hostile;
    mod limits;
    mod mistakes;
    mod real;
    mod words;
}
