use proptest::prelude::*;

use super::super::limits::CHUNK_LINE_BYTES;
use super::*;

const BODY: Want = Want {
    head_request: false,
    body: true,
};

/// What a connection's bytes amount to: each reply's status and body, then how it ended.
#[derive(Debug, PartialEq)]
struct Seen {
    replies: Vec<(u16, Vec<u8>, u64, bool)>,
    continues: usize,
    error: Option<String>,
}

fn tight() -> ReplyLimits {
    ReplyLimits {
        head_bytes: 200,
        body_bytes: 1_000,
    }
}

/// Feed `bytes` in pieces of the given sizes (cycled), then close the connection.
fn read(bytes: &[u8], pieces: &[usize], want: Want, close: bool) -> Seen {
    let mut reader = ReplyReader::default();
    let mut heads = HeadCache::default();
    let mut seen = Seen {
        replies: Vec::new(),
        continues: 0,
        error: None,
    };
    let mut pieces = pieces.iter().cycle();
    let mut rest = bytes;
    while !rest.is_empty() {
        let size = (*pieces.next().unwrap()).clamp(1, rest.len());
        let (mut piece, after) = rest.split_at(size);
        rest = after;
        while !piece.is_empty() {
            match reader.feed(piece, want, &tight(), &mut heads) {
                Ok(Progress::More) => break,
                Ok(Progress::Continue { consumed }) => {
                    seen.continues += 1;
                    piece = &piece[consumed..];
                }
                Ok(Progress::Done(done)) => {
                    let from = match done.reply.place {
                        Place::Input => piece,
                        Place::Buffer => reader.buffer(),
                    };
                    let reply = &done.reply;
                    let body = from[reply.body.clone()].to_vec();
                    seen.replies
                        .push((reply.status, body, reply.body_bytes, reply.keep_alive));
                    piece = &piece[done.consumed..];
                    reader.reset();
                }
                Err(error) => {
                    seen.error = Some(error.to_string());
                    return seen;
                }
            }
        }
    }
    if close && !reader.is_fresh() {
        match reader.close() {
            Ok(done) => {
                let body = reader.buffer()[done.reply.body.clone()].to_vec();
                let reply = &done.reply;
                seen.replies
                    .push((reply.status, body, reply.body_bytes, reply.keep_alive));
            }
            Err(error) => seen.error = Some(error.to_string()),
        }
    }
    seen
}

/// The same whatever the reads' sizes; then one reply with this status and body.
#[track_caller]
fn check(bytes: &[u8], status: u16, body: &[u8], keep_alive: bool) {
    for pieces in [&[usize::MAX][..], &[1], &[2, 3, 50]] {
        let seen = read(bytes, pieces, BODY, true);
        assert_eq!(seen.error, None, "{pieces:?}");
        assert_eq!(
            seen.replies,
            [(status, body.to_vec(), body.len() as u64, keep_alive)]
        );
    }
}

#[track_caller]
fn check_error(bytes: &[u8], part: &str) {
    for pieces in [&[usize::MAX][..], &[1], &[2, 3, 50]] {
        let error = read(bytes, pieces, BODY, true).error.unwrap_or_default();
        assert!(error.contains(part), "{pieces:?}: {error:?}");
    }
}

#[test]
fn every_framing_is_read() {
    check(
        b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody",
        200,
        b"body",
        true,
    );
    check(
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        200,
        b"",
        true,
    );
    check(
        b"HTTP/1.1 204 No Content\r\nContent-Length: 9\r\n\r\n",
        204,
        b"",
        true,
    );
    check(b"HTTP/1.1 304 Not Modified\r\n\r\n", 304, b"", true);
    check(
        b"HTTP/1.1 200 OK\r\n\r\nuntil close",
        200,
        b"until close",
        false,
    );
    check(b"HTTP/1.0 200 OK\r\n\r\n", 200, b"", false);
    check(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
          3;x=\"y\"\r\nabc\r\n00a \r\n0123456789\r\n0\r\nTrailer: t\r\n\r\n",
        200,
        b"abc0123456789",
        true,
    );
    check(
        b"HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n1\nx\n0\n\n",
        200,
        b"x",
        true,
    );
}

#[test]
fn head_replies_have_no_body() {
    let bytes = b"HTTP/1.1 200 OK\r\nContent-Length: 999999999\r\n\r\n";
    let want = Want {
        head_request: true,
        body: true,
    };
    let seen = read(bytes, &[7], want, true);
    assert_eq!(seen.replies, [(200, Vec::new(), 0, true)]);
}

#[test]
fn interim_replies_are_passed_over() {
    let bytes = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n\
                  HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    check(bytes, 200, b"ok", true);
    assert_eq!(read(bytes, &[5], BODY, true).continues, 1);
    check_error(
        &b"HTTP/1.1 102 Processing\r\n\r\n".repeat(17),
        "more than 16 interim",
    );
    check_error(
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
        "switched protocols",
    );
}

#[test]
fn replies_follow_each_other() {
    let bytes = b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\naHTTP/1.1 201 C\r\n\
                  Content-Length: 1\r\n\r\nb";
    for pieces in [&[usize::MAX][..], &[1]] {
        let statuses: Vec<_> = read(bytes, pieces, BODY, true)
            .replies
            .iter()
            .map(|reply| reply.0)
            .collect();
        assert_eq!(statuses, [200, 201]);
    }
}

