//! `isukit run`: arguments -> plan -> engine -> report.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Args;
use isukit_analyze::threshold::Threshold;
use isukit_analyze::units::{parse_duration, parse_size};
use isukit_proto::{Message, Schema};

use super::progress::Progress;
use super::signals::stop_on_signals;
use super::{COULD_NOT, DONE, FAILED, complain, debug, print};
use crate::check::Check;
use crate::engine::{
    self, Load, Outcome, Phase, Plan, Population, StopSwitch, Timeouts, event_queue, machine,
    write_events,
};
use crate::expect::Expect;
use crate::hdr;
use crate::http1::limits::ReplyLimits;
use crate::http1::request::{Body, Request, SlotText};
use crate::http1::target::{ConnectTo, Endpoint, Target};
use crate::pace::ArrivalSpec;
use crate::report::{self, Asked, Format, RunReport};
use crate::single::{Single, SingleBehaviour};
use crate::tls::{self, TlsOptions};

/// Media type of protobuf bodies unless a header says otherwise.
const PROTOBUF: &str = "application/vnd.google.protobuf";

const EXAMPLES: &str = "Examples:
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
pub(super) struct RunArgs {
    /// URL to load: http or https
    url: String,

    /// For how long requests are sent
    #[arg(help_heading = "Load", short, long, default_value = "10s", value_name = "DURATION", value_parser = parse_duration)]
    duration: Duration,
    /// Connections, and in the closed model as many users
    #[arg(
        help_heading = "Load",
        short,
        long,
        default_value_t = 64,
        value_name = "N"
    )]
    connections: usize,
    /// Load threads [default: one a CPU, half of them when the target is on this machine]
    #[arg(help_heading = "Load", short, long, value_name = "N")]
    threads: Option<usize>,
    /// Arrivals a second, whatever the target does (open model); without it every connection sends
    /// its next request after its last reply (closed model)
    #[arg(
        help_heading = "Load",
        short,
        long,
        value_name = "R",
        allow_negative_numbers = true
    )]
    rate: Option<f64>,
    /// Send for this long before anything is counted
    #[arg(help_heading = "Load", long, default_value = "0s", value_name = "DURATION", value_parser = parse_duration)]
    warmup: Duration,
    /// How long open requests may still be answered at the end
    #[arg(help_heading = "Load", long, default_value = "5s", value_name = "DURATION", value_parser = parse_duration)]
    drain: Duration,

    /// Method [default: GET, with a body POST]
    #[arg(help_heading = "Request", short = 'X', long, value_name = "M")]
    method: Option<String>,
    /// Header `Name: value`, or @FILE with one a line; keeps secrets out of the process list
    #[arg(
        help_heading = "Request",
        short = 'H',
        long = "header",
        value_name = "H"
    )]
    headers: Vec<String>,
    /// Body: JSON of the --message, or any text; @FILE reads it from a file, @- from stdin
    #[arg(help_heading = "Request", short, long, value_name = "JSON|@FILE")]
    body: Option<String>,
    /// Ask for compressed replies (gzip, br, zstd) and decompress them
    #[arg(help_heading = "Request", long)]
    compressed: bool,

    /// Folder of .proto files, an import root
    #[arg(help_heading = "Expectations", long = "proto", value_name = "DIR")]
    protos: Vec<PathBuf>,
    /// Descriptor set as written by `protoc --include_imports --descriptor_set_out`
    #[arg(
        help_heading = "Expectations",
        long,
        value_name = "FILE",
        conflicts_with = "protos"
    )]
    descriptor_set: Option<PathBuf>,
    /// Message type of the request's body
    #[arg(help_heading = "Expectations", long, value_name = "TYPE")]
    message: Option<String>,
    /// Message type of the reply: every reply is decoded from end to end
    #[arg(help_heading = "Expectations", long, value_name = "TYPE")]
    reply: Option<String>,
    /// Condition (CEL) that every reply must meet, on its fields and on http.status
    #[arg(help_heading = "Expectations", long = "check", value_name = "EXPR")]
    checks: Vec<String>,
    /// Statuses that are no error, such as 200-399 or 200,404
    #[arg(help_heading = "Expectations", long, value_name = "LIST", default_value = "200-399", value_parser = parse_statuses)]
    status: Statuses,
    /// What the run must reach, such as 'p99 < 50ms', 'errors < 1%' or 'rps > 1000'
    #[arg(help_heading = "Expectations", long = "threshold", value_name = "EXPR")]
    thresholds: Vec<Threshold>,

    /// Time for a whole exchange
    #[arg(help_heading = "Timeouts and limits", long, default_value = "10s", value_name = "DURATION", value_parser = parse_timeout)]
    timeout: Duration,
    /// Time for a connection, TLS included
    #[arg(help_heading = "Timeouts and limits", long, default_value = "5s", value_name = "DURATION", value_parser = parse_timeout)]
    connect_timeout: Duration,
    /// Time for the first byte of a reply [default: as --timeout]
    #[arg(help_heading = "Timeouts and limits", long, value_parser = parse_timeout, value_name = "DURATION")]
    first_byte_timeout: Option<Duration>,
    /// Largest body accepted, compressed or not
    #[arg(help_heading = "Timeouts and limits", long, default_value = "64M", value_parser = parse_size, value_name = "SIZE")]
    max_body: u64,

    /// Connect elsewhere: HOST:PORT:ADDRESS:PORT, empty parts match or keep anything
    #[arg(help_heading = "Connection", long, value_name = "RULE")]
    connect_to: Vec<ConnectTo>,
    /// Connect to a unix socket
    #[arg(
        help_heading = "Connection",
        long,
        value_name = "PATH",
        conflicts_with = "connect_to"
    )]
    unix_socket: Option<PathBuf>,
    /// Trust the certificates in this PEM file instead of the machine's
    #[arg(help_heading = "Connection", long, value_name = "FILE")]
    cacert: Option<PathBuf>,
    /// Accept any certificate
    #[arg(help_heading = "Connection", short = 'k', long)]
    insecure: bool,
    /// Name to ask for and to expect in the certificate
    #[arg(help_heading = "Connection", long, value_name = "NAME")]
    server_name: Option<String>,

    /// Seed of all random numbers
    #[arg(help_heading = "Output", long, default_value_t = 0, value_name = "N")]
    seed: u64,
    /// Write the latencies as an HdrHistogram log
    #[arg(help_heading = "Output", long, value_name = "FILE")]
    hdr: Option<PathBuf>,
    /// Write one JSON line a request
    #[arg(help_heading = "Output", long, value_name = "FILE")]
    events: Option<PathBuf>,
    /// Form of the report
    #[arg(help_heading = "Output", long, value_enum, default_value_t)]
    format: Format,
    /// Write the report to a file instead of stdout
    #[arg(help_heading = "Output", short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Send one request, print it and its decoded reply, and stop
    #[arg(help_heading = "Output", long)]
    debug: bool,
}

