//! The exchange: one request, its reply, and where redirects lead.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, anyhow, bail};
use reqwest::header::{
    AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, COOKIE, HOST, HeaderMap, HeaderValue, LOCATION,
    SET_COOKIE,
};
use reqwest::{Client, Method, Response, StatusCode, Url, Version, redirect};
use rustls::{ClientConfig, RootCertStore};
use tokio::runtime::Runtime;

use super::CallArgs;
use super::compose::Composed;
use crate::cookie_file::{CookieFile, Place};
use crate::tls;

/// Redirects that are followed, as many as browsers follow.
const REDIRECTS: usize = 20;

/// A reply, as it was sent.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) version: Version,
    pub(super) status: StatusCode,
    /// The words behind the status.
    pub(super) reason: String,
    pub(super) headers: HeaderMap,
    /// Compressed as it was sent.
    pub(super) body: Vec<u8>,
    /// Why the body is not all there.
    pub(super) broken: Option<String>,
    /// When the request was sent, in microseconds since the Unix epoch.
    pub(super) time_us: i64,
    /// From then to the reply's last byte.
    pub(super) latency: Duration,
}

/// Seconds since the Unix epoch.
pub(super) fn now() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| {
            i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
        })
}

/// Send the request and, if that is wanted, follow where the reply leads. `each` sees every request
/// as it is sent, with its cookies, and its reply.
pub(super) fn exchange(
    args: &CallArgs,
    request: Composed,
    jar: &mut CookieFile,
    each: &mut dyn FnMut(&Composed, &Reply) -> Result<()>,
) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the network")?;
    let ended = hops(args, request, jar, &runtime, each);
    // A name server that does not answer is not waited for.
    runtime.shutdown_background();
    ended
}

fn hops(
    args: &CallArgs,
    mut request: Composed,
    jar: &mut CookieFile,
    runtime: &Runtime,
    each: &mut dyn FnMut(&Composed, &Reply) -> Result<()>,
) -> Result<()> {
    for _ in 0..=REDIRECTS {
        let mut sent = request.clone();
        add_cookies(&mut sent, jar)?;
        let client = client(args, &sent.url)?;
        let reply = runtime.block_on(send(args, &client, &sent))?;
        let place = place(&sent.url);
        for cookie in reply.headers.get_all(SET_COOKIE) {
            jar.set(cookie.as_bytes(), place, now());
        }
        let next = match args.follow {
            true => redirected(&request, &reply)?,
            false => None,
        };
        each(&sent, &reply)?;
        match next {
            Some(next) => request = next,
            None => return Ok(()),
        }
    }
    bail!("more than {REDIRECTS} redirects; without --follow the first is shown")
}

fn place(url: &Url) -> Place<'_> {
    Place {
        host: url.host_str().unwrap_or_default().trim_matches(['[', ']']),
        path: url.path(),
        is_tls: url.scheme() == "https",
    }
}

/// Cookies of the file behind those that were typed.
fn add_cookies(request: &mut Composed, jar: &CookieFile) -> Result<()> {
    let Some(kept) = jar.header(place(&request.url), now()) else {
        return Ok(());
    };
    let mut value = match request.headers.get(COOKIE) {
        Some(typed) => [typed.as_bytes(), b"; "].concat(),
        None => Vec::new(),
    };
    value.extend_from_slice(kept.as_bytes());
    let value = HeaderValue::from_bytes(&value).context("a cookie of the file cannot be sent")?;
    request.headers.insert(COOKIE, value);
    Ok(())
}

fn client(args: &CallArgs, url: &Url) -> Result<Client> {
    let config = match url.scheme() {
        "https" => {
            let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
            ClientConfig::clone(&tls::settings(&args.tls(), host)?.config)
        }
        // A client has settings of TLS all the same; without certificates they cost nothing.
        _ => {
            let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
            ClientConfig::builder_with_provider(provider)
                .with_safe_default_protocol_versions()?
                .with_root_certificates(RootCertStore::empty())
                .with_no_client_auth()
        }
    };
    Client::builder()
        .tls_backend_preconfigured(config)
        .redirect(redirect::Policy::none())
        .timeout(args.timeout)
        .no_proxy()
        .http1_only()
        .http1_title_case_headers()
        .build()
        .context("cannot make the client")
}

async fn send(args: &CallArgs, client: &Client, request: &Composed) -> Result<Reply> {
    let mut builder = client
        .request(request.method.clone(), request.url.clone())
        .headers(request.headers.clone());
    if has_body(request) {
        builder = match request.body.is_empty() {
            // The library leaves the length of an empty body out, but some servers want it.
            true => builder.header(CONTENT_LENGTH, 0),
            false => builder.body(request.body.clone()),
        };
    }
    let time_us = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| {
            i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
        });
    let began = Instant::now();
    let sent = builder.send().await;
    let mut response = sent.map_err(|error| no_reply(args, request, error))?;
    let reason = response
        .extensions()
        .get::<hyper::ext::ReasonPhrase>()
        .map(|reason| String::from_utf8_lossy(reason.as_bytes()).into_owned());
    let mut reply = Reply {
        version: response.version(),
        status: response.status(),
        reason: reason
            .or_else(|| response.status().canonical_reason().map(str::to_owned))
            .unwrap_or_default(),
        headers: std::mem::take(response.headers_mut()),
        body: Vec::new(),
        broken: None,
        time_us,
        latency: Duration::ZERO,
    };
    reply.broken = read_body(args, &mut response, &mut reply.body).await;
    reply.latency = began.elapsed();
    Ok(reply)
}

