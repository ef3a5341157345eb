//! Reading the small files of `/proc`, `/sys` and cgroups below a root, many times and bounded.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::limits::{FILE_BYTES, TABLE_BYTES};

/// The folder that stands for `/`.
#[derive(Debug, Clone)]
pub(super) struct Root(PathBuf);

impl Root {
    pub(super) fn new(path: &Path) -> Self {
        Self(path.to_owned())
    }

    /// The real path of a path as the host sees it; `..` cannot lead out of the root.
    pub(super) fn path(&self, inside: &str) -> PathBuf {
        let mut path = self.0.clone();
        let parts = inside.split('/');
        path.extend(parts.filter(|part| !matches!(*part, "" | "." | "..")));
        path
    }

    /// Reads a file once.
    pub(super) fn read(&self, inside: &str) -> Result<Vec<u8>, String> {
        let mut kept = self.keep(inside);
        let mut into = Vec::new();
        kept.read(&mut into)?;
        Ok(into)
    }

    /// Reads the lines of a table that may be longer than what is kept of a file.
    pub(super) fn each_line(&self, inside: &str, mut take: impl FnMut(&[u8])) -> io::Result<()> {
        let file = open_regular(&self.path(inside))?;
        let mut table = BufReader::new(file.take(TABLE_BYTES));
        let mut line = Vec::new();
        while table.read_until(b'\n', &mut line)? > 0 {
            take(&line);
            line.clear();
        }
        Ok(())
    }

    /// A file of the network, or of the mounts, as the host has them. Below another root than `/` we live in a
    /// container, and what is ours there is not the host's: its first process has that.
    pub(super) fn of_host(&self, file: &str) -> String {
        let of_first = format!("proc/1/{file}");
        if self.0 != Path::new("/") && self.exists(&of_first) {
            of_first
        } else if file.starts_with("net/") {
            format!("proc/{file}")
        } else {
            format!("proc/self/{file}")
        }
    }

    pub(super) fn exists(&self, inside: &str) -> bool {
        self.path(inside).exists()
    }

    /// The names in a folder, in their order, at most `limit` of them.
    pub(super) fn names(&self, inside: &str, limit: usize) -> Result<Vec<String>, String> {
        let path = self.path(inside);
        let entries = std::fs::read_dir(&path).map_err(|error| why(&path, &error))?;
        let mut names: Vec<String> = entries
            .take(limit)
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .collect();
        names.sort_unstable();
        Ok(names)
    }

    /// The process numbers in `/proc`.
    pub(super) fn pids(&self, limit: usize) -> Result<Vec<u32>, String> {
        let path = self.path("proc");
        let entries = std::fs::read_dir(&path).map_err(|error| why(&path, &error))?;
        let number = |entry: io::Result<std::fs::DirEntry>| -> Option<u32> {
            entry.ok()?.file_name().to_str()?.parse().ok()
        };
        Ok(entries.filter_map(number).take(limit).collect())
    }

    /// A file that will be read again and again.
    pub(super) fn keep(&self, inside: &str) -> Kept {
        Kept {
            path: self.path(inside),
            file: None,
        }
    }
}

/// A file that stays open between samples, as opening costs as much as reading.
#[derive(Debug)]
pub(super) struct Kept {
    path: PathBuf,
    file: Option<File>,
}

impl Kept {
    /// Reads the file from its beginning into `into`, whose old content goes.
    ///
    /// # Errors
    ///
    /// Says which file, and what was wrong with it.
    pub(super) fn read(&mut self, into: &mut Vec<u8>) -> Result<(), String> {
        let result = self.try_read(into);
        if result.is_err() {
            // It may be there again, as another file, the next time.
            self.file = None;
        }
        result.map_err(|error| why(&self.path, &error))
    }

