//! Where a database is. A password in it is never printed.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use thiserror::Error;

/// A SQLite file, or a MySQL or MariaDB server.
#[derive(Clone)]
pub enum Location {
    /// The path of a SQLite file, made if it is not there.
    Sqlite(PathBuf),
    /// What `mysql://USER:PASSWORD@HOST:PORT/DATABASE` said.
    Mysql(mysql_async::Opts),
}

/// This is no place of a database. What was given is not repeated, as it may hold a password.
#[derive(Debug, Error)]
pub enum BadLocation {
    /// The scheme is neither `sqlite:` nor `mysql:`.
    #[error(
        "a database is PATH, sqlite:PATH or mysql://USER:PASSWORD@HOST:PORT/DATABASE, not '{0}:'"
    )]
    Scheme(String),
    /// No path.
    #[error("the database's path is empty: give sqlite:PATH")]
    Empty,
    /// The URL says something that we do not read.
    #[error("the mysql:// URL is not understood: give mysql://USER:PASSWORD@HOST:PORT/DATABASE")]
    Url,
    /// No database in the URL.
    #[error("the mysql:// URL names no database: end it with /DATABASE")]
    NoDatabase,
}

impl FromStr for Location {
    type Err = BadLocation;

    fn from_str(text: &str) -> Result<Self, BadLocation> {
        if text.starts_with("mysql://") {
            // The cause is left out: it can quote parts of the URL.
            let options = mysql_async::Opts::from_url(text).map_err(|_| BadLocation::Url)?;
            if options.db_name().is_none_or(str::is_empty) {
                return Err(BadLocation::NoDatabase);
            }
            return Ok(Self::Mysql(options));
        }
        let path = match text.split_once(':') {
            Some(("sqlite", path)) => path.strip_prefix("//").unwrap_or(path),
            Some((scheme, rest)) if rest.starts_with("//") => {
                return Err(BadLocation::Scheme(scheme.to_owned()));
            }
            _ => text,
        };
        if path.is_empty() {
            return Err(BadLocation::Empty);
        }
        Ok(Self::Sqlite(path.into()))
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Self::Mysql(options) => {
                let user = options.user().unwrap_or("");
                let secret = if options.pass().is_some() { ":***" } else { "" };
                let (host, port) = (options.ip_or_hostname(), options.tcp_port());
                let database = options.db_name().unwrap_or("");
                write!(f, "mysql://{user}{secret}@{host}:{port}/{database}")
            }
        }
    }
}

impl fmt::Debug for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_read_and_show_no_password() {
        for (text, shown) in [
            ("contest.db", "sqlite:contest.db"),
            ("sqlite:/tmp/a b.db", "sqlite:/tmp/a b.db"),
            (
                "mysql://ann:s3cret@127.0.0.1:3307/portal",
                "mysql://ann:***@127.0.0.1:3307/portal",
            ),
            ("mysql://ann@db/portal", "mysql://ann@db:3306/portal"),
        ] {
            let location: Location = text.parse().unwrap();
            assert_eq!(location.to_string(), shown);
            assert_eq!(format!("{location:?}"), shown);
        }
        for text in [
            "",
            "sqlite:",
            "postgres://ann:s3cret@db/x",
            "mysql://ann:s3cret@db",
            "mysql://a:s3cret@:x/y",
        ] {
            let refused = text.parse::<Location>().unwrap_err().to_string();
            assert!(!refused.contains("s3cret"), "{refused}");
        }
    }
}
