//! Blocks to records.

use crate::digest::{Batch, Reader as BlockReader, Skip, Span};

use super::ahead::{Ahead, Verdict};
use super::frame::{
    Candidate, banner_end, before_banners, cut_header, ends_statement, is_header, is_query_time,
    last_header, next_header,
};
use super::header::{self, Head};
use super::limits::EVENT_BYTES;
use super::quote::{Inside, inside, line_end};
use super::shape::{Shape, Shaper};
use super::{Flags, Record, pt};

/// Which statements are of one shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ShapeStyle {
    /// Our own: see [`shape`](super::shape).
    #[default]
    Own,
    /// Those that pt-query-digest 3.2.1 groups: see [`pt`].
    PtCompat,
}

/// Reads slow-query logs.
#[derive(Debug, Clone, Copy, Default)]
pub struct Reader {
    style: ShapeStyle,
}

impl Reader {
    /// A reader whose records' shapes are of this style.
    pub fn new(style: ShapeStyle) -> Self {
        Self { style }
    }
}

impl BlockReader for Reader {
    type Record = Record;

    fn cut(&self, block: &[u8]) -> Option<usize> {
        last_header(block)
    }

    fn parse(&self, block: &[u8], is_last: bool, batch: &mut Batch<Record>) -> usize {
        let mut pass = Pass {
            style: self.style,
            block,
            is_last,
            ahead: Ahead::new(block, is_last),
            shaper: Shaper::default(),
            batch,
            header: None,
        };
        pass.run()
    }
}

/// Why bytes are no event.
const NO_HEADER: &str = "no header of an event before it";

/// One pass over a block.
struct Pass<'a, 'b> {
    style: ShapeStyle,
    block: &'a [u8],
    is_last: bool,
    ahead: Ahead<'a>,
    shaper: Shaper,
    batch: &'b mut Batch<Record>,
    /// A header is known to begin here.
    header: Option<usize>,
}

/// Where a statement ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// Here; the next event begins here too.
    At(usize),
    /// At the limit: what follows is skipped.
    Limit(usize),
    /// Behind this block.
    NeedMore,
}

impl Pass<'_, '_> {
    fn run(&mut self) -> usize {
        let mut at = 0;
        let mut after_restart = false;
        // Where an unused event begins: its banner has to come again.
        let mut unused = 0;
        while at < self.block.len() {
            if self.header == Some(at) || is_header(self.block, at) {
                match self.event(at, after_restart) {
                    Some(end) => at = end,
                    None => return self.give_back(unused),
                }
                after_restart = false;
            } else if matches!(self.block[at], b'\n' | b'\r') {
                at += 1;
            } else if let Some(end) = banner_end(self.block, at) {
                after_restart = true;
                at = end;
                continue;
            } else {
                at = self.skip(at);
            }
            unused = if after_restart { unused } else { at };
        }
        if after_restart && !self.is_last {
            return self.give_back(unused);
        }
        self.block.len()
    }

    /// Leave what begins at `unused` to the next block.
    fn give_back(&mut self, unused: usize) -> usize {
        let skips = &mut self.batch.skips;
        while skips.last().is_some_and(|skip| skip.span.start() >= unused) {
            skips.pop();
        }
        unused
    }

    /// Skip what is no event. Returns where it ends.
    fn skip(&mut self, at: usize) -> usize {
        let line = line_end(self.block, at) + 1;
        let end = match next_header(self.block, line.min(self.block.len()), line) {
            Some(candidate) => candidate.start,
            None if self.is_last => before_banners(self.block, self.block.len(), line),
            None => self.block.len(),
        };
        self.batch.skips.push(Skip {
            span: Span::new(at, end),
            reason: NO_HEADER,
        });
        end
    }

    /// Read the event whose header begins at `at`. Returns where it ends; None when only what follows
    /// the block can say.
    fn event(&mut self, at: usize, after_restart: bool) -> Option<usize> {
        let sides = self.batch.side.len();
        let head = header::read(self.block, at, self.batch);
        let mut record = head.record;
        let (end, shape) = match self.likely_end(at, &head) {
            Some((end, shape)) => (end, Some(shape)),
            None => match self.end(at, &head) {
                End::At(end) => (end, None),
                End::Limit(end) => {
                    record.flags.add(Flags::CUT);
                    (end, None)
                }
                End::NeedMore => {
                    self.batch.side.truncate(sides);
                    return None;
                }
            },
        };
        let (text_end, is_whole) = statement_end(self.block, head.statement, end);
        record.statement = Span::new(head.statement, text_end);
        if !is_whole {
            record.flags.add(Flags::CUT);
        }
        if head.statement == end && !head.has_timestamp && !head.use_line.is_empty() {
            record.statement = head.use_line;
        }
        record.after_restart = after_restart;
        let text = record.statement.of(self.block, &[]);
        let shape = shape.unwrap_or_else(|| self.shaper.shape(text));
        record.shape = match self.style {
            ShapeStyle::Own => shape.hash,
            ShapeStyle::PtCompat => pt::hash(text),
        };
        record.verb = shape.verb;
        if let Some((start, end)) = shape.request_id {
            let begin = record.statement.start();
            record.request_id = Span::new(begin + start, begin + end);
        }
        self.batch.records.push(record);
        Some(end)
    }

