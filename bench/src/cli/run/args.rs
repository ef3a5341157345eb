//! What may be typed behind `isukit run`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use isukit_analyze::threshold::Threshold;
use isukit_analyze::units::{parse_duration, parse_size};

use crate::cli::schema::SchemaArgs;
use crate::http1::target::ConnectTo;
use crate::report::Format;

const EXAMPLES: &str = "Examples:
  isukit run scenarios/contest --target http://127.0.0.1:9292 --duration 60s
  isukit run scenarios/contest --dry-run
  isukit run scenarios/contest --target http://127.0.0.1:9292 --debug
  isukit run http://127.0.0.1:8080/ --duration 10s --connections 64
  isukit run http://127.0.0.1:8080/ --rate 2000 --threshold 'p99 < 50ms' --threshold 'errors < 1%'
  isukit run http://127.0.0.1:8080/api/team --proto proto/ --reply Team --check 'size(members) > 0'
  isukit run http://127.0.0.1:8080/api/login --proto proto/ --message LoginRequest \\
      --body '{\"name\": \"user-${seq}\"}' --reply LoginReply --format json --output run.json
  isukit run http://127.0.0.1:8080/api/team --proto proto/ --reply Team --debug

Slots in URL and body, filled anew for each request: ${seq} its number, ${user} the virtual user's
number, ${random} a number below 2^31; $${ stands for a literal ${.";

/// Arguments of `isukit run`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli) struct RunArgs {
    /// URL to load (http or https), or the folder of a scenario
    #[arg(value_name = "URL|FOLDER")]
    pub(super) what: String,

    /// Base URL of the scenario's target, instead of the one in its scenario.toml
    #[arg(help_heading = "Scenario", long, value_name = "URL")]
    pub(super) target: Option<String>,
    /// Check the scenario's folder and script, send nothing
    #[arg(help_heading = "Scenario", long)]
    pub(super) dry_run: bool,
    /// Write the definitions that editors check scripts against, and stop
    #[arg(help_heading = "Scenario", long, value_name = "DIR")]
    pub(super) types: Option<PathBuf>,

    /// For how long requests are sent [default: 10s, or what the scenario says]
    #[arg(help_heading = "Load", short, long, value_name = "DURATION", value_parser = parse_duration)]
    pub(super) duration: Option<Duration>,
    /// Connections, and in the closed model as many users [default: 64]
    #[arg(help_heading = "Load", short, long, value_name = "N")]
    pub(super) connections: Option<usize>,
    /// Load threads [default: one a CPU, half of them when the target is on this machine]
    #[arg(help_heading = "Load", short, long, value_name = "N")]
    pub(super) threads: Option<usize>,
    /// Arrivals a second, whatever the target does (open model); without it every connection sends
    /// its next request after its last reply (closed model)
    #[arg(
        help_heading = "Load",
        short,
        long,
        value_name = "R",
        allow_negative_numbers = true
    )]
    pub(super) rate: Option<f64>,
    /// Send for this long before anything is counted
    #[arg(help_heading = "Load", long, value_name = "DURATION", value_parser = parse_duration)]
    pub(super) warmup: Option<Duration>,
    /// How long open requests may still be answered at the end [default: 5s]
    #[arg(help_heading = "Load", long, value_name = "DURATION", value_parser = parse_duration)]
    pub(super) drain: Option<Duration>,

    /// Method [default: GET, with a body POST]
    #[arg(help_heading = "Request", short = 'X', long, value_name = "M")]
    pub(super) method: Option<String>,
    /// Header `Name: value`, or @FILE with one a line; keeps secrets out of the process list
    #[arg(
        help_heading = "Request",
        short = 'H',
        long = "header",
        value_name = "H"
    )]
    pub(super) headers: Vec<String>,
    /// Body: JSON of the --message, or any text; @FILE reads it from a file, @- from stdin
    #[arg(help_heading = "Request", short, long, value_name = "JSON|@FILE")]
    pub(super) body: Option<String>,
    /// Ask for compressed replies (gzip, br, zstd) and decompress them
    #[arg(help_heading = "Request", long)]
    pub(super) compressed: bool,

    #[command(flatten)]
    pub(super) schema: SchemaArgs,
    /// Message type of the request's body
    #[arg(help_heading = "Expectations", long, value_name = "TYPE")]
    pub(super) message: Option<String>,
    /// Message type of the reply: every reply is decoded from end to end
    #[arg(help_heading = "Expectations", long, value_name = "TYPE")]
    pub(super) reply: Option<String>,
    /// Condition (CEL) that every reply must meet, on its fields and on http.status
    #[arg(help_heading = "Expectations", long = "check", value_name = "EXPR")]
    pub(super) checks: Vec<String>,
    /// Statuses that are no error, such as 200,404 [default: 200-399]
    #[arg(help_heading = "Expectations", long, value_name = "LIST", value_parser = parse_statuses)]
    pub(super) status: Option<Statuses>,
    /// What the run must reach, such as 'p99 < 50ms', 'errors < 1%' or 'rps > 1000'
    #[arg(help_heading = "Expectations", long = "threshold", value_name = "EXPR")]
    pub(super) thresholds: Vec<Threshold>,

    /// Time for a whole exchange [default: 10s]
    #[arg(help_heading = "Timeouts and limits", long, value_name = "DURATION", value_parser = parse_timeout)]
    pub(super) timeout: Option<Duration>,
    /// Time for a connection, TLS included [default: 5s]
    #[arg(help_heading = "Timeouts and limits", long, value_name = "DURATION", value_parser = parse_timeout)]
    pub(super) connect_timeout: Option<Duration>,
    /// Time for the first byte of a reply [default: as --timeout]
    #[arg(help_heading = "Timeouts and limits", long, value_parser = parse_timeout, value_name = "DURATION")]
    pub(super) first_byte_timeout: Option<Duration>,
    /// Largest body accepted, compressed or not [default: 64M]
    #[arg(help_heading = "Timeouts and limits", long, value_parser = parse_size, value_name = "SIZE")]
    pub(super) max_body: Option<u64>,

    /// Connect elsewhere: HOST:PORT:ADDRESS:PORT, empty parts match or keep anything
    #[arg(help_heading = "Connection", long, value_name = "RULE")]
    pub(super) connect_to: Vec<ConnectTo>,
    /// Connect to a unix socket
    #[arg(
        help_heading = "Connection",
        long,
        value_name = "PATH",
        conflicts_with = "connect_to"
    )]
    pub(super) unix_socket: Option<PathBuf>,
    /// Trust the certificates in this PEM file instead of the machine's
    #[arg(help_heading = "Connection", long, value_name = "FILE")]
    pub(super) cacert: Option<PathBuf>,
    /// Accept any certificate
    #[arg(help_heading = "Connection", short = 'k', long)]
    pub(super) insecure: bool,
    /// Name to ask for and to expect in the certificate
    #[arg(help_heading = "Connection", long, value_name = "NAME")]
    pub(super) server_name: Option<String>,

    /// Seed of all random numbers
    #[arg(help_heading = "Output", long, default_value_t = 0, value_name = "N")]
    pub(super) seed: u64,
    /// Write the latencies as an HdrHistogram log
    #[arg(help_heading = "Output", long, value_name = "FILE")]
    pub(super) hdr: Option<PathBuf>,
    /// Write one JSON line a request
    #[arg(help_heading = "Output", long, value_name = "FILE")]
    pub(super) events: Option<PathBuf>,
    /// Form of the report
    #[arg(help_heading = "Output", long, value_enum, default_value_t)]
    pub(super) format: Format,
    /// Write the report to a file instead of stdout
    #[arg(help_heading = "Output", short, long, value_name = "FILE")]
    pub(super) output: Option<PathBuf>,
    /// Send one request, or let one user of each kind of a scenario act, and print every request and
    /// its decoded reply
    #[arg(help_heading = "Output", long)]
    pub(super) debug: bool,
}

