//! `isukit run URL`: arguments -> the users of one request.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use isukit_proto::Message;

use super::args::RunArgs;
use super::{Job, threads, tls_options};
use crate::check::Check;
use crate::cli::schema::message;
use crate::engine::{Load, Phase, Plan, Population, Timeouts};
use crate::expect::Expect;
use crate::http1::request::{Body, Request, SlotText};
use crate::http1::target::{Endpoint, Target};
use crate::pace::ArrivalSpec;
use crate::report::Asked;
use crate::single::{Single, SingleBehaviour};
use crate::tls;
use isukit_analyze::http1::limits::ReplyLimits;

/// Media type of protobuf bodies unless a header says otherwise.
const PROTOBUF: &str = "application/vnd.google.protobuf";

/// Everything a run needs, made from the arguments.
pub(in crate::cli) struct Prepared {
    pub(in crate::cli) single: Single,
    pub(in crate::cli) target: Target,
    pub(in crate::cli) method: String,
    pub(in crate::cli) request_message: Option<Message>,
    pub(in crate::cli) plan: Plan,
}

/// What is to be run.
pub(super) fn job(args: &RunArgs, prepared: Prepared) -> Job {
    let asked = asked(args, &prepared);
    let mut plan = prepared.plan;
    plan.phases = phases(args, prepared.single);
    Job {
        plan,
        asked,
        thresholds: args.thresholds.clone(),
        scenario: None,
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
        connections: args.url_connections(),
        scenario: None,
        threads: prepared.plan.threads,
        duration_s: args.url_duration().as_secs_f64(),
    }
}

fn phases(args: &RunArgs, mut single: Single) -> Vec<Phase> {
    let load = match args.rate {
        None => Load::Closed {
            users: args.url_connections(),
        },
        Some(rate) => Load::Open {
            arrivals: vec![ArrivalSpec::Rate {
                from: Duration::ZERO,
                to: None,
                first: rate,
                last: rate,
            }],
            max_users: args.url_connections(),
        },
    };
    single.repeat = args.rate.is_none();
    let behaviour = Arc::new(SingleBehaviour(Arc::new(single)));
    let phase = |name: &str, duration, measured| Phase {
        drain: args.drain.unwrap_or(Duration::from_secs(5)),
        measured,
        populations: vec![Population {
            behaviour: behaviour.clone(),
            load: load.clone(),
            until: None,
        }],
        ..Phase::new(name, duration)
    };
    let mut phases = Vec::new();
    if let Some(warmup) = args.warmup.filter(|warmup| !warmup.is_zero()) {
        phases.push(phase("warmup", warmup, false));
    }
    phases.push(phase("load", args.url_duration(), true));
    phases
}

/// Turn the arguments into a plan without phases.
pub(super) fn prepare(args: &RunArgs) -> Result<Prepared> {
    validate(args)?;
    let authority = args
        .what
        .split_once("://")
        .map_or(args.what.as_str(), |(_, rest)| rest);
    if authority
        .split(['/', '?'])
        .next()
        .is_some_and(|host| host.contains("${"))
    {
        bail!("the URL's host has a slot, but only its path and query may have them");
    }
    let target = Target::parse(&shield_slots(&args.what))?;
    let endpoint = match &args.unix_socket {
        Some(path) => Endpoint::Unix(path.clone()),
        None => target.resolve(&args.connect_to)?,
    };
    let tls = match target.tls {
        true => Some(tls::settings(&tls_options(args), &target.host)?),
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
    let threads = threads(args, &endpoint).min(args.url_connections());
    let total = args.timeout.unwrap_or(Duration::from_secs(10));
    let plan = Plan {
        endpoint,
        tls,
        threads,
        steps: vec![printable_step(&method, &target.path)],
        signals: Vec::new(),
        client_connections: 6,
        phases: Vec::new(),
        timeouts: Timeouts {
            connect: args.connect_timeout.unwrap_or(Duration::from_secs(5)),
            first_byte: args.first_byte_timeout.unwrap_or(total),
            total,
        },
        limits: ReplyLimits {
            body_bytes: args.max_body.unwrap_or(ReplyLimits::default().body_bytes),
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
    if !(1..=1_000_000).contains(&args.url_connections()) {
        bail!("--connections must be between 1 and 1000000");
    }
    if args
        .threads
        .is_some_and(|threads| threads == 0 || threads > 1024)
    {
        bail!("--threads must be between 1 and 1024");
    }
    if args.url_duration() < Duration::from_millis(10) {
        bail!("--duration must be at least 10ms");
    }
    if let Some(rate) = args.rate
        && !(rate > 0.0 && rate <= 1e8)
    {
        bail!("--rate must be above 0 and at most 100000000");
    }
    if args
        .rate
        .is_some_and(|rate| rate * args.url_duration().as_secs_f64() < 0.5)
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

fn expectations(args: &RunArgs) -> Result<(Option<Message>, Expect)> {
    let schema = args.schema.load()?;
    let named = |name: &Option<String>, option| message(schema.as_ref(), name.as_deref(), option);
    let request = named(&args.message, "--message")?;
    let reply = named(&args.reply, "--reply")?;
    let checks = args
        .checks
        .iter()
        .map(|expression| Check::new(expression, reply.as_ref()))
        .collect::<Result<Vec<_>, _>>()
        .context("--check")?;
    Ok((
        request,
        Expect {
            statuses: match &args.status {
                Some(given) => given.0.clone(),
                None => Expect::default().statuses,
            },
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

/// The headers that were given.
pub(super) fn given_headers(args: &RunArgs) -> Result<Vec<(String, String)>> {
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
    Ok(given)
}

fn headers(args: &RunArgs, target: &Target, body: Option<&[u8]>) -> Result<Vec<(String, String)>> {
    let given = given_headers(args)?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_survive_the_url_parser() {
        let target = Target::parse(&shield_slots("http://h/t/${seq}?u=${user}")).unwrap();
        assert_eq!(unshield_slots(&target.path), "/t/${seq}?u=${user}");
    }
}
