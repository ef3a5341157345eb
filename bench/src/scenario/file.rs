//! `scenario.toml` to the model.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use isukit_analyze::threshold::Threshold;
use toml::de::DeTable;

use super::error::ScenarioError;
use super::folder::{Folder, unhex};
use super::model::{Limits, ProtoOptions, RouteTimeouts, Scenario};
use super::phases::{self, SOME};
use super::route::RoutePattern;
use super::rules;
use super::table::{Complain, Item, MAX_NAME, Source, Table};
use crate::http1::request::{Body, Request, SlotText};
use crate::http1::target::Target;

type Result<T> = std::result::Result<T, ScenarioError>;

/// Name of the file in a scenario's folder.
const FILE: &str = "scenario.toml";

/// Bytes of the file.
const MAX_FILE: u64 = 1024 * 1024;

/// Headers, routes, feeds and assets, of each.
const MAX_ENTRIES: usize = 10_000;

/// Import roots and thresholds, of each.
const MAX_LIST: usize = 100;

/// Bytes of a header's value, a URL or a path.
const MAX_TEXT: usize = 8_000;

/// No timeout is longer.
const HOUR: Duration = Duration::from_secs(3600);

/// Media type of protobuf bodies unless the file says otherwise.
const PROTOBUF: &str = "application/vnd.google.protobuf";

/// Keys of the file, in the order of its documentation.
const KEYS: [&str; 14] = [
    "target",
    "script",
    "user_agent",
    "thresholds",
    "proto",
    "headers",
    "limits",
    "timeouts",
    "routes",
    "feeds",
    "assets",
    "phase",
    "score",
    "fail",
];

pub(super) fn load(folder: &Path) -> Result<Scenario> {
    let file = folder.join(FILE);
    let text = read(&file).map_err(|cause| ScenarioError::Read {
        file: file.clone(),
        cause,
    })?;
    parse(folder, &file, &text)
}

/// The text of the file, if it is one and not too long.
fn read(file: &Path) -> std::result::Result<String, String> {
    // A pipe would keep us waiting for ever.
    let metadata = std::fs::metadata(file).map_err(|error| error.to_string())?;
    if !metadata.is_file() {
        return Err("it is no file".to_owned());
    }
    let mut bytes = Vec::new();
    File::open(file)
        .and_then(|open| open.take(MAX_FILE + 1).read_to_end(&mut bytes))
        .map_err(|error| error.to_string())?;
    if bytes.len() as u64 > MAX_FILE {
        return Err("it is longer than 1 MiB; put data into feeds".to_owned());
    }
    String::from_utf8(bytes).map_err(|error| {
        let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = valid.iter().filter(|byte| **byte == b'\n').count() + 1;
        format!("line {line} is not UTF-8; save the file as UTF-8")
    })
}

/// Check the text of `scenario.toml` as that of `file` in `folder`.
pub(super) fn parse(folder: &Path, file: &Path, text: &str) -> Result<Scenario> {
    let source = Source { file, text };
    let parsed = DeTable::parse(text).map_err(|error| {
        let offset = error.span().map_or(0, |span| span.start);
        source.error(offset, error.message().replace('\n', ", "))
    })?;
    let root = Table::root(source, parsed.get_ref());
    root.only(&KEYS)?;
    let inside = Folder::new(folder)?;
    let score = match root.table("score", "[score]")? {
        Some(table) => rules::score(&table)?,
        None => Default::default(),
    };
    Ok(Scenario {
        folder: folder.to_owned(),
        file: file.to_owned(),
        target: target(&root)?,
        script: script(&root, &inside, folder)?,
        user_agent: user_agent(&root)?,
        proto: proto(&root, &inside, folder)?,
        headers: headers(&root)?,
        limits: limits(&root)?,
        timeouts: timeouts(&root)?,
        routes: routes(&root)?,
        feeds: feeds(&root, &inside)?,
        assets: assets(&root, &inside)?,
        phases: phases::phases(&root, &score)?,
        score,
        fail: match root.table("fail", "[fail]")? {
            Some(table) => rules::fail(&table)?,
            None => Default::default(),
        },
        thresholds: thresholds(&root)?,
    })
}

