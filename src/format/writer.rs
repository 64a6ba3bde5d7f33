//! Lines of text with their indentation.

/// Columns that a line may have before it is broken, where it can be.
pub(super) const WIDTH: usize = 100;

/// Blanks for each level.
const INDENT: usize = 2;

/// The text so far.
#[derive(Debug)]
pub(super) struct Writer {
    out: String,
    /// Levels around the place.
    level: usize,
    /// Characters on the line.
    column: usize,
    /// Whether nothing stands in the braces or parentheses yet, so that no empty line belongs there.
    opened: bool,
    /// More is not kept: it would be no document.
    bytes_max: usize,
}

impl Writer {
    pub(super) fn new(bytes_max: usize) -> Self {
        Self { out: String::new(), level: 0, column: 0, opened: true, bytes_max }
    }

    /// What was written; longer than `bytes_max` where there would have been more.
    pub(super) fn finish(self) -> String {
        self.out
    }

    /// Text without a line end.
    pub(super) fn text(&mut self, text: &str) {
        if self.column == 0 {
            self.spaces(self.level.saturating_mul(INDENT));
        }
        self.opened = false;
        self.column = self.column.saturating_add(text.chars().count());
        self.push(text);
    }

    /// Text at a column, alone on its line.
    pub(super) fn text_at(&mut self, column: usize, text: &str) {
        self.spaces(column);
        self.text(text);
    }

    /// Ends the line, if there is something on it.
    pub(super) fn end_line(&mut self) {
        if self.column > 0 {
            self.push("\n");
            self.column = 0;
        }
    }

    /// An empty line, but not where something was just opened.
    pub(super) fn empty_line(&mut self) {
        if !self.opened {
            self.push("\n");
            self.opened = true;
        }
    }

    /// Goes a level deeper, on a new line.
    pub(super) fn open(&mut self) {
        self.end_line();
        self.level = self.level.saturating_add(1);
        self.opened = true;
    }

    /// Comes back, on a new line.
    pub(super) fn close(&mut self) {
        self.end_line();
        self.level = self.level.saturating_sub(1);
    }

    /// A level deeper from the next line on.
    pub(super) fn hang(&mut self) {
        self.level = self.level.saturating_add(1);
    }

    /// Undoes the last [`Writer::hang`].
    pub(super) fn unhang(&mut self) {
        self.level = self.level.saturating_sub(1);
    }

    /// Whether nothing stands on the line yet.
    pub(super) fn is_at_start(&self) -> bool {
        self.column == 0
    }

    /// The column at which the next text will stand.
    pub(super) fn column(&self) -> usize {
        if self.column == 0 { self.level.saturating_mul(INDENT) } else { self.column }
    }

    /// How many columns are left on the line.
    pub(super) fn room(&self) -> usize {
        WIDTH.saturating_sub(self.column())
    }

    fn spaces(&mut self, count: usize) {
        self.column = self.column.saturating_add(count);
        for _ in 0..count {
            self.push(" ");
        }
    }

    fn push(&mut self, text: &str) {
        if self.out.len() <= self.bytes_max {
            self.out.push_str(text);
        }
    }
}
