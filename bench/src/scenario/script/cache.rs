//! A client's private cache, as a browser keeps one (RFC 9111), for what `GET` brought.

use std::collections::VecDeque;
use std::rc::Rc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use isukit_analyze::http1::header_values;

/// Replies kept.
const ENTRIES: usize = 128;

/// Bytes kept.
const BYTES: usize = 4 * 1024 * 1024;

/// One stored reply.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    /// Path and query.
    pub(super) path: Box<str>,
    pub(super) status: u16,
    /// Head and body.
    pub(super) bytes: Rc<[u8]>,
    pub(super) head_len: usize,
    etag: Option<Box<[u8]>>,
    last_modified: Option<Box<[u8]>>,
    /// Until when it may be used without asking, in microseconds since the Unix epoch.
    fresh_until: i64,
}

/// The stored replies of one client.
#[derive(Debug, Clone, Default)]
pub(super) struct Cache {
    entries: VecDeque<Entry>,
    bytes: usize,
}

/// What the directives of a reply say.
#[derive(Debug, Default, PartialEq, Eq)]
struct Directives {
    no_store: bool,
    no_cache: bool,
    max_age: Option<u64>,
}

fn directives(head: &[u8]) -> Directives {
    let mut found = Directives::default();
    for value in header_values(head, "cache-control") {
        for directive in value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii) {
            if directive.eq_ignore_ascii_case(b"no-store") {
                found.no_store = true;
            } else if directive.len() >= 8 && directive[..8].eq_ignore_ascii_case(b"no-cache") {
                found.no_cache = true;
            } else if directive.len() > 8 && directive[..8].eq_ignore_ascii_case(b"max-age=") {
                let age = std::str::from_utf8(&directive[8..]).ok();
                found.max_age = age.and_then(|age| age.trim_matches('"').parse().ok());
            }
        }
    }
    found
}

fn date(head: &[u8], name: &str) -> Option<SystemTime> {
    let value = header_values(head, name).next()?;
    httpdate::parse_http_date(std::str::from_utf8(value).ok()?).ok()
}

/// For how long a reply may be used without asking (RFC 9111, section 4.2.1).
fn freshness(head: &[u8], directives: &Directives, now: SystemTime) -> Duration {
    if directives.no_cache {
        return Duration::ZERO;
    }
    if let Some(age) = directives.max_age {
        return Duration::from_secs(age.min(u64::from(u32::MAX)));
    }
    let since = date(head, "date").unwrap_or(now);
    date(head, "expires")
        .and_then(|expires| expires.duration_since(since).ok())
        .unwrap_or_default()
}

fn system_time(unix_us: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_micros(unix_us.try_into().unwrap_or(0))
}

fn later(unix_us: i64, by: Duration) -> i64 {
    unix_us.saturating_add(i64::try_from(by.as_micros()).unwrap_or(i64::MAX))
}

impl Cache {
    /// The stored reply for a path, and whether it may be used without asking.
    pub(super) fn find(&self, path: &str, now_us: i64) -> Option<(&Entry, bool)> {
        let entry = self.entries.iter().find(|entry| &*entry.path == path)?;
        Some((entry, entry.fresh_until > now_us))
    }

    /// Write the headers that ask whether the stored reply is still good.
    pub(super) fn write_validators(&self, path: &str, out: &mut Vec<u8>) {
        let Some(entry) = self.entries.iter().find(|entry| &*entry.path == path) else {
            return;
        };
        for (name, value) in [
            ("If-None-Match: ", &entry.etag),
            ("If-Modified-Since: ", &entry.last_modified),
        ] {
            if let Some(value) = value {
                out.extend_from_slice(name.as_bytes());
                out.extend_from_slice(value);
                out.extend_from_slice(b"\r\n");
            }
        }
    }

    /// Store what came for a path with this head, if it may be stored. `bytes` are a head and the body.
    pub(super) fn store(
        &mut self,
        path: &str,
        status: u16,
        head: &[u8],
        (bytes, head_len): (&Rc<[u8]>, usize),
        now_us: i64,
    ) {
        let directives = directives(head);
        self.remove(path);
        let one = |name| header_values(head, name).next().map(Into::into);
        let entry = Entry {
            path: path.into(),
            status,
            bytes: Rc::clone(bytes),
            head_len,
            etag: one("etag"),
            last_modified: one("last-modified"),
            fresh_until: later(now_us, freshness(head, &directives, system_time(now_us))),
        };
        let useful =
            entry.etag.is_some() || entry.last_modified.is_some() || entry.fresh_until > now_us;
        let varies = header_values(head, "vary").any(|value| value == b"*");
        if status != 200 || directives.no_store || varies || !useful || bytes.len() > BYTES / 4 {
            return;
        }
        self.bytes += bytes.len();
        self.entries.push_back(entry);
        while self.entries.len() > ENTRIES || self.bytes > BYTES {
            let Some(oldest) = self.entries.pop_front() else {
                break;
            };
            self.bytes -= oldest.bytes.len();
        }
    }

