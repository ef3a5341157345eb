//! Paths that stay in a scenario's folder, and hashes of files.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Component, Path, PathBuf};

use ring::digest::{Context, SHA256};

use super::error::ScenarioError;
use super::table::{Complain, Item};

/// Bytes of a file whose hash is expected of the target.
const MAX_ASSET: u64 = 1024 * 1024 * 1024;

/// A scenario's folder.
pub(super) struct Folder<'a> {
    path: &'a Path,
    /// The same without symbolic links.
    real: PathBuf,
}

impl<'a> Folder<'a> {
    pub(super) fn new(path: &'a Path) -> Result<Self, ScenarioError> {
        match fs::canonicalize(path) {
            Ok(real) => Ok(Self { path, real }),
            Err(error) => Err(ScenarioError::Read {
                file: path.to_owned(),
                cause: error.to_string(),
            }),
        }
    }

    /// The path of something in the folder that exists.
    fn inside(&self, item: &impl Complain, text: &str) -> Result<PathBuf, ScenarioError> {
        let shown = text.escape_debug();
        let outside = || {
            let folder = self.path.display();
            item.error(format_args!(
                "`{shown}` is outside of {folder}; put it there and name it from there"
            ))
        };
        let relative = Path::new(text);
        let mut parts = relative.components();
        if text.is_empty() || !parts.all(|c| matches!(c, Component::Normal(_) | Component::CurDir))
        {
            return Err(outside());
        }
        let path = self.path.join(relative);
        let real = fs::canonicalize(&path)
            .map_err(|error| item.error(format_args!("cannot read {}: {error}", path.display())))?;
        // A symbolic link may lead anywhere.
        if real.starts_with(&self.real) {
            Ok(path)
        } else {
            Err(outside())
        }
    }

    /// A file in the folder.
    pub(super) fn file(&self, item: &impl Complain, text: &str) -> Result<PathBuf, ScenarioError> {
        let path = self.inside(item, text)?;
        // A pipe would keep us waiting for ever.
        if path.is_file() {
            return Ok(path);
        }
        Err(item.error(format_args!("{} is no file; name one", path.display())))
    }

    /// A folder in the folder, or the folder itself.
    pub(super) fn folder(&self, item: &Item<'_>, text: &str) -> Result<PathBuf, ScenarioError> {
        let path = self.inside(item, text)?;
        if path.is_dir() {
            return Ok(path);
        }
        Err(item.error(format_args!(
            "{} is no folder; name the folder it is in",
            path.display()
        )))
    }

    /// The SHA-256 of a file in the folder.
    pub(super) fn hash(&self, item: &Item<'_>, text: &str) -> Result<[u8; 32], ScenarioError> {
        let path = self.file(item, text)?;
        hash(&path)
            .map_err(|error| item.error(format_args!("cannot read {}: {error}", path.display())))
    }

    /// Whether a `.proto` file lies directly in the folder.
    pub(super) fn has_protos(&self) -> bool {
        let Ok(entries) = fs::read_dir(self.path) else {
            return false;
        };
        let mut names = entries.filter_map(|entry| Some(entry.ok()?.path()));
        names.any(|path| {
            path.extension()
                .is_some_and(|extension| extension == "proto")
        })
    }
}

fn hash(path: &Path) -> std::io::Result<[u8; 32]> {
    let mut file = File::open(path)?.take(MAX_ASSET + 1);
    let mut context = Context::new(&SHA256);
    let mut buffer = vec![0; 64 * 1024];
    let mut total = 0;
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            break;
        }
        total += read as u64;
        if total > MAX_ASSET {
            return Err(std::io::Error::other(
                "longer than 1 GiB; write its \"sha256:HEX\" instead",
            ));
        }
        context.update(&buffer[..read]);
    }
    let mut sum = [0; 32];
    sum.copy_from_slice(context.finish().as_ref());
    Ok(sum)
}

/// 64 hexadecimal digits to 32 bytes.
pub(super) fn unhex(text: &str) -> Option<[u8; 32]> {
    if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let mut sum = [0; 32];
    for (byte, at) in sum.iter_mut().zip((0..64).step_by(2)) {
        *byte = u8::from_str_radix(text.get(at..at + 2)?, 16).ok()?;
    }
    Some(sum)
}