    fn try_read(&mut self, into: &mut Vec<u8>) -> io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(open_regular(&self.path)?),
        };
        let mut length = 0;
        loop {
            if into.len() < length + 4096 {
                into.resize(length + 4096, 0);
            }
            // The kernel makes most of these files anew for each read from their beginning.
            let read = file.read_at(&mut into[length..], length as u64)?;
            length += read;
            if read == 0 || length >= FILE_BYTES {
                break;
            }
        }
        into.truncate(length.min(FILE_BYTES));
        Ok(())
    }
}

fn open_regular(path: &Path) -> io::Result<File> {
    // To open a pipe would wait for its writer, and a folder is none of ours.
    if !std::fs::metadata(path)?.is_file() {
        return Err(io::Error::other("is no regular file"));
    }
    File::open(path)
}

fn why(path: &Path, error: &io::Error) -> String {
    // The operating system's own number says nothing to most people.
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    format!("{}: {text}", path.display())
}

/// The words of a line.
pub(super) fn words(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(|byte| byte.is_ascii_whitespace())
        .filter(|word| !word.is_empty())
}

/// The lines of a file.
pub(super) fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
}

/// An unsigned number in decimal digits, and nothing else.
pub(super) fn number(word: &[u8]) -> Option<u64> {
    if word.is_empty() {
        return None;
    }
    word.iter().try_fold(0u64, |sum, byte| {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        sum.checked_mul(10)?.checked_add(u64::from(digit))
    })
}

/// The first number of a file, as in `/proc/sys/fs/file-nr`; `max` and the like are none.
pub(super) fn first_number(text: &[u8]) -> Option<u64> {
    number(words(text).next()?)
}

/// The number behind a name at the begin of a line: `MemTotal:  123 kB`, `oom_kill 3`.
pub(super) fn value(text: &[u8], name: &str) -> Option<u64> {
    let mut found = lines(text).filter_map(|line| {
        let rest = line.strip_prefix(name.as_bytes())?;
        let rest = rest.strip_prefix(b":").unwrap_or(rest);
        rest.first()?.is_ascii_whitespace().then(|| words(rest))
    });
    number(found.next()?.next()?)
}

/// A name from the host, cut to what a report can bear.
pub(super) fn name(word: &[u8]) -> String {
    let cut = &word[..word.len().min(super::limits::NAME_BYTES)];
    String::from_utf8_lossy(cut).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_digits_and_nothing_else() {
        let check = |word: &str, expected| assert_eq!(number(word.as_bytes()), expected, "{word}");
        check("0", Some(0));
        check("18446744073709551615", Some(u64::MAX));
        check("18446744073709551616", None);
        check("", None);
        check("-1", None);
        check("12kB", None);
        check("max", None);
    }

    #[test]
    fn values_are_found_by_their_whole_name() {
        let text = b"MemTotal:  12 kB\nMem: 3\noom_kill 4\noom_kill_x 5\nshort\nempty:\n";
        let check = |name: &str, expected| assert_eq!(value(text, name), expected, "{name}");
        check("MemTotal", Some(12));
        check("Mem", Some(3));
        check("oom_kill", Some(4));
        check("short", None);
        check("empty", None);
        check("absent", None);
    }

    #[test]
    fn nothing_leads_out_of_the_root() {
        let root = Root::new(Path::new("/tmp/root"));
        assert_eq!(
            root.path("/proc/../../etc"),
            Path::new("/tmp/root/proc/etc")
        );
    }

    #[test]
    fn a_long_file_is_cut_and_a_folder_refused() {
        let folder = tempfile::tempdir().unwrap();
        let root = Root::new(folder.path());
        std::fs::write(folder.path().join("long"), vec![b'x'; FILE_BYTES + 10]).unwrap();
        assert_eq!(root.read("long").unwrap().len(), FILE_BYTES);
        std::fs::create_dir(folder.path().join("dir")).unwrap();
        let error = root.read("dir").unwrap_err();
        assert!(error.contains("dir: is no regular file"), "{error}");
        let error = root.read("none").unwrap_err();
        assert!(
            error.ends_with("none: No such file or directory"),
            "{error}"
        );
    }
}