/// Ranges of statuses.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Statuses(Vec<std::ops::RangeInclusive<u16>>);

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

/// Everything a run needs, made from the arguments.
pub(super) struct Prepared {
    pub(super) single: Single,
    pub(super) target: Target,
    pub(super) method: String,
    pub(super) request_message: Option<Message>,
    pub(super) plan: Plan,
}

/// Do what was asked.
pub(super) fn main(args: &RunArgs) -> Result<u8> {
    let prepared = prepare(args)?;
    if args.debug {
        return debug::main(prepared);
    }
    warn_of_open_files(args.connections);
    // Files that cannot be written are told before the run, not after it.
    let hdr = args.hdr.as_deref().map(create).transpose()?;
    let events = args.events.as_deref().map(create).transpose()?;
    let output = args.output.as_deref().map(create).transpose()?;

    let asked = asked(args, &prepared);
    let mut plan = prepared.plan;
    plan.phases = phases(args, prepared.single);
    let plan = Arc::new(plan);
    let stop = stop_on_signals()?;
    let (outcome, events_written) = load(&plan, &stop, events, args.duration)?;
    let hdr_written = hdr.map_or(Ok(()), |file| {
        let mut out = BufWriter::new(file);
        hdr::write_log(&outcome, &mut out).and_then(|()| out.flush())
    });
    let report = report::report(asked, &outcome, &args.thresholds);
    write_report(&report, args.format, output)?;
    // A full disk must not cost the report of a long run, so these come last.
    let mut code = if report.passed { DONE } else { FAILED };
    for (written, path) in [(events_written, &args.events), (hdr_written, &args.hdr)] {
        if let (Err(error), Some(path)) = (written, path) {
            complain(&format!("isukit: cannot write {}: {error}", path.display()));
            code = COULD_NOT;
        }
    }
    Ok(code)
}

