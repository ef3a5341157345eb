//! `--to-scenario`: a capture to a folder for `isukit run`.

use std::fs::{self, DirBuilder, OpenOptions, Permissions};
use std::io::Write;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use isukit_analyze::capture::{Message, Sink, is_capture};
use isukit_analyze::decode::{Body, Content, Decoded, Decoder, Direction, OwnedBody};
use isukit_proto::Limits;
use rustc_hash::FxHashMap;

use super::DecodeArgs;
use super::capture::{body_of, messages};
use super::file::Source;
use crate::cli::{COULD_NOT, complain, print};
use crate::scenario::record::{
    self, Exchange, Payload, Recorded, Recording, limits::CAPTURED_BYTES, limits::REQUEST_BYTES,
};

/// What an exchange takes besides its heads and bodies, in bytes.
const OVERHEAD_BYTES: usize = 512;

/// A type that is less likely than this is not expected of a reply.
const CONFIDENCE: f64 = 0.5;

/// Bytes of the file that tell whether it is a capture.
const SNIFFED_BYTES: usize = 64;

/// Make the folder `dir` of the capture that `args` name.
pub(super) fn main(
    args: &DecodeArgs,
    dir: &Path,
    source: &mut Source,
    mut decoder: Decoder,
) -> Result<u8> {
    ensure!(
        args.schema.descriptor_set.is_none(),
        "--to-scenario puts the .proto files beside the scenario: give --proto DIR in place of --descriptor-set"
    );
    refuse_existing(dir)?;
    let name = args.file.display();
    let first = source.peek(SNIFFED_BYTES);
    let first = first.with_context(|| format!("cannot read {name}"))?;
    ensure!(
        is_capture(first),
        "{name} is no capture (pcap or pcapng), which --to-scenario needs to know who sent what and when"
    );
    let mut recorder = Recorder {
        decoder: &mut decoder,
        pairs: Vec::new(),
        numbers: FxHashMap::default(),
        bytes: 0,
        unusable: 0,
    };
    let code = messages(args, source, &mut recorder)?;
    let protos = protos(&args.schema.protos)?;
    let recording = recorder.recording(args, protos.iter().map(|root| root.name.clone()).collect());
    let Some(recorded) = record::record(recording) else {
        complain(&format!(
            "isukit: {name} has nothing to replay: no HTTP/1.1 request with its reply"
        ));
        return Ok(COULD_NOT);
    };
    write(dir, &recorded, &protos)?;
    print(summary(dir, &recorded).as_bytes())?;
    Ok(code)
}

fn summary(dir: &Path, recorded: &Recorded) -> String {
    let counted = |count: usize, one: &str, many: &str| match count {
        1 => format!("1 {one}"),
        _ => format!("{count} {many}"),
    };
    format!(
        "wrote {}: {}, {}, {}, {}\n",
        dir.display(),
        counted(recorded.kinds, "kind of users", "kinds of users"),
        counted(recorded.requests, "request", "requests"),
        counted(recorded.captured, "captured value", "captured values"),
        counted(recorded.made_up, "unique value", "unique values"),
    )
}

/// A folder that has something in it is somebody's.
fn refuse_existing(dir: &Path) -> Result<()> {
    match fs::read_dir(dir) {
        Ok(mut entries) => ensure!(
            entries.next().is_none(),
            "{} is not empty: name a new folder",
            dir.display()
        ),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => bail!("cannot write to {}: {error}", dir.display()),
    }
    Ok(())
}

/// A message that is kept until the types of all are known.
struct Held {
    head: Vec<u8>,
    body: OwnedBody,
    ended_us: i64,
}

#[derive(Default)]
struct Pair {
    connection: u64,
    ends: Option<(SocketAddr, SocketAddr)>,
    request: Option<Held>,
    reply: Option<Held>,
}

/// Keeps the messages of a capture.
struct Recorder<'d> {
    decoder: &'d mut Decoder,
    pairs: Vec<Pair>,
    /// Where an exchange is, by its number.
    numbers: FxHashMap<u64, usize>,
    bytes: usize,
    unusable: u64,
}

