//! A client's cookies, as RFC 6265 has a user agent keep them, for one target.

use cookie::Cookie;
use cookie::Expiration;

/// Cookies kept; RFC 6265, section 6.1, asks for at least 50 a domain.
const COOKIES: usize = 100;

/// Name and value together; the same section asks for at least 4096 bytes.
const COOKIE_BYTES: usize = 4096;

#[derive(Debug, Clone, PartialEq, Eq)]
struct Kept {
    name: Box<str>,
    value: Box<str>,
    path: Box<str>,
    /// What the target sent, where the same again would change nothing: it said the path and no time.
    sent: Box<[u8]>,
    /// Seconds since the Unix epoch; none for the session's end.
    expires: Option<i64>,
    secure: bool,
}

/// The cookies of one client.
#[derive(Debug, Clone, Default)]
pub(super) struct Jar {
    kept: Vec<Kept>,
}

/// The path that a cookie without one gets (RFC 6265, section 5.1.4).
fn default_path(request_path: &str) -> &str {
    match request_path.rfind('/') {
        Some(at) if at > 0 => &request_path[..at],
        _ => "/",
    }
}

/// Whether a cookie's path covers a request's (RFC 6265, section 5.1.4).
fn covers(cookie: &str, request: &str) -> bool {
    request
        .strip_prefix(cookie)
        .is_some_and(|rest| rest.is_empty() || cookie.ends_with('/') || rest.starts_with('/'))
}

impl Jar {
    /// Take over a `Set-Cookie` value that `host` sent with the reply to `path` (without query).
    /// One that is no cookie, or for somebody else, is ignored, as browsers do.
    pub(super) fn set(&mut self, value: &[u8], host: &str, path: &str, now: i64) {
        // Many apps send the session's cookie with every reply.
        if !value.is_empty() && self.kept.iter().any(|kept| *kept.sent == *value) {
            return;
        }
        let Some(cookie) = std::str::from_utf8(value)
            .ok()
            .and_then(|text| Cookie::parse(text).ok())
        else {
            return;
        };
        if let Some(domain) = cookie.domain() {
            let domain = domain.trim_start_matches('.');
            let covered = host
                .strip_suffix(domain)
                .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
            if !covered {
                return;
            }
        }
        let expires = match (cookie.max_age(), cookie.expires()) {
            (Some(age), _) => Some(now.saturating_add(age.whole_seconds())),
            (None, Some(Expiration::DateTime(at))) => Some(at.unix_timestamp()),
            _ => None,
        };
        let has_path = cookie.path().is_some_and(|path| path.starts_with('/'));
        let kept = Kept {
            sent: match has_path && expires.is_none() {
                true => value.into(),
                false => Box::default(),
            },
            name: cookie.name().into(),
            value: cookie.value().into(),
            path: match cookie.path() {
                Some(path) if path.starts_with('/') => path.into(),
                _ => default_path(path).into(),
            },
            expires,
            secure: cookie.secure().unwrap_or(false),
        };
        self.kept
            .retain(|old| (&old.name, &old.path) != (&kept.name, &kept.path));
        let is_dead = kept.expires.is_some_and(|at| at <= now);
        if is_dead || kept.name.len() + kept.value.len() > COOKIE_BYTES {
            return;
        }
        if self.kept.len() == COOKIES {
            self.kept.remove(0);
        }
        self.kept.reserve_exact(1);
        self.kept.push(kept);
    }

    /// Set a cookie by hand, for all paths.
    pub(super) fn put(&mut self, name: &str, value: &str) {
        self.kept
            .retain(|old| (&*old.name, &*old.path) != (name, "/"));
        self.kept.push(Kept {
            sent: Box::default(),
            name: name.into(),
            value: value.into(),
            path: "/".into(),
            expires: None,
            secure: false,
        });
    }

    /// The value of a cookie, whatever its path.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let found = self.kept.iter().rfind(|kept| &*kept.name == name);
        found.map(|kept| &*kept.value)
    }

    /// Forget all of them.
    pub(super) fn clear(&mut self) {
        self.kept.clear();
    }

    /// Write the `Cookie` header for a request to `path`, if it has any.
    pub(super) fn write(&self, path: &str, is_tls: bool, now: i64, out: &mut Vec<u8>) {
        let mut separator: &[u8] = b"Cookie: ";
        let begin = out.len();
        for kept in &self.kept {
            let is_alive = kept.expires.is_none_or(|at| at > now);
            if is_alive && (is_tls || !kept.secure) && covers(&kept.path, path) {
                out.extend_from_slice(separator);
                out.extend_from_slice(kept.name.as_bytes());
                out.push(b'=');
                out.extend_from_slice(kept.value.as_bytes());
                separator = b"; ";
            }
        }
        if out.len() > begin {
            out.extend_from_slice(b"\r\n");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is sent to `path` after these `Set-Cookie` values came with the reply to `/api/login`.
    fn check(set: &[&str], path: &str, is_tls: bool, expected: &str) {
        let mut jar = Jar::default();
        for value in set {
            jar.set(value.as_bytes(), "app.example", "/api/login", 1_000);
        }
        let mut out = Vec::new();
        jar.write(path, is_tls, 1_000, &mut out);
        let text = String::from_utf8(out).unwrap();
        let text = text.strip_prefix("Cookie: ").unwrap_or(&text);
        assert_eq!(text.trim_end(), expected, "{set:?} to {path}");
    }

    #[test]
    fn cookies_go_where_they_belong() {
        check(&["a=1; Path=/", "b=2; Path=/"], "/", false, "a=1; b=2");
        check(&["a=1; Path=/", "a=2; Path=/"], "/x", false, "a=2");
        check(&["a=1"], "/api/teams", false, "a=1");
        check(&["a=1"], "/apix", false, "");
        check(&["a=1"], "/", false, "");
        check(&["a=1; Path=/; Secure"], "/", false, "");
        check(&["a=1; Path=/; Secure"], "/", true, "a=1");
        check(&["a=1; Path=/; Domain=example"], "/", false, "a=1");
        check(&["a=1; Path=/; Domain=.app.example"], "/", false, "a=1");
        check(&["a=1; Path=/; Domain=other.example"], "/", false, "");
        check(&["a=1; Path=/; Domain=pp.example"], "/", false, "");
        check(
            &["a=1=2; Path=/; HttpOnly; SameSite=Lax"],
            "/",
            false,
            "a=1=2",
        );
    }

    #[test]
    fn cookies_die() {
        check(&["a=1; Path=/", "a=; Path=/; Max-Age=0"], "/", false, "");
        let past = "a=1; Path=/; Expires=Thu, 01 Jan 1970 00:00:01 GMT";
        check(&[past], "/", false, "");
        let later = "a=1; Path=/; Expires=Fri, 01 Jan 2100 00:00:00 GMT";
        check(&[later], "/", false, "a=1");
        check(&["a=1; Path=/; Max-Age=60", past], "/", false, "");
    }

    #[test]
    fn what_is_no_cookie_is_ignored_and_memory_is_bounded() {
        check(&["", "=", "novalue", "\u{7f}"], "/", false, "");
        check(
            &[&format!("a={}; Path=/", "x".repeat(COOKIE_BYTES))],
            "/",
            false,
            "",
        );
        let mut jar = Jar::default();
        for n in 0..1_000 {
            jar.set(format!("c{n}=1; Path=/").as_bytes(), "h", "/", 0);
        }
        assert_eq!(jar.kept.len(), COOKIES);
        jar.set(b"\xff\xfe=1", "h", "/", 0);
        assert_eq!((jar.get("c999"), jar.get("c0")), (Some("1"), None));
    }
}
