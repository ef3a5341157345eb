//! One LTSV line for each answered request, as nginx would be told to write it.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use hyper::header::{HeaderMap, REFERER, USER_AGENT};
use hyper::{Request, Version};

use super::writer::Writer;
use crate::clock;

/// nginx's status of a request whose client went away before its answer.
const CLIENT_WENT_AWAY: u16 = 499;

/// The access log.
#[derive(Debug)]
pub(crate) struct AccessLog(Writer);

impl AccessLog {
    pub(crate) fn open(path: &Path) -> std::io::Result<Self> {
        Ok(Self(Writer::open(path, "")?))
    }

    /// A line for bytes that were refused before they were a request.
    pub(crate) fn no_request(&self, host: IpAddr, status: u16) {
        let (time, micros) = clock::iso(clock::now());
        let millis = micros / 1_000;
        self.0.append(format!(
            "time:{time}.{millis:03}+00:00\thost:{host}\tmethod:-\turi:-\tprotocol:-\t\
             status:{status}\tsize:0\treqsize:0\treqtime:0.000000\tapptime:0.000000\t\
             ua:-\tref:-\treqid:-\n"
        ));
    }
}

/// A request that is being answered. Dropped without an answer, it is logged as nginx does: 499.
#[derive(Debug)]
pub(crate) struct Answering {
    log: Option<Arc<AccessLog>>,
    began: Instant,
    /// The labels from `host` to `protocol`.
    front: String,
    /// The labels from `ua` on.
    back: String,
    /// Body bytes of the request, as it says itself.
    request_bytes: u64,
}

impl Answering {
    /// Note what is needed of a request; nothing, if there is no log.
    pub(crate) fn begin<B>(
        log: Option<&Arc<AccessLog>>,
        request: &Request<B>,
        host: IpAddr,
        id: u64,
    ) -> Self {
        let (mut front, mut back) = (String::new(), String::new());
        let mut request_bytes = 0;
        if log.is_some() {
            let uri = request.uri();
            let uri = uri.path_and_query().map_or(uri.path(), |it| it.as_str());
            let protocol = match request.version() {
                Version::HTTP_10 => "HTTP/1.0",
                _ => "HTTP/1.1",
            };
            let _ = write!(front, "host:{host}\tmethod:{}\turi:", request.method());
            escape(&mut front, uri.as_bytes());
            let _ = write!(front, "\tprotocol:{protocol}");
            back.push_str("ua:");
            escape(&mut back, header(request.headers(), &USER_AGENT));
            back.push_str("\tref:");
            escape(&mut back, header(request.headers(), &REFERER));
            let _ = write!(back, "\treqid:{id}");
            request_bytes = content_length(request.headers());
        }
        Self {
            log: log.cloned(),
            began: Instant::now(),
            front,
            back,
            request_bytes,
        }
    }

    /// The request is answered with `size` body bytes.
    pub(crate) async fn end(mut self, status: u16, size: u64) {
        if let Some(log) = self.log.take() {
            let line = self.line(status, size);
            log.0.append_later(line).await;
        }
    }

    fn line(&self, status: u16, size: u64) -> String {
        let (time, micros) = clock::iso(clock::now());
        let took = self.began.elapsed().as_secs_f64();
        format!(
            "time:{time}.{:03}+00:00\t{}\tstatus:{status}\tsize:{size}\treqsize:{}\t\
             reqtime:{took:.6}\tapptime:{took:.6}\t{}\n",
            micros / 1_000,
            self.front,
            self.request_bytes,
            self.back
        )
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        if let Some(log) = self.log.take() {
            log.0.append(self.line(CLIENT_WENT_AWAY, 0));
        }
    }
}

fn header<'a>(headers: &'a HeaderMap, name: &hyper::header::HeaderName) -> &'a [u8] {
    headers.get(name).map_or(b"-", |value| value.as_bytes())
}

fn content_length(headers: &HeaderMap) -> u64 {
    headers
        .get(hyper::header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse().ok())
        .unwrap_or(0)
}

/// Append a value as nginx's default escaping does, so that no value can end its field or line.
fn escape(line: &mut String, value: &[u8]) {
    if value.is_empty() {
        line.push('-');
    }
    for &byte in value {
        match byte {
            b'"' | b'\\' | 0..0x20 | 0x7f.. => {
                let _ = write!(line, "\\x{byte:02X}");
            }
            _ => line.push(char::from(byte)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_cannot_leave_its_field() {
        let mut line = String::new();
        escape(&mut line, b"a\tb\n\"\\\xc3");
        assert_eq!(line, "a\\x09b\\x0A\\x22\\x5C\\xC3");
    }
}
