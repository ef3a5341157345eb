//! `isukit decode`: what can be typed.

use std::path::PathBuf;

use anyhow::{Context, Result, bail, ensure};
use clap::{Args, ValueEnum};
use isukit_analyze::decode::{
    BodyFilter, DecoderOptions, Framing, Notation, RouteMap, TypeOptions,
};
use isukit_analyze::units::parse_size;
use isukit_proto::Schema;

use crate::cli::schema::{SchemaArgs, message};

/// Make captured protobuf bodies readable.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    tcpdump -i lo -w app.pcap port 9292               capture where it is not encrypted\n  \
    isukit decode --proto proto/ app.pcap             every body, typed by its route\n  \
    isukit decode --proto proto/ app.pcap --where 'status >= 400 || message.team.id == 7'\n  \
    isukit decode --proto proto/ app.pcap --stats     which routes and fields the bytes go to\n  \
    isukit decode --proto proto/ app.pcap --save-map routes.toml    to correct, for --map\n  \
    isukit decode --proto proto/ --type Team body.bin one body: binary, hex or base64\n  \
    isukit decode body.bin                            without any .proto: fields by number\n  \
    isukit decode --proto proto/ --live lo --port 9292    as they pass (needs CAP_NET_RAW)\n  \
    ssh HOST tcpdump -i lo -U -w - port 9292 | isukit decode --proto proto/ --format text\n  \
    isukit decode --proto proto/ app.pcap --to-scenario replay/    a scenario for `isukit run`\n\n\
    What a file is (pcap, pcapng, HTTP messages, gRPC frames, delimited messages, one body) is found by its \
    content. In a pipe the output is one JSON object a line (isukit.decode/1), on a terminal text that \
    `isukit encode` takes back.")]
pub(crate) struct DecodeArgs {
    /// A capture, saved HTTP messages or a body; `-` for stdin
    #[arg(default_value = "-", value_name = "FILE", conflicts_with = "live")]
    pub(super) file: PathBuf,

    #[command(flatten)]
    pub(super) schema: SchemaArgs,

    /// All bodies are of this type
    #[arg(help_heading = "Message types", long = "type", value_name = "TYPE")]
    pub(super) kind: Option<String>,

    /// Types by route, as --save-map writes them
    #[arg(help_heading = "Message types", long, value_name = "FILE")]
    pub(super) map: Option<PathBuf>,

    /// Write what was found of types by route to a file, to be corrected and given with --map
    #[arg(help_heading = "Message types", long, value_name = "FILE")]
    pub(super) save_map: Option<PathBuf>,

    /// Take paths of this pattern for one route, as in '/teams/:name' (may be repeated)
    #[arg(help_heading = "Message types", long, value_name = "PATTERN")]
    pub(super) route: Vec<String>,

    /// Say why each body has its type
    #[arg(help_heading = "Message types", long)]
    pub(super) explain: bool,

    /// What the file is [default: found by its content]
    #[arg(long = "as", value_enum, value_name = "KIND")]
    pub(super) form: Option<FormArg>,

    /// Only what this CEL condition holds for: url, path, route, method, status, type, direction, time,
    /// latency, bytes, error, confidence, client, server, message.FIELD ...
    #[arg(long = "where", value_name = "CEL")]
    pub(super) condition: Option<String>,

    /// Instead of the bodies: counts, sizes and latency of each route, and where the bytes go
    #[arg(long)]
    pub(super) stats: bool,

    /// Only connections with this port at one end (may be repeated)
    #[arg(long, value_name = "PORT")]
    pub(super) port: Vec<u16>,

    /// TLS secrets as browsers and curl write them (SSLKEYLOGFILE)
    #[arg(long, value_name = "FILE")]
    pub(super) keylog: Option<PathBuf>,

    /// Read packets of this interface as they pass, until Ctrl-C; `any` for all (Linux, needs CAP_NET_RAW)
    #[arg(long, value_name = "INTERFACE")]
    pub(super) live: Option<String>,

