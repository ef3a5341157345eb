//! Cookies in a file that curl reads and writes as well: the Netscape format, one cookie a line,
//! seven fields with tabs between them (<https://curl.se/docs/http-cookies.html>).

use std::net::IpAddr;

use cookie::{Cookie, Expiration};

/// Cookies kept in one file; the oldest go first.
const COOKIES: usize = 3_000;

/// Name and value together; RFC 6265, section 6.1, asks for at least 4096 bytes.
const COOKIE_BYTES: usize = 4096;

/// What curl puts before the domain of a cookie that scripts in a page may not see.
const HTTP_ONLY: &str = "#HttpOnly_";

#[derive(Debug, Clone, PartialEq, Eq)]
struct Kept {
    /// In lower case, without a dot before it.
    domain: String,
    /// Whether hosts below the domain get it too.
    is_for_subdomains: bool,
    path: String,
    is_secure: bool,
    /// Seconds since the Unix epoch; 0 for the session's end, which here is nobody's to see.
    expires: i64,
    name: String,
    value: String,
    is_http_only: bool,
}

/// Where a request goes, as far as cookies care.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'a> {
    /// Host without port or brackets.
    pub(crate) host: &'a str,
    /// Path without query.
    pub(crate) path: &'a str,
    /// Whether the connection is encrypted.
    pub(crate) is_tls: bool,
}

/// The cookies of a file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct CookieFile {
    kept: Vec<Kept>,
}

impl CookieFile {
    /// Read a file's text. Lines that are no cookies are left out, and how many of them there were
    /// is told.
    pub(crate) fn parse(text: &str) -> (Self, usize) {
        let mut jar = Self::default();
        let mut skipped = 0;
        for line in text.lines() {
            let is_comment = line.starts_with('#') && !line.starts_with(HTTP_ONLY);
            if line.trim().is_empty() || is_comment {
                continue;
            }
            match parse_line(line) {
                Some(kept) => jar.keep(kept),
                None => skipped += 1,
            }
        }
        (jar, skipped)
    }

    /// As a file.
    pub(crate) fn to_text(&self) -> String {
        let flag = |is_set| if is_set { "TRUE" } else { "FALSE" };
        let mut text = String::from(
            "# Netscape HTTP Cookie File\n# Written by isukit; curl -b and -c take it as well.\n\n",
        );
        for kept in &self.kept {
            let prefix = if kept.is_http_only { HTTP_ONLY } else { "" };
            let dot = if kept.is_for_subdomains { "." } else { "" };
            text.push_str(&format!(
                "{prefix}{dot}{}\t{}\t{}\t{}\t{}\t{}\t{}\n",
                kept.domain,
                flag(kept.is_for_subdomains),
                kept.path,
                flag(kept.is_secure),
                kept.expires,
                kept.name,
                kept.value
            ));
        }
        text
    }

    /// Take over a `Set-Cookie` value that came with the reply to a request. One that is no cookie,
    /// or for somebody else, is ignored, as browsers do. `now` is in seconds since the Unix epoch.
    pub(crate) fn set(&mut self, value: &[u8], from: Place<'_>, now: i64) {
        let Some(cookie) = std::str::from_utf8(value)
            .ok()
            .and_then(|text| Cookie::parse(text).ok())
        else {
            return;
        };
        let host = from.host.to_ascii_lowercase();
        let domain = cookie
            .domain()
            .map(|domain| domain.trim_start_matches('.').to_ascii_lowercase())
            .filter(|domain| !domain.is_empty());
        let (domain, is_for_subdomains) = match domain {
            None => (host, false),
            Some(domain) if domain == host => {
                let is_address = host.parse::<IpAddr>().is_ok();
                (host, !is_address)
            }
            // Whoever may set one for `com` sets it for everybody.
            Some(domain) if domain.contains('.') && is_below(&host, &domain) => (domain, true),
            Some(_) => return,
        };
        let expires = match (cookie.max_age(), cookie.expires()) {
            (Some(age), _) => now.saturating_add(age.whole_seconds()).max(1),
            // What died in 1970 must not seem to live as long as the session.
            (None, Some(Expiration::DateTime(at))) => at.unix_timestamp().max(1),
            _ => 0,
        };
        let kept = Kept {
            domain,
            is_for_subdomains,
            path: match cookie.path() {
                Some(path) if path.starts_with('/') => path.to_owned(),
                _ => default_path(from.path).to_owned(),
            },
            is_secure: cookie.secure().unwrap_or(false),
            expires,
            name: cookie.name().to_owned(),
            value: cookie.value().to_owned(),
            is_http_only: cookie.http_only().unwrap_or(false),
        };
        let parts = [&kept.domain, &kept.path, &kept.name, &kept.value];
        // They would make another line, or another cookie, of the file.
        let is_harmful = parts.iter().any(|part| part.contains(char::is_control));
        if kept.name.is_empty() || is_harmful || kept.name.len() + kept.value.len() > COOKIE_BYTES {
            return;
        }
        self.keep(kept);
        self.kept
            .retain(|kept| kept.expires == 0 || kept.expires > now);
    }

