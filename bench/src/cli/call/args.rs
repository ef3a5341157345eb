//! `isukit call`: what can be typed.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use isukit_analyze::units::{parse_duration, parse_size};
use reqwest::Method;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

use crate::cli::bodies::{BodyFormat, BodyTypeArgs, TrustArgs};
use crate::tls::TlsOptions;

const EXAMPLES: &str = "Examples:
  isukit call http://127.0.0.1:9292/api/teams/7 --proto proto/ --reply GetTeamResponse
  isukit call POST :9292/api/teams --proto proto/ --message CreateTeamRequest \\
      --body '{\"name\": \"ann\"}' --reply CreateTeamResponse --error Error
  isukit call POST :9292/api/teams --proto proto/ --message CreateTeamRequest --body 'name: \"ann\"'
  isukit call POST :9292/api/login --proto proto/ --map routes.toml --body @login.json \\
      --cookie-jar c.txt
  isukit call :9292/api/teams/7 --proto proto/ -v     heads, and where in the body each field is
  isukit call PUT https://app.example/api/blob --body @blob.bin -H 'Content-Type: image/png'

The URL may be without its scheme (http), and without its host (127.0.0.1). The body is JSON or
protobuf text of --message; a file may also hold its bytes. Without message types it is sent as it
is. With --proto the Content-Type is application/vnd.google.protobuf, of requests without a body as
well, unless -H says otherwise.
On a terminal the reply is shown for people, elsewhere as one line of JSON (isukit.decode/1).
Exit codes: 0 for a status below 400, 1 for others or a body that cannot be of the type that --reply
or --error says, 2 when there was no reply or the request could not be made.";

/// Arguments of `isukit call`.
#[derive(Debug, Args)]
#[command(override_usage = "isukit call [OPTIONS] [METHOD] <URL>", after_help = EXAMPLES)]
pub(in crate::cli) struct CallArgs {
    /// Method [default: GET, with a body POST], or the URL
    #[arg(value_name = "METHOD")]
    first: String,
    /// URL to ask
    #[arg(value_name = "URL")]
    second: Option<String>,

    /// JSON or protobuf text of the --message, or any text; @FILE reads it from a file, - from stdin
    #[arg(help_heading = "Request", short, long, value_name = "TEXT|@FILE|-")]
    pub(super) body: Option<String>,
    /// Message type of the request's body
    #[arg(help_heading = "Request", long, value_name = "TYPE")]
    pub(super) message: Option<String>,
    /// Header `Name: value`, or @FILE with one a line; keeps secrets out of the process list
    #[arg(
        help_heading = "Request",
        short = 'H',
        long = "header",
        value_name = "H"
    )]
    headers: Vec<String>,
    /// Send the cookies of this file and keep there what the replies set (the format of curl)
    #[arg(help_heading = "Request", long, value_name = "FILE")]
    pub(super) cookie_jar: Option<PathBuf>,
    /// Follow redirects instead of showing them
    #[arg(help_heading = "Request", short = 'L', long)]
    pub(super) follow: bool,

    #[command(flatten)]
    pub(super) types: BodyTypeArgs,
    /// Message type of the reply's body
    #[arg(help_heading = "Message types", long, value_name = "TYPE")]
    pub(super) reply: Option<String>,

    /// Time for a whole exchange, connecting included
    #[arg(help_heading = "Connection", long, value_name = "DURATION", default_value = "10s", value_parser = parse_duration)]
    pub(super) timeout: Duration,
    /// Largest body of a reply, compressed or not
    #[arg(help_heading = "Connection", long, value_name = "SIZE", default_value = "64MiB", value_parser = parse_size)]
    pub(super) max_body: u64,
    #[command(flatten)]
    trust: TrustArgs,

    /// Show both heads, and where in the bodies each field is
    #[arg(help_heading = "Output", short, long)]
    pub(super) verbose: bool,
    /// How the reply is written [default: text on a terminal, json elsewhere]
    #[arg(help_heading = "Output", long, value_enum)]
    pub(super) format: Option<BodyFormat>,
    /// Write to a file
    #[arg(help_heading = "Output", short, long, value_name = "FILE")]
    pub(super) output: Option<PathBuf>,
}

