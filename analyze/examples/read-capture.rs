//! Reads a capture and counts, to measure with:
//! `cargo run --release -p isukit-analyze --example read-capture -- PATH`.

use std::io::{self, Write};

use isukit_analyze::capture::{Assembler, CaptureOptions, Message, Sink, read};

/// Counts the bytes of bodies.
#[derive(Default)]
struct Count(u64);

impl Sink for Count {
    fn message(&mut self, message: &Message<'_>) {
        self.0 += message.body.len() as u64;
    }
}

fn main() -> io::Result<()> {
    let usage = || io::Error::other("usage: read-capture PATH");
    let path = std::env::args().nth(1).ok_or_else(usage)?;
    let mut file = std::fs::File::open(path)?;
    let mut assembler = Assembler::new(CaptureOptions::default());
    let mut count = Count::default();
    let summary = read(&mut file, &mut assembler, &mut count);
    assembler.finish(&mut count);
    let summary = summary.map_err(io::Error::other)?;
    let totals = serde_json::to_string_pretty(assembler.totals())?;
    writeln!(
        io::stdout(),
        "{summary:?}\n{totals}\nbodies: {} bytes",
        count.0
    )
}
