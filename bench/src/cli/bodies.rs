//! What `call` and `tap` show of HTTP: bodies through the one decoder there is, headers without the
//! secrets in them.

use std::path::PathBuf;

use anyhow::{Result, ensure};
use clap::{Args, ValueEnum};
use hyper::header::HeaderName;
use isukit_analyze::decode::{DecoderOptions, RouteMap, TypeOptions};
use isukit_proto::{Message, Schema};

use super::decode::read_map;
use super::schema::{SchemaArgs, message};
use crate::tls::TlsOptions;

/// A header with one of these in its name holds a secret.
const SECRET_NAMES: [&str; 6] = ["auth", "cookie", "token", "secret", "password", "key"];

/// Characters of a cookie's value that are shown, which is enough to tell two of them apart.
const COOKIE_CHARS: usize = 4;

/// How bodies are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum BodyFormat {
    /// For people
    Text,
    /// One object a line: isukit.decode/1
    Json,
}

/// Whose certificates are trusted.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct TrustArgs {
    /// Trust the certificates in this PEM file instead of the machine's
    #[arg(
        help_heading = "Connection",
        long,
        visible_alias = "ca",
        value_name = "FILE"
    )]
    cacert: Option<PathBuf>,
    /// Accept any certificate
    #[arg(help_heading = "Connection", short = 'k', long)]
    insecure: bool,
}

impl TrustArgs {
    /// How TLS is to be spoken with a target that goes by `server_name`, or by its URL's host.
    pub(super) fn options(&self, server_name: Option<String>) -> TlsOptions {
        TlsOptions {
            ca_file: self.cacert.clone(),
            insecure: self.insecure,
            server_name,
        }
    }
}

/// Which types bodies have, as far as that can be typed.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct BodyTypeArgs {
    #[command(flatten)]
    schema: SchemaArgs,

    /// Types by route, as `isukit decode --save-map` writes them
    #[arg(help_heading = "Message types", long, value_name = "FILE")]
    map: Option<PathBuf>,

    /// Type of the bodies of failed requests (status 400 and above), where the map does not say
    #[arg(help_heading = "Message types", long, value_name = "TYPE")]
    error: Option<String>,
}

/// Which types bodies have.
#[derive(Debug, Clone, Default)]
pub(super) struct BodyTypes {
    pub(super) schema: Option<Schema>,
    pub(super) map: RouteMap,
}

impl BodyTypeArgs {
    /// Read what was named.
    pub(super) fn load(&self) -> Result<BodyTypes> {
        let schema = self.schema.load()?;
        let mut map = RouteMap::default();
        if let Some(path) = &self.map {
            ensure!(
                schema.is_some(),
                "--map is about message types: give --proto DIR or --descriptor-set FILE"
            );
            if let Some(schema) = &schema {
                map = read_map(path, schema)?;
            }
        }
        if let Some(error) = message(schema.as_ref(), self.error.as_deref(), "--error")? {
            map.error = Some(error);
        }
        Ok(BodyTypes { schema, map })
    }
}

impl BodyTypes {
    /// How bodies are decoded; all of them as `given`, if that is known.
    pub(super) fn decoder_options(&self, given: Option<Message>, max_body: u64) -> DecoderOptions {
        DecoderOptions {
            schema: self.schema.clone(),
            types: TypeOptions {
                given,
                map: self.map.clone(),
                routes: Vec::new(),
            },
            plain_bytes_max: max_body,
            ..DecoderOptions::default()
        }
    }
}

/// A header's value without the secret that it may hold.
pub(super) fn shown_value(name: &HeaderName, value: &str) -> String {
    let name = name.as_str();
    if name == "cookie" {
        let pairs: Vec<String> = value.split(';').map(masked_pair).collect();
        return pairs.join("; ");
    }
    if name == "set-cookie" {
        let (pair, attributes) = match value.find(';') {
            Some(at) => value.split_at(at),
            None => (value, ""),
        };
        return masked_pair(pair) + attributes;
    }
    match SECRET_NAMES.iter().any(|part| name.contains(part)) {
        true => "***".to_owned(),
        false => value.to_owned(),
    }
}

/// `session=abcd... (32 characters)`.
fn masked_pair(pair: &str) -> String {
    let Some((name, value)) = pair.trim().split_once('=') else {
        return "***".to_owned();
    };
    let length = value.chars().count();
    // Of a short value the first characters would be most of it.
    let first: String = match length > 3 * COOKIE_CHARS {
        true => value.chars().take(COOKIE_CHARS).collect(),
        false => String::new(),
    };
    format!("{name}={first}... ({length} characters)")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_shown() {
        let check = |name: &str, value: &str, expected: &str| {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            assert_eq!(shown_value(&name, value), expected);
        };
        check("host", "a.example", "a.example");
        check("authorization", "Bearer abcdef", "***");
        check("x-api-key", "abcdef", "***");
        check(
            "cookie",
            "session=abcdefghijklmnop; b=1",
            "session=abcd... (16 characters); b=... (1 characters)",
        );
        check("cookie", "nonsense", "***");
        check(
            "set-cookie",
            "s=abcdefghijklmnop; Path=/; HttpOnly",
            "s=abcd... (16 characters); Path=/; HttpOnly",
        );
    }
}
