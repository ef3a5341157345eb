//! Which format a log is in, by its content.

use std::collections::BTreeMap;

use super::limits::DETECT_BYTES;
use super::{Format, Namer, Reader};
use crate::digest::{Batch, Reader as _};

/// What came of reading the first lines of a log in one format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// The format's name, as `--as` takes it.
    pub format: &'static str,
    /// Lines that could be used.
    pub usable: usize,
    /// Lines that could not.
    pub unusable: usize,
    /// Why not, the most frequent reason; none when all could.
    pub reason: Option<&'static str>,
    /// Whether the lines look as if they were in this format, usable or not.
    pub looks_like: bool,
}

/// In this order: lines of our own are JSON too, and Envoy's are tried before those of people.
const FORMATS: [Format; 5] = [
    Format::Events,
    Format::Envoy,
    Format::Json,
    Format::Ltsv,
    Format::Combined,
];

impl Format {
    /// The format of a log that begins with `first`, or None when no format fits most of its lines.
    ///
    /// Only the first 64 KiB are looked at. A few lines of something else among them do no harm.
    pub fn detect(first: &[u8]) -> Option<Format> {
        let sample = sample(first);
        let mut best: Option<(usize, Format)> = None;
        for format in FORMATS {
            let attempt = attempt(format.clone(), sample);
            let fits = attempt.usable > 0 && attempt.usable >= attempt.unusable;
            if fits && best.as_ref().is_none_or(|(most, _)| attempt.usable > *most) {
                best = Some((attempt.usable, format));
            }
        }
        best.map(|(_, format)| format)
    }
}

/// Why no line of a log could be used: what came of each format, the most likely one first.
///
/// An attempt that `looks_like` its format says what its lines lack. When none does, the log may be in
/// an nginx `log_format` of its own: `--as nginx:'...'`.
pub fn explain_failure(first: &[u8]) -> Vec<Attempt> {
    let sample = sample(first);
    let mut attempts: Vec<_> = FORMATS
        .into_iter()
        .map(|format| attempt(format, sample))
        .collect();
    attempts.sort_by_key(|attempt| (std::cmp::Reverse(attempt.usable), !attempt.looks_like));
    attempts
}

/// Whole lines of the first bytes, or all of it when there is none.
fn sample(first: &[u8]) -> &[u8] {
    let first = &first[..first.len().min(DETECT_BYTES)];
    match memchr::memrchr(b'\n', first) {
        Some(at) => &first[..=at],
        None => first,
    }
}

fn attempt(format: Format, sample: &[u8]) -> Attempt {
    let name = format.name();
    let looks_like = looks_like(&format, sample);
    let mut batch = Batch::default();
    Reader::new(format, Namer::default()).parse(sample, true, &mut batch);
    let mut reasons: BTreeMap<&'static str, usize> = BTreeMap::new();
    for skip in &batch.skips {
        *reasons.entry(skip.reason).or_default() += 1;
    }
    Attempt {
        format: name,
        usable: batch.records.len(),
        unusable: batch.skips.len(),
        reason: reasons
            .into_iter()
            .max_by_key(|(_, count)| *count)
            .map(|(reason, _)| reason),
        looks_like,
    }
}

/// Whether most lines have the outer shape of a format.
fn looks_like(format: &Format, sample: &[u8]) -> bool {
    let (mut like, mut lines) = (0, 0);
    for line in sample.split(|byte| *byte == b'\n') {
        let line = line.trim_ascii();
        if line.is_empty() {
            continue;
        }
        lines += 1;
        like += usize::from(match format {
            Format::Ltsv => {
                let labeled =
                    |field: &[u8]| memchr::memchr(b':', field).is_some_and(|at| at > 0 && at <= 32);
                line.contains(&b'\t') && line.split(|byte| *byte == b'\t').all(labeled)
            }
            Format::Json => line.starts_with(b"{\"") && line.ends_with(b"}"),
            Format::Events => line.starts_with(b"{\"at_us\":"),
            Format::Envoy => line.starts_with(b"["),
            _ => {
                memchr::memmem::find(line, b"] \"").is_some()
                    && line.first().is_some_and(u8::is_ascii_alphanumeric)
            }
        });
    }
    like > 0 && like * 2 > lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_found_by_content() {
        let ltsv = "time:x\tstatus:200\turi:/a\n";
        let combined =
            "::1 - - [20/Nov/2026:10:26:36 +0000] \"GET / HTTP/1.1\" 200 5 \"-\" \"x\" 0.1\n";
        let json = "{\"status\":200,\"uri\":\"/\"}\n";
        let events = "{\"schema\":\"isukit.events/1\"}\n{\"at_us\":1,\"key\":\"a\",\"latency_us\":1,\"status\":200}\n";
        let envoy = "[2026-11-20T10:26:36.310Z] \"GET / HTTP/1.1\" 200 - 0 9 1 1 \"-\" \"-\" \"-\" \"-\" \"-\"\n";
        let check = |log: &str, expected: Option<&str>| {
            let seen = Format::detect(log.as_bytes()).map(|format| format.name());
            assert_eq!(seen, expected, "{log}");
        };
        check(ltsv, Some("ltsv"));
        check(ltsv.trim_end(), Some("ltsv"));
        check(combined, Some("combined"));
        check(json, Some("json"));
        check(events, Some("events"));
        check(envoy, Some("envoy"));
        check(&format!("garbage\n{ltsv}{combined}{ltsv}"), Some("ltsv"));
        check(
            &format!("garbage\n\n\n{}", json.repeat(5_000)),
            Some("json"),
        );
        check("garbage\nmore of it\n", None);
        check(
            "# Time: 2026-11-20T10:26:36\n# User@Host: a[a] @ b []\nSELECT 1;\n",
            None,
        );
        check("", None);
    }

    #[test]
    fn a_failure_names_the_likely_format_and_what_it_lacks() {
        let check = |log: &str, expected: (&str, bool, Option<&str>)| {
            let seen = &explain_failure(log.as_bytes())[0];
            assert_eq!(
                (seen.format, seen.looks_like, seen.reason),
                expected,
                "{log}"
            );
        };
        check("{\"a\":1}\n", ("json", true, Some("no status")));
        check("a:1\tb:2\n", ("ltsv", true, Some("no status")));
        assert!(explain_failure(b"garbage").iter().all(|a| !a.looks_like));
    }
}