fn create(path: &std::path::Path) -> Result<File> {
    File::create(path).with_context(|| format!("cannot write {}", path.display()))
}

fn write_report(report: &RunReport, format: Format, output: Option<File>) -> Result<()> {
    let mut bytes = Vec::new();
    report::render(report, format, &mut bytes)?;
    match output {
        Some(mut file) => file.write_all(&bytes).context("cannot write the report"),
        None => print(&bytes),
    }
}

fn asked(args: &RunArgs, prepared: &Prepared) -> Asked {
    Asked {
        method: prepared.method.clone(),
        url: unshield_slots(&prepared.target.shown()),
        endpoint: prepared.plan.endpoint.to_string(),
        model: if args.rate.is_some() {
            "open"
        } else {
            "closed"
        },
        rate: args.rate,
        connections: args.connections,
        threads: prepared.plan.threads,
        duration_s: args.duration.as_secs_f64(),
    }
}

fn phases(args: &RunArgs, mut single: Single) -> Vec<Phase> {
    let load = match args.rate {
        None => Load::Closed {
            users: args.connections,
        },
        Some(rate) => Load::Open {
            arrivals: vec![ArrivalSpec::Rate {
                from: Duration::ZERO,
                to: None,
                first: rate,
                last: rate,
            }],
            max_users: args.connections,
        },
    };
    single.repeat = args.rate.is_none();
    let behaviour = Arc::new(SingleBehaviour(Arc::new(single)));
    let phase = |name: &str, duration, measured| Phase {
        drain: args.drain,
        measured,
        populations: vec![Population {
            behaviour: behaviour.clone(),
            load: load.clone(),
            until: None,
        }],
        ..Phase::new(name, duration)
    };
    let mut phases = Vec::new();
    if !args.warmup.is_zero() {
        phases.push(phase("warmup", args.warmup, false));
    }
    phases.push(phase("load", args.duration, true));
    phases
}

/// Turn the arguments into a plan without phases.
fn prepare(args: &RunArgs) -> Result<Prepared> {
    validate(args)?;
    let authority = args
        .url
        .split_once("://")
        .map_or(args.url.as_str(), |(_, rest)| rest);
    if authority
        .split(['/', '?'])
        .next()
        .is_some_and(|host| host.contains("${"))
    {
        bail!("the URL's host has a slot, but only its path and query may have them");
    }
    let target = Target::parse(&shield_slots(&args.url))?;
    let endpoint = match &args.unix_socket {
        Some(path) => Endpoint::Unix(path.clone()),
        None => target.resolve(&args.connect_to)?,
    };
    let tls_options = TlsOptions {
        ca_file: args.cacert.clone(),
        insecure: args.insecure,
        server_name: args.server_name.clone(),
    };
    let tls = match target.tls {
        true => Some(tls::settings(&tls_options, &target.host)?),
        false => None,
    };
    let (request_message, expect) = expectations(args)?;
    let method = args.method.clone().unwrap_or_else(|| {
        if args.body.is_some() || args.message.is_some() {
            "POST"
        } else {
            "GET"
        }
        .to_owned()
    });
    let request = request(args, &target, &method, request_message.as_ref())?;
    let threads = threads(args, &endpoint);
    let plan = Plan {
        endpoint,
        tls,
        threads,
        steps: vec![printable_step(&method, &target.path)],
        signals: Vec::new(),
        client_connections: 6,
        phases: Vec::new(),
        timeouts: Timeouts {
            connect: args.connect_timeout,
            first_byte: args.first_byte_timeout.unwrap_or(args.timeout),
            total: args.timeout,
        },
        limits: ReplyLimits {
            body_bytes: args.max_body,
            ..ReplyLimits::default()
        },
        seed: args.seed,
    };
    let steps = [printable_step(&method, &target.path)];
    for threshold in &args.thresholds {
        if let Some(step) = threshold.step()
            && !steps.iter().any(|known| known == step)
        {
            bail!(
                "--threshold {threshold}: there is no step `{step}`; the only one is `{}`",
                steps[0]
            );
        }
    }
    let single = Single {
        request,
        expect,
        repeat: true,
    };
    Ok(Prepared {
        single,
        target,
        method,
        request_message,
        plan,
    })
}