/// Read a body as far as it can and may be; why it is not all there, if it is not.
async fn read_body(args: &CallArgs, response: &mut Response, body: &mut Vec<u8>) -> Option<String> {
    let most = args.max_body;
    loop {
        match response.chunk().await {
            Ok(None) => return None,
            Ok(Some(piece)) => {
                let room = usize::try_from(most)
                    .unwrap_or(usize::MAX)
                    .saturating_sub(body.len());
                body.extend_from_slice(&piece[..piece.len().min(room)]);
                if piece.len() > room {
                    return Some(format!(
                        "the body is larger than {most} bytes; raise --max-body to see all of it"
                    ));
                }
            }
            Err(error) => return Some(format!("the body broke off: {}", cause(&error))),
        }
    }
}

/// Whether a body is sent, be it an empty one, which has a length as well.
pub(super) fn has_body(request: &Composed) -> bool {
    let wants_body = [Method::POST, Method::PUT, Method::PATCH].contains(&request.method);
    wants_body || !request.body.is_empty()
}

/// Why there is no reply, for people.
fn no_reply(args: &CallArgs, request: &Composed, error: reqwest::Error) -> anyhow::Error {
    let place = format!(
        "{}:{}",
        request.url.host_str().unwrap_or_default(),
        request.url.port_or_known_default().unwrap_or_default()
    );
    let timeout = isukit_analyze::units::format_ns(args.timeout.as_nanos() as f64);
    match () {
        () if error.is_timeout() => {
            anyhow!("no reply from {place} within {timeout}; --timeout gives it more")
        }
        () if error.is_connect() => anyhow!("cannot connect to {place}: {}", cause(&error)),
        () => anyhow!("no reply from {place}: {}", cause(&error)),
    }
}

/// What lies at the bottom of an error.
fn cause(error: &dyn std::error::Error) -> String {
    let mut deepest = error;
    while let Some(source) = deepest.source() {
        deepest = source;
    }
    isukit_analyze::report::printable(&deepest.to_string())
}

/// The request that a redirect asks for.
fn redirected(request: &Composed, reply: &Reply) -> Result<Option<Composed>> {
    let keeps_method = match reply.status.as_u16() {
        301 | 302 => request.method != Method::POST,
        303 => [Method::GET, Method::HEAD].contains(&request.method),
        307 | 308 => true,
        _ => return Ok(None),
    };
    let Some(location) = reply.headers.get(LOCATION) else {
        return Ok(None);
    };
    let shown = isukit_analyze::report::printable(&String::from_utf8_lossy(location.as_bytes()));
    let url = location
        .to_str()
        .ok()
        .and_then(|location| request.url.join(location).ok())
        .filter(|url| ["http", "https"].contains(&url.scheme()) && url.has_host())
        .with_context(|| format!("the redirect to `{shown}` cannot be followed"))?;
    let mut next = request.clone();
    if !keeps_method {
        next.method = Method::GET;
        next.body.clear();
        next.message = None;
        for header in [CONTENT_TYPE, CONTENT_LENGTH] {
            next.headers.remove(header);
        }
    }
    let origin = |url: &Url| {
        (
            url.scheme().to_owned(),
            url.host_str().map(str::to_owned),
            url.port_or_known_default(),
        )
    };
    if origin(&url) != origin(&request.url) {
        // Secrets that were typed are for the host that was typed.
        for header in [AUTHORIZATION, COOKIE] {
            next.headers.remove(header);
        }
        let authority = url.host_str().map(|host| match url.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        });
        next.headers
            .insert(HOST, HeaderValue::from_str(&authority.unwrap_or_default())?);
    }
    next.url = url;
    Ok(Some(next))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirects_lead_where_browsers_go() {
        let check =
            |method: &str, status: u16, location: &str, expected: Option<(&str, &str, bool)>| {
                let mut headers = HeaderMap::new();
                headers.insert(AUTHORIZATION, HeaderValue::from_static("Basic x"));
                let request = Composed {
                    method: method.parse().unwrap(),
                    url: Url::parse("http://a.example/x/y").unwrap(),
                    headers,
                    body: b"body".to_vec(),
                    message: None,
                };
                let mut headers = HeaderMap::new();
                headers.insert(LOCATION, location.parse().unwrap());
                let reply = Reply {
                    version: Version::HTTP_11,
                    status: StatusCode::from_u16(status).unwrap(),
                    reason: String::new(),
                    headers,
                    body: Vec::new(),
                    broken: None,
                    time_us: 0,
                    latency: Duration::ZERO,
                };
                let next = redirected(&request, &reply).ok().flatten();
                let seen = next.as_ref().map(|next| {
                    let is_trusted = next.headers.contains_key(AUTHORIZATION);
                    assert_eq!(next.body.is_empty(), next.method == Method::GET);
                    (next.method.as_str(), next.url.as_str(), is_trusted)
                });
                assert_eq!(seen, expected, "{method} {status} {location}");
            };
        let there = "http://a.example/z";
        check("POST", 303, "/z", Some(("GET", there, true)));
        check("POST", 302, "/z", Some(("GET", there, true)));
        check("PUT", 302, "/z", Some(("PUT", there, true)));
        check("POST", 307, "/z", Some(("POST", there, true)));
        check(
            "POST",
            308,
            "z",
            Some(("POST", "http://a.example/x/z", true)),
        );
        check(
            "POST",
            307,
            "//b.example/",
            Some(("POST", "http://b.example/", false)),
        );
        check(
            "POST",
            307,
            "https://a.example/",
            Some(("POST", "https://a.example/", false)),
        );
        check("POST", 307, "file:///etc/passwd", None);
        check("POST", 200, "/z", None);
    }
}
