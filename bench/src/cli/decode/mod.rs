//! `isukit decode`: captures, saved messages and single bodies -> typed, readable messages.

mod args;
mod bodies;
mod capture;
mod file;
#[cfg(target_os = "linux")]
mod live;
mod scenario;
mod sink;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result, ensure};
use isukit_analyze::capture::is_capture;
use isukit_analyze::decode::{Decoder, is_http};

pub(super) use args::{DecodeArgs, read_map};

use super::output::Output;
use super::{COULD_NOT, DONE, complain};
use args::FormArg;
use file::Source;
use sink::BodySink;

/// Bytes at the beginning of a file that tell what it is.
const SNIFFED_BYTES: usize = 64 << 10;

/// Do what was asked.
pub(super) fn main(args: &DecodeArgs) -> Result<u8> {
    args.refuse_overwriting()?;
    let decoder = Decoder::new(args.options()?)?;
    if let Some(dir) = &args.to_scenario {
        let stop = super::digest::stop_flag()?;
        let mut source = Source::open(&args.file, &stop)?;
        return scenario::main(args, dir, &mut source, decoder);
    }
    let filter = args.filter()?;
    let save_map = args.save_map.as_deref().map(Output::create).transpose()?;
    let mut sink = BodySink::new(args, decoder, filter)?;
    let stop = super::digest::stop_flag()?;
    let mut code = match &args.live {
        #[cfg(target_os = "linux")]
        Some(interface) => live::run(args, interface, &mut sink, &stop)?,
        #[cfg(not(target_os = "linux"))]
        Some(_) => anyhow::bail!("--live is for Linux; elsewhere pipe `tcpdump -w -` into it"),
        None => read(args, &mut sink, &stop)?,
    };
    if let (Some(output), Some(text)) = (save_map, sink.map()) {
        output.finish(text.as_bytes())?;
    }
    let summary = sink.finish()?;
    if summary.bodies + summary.filtered == 0 && code == DONE {
        complain(&format!("isukit: {}", sink::nothing(args, &summary)));
        code = COULD_NOT;
    }
    if summary.unreadable > 0 && summary.unreadable == summary.bodies {
        code = COULD_NOT;
    }
    Ok(code)
}

/// Read a file of any kind.
fn read(args: &DecodeArgs, sink: &mut BodySink<'_>, stop: &Arc<AtomicBool>) -> Result<u8> {
    let mut source = Source::open(&args.file, stop)?;
    let name = args.file.display();
    let first = source
        .peek(SNIFFED_BYTES)
        .with_context(|| format!("cannot read {name}"))?;
    ensure!(
        !stop.load(Ordering::Relaxed),
        "stopped before {name} was read"
    );
    match args.form {
        Some(FormArg::Capture) => return capture::read(args, &mut source, sink),
        None if is_capture(first) => return capture::read(args, &mut source, sink),
        _ => {}
    }
    let is_http = match args.form {
        Some(form) => form == FormArg::Http,
        None => is_http(first),
    };
    let bytes = source.read_all().with_context(|| format!("{name}"))?;
    match is_http {
        true => bodies::http(args, &bytes, sink)?,
        false => bodies::raw(args, bytes, sink)?,
    }
    Ok(DONE)
}
