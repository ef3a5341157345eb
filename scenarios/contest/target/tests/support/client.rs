//! A small client: one connection a request, and the checks that every reply must pass.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use contest_target::messages::Error;
use prost::{Message, Name};

/// The Content-Type of requests.
pub(crate) const PROTOBUF: &str = "application/vnd.google.protobuf";

/// What came back.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    /// The value of a header, its name in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }

    /// The error's name; the reply must be one, and well made.
    pub(crate) fn error(&self) -> String {
        assert_eq!(
            self.header("content-type"),
            Some("application/vnd.google.protobuf; proto=contest.v1.Error"),
            "{self:?}"
        );
        let error = Error::decode(self.body.as_slice()).expect("an Error");
        assert_eq!(error.code, i32::from(self.status));
        assert!(!error.human_message.is_empty());
        error.name
    }
}

/// Send bytes on a connection of their own.
pub(crate) fn ask(address: SocketAddr, request: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(address).expect("a connection");
    let patience = Some(Duration::from_secs(60));
    stream.set_read_timeout(patience).unwrap();
    stream.set_write_timeout(patience).unwrap();
    stream.write_all(request).expect("the request is sent");
    stream
}

/// Send bytes, and read all that comes.
pub(crate) fn raw(address: SocketAddr, request: &[u8]) -> Vec<u8> {
    let mut reply = Vec::new();
    let mut stream = ask(address, request);
    stream.read_to_end(&mut reply).expect("the reply is read");
    reply
}

/// Send a request with these headers.
pub(crate) fn send(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Reply {
    let mut request = format!("{method} {path} HTTP/1.1\r\nHost: portal\r\nConnection: close\r\n");
    for (name, value) in headers {
        request += &format!("{name}: {value}\r\n");
    }
    request += &format!("Content-Length: {}\r\n\r\n", body.len());
    let mut request = request.into_bytes();
    request.extend_from_slice(body);
    parse(&raw(address, &request))
}

/// Take a reply apart.
pub(crate) fn parse(bytes: &[u8]) -> Reply {
    let end = bytes.windows(4).position(|it| it == b"\r\n\r\n");
    let end = end.unwrap_or_else(|| panic!("no reply: {:?}", String::from_utf8_lossy(bytes)));
    let head = std::str::from_utf8(&bytes[..end]).expect("the head is text");
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1));
    Reply {
        status: status.and_then(|it| it.parse().ok()).expect("a status"),
        headers: lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
            .collect(),
        body: bytes[end + 4..].to_vec(),
    }
}

/// Somebody who talks to the portal, with a cookie once logged in.
#[derive(Debug, Clone)]
pub(crate) struct Visitor {
    pub(crate) address: SocketAddr,
    pub(crate) cookie: Option<String>,
}

impl Visitor {
    pub(crate) fn new(address: SocketAddr) -> Self {
        let cookie = None;
        Self { address, cookie }
    }

    /// Somebody who has signed up.
    pub(crate) fn signed_up(address: SocketAddr, id: &str) -> Self {
        let mut visitor = Self::new(address);
        let request = contest_target::messages::SignupRequest {
            contestant_id: id.to_owned(),
            password: format!("secret of {id}"),
        };
        visitor
            .post::<_, contest_target::messages::SignupResponse>("/api/signup", &request)
            .unwrap();
        visitor
    }

    /// The staff.
    pub(crate) fn staff(address: SocketAddr) -> Self {
        let mut visitor = Self::new(address);
        let request = contest_target::messages::LoginRequest {
            contestant_id: "staff".to_owned(),
            password: "staff".to_owned(),
        };
        visitor
            .post::<_, contest_target::messages::LoginResponse>("/api/login", &request)
            .unwrap();
        visitor
    }

    /// The reply to a POST, or the status and the name of the error.
    pub(crate) fn post<I: Message, O: Message + Name + Default>(
        &mut self,
        path: &str,
        request: &I,
    ) -> Result<O, (u16, String)> {
        self.call("POST", path, &request.encode_to_vec())
    }

    /// The reply to a GET, or the status and the name of the error.
    pub(crate) fn get<O: Message + Name + Default>(
        &mut self,
        path: &str,
    ) -> Result<O, (u16, String)> {
        self.call("GET", path, &[])
    }

    fn call<O: Message + Name + Default>(
        &mut self,
        method: &str,
        path: &str,
        body: &[u8],
    ) -> Result<O, (u16, String)> {
        let mut headers = vec![("Content-Type", PROTOBUF)];
        if let Some(cookie) = &self.cookie {
            headers.push(("Cookie", cookie));
        }
        let reply = send(self.address, method, path, &headers, body);
        if reply.status != 200 {
            return Err((reply.status, reply.error()));
        }
        let kind = format!("{PROTOBUF}; proto={}", O::full_name());
        assert_eq!(reply.header("content-type"), Some(kind.as_str()));
        let length = reply.body.len().to_string();
        assert_eq!(reply.header("content-length"), Some(length.as_str()));
        if let Some(cookie) = reply.header("set-cookie") {
            let (cookie, flags) = cookie.split_once("; ").expect("a cookie with flags");
            assert!(flags.starts_with("Path=/; HttpOnly"), "{flags}");
            self.cookie = Some(cookie.to_owned());
        }
        Ok(O::decode(reply.body.as_slice()).expect("the message of the Content-Type"))
    }
}
