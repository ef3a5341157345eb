//! Files that are written whole or not at all.
//!
//! What was there stays until all is written: a run that finds nothing, fails or is stopped must not
//! cost anyone the report, the snapshot or the log that lay there before.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, anyhow};

/// Symbolic links that are followed to a file that is not there yet, as many as Linux follows.
const MOST_LINKS: usize = 40;

/// Names that are tried for the temporary file.
const MOST_NAMES: u32 = 100;

/// Temporary files of this process, for an end without [`Drop`].
static UNFINISHED: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// A file that is being written.
pub(super) struct Output {
    /// As it was typed.
    path: PathBuf,
    file: File,
    way: Way,
}

/// How what is written gets where it belongs.
enum Way {
    /// It is there at once: a pipe, a terminal, a device.
    Direct,
    /// The file's folder takes no new file: it is emptied when the first byte is written.
    InPlace { is_emptied: bool },
    /// Into `temporary`, which takes the place of `target` in the end.
    Replace { temporary: PathBuf, target: PathBuf },
}

impl Output {
    /// Begin to write `path`, which stays as it is until [`commit`](Self::commit).
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn create(path: &Path) -> Result<Self> {
        let opened = Self::open(path);
        let (file, way) = opened.with_context(|| format!("cannot write {}", path.display()))?;
        Ok(Self {
            path: path.to_owned(),
            file,
            way,
        })
    }

    /// As [`create`](Self::create), for its owner's eyes only: captured bodies may hold anything.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn create_private(path: &Path) -> Result<Self> {
        let output = Self::create(path)?;
        if matches!(output.way, Way::Replace { .. }) {
            output
                .file
                .set_permissions(fs::Permissions::from_mode(0o600))
                .with_context(|| format!("cannot write {}", path.display()))?;
        }
        Ok(output)
    }

    fn open(path: &Path) -> io::Result<(File, Way)> {
        let existing = match fs::metadata(path) {
            Ok(metadata) => Some(metadata),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        let Some(existing) = existing else {
            let target = resolve(path)?;
            let (file, temporary) = create_beside(&target)?;
            return Ok((file, Way::Replace { temporary, target }));
        };
        if !existing.is_file() || is_descriptor(path) {
            // A descriptor may have been opened to append; what is no file does not care.
            let file = OpenOptions::new().append(true).open(path)?;
            return Ok((file, Way::Direct));
        }
        // A file that is protected against writing is not replaced either.
        let own = OpenOptions::new().write(true).open(path)?;
        let target = fs::canonicalize(path)?;
        let Ok((file, temporary)) = create_beside(&target) else {
            return Ok((own, Way::InPlace { is_emptied: false }));
        };
        let output = (file, Way::Replace { temporary, target });
        keep(&output.0, &existing)?;
        Ok(output)
    }

    /// All is written: put it where it belongs.
    ///
    /// # Errors
    /// When that cannot be done; then what was there is still there.
    pub(super) fn commit(mut self) -> Result<()> {
        let done = self.flush().and_then(|()| match &self.way {
            Way::Replace { temporary, target } => fs::rename(temporary, target),
            Way::Direct | Way::InPlace { .. } => Ok(()),
        });
        done.with_context(|| format!("cannot write {}", self.path.display()))?;
        if let Way::Replace { temporary, .. } = std::mem::replace(&mut self.way, Way::Direct) {
            forget(&temporary);
        }
        Ok(())
    }

    /// Write all of `bytes` and [`commit`](Self::commit) them.
    ///
    /// # Errors
    /// When that cannot be done.
    pub(super) fn finish(mut self, bytes: &[u8]) -> Result<()> {
        self.write_all(bytes)
            .with_context(|| format!("cannot write {}", self.path.display()))?;
        self.commit()
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Way::InPlace { is_emptied } = &mut self.way
            && !*is_emptied
        {
            self.file.set_len(0)?;
            *is_emptied = true;
        }
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        if let Way::Replace { temporary, .. } = &self.way {
            let _ = fs::remove_file(temporary);
            forget(temporary);
        }
    }
}

/// Remove what was not finished, as the process ends here and now.
pub(super) fn discard_all() {
    let unfinished = UNFINISHED.lock().unwrap_or_else(PoisonError::into_inner);
    for temporary in unfinished.iter() {
        let _ = fs::remove_file(temporary);
    }
}

fn forget(temporary: &Path) {
    let mut unfinished = UNFINISHED.lock().unwrap_or_else(PoisonError::into_inner);
    unfinished.retain(|known| known != temporary);
}

/// The owner and the permissions that the file had. Only root can give files away.
fn keep(file: &File, existing: &Metadata) -> io::Result<()> {
    let _ = fchown(file, Some(existing.uid()), Some(existing.gid()));
    file.set_permissions(existing.permissions())
}

/// Whether a path names what this process has open already.
fn is_descriptor(path: &Path) -> bool {
    [
        "/dev/stdin",
        "/dev/stdout",
        "/dev/stderr",
        "/dev/fd",
        "/proc",
    ]
    .iter()
    .any(|begin| path.starts_with(begin))
}

/// Where a file will be that is not there yet: links may lead to it.
fn resolve(path: &Path) -> io::Result<PathBuf> {
    let mut target = path.to_owned();
    for _ in 0..MOST_LINKS {
        match fs::read_link(&target) {
            Ok(to) => target = folder_of(&target).join(to),
            Err(_) => break,
        }
    }
    let Some(name) = target.file_name() else {
        return Err(io::ErrorKind::NotFound.into());
    };
    Ok(fs::canonicalize(folder_of(&target))?.join(name))
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

fn create_beside(target: &Path) -> io::Result<(File, PathBuf)> {
    for number in 0..MOST_NAMES {
        let name = format!(".isukit-{}-{number}.tmp", std::process::id());
        let temporary = folder_of(target).join(name);
        match File::create_new(&temporary) {
            Ok(file) => {
                let mut unfinished = UNFINISHED.lock().unwrap_or_else(PoisonError::into_inner);
                unfinished.push(temporary.clone());
                return Ok((file, temporary));
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

/// Whether writing `output` would overwrite `input`, where `-` is stdin.
pub(super) fn overwrites(output: &Path, input: &Path) -> bool {
    let input = match input.as_os_str() == "-" {
        true => fs::metadata("/dev/stdin"),
        false => fs::metadata(input),
    };
    let both = (fs::metadata(output), input);
    matches!(both, (Ok(output), Ok(input)) if input.is_file() && identity(&output) == identity(&input))
}

/// Whether two outputs would be one file.
///
/// # Errors
/// When they are.
pub(super) fn ensure_two(one: &Path, other: &Path) -> Result<()> {
    let is_one = match (fs::metadata(one), fs::metadata(other)) {
        (Ok(one), Ok(other)) => one.is_file() && identity(&one) == identity(&other),
        (Err(_), Err(_)) => match (resolve(one), resolve(other)) {
            (Ok(one), Ok(other)) => one == other,
            _ => false,
        },
        _ => false,
    };
    match is_one {
        true => Err(anyhow!(
            "--output and --save are both {}: give them two names",
            one.display()
        )),
        false => Ok(()),
    }
}

fn identity(metadata: &Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}