    /// Write a scenario that does what the capture's clients did, into this new folder
    #[arg(long, value_name = "DIR", conflicts_with_all = [
        "stats", "live", "condition", "explain", "save_map", "format", "output"
    ])]
    pub(super) to_scenario: Option<PathBuf>,

    /// The most that a body may take, compressed or not
    #[arg(long, value_name = "SIZE", default_value = "64MiB", value_parser = parse_size_arg)]
    pub(super) max_body: u64,

    /// How the bodies are written [default: text on a terminal, json elsewhere]
    #[arg(long, value_enum)]
    pub(super) format: Option<FormatArg>,

    /// Write to a file, readable by its owner only
    #[arg(long, short = 'o', value_name = "FILE")]
    pub(super) output: Option<PathBuf>,
}

fn parse_size_arg(text: &str) -> Result<u64, String> {
    parse_size(text).map_err(|error| error.to_string())
}

/// How bodies are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum FormatArg {
    /// For people; what `isukit encode` takes back
    Text,
    /// One object a line: isukit.decode/1
    Json,
}

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum FormArg {
    /// pcap or pcapng
    Capture,
    /// HTTP/1.1 requests or replies, as `curl -i` prints them
    Http,
    /// One body
    Binary,
    /// One body in hex digits or as a hex dump
    Hex,
    /// One body in base64
    Base64,
    /// Messages, each with its length before it
    Delimited,
    /// Messages in the frames of gRPC
    Grpc,
}

impl FormArg {
    /// How the bytes of a body are written, where this says it.
    pub(super) fn notation(self) -> Option<Notation> {
        match self {
            Self::Binary | Self::Delimited | Self::Grpc => Some(Notation::Binary),
            Self::Hex => Some(Notation::Hex),
            Self::Base64 => Some(Notation::Base64),
            Self::Capture | Self::Http => None,
        }
    }

    /// How messages are told apart, where this says it.
    pub(super) fn framing(self) -> Option<Framing> {
        match self {
            Self::Binary => Some(Framing::Whole),
            Self::Delimited => Some(Framing::Delimited),
            Self::Grpc => Some(Framing::Grpc),
            _ => None,
        }
    }
}

impl DecodeArgs {
    /// How bodies are decoded.
    pub(super) fn options(&self) -> Result<DecoderOptions> {
        let schema = self.schema.load()?;
        for (option, is_given) in [
            ("--map", self.map.is_some()),
            ("--save-map", self.save_map.is_some()),
            ("--explain", self.explain),
        ] {
            ensure!(
                !is_given || schema.is_some(),
                "{option} is about message types: give --proto DIR or --descriptor-set FILE"
            );
        }
        Ok(DecoderOptions {
            types: TypeOptions {
                given: message(schema.as_ref(), self.kind.as_deref(), "--type")?,
                map: match (&schema, &self.map) {
                    (Some(schema), Some(path)) => read_map(path, schema)?,
                    _ => RouteMap::default(),
                },
                routes: self.route.clone(),
            },
            schema,
            framing: Framing::Whole,
            plain_bytes_max: self.max_body,
        })
    }

    /// Which bodies are wanted.
    pub(super) fn filter(&self) -> Result<Option<BodyFilter>> {
        self.condition
            .as_deref()
            .map(BodyFilter::new)
            .transpose()
            .context("--where")
    }

    /// What must not be written over.
    pub(super) fn refuse_overwriting(&self) -> Result<()> {
        use crate::cli::output::overwrites;
        for output in [&self.output, &self.save_map].into_iter().flatten() {
            for input in [Some(&self.file), self.map.as_ref(), self.keylog.as_ref()] {
                if let Some(input) = input.filter(|input| overwrites(output, input)) {
                    // A map is corrected and saved anew.
                    if Some(output) == self.save_map.as_ref() && Some(input) == self.map.as_ref() {
                        continue;
                    }
                    bail!(
                        "{} is one of the files to read: give the output another name",
                        output.display()
                    );
                }
            }
        }
        Ok(())
    }
}

/// Read a map of routes.
pub(in crate::cli) fn read_map(path: &std::path::Path, schema: &Schema) -> Result<RouteMap> {
    let text =
        std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    RouteMap::parse(&text, schema).with_context(|| path.display().to_string())
}
