//! The client's side: what is asked is forwarded, what is answered is forwarded back.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use hyper::body::{Body, Incoming};
use hyper::header::{CONTENT_TYPE, EXPECT, HOST, HeaderMap, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::upgrade::OnUpgrade;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use isukit_analyze::decode::Direction;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

use super::body::{Gate, Watched};
use super::headers::{is_upgrade, strip_hop_by_hop};
use super::seen::{Copier, Exchange, Head, Totals, Waiting, Watcher, WatcherHandle};
use super::upstream::{Failure, Upstream};

/// How long a target may keep a client waiting that asked whether it may send its body; curl waits as long.
const CONTINUE_WAIT: Duration = Duration::from_secs(1);

/// How long open exchanges may go on after the tap was asked to stop.
const GRACE: Duration = Duration::from_secs(2);

/// How the tap is asked to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stop {
    /// Not at all.
    Run,
    /// Take no new connections, and end the open ones after their exchange, within a moment.
    Finish,
    /// Cut what is open.
    Cut,
}

/// The proxy.
#[derive(Debug)]
pub(crate) struct Tap {
    upstream: Arc<Upstream>,
    /// What `Host` shall be instead of what the client says.
    host: Option<HeaderValue>,
    watcher: Arc<Watcher>,
    exchanges: AtomicU64,
}

/// A client's connection.
#[derive(Debug, Clone, Copy)]
struct Client {
    number: u64,
    address: SocketAddr,
}

impl Tap {
    /// A proxy to `upstream`; with `host`, requests say that as their `Host`.
    pub(crate) fn new(
        upstream: Upstream,
        host: Option<HeaderValue>,
        watcher: &WatcherHandle,
    ) -> Arc<Self> {
        Arc::new(Self {
            upstream: Arc::new(upstream),
            host,
            watcher: Arc::clone(&watcher.0),
            exchanges: AtomicU64::new(0),
        })
    }

