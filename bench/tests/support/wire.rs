//! What really goes over a wire: captures by tcpdump, and a proxy in between that writes down every byte,
//! so that there is something to hold what was decoded against; and nginx on the way.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use super::{Process, Target, free_port, listener};

/// Packets that are being captured on loopback.
pub(crate) struct Tcpdump {
    process: Process,
    stderr: BufReader<std::process::ChildStderr>,
}

impl Tcpdump {
    /// Capture what goes to and from `port` into `file`; none where that is not allowed, which is said.
    pub(crate) fn start(port: u16, file: &Path) -> Option<Self> {
        let mut command = Command::new("tcpdump");
        let path = std::env::var("PATH").unwrap_or_default();
        // It gives up its rights before it opens a file, so the file is opened for it.
        command
            .env("PATH", format!("{path}:/usr/sbin:/sbin"))
            .args(["-i", "lo", "-s", "0", "-U", "-B", "65536", "-w", "-"])
            .args(["tcp", "port", &port.to_string()])
            .stdin(Stdio::null())
            .stdout(std::fs::File::create(file).unwrap())
            .stderr(Stdio::piped());
        let mut child = command.spawn().expect("tcpdump; scripts/setup installs it");
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let process = Process {
            child,
            started: Instant::now(),
        };
        let mut said = String::new();
        while stderr.read_line(&mut said).unwrap() > 0 {
            if said.contains("listening on") {
                return Some(Self { process, stderr });
            }
        }
        eprintln!("SKIPPED: tcpdump may not capture here: {}", said.trim());
        None
    }

    /// Stop, and say whether all packets were captured.
    pub(crate) fn finish(mut self) -> bool {
        // It is handed the last packets within a second.
        thread::sleep(Duration::from_millis(1_500));
        self.process.signal(rustix::process::Signal::INT);
        let mut said = String::new();
        self.stderr.read_to_string(&mut said).unwrap();
        self.process.child.wait().unwrap();
        said.lines()
            .any(|line| line.trim() == "0 packets dropped by kernel")
    }
}

/// A connection through a [`Recorder`].
#[derive(Default)]
struct Tape {
    to_target: Mutex<Vec<u8>>,
    to_client: Mutex<Vec<u8>>,
}

/// A proxy that copies bytes and keeps them.
pub(crate) struct Recorder {
    proxy: Target,
    tapes: Arc<Mutex<Vec<Arc<Tape>>>>,
}

/// A request and its reply as they were sent.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Exchange {
    pub(crate) method: String,
    pub(crate) url: String,
    pub(crate) request: Vec<u8>,
    pub(crate) status: u16,
    pub(crate) content_type: String,
    pub(crate) reply: Vec<u8>,
}

impl Exchange {
    /// The type that the Content-Type of the reply names.
    pub(crate) fn named(&self) -> Option<&str> {
        Some(self.content_type.split_once("proto=")?.1.trim())
    }
}

impl Recorder {
    /// In front of `target`.
    pub(crate) fn start(target: SocketAddr) -> Self {
        let tapes: Arc<Mutex<Vec<Arc<Tape>>>> = Arc::default();
        let all = Arc::clone(&tapes);
        let proxy = Target::raw(listener("127.0.0.1:0"), move |client, _| {
            let Ok(target) = TcpStream::connect(target) else {
                return;
            };
            let tape = Arc::new(Tape::default());
            all.lock().unwrap().push(Arc::clone(&tape));
            for stream in [&client, &target] {
                let _ = stream.set_nodelay(true);
            }
            thread::scope(|scope| {
                scope.spawn(|| copy(&client, &target, &tape.to_target));
                copy(&target, &client, &tape.to_client);
            });
        });
        Self { proxy, tapes }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.proxy.address
    }

    /// All exchanges that are complete, read with another parser than the one that is tested.
    pub(crate) fn exchanges(&self) -> Vec<Exchange> {
        let tapes = self.tapes.lock().unwrap();
        tapes
            .iter()
            .flat_map(|tape| {
                exchanges(
                    &tape.to_target.lock().unwrap(),
                    &tape.to_client.lock().unwrap(),
                )
            })
            .collect()
    }
}

