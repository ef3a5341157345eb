//! What can go wrong with a request, as data: the target's failures are never our errors.

use std::borrow::Cow;
use std::io;

use serde::Serialize;

use super::clock::Nanos;
use super::user::StepId;
use isukit_analyze::http1::{HeadError, ReplyError};

/// The kinds of failure a report tells apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FaultKind {
    /// The request could not be encoded: a slot's value does not suit its field.
    NotEncodable,
    /// Nobody listens there.
    Refused,
    /// The connection could not be made for another reason.
    Connect,
    /// The connection was not made in time.
    ConnectTimeout,
    /// This machine has no port left for another connection.
    NoPorts,
    /// This process may not open another file.
    OpenFiles,
    /// The TLS handshake or a TLS record failed.
    Tls,
    /// The target reset the connection.
    Reset,
    /// The connection failed while it was used.
    Io,
    /// Closed before the first byte of the reply.
    ClosedBeforeReply,
    /// Closed within the reply.
    ClosedInReply,
    /// No byte of the reply in time.
    FirstByteTimeout,
    /// The reply was not complete in time.
    TotalTimeout,
    /// Still open when the run had to end.
    Unfinished,
    /// The head of the reply is no HTTP.
    BadHead,
    /// The Content-Length is no length.
    BadContentLength,
    /// The chunked framing is broken.
    BadChunk,
    /// More bytes than the reply announced.
    SurplusBytes,
    /// The head is beyond the limit.
    HeadTooLarge,
    /// The body is beyond the limit.
    BodyTooLarge,
    /// The content coding is broken or unknown.
    BadEncoding,
    /// A status that was not expected.
    Status(u16),
    /// The body is not the message it should be.
    BadMessage,
    /// A check did not hold, or could not be evaluated.
    Check,
    /// A scenario's script is broken: it threw, looped without end or took too much memory.
    Script,
}

impl FaultKind {
    /// The name used in reports.
    pub fn label(self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Self::NotEncodable => "request-not-encodable",
            Self::Refused => "connection-refused",
            Self::Connect => "connect-failed",
            Self::ConnectTimeout => "connect-timeout",
            Self::NoPorts => "no-free-port",
            Self::OpenFiles => "too-many-open-files",
            Self::Tls => "tls",
            Self::Reset => "connection-reset",
            Self::Io => "connection-failed",
            Self::ClosedBeforeReply => "closed-before-reply",
            Self::ClosedInReply => "closed-within-reply",
            Self::FirstByteTimeout => "first-byte-timeout",
            Self::TotalTimeout => "timeout",
            Self::Unfinished => "unfinished-at-end",
            Self::BadHead => "bad-head",
            Self::BadContentLength => "bad-content-length",
            Self::BadChunk => "bad-chunk",
            Self::SurplusBytes => "surplus-bytes",
            Self::HeadTooLarge => "head-too-large",
            Self::BodyTooLarge => "body-too-large",
            Self::BadEncoding => "bad-content-encoding",
            Self::Status(status) => return Cow::Owned(format!("status-{status}")),
            Self::BadMessage => "bad-message",
            Self::Check => "check-failed",
            Self::Script => "script-error",
        })
    }

    /// Whether it counts as a timeout.
    pub fn is_timeout(self) -> bool {
        matches!(
            self,
            Self::ConnectTimeout | Self::FirstByteTimeout | Self::TotalTimeout | Self::Unfinished
        )
    }
}

/// One failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// What kind.
    pub kind: FaultKind,
    /// What exactly, for people.
    pub detail: String,
}

impl Fault {
    /// A failure of this kind.
    pub fn new(kind: FaultKind, detail: impl Into<String>) -> Self {
        Self {
            kind,
            detail: detail.into(),
        }
    }

    /// A failed TLS handshake, with the remedy when the certificate is what is wrong.
    pub fn from_handshake(error: &io::Error) -> Self {
        let text = error.to_string();
        let remedy = if text.contains("CaUsedAsEndEntity") {
            " (it signs itself); trust it with --cacert FILE, or any with --insecure"
        } else if text.contains("not valid for name") {
            "; name the one it is for with --server-name, or accept any with --insecure"
        } else if text.contains("certificate") {
            "; trust it with --cacert FILE, or any with --insecure"
        } else if text.contains("InvalidContentType") {
            "; the target does not speak TLS here, try http://"
        } else {
            ""
        };
        Self::new(FaultKind::Tls, format!("{text}{remedy}"))
    }

    /// A failure while connecting (`connecting`) or later.
    pub fn from_io(error: &io::Error, connecting: bool) -> Self {
        // EMFILE and ENFILE have no portable kind.
        const ENFILE: i32 = 23;
        const EMFILE: i32 = 24;
        let kind = match error.kind() {
            _ if matches!(error.raw_os_error(), Some(EMFILE | ENFILE)) => FaultKind::OpenFiles,
            io::ErrorKind::ConnectionRefused => FaultKind::Refused,
            io::ErrorKind::AddrNotAvailable => FaultKind::NoPorts,
            io::ErrorKind::InvalidData => FaultKind::Tls,
            io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => FaultKind::Reset,
            _ if connecting => FaultKind::Connect,
            _ => FaultKind::Io,
        };
        Self::new(kind, error.to_string())
    }
}