#[test]
fn a_body_that_is_not_wanted_is_only_counted() {
    for bytes in [
        &b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody"[..],
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n",
    ] {
        for size in [1, usize::MAX] {
            let seen = read(bytes, &[size], Want::default(), true);
            assert_eq!(seen.replies, [(200, Vec::new(), 4, true)]);
        }
    }
}

#[test]
fn what_breaks_off_says_where() {
    check_error(b"HTTP/1.1 2", "closed after 10 bytes of the head");
    check_error(
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nbody",
        "closed after 4 bytes of a body of 9 bytes",
    );
    check_error(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbo",
        "closed after 2 bytes of a body of chunks",
    );
    assert_eq!(
        ReplyReader::default().close(),
        Err(ReplyError::ClosedBeforeReply)
    );
}

#[test]
fn broken_chunks_are_refused() {
    let with = |chunks: &str| {
        format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}").into_bytes()
    };
    check_error(&with("xyz\r\n"), "bad chunk after 0 bytes of body: \"xyz\"");
    check_error(&with("-1\r\n"), "bad chunk");
    check_error(&with("\r\n"), "bad chunk");
    check_error(&with("ffffffffffffffff0\r\n"), "bad chunk");
    check_error(&with("ffffffffffffffff\r\n"), "exceeds 1000 bytes");
    check_error(&with("1\r\nabc\r\n"), "bad chunk after 1 bytes of body");
    check_error(
        &with(&format!("1;{}\r\n", "x".repeat(CHUNK_LINE_BYTES))),
        "bad chunk",
    );
    check_error(
        &with(&format!("0\r\n{}\r\n\r\n", "t: t\r\n".repeat(50))),
        "within 200 bytes",
    );
}

#[test]
fn limits_are_met_at_n_and_refused_at_n_plus_1() {
    let empty = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX: \r\n\r\n";
    let head = |size: usize| {
        let fill = "x".repeat(size - empty.len());
        empty.replace("X: ", &format!("X: {fill}")).into_bytes()
    };
    check(&head(200), 200, b"", true);
    check_error(&head(201), "within 200 bytes");
    check_error(
        &[b"HTTP/1.1 200 OK\r\n".to_vec(), vec![b'a'; 500]].concat(),
        "within 200 bytes",
    );

    let body = |size: usize| {
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n");
        [head.into_bytes(), vec![b'x'; size]].concat()
    };
    check(&body(1_000), 200, &[b'x'; 1_000], true);
    check_error(&body(1_001), "exceeds 1000 bytes");
    let until_close = [b"HTTP/1.1 200 OK\r\n\r\n".to_vec(), vec![b'x'; 1_001]].concat();
    check_error(&until_close, "exceeds 1000 bytes");
}

/// Pieces of plausible replies, so that random inputs get beyond the status line.
fn fragment() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        Just(b"HTTP/1.1 200 OK\r\n".to_vec()),
        Just(b"HTTP/1.1 100 Continue\r\n\r\n".to_vec()),
        Just(b"Content-Length: 3\r\n".to_vec()),
        Just(b"Transfer-Encoding: chunked\r\n".to_vec()),
        Just(b"Connection: close\r\n".to_vec()),
        Just(b"\r\n".to_vec()),
        Just(b"\n".to_vec()),
        Just(b"3\r\nabc\r\n".to_vec()),
        Just(b"0\r\n\r\n".to_vec()),
        proptest::collection::vec(any::<u8>(), 0..8),
    ]
}

proptest! {
    /// The sizes of the reads never change what is read.
    #[test]
    fn any_split_reads_the_same(
        parts in proptest::collection::vec(fragment(), 0..12),
        pieces in proptest::collection::vec(1_usize..40, 1..6),
        body: bool,
    ) {
        let want = Want { head_request: false, body };
        let bytes = parts.concat();
        let whole = read(&bytes, &[usize::MAX], want, true);
        let split = read(&bytes, &pieces, want, true);
        prop_assert_eq!(&whole.replies, &split.replies);
        // A line is refused as soon as it is seen, so the wording may depend on the split.
        prop_assert_eq!(whole.error.is_some(), split.error.is_some());
    }

    /// `httparse` reads the same heads: it accepts all that we accept but for the leniencies
    /// named in the module's documentation.
    #[test]
    fn heads_agree_with_httparse(
        status in 200_u16..600,
        names in proptest::collection::vec("[A-Za-z-]{1,20}", 0..8),
        values in proptest::collection::vec("[ -~]{0,30}", 8),
    ) {
        let mut text = format!("HTTP/1.1 {status} Reason\r\n");
        for (name, value) in names.iter().zip(&values) {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        text.push_str("\r\n");
        let mut headers = [httparse::EMPTY_HEADER; 16];
        let mut oracle = httparse::Response::new(&mut headers);
        let theirs = oracle.parse(text.as_bytes());
        if let Ok(ours) = Head::parse(text.as_bytes()) {
            let ours = ours.unwrap();
            prop_assert_eq!(theirs, Ok(httparse::Status::Complete(ours.len)));
            prop_assert_eq!(oracle.code, Some(ours.status));
        }
    }
}