fn copy(mut from: &TcpStream, mut to: &TcpStream, tape: &Mutex<Vec<u8>>) {
    let mut piece = vec![0; 64 << 10];
    while let Ok(length @ 1..) = from.read(&mut piece) {
        tape.lock().unwrap().extend_from_slice(&piece[..length]);
        if to.write_all(&piece[..length]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}

fn exchanges(mut asked: &[u8], mut told: &[u8]) -> Vec<Exchange> {
    let mut all = Vec::new();
    loop {
        let mut headers = [httparse::EMPTY_HEADER; 64];
        let mut head = httparse::Request::new(&mut headers);
        let Ok(httparse::Status::Complete(length)) = head.parse(asked) else {
            return all;
        };
        let (method, url) = (
            head.method.unwrap().to_owned(),
            head.path.unwrap().to_owned(),
        );
        let Some((request, rest)) = body(&asked[length..], head.headers, false) else {
            return all;
        };
        asked = rest;
        let mut headers = [httparse::EMPTY_HEADER; 64];
        let mut head = httparse::Response::new(&mut headers);
        let Ok(httparse::Status::Complete(length)) = head.parse(told) else {
            return all;
        };
        let status = head.code.unwrap();
        let is_none = method == "HEAD" || matches!(status, 204 | 304);
        let content_type = value(head.headers, "content-type").unwrap_or_default();
        let Some((reply, rest)) = body(&told[length..], head.headers, is_none) else {
            return all;
        };
        told = rest;
        all.push(Exchange {
            method,
            url,
            request,
            status,
            content_type,
            reply,
        });
    }
}

fn value(headers: &[httparse::Header<'_>], name: &str) -> Option<String> {
    let header = headers
        .iter()
        .find(|header| header.name.eq_ignore_ascii_case(name))?;
    Some(String::from_utf8_lossy(header.value).into_owned())
}

/// A body and what is behind it; none when it is not all there.
fn body<'a>(
    bytes: &'a [u8],
    headers: &[httparse::Header<'_>],
    is_none: bool,
) -> Option<(Vec<u8>, &'a [u8])> {
    assert_eq!(
        value(headers, "transfer-encoding"),
        None,
        "the target sends no chunks"
    );
    let length = match is_none {
        true => 0,
        false => value(headers, "content-length").map_or(0, |length| length.parse().unwrap()),
    };
    let (body, rest) = bytes.split_at_checked(length)?;
    Some((body.to_vec(), rest))
}

/// nginx with a configuration of its own; dropping it ends it.
pub(crate) struct Nginx {
    process: Child,
    /// Where it compresses what the target says.
    pub(crate) port: u16,
    /// Where it asks itself for compressed bodies, as a second proxy would.
    pub(crate) front: u16,
    pub(crate) folder: tempfile::TempDir,
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Nginx {
    /// In front of `upstream`, compressing all bodies; with `tls` a version of it.
    pub(crate) fn start(upstream: &str, tls: Option<&str>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let signed = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        std::fs::write(at("cert.pem"), signed.cert.pem()).unwrap();
        std::fs::write(at("cert.der"), signed.cert.der()).unwrap();
        std::fs::write(at("key.pem"), signed.signing_key.serialize_pem()).unwrap();
        let (port, front) = (free_port(), free_port());
        let configuration = configuration(folder.path(), upstream, [port, front], tls);
        std::fs::write(at("nginx.conf"), configuration).unwrap();
        let path = std::env::var("PATH").unwrap_or_default();
        let process = Command::new("nginx")
            .env("PATH", format!("{path}:/usr/sbin:/sbin"))
            .arg("-e")
            .arg(at("error.log"))
            .arg("-c")
            .arg(at("nginx.conf"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("nginx; scripts/setup installs it");
        let nginx = Self {
            process,
            port,
            front,
            folder,
        };
        let end = Instant::now() + Duration::from_secs(10);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < end, "nginx does not come up");
            thread::sleep(Duration::from_millis(20));
        }
        nginx
    }
}

fn configuration(
    folder: &Path,
    upstream: &str,
    [port, front]: [u16; 2],
    tls: Option<&str>,
) -> String {
    let folder = folder.display();
    let (ssl, versions) = match tls {
        Some(version) => (" ssl", format!("ssl_protocols {version};")),
        None => ("", String::new()),
    };
    format!(
        "worker_processes 1; daemon off; master_process off;
         pid {folder}/pid; error_log {folder}/error.log;
         events {{ worker_connections 4096; }}
         http {{
           access_log off; gzip on; gzip_min_length 1; gzip_proxied any; gzip_types *;
           client_body_temp_path {folder}/a; proxy_temp_path {folder}/b;
           fastcgi_temp_path {folder}/c; uwsgi_temp_path {folder}/d; scgi_temp_path {folder}/e;
           upstream portal {{ server {upstream}; keepalive 64; }}
           upstream own {{ server 127.0.0.1:{port}; keepalive 64; }}
           server {{
             listen 127.0.0.1:{front}; gzip off;
             location / {{
               proxy_pass http://own; proxy_http_version 1.1;
               proxy_set_header Connection ''; proxy_set_header Host $host;
               proxy_set_header Accept-Encoding gzip;
             }}
           }}
           server {{
             listen 127.0.0.1:{port}{ssl}; {versions}
             ssl_certificate {folder}/cert.pem; ssl_certificate_key {folder}/key.pem;
             location / {{
               proxy_pass http://portal; proxy_http_version 1.1; proxy_buffering on;
               proxy_set_header Connection ''; proxy_set_header Host $host;
             }}
           }}
         }}"
    )
}