    fn keep(&mut self, kept: Kept) {
        self.kept.retain(|old| {
            (&old.name, &old.domain, &old.path) != (&kept.name, &kept.domain, &kept.path)
        });
        if self.kept.len() == COOKIES {
            self.kept.remove(0);
        }
        self.kept.push(kept);
    }

    /// The value of the `Cookie` header for a request, if it has any: longer paths first.
    pub(crate) fn header(&self, to: Place<'_>, now: i64) -> Option<String> {
        let host = to.host.to_ascii_lowercase();
        let mut found: Vec<&Kept> = self
            .kept
            .iter()
            .filter(|kept| {
                let is_alive = kept.expires == 0 || kept.expires > now;
                let is_there = host == kept.domain
                    || (kept.is_for_subdomains && is_below(&host, &kept.domain));
                is_alive
                    && is_there
                    && (to.is_tls || !kept.is_secure)
                    && covers(&kept.path, to.path)
            })
            .collect();
        found.sort_by_key(|kept| std::cmp::Reverse(kept.path.len()));
        let pairs: Vec<String> = found
            .iter()
            .map(|kept| format!("{}={}", kept.name, kept.value))
            .collect();
        (!pairs.is_empty()).then(|| pairs.join("; "))
    }
}

fn parse_line(line: &str) -> Option<Kept> {
    let (line, is_http_only) = match line.strip_prefix(HTTP_ONLY) {
        Some(rest) => (rest, true),
        None => (line, false),
    };
    let fields: Vec<&str> = line.trim_end_matches('\r').split('\t').collect();
    let (&[domain, subdomains, path, secure, expires, name], value) = fields.split_at_checked(6)?
    else {
        return None;
    };
    let flag = |text: &str| text.eq_ignore_ascii_case("TRUE");
    let value = match value {
        [] => "",
        [value] => *value,
        _ => return None,
    };
    let domain = domain.trim_start_matches('.').to_ascii_lowercase();
    if domain.is_empty() || name.is_empty() {
        return None;
    }
    Some(Kept {
        domain,
        is_for_subdomains: flag(subdomains),
        path: path.to_owned(),
        is_secure: flag(secure),
        expires: expires.parse().ok().filter(|at| *at >= 0)?,
        name: name.to_owned(),
        value: value.to_owned(),
        is_http_only,
    })
}

