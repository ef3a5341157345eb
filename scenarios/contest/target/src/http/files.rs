//! The page and its assets, which are part of the program.

use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{
    CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderMap, HeaderValue, IF_MODIFIED_SINCE, IF_NONE_MATCH,
    LAST_MODIFIED,
};
use hyper::{Method, Request, Response, StatusCode};

use super::{Reply, not_allowed};
use crate::app::App;
use crate::refusal::{NOT_FOUND, Refusal};
use crate::secret;

/// When the files were last changed, in seconds since 1970: 2026-01-02T03:04:05Z.
const CHANGED: u64 = 1_767_323_045;

struct File {
    path: &'static str,
    content: &'static [u8],
    kind: &'static str,
    cache: &'static str,
}

const ASSET: &str = "public, max-age=86400";

const FILES: [File; 4] = [
    File {
        path: "/",
        content: include_bytes!("../../../public/index.html"),
        kind: "text/html; charset=utf-8",
        cache: "no-cache",
    },
    File {
        path: "/assets/app.css",
        content: include_bytes!("../../../public/assets/app.css"),
        kind: "text/css; charset=utf-8",
        cache: ASSET,
    },
    File {
        path: "/assets/app.js",
        content: include_bytes!("../../../public/assets/app.js"),
        kind: "text/javascript; charset=utf-8",
        cache: ASSET,
    },
    File {
        path: "/assets/logo.svg",
        content: include_bytes!("../../../public/assets/logo.svg"),
        kind: "image/svg+xml",
        cache: ASSET,
    },
];

/// Answer a request for a file.
pub(super) fn answer<B>(app: &App, request: &Request<B>) -> Result<Reply, Refusal> {
    let path = request.uri().path();
    let found = FILES.iter().zip(tags()).find(|(file, _)| file.path == path);
    let Some((file, tag)) = found.filter(|_| app.options.role.web()) else {
        return Err(NOT_FOUND);
    };
    if ![Method::GET, Method::HEAD].contains(request.method()) {
        return Ok(not_allowed(app, &[Method::GET, Method::HEAD]));
    }
    let body = match app.options.lies.spoil_file(path, file.content) {
        Some(lie) => lie.ok_or(NOT_FOUND)?.into(),
        None => Bytes::from_static(file.content),
    };
    let fresh = is_fresh(request.headers(), tag);
    // hyper leaves the body of a reply to HEAD out, and says its length.
    let mut reply = Response::new(Full::new(if fresh { Bytes::new() } else { body }));
    let headers = reply.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static(file.cache));
    if let (Ok(tag), Ok(changed)) = (
        HeaderValue::try_from(tag),
        HeaderValue::try_from(httpdate::fmt_http_date(changed())),
    ) {
        headers.insert(ETAG, tag);
        headers.insert(LAST_MODIFIED, changed);
    }
    if fresh {
        *reply.status_mut() = StatusCode::NOT_MODIFIED;
    } else {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(file.kind));
    }
    Ok(reply)
}

/// The files' entity tags: the start of a hash of their bytes.
fn tags() -> &'static [String; 4] {
    static TAGS: OnceLock<[String; 4]> = OnceLock::new();
    TAGS.get_or_init(|| {
        FILES
            .each_ref()
            .map(|file| format!("\"{}\"", &secret::hash(file.content)[..32]))
    })
}

fn changed() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(CHANGED)
}

/// Whether the client has this version. The tag goes before the date, where both are given.
fn is_fresh(headers: &HeaderMap, tag: &str) -> bool {
    if headers.contains_key(IF_NONE_MATCH) {
        let known = headers.get_all(IF_NONE_MATCH).iter();
        return known
            .filter_map(|tags| tags.to_str().ok())
            .flat_map(|tags| tags.split(','))
            .map(str::trim)
            .any(|known| known == "*" || known.strip_prefix("W/").unwrap_or(known) == tag);
    }
    let since = headers.get(IF_MODIFIED_SINCE);
    since
        .and_then(|since| httpdate::parse_http_date(since.to_str().ok()?).ok())
        .is_some_and(|since| since >= changed())
}