fn validate(args: &RunArgs) -> Result<()> {
    if args.connections == 0 || args.connections > 1_000_000 {
        bail!("--connections must be between 1 and 1000000");
    }
    if args
        .threads
        .is_some_and(|threads| threads == 0 || threads > 1024)
    {
        bail!("--threads must be between 1 and 1024");
    }
    if args.duration < Duration::from_millis(10) {
        bail!("--duration must be at least 10ms");
    }
    if let Some(rate) = args.rate
        && !(rate > 0.0 && rate <= 1e8)
    {
        bail!("--rate must be above 0 and at most 100000000");
    }
    if args
        .rate
        .is_some_and(|rate| rate * args.duration.as_secs_f64() < 0.5)
    {
        bail!("--rate and --duration together make no single request; raise one of them");
    }
    Ok(())
}

/// The name of the only step: method and path without the query.
fn printable_step(method: &str, path: &str) -> String {
    let path = path.split('?').next().unwrap_or(path);
    format!("{method} {}", unshield_slots(path))
}

fn threads(args: &RunArgs, endpoint: &Endpoint) -> usize {
    let cpus = machine::allowed_cpus().len();
    let default = if endpoint.is_local() {
        cpus.div_ceil(2)
    } else {
        cpus
    };
    args.threads.unwrap_or(default).clamp(1, args.connections)
}

/// The schema, if one was named.
fn schema(args: &RunArgs) -> Result<Option<Schema>> {
    if let Some(path) = &args.descriptor_set {
        let bytes =
            std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        let schema = Schema::from_descriptor_set(&bytes)
            .with_context(|| format!("{} is not usable", path.display()))?;
        return Ok(Some(schema));
    }
    if args.protos.is_empty() {
        return Ok(None);
    }
    Ok(Some(Schema::compile(&args.protos)?))
}

fn expectations(args: &RunArgs) -> Result<(Option<Message>, Expect)> {
    let schema = schema(args)?;
    let message = |name: &Option<String>, option: &str| -> Result<Option<Message>> {
        let Some(name) = name else { return Ok(None) };
        let Some(schema) = &schema else {
            bail!("{option} {name} needs --proto DIR or --descriptor-set FILE");
        };
        Ok(Some(
            schema.message(name).with_context(|| option.to_owned())?,
        ))
    };
    let request = message(&args.message, "--message")?;
    let reply = message(&args.reply, "--reply")?;
    let checks = args
        .checks
        .iter()
        .map(|expression| Check::new(expression, reply.as_ref()))
        .collect::<Result<Vec<_>, _>>()
        .context("--check")?;
    Ok((
        request,
        Expect {
            statuses: args.status.0.clone(),
            message: reply,
            checks,
            decompress: args.compressed,
        },
    ))
}

fn request(
    args: &RunArgs,
    target: &Target,
    method: &str,
    message: Option<&Message>,
) -> Result<Request> {
    let text = args.body.as_deref().map(read_body).transpose()?;
    let body = match (message, &text) {
        (Some(message), text) => {
            let json = text.as_deref().unwrap_or(b"{}");
            let json = std::str::from_utf8(json).context("--body is not UTF-8 text")?;
            Body::message(message, json)
                .with_context(|| format!("--body is not a {}", message.full_name()))?
        }
        (None, Some(bytes)) => match std::str::from_utf8(bytes) {
            Ok(text) => Body::Text(SlotText::parse(text).context("--body")?),
            Err(_) => Body::Text(SlotText::literal(bytes.clone())),
        },
        (None, None) => Body::None,
    };
    let headers = headers(args, target, text.as_deref())?;
    let path = SlotText::parse(&unshield_slots(&target.path)).context("the URL")?;
    Ok(Request::new(method, path, &headers, body)?)
}

fn read_body(body: &str) -> Result<Vec<u8>> {
    match body.strip_prefix('@') {
        None => Ok(body.as_bytes().to_vec()),
        Some("-") => {
            let mut bytes = Vec::new();
            io::Read::read_to_end(&mut io::stdin().lock(), &mut bytes)
                .context("cannot read the body from stdin")?;
            Ok(bytes)
        }
        Some(path) => std::fs::read(path).with_context(|| format!("cannot read {path}")),
    }
}

