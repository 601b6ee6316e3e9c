//! Where the lines of a long text begin. Owns an index that is small whatever the text is.

/// Each so-manieth line is in the index.
const STRIDE: usize = 64;

/// Where lines begin.
pub(super) struct Lines<'t> {
    text: &'t str,
    anchors: Vec<usize>,
    count: u32,
}

impl<'t> Lines<'t> {
    pub(super) fn of(text: &'t str) -> Self {
        let (mut anchors, mut line) = (vec![0], 0usize);
        for at in memchr::memchr_iter(b'\n', text.as_bytes()) {
            line += 1;
            if line.is_multiple_of(STRIDE) {
                anchors.push(at + 1);
            }
        }
        let count = line + usize::from(!text.is_empty() && !text.ends_with('\n'));
        Self { text, anchors, count: u32::try_from(count).unwrap_or(u32::MAX) }
    }

    /// How many lines there are.
    pub(super) fn count(&self) -> u32 {
        self.count
    }

    /// Where a line begins; the end of the text for a line that is not there.
    pub(super) fn begin(&self, line: u32) -> usize {
        if line >= self.count {
            return self.text.len();
        }
        let line = line as usize;
        let Some(&anchor) = self.anchors.get(line / STRIDE) else { return self.text.len() };
        match line % STRIDE {
            0 => anchor,
            after => memchr::memchr_iter(b'\n', &self.text.as_bytes()[anchor..])
                .nth(after - 1)
                .map_or(self.text.len(), |at| anchor + at + 1),
        }
    }

    /// These lines.
    pub(super) fn slice(&self, begin: u32, end: u32) -> &'t str {
        let (from, to) = (self.begin(begin), self.begin(end));
        &self.text[from..to.max(from)]
    }
}
