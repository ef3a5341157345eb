//! Snapshots (`isukit.snapshot/1`): a digest in a file, to be merged and compared later.
//!
//! One JSON object: `schema`, `names` (how statements are named: `own` or `pt-compat`) and `digest`.

use std::io::{self, Read, Write};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::Digest;

/// Name and version of the format.
pub const SNAPSHOT_SCHEMA: &str = "isukit.snapshot/1";

/// The largest snapshot that is read, in bytes.
const LARGEST: u64 = 512 << 20;

/// A snapshot that cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SnapshotError {
    /// It could not be read or written.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// Not a snapshot.
    #[error("it is no snapshot that this version reads: {0}; save it again with --save")]
    Broken(String),
    /// Statements are named differently.
    #[error(
        "its statements are named by {}, these by {}: read both with or both without --pt-compat",
        in_words(.theirs),
        in_words(.ours)
    )]
    Names {
        /// How the snapshot names them.
        theirs: String,
        /// How this digest does.
        ours: String,
    },
}

/// What statements are named by, for people.
fn in_words(names: &str) -> &str {
    match names {
        "own" => "isukit's own shapes",
        "pt-compat" => "pt-query-digest's fingerprints",
        other => other,
    }
}

#[derive(Serialize)]
struct Written<'a> {
    schema: &'static str,
    names: &'a str,
    digest: &'a Digest,
}

#[derive(Deserialize)]
struct ReadBack {
    schema: String,
    names: String,
    digest: Digest,
}

/// Whether a file that begins so is a snapshot.
pub fn is_snapshot(first: &[u8]) -> bool {
    let begin = &first[..first.len().min(200)];
    let text = String::from_utf8_lossy(begin);
    let text: String = text.split_whitespace().collect();
    text.starts_with("{\"schema\":\"isukit.snapshot/")
}

/// Write a digest. `names` says how its statements are named.
///
/// # Errors
/// What `out` gives.
pub fn save(digest: &Digest, names: &str, out: &mut dyn Write) -> io::Result<()> {
    let written = Written {
        schema: SNAPSHOT_SCHEMA,
        names,
        digest,
    };
    serde_json::to_writer(&mut *out, &written)?;
    writeln!(out)
}

/// Read a digest whose statements are named by `names`.
///
/// # Errors
/// [`SnapshotError`].
pub fn load(input: &mut dyn Read, names: &str) -> Result<Digest, SnapshotError> {
    let mut text = Vec::new();
    let mut input = input.take(LARGEST + 1);
    // A pipe may have nothing for a while: what is there by then is in `text`.
    while let Err(error) = input.read_to_end(&mut text) {
        if error.kind() != io::ErrorKind::WouldBlock {
            return Err(error.into());
        }
    }
    if text.len() as u64 > LARGEST {
        return Err(SnapshotError::Broken(format!(
            "it is larger than {} MiB",
            LARGEST >> 20
        )));
    }
    let read: ReadBack =
        serde_json::from_slice(&text).map_err(|error| SnapshotError::Broken(error.to_string()))?;
    if read.schema != SNAPSHOT_SCHEMA {
        return Err(SnapshotError::Broken(format!("it is {}", read.schema)));
    }
    let mut digest = read.digest;
    if digest.statements.records > 0 && read.names != names {
        return Err(SnapshotError::Names {
            theirs: read.names,
            ours: names.to_owned(),
        });
    }
    digest.index();
    Ok(digest)
}