fn headers(args: &RunArgs, target: &Target, body: Option<&[u8]>) -> Result<Vec<(String, String)>> {
    let mut given = Vec::new();
    for header in &args.headers {
        match header.strip_prefix('@') {
            None => given.push(parse_header(header)?),
            Some(path) => {
                let text = std::fs::read_to_string(path)
                    .with_context(|| format!("cannot read headers from {path}"))?;
                let lines = text.lines().zip(1..);
                for (line, at) in lines.filter(|(line, _)| !line.trim().is_empty()) {
                    given.push(parse_header(line).with_context(|| format!("{path}:{at}"))?);
                }
            }
        }
    }
    let has = |name: &str| {
        given
            .iter()
            .any(|(given, _)| given.eq_ignore_ascii_case(name))
    };
    let mut headers = Vec::new();
    let mut default = |name: &str, value: String| {
        if !has(name) {
            headers.push((name.to_owned(), value));
        }
    };
    default("Host", target.authority.clone());
    default(
        "User-Agent",
        concat!("isukit/", env!("CARGO_PKG_VERSION")).to_owned(),
    );
    if args.message.is_some() || args.reply.is_some() {
        // Apps of this kind want it on every request, GET included.
        default("Content-Type", PROTOBUF.to_owned());
    } else if body.is_some_and(|body| serde_json::from_slice::<serde::de::IgnoredAny>(body).is_ok())
    {
        default("Content-Type", "application/json".to_owned());
    }
    if args.compressed {
        default("Accept-Encoding", "gzip, br, zstd".to_owned());
    }
    if let Some(authorization) = &target.authorization {
        default("Authorization", authorization.clone());
    }
    headers.extend(given);
    Ok(headers)
}

fn parse_header(text: &str) -> Result<(String, String)> {
    let Some((name, value)) = text.split_once(':') else {
        // What stands there may be a secret, so it is not repeated.
        bail!("a header has no colon; write `Name: value`, or @FILE");
    };
    let name = name.trim();
    if name.eq_ignore_ascii_case("content-length") || name.eq_ignore_ascii_case("transfer-encoding")
    {
        bail!("{name} is set by isukit from the body; leave it out");
    }
    if value.contains("${") {
        bail!("`{name}` has a slot, but only the URL's path and the body may have them");
    }
    Ok((name.to_owned(), value.trim().to_owned()))
}

/// Stand-ins for the signs of a slot, which a URL parser would escape.
const SHIELDS: [(&str, &str); 2] = [("${", "isukit-slot--"), ("}", "--isukit-slot")];

fn shield_slots(url: &str) -> String {
    if !url.contains("${") {
        return url.to_owned();
    }
    SHIELDS.iter().fold(url.to_owned(), |url, (sign, shield)| {
        url.replace(sign, shield)
    })
}

fn unshield_slots(url: &str) -> String {
    SHIELDS.iter().fold(url.to_owned(), |url, (sign, shield)| {
        url.replace(shield, sign)
    })
}

fn warn_of_open_files(connections: usize) {
    // Some files are open besides: the epoll sets, the report, the standard streams.
    const BESIDES: u64 = 64;
    if let Some(limit) = machine::raise_open_files()
        && limit < connections as u64 + BESIDES
    {
        complain(&format!(
            "isukit: warning: {connections} connections with at most {limit} open files: \
             raise `ulimit -n`"
        ));
    }
}

/// Run the plan with live progress, and with the event file if there is one.
fn load(
    plan: &Arc<Plan>,
    stop: &StopSwitch,
    events: Option<File>,
    duration: Duration,
) -> Result<(Outcome, io::Result<()>)> {
    let mut progress = Progress::new(duration);
    let outcome = std::thread::scope(|scope| {
        let (sender, writer) = match events {
            None => (None, None),
            Some(file) => {
                let (sender, receiver) = event_queue();
                let writer = scope.spawn(move || write_events(&receiver, BufWriter::new(file)));
                (Some(sender), Some(writer))
            }
        };
        let outcome = engine::run(plan, stop, sender, |point, totals| {
            progress.show(point, totals)
        });
        let written = match writer.map(std::thread::ScopedJoinHandle::join) {
            None => Ok(()),
            Some(Ok(result)) => result,
            Some(Err(_)) => bail!("the event writer panicked"),
        };
        Ok((outcome?, written))
    });
    progress.clear();
    outcome
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

    #[test]
    fn slots_survive_the_url_parser() {
        let target = Target::parse(&shield_slots("http://h/t/${seq}?u=${user}")).unwrap();
        assert_eq!(unshield_slots(&target.path), "/t/${seq}?u=${user}");
    }
}
