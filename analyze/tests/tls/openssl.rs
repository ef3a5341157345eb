//! `openssl s_client` with `openssl s_server`, recorded by a proxy between them.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use isukit_analyze::capture::tls::{Side, TlsError};

use crate::Trace;

type Pieces = Arc<Mutex<Vec<(Side, Vec<u8>)>>>;

/// A program that ends with its test.
struct Program {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    arguments: String,
}

impl Program {
    /// `openssl`, which ends after twenty seconds whatever happens.
    fn start(arguments: &[&str], folder: &Path) -> Self {
        let mut child = Command::new("timeout")
            .args(["20", "openssl"])
            .args(arguments)
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("openssl, which scripts/setup installs");
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().unwrap());
        Self {
            child,
            input,
            output,
            arguments: arguments.join(" "),
        }
    }

    fn say(&mut self, line: &str) {
        let input = self.input.as_mut().unwrap();
        input.write_all(line.as_bytes()).unwrap();
        input.flush().unwrap();
    }

    /// Read lines up to one that ends as wanted, and give that one.
    fn wait_for(&mut self, is_wanted: impl Fn(&str) -> bool) -> String {
        let mut seen = String::new();
        loop {
            let mut line = String::new();
            let bytes = self.output.read_line(&mut line).unwrap();
            assert!(bytes > 0, "openssl {} has ended: {seen}", self.arguments);
            if is_wanted(line.trim_end()) {
                return line;
            }
            seen += &line;
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        drop(self.input.take());
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Carry bytes from one end to the other, and keep them.
fn carry(side: Side, mut from: TcpStream, mut to: TcpStream, pieces: Pieces) -> JoinHandle<()> {
    std::thread::spawn(move || {
        let mut buffer = vec![0; 1 << 14];
        while let Ok(count) = from.read(&mut buffer)
            && count > 0
        {
            pieces
                .lock()
                .unwrap()
                .push((side, buffer[..count].to_vec()));
            if to.write_all(&buffer[..count]).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Write);
    })
}

/// Make a key and a certificate in `folder`.
fn certificate(folder: &Path) {
    let made = Command::new("openssl")
        .args("req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 2".split(' '))
        .args(["-subj", "/CN=localhost"])
        .current_dir(folder)
        .stderr(Stdio::null())
        .status()
        .unwrap();
    assert!(made.success());
}

/// A conversation: the client says these lines and the server sends them back, each reversed. Lines of
/// one capital letter are commands of the client (`K` new keys for both, `R` another handshake).
fn talk(folder: &Path, client: &str, server: &str, lines: &[&str]) -> Trace {
    let arguments = "s_server -accept 127.0.0.1:0 -cert cert.pem -key key.pem -rev";
    let arguments: Vec<_> = arguments
        .split(' ')
        .chain(server.split_whitespace())
        .collect();
    let mut server = Program::start(&arguments, folder);
    let accepts = server.wait_for(|line| line.starts_with("ACCEPT"));
    let server_port = accepts.trim_end().rsplit(':').next().unwrap().to_owned();
    let proxy = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = proxy.local_addr().unwrap().to_string();
    let _ = std::fs::remove_file(folder.join("keys.log"));
    let arguments = ["s_client", "-connect", &address, "-keylogfile", "keys.log"];
    let arguments: Vec<_> = arguments
        .into_iter()
        .chain(client.split_whitespace())
        .collect();
    let mut client = Program::start(&arguments, folder);
    let (near, _) = proxy.accept().unwrap();
    let far = TcpStream::connect(format!("127.0.0.1:{server_port}")).unwrap();
    let pieces = Pieces::default();
    let near_again = near.try_clone().unwrap();
    let far_again = far.try_clone().unwrap();
    let carriers = [
        carry(Side::Client, near, far, pieces.clone()),
        carry(Side::Server, far_again, near_again, pieces.clone()),
    ];
    let mut trace = Trace::default();
    for line in lines {
        client.say(&format!("{line}\n"));
        if line.len() == 1 {
            // It reads commands one at a time, and answers none.
            std::thread::sleep(std::time::Duration::from_millis(300));
            continue;
        }
        let back: String = line.chars().rev().collect();
        client.wait_for(|line| line.ends_with(&back));
        trace.sent[0].extend_from_slice(format!("{line}\n").as_bytes());
        trace.sent[1].extend_from_slice(format!("{back}\n").as_bytes());
    }
    drop(client);
    for carrier in carriers {
        carrier.join().unwrap();
    }
    trace.pieces = std::mem::take(&mut pieces.lock().unwrap());
    trace.log = std::fs::read_to_string(folder.join("keys.log")).unwrap_or_default();
    trace
}

#[test]
fn openssl_is_read() {
    let folder = tempfile::tempdir().unwrap();
    certificate(folder.path());
    let long = "0123456789abcdef".repeat(400);
    let plain = ["hello over there", &long, "and again"];
    let updated = [
        "hello over there",
        "K",
        "with new keys",
        "K",
        "K",
        "and again",
    ];
    let check = |client: &str, server: &str, lines: &[&str], suite: &str| {
        let trace = talk(folder.path(), client, server, lines);
        trace.check(&format!("{client}, {server}"));
        assert_eq!(trace.read(&trace.keys()).stream.suite(), Some(suite));
    };
    for suite in [
        "TLS_AES_128_GCM_SHA256",
        "TLS_AES_256_GCM_SHA384",
        "TLS_CHACHA20_POLY1305_SHA256",
    ] {
        check(
            &format!("-tls1_3 -ciphersuites {suite}"),
            "",
            &updated,
            suite,
        );
    }
    check(
        "-tls1_3 -groups P-256:P-384",
        "-groups P-384",
        &plain,
        "TLS_AES_256_GCM_SHA384",
    );
    check(
        "-tls1_3",
        "-record_padding 512",
        &plain,
        "TLS_AES_256_GCM_SHA384",
    );
    for (cipher, suite) in [
        ("AES128-GCM-SHA256", "TLS_RSA_WITH_AES_128_GCM_SHA256"),
        (
            "DHE-RSA-AES256-GCM-SHA384",
            "TLS_DHE_RSA_WITH_AES_256_GCM_SHA384",
        ),
        (
            "ECDHE-RSA-AES128-GCM-SHA256",
            "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
        ),
        (
            "ECDHE-RSA-CHACHA20-POLY1305",
            "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
        ),
    ] {
        check(&format!("-tls1_2 -cipher {cipher}"), "", &plain, suite);
    }
    let gcm = "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384";
    check("-tls1_2 -sess_out session.pem", "", &plain, gcm);
    check(
        "-tls1_2",
        "-split_send_frag 512 -max_send_frag 512",
        &plain,
        gcm,
    );
}

#[test]
fn what_openssl_speaks_and_is_not_read_is_named() {
    let folder = tempfile::tempdir().unwrap();
    certificate(folder.path());
    let errors = |client: &str, server: &str, lines: &[&str]| {
        let trace = talk(folder.path(), client, server, lines);
        trace.read(&trace.keys()).errors
    };
    let name = |suite: &str| vec![TlsError::Suite(suite.to_owned())];
    assert_eq!(
        errors("-tls1_2 -cipher ECDHE-RSA-AES128-SHA", "", &["hello"]),
        name("TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA")
    );
    assert_eq!(
        errors(
            "-tls1_2 -cipher AES128-CCM",
            "-cipher AES128-CCM",
            &["hello"]
        ),
        name("TLS_RSA_WITH_AES_128_CCM")
    );
    let old = "-cipher DEFAULT@SECLEVEL=0";
    assert_eq!(
        errors(&format!("-tls1_1 {old}"), old, &["hello"]),
        [TlsError::Version(0x0302)]
    );
    let found = errors("-tls1_2", "-client_renegotiation", &["hello", "R", "again"]);
    assert!(
        matches!(
            found[..],
            [
                TlsError::Renegotiation { .. },
                TlsError::Renegotiation { .. }
            ]
        ),
        "{found:?}"
    );
}
