//! Where requests go: the URL, the address behind it and the names to use there.

use std::fmt;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::str::FromStr;

use base64::Engine as _;
use thiserror::Error;
use url::Url;

/// A target that cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TargetError {
    /// Not a URL.
    #[error("`{url}` is not a URL: {cause}; write one such as http://127.0.0.1:8080/path")]
    Url {
        /// As typed.
        url: String,
        /// What is wrong.
        cause: String,
    },
    /// No address for the host.
    #[error("cannot resolve `{host}`: {cause}; check the name or use --connect-to")]
    Resolve {
        /// The name and port that were looked up.
        host: String,
        /// What the resolver said.
        cause: String,
    },
    /// Not a `--connect-to` rule.
    #[error("`{0}` is not HOST:PORT:ADDRESS:PORT; empty parts match or keep anything")]
    ConnectTo(String),
}

/// Send requests for one host and port to another address, as curl's `--connect-to` does.
///
/// `HOST1:PORT1:HOST2:PORT2`; an empty first part matches any, an empty second keeps its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectTo {
    host: String,
    port: Option<u16>,
    to_host: String,
    to_port: Option<u16>,
}

impl FromStr for ConnectTo {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = || TargetError::ConnectTo(text.to_owned());
        let mut rest = text;
        let mut parts = Vec::with_capacity(4);
        for _ in 0..3 {
            // An IPv6 address stands in brackets, so its colons are its own.
            let at = match rest.strip_prefix('[') {
                Some(inner) => {
                    let close = inner.find(']').ok_or_else(bad)?;
                    // `close` counts from behind the opening bracket.
                    rest[close + 1..].find(':').map(|at| close + 1 + at)
                }
                None => rest.find(':'),
            }
            .ok_or_else(bad)?;
            parts.push(&rest[..at]);
            rest = &rest[at + 1..];
        }
        let port = |text: &str| match text {
            "" => Ok(None),
            text => text.parse().map(Some).map_err(|_| bad()),
        };
        let plain = |host: &str| host.trim_matches(['[', ']']).to_owned();
        Ok(Self {
            host: plain(parts[0]),
            port: port(parts[1])?,
            to_host: plain(parts[2]),
            to_port: port(rest)?,
        })
    }
}

/// What a connection is made to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Endpoint {
    /// TCP, the addresses in the order to try.
    Tcp(Vec<SocketAddr>),
    /// A unix socket.
    Unix(PathBuf),
}