fn target(root: &Table<'_>) -> Result<Option<String>> {
    let Some(item) = root.get("target") else {
        return Ok(None);
    };
    let text = item.text("\"http://127.0.0.1:8080\"", MAX_TEXT)?;
    match Target::parse(text) {
        Ok(_) => Ok(Some(text.to_owned())),
        Err(error) => Err(item.error(error)),
    }
}

fn script(root: &Table<'_>, inside: &Folder<'_>, folder: &Path) -> Result<PathBuf> {
    const USUAL: &str = "scenario.luau";
    if let Some(item) = root.get("script") {
        return inside.file(&item, item.string("\"scenario.luau\"")?);
    }
    if !folder.join(USUAL).exists() {
        return Err(root.error(format_args!(
            "{} is not there; write it, or name another file with script = \"FILE\"",
            folder.join(USUAL).display()
        )));
    }
    inside.file(root, USUAL)
}

/// What stands in a header must not break out of its line.
fn header(item: &Item<'_>, name: &str, value: &str) -> Result<(String, String)> {
    const OURS: [&str; 2] = ["content-length", "transfer-encoding"];
    if OURS.iter().any(|ours| name.eq_ignore_ascii_case(ours)) {
        return Err(item.key_error(format_args!(
            "`{name}` is written by isukit as each body needs it; leave it out"
        )));
    }
    let pair = (name.to_owned(), value.to_owned());
    let headers = [pair];
    Request::new("GET", SlotText::literal("/"), &headers, Body::None)
        .map_err(|error| item.error(error))?;
    let [pair] = headers;
    Ok(pair)
}

fn user_agent(root: &Table<'_>) -> Result<Option<String>> {
    let Some(item) = root.get("user_agent") else {
        return Ok(None);
    };
    let text = item.text("\"my-benchmark/1\"", MAX_TEXT)?;
    header(&item, "User-Agent", text).map(|(_, value)| Some(value))
}

fn headers(root: &Table<'_>) -> Result<Vec<(String, String)>> {
    entries(root, "headers", |item| {
        let value = item.string("\"en\"")?;
        if value.len() > MAX_TEXT {
            return Err(item.error(format_args!("a header of more than {MAX_TEXT} bytes")));
        }
        header(item, item.key, value)
    })
}

/// The entries of a table whose keys are free.
fn entries<'a, T>(
    root: &Table<'a>,
    key: &str,
    mut read: impl FnMut(&Item<'a>) -> Result<T>,
) -> Result<Vec<T>> {
    let name = format!("[{key}]");
    let Some(table) = root.table(key, &name)? else {
        return Ok(Vec::new());
    };
    let mut entries = Vec::new();
    for item in table.items() {
        if entries.len() == MAX_ENTRIES {
            return Err(item.key_error(format_args!("more than {MAX_ENTRIES} entries in {name}")));
        }
        entries.push(read(&item)?);
    }
    Ok(entries)
}

fn proto(root: &Table<'_>, inside: &Folder<'_>, folder: &Path) -> Result<Option<ProtoOptions>> {
    let usual = ProtoOptions {
        roots: vec![folder.to_owned()],
        content_type: PROTOBUF.to_owned(),
        error: None,
    };
    let Some(table) = root.table("proto", "[proto]")? else {
        return Ok(inside.has_protos().then_some(usual));
    };
    table.only(&["roots", "content_type", "error"])?;
    let mut options = usual;
    match table.get("roots") {
        None if inside.has_protos() => {}
        None => {
            return Err(table.error(
                "no .proto file is beside the file; write roots = [\"FOLDER\"] to say where they are",
            ));
        }
        Some(item) => {
            let roots = item.strings(MAX_LIST, "[\"proto\"]")?;
            if roots.is_empty() {
                return Err(item.error("`roots` is empty; write [\"proto\"]"));
            }
            options.roots = roots
                .iter()
                .map(|(item, text)| inside.folder(item, text))
                .collect::<Result<_>>()?;
        }
    }
    if let Some(item) = table.get("content_type") {
        let text = item.text("\"application/protobuf\"", MAX_TEXT)?;
        options.content_type = header(&item, "Content-Type", text)?.1;
    }
    if let Some(item) = table.get("error") {
        options.error = Some(item.text("\"contest.v1.Error\"", MAX_TEXT)?.to_owned());
    }
    Ok(Some(options))
}