    /// Nearly always, an event ends at the first header, and its statement with a semicolon outside of
    /// everything. The shape, which has to be read anyway, shows that.
    fn likely_end(&mut self, at: usize, head: &Head) -> Option<(usize, Shape)> {
        let start = head.statement;
        let end = match next_header(self.block, start, start) {
            Some(candidate) if candidate.has_banner() => return None,
            Some(candidate) => {
                self.header = Some(candidate.header);
                candidate.start
            }
            None if self.is_last => return None,
            None => self.block.len(),
        };
        let is_likely = end > start
            && end - at <= EVENT_BYTES
            && ends_statement(&self.block[start..], end - start);
        if !is_likely {
            return None;
        }
        let (text_end, _) = statement_end(self.block, start, end);
        let shape = self.shaper.shape(&self.block[start..text_end]);
        (shape.end == Inside::Nothing).then_some((end, shape))
    }

    /// Where the event ends that begins at `at`.
    fn end(&mut self, at: usize, head: &Head) -> End {
        let limit = at.saturating_add(EVENT_BYTES);
        let begin = head.statement;
        let (mut outside, mut search) = (begin, begin);
        loop {
            let candidate =
                next_header(self.block, search, outside).filter(|found| found.start <= limit);
            let Some(candidate) = candidate else {
                return self.end_of_block(head, outside, limit);
            };
            let (state, text) = inside(self.block, outside, candidate.start);
            match state {
                Inside::Open(closer) => {
                    match self.ahead.judge(text, closer, candidate.start) {
                        Verdict::Real => return End::At(candidate.start),
                        Verdict::NeedMore => return End::NeedMore,
                        Verdict::Text(close) => {
                            outside = close;
                            // The rest of the line in which it closes begins no header.
                            search = line_end(self.block, close);
                        }
                    }
                }
                state => match self.is_boundary(head, candidate, state) {
                    Some(true) => return End::At(candidate.start),
                    None => return End::NeedMore,
                    Some(false) => {
                        outside = candidate.header;
                        search = line_end(self.block, candidate.header);
                    }
                },
            }
        }
    }

    /// When no header follows in this block: `outside` lies outside of literals and comments.
    fn end_of_block(&mut self, head: &Head, outside: usize, limit: usize) -> End {
        let size = self.block.len();
        if size > limit {
            return End::Limit(limit.max(head.statement));
        }
        if self.is_last {
            let start = before_banners(self.block, size, head.statement);
            if start < size {
                return End::At(start);
            }
            return match cut_header(self.block, head.statement) {
                Some(start) if !matches!(inside(self.block, outside, start).0, Inside::Open(_)) => {
                    End::At(start)
                }
                _ => End::At(size),
            };
        }
        // A header follows behind the block, or a banner.
        let is_end = if head.statement == size {
            !head.has_timestamp
        } else {
            ends_statement(self.block, size)
                && inside(self.block, outside, size).0 == Inside::Nothing
        };
        if is_end { End::At(size) } else { End::NeedMore }
    }

    /// Whether the header of a candidate that lies outside of literals and block comments is real. None
    /// when only what follows the block can say.
    ///
    /// A server ends a statement with a semicolon. But a semicolon may end a comment (`-- don't;`), and
    /// a statement may begin with comments that look like a header. Such ones are believed when
    /// they are followed by the server's own `SET timestamp=N;` and a statement: in the text of one
    /// statement that would be two.
    fn is_boundary(&self, head: &Head, candidate: Candidate, state: Inside) -> Option<bool> {
        if candidate.has_banner() {
            return Some(true);
        }
        if candidate.start == head.statement {
            return if head.has_timestamp {
                self.is_followed_by_timestamp(candidate.header)
            } else {
                Some(true)
            };
        }
        let ends = ends_statement(self.block, candidate.start);
        if ends && (state == Inside::Nothing || !head.has_timestamp) {
            return Some(true);
        }
        self.is_followed_by_timestamp(candidate.header)
    }

    fn is_followed_by_timestamp(&self, header: usize) -> Option<bool> {
        let mut at = header;
        let mut has_query_time = false;
        while self.block.get(at) == Some(&b'#') {
            // No further than to the next header: what is asked for each of many must not take long.
            if has_query_time && is_header(self.block, at) {
                return Some(false);
            }
            has_query_time |= is_query_time(&self.block[at..]);
            at = line_end(self.block, at) + 1;
        }
        if at < self.block.len() {
            at = header::use_line(self.block, at).0;
        }
        if at >= self.block.len() {
            return self.is_last.then_some(true);
        }
        match header::set_timestamp(self.block, at) {
            Some((next, _)) if next >= self.block.len() => self.is_last.then_some(true),
            Some((next, _)) => Some(!is_header(self.block, next)),
            None => Some(false),
        }
    }
}

/// The end of a statement's text, without the server's semicolon; and whether that was there.
fn statement_end(block: &[u8], start: usize, end: usize) -> (usize, bool) {
    let mut text = &block[start..end];
    text = text.strip_suffix(b"\n").unwrap_or(text);
    text = text.strip_suffix(b"\r").unwrap_or(text);
    match text.strip_suffix(b";") {
        Some(text) => (start + text.len(), true),
        None => (start + text.len(), text.is_empty()),
    }
}