fn is_below(host: &str, domain: &str) -> bool {
    host.strip_suffix(domain)
        .is_some_and(|rest| rest.ends_with('.'))
        && host.parse::<IpAddr>().is_err()
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

#[cfg(test)]
mod tests {
    use super::*;

    fn at<'a>(host: &'a str, path: &'a str) -> Place<'a> {
        Place {
            host,
            path,
            is_tls: false,
        }
    }

    #[test]
    fn cookies_go_where_they_belong() {
        let check = |set: &str, host: &str, path: &str, expected: Option<&str>| {
            let mut jar = CookieFile::default();
            jar.set(set.as_bytes(), at("app.example.com", "/api/login"), 1_000);
            // What is sent is sent after a trip through the file as well.
            let (read, skipped) = CookieFile::parse(&jar.to_text());
            assert_eq!((&read, skipped), (&jar, 0), "{set}");
            let header = read.header(at(host, path), 1_000);
            assert_eq!(header.as_deref(), expected, "{set} to {host}{path}");
        };
        check("a=1; Path=/", "app.example.com", "/", Some("a=1"));
        check("a=1; Path=/", "APP.example.com", "/x", Some("a=1"));
        check("a=1", "app.example.com", "/api/teams", Some("a=1"));
        check("a=1", "app.example.com", "/apix", None);
        check("a=1; Path=/", "b.app.example.com", "/", None);
        let whole = "a=1; Path=/; Domain=example.com";
        check(whole, "b.example.com", "/", Some("a=1"));
        check(whole, "badexample.com", "/", None);
        check("a=1; Path=/; Domain=com", "app.example.com", "/", None);
        check("a=1; Path=/; Domain=other.com", "other.com", "/", None);
        check("a=1; Path=/; Secure", "app.example.com", "/", None);
        check("a=1; Path=/; HttpOnly", "app.example.com", "/", Some("a=1"));
        check(
            "a=1; Path=/; Max-Age=10",
            "app.example.com",
            "/",
            Some("a=1"),
        );
        check("a=1; Path=/; Max-Age=0", "app.example.com", "/", None);
        check(
            "a=1; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT",
            "app.example.com",
            "/",
            None,
        );
        check("a=b=c; Path=/", "app.example.com", "/", Some("a=b=c"));
        check("a=x\ty; Path=/", "app.example.com", "/", None);
        check("=1; Path=/", "app.example.com", "/", None);
    }

    #[test]
    fn addresses_have_no_subdomains() {
        let mut jar = CookieFile::default();
        jar.set(b"a=1; Path=/; Domain=127.0.0.1", at("127.0.0.1", "/"), 0);
        assert!(jar.to_text().contains("\n127.0.0.1\tFALSE\t/"), "{jar:?}");
        jar.set(b"b=1; Path=/; Domain=0.0.1", at("127.0.0.1", "/"), 0);
        assert_eq!(jar.kept.len(), 1);
    }

    #[test]
    fn lines_of_curl_are_read() {
        let check = |line: &str, expected: Option<&str>| {
            let (jar, skipped) = CookieFile::parse(line);
            let header = jar.header(at("127.0.0.1", "/x"), 1_000);
            assert_eq!(header.as_deref(), expected, "{line}");
            assert_eq!(skipped, usize::from(jar.kept.is_empty()), "{line}");
        };
        check("127.0.0.1\tFALSE\t/\tFALSE\t0\ta\t1", Some("a=1"));
        check("#HttpOnly_127.0.0.1\tFALSE\t/\tFALSE\t0\ta\t1", Some("a=1"));
        check("127.0.0.1\tFALSE\t/\tFALSE\t0\ta\t", Some("a="));
        check("127.0.0.1\tFALSE\t/\tFALSE\t0\ta", Some("a="));
        check("127.0.0.1\tFALSE\t/\tFALSE\t999\ta\t1", None);
        check("127.0.0.1\tFALSE\t/\tFALSE\tsoon\ta\t1", None);
        check("127.0.0.1 FALSE / FALSE 0 a 1", None);
        assert_eq!(CookieFile::parse("# a comment\n\n").1, 0);
    }

    #[test]
    fn longer_paths_come_first_and_the_file_is_bounded() {
        let mut jar = CookieFile::default();
        jar.set(b"a=1; Path=/", at("h.example", "/"), 0);
        jar.set(b"b=2; Path=/api", at("h.example", "/"), 0);
        let header = jar.header(at("h.example", "/api/x"), 0);
        assert_eq!(header.as_deref(), Some("b=2; a=1"));
        for n in 0..COOKIES + 5 {
            jar.set(
                format!("c{n}=1; Path=/").as_bytes(),
                at("h.example", "/"),
                0,
            );
        }
        assert_eq!(jar.kept.len(), COOKIES);
        let large = format!("d={}", "x".repeat(COOKIE_BYTES));
        jar.set(large.as_bytes(), at("h.example", "/"), 0);
        assert!(!jar.to_text().contains("\td\t"));
    }
}
