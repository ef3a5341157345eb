//! Bodies of the fuzz targets: ordinary functions, so that stable Rust replays their corpora.

use super::limits::ReplyLimits;
use super::{HeadCache, Place, Progress, ReplyReader, Want, coding};

/// Limits small enough for a fuzzer to reach them.
const LIMITS: ReplyLimits = ReplyLimits {
    head_bytes: 512,
    body_bytes: 4096,
};

/// Read replies from `data`: the first byte chooses the request and the sizes of the reads.
///
/// # Panics
/// When a reply is given that breaks the reader's own promises.
pub fn reply(data: &[u8]) {
    let Some((&choice, mut rest)) = data.split_first() else {
        return;
    };
    let want = Want {
        head_request: choice & 1 != 0,
        body: choice & 2 != 0,
    };
    let size = usize::from(choice >> 2).max(1);
    let mut reader = ReplyReader::default();
    let mut heads = HeadCache::default();
    while !rest.is_empty() {
        let (mut piece, after) = rest.split_at(size.min(rest.len()));
        rest = after;
        while !piece.is_empty() {
            match reader.feed(piece, want, &LIMITS, &mut heads) {
                Err(_) => return,
                Ok(Progress::More) => break,
                Ok(Progress::Continue { consumed }) => piece = &piece[consumed..],
                Ok(Progress::Done(done)) => {
                    let reply = &done.reply;
                    let from = if reply.place == Place::Input {
                        piece
                    } else {
                        reader.buffer()
                    };
                    let (head, body) = (&from[reply.head.clone()], &from[reply.body.clone()]);
                    assert!(head.len() <= LIMITS.head_bytes);
                    assert!(reply.body_bytes <= LIMITS.body_bytes);
                    assert!(!want.body || body.len() as u64 == reply.body_bytes);
                    assert!(reply.status >= 200);
                    let mut out = Vec::new();
                    let _ = coding::decode(&reply.codings, body, LIMITS.body_bytes, &mut out);
                    assert!(out.len() as u64 <= LIMITS.body_bytes + 1);
                    piece = &piece[done.consumed..];
                    reader.reset();
                }
            }
        }
    }
    let _ = reader.close();
}
