//! Connections: accepted, served, and ended when the portal stops.

use std::convert::Infallible;
use std::future::Future;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Method, Request};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::app::{App, StartError};
use crate::http::{self, Reply};
use crate::log::access::Answering;
use crate::options::Options;

/// A connection on which nothing comes for so long is closed.
const IDLE: Duration = Duration::from_secs(75);
/// How long open requests may take when the portal stops.
const LAST_REQUESTS: Duration = Duration::from_secs(5);

/// A portal that is ready to serve: its logs and its database are open.
#[derive(Debug)]
pub struct Portal(Arc<App>);

impl Portal {
    /// Open the logs and the database, and make the tables if there are none.
    pub async fn open(options: Options) -> Result<Self, StartError> {
        Ok(Self(Arc::new(App::start(options).await?)))
    }

    /// Serve connections of `listener` until `shutdown` is ready.
    ///
    /// Then no more are accepted, open requests have five seconds to end, the logs are written to
    /// their end, and a database of our own is removed.
    pub async fn serve(self, listener: TcpListener, shutdown: impl Future<Output = ()>) {
        let mut shutdown = std::pin::pin!(shutdown);
        let (stop, stopped) = watch::channel(());
        let mut connections = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                // Finished connections are taken out, or the set would only grow.
                Some(_) = connections.join_next() => continue,
                () = &mut shutdown => break,
            };
            let Ok((stream, peer)) = accepted else {
                // No file left for another connection: wait for some to close.
                tokio::time::sleep(Duration::from_millis(20)).await;
                continue;
            };
            let _ = stream.set_nodelay(true);
            let app = Arc::clone(&self.0);
            connections.spawn(connection(app, stream, peer.ip(), stopped.clone()));
        }
        drop(listener);
        drop(stop);
        let all = async { while connections.join_next().await.is_some() {} };
        if tokio::time::timeout(LAST_REQUESTS, all).await.is_err() {
            connections.shutdown().await;
        }
        self.0.db.close().await;
    }
}

/// Open a portal and serve connections of `listener` until `shutdown` is ready.
pub async fn serve(
    listener: TcpListener,
    options: Options,
    shutdown: impl Future<Output = ()>,
) -> Result<(), StartError> {
    Portal::open(options).await?.serve(listener, shutdown).await;
    Ok(())
}

async fn connection(
    app: Arc<App>,
    stream: TcpStream,
    peer: IpAddr,
    mut stopped: watch::Receiver<()>,
) {
    let service_app = Arc::clone(&app);
    let service = service_fn(move |request| {
        let app = Arc::clone(&service_app);
        async move { Ok::<_, Infallible>(respond(&app, peer, request).await) }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(IDLE)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        // Fails when the sender is dropped, which is how everybody is told.
        _ = stopped.changed() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    // A client that breaks off is its own affair; bytes that are no request were answered by hyper.
    if let (Err(cause), Some(log)) = (ended, &app.access_log)
        && cause.is_parse()
    {
        let status = if cause.is_parse_too_large() { 431 } else { 400 };
        log.no_request(peer, status);
    }
}

async fn respond(app: &Arc<App>, peer: IpAddr, request: Request<Incoming>) -> Reply {
    let id = app.next_request.fetch_add(1, Ordering::Relaxed);
    let answering = Answering::begin(app.access_log.as_ref(), &request, peer, id);
    let is_head = request.method() == Method::HEAD;
    let reply = http::answer(app, id, request).await;
    let size = if is_head { 0 } else { http::size(&reply) };
    answering.end(reply.status().as_u16(), size).await;
    reply
}
