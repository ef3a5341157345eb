//! HTTP: what a request must look like, who answers it, and what a reply looks like.

mod files;
mod request;
mod routes;

pub(crate) use request::{Call, TOKEN_DIGITS};

use std::sync::Arc;

use http_body_util::Full;
use hyper::body::{Body as _, Bytes, Incoming};
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue, SET_COOKIE};
use hyper::{Method, Request, Response, StatusCode};
use prost::Name;

use crate::app::App;
use crate::messages::Error;
use crate::refusal::{Failure, INTERNAL, METHOD_NOT_ALLOWED, NOT_FOUND, Refusal};

/// The Content-Type that a request must have.
const PROTOBUF: &str = "application/vnd.google.protobuf";

/// A reply with its whole body.
pub(crate) type Reply = Response<Full<Bytes>>;

/// What a handler gives when all went well.
#[derive(Debug)]
pub(crate) struct Success {
    body: Bytes,
    /// The Content-Type, which names the message.
    kind: String,
    /// A cookie to keep.
    cookie: Option<String>,
}

impl Success {
    /// A reply of one message.
    pub(crate) fn message<M: prost::Message + Name>(message: &M) -> Self {
        Self::encoded::<M>(message.encode_to_vec().into())
    }

    /// A reply of one message that is encoded already.
    pub(crate) fn encoded<M: Name>(body: Bytes) -> Self {
        Self {
            body,
            kind: format!("{PROTOBUF}; proto={}", M::full_name()),
            cookie: None,
        }
    }

    /// The same reply with a cookie.
    pub(crate) fn with_cookie(mut self, cookie: String) -> Self {
        self.cookie = Some(cookie);
        self
    }
}

/// Answer a request; whatever happens, there is a reply.
pub(crate) async fn answer(app: &Arc<App>, id: u64, request: Request<Incoming>) -> Reply {
    let path = request.uri().path();
    if !routes::is_program(path) {
        return match files::answer(app, &request) {
            Ok(reply) => reply,
            Err(refusal) => error(app, &refusal),
        };
    }
    if !request::is_protobuf(request.headers()) {
        return plain(StatusCode::BAD_REQUEST);
    }
    let (endpoint, number) = match routes::find(app.options.role, request.method(), path) {
        Ok(found) => found,
        Err(methods) if methods.is_empty() => return error(app, &NOT_FOUND),
        Err(methods) => return not_allowed(app, &methods),
    };
    // Ends with this future, which hyper drops when the client has gone.
    let client = Arc::new(());
    let call = match request::read(app, id, number, &client, request).await {
        Ok(call) => call,
        Err(refusal) => return error(app, &refusal),
    };
    // In a task of its own a handler ends what it began to change although the client has gone, and its
    // panic is caught.
    match tokio::spawn(routes::run(endpoint, call)).await {
        Ok(Ok(success)) => ok(success),
        Ok(Err(Failure::Refused(refusal))) => error(app, &refusal),
        Ok(Err(Failure::Broken(cause))) => error(app, &INTERNAL.because(cause.to_string())),
        Err(_) => error(app, &INTERNAL),
    }
}

/// How many body bytes a reply sends.
pub(crate) fn size(reply: &Reply) -> u64 {
    reply.body().size_hint().exact().unwrap_or(0)
}

fn ok(success: Success) -> Reply {
    let mut reply = Response::new(Full::new(success.body));
    let headers = reply.headers_mut();
    if let Ok(kind) = HeaderValue::try_from(success.kind) {
        headers.insert(CONTENT_TYPE, kind);
    }
    headers.insert(
        CACHE_CONTROL,
        HeaderValue::from_static("private, max-age=0"),
    );
    if let Some(Ok(cookie)) = success.cookie.map(HeaderValue::try_from) {
        headers.insert(SET_COOKIE, cookie);
    }
    reply
}

fn error(app: &App, refusal: &Refusal) -> Reply {
    let error = Error {
        code: refusal.status.as_u16().into(),
        name: refusal.name.to_owned(),
        human_message: refusal.message.to_owned(),
        human_descriptions: refusal.detail.iter().cloned().collect(),
    };
    let body = match app.options.lies.error_body {
        true => Vec::new(),
        false => prost::Message::encode_to_vec(&error),
    };
    let mut reply = Response::new(Full::new(body.into()));
    *reply.status_mut() = refusal.status;
    let kind = HeaderValue::from_static("application/vnd.google.protobuf; proto=contest.v1.Error");
    reply.headers_mut().insert(CONTENT_TYPE, kind);
    reply
}

fn not_allowed(app: &App, methods: &[Method]) -> Reply {
    let mut reply = error(app, &METHOD_NOT_ALLOWED);
    let methods = methods.iter().map(Method::as_str).collect::<Vec<_>>();
    if let Ok(methods) = HeaderValue::try_from(methods.join(", ")) {
        reply.headers_mut().insert(ALLOW, methods);
    }
    reply
}

fn plain(status: StatusCode) -> Reply {
    let mut reply = Response::new(Full::default());
    *reply.status_mut() = status;
    reply
}
