//! The formats of access logs, and how a user names them.

use std::str::FromStr;

use super::nginx::{LogFormat, LogFormatError};

/// How the lines of an access log are written.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Format {
    /// Labeled tab-separated values.
    Ltsv,
    /// The combined or common format of nginx and Apache, with or without times behind it.
    Combined,
    /// One JSON object a line.
    Json,
    /// Envoy's default format, and Istio's.
    Envoy,
    /// Our own events, `isukit.events/1`.
    Events,
    /// What a `log_format` of nginx says.
    Nginx(Box<LogFormat>),
}

/// A format that does not exist.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FormatError {
    /// An unknown name.
    #[error(
        "there is no format '{0}'; use slow, ltsv, combined, json, envoy, events, \
         snapshot or nginx:'$remote_addr ...'"
    )]
    Unknown(String),
    /// A `log_format` that cannot be read.
    #[error(transparent)]
    LogFormat(#[from] LogFormatError),
}

impl Format {
    /// The name that `--as` takes.
    pub fn name(&self) -> &'static str {
        match self {
            Format::Ltsv => "ltsv",
            Format::Combined => "combined",
            Format::Json => "json",
            Format::Envoy => "envoy",
            Format::Events => "events",
            Format::Nginx(_) => "nginx",
        }
    }
}

impl FromStr for Format {
    type Err = FormatError;

    fn from_str(text: &str) -> Result<Self, FormatError> {
        Ok(match text {
            "ltsv" => Format::Ltsv,
            "combined" | "common" | "combined_rt" => Format::Combined,
            "json" => Format::Json,
            "envoy" => Format::Envoy,
            "events" => Format::Events,
            _ => match text.strip_prefix("nginx:") {
                Some(format) => Format::Nginx(Box::new(LogFormat::new(format)?)),
                None => return Err(FormatError::Unknown(text.to_owned())),
            },
        })
    }
}