    /// Serve until `stop` says otherwise.
    pub(crate) async fn serve(
        self: Arc<Self>,
        listener: TcpListener,
        mut stop: watch::Receiver<Stop>,
    ) {
        let mut connections = JoinSet::new();
        let mut number = 0;
        while *stop.borrow_and_update() == Stop::Run {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                // Those that have ended are taken out, or the set would only grow.
                Some(_) = connections.join_next() => continue,
                changed = stop.changed() => match changed {
                    Ok(()) => continue,
                    Err(_) => break,
                },
            };
            let Ok((stream, address)) = accepted else {
                // No file is left for another connection: wait for some to close.
                tokio::time::sleep(Duration::from_millis(20)).await;
                continue;
            };
            number += 1;
            Totals::count(&self.watcher.totals.connections);
            let client = Client { number, address };
            connections.spawn(Arc::clone(&self).connection(stream, client, stop.clone()));
        }
        drop(listener);
        let all_ended = async { while connections.join_next().await.is_some() {} };
        let cut = async { stop.wait_for(|stop| *stop == Stop::Cut).await.is_ok() };
        tokio::select! {
            () = all_ended => {}
            _ = cut => {}
            () = tokio::time::sleep(GRACE) => {}
        }
        connections.shutdown().await;
    }

    async fn connection(
        self: Arc<Self>,
        stream: TcpStream,
        client: Client,
        mut stop: watch::Receiver<Stop>,
    ) {
        let _ = stream.set_nodelay(true);
        let service = service_fn(move |request| {
            let tap = Arc::clone(&self);
            async move { Ok::<_, Infallible>(tap.forward(client, request).await) }
        });
        let connection = http1::Builder::new()
            .preserve_header_case(true)
            // The target says what time it is, or does not.
            .auto_date_header(false)
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades();
        let mut connection = pin!(connection);
        let stopped = async {
            let _ = stop.wait_for(|stop| *stop != Stop::Run).await;
        };
        let ended = tokio::select! {
            // A client that goes away, or does not speak HTTP, has been answered as far as that is possible.
            ended = connection.as_mut() => Some(ended),
            () = stopped => None,
        };
        if ended.is_none() {
            connection.as_mut().graceful_shutdown();
            let _ = connection.await;
        }
    }

    async fn forward(&self, client: Client, mut request: Request<Incoming>) -> Response<Watched> {
        let exchange = self.exchange(client, &request);
        let is_tunnel = is_upgrade(request.headers()) || request.method() == Method::CONNECT;
        let client_side = is_tunnel.then(|| hyper::upgrade::on(&mut request));
        if !is_tunnel {
            strip_hop_by_hop(request.headers_mut());
        }
        if let Some(host) = &self.host {
            request.headers_mut().insert(HOST, host.clone());
        }
        let gate = gate(&mut request);
        let head = Head {
            direction: Direction::Request,
            status: None,
            headers: request.headers(),
        };
        let copier = Copier::new(&self.watcher, &exchange, &head);
        let request = request.map(|body| Watched::new(body, copier, gate));
        let totals = &self.watcher.totals;
        let waiting = Waiting::new(totals);
        let answer = self.upstream.send(request, totals).await;
        waiting.answered();
        let mut response = match answer {
            Ok(response) => response,
            Err(failure) => {
                let (counter, status) = match failure {
                    Failure::Client(_) => (&totals.abandoned, StatusCode::BAD_REQUEST),
                    _ => (&totals.failed, StatusCode::BAD_GATEWAY),
                };
                Totals::count(counter);
                return self.own_answer(&exchange, status, &failure.to_string());
            }
        };
        let is_switched = match response.status() {
            StatusCode::SWITCHING_PROTOCOLS => true,
            status => exchange.method == "CONNECT" && status.is_success(),
        };
        match client_side.filter(|_| is_switched) {
            Some(client_side) => self.tunnel(client_side, &mut response),
            None => strip_hop_by_hop(response.headers_mut()),
        }
        let head = Head {
            direction: Direction::Response,
            status: Some(response.status().as_u16()),
            headers: response.headers(),
        };
        let copier = Copier::new(&self.watcher, &exchange, &head);
        response.map(|body| Watched::new(body, copier, None))
    }

    fn exchange(&self, client: Client, request: &Request<Incoming>) -> Arc<Exchange> {
        Totals::count(&self.watcher.totals.exchanges);
        Arc::new(Exchange {
            number: self.exchanges.fetch_add(1, Ordering::Relaxed) + 1,
            connection: client.number,
            client: client.address,
            server: self.upstream.address(),
            method: request.method().to_string(),
            url: request.uri().to_string(),
            began: Instant::now(),
        })
    }

    /// Both sides speak to each other, whatever it is.
    fn tunnel(&self, client_side: OnUpgrade, response: &mut Response<Incoming>) {
        Totals::count(&self.watcher.totals.upgraded);
        let target_side = hyper::upgrade::on(response);
        tokio::spawn(async move {
            if let (Ok(client), Ok(target)) = tokio::join!(client_side, target_side) {
                let (mut client, mut target) = (TokioIo::new(client), TokioIo::new(target));
                // However it ends, it has ended.
                let _ = tokio::io::copy_bidirectional(&mut client, &mut target).await;
            }
        });
    }

    /// What the client is told when there is no answer of the target.
    fn own_answer(
        &self,
        exchange: &Arc<Exchange>,
        status: StatusCode,
        why: &str,
    ) -> Response<Watched> {
        let mut headers = HeaderMap::new();
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("text/plain; charset=utf-8"),
        );
        let head = Head {
            direction: Direction::Response,
            status: Some(status.as_u16()),
            headers: &headers,
        };
        let copier = Copier::new(&self.watcher, exchange, &head);
        let mut response = Response::new(Watched::own(format!("isukit tap: {why}\n"), copier));
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        response
    }
}

/// A client that asks whether it may send its body is answered by the target: nothing of the body is
/// read before, as reading it is what tells the client to send it.
fn gate(request: &mut Request<Incoming>) -> Option<Gate> {
    let expects = request
        .headers()
        .get(EXPECT)
        .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"));
    if !expects || request.body().is_end_stream() {
        return None;
    }
    let allowed = Arc::new(Notify::new());
    let opens = Arc::clone(&allowed);
    hyper::ext::on_informational(request, move |response| {
        if response.status() == StatusCode::CONTINUE {
            opens.notify_one();
        }
    });
    Some(Box::pin(async move {
        // Targets need not know of it; then the body is sent all the same.
        let _ = tokio::time::timeout(CONTINUE_WAIT, allowed.notified()).await;
    }))
}