impl Sink for Recorder<'_> {
    fn message(&mut self, message: &Message<'_>) {
        if !message.paired || (100..200).contains(&message.status) {
            return;
        }
        let bytes = message.head.len() + message.body.len() + OVERHEAD_BYTES;
        if self.bytes + bytes > CAPTURED_BYTES {
            self.unusable += u64::from(message.direction == Direction::Request);
            return;
        }
        self.bytes += bytes;
        let decoder = &mut *self.decoder;
        let held = body_of(message, None, |body| {
            decoder.observe(body);
            Held {
                head: message.head.to_vec(),
                body: OwnedBody::new(body),
                ended_us: message.last_at_ns.div_euclid(1_000),
            }
        });
        let pairs = &mut self.pairs;
        let number = *self.numbers.entry(message.exchange).or_insert_with(|| {
            pairs.push(Pair::default());
            pairs.len() - 1
        });
        let pair = &mut pairs[number];
        pair.connection = message.connection;
        pair.ends = Some((message.client, message.server));
        match message.direction {
            Direction::Request => pair.request = Some(held),
            Direction::Response => pair.reply = Some(held),
        }
    }
}

impl Recorder<'_> {
    fn recording(self, args: &DecodeArgs, proto_roots: Vec<String>) -> Recording {
        let name = args.file.file_name().unwrap_or(args.file.as_os_str());
        let mut recording = Recording {
            name: name.to_string_lossy().into_owned(),
            unusable: self.unusable,
            proto_roots,
            ..Recording::default()
        };
        self.decoder.settle();
        let mut content_types: FxHashMap<String, usize> = FxHashMap::default();
        for pair in self.pairs {
            let (Some(request), Some(reply)) = (&pair.request, &pair.reply) else {
                recording.unanswered += u64::from(pair.reply.is_none());
                continue;
            };
            let Some(exchange) = exchange(self.decoder, &pair, request, reply) else {
                recording.unusable += 1;
                continue;
            };
            let content_type = request.body.as_body().content_type.to_owned();
            let essence = content_type.split(';').next().unwrap_or_default().trim();
            if essence.contains("proto") {
                *content_types.entry(essence.to_owned()).or_default() += 1;
            }
            recording.exchanges.push(exchange);
        }
        let most = content_types.into_iter().max_by_key(|(_, count)| *count);
        recording.content_type = most.map(|(name, _)| name).unwrap_or_default();
        recording
    }
}

fn exchange(decoder: &mut Decoder, pair: &Pair, request: &Held, reply: &Held) -> Option<Exchange> {
    let asked = request.body.as_body();
    let (client, server) = pair.ends?;
    let is_whole = |body: &Body<'_>| body.lost_bytes == 0 && !body.is_cut && !body.is_oversized;
    if !is_whole(&asked) || asked.bytes.len() > REQUEST_BYTES || !asked.url.starts_with('/') {
        return None;
    }
    let answered = reply.body.as_body();
    let replied = match is_whole(&answered) {
        true => payload(decoder, &answered),
        false => Payload::None,
    };
    let headers = headers(&reply.head);
    let set_cookies = headers
        .into_iter()
        .filter(|(name, _)| name.eq_ignore_ascii_case("set-cookie"));
    Some(Exchange {
        connection: pair.connection,
        client: client_address(client),
        server,
        began_us: asked.time_us?,
        ended_us: reply.ended_us,
        method: asked.method.to_owned(),
        target: asked.url.to_owned(),
        headers: self::headers(&request.head),
        request: payload(decoder, &asked),
        status: answered.status?,
        set_cookies: set_cookies.map(|(_, value)| value).collect(),
        reply: replied,
    })
}

fn client_address(client: SocketAddr) -> IpAddr {
    client.ip().to_canonical()
}

/// The headers of a head.
fn headers(head: &[u8]) -> Vec<(String, String)> {
    let text = String::from_utf8_lossy(head);
    let lines = text.lines().skip(1);
    lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()))
        .collect()
}

/// A body as a value.
fn payload(decoder: &mut Decoder, body: &Body<'_>) -> Payload {
    let mut found = None;
    let mut messages = 0;
    decoder.decode(body, &mut |decoded| {
        messages += 1;
        found = Some(read(body, decoded));
    });
    match found {
        Some(payload) if messages == 1 => payload,
        _ if body.bytes.is_empty() => Payload::None,
        // Streams of messages: sent as they are.
        _ => raw(body, body.bytes),
    }
}

