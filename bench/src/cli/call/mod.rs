//! `isukit call`: one request, composed from text, sent, and its reply decoded.

mod args;
mod compose;
mod dump;
mod send;
mod show;

use std::io::{self, IsTerminal};
use std::path::Path;

use anyhow::{Context, Result, ensure};
use isukit_proto::Message;

pub(super) use args::CallArgs;

use super::bodies::{BodyFormat, BodyTypes};
use super::output::Output;
use super::schema::message;
use super::{DONE, FAILED, complain, print};
use crate::cookie_file::CookieFile;
use compose::Composed;
use send::Reply;

/// Larger files of cookies are refused, in bytes.
const COOKIE_FILE_BYTES: u64 = 16 << 20;

/// Do what was asked.
pub(super) fn main(args: &CallArgs) -> Result<u8> {
    let types = args.types.load()?;
    let wanted = message(types.schema.as_ref(), args.reply.as_deref(), "--reply")?;
    let request = compose::compose(args, &types)?;
    let mut jar = match &args.cookie_jar {
        Some(path) => read_cookies(path)?,
        None => CookieFile::default(),
    };
    // A file that cannot be written is told before anything is sent.
    let output = args.output.as_deref().map(Output::create).transpose()?;
    let before = jar.clone();
    let mut view = View::new(args, types, wanted);
    let exchanged = send::exchange(args, request, &mut jar, &mut |request, reply| {
        view.add(request, reply)
    });
    if let Some(path) = &args.cookie_jar
        && (jar != before || !path.exists())
    {
        Output::create_private(path)?.finish(jar.to_text().as_bytes())?;
    }
    exchanged?;
    if !view.aside.is_empty() {
        complain(view.aside.trim_end());
    }
    match output {
        Some(output) => output.finish(&view.out)?,
        None => print(&view.out)?,
    }
    Ok(view.code)
}

/// What is written.
struct View<'a> {
    args: &'a CallArgs,
    types: BodyTypes,
    wanted: Option<Message>,
    format: BodyFormat,
    out: Vec<u8>,
    /// What is for people beside lines for programs.
    aside: String,
    code: u8,
}

impl<'a> View<'a> {
    fn new(args: &'a CallArgs, types: BodyTypes, wanted: Option<Message>) -> Self {
        let to_terminal = args.output.is_none() && io::stdout().is_terminal();
        Self {
            args,
            types,
            wanted,
            format: args.format.unwrap_or(match to_terminal {
                true => BodyFormat::Text,
                false => BodyFormat::Json,
            }),
            out: Vec::new(),
            aside: String::new(),
            code: DONE,
        }
    }

    /// Add an exchange; the last one decides about success.
    fn add(&mut self, request: &Composed, reply: &Reply) -> Result<()> {
        let is_error = reply.status.as_u16() >= 400;
        // An error is of another type than what was hoped for, and a redirect has a page of its own.
        let wanted = match is_error {
            true => self.types.map.error.clone(),
            false if reply.status.is_redirection() => None,
            false => self.wanted.clone(),
        };
        let shown = show::decode(self.args, &self.types, wanted, request, reply)?;
        let mut text = String::new();
        if self.args.verbose {
            text.push_str(&show::request_head(request, "> "));
            if request.message.is_some() {
                let body = dump::dump(&request.body, request.message.as_ref());
                text.push_str(">\n");
                text.extend(body.lines().flat_map(|line| ["> ", line, "\n"]));
            }
            text.push_str(&show::reply_head(reply, true, "< "));
            if !shown.dump.is_empty() {
                text.push_str("<\n");
                text.extend(shown.dump.lines().flat_map(|line| ["< ", line, "\n"]));
            }
        }
        match self.format {
            BodyFormat::Json => {
                self.out.extend_from_slice(&shown.json);
                self.aside.push_str(&text);
            }
            BodyFormat::Text => {
                if !self.args.verbose {
                    text.push_str(&show::reply_head(reply, false, ""));
                }
                text.push('\n');
                text.push_str(&shown.text);
                self.out.extend_from_slice(text.as_bytes());
            }
        }
        self.code = match is_error || !shown.is_as_wanted {
            true => FAILED,
            false => DONE,
        };
        Ok(())
    }
}

/// The cookies of a file; none when it is not there yet.
fn read_cookies(path: &Path) -> Result<CookieFile> {
    let shown = path.display();
    match path.metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(CookieFile::default()),
        Err(error) => return Err(error).context(format!("cannot read {shown}")),
        Ok(metadata) => ensure!(
            metadata.len() <= COOKIE_FILE_BYTES,
            "{shown} is larger than {COOKIE_FILE_BYTES} bytes: is it a file of cookies?"
        ),
    }
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {shown}"))?;
    let (jar, skipped) = CookieFile::parse(&String::from_utf8_lossy(&bytes));
    if skipped > 0 {
        complain(&format!(
            "isukit: {skipped} lines of {shown} are no cookies and were left out"
        ));
    }
    Ok(jar)
}
