//! A client of a user: its cookies, its cache, what it calls itself.

use mlua::{Error, Result, Table, Value};

use super::cache::Cache;
use super::cookies::Jar;
use super::plain::type_name;
use super::request::unknown;
use crate::engine::ClientId;

/// Clients of one user.
pub(super) const CLIENTS: usize = 10_000;

/// A client.
#[derive(Debug, Default)]
pub(super) struct Client {
    /// Its connections, once it has made a call.
    pub(super) pool: Option<ClientId>,
    pub(super) jar: Jar,
    /// None unless the script asked for one.
    pub(super) cache: Option<Box<Cache>>,
    pub(super) user_agent: Option<Box<str>>,
}

impl Client {
    /// A client as a script wants it.
    ///
    /// # Errors
    /// An unknown option.
    pub(super) fn new(options: Option<&Table>) -> Result<Self> {
        let mut client = Self::default();
        let Some(options) = options else {
            return Ok(client);
        };
        for pair in options.pairs::<String, Value>() {
            let (name, value) = pair?;
            match (&*name, &value) {
                ("cache", Value::Boolean(cache)) => {
                    client.cache = cache.then(Box::default);
                }
                ("user_agent", Value::String(text)) => {
                    let text = text.to_str()?;
                    if text.contains(['\r', '\n', '\0']) {
                        return Err(Error::runtime("a user agent has no line breaks"));
                    }
                    client.user_agent = Some((&*text).into());
                }
                ("cache" | "user_agent", other) => {
                    let found = type_name(other);
                    return Err(Error::runtime(format!(
                        "option `{name}` of a client cannot be a {found}"
                    )));
                }
                _ => {
                    return Err(unknown(
                        &name,
                        "option of a client",
                        &["cache", "user_agent"],
                    ));
                }
            }
        }
        Ok(client)
    }
}