/// Ranges of statuses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Statuses(pub(super) Vec<std::ops::RangeInclusive<u16>>);

fn parse_statuses(text: &str) -> Result<Statuses, String> {
    let status = |part: &str| match part.trim().parse::<u16>() {
        Ok(status) if (100..=999).contains(&status) => Ok(status),
        _ => Err(format!(
            "`{part}` is not a status; write a list such as 200-299,304"
        )),
    };
    let range = |part: &str| match part.split_once('-') {
        Some((from, to)) => match status(from)?..=status(to)? {
            range if range.is_empty() => Err(format!("`{part}` holds no status")),
            range => Ok(range),
        },
        None => status(part).map(|status| status..=status),
    };
    text.split(',')
        .map(range)
        .collect::<Result<_, _>>()
        .map(Statuses)
}

fn parse_timeout(text: &str) -> Result<Duration, String> {
    match parse_duration(text) {
        Ok(duration) if duration.is_zero() => Err("a timeout cannot be 0".to_owned()),
        other => other.map_err(|error| error.to_string()),
    }
}

impl RunArgs {
    /// The options that were given and that only a single URL has; a scenario says such things
    /// itself.
    pub(super) fn only_for_urls(&self) -> Option<&'static str> {
        let given = [
            ("--connections", self.connections.is_some()),
            ("--rate", self.rate.is_some()),
            ("--warmup", self.warmup.is_some()),
            ("--method", self.method.is_some()),
            ("--body", self.body.is_some()),
            ("--compressed", self.compressed),
            ("--proto", !self.schema.protos.is_empty()),
            ("--descriptor-set", self.schema.descriptor_set.is_some()),
            ("--message", self.message.is_some()),
            ("--reply", self.reply.is_some()),
            ("--check", !self.checks.is_empty()),
            ("--status", self.status.is_some()),
            ("--first-byte-timeout", self.first_byte_timeout.is_some()),
        ];
        given
            .iter()
            .find(|(_, given)| *given)
            .map(|(name, _)| *name)
    }

    /// The options that were given and that only a scenario has.
    pub(super) fn only_for_scenarios(&self) -> Option<&'static str> {
        let given = [
            ("--target", self.target.is_some()),
            ("--dry-run", self.dry_run),
            ("--types", self.types.is_some()),
        ];
        given
            .iter()
            .find(|(_, given)| *given)
            .map(|(name, _)| *name)
    }

    /// Connections of a run of one URL.
    pub(super) fn url_connections(&self) -> usize {
        self.connections.unwrap_or(64)
    }

    /// How long a run of one URL lasts.
    pub(super) fn url_duration(&self) -> Duration {
        self.duration.unwrap_or(Duration::from_secs(10))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_read() {
        let check = |text: &str, expected: Option<Vec<std::ops::RangeInclusive<u16>>>| {
            assert_eq!(parse_statuses(text).ok().map(|s| s.0), expected, "{text}");
        };
        check("200-399", Some(vec![200..=399]));
        check("200, 404", Some(vec![200..=200, 404..=404]));
        check("", None);
        check("99", None);
        check("399-200", None);
        check("2xx", None);
    }
}
