//! What the tests of `isukit decode` share: the binary with bytes on its stdin, held to the schema of its
//! lines and to what a terminal may be shown; and captures made packet by packet.

use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

use isukit_proto::{JsonParseOptions, Message, Schema};
use serde_json::Value;

use super::{Process, isukit};

/// No call takes longer.
const DEADLINE: Duration = Duration::from_secs(60);

/// The folder of the `.proto` of the scenario `name`.
pub(crate) fn protos(name: &str) -> String {
    format!("{}/../scenarios/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// The schema of the scenario `name`.
pub(crate) fn schema(name: &str) -> Schema {
    Schema::compile(&[PathBuf::from(protos(name))]).unwrap()
}

/// The bytes of a message of the teams.
#[track_caller]
pub(crate) fn team(kind: &str, json: &str) -> Vec<u8> {
    static SCHEMA: OnceLock<Schema> = OnceLock::new();
    let message: Message = SCHEMA
        .get_or_init(|| schema("teams"))
        .message(kind)
        .unwrap();
    let mut bytes = Vec::new();
    message
        .from_json(json.as_bytes(), &JsonParseOptions::new(), &mut bytes)
        .unwrap();
    bytes
}

/// What a call came to.
pub(crate) struct Shown {
    pub(crate) code: i32,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

impl std::fmt::Debug for Shown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { code, stderr, .. } = self;
        write!(f, "exit code {code}\n{stderr}\n{}", self.text())
    }
}

impl Shown {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// The lines of JSON of one kind, all of which follow the schema.
    #[track_caller]
    pub(crate) fn lines(&self, kind: &str) -> Vec<Value> {
        check_lines(&self.text())
            .into_iter()
            .filter(|line| line["kind"] == kind)
            .collect()
    }

    #[track_caller]
    pub(crate) fn bodies(&self) -> Vec<Value> {
        self.lines("body")
    }

    #[track_caller]
    pub(crate) fn summary(&self) -> Value {
        let mut lines = self.lines("summary");
        assert_eq!(lines.len(), 1, "{self:?}");
        lines.remove(0)
    }
}

/// All lines of JSON, held to the schema.
#[track_caller]
pub(crate) fn check_lines(text: &str) -> Vec<Value> {
    static VALIDATOR: OnceLock<jsonschema::Validator> = OnceLock::new();
    let validator = VALIDATOR.get_or_init(|| {
        let schema = include_str!("../../schemas/decode.v1.json");
        jsonschema::draft202012::new(&serde_json::from_str(schema).unwrap()).unwrap()
    });
    let mut lines = Vec::new();
    for line in text.lines() {
        let line: Value = serde_json::from_str(line).unwrap_or_else(|error| {
            panic!("no line of JSON: {error}: {line}");
        });
        let errors: Vec<String> = validator
            .iter_errors(&line)
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        assert!(errors.is_empty(), "{errors:#?}\n{line:#}");
        lines.push(line);
    }
    lines
}

/// No byte that a terminal takes for a command.
#[track_caller]
pub(crate) fn check_harmless(bytes: &[u8]) {
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => panic!("{error}: {:?}", String::from_utf8_lossy(bytes)),
    };
    let found = text
        .find(|c: char| c.is_control() && c != '\n' && c != '\t')
        .map(|at| text[at..].chars().take(60).collect::<String>());
    assert_eq!(found, None);
}

/// Run the binary with `stdin`, to its end.
#[track_caller]
pub(crate) fn call(args: &[&str], stdin: &[u8]) -> Shown {
    let mut command = isukit();
    command.args(args);
    pipe(command, stdin)
}

