//! A small server that speaks protobuf over HTTP/1.1, to try isukit on and to test it with.
//!
//! | request | reply |
//! | --- | --- |
//! | `GET /api/teams/ID` | `GetTeamResponse`: the same team for the same id, `Error` 404 for id 0 |
//! | `POST /api/teams` | `CreateTeamRequest` -> `CreateTeamResponse`, `Error` 400 without a name |
//! | `GET /slow?ms=N` | an empty reply after N milliseconds, at most a minute |
//! | anything else | `Error` 404 |

use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use prost::Message as _;
use tokio::net::TcpListener;

/// The messages of `teams.proto`.
#[allow(missing_docs, unreachable_pub)]
pub mod messages {
    include!(concat!(env!("OUT_DIR"), "/teams.v1.rs"));
}

use messages::{CreateTeamRequest, CreateTeamResponse, Error, GetTeamResponse, Member, Role, Team};

/// Bodies larger than this are refused.
const BODY_BYTES: usize = 1 << 20;

/// The longest `/slow` waits, in milliseconds.
const SLOWEST_MS: u64 = 60_000;

const TYPE: HeaderValue = HeaderValue::from_static("application/vnd.google.protobuf");

type Reply = Response<Full<Bytes>>;

/// Serve connections of `listener` until `shutdown` is ready; open ones are then dropped.
pub async fn serve(listener: TcpListener, shutdown: impl Future<Output = ()>) {
    let next_id = Arc::new(AtomicI64::new(1_000));
    let mut shutdown = std::pin::pin!(shutdown);
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            // Finished connections are taken out, or the set would only grow.
            Some(_) = connections.join_next() => continue,
            () = &mut shutdown => return,
        };
        let Ok((stream, _)) = accepted else {
            // No file left for another connection: wait for some to close.
            tokio::time::sleep(Duration::from_millis(20)).await;
            continue;
        };
        let _ = stream.set_nodelay(true);
        let next_id = Arc::clone(&next_id);
        connections.spawn(async move {
            let service = service_fn(move |request| {
                let next_id = Arc::clone(&next_id);
                async move { Ok::<_, Infallible>(answer(request, &next_id).await) }
            });
            // A client that breaks off is its own affair.
            let _ = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

async fn answer(request: Request<Incoming>, next_id: &AtomicI64) -> Reply {
    let path = request.uri().path().to_owned();
    if let Some(id) = path.strip_prefix("/api/teams/")
        && request.method() == Method::GET
    {
        return match id.parse::<i64>() {
            Ok(id) if id > 0 => message(&GetTeamResponse {
                team: Some(team(id)),
            }),
            _ => error(StatusCode::NOT_FOUND, "there is no such team"),
        };
    }
    if path == "/api/teams" && request.method() == Method::POST {
        return create(request, next_id).await;
    }
    if path == "/slow" {
        let ms = request
            .uri()
            .query()
            .and_then(|query| query.strip_prefix("ms="))
            .and_then(|ms| ms.parse().ok())
            .unwrap_or(0)
            .min(SLOWEST_MS);
        tokio::time::sleep(Duration::from_millis(ms)).await;
        return bytes(StatusCode::OK, Vec::new());
    }
    error(StatusCode::NOT_FOUND, "there is no such route")
}

async fn create(request: Request<Incoming>, next_id: &AtomicI64) -> Reply {
    let body = match Limited::new(request.into_body(), BODY_BYTES)
        .collect()
        .await
    {
        Ok(body) => body.to_bytes(),
        Err(cause) => return error(StatusCode::BAD_REQUEST, &cause.to_string()),
    };
    let request = match CreateTeamRequest::decode(body) {
        Ok(request) => request,
        Err(cause) => return error(StatusCode::BAD_REQUEST, &cause.to_string()),
    };
    if request.name.is_empty() {
        return error(StatusCode::BAD_REQUEST, "a team needs a name");
    }
    let members = (1..).zip(request.member_names).map(|(id, name)| {
        let role = if id == 1 { Role::Leader } else { Role::Member };
        Member {
            id,
            name,
            role: role.into(),
        }
    });
    let team = Team {
        id: next_id.fetch_add(1, Ordering::Relaxed),
        name: request.name,
        members: members.collect(),
        ..Team::default()
    };
    message(&CreateTeamResponse { team: Some(team) })
}

/// The team with this id: everything about it follows from the id.
pub fn team(id: i64) -> Team {
    let member = |n: i64, role: Role| Member {
        id: id * 10 + n,
        name: format!("member-{id}-{n}"),
        role: role.into(),
    };
    Team {
        id,
        name: format!("team-{id}"),
        members: vec![
            member(1, Role::Leader),
            member(2, Role::Member),
            member(3, Role::Member),
        ],
        labels: [("country".to_owned(), "jp".to_owned())].into(),
        score: id as f64 * 1.5,
    }
}

fn message(message: &impl prost::Message) -> Reply {
    bytes(StatusCode::OK, message.encode_to_vec())
}

fn error(status: StatusCode, text: &str) -> Reply {
    let error = Error {
        code: status.as_u16().into(),
        human_message: text.to_owned(),
    };
    bytes(status, error.encode_to_vec())
}

fn bytes(status: StatusCode, body: Vec<u8>) -> Reply {
    let mut reply = Response::new(Full::new(Bytes::from(body)));
    *reply.status_mut() = status;
    reply.headers_mut().insert(CONTENT_TYPE, TYPE);
    reply
}
