//! Giving back the memory that starting has touched.
//!
//! isukit is one file for everything, and the kernel maps it in large pieces around each place that
//! is touched: initializers, the allocator, the first look at a host. How large they are depends on
//! how the file came into the page cache; just copied, it is megabytes for a sample. All that counts
//! as memory of the probe beside the services that it measures. So the file is let go, mapped and
//! cached, and what a sample needs comes back page by page.

#![allow(unsafe_code)]

use std::ffi::c_void;
use std::fs::File;
use std::ptr;

use rustix::fs::fadvise;
use rustix::mm::{Advice, madvise};

/// Mappings of this program's own file that are looked at.
const MOST_MAPPINGS: usize = 64;

/// Lets the kernel forget which pages of this program's file are mapped, and which are cached. Those
/// that are needed come back from the file when they are touched, each alone.
pub(super) fn trim() {
    let (Ok(text), Ok(own)) = (
        std::fs::read_to_string("/proc/self/smaps"),
        File::open("/proc/self/exe"),
    ) else {
        return;
    };
    // A file that was just copied has to be on the disk before it can be let go.
    let _ = own.sync_data();
    for (start, length) in clean_mappings(&text).into_iter().take(MOST_MAPPINGS) {
        let start = ptr::without_provenance_mut::<c_void>(start);
        for advice in [Advice::Random, Advice::LinuxDontNeed] {
            // SAFETY: the range is one private mapping of a file that cannot be written to (no `w`) and of
            // which no page differs from the file (`Anonymous: 0`), both as the kernel says it. Dropping such
            // pages changes nothing that can be read: the next access takes them from the file again. The
            // other advice is about reading ahead only.
            let result = unsafe { madvise(start, length, advice) };
            if result.is_err() {
                return;
            }
        }
    }
    let _ = fadvise(&own, 0, None, rustix::fs::Advice::DontNeed);
}

/// Start and length of the mappings of this program's file that are as the file is: the first named
/// one is this program's, and those of the same name follow.
fn clean_mappings(smaps: &str) -> Vec<(usize, usize)> {
    let mut own = None;
    let mut current = None;
    let mut clean = Vec::new();
    for line in smaps.lines() {
        let mut fields = line.split_whitespace();
        let first = fields.next().unwrap_or_default();
        if let Some(range) = range(first) {
            let (rights, file) = (fields.next().unwrap_or_default(), fields.nth(3));
            let file = file.filter(|file| file.starts_with('/'));
            own = own.or(file);
            let is_own = file.is_some() && file == own;
            current = (is_own && matches!(rights, "r-xp" | "r--p")).then_some(range);
        } else if first == "Anonymous:" && fields.next() == Some("0") {
            clean.extend(current.take());
        }
    }
    clean
}

/// `00400000-00401000`, as start and length.
fn range(text: &str) -> Option<(usize, usize)> {
    let (start, end) = text.split_once('-')?;
    let number = |text| usize::from_str_radix(text, 16).ok();
    let (start, end) = (number(start)?, number(end)?);
    (end > start).then(|| (start, end - start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_as_the_file_is_dropped() {
        let smaps = "\
00400000-00401000 r--p 00000000 fe:00 1 /bin/isukit
Size: 4 kB
Anonymous:             0 kB
00401000-00405000 r-xp 00001000 fe:00 1 /bin/isukit
Anonymous:             0 kB
00405000-00406000 r--p 00005000 fe:00 1 /bin/isukit
Anonymous:             4 kB
00406000-00407000 rw-p 00006000 fe:00 1 /bin/isukit
Anonymous:             0 kB
01000000-01001000 rw-p 00000000 00:00 0 [heap]
Anonymous:             0 kB
7f000000-7f001000 r-xp 00000000 fe:00 2 /lib/libc.so
Anonymous:             0 kB
7ffd0000-7ffd1000 r-xp 00000000 00:00 0 [vdso]
Anonymous:             0 kB
";
        assert_eq!(
            clean_mappings(smaps),
            [(0x40_0000, 0x1000), (0x40_1000, 0x4000)]
        );
    }

    #[test]
    fn the_program_goes_on_with_less_memory() {
        let rss = || {
            let text = std::fs::read_to_string("/proc/self/status").unwrap();
            let line = text
                .lines()
                .find(|line| line.starts_with("RssFile:"))
                .unwrap()
                .to_owned();
            line.split_whitespace()
                .nth(1)
                .unwrap()
                .parse::<u64>()
                .unwrap()
        };
        let before = rss();
        trim();
        let after = rss();
        assert!(after < before, "{after} kB after {before} kB");
        // Code that was dropped runs as before.
        assert_eq!(range("10-20"), Some((16, 16)));
        assert!(clean_mappings("").is_empty());
    }
}
