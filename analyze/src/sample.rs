//! The one noun: a request that somebody saw, whatever it was read from.
//!
//! The load engine writes one [`Sample`] a line as newline-delimited JSON (`isukit.events/1`):
//! a header line `{"schema":"isukit.events/1",...}` first, then one object a request.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

/// Name and version of the event format.
pub const EVENTS_SCHEMA: &str = "isukit.events/1";

/// One request as it was seen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sample<'a> {
    /// When it was meant to start, in microseconds since the Unix epoch.
    pub at_us: i64,
    /// What it is grouped by: a step, a route or a statement's shape.
    #[serde(borrow)]
    pub key: Cow<'a, str>,
    /// Time from its intended start to its end, in microseconds.
    pub latency_us: f64,
    /// Time from its real start to its end, in microseconds.
    pub service_us: f64,
    /// HTTP status; none when no reply came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Size of the reply's body on the wire in bytes.
    pub body_bytes: u64,
    /// Why it failed; none when it did not.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Cow<'a, str>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_survives_its_line() {
        let sample = Sample {
            at_us: 1_700_000_000_000_000,
            key: "GET /".into(),
            latency_us: 12.5,
            service_us: 10.0,
            status: Some(200),
            body_bytes: 64,
            error: None,
        };
        let line = serde_json::to_string(&sample).unwrap();
        assert!(!line.contains("error"), "{line}");
        assert_eq!(serde_json::from_str::<Sample<'_>>(&line).unwrap(), sample);
    }
}