/// Run a command with `stdin`, to its end.
#[track_caller]
pub(crate) fn pipe(mut command: Command, stdin: &[u8]) -> Shown {
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut process = Process {
        child: command.spawn().unwrap(),
        started: Instant::now(),
    };
    let child = &mut process.child;
    let mut to = child.stdin.take().unwrap();
    let (mut out, mut err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    let (stdout, stderr) = thread::scope(|scope| {
        // One that refuses its input closes it.
        scope.spawn(move || to.write_all(stdin).is_ok());
        let err = scope.spawn(move || {
            let mut bytes = Vec::new();
            err.read_to_end(&mut bytes).unwrap();
            bytes
        });
        let mut bytes = Vec::new();
        out.read_to_end(&mut bytes).unwrap();
        (bytes, err.join().unwrap())
    });
    let status = process.child.wait().unwrap();
    assert!(process.started.elapsed() < DEADLINE);
    Shown {
        code: status.code().unwrap_or(-1),
        stdout,
        stderr: String::from_utf8_lossy(&stderr).into_owned(),
    }
}

/// `isukit decode --proto scenarios/teams ARGS -`: what it writes is harmless and as its schema says.
#[track_caller]
pub(crate) fn decode(args: &[&str], stdin: &[u8]) -> Shown {
    let protos = protos("teams");
    let mut all = vec!["decode", "--proto", protos.as_str()];
    all.extend(args);
    all.push("-");
    let shown = call(&all, stdin);
    check_harmless(&shown.stdout);
    check_harmless(shown.stderr.as_bytes());
    if !args.contains(&"text") {
        check_lines(&shown.text());
    }
    shown
}

/// A request with a body.
pub(crate) fn request(line: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "{line} HTTP/1.1\r\nHost: a\r\n{headers}Content-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

/// A header for protobuf.
pub(crate) const PROTOBUF: &str = "Content-Type: application/vnd.google.protobuf\r\n";

/// A capture that is being made: raw IP packets of TCP connections.
pub(crate) struct Packets {
    bytes: Vec<u8>,
    is_ng: bool,
    now_us: u64,
    port: u16,
}

/// The port of the server of [`Packets`].
pub(crate) const SERVER_PORT: u16 = 9292;

impl Packets {
    pub(crate) fn pcap() -> Self {
        let mut bytes = 0xa1b2_c3d4_u32.to_le_bytes().to_vec();
        for part in [0x0004_0002_u32, 0, 0, 262_144, 101] {
            bytes.extend(part.to_le_bytes());
        }
        Self::new(bytes, false)
    }

    pub(crate) fn pcapng() -> Self {
        let mut bytes = Vec::new();
        let section = [0x0a0d_0d0a_u32, 28, 0x1a2b_3c4d, 1, u32::MAX, u32::MAX, 28];
        let interface = [1_u32, 20, 101, 262_144, 20];
        for part in section.into_iter().chain(interface) {
            bytes.extend(part.to_le_bytes());
        }
        Self::new(bytes, true)
    }

    fn new(bytes: Vec<u8>, is_ng: bool) -> Self {
        Self {
            bytes,
            is_ng,
            now_us: 1_700_000_000_000_000,
            port: 40_000,
        }
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.bytes.clone()
    }

    /// A request and its reply on a connection of their own.
    pub(crate) fn exchange(&mut self, request: &[u8], reply: &[u8]) {
        self.connection(&[(true, request), (false, reply)]);
    }

    /// A connection with what the client (true) and the server say, in this order.
    pub(crate) fn connection(&mut self, said: &[(bool, &[u8])]) {
        self.port += 1;
        let mut next = [1_000_u32, 5_000];
        self.segment(true, &mut next, 0x02, b"");
        self.segment(false, &mut next, 0x12, b"");
        for (from_client, bytes) in said {
            for piece in bytes.chunks(1_400) {
                self.segment(*from_client, &mut next, 0x18, piece);
            }
        }
        self.segment(true, &mut next, 0x11, b"");
        self.segment(false, &mut next, 0x11, b"");
    }

    /// `next` are the sequence numbers of the server and the client.
    fn segment(&mut self, from_client: bool, next: &mut [u32; 2], flags: u8, data: &[u8]) {
        let ports = match from_client {
            true => [self.port, SERVER_PORT],
            false => [SERVER_PORT, self.port],
        };
        let own = usize::from(from_client);
        let mut packet = vec![0x45, 0];
        packet.extend(u16::try_from(40 + data.len()).unwrap().to_be_bytes());
        packet.extend([0, 0, 0, 0, 64, 6, 0, 0, 127, 0, 0, 1, 127, 0, 0, 1]);
        packet.extend(ports.iter().flat_map(|port| port.to_be_bytes()));
        packet.extend(next[own].to_be_bytes());
        packet.extend(next[1 - own].to_be_bytes());
        packet.extend([0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
        packet.extend(data);
        next[own] += data.len() as u32 + u32::from(flags & 3 != 0);
        self.packet(&packet);
    }

    fn packet(&mut self, packet: &[u8]) {
        self.now_us += 100;
        let length = packet.len() as u32;
        let head = match self.is_ng {
            true => vec![
                6,
                32 + length.next_multiple_of(4),
                0,
                (self.now_us >> 32) as u32,
                self.now_us as u32,
                length,
                length,
            ],
            false => vec![
                (self.now_us / 1_000_000) as u32,
                (self.now_us % 1_000_000) as u32,
                length,
                length,
            ],
        };
        self.bytes
            .extend(head.iter().flat_map(|part| part.to_le_bytes()));
        self.bytes.extend(packet);
        if self.is_ng {
            let padded = length.next_multiple_of(4) - length;
            self.bytes.extend(vec![0; padded as usize]);
            self.bytes
                .extend((32 + length.next_multiple_of(4)).to_le_bytes());
        }
    }
}
