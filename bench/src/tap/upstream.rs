//! The target's side: connections, kept while they are idle, and what to do when one turns out dead.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hyper::body::{Body, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::IDLE_CONNECTIONS;
use super::body::Watched;
use super::seen::Totals;
use crate::engine::TlsSettings;

/// Time for a connection, TLS included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Why there is no reply.
#[derive(Debug, Error)]
pub(super) enum Failure {
    #[error("cannot connect to {0}: {1}")]
    Connect(String, io::Error),
    #[error("the TLS handshake with {0} failed: {1}")]
    Tls(String, io::Error),
    #[error("no connection to {0} within {CONNECT_TIMEOUT:?}")]
    Slow(String),
    #[error("{0} closed the connection before it answered ({1})")]
    Closed(String, hyper::Error),
    #[error("the request was not complete ({0})")]
    Client(hyper::Error),
    #[error("{0} answered with something that is not HTTP/1.1 ({1})")]
    Answer(String, hyper::Error),
}

/// Where requests go.
#[derive(Debug)]
pub(crate) struct Upstream {
    /// For people: `127.0.0.1:9292`.
    name: String,
    /// In the order to try.
    addresses: Vec<SocketAddr>,
    tls: Option<TlsSettings>,
    idle: Mutex<Vec<SendRequest<Watched>>>,
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

impl Upstream {
    /// The target at these addresses.
    pub(crate) fn new(name: String, addresses: Vec<SocketAddr>, tls: Option<TlsSettings>) -> Self {
        Self {
            name,
            addresses,
            tls,
            idle: Mutex::default(),
        }
    }

    /// The address that is tried first.
    pub(super) fn address(&self) -> Option<SocketAddr> {
        self.addresses.first().copied()
    }

    /// Send a request. On a connection that was kept and is found closed, it is sent once more on a new
    /// one, if no byte of it was sent or sending it twice does no harm.
    pub(super) async fn send(
        self: &Arc<Self>,
        mut request: Request<Watched>,
        totals: &Totals,
    ) -> Result<Response<Incoming>, Failure> {
        if let Some(mut kept) = self.kept() {
            let spare = spare(&request);
            match kept.try_send_request(request).await {
                Ok(response) => {
                    self.keep(kept);
                    return Ok(response);
                }
                Err(mut error) => match error.take_message().or(spare) {
                    Some(again) if is_closed(error.error()) => {
                        Totals::count(&totals.retried);
                        request = again;
                    }
                    _ => return Err(self.failure(error.into_error())),
                },
            }
        }
        let mut sender = self.connect().await?;
        match sender.send_request(request).await {
            Ok(response) => {
                self.keep(sender);
                Ok(response)
            }
            Err(error) => Err(self.failure(error)),
        }
    }

    fn failure(&self, error: hyper::Error) -> Failure {
        match () {
            // What broke is the body that was to be sent.
            () if error.is_user() => Failure::Client(error),
            () if is_closed(&error) => Failure::Closed(self.name.clone(), error),
            () => Failure::Answer(self.name.clone(), error),
        }
    }

    /// A connection that was kept and is still open, as far as one can know.
    fn kept(&self) -> Option<SendRequest<Watched>> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let sender = idle.pop()?;
            if sender.is_ready() {
                return Some(sender);
            }
        }
    }

    /// Keep a connection as soon as its reply has been read.
    fn keep(self: &Arc<Self>, mut sender: SendRequest<Watched>) {
        let upstream = Arc::clone(self);
        tokio::spawn(async move {
            if sender.ready().await.is_err() {
                return;
            }
            let mut idle = upstream.idle.lock().unwrap_or_else(PoisonError::into_inner);
            if idle.len() == IDLE_CONNECTIONS {
                idle.retain(SendRequest::is_ready);
            }
            if idle.len() < IDLE_CONNECTIONS {
                idle.push(sender);
            }
        });
    }

    async fn connect(&self) -> Result<SendRequest<Watched>, Failure> {
        let stream = tokio::time::timeout(CONNECT_TIMEOUT, self.stream())
            .await
            .map_err(|_| Failure::Slow(self.name.clone()))??;
        let handshake = http1::Builder::new()
            .preserve_header_case(true)
            .handshake(TokioIo::new(stream));
        let (sender, connection) = handshake
            .await
            .map_err(|error| Failure::Closed(self.name.clone(), error))?;
        // How it ends is told to whoever waits for a reply on it.
        tokio::spawn(quietly(connection.with_upgrades()));
        Ok(sender)
    }

    async fn stream(&self) -> Result<Box<dyn Stream>, Failure> {
        let failed = |error| Failure::Connect(self.name.clone(), error);
        let mut last = failed(io::ErrorKind::AddrNotAvailable.into());
        for address in &self.addresses {
            let stream = match TcpStream::connect(address).await {
                Ok(stream) => stream,
                Err(error) => {
                    last = failed(error);
                    continue;
                }
            };
            stream.set_nodelay(true).map_err(failed)?;
            let Some(tls) = &self.tls else {
                return Ok(Box::new(stream));
            };
            let connector = TlsConnector::from(Arc::clone(&tls.config));
            return match connector.connect(tls.server_name.clone(), stream).await {
                Ok(stream) => Ok(Box::new(stream)),
                Err(error) => Err(Failure::Tls(self.name.clone(), error)),
            };
        }
        Err(last)
    }
}

async fn quietly(connection: impl Future<Output = hyper::Result<()>>) {
    let _ = connection.await;
}

/// Whether the connection was closed, rather than something wrong being said on it.
fn is_closed(error: &hyper::Error) -> bool {
    error.is_canceled()
        || error.is_closed()
        || error.is_incomplete_message()
        || std::error::Error::source(error).is_some_and(|cause| cause.is::<io::Error>())
}

/// A request again, if it has no body and changes nothing (RFC 9110, section 9.2.2).
fn spare(request: &Request<Watched>) -> Option<Request<Watched>> {
    let is_harmless = [
        Method::GET,
        Method::HEAD,
        Method::OPTIONS,
        Method::TRACE,
        Method::PUT,
        Method::DELETE,
    ]
    .contains(request.method());
    if !is_harmless || !request.body().is_end_stream() {
        return None;
    }
    let mut again = Request::new(Watched::empty());
    *again.method_mut() = request.method().clone();
    *again.uri_mut() = request.uri().clone();
    *again.version_mut() = request.version();
    *again.headers_mut() = request.headers().clone();
    *again.extensions_mut() = request.extensions().clone();
    Some(again)
}