impl From<ReplyError> for Fault {
    fn from(error: ReplyError) -> Self {
        let kind = match &error {
            ReplyError::Head(HeadError::ContentLength { .. }) => FaultKind::BadContentLength,
            ReplyError::HeadTooLarge(_) => FaultKind::HeadTooLarge,
            ReplyError::Chunk { .. } => FaultKind::BadChunk,
            ReplyError::BodyTooLarge(_) => FaultKind::BodyTooLarge,
            ReplyError::ClosedBeforeReply => FaultKind::ClosedBeforeReply,
            ReplyError::ClosedInHead(_) | ReplyError::ClosedInBody { .. } => {
                FaultKind::ClosedInReply
            }
            // A wrong head, too many interim replies, an upgrade nobody asked for.
            _ => FaultKind::BadHead,
        };
        Self::new(kind, error.to_string())
    }
}

/// Samples kept of each kind.
const SAMPLES: usize = 3;

/// A sample's text is cut to this many bytes.
const SAMPLE_BYTES: usize = 300;

/// One failure as it happened.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FaultSample {
    /// Seconds from the start of the measured time.
    pub at_s: f64,
    /// What exactly.
    pub detail: String,
}

impl FaultSample {
    /// A sample `at` nanoseconds after the start; a long text is cut.
    pub(super) fn new(at: Nanos, detail: &str) -> Self {
        let mut end = detail.len().min(SAMPLE_BYTES);
        while !detail.is_char_boundary(end) {
            end -= 1;
        }
        Self {
            at_s: at as f64 / 1e9,
            detail: detail[..end].to_owned(),
        }
    }
}

/// The failures of one kind in one step.
#[derive(Debug, Clone, PartialEq)]
pub struct FaultEntry {
    /// The step.
    pub step: StepId,
    /// The kind.
    pub kind: FaultKind,
    /// How many.
    pub count: u64,
    /// The first few.
    pub samples: Vec<FaultSample>,
}

/// Failures counted by step and kind, in memory bounded by the number of kinds.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FaultBook {
    entries: Vec<FaultEntry>,
}

impl FaultBook {
    /// Count one failure.
    pub fn add(&mut self, step: StepId, fault: &Fault, at: Nanos) {
        let entry = self.entry(step, fault.kind);
        entry.count += 1;
        if entry.samples.len() < SAMPLES {
            entry.samples.push(FaultSample::new(at, &fault.detail));
        }
    }

    fn entry(&mut self, step: StepId, kind: FaultKind) -> &mut FaultEntry {
        let at = self
            .entries
            .iter()
            .position(|entry| entry.step == step && entry.kind == kind)
            .unwrap_or_else(|| {
                self.entries.push(FaultEntry {
                    step,
                    kind,
                    count: 0,
                    samples: Vec::new(),
                });
                self.entries.len() - 1
            });
        &mut self.entries[at]
    }

    /// Add another book's failures; the earliest samples are kept.
    pub fn merge(&mut self, other: &Self) {
        for theirs in &other.entries {
            let ours = self.entry(theirs.step, theirs.kind);
            ours.count += theirs.count;
            ours.samples.extend(theirs.samples.iter().cloned());
            ours.samples.sort_by(|a, b| a.at_s.total_cmp(&b.at_s));
            ours.samples.truncate(SAMPLES);
        }
    }

    /// Forget everything.
    pub fn clear(&mut self) {
        self.entries.clear();
    }

    /// All entries.
    pub fn entries(&self) -> &[FaultEntry] {
        &self.entries
    }

    /// How many failures of this kind there were in all steps.
    pub fn count_of(&self, kind: FaultKind) -> u64 {
        self.entries
            .iter()
            .filter(|entry| entry.kind == kind)
            .map(|entry| entry.count)
            .sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEP: StepId = StepId(0);

    #[test]
    fn io_errors_have_their_kind() {
        let check = |error: io::Error, connecting, kind| {
            assert_eq!(Fault::from_io(&error, connecting).kind, kind, "{error}");
        };
        check(io::Error::from_raw_os_error(24), true, FaultKind::OpenFiles);
        check(io::Error::from_raw_os_error(23), true, FaultKind::OpenFiles);
        check(io::Error::from_raw_os_error(111), true, FaultKind::Refused);
        check(io::Error::from_raw_os_error(99), true, FaultKind::NoPorts);
        check(io::Error::from_raw_os_error(104), false, FaultKind::Reset);
        check(io::Error::from_raw_os_error(113), true, FaultKind::Connect);
        check(io::Error::from_raw_os_error(5), false, FaultKind::Io);
    }

    #[test]
    fn memory_is_bounded_and_counts_are_not() {
        let mut book = FaultBook::default();
        for at in 0..10_000 {
            book.add(STEP, &Fault::new(FaultKind::Reset, "é".repeat(1_000)), at);
        }
        assert_eq!(book.count_of(FaultKind::Reset), 10_000);
        assert_eq!(book.entries().len(), 1);
        assert_eq!(book.entries()[0].samples.len(), SAMPLES);
        assert!(book.entries()[0].samples[0].detail.len() <= SAMPLE_BYTES);
    }

    #[test]
    fn merging_keeps_the_earliest_samples() {
        let book = |times: &[u64]| {
            let mut book = FaultBook::default();
            for &at in times {
                book.add(
                    STEP,
                    &Fault::new(FaultKind::Status(500), at.to_string()),
                    at,
                );
            }
            book
        };
        let mut merged = book(&[5, 6, 7]);
        merged.merge(&book(&[1, 2, 9]));
        assert_eq!(merged.entries()[0].count, 6);
        let details: Vec<_> = merged.entries()[0]
            .samples
            .iter()
            .map(|sample| sample.detail.as_str())
            .collect();
        assert_eq!(details, ["1", "2", "5"]);
    }
}