fn read(body: &Body<'_>, decoded: &Decoded<'_>) -> Payload {
    let is = |kind: &str| {
        let essence = body.content_type.split(';').next().unwrap_or_default();
        essence.trim().eq_ignore_ascii_case(kind)
    };
    let plain = decoded.plain;
    let typed = match (decoded.content, decoded.choice) {
        (Content::Protobuf, Some(choice)) if decoded.error.is_none() => {
            // Nothing can be said of the type of nothing, and nothing need be.
            let is_guess = choice.source == isukit_analyze::decode::Source::Inferred;
            if plain.is_empty() && is_guess {
                return Payload::None;
            }
            let best = choice.best();
            match best.confidence >= CONFIDENCE || !is_guess {
                true => record::message(&best.message, plain),
                false => None,
            }
        }
        (Content::Json, _) => record::json(plain),
        (Content::Text, _) if is("application/x-www-form-urlencoded") => Some(record::form(plain)),
        (Content::Text, _) if is("text/html") => Some(Payload::Page),
        _ => None,
    };
    typed.unwrap_or_else(|| raw(body, plain))
}

fn raw(body: &Body<'_>, bytes: &[u8]) -> Payload {
    Payload::Raw {
        content_type: body.content_type.to_owned(),
        bytes: match body.direction {
            Direction::Request => bytes.to_vec(),
            // What a reply of no type was is of no use.
            Direction::Response => Vec::new(),
        },
    }
}

/// A folder of `.proto` files.
struct Root {
    /// Its name in the scenario's folder.
    name: String,
    /// Where each file is, and where below the folder it belongs.
    files: Vec<(PathBuf, PathBuf)>,
}

/// Find the `.proto` files, as they are found when they are compiled.
fn protos(dirs: &[PathBuf]) -> Result<Vec<Root>> {
    let mut roots = Vec::new();
    for (number, dir) in dirs.iter().enumerate() {
        let mut files = Vec::new();
        collect(
            dir,
            Path::new(""),
            Limits::default().directory_depth,
            &mut files,
        )?;
        let name = match dirs.len() {
            1 => "proto".to_owned(),
            _ => format!("proto-{}", number + 1),
        };
        roots.push(Root { name, files });
    }
    Ok(roots)
}

fn collect(
    dir: &Path,
    below: &Path,
    depth: usize,
    files: &mut Vec<(PathBuf, PathBuf)>,
) -> Result<()> {
    let read = || format!("cannot read {}", dir.display());
    for entry in fs::read_dir(dir).with_context(read)? {
        let entry = entry.with_context(read)?;
        let path = entry.path();
        let to = below.join(entry.file_name());
        let about = fs::metadata(&path).with_context(read)?;
        if about.is_dir() && depth > 0 {
            collect(&path, &to, depth - 1, files)?;
        } else if about.is_file() && path.extension().is_some_and(|end| end == "proto") {
            files.push((path, to));
        }
    }
    Ok(())
}

/// Write the folder, for its owner's eyes only: captured bodies may hold anything.
fn write(dir: &Path, recorded: &Recorded, protos: &[Root]) -> Result<()> {
    let folder = |path: &Path| -> Result<()> {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
        made.with_context(|| format!("cannot make the folder {}", path.display()))
    };
    let file = |path: &Path, bytes: &[u8]| -> Result<()> {
        let opened = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path);
        let written = opened.and_then(|mut file| file.write_all(bytes));
        written.with_context(|| format!("cannot write {}", path.display()))
    };
    folder(dir)?;
    // One that was there, and empty, is as open as it was made.
    fs::set_permissions(dir, Permissions::from_mode(0o700))
        .with_context(|| format!("cannot write to {}", dir.display()))?;
    for root in protos {
        folder(&dir.join(&root.name))?;
        for (from, to) in &root.files {
            let bytes =
                fs::read(from).with_context(|| format!("cannot read {}", from.display()))?;
            let to = dir.join(&root.name).join(to);
            folder(to.parent().unwrap_or(dir))?;
            file(&to, &bytes)?;
        }
    }
    file(&dir.join("scenario.toml"), recorded.data.as_bytes())?;
    file(&dir.join("scenario.luau"), recorded.script.as_bytes())
}
