//! `isukit tap`: what can be typed.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;
use isukit_analyze::decode::BodyFilter;
use isukit_analyze::units::parse_size;

use crate::cli::bodies::{BodyFormat, BodyTypeArgs, TrustArgs};
use crate::tls::TlsOptions;

const EXAMPLES: &str = "Examples:
  isukit tap --to 127.0.0.1:9292 --proto proto/       then send to port 9000 what went to 9292
  isukit tap --listen 127.0.0.1:9001 --to https://app.example --rewrite-host --proto proto/
  isukit tap --to :9292 --proto proto/ --where 'status >= 400'             failures only
  isukit tap --to :9292 --proto proto/ --save passed.ndjson --quiet
  isukit tap --to :9292 --proto proto/ --map routes.toml --format json | jq .message

Requests and replies go on as they come, streams piece by piece, upgraded connections as they are;
only what HTTP has for one connection (Connection, Keep-Alive) is each side's own. What passes is
decoded on the side: who looks too slowly misses something, and that is counted. Cookies and other
headers are never shown or saved, bodies and URLs are, with what secrets they hold.
Ctrl-C ends it once open exchanges have ended, within 2 s; a second one cuts them.";

/// Arguments of `isukit tap`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli) struct TapArgs {
    /// Address to listen on; with port 0 any that is free
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:9000", value_parser = parse_listen)]
    pub(super) listen: SocketAddr,
    /// Where requests go: a URL without a path, HOST:PORT or :PORT
    #[arg(long, value_name = "URL")]
    pub(super) to: String,
    /// Send the target's own name as Host instead of what the client says
    #[arg(long)]
    pub(super) rewrite_host: bool,

    #[command(flatten)]
    pub(super) types: BodyTypeArgs,

    /// Only what this CEL condition holds for: url, path, route, method, status, type, direction, latency,
    /// bytes, error, message.FIELD ...
    #[arg(help_heading = "Output", long = "where", value_name = "CEL")]
    condition: Option<String>,
    /// Write the messages to this file as they pass, readable by its owner only (isukit.decode/1)
    #[arg(help_heading = "Output", long, value_name = "FILE")]
    pub(super) save: Option<PathBuf>,
    /// Show nothing but the totals at the end
    #[arg(help_heading = "Output", short, long)]
    pub(super) quiet: bool,
    /// How messages are written [default: text on a terminal, json elsewhere]
    #[arg(help_heading = "Output", long, value_enum)]
    pub(super) format: Option<BodyFormat>,
    /// Bytes of a body that are looked at; all of it is forwarded
    #[arg(help_heading = "Output", long, value_name = "SIZE", default_value = "1MiB", value_parser = parse_size)]
    pub(super) body_limit: u64,
    /// Largest body once it is decompressed to be looked at
    #[arg(help_heading = "Output", long, value_name = "SIZE", default_value = "64MiB", value_parser = parse_size)]
    pub(super) max_body: u64,

    #[command(flatten)]
    trust: TrustArgs,
    /// Name to ask for and to expect in the target's certificate
    #[arg(help_heading = "Connection", long, value_name = "NAME")]
    server_name: Option<String>,
}

fn parse_listen(text: &str) -> Result<SocketAddr, String> {
    let whole = match text.strip_prefix(':') {
        Some(port) => format!("127.0.0.1:{port}"),
        None if text.bytes().all(|byte| byte.is_ascii_digit()) => format!("127.0.0.1:{text}"),
        None => text.replace("localhost:", "127.0.0.1:"),
    };
    whole
        .parse()
        .map_err(|_| "write an address and a port, such as 127.0.0.1:9000".to_owned())
}

impl TapArgs {
    /// How TLS is to be spoken.
    pub(super) fn tls(&self) -> TlsOptions {
        self.trust.options(self.server_name.clone())
    }

    /// Which messages are wanted.
    pub(super) fn filter(&self) -> Result<Option<BodyFilter>> {
        self.condition
            .as_deref()
            .map(BodyFilter::new)
            .transpose()
            .context("--where")
    }
}
