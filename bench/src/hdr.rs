//! The latencies as an HdrHistogram log (V2, compressed), readable by the tools of that format.

use std::io::{self, Write};
use std::time::{Duration, SystemTime};

use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::{IntervalLogWriterBuilder, Tag};

use crate::engine::Outcome;

/// Nanoseconds in the millisecond that the log's maxima are written in.
const NS_PER_MS: f64 = 1e6;

/// Write one interval a step, tagged with its name; values are nanoseconds.
///
/// # Errors
/// Those of `out`.
pub fn write_log(outcome: &Outcome, out: &mut dyn Write) -> io::Result<()> {
    let mut serializer = V2DeflateSerializer::new();
    let start = SystemTime::UNIX_EPOCH
        + Duration::from_micros(outcome.started_unix_us.try_into().unwrap_or(0));
    let mut bytes = Vec::new();
    let mut log = IntervalLogWriterBuilder::new()
        .add_comment("isukit run: latencies from the intended time, in nanoseconds")
        .with_start_time(start)
        .with_max_value_divisor(NS_PER_MS)
        .begin_log_with(&mut bytes, &mut serializer)
        .map_err(|error| io::Error::other(format!("{error:?}")))?;
    for (name, tally) in outcome.steps.iter().zip(&outcome.totals.all.steps) {
        // A tag may hold neither commas nor white space.
        let tag: String = name
            .chars()
            .map(|c| {
                if c == ',' || c.is_whitespace() {
                    '_'
                } else {
                    c
                }
            })
            .collect();
        log.write_histogram(
            &tally.latency.histogram(),
            Duration::ZERO,
            Duration::from_secs_f64(outcome.sending_s),
            Tag::new(&tag),
        )
        .map_err(|error| io::Error::other(format!("{error:?}")))?;
    }
    drop(log);
    out.write_all(&bytes)
}
