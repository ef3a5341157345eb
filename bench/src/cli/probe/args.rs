//! `isukit probe`: what can be typed.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, anyhow};
use clap::{Args, ValueEnum};
use isukit_analyze::host::ServiceSpec;
use isukit_analyze::units::parse_duration;

use crate::probe::{RemoteOptions, Sampling};

const EXAMPLES: &str = "Examples:
  isukit probe                                           this host, its services found by themselves
  isukit probe --service web=unit:isu.service --service db=name:mysqld --duration 60s > probe.jsonl
  isukit probe --host s1 --host isucon@s2 --host s3      three hosts side by side, over ssh
  isukit probe --host s1 --host s2 --check               what is wrong with them, and what to do
  isukit probe --check --peer 10.0.0.2                   also whether large packets reach 10.0.0.2

A service is counted by its cgroup (unit:, cgroup:), else by its processes and the children that
they waited for (name:, pid:). Over ssh your own configuration, keys and jump hosts apply; isukit
copies itself there if it must, opens no port, and leaves nothing behind. Write the lines to a file
while `isukit run` loads the service: `isukit place` says from the two where each service should
live. Exit code 1: --check found something, or a node was lost.";

/// The shortest time between two samples: less, and `/proc` itself is too coarse.
const SHORTEST: Duration = Duration::from_millis(100);

/// How long a check takes, and how often it looks, unless said otherwise.
const CHECK_DURATION: Duration = Duration::from_secs(2);
const CHECK_INTERVAL: Duration = Duration::from_millis(500);

/// Arguments of `isukit probe`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli) struct ProbeArgs {
    /// Time between two samples [default: 1s, with --check 500ms]
    #[arg(long, value_name = "TIME", value_parser = parse_interval)]
    interval: Option<Duration>,
    /// Time after which it ends [default: until Ctrl-C, with --check 2s]
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    duration: Option<Duration>,
    /// Service to watch: NAME=unit:UNIT, NAME=cgroup:PATH, NAME=name:COMMAND or NAME=pid:N (may be repeated)
    /// [default: what is found]
    #[arg(long = "service", value_name = "NAME=WHERE")]
    services: Vec<ServiceSpec>,
    /// Folder that is the root of the host, as where a container sees its host's
    #[arg(long, value_name = "DIR", default_value = "/")]
    root: PathBuf,

    /// Host to probe over ssh instead of this one, as ssh takes it (may be repeated)
    #[arg(help_heading = "Other hosts", long = "host", value_name = "HOST")]
    pub(super) hosts: Vec<String>,
    /// Configuration of ssh other than your own
    #[arg(
        help_heading = "Other hosts",
        long,
        value_name = "FILE",
        requires = "hosts"
    )]
    ssh_config: Option<PathBuf>,

    /// Say what is wrong, and what to do about it
    #[arg(help_heading = "Check", long)]
    pub(super) check: bool,
    /// Address to which whole packets must pass (may be repeated); hosts probe each other's by themselves
    #[arg(
        help_heading = "Check",
        long = "peer",
        value_name = "ADDRESS",
        requires = "check"
    )]
    pub(super) peers: Vec<IpAddr>,

    /// How it is written [default: text on a terminal, json elsewhere]
    #[arg(help_heading = "Output", long, value_enum)]
    pub(super) format: Option<ProbeFormat>,
    /// Write to this file instead of stdout
    #[arg(help_heading = "Output", short, long, value_name = "FILE")]
    pub(super) output: Option<PathBuf>,
}

/// Ways to write what was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum ProbeFormat {
    /// A table, refreshed on a terminal
    Text,
    /// One JSON object a line, isukit.probe/1
    Json,
}

impl ProbeArgs {
    pub(super) fn sampling(&self) -> Sampling {
        let default = match self.check {
            true => CHECK_INTERVAL,
            false => Duration::from_secs(1),
        };
        Sampling {
            root: self.root.clone(),
            interval: self.interval.unwrap_or(default),
            duration: self.duration.or(self.check.then_some(CHECK_DURATION)),
            services: self.services.clone(),
        }
    }

    /// Refuses two of one name, of which nobody could tell which is meant.
    pub(super) fn distinct(&self) -> Result<()> {
        let of = |names: Vec<&str>, what: &str| {
            let twice = (1..names.len()).find(|at| names[..*at].contains(&names[*at]));
            match twice {
                Some(at) => Err(anyhow!("{what} '{}' twice", names[at].escape_debug())),
                None => Ok(()),
            }
        };
        of(
            self.hosts.iter().map(String::as_str).collect(),
            "--host names",
        )?;
        let services = self.services.iter().map(|service| service.name.as_str());
        of(services.collect(), "--service names")
    }

    /// Whether lines of this host are all that is asked for, to stdout.
    pub(super) fn is_plain(&self) -> bool {
        let other = self.check || self.output.is_some() || self.format == Some(ProbeFormat::Text);
        self.hosts.is_empty() && !other
    }

    pub(super) fn remote(&self) -> RemoteOptions {
        RemoteOptions {
            ssh_config: self.ssh_config.clone(),
        }
    }
}

fn parse_interval(text: &str) -> Result<Duration, String> {
    let interval = parse_duration(text).map_err(|error| error.to_string())?;
    match interval < SHORTEST {
        true => Err(format!(
            "the kernel counts in hundredths of a second: {SHORTEST:?} is the shortest"
        )),
        false => Ok(interval),
    }
}