impl CallArgs {
    /// The method, if one was typed, and the URL.
    pub(super) fn what(&self) -> Result<(Option<Method>, String)> {
        let is_method = |text: &str| {
            text.bytes()
                .all(|byte| byte.is_ascii_alphabetic() || byte == b'-')
        };
        let is_known = |text: &str| {
            Method::from_bytes(text.to_ascii_uppercase().as_bytes())
                .is_ok_and(|method| is_standard(&method))
        };
        let (method, url) = match &self.second {
            None if is_known(&self.first) => bail!(
                "there is no URL behind {}; write `isukit call {} http://127.0.0.1:8080/path`",
                self.first,
                self.first
            ),
            None => (None, &self.first),
            Some(url) => (Some(&self.first), url),
        };
        let method = match method {
            None => None,
            Some(text) => {
                ensure!(
                    is_method(text),
                    "`{}` is no method; write `isukit call METHOD URL`",
                    isukit_analyze::report::printable(text)
                );
                // Methods are case-sensitive; those that everybody knows may be typed as one likes.
                let upper = Method::from_bytes(text.to_ascii_uppercase().as_bytes())?;
                Some(match is_standard(&upper) {
                    true => upper,
                    false => Method::from_bytes(text.as_bytes())?,
                })
            }
        };
        Ok((method, with_host(url)))
    }

    /// How TLS is to be spoken.
    pub(super) fn tls(&self) -> TlsOptions {
        self.trust.options(None)
    }

    /// The headers that were typed.
    pub(super) fn headers(&self) -> Result<HeaderMap> {
        let mut headers = HeaderMap::new();
        for header in &self.headers {
            match header.strip_prefix('@') {
                None => add_header(header, &mut headers)?,
                Some(path) => {
                    let text = std::fs::read_to_string(path)
                        .with_context(|| format!("cannot read headers from {path}"))?;
                    let lines = text.lines().zip(1..);
                    for (line, at) in lines.filter(|(line, _)| !line.trim().is_empty()) {
                        add_header(line, &mut headers).with_context(|| format!("{path}:{at}"))?;
                    }
                }
            }
        }
        Ok(headers)
    }
}

fn is_standard(method: &Method) -> bool {
    [
        Method::GET,
        Method::HEAD,
        Method::POST,
        Method::PUT,
        Method::DELETE,
        Method::OPTIONS,
        Method::PATCH,
        Method::TRACE,
    ]
    .contains(method)
}

/// `:9292/x` and `/x` are of this machine.
fn with_host(url: &str) -> String {
    match url.as_bytes() {
        [b':', b'0'..=b'9', ..] => format!("http://127.0.0.1{url}"),
        [b'/', ..] => format!("http://127.0.0.1{url}"),
        _ => url.to_owned(),
    }
}

fn add_header(text: &str, headers: &mut HeaderMap) -> Result<()> {
    // What stands there may be a secret, so it is not repeated.
    let Some((name, value)) = text.split_once(':') else {
        bail!("a header has no colon; write `Name: value`, or @FILE");
    };
    let name = name.trim();
    let parsed = HeaderName::from_bytes(name.as_bytes()).with_context(|| {
        format!(
            "`{}` is no name of a header",
            isukit_analyze::report::printable(name)
        )
    })?;
    if ["content-length", "transfer-encoding"].contains(&parsed.as_str()) {
        bail!("{name} is set by isukit from the body; leave it out");
    }
    let value = HeaderValue::from_bytes(value.trim().as_bytes())
        .with_context(|| format!("the value of {name} has control characters"))?;
    headers.append(parsed, value);
    Ok(())
}
