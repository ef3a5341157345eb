//! From a request to what a handler needs of it.

use std::sync::{Arc, Weak};

use http_body_util::BodyExt;
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, COOKIE, HeaderMap};
use hyper::{Method, Request};

use super::PROTOBUF;
use crate::app::App;
use crate::db::{Conn, DbError};
use crate::refusal::{BAD_REQUEST, Refusal, TOO_LARGE};

/// Bodies larger than this are refused, in bytes.
const BODY: usize = 1 << 20;
/// So much of a body that is too large is read, for a client that hears nothing while it sends.
const DRAINED: usize = 16 << 20;
/// Hexadecimal digits of a session's token.
pub(crate) const TOKEN_DIGITS: usize = 64;

/// A request, read.
pub(crate) struct Call {
    pub(crate) app: Arc<App>,
    /// The request's number in the logs.
    id: u64,
    /// The number in its path, 0 without one.
    pub(crate) number: i64,
    query: String,
    body: Bytes,
    /// What the session's cookie says.
    pub(crate) token: Option<String>,
    /// Held by who waits for the reply of a request that only reads; without one the handler ends what it began.
    client: Option<Weak<()>>,
}

impl Call {
    /// The message in its body.
    pub(crate) fn decode<M: prost::Message + Default>(&self) -> Result<M, Refusal> {
        M::decode(self.body.clone()).map_err(|cause| BAD_REQUEST.because(cause.to_string()))
    }

    /// A number of its query, if it is there.
    pub(crate) fn query_number(&self, name: &str) -> Result<Option<i64>, Refusal> {
        let parts = self
            .query
            .split('&')
            .filter_map(|part| part.split_once('='));
        let Some((_, value)) = parts.into_iter().find(|(key, _)| *key == name) else {
            return Ok(None);
        };
        let number = value.parse::<i64>();
        number
            .map(Some)
            .map_err(|_| BAD_REQUEST.because(format!("{name} is a whole number")))
    }

    /// [`crate::db::Db::read`]
    pub(crate) async fn read(&self) -> Result<Conn, DbError> {
        Ok(self.ours(self.app.db.read().await?))
    }

    /// [`crate::db::Db::snapshot`]
    pub(crate) async fn snapshot(&self) -> Result<Conn, DbError> {
        Ok(self.ours(self.app.db.snapshot().await?))
    }

    /// [`crate::db::Db::write`]
    pub(crate) async fn write(&self) -> Result<Conn, DbError> {
        Ok(self.ours(self.app.db.write().await?))
    }

    /// [`crate::db::Db::begin`]
    pub(crate) async fn begin(&self) -> Result<Conn, DbError> {
        Ok(self.ours(self.app.db.begin().await?))
    }

    fn ours(&self, conn: Conn) -> Conn {
        let comment = self.app.options.sql_comments.then_some(self.id);
        conn.with_comment(comment).for_client(self.client.clone())
    }
}

/// Whether a request says, once and exactly, that it speaks protobuf.
pub(super) fn is_protobuf(headers: &HeaderMap) -> bool {
    let mut kinds = headers.get_all(CONTENT_TYPE).iter();
    kinds.next().is_some_and(|kind| kind == PROTOBUF) && kinds.next().is_none()
}

/// Take a request in, with all of its body. `client` is held until somebody has its reply, or has gone.
pub(super) async fn read(
    app: &Arc<App>,
    id: u64,
    number: i64,
    client: &Arc<()>,
    request: Request<Incoming>,
) -> Result<Call, Refusal> {
    let is_reading = request.method() == Method::GET;
    let token = token(request.headers());
    let query = request.uri().query().unwrap_or("").to_owned();
    Ok(Call {
        app: Arc::clone(app),
        id,
        number,
        query,
        token,
        client: is_reading.then(|| Arc::downgrade(client)),
        body: body(request.into_body()).await?,
    })
}

async fn body(mut incoming: Incoming) -> Result<Bytes, Refusal> {
    let (mut body, mut seen) = (Vec::new(), 0_usize);
    while let Some(frame) = incoming.frame().await {
        let frame = frame.map_err(|cause| BAD_REQUEST.because(cause.to_string()))?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        seen = seen.saturating_add(data.len());
        if seen > DRAINED {
            break;
        }
        if seen <= BODY {
            body.extend_from_slice(&data);
        }
    }
    match seen {
        0..=BODY => Ok(body.into()),
        _ => Err(TOO_LARGE.because(format!("{BODY} bytes is all that a body may have"))),
    }
}

fn token(headers: &HeaderMap) -> Option<String> {
    let cookies = headers.get_all(COOKIE).iter();
    let token = cookies
        .filter_map(|cookies| cookies.to_str().ok())
        .flat_map(|cookies| cookies.split(';'))
        .find_map(|cookie| cookie.trim().strip_prefix("contest_session="))?;
    let is_ours = token.len() == TOKEN_DIGITS && token.bytes().all(|it| it.is_ascii_hexdigit());
    is_ours.then(|| token.to_owned())
}
