//! A tap that runs, and clients of it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::Duration;

use rustix::process::Signal;

use super::{Process, Ran, finish, isukit, spawn};

/// Nothing on loopback takes longer, however busy the machine is.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A tap that runs.
pub(crate) struct Tap {
    pub(crate) process: Process,
    pub(crate) address: SocketAddr,
    /// What it says on stderr after its first line.
    pub(crate) stderr: thread::JoinHandle<String>,
}

impl Tap {
    pub(crate) fn start(to: &str, args: &[&str]) -> Self {
        let mut command = isukit();
        command
            .args(["tap", "--listen", "127.0.0.1:0", "--to", to])
            .args(args);
        let mut process = spawn(command);
        let mut lines = BufReader::new(process.child.stderr.take().unwrap());
        let mut line = String::new();
        lines.read_line(&mut line).unwrap();
        let address = line
            .split_once("listening on ")
            .and_then(|(_, rest)| rest.split(',').next())
            .unwrap_or_else(|| panic!("{line}"))
            .parse()
            .unwrap();
        let stderr = thread::spawn(move || {
            let mut rest = String::new();
            let _ = lines.read_to_string(&mut rest);
            rest
        });
        Self {
            process,
            address,
            stderr,
        }
    }

    /// Ctrl-C, and what it said until it ended.
    pub(crate) fn end(self) -> Ran {
        self.process.signal(Signal::INT);
        let mut ran = finish(self.process);
        ran.stderr = self.stderr.join().unwrap();
        ran
    }

    pub(crate) fn connect(&self) -> TcpStream {
        connect(self.address)
    }

    /// Send these bytes on a connection of their own, and read until the other side closes.
    pub(crate) fn say(&self, bytes: impl AsRef<[u8]>) -> Vec<u8> {
        let mut stream = self.connect();
        stream.write_all(bytes.as_ref()).unwrap();
        let mut all = Vec::new();
        let _ = stream.read_to_end(&mut all);
        all
    }
}

pub(crate) fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Read a head.
pub(crate) fn head(stream: &mut impl Read) -> String {
    let mut bytes = Vec::new();
    let mut byte = [0];
    while !bytes.ends_with(b"\r\n\r\n") {
        match stream.read(&mut byte) {
            Ok(1) => bytes.push(byte[0]),
            _ => break,
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Read as many bytes as these are, and hold them against them.
#[track_caller]
pub(crate) fn expect(stream: &mut impl Read, expected: &[u8]) {
    let mut got = vec![0; expected.len()];
    stream.read_exact(&mut got).unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert_eq!(text(&got), text(expected));
}

pub(crate) const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
