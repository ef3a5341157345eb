//! `isukit encode`: JSON or protobuf text -> the bytes of a message.

use std::fs;
use std::io::{self, IsTerminal, Read};
use std::path::PathBuf;

use anyhow::{Context, Result, bail, ensure};
use base64::Engine;
use clap::{Args, ValueEnum};
use isukit_analyze::decode::DECODE_SCHEMA;
use isukit_proto::wire::put_varint;
use isukit_proto::{JsonParseOptions, Message, Schema, TextParseOptions};
use serde_json::Value;

use super::output::Output;
use super::schema::{SchemaArgs, message};
use super::{DONE, print};

/// Turn JSON or protobuf text into the bytes of a message.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    echo '{\"teamName\": \"ann\"}' | isukit encode --proto proto/ --type CreateTeamRequest > body.bin\n  \
    isukit decode --proto proto/ --type Team --format text team.bin > team.txt\n  \
    isukit encode --proto proto/ --type Team team.txt -o team.bin     after editing it: nothing else changes\n  \
    isukit encode --proto proto/ line.json --to hex                   a line of `isukit decode` names its type")]
pub(crate) struct EncodeArgs {
    /// JSON, protobuf text, or lines of `isukit decode`; `-` for stdin
    #[arg(default_value = "-", value_name = "FILE")]
    file: PathBuf,

    #[command(flatten)]
    schema: SchemaArgs,

    /// The message's type; lines of `isukit decode` have their own
    #[arg(long = "type", value_name = "TYPE")]
    kind: Option<String>,

    /// What the file is [default: found by its first byte]
    #[arg(long = "as", value_enum, value_name = "KIND")]
    form: Option<Form>,

    /// How the bytes are written
    #[arg(long, value_enum, default_value_t, value_name = "FORM")]
    to: Notation,

    /// Write each message with its length before it
    #[arg(long)]
    delimited: bool,

    /// Take JSON with fields that the type does not have, without them
    #[arg(long)]
    ignore_unknown: bool,

    /// Write the bytes to a file
    #[arg(long, short = 'o', value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Form {
    /// The JSON of a message, or lines of `isukit decode`
    Json,
    /// The text format of protobuf
    Text,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
enum Notation {
    /// As they are
    #[default]
    Binary,
    /// Two digits a byte
    Hex,
    /// Base64
    Base64,
}

/// Larger inputs are refused, in bytes.
const INPUT_BYTES: u64 = 256 << 20;

/// Do what was asked.
pub(super) fn main(args: &EncodeArgs) -> Result<u8> {
    let Some(schema) = args.schema.load()? else {
        bail!("there are no message types: give --proto DIR or --descriptor-set FILE");
    };
    let kind = message(Some(&schema), args.kind.as_deref(), "--type")?;
    let text = read(args)?;
    let mut messages = Vec::new();
    encode(args, &schema, kind.as_ref(), &text, &mut messages)
        .with_context(|| args.file.display().to_string())?;
    ensure!(
        args.delimited || messages.len() == 1,
        "{}: it has {} messages: choose one line, or write them one behind the other with --delimited",
        args.file.display(),
        messages.len()
    );
    let mut bytes = Vec::new();
    for message in messages {
        if args.delimited {
            put_varint(&mut bytes, message.len() as u64);
        }
        bytes.extend(message);
    }
    let written = match args.to {
        Notation::Binary => bytes,
        Notation::Hex => {
            let mut text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            text.push('\n');
            text.into_bytes()
        }
        Notation::Base64 => {
            let mut text = base64::engine::general_purpose::STANDARD.encode(&bytes);
            text.push('\n');
            text.into_bytes()
        }
    };
    match &args.output {
        Some(path) => Output::create(path)?.finish(&written)?,
        None => {
            ensure!(
                args.to != Notation::Binary || !io::stdout().is_terminal(),
                "bytes are nothing for a terminal: give -o FILE, or --to hex"
            );
            print(&written)?;
        }
    }
    Ok(DONE)
}

fn read(args: &EncodeArgs) -> Result<String> {
    let source: Box<dyn Read> = match args.file.as_os_str() == "-" {
        true => Box::new(io::stdin().lock()),
        false => Box::new(
            fs::File::open(&args.file)
                .with_context(|| format!("cannot read {}", args.file.display()))?,
        ),
    };
    let mut bytes = Vec::new();
    source
        .take(INPUT_BYTES + 1)
        .read_to_end(&mut bytes)
        .with_context(|| format!("cannot read {}", args.file.display()))?;
    ensure!(
        bytes.len() as u64 <= INPUT_BYTES,
        "{} is larger than {INPUT_BYTES} bytes",
        args.file.display()
    );
    String::from_utf8(bytes).map_err(|error| {
        anyhow::anyhow!(
            "{}: byte {} is not UTF-8: is it encoded already? `isukit decode` reads it",
            args.file.display(),
            error.utf8_error().valid_up_to()
        )
    })
}

fn encode(
    args: &EncodeArgs,
    schema: &Schema,
    kind: Option<&Message>,
    text: &str,
    messages: &mut Vec<Vec<u8>>,
) -> Result<()> {
    let is_json = match args.form {
        Some(form) => form == Form::Json,
        // No text of a message begins with a brace.
        None => text.trim_start().starts_with('{'),
    };
    if !is_json {
        let Some(kind) = kind else {
            bail!("give the message's type with --type");
        };
        let mut bytes = Vec::new();
        kind.from_text(text.as_bytes(), &TextParseOptions::new(), &mut bytes)?;
        messages.push(bytes);
        return Ok(());
    }
    if text
        .trim_start()
        .starts_with("{\"schema\":\"isukit.decode/")
    {
        for (number, line) in text.lines().enumerate() {
            decoded_line(args, schema, kind, line, messages)
                .with_context(|| format!("line {}", number + 1))?;
        }
        return Ok(());
    }
    let Some(kind) = kind else {
        bail!("give the message's type with --type");
    };
    messages.push(from_json(args, kind, text)?);
    Ok(())
}

fn from_json(args: &EncodeArgs, kind: &Message, json: &str) -> Result<Vec<u8>> {
    let options = JsonParseOptions::new().ignore_unknown(args.ignore_unknown);
    let mut bytes = Vec::new();
    kind.from_json(json.as_bytes(), &options, &mut bytes)?;
    Ok(bytes)
}

/// The message of a line of `isukit decode`.
fn decoded_line(
    args: &EncodeArgs,
    schema: &Schema,
    kind: Option<&Message>,
    line: &str,
    messages: &mut Vec<Vec<u8>>,
) -> Result<()> {
    if line.trim().is_empty() {
        return Ok(());
    }
    let record: Value = serde_json::from_str(line)?;
    ensure!(
        record["schema"] == DECODE_SCHEMA,
        "it is not of {DECODE_SCHEMA}"
    );
    if record["kind"] != "body" {
        return Ok(());
    }
    let named = match (kind, &record["type"]) {
        (Some(kind), _) => kind.clone(),
        (None, Value::String(name)) => schema.message(name)?,
        (None, _) => bail!("its type is not known: give --type"),
    };
    let json = serde_json::to_string(&record["message"])?;
    messages.push(from_json(args, &named, &json)?);
    Ok(())
}
