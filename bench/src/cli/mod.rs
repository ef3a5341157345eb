//! The command line: what was typed becomes options, a report becomes bytes on a stream.
//!
//! Only this module and `main.rs` print, open output files or choose exit codes.

mod bodies;
mod call;
mod debug;
mod decode;
mod diff;
mod digest;
mod encode;
mod output;
mod place;
mod probe;
mod progress;
mod run;
mod schema;
mod signals;
mod tap;

use std::io;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Parser, Subcommand};

/// Done.
const DONE: u8 = 0;

/// The target failed the run, or a threshold was missed.
const FAILED: u8 = 1;

/// We could not do the job.
const COULD_NOT: u8 = 2;

/// Benchmark and tuning toolkit for web services that must be faster today.
#[derive(Debug, Parser)]
#[command(name = "isukit", version, about, max_term_width = 100)]
#[command(
    after_help = "Exit codes: 0 done, 1 the target failed or a threshold was missed, \
    2 the job could not be done.\n\nExample: isukit run http://127.0.0.1:8080/ --duration 5s"
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Load a URL or run a scenario, and report latency, errors, score and what limited the run
    Run(Box<run::RunArgs>),
    /// Send one request made from JSON or protobuf text, and show the decoded reply
    Call(Box<call::CallArgs>),
    /// Forward requests to a target and show, decoded, what passes
    Tap(Box<tap::TapArgs>),
    /// Rank the hotspots in slow-query and access logs
    Digest(Box<digest::DigestArgs>),
    /// Make captured protobuf bodies readable: captures, saved messages, single bodies
    Decode(Box<decode::DecodeArgs>),
    /// Turn JSON or protobuf text into the bytes of a message
    Encode(encode::EncodeArgs),
    /// Show what each host and its services use, here or over ssh, and what is wrong with them
    Probe(Box<probe::ProbeArgs>),
    /// Say which service should live on which node, and what that gives
    Place(Box<place::PlaceArgs>),
    /// Say what got better or worse between two logs or saved digests
    Diff(Box<diff::DiffArgs>),
}

/// Parse the command line, do it, and say how it ended.
pub fn main() -> ExitCode {
    // What watches a busy host should be small: describing all arguments alone takes megabytes.
    let words = std::env::args_os().skip(1);
    if words.eq(crate::probe::AGENT_WORDS) {
        return ended(probe::agent());
    }
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are no errors and go to stdout; a closed pipe is no news.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { COULD_NOT } else { DONE });
        }
    };
    let result = match cli.command {
        Command::Run(args) => run::main(&args),
        Command::Call(args) => call::main(&args),
        Command::Tap(args) => tap::main(&args),
        Command::Digest(args) => digest::main(&args),
        Command::Decode(args) => decode::main(&args),
        Command::Encode(args) => encode::main(&args),
        Command::Probe(args) => probe::main(&args),
        Command::Place(args) => place::main(&args),
        Command::Diff(args) => diff::main(&args),
    };
    ended(result)
}

/// What the process tells whoever started it.
fn ended(result: anyhow::Result<u8>) -> ExitCode {
    match result {
        Ok(code) => ExitCode::from(code),
        Err(error) if error.is::<ClosedPipe>() => ExitCode::from(DONE),
        Err(error) => {
            complain(&format!("isukit: {error:#}"));
            ExitCode::from(COULD_NOT)
        }
    }
}

/// The reader of stdout has gone, as in `isukit run ... | head`: no failure of ours.
#[derive(Debug, thiserror::Error)]
#[error("stdout was closed")]
struct ClosedPipe;

/// Write to stdout.
fn print(bytes: &[u8]) -> anyhow::Result<()> {
    use io::Write;
    let mut stdout = io::stdout().lock();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(ClosedPipe.into()),
        result => result.context("cannot write to stdout"),
    }
}

/// Say something on stderr.
fn complain(text: &str) {
    use io::Write;
    // Nothing can be done about a stderr that is closed.
    let _ = writeln!(io::stderr(), "{text}");
}
