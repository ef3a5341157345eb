//! What must not be written over: the logs themselves.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use anyhow::{Result, ensure};
use isukit_analyze::digest::is_snapshot;

use super::DigestArgs;
use crate::cli::output::{ensure_two, overwrites};

/// How much of a file is looked at to find out whether it is a snapshot, in bytes.
const SNIFFED: u64 = 256;

/// Refuse outputs that are inputs or each other. A snapshot may be saved over: that adds to it.
pub(super) fn refuse(args: &DigestArgs) -> Result<()> {
    let inputs = || args.files.iter().chain(&args.nginx_conf);
    let is_input = |output: &Path| inputs().any(|input| overwrites(output, input));
    if let Some(output) = &args.output {
        ensure!(
            !is_input(output),
            "--output {} is one of the files to read: give it another name",
            output.display()
        );
    }
    if let Some(save) = &args.save {
        ensure!(
            !is_input(save) || begins_as_snapshot(save),
            "--save {} is one of the files to read, and no snapshot to add to: give it another name",
            save.display()
        );
    }
    match (&args.output, &args.save) {
        (Some(output), Some(save)) => ensure_two(output, save),
        _ => Ok(()),
    }
}

fn begins_as_snapshot(path: &Path) -> bool {
    let mut first = Vec::new();
    File::open(path)
        .and_then(|file| file.take(SNIFFED).read_to_end(&mut first))
        .is_ok_and(|_| is_snapshot(&first))
}