    /// The target says that the stored reply is still good (304): how long from now.
    pub(super) fn refresh(&mut self, path: &str, head: &[u8], now_us: i64) -> Option<&Entry> {
        let entry = self.entries.iter_mut().find(|entry| &*entry.path == path)?;
        let said = directives(head);
        let fresh = if said == Directives::default() && date(head, "expires").is_none() {
            // It says nothing new: what it said the first time holds again.
            let stored = &entry.bytes[..entry.head_len];
            freshness(stored, &directives(stored), system_time(now_us))
        } else {
            freshness(head, &said, system_time(now_us))
        };
        entry.fresh_until = later(now_us, fresh);
        Some(entry)
    }

    fn remove(&mut self, path: &str) {
        if let Some(at) = self.entries.iter().position(|entry| &*entry.path == path)
            && let Some(entry) = self.entries.remove(at)
        {
            self.bytes -= entry.bytes.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_700_000_000_000_000;

    fn stored(headers: &str) -> Cache {
        let head = format!("HTTP/1.1 200 OK\r\n{headers}\r\n");
        let bytes: Rc<[u8]> = format!("{head}body").into_bytes().into();
        let mut cache = Cache::default();
        cache.store("/a", 200, head.as_bytes(), (&bytes, head.len()), NOW);
        cache
    }

    #[test]
    fn replies_are_fresh_for_as_long_as_they_say() {
        let check = |headers: &str, after_s: i64, expected: Option<bool>| {
            let cache = stored(headers);
            let found = cache.find("/a", NOW + after_s * 1_000_000);
            assert_eq!(found.map(|(_, fresh)| fresh), expected, "{headers}");
        };
        check("Cache-Control: public, max-age=60\r\n", 59, Some(true));
        check("Cache-Control: max-age=60\r\n", 61, Some(false));
        check("Cache-Control: no-store, max-age=60\r\n", 0, None);
        check("Cache-Control: no-cache\r\nETag: \"x\"\r\n", 0, Some(false));
        check("ETag: \"x\"\r\n", 0, Some(false));
        check("Content-Length: 4\r\n", 0, None);
        check("Cache-Control: max-age=60\r\nVary: *\r\n", 0, None);
        let dated = "Date: Tue, 14 Nov 2023 22:13:20 GMT\r\n\
                     Expires: Tue, 14 Nov 2023 22:14:20 GMT\r\n";
        check(dated, 59, Some(true));
        check(dated, 61, Some(false));
        check("Expires: 0\r\nETag: \"x\"\r\n", 0, Some(false));
    }

    #[test]
    fn a_stored_reply_is_asked_for_by_its_validators() {
        let mut cache =
            stored("ETag: \"x\"\r\nLast-Modified: then\r\nCache-Control: max-age=1\r\n");
        let mut out = Vec::new();
        cache.write_validators("/a", &mut out);
        cache.write_validators("/b", &mut out);
        assert_eq!(out, b"If-None-Match: \"x\"\r\nIf-Modified-Since: then\r\n");
        let later = NOW + 5_000_000;
        assert!(!cache.find("/a", later).unwrap().1);
        let entry = cache.refresh("/a", b"HTTP/1.1 304 Not Modified\r\n\r\n", later);
        assert_eq!(&entry.unwrap().bytes[entry.unwrap().head_len..], b"body");
        assert!(cache.find("/a", later).unwrap().1);
        assert!(
            cache
                .refresh("/b", b"HTTP/1.1 304 Not Modified\r\n\r\n", later)
                .is_none()
        );
    }

    #[test]
    fn memory_is_bounded() {
        let mut cache = Cache::default();
        let head = "HTTP/1.1 200 OK\r\nETag: \"x\"\r\n\r\n";
        let bytes: Rc<[u8]> = [head.as_bytes(), &vec![b'x'; 500_000]].concat().into();
        for n in 0..1_000 {
            cache.store(
                &format!("/{n}"),
                200,
                head.as_bytes(),
                (&bytes, head.len()),
                NOW,
            );
        }
        assert!(cache.bytes <= BYTES && cache.entries.len() < 10);
        assert!(cache.find("/999", NOW).is_some());
    }
}