fn limits(root: &Table<'_>) -> Result<Limits> {
    const MIB: u64 = 1024 * 1024;
    let mut limits = Limits::default();
    let Some(table) = root.table("limits", "[limits]")? else {
        return Ok(limits);
    };
    table.only(&["cpu", "memory", "connections", "body"])?;
    if let Some(item) = table.get("cpu") {
        limits.cpu = item.duration(SOME, Duration::from_secs(60))?;
    }
    if let Some(item) = table.get("memory") {
        limits.memory = item.bytes(MIB, 1024 * 1024 * MIB)?;
    }
    if let Some(item) = table.get("connections") {
        limits.connections = item.size(1, 64)?;
    }
    if let Some(item) = table.get("body") {
        limits.body = item.bytes(1, 4096 * MIB)?;
    }
    Ok(limits)
}

/// A pattern that is a key.
fn pattern(item: &Item<'_>) -> Result<RoutePattern> {
    item.key.parse().map_err(|error| item.key_error(error))
}

fn timeouts(root: &Table<'_>) -> Result<RouteTimeouts> {
    let mut timeouts = RouteTimeouts::default();
    let Some(table) = root.table("timeouts", "[timeouts]")? else {
        return Ok(timeouts);
    };
    table.only(&["default", "connect", "routes"])?;
    if let Some(item) = table.get("default") {
        timeouts.default = item.duration(SOME, HOUR)?;
    }
    if let Some(item) = table.get("connect") {
        timeouts.connect = item.duration(SOME, HOUR)?;
    }
    timeouts.routes = entries(&table, "routes", |item| {
        Ok((pattern(item)?, item.duration(SOME, HOUR)?))
    })?;
    Ok(timeouts)
}

fn routes(root: &Table<'_>) -> Result<Vec<(RoutePattern, String)>> {
    entries(root, "routes", |item| {
        Ok((
            pattern(item)?,
            item.text("\"assets\"", MAX_NAME)?.to_owned(),
        ))
    })
}

fn feeds(root: &Table<'_>, inside: &Folder<'_>) -> Result<Vec<(String, PathBuf)>> {
    entries(root, "feeds", |item| {
        let name = item.named("a feed")?.to_owned();
        let text = item.string("\"names.csv\"")?;
        let extension = Path::new(text).extension().and_then(|end| end.to_str());
        if !matches!(extension, Some("csv" | "jsonl")) {
            return Err(item.error(format_args!(
                "`{}` is neither .csv nor .jsonl; a feed is one of them",
                text.escape_debug()
            )));
        }
        Ok((name, inside.file(item, text)?))
    })
}

fn assets(root: &Table<'_>, inside: &Folder<'_>) -> Result<Vec<(String, [u8; 32])>> {
    entries(root, "assets", |item| {
        let path = item.named("an asset")?;
        if !path.starts_with('/') || path.contains(char::is_whitespace) || path.contains('#') {
            return Err(item.key_error(format_args!(
                "`{}` is no path on the target; write it from the slash on",
                path.escape_debug()
            )));
        }
        let text = item.string("\"public/app.css\"")?;
        let sum = match text.strip_prefix("sha256:") {
            None => inside.hash(item, text)?,
            Some(hex) => unhex(hex).ok_or_else(|| {
                item.error("that is no SHA-256; write sha256: and 64 hexadecimal digits")
            })?,
        };
        Ok((path.to_owned(), sum))
    })
}

fn thresholds(root: &Table<'_>) -> Result<Vec<Threshold>> {
    let Some(item) = root.get("thresholds") else {
        return Ok(Vec::new());
    };
    let texts = item.strings(MAX_LIST, "[\"p99 < 50ms\"]")?;
    texts
        .iter()
        .map(|(item, text)| text.parse().map_err(|error| item.error(error)))
        .collect()
}