impl Endpoint {
    /// Whether the target shares this machine, as far as its address tells.
    pub fn is_local(&self) -> bool {
        match self {
            Self::Tcp(addresses) => addresses.iter().all(|address| address.ip().is_loopback()),
            Self::Unix(_) => true,
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(addresses) => match addresses.first() {
                Some(address) => write!(f, "{address}"),
                None => f.write_str("no address"),
            },
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// A URL taken apart into what a client needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Whether the scheme is https.
    pub tls: bool,
    /// Host without brackets, for TLS.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Value of the Host header.
    pub authority: String,
    /// Path and query to ask for, at least `/`.
    pub path: String,
    /// Value of an Authorization header, when the URL carries a user.
    pub authorization: Option<String>,
}

impl Target {
    /// Take a URL apart. A missing scheme is read as `http://`.
    ///
    /// # Errors
    /// [`TargetError::Url`].
    pub fn parse(text: &str) -> Result<Self, TargetError> {
        let bad = |cause: String| TargetError::Url {
            url: mask(text),
            cause,
        };
        let with_scheme = if text.contains("://") {
            text.to_owned()
        } else {
            format!("http://{text}")
        };
        let url = Url::parse(&with_scheme).map_err(|error| bad(error.to_string()))?;
        let tls = match url.scheme() {
            "http" => false,
            "https" => true,
            other => return Err(bad(format!("the scheme `{other}` is not http or https"))),
        };
        let host = url
            .host_str()
            .ok_or_else(|| bad("it has no host".to_owned()))?;
        let port = url
            .port_or_known_default()
            .ok_or_else(|| bad("it has no port".to_owned()))?;
        let authority = match url.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        };
        let path = match url.query() {
            Some(query) => format!("{}?{query}", url.path()),
            None => url.path().to_owned(),
        };
        let authorization = (!url.username().is_empty()).then(|| {
            let decode = |text: &str| {
                url::form_urlencoded::parse(format!("x={}", text.replace('+', "%2B")).as_bytes())
                    .next()
                    .map(|(_, value)| value.into_owned())
                    .unwrap_or_default()
            };
            let pair = format!(
                "{}:{}",
                decode(url.username()),
                decode(url.password().unwrap_or(""))
            );
            format!(
                "Basic {}",
                base64::engine::general_purpose::STANDARD.encode(pair)
            )
        });
        Ok(Self {
            tls,
            host: host.trim_matches(['[', ']']).to_owned(),
            port,
            authority,
            path,
            authorization,
        })
    }

    /// Find the addresses to connect to.
    ///
    /// # Errors
    /// [`TargetError::Resolve`].
    pub fn resolve(&self, rules: &[ConnectTo]) -> Result<Endpoint, TargetError> {
        let rule = rules.iter().find(|rule| {
            (rule.host.is_empty() || rule.host.eq_ignore_ascii_case(&self.host))
                && rule.port.is_none_or(|port| port == self.port)
        });
        let host = match rule {
            Some(rule) if !rule.to_host.is_empty() => rule.to_host.as_str(),
            _ => self.host.as_str(),
        };
        let port = rule.and_then(|rule| rule.to_port).unwrap_or(self.port);
        let failed = |cause: String| TargetError::Resolve {
            host: format!("{host}:{port}"),
            cause,
        };
        let mut addresses: Vec<SocketAddr> = (host, port)
            .to_socket_addrs()
            .map_err(|error| failed(error.to_string()))?
            .collect();
        // `localhost` often names ::1 first while the service listens on 127.0.0.1 alone.
        addresses.sort_by_key(SocketAddr::is_ipv6);
        addresses.dedup();
        if addresses.is_empty() {
            return Err(failed("it has no address".to_owned()));
        }
        Ok(Endpoint::Tcp(addresses))
    }

    /// The URL for people, without user and password.
    pub fn shown(&self) -> String {
        let scheme = if self.tls { "https" } else { "http" };
        format!("{scheme}://{}{}", self.authority, self.path)
    }
}

/// A URL without the user and password it may carry.
fn mask(url: &str) -> String {
    let start = url.find("://").map_or(0, |at| at + 3);
    // To the last `@`: a password that was not escaped may hold what ends a host.
    match url[start..].rfind('@') {
        Some(at) => format!("{}***{}", &url[..start], &url[start + at..]),
        None => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_taken_apart() {
        let check = |url: &str, tls, host: &str, port, authority: &str, path: &str| {
            let target = Target::parse(url).unwrap();
            let seen = (
                target.tls,
                target.host.as_str(),
                target.port,
                target.authority.as_str(),
                target.path.as_str(),
            );
            assert_eq!(seen, (tls, host, port, authority, path), "{url}");
        };
        check("http://a.example", false, "a.example", 80, "a.example", "/");
        check(
            "https://a.example/x?y=1#z",
            true,
            "a.example",
            443,
            "a.example",
            "/x?y=1",
        );
        check(
            "127.0.0.1:81/a b",
            false,
            "127.0.0.1",
            81,
            "127.0.0.1:81",
            "/a%20b",
        );
        check("http://[::1]:82/", false, "::1", 82, "[::1]:82", "/");
    }

    #[test]
    fn a_user_becomes_a_header_and_is_never_shown() {
        let target = Target::parse("http://al%40x:p+w@h/").unwrap();
        // base64("al@x:p+w")
        assert_eq!(target.authorization.as_deref(), Some("Basic YWxAeDpwK3c="));
        assert_eq!(target.shown(), "http://h/");
        let error = Target::parse("ftp://me:secret@h/").unwrap_err().to_string();
        assert!(
            !error.contains("secret") && error.contains("***@h"),
            "{error}"
        );
    }

    #[test]
    fn what_is_no_url_is_told() {
        for bad in ["", "http://", "ftp://x", "http://a:99999/", "http://a b/"] {
            assert!(Target::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn connections_can_be_redirected() {
        let check = |url: &str, rule: &str, to: &str| {
            let rules = [rule.parse().unwrap()];
            let endpoint = Target::parse(url).unwrap().resolve(&rules).unwrap();
            assert_eq!(endpoint.to_string(), to, "{url} {rule}");
        };
        check(
            "http://a.test/",
            "a.test:80:127.0.0.1:8080",
            "127.0.0.1:8080",
        );
        check("http://A.test:81/", "::127.0.0.1:", "127.0.0.1:81");
        check(
            "http://127.0.0.2:81/",
            "other:81:127.0.0.1:9",
            "127.0.0.2:81",
        );
        check("http://[::1]:81/", "[::1]:81:[::1]:82", "[::1]:82");
        for bad in ["", "a:b", "a:1:b:port", "[::1:1:a:1"] {
            assert!(bad.parse::<ConnectTo>().is_err(), "{bad}");
        }
    }
}
