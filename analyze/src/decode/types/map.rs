//! What the user says about types: a file of routes.
//!
//! ```toml
//! error = "shop.v1.Error"          # bodies of replies with a status from 400 on
//!
//! [routes."POST /api/teams/:id/members"]
//! request = "shop.v1.JoinTeamRequest"
//! response = "JoinTeamResponse"    # a name that is unambiguous will do
//! ```

use std::fmt::Write;

use isukit_proto::{Message, Schema, nearest};
use thiserror::Error;
use toml::de::{DeTable, DeValue};

use super::Direction;
use crate::decode::limits::MAP_ROUTES;

/// A map that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum MapError {
    /// Not TOML.
    #[error("not a file of routes: {0}")]
    Syntax(String),
    /// A key that has no meaning.
    #[error(
        "{place}: there is no `{key}`{hint}; a file of routes has `error` and `[routes.\"GET /path/:id\"]` with `request`, `response`, `error`"
    )]
    Key {
        /// Where it stands.
        place: String,
        /// The key.
        key: String,
        /// The nearest one, as a question.
        hint: String,
    },
    /// A value of another kind than wanted.
    #[error("{place}: `{key}` must be {wanted}")]
    Kind {
        /// Where it stands.
        place: String,
        /// The key.
        key: String,
        /// What it must be.
        wanted: &'static str,
    },
    /// A type that the schema does not have.
    #[error("{place}: {cause}")]
    Type {
        /// Where it stands.
        place: String,
        /// What is wrong, with the nearest name.
        cause: String,
    },
    /// Too many routes.
    #[error("it has {0} routes, more than the {MAP_ROUTES} that can be held against each path")]
    TooMany(usize),
}

/// The types of one route.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RouteTypes {
    /// The pattern, with its method or without: `GET /api/teams/:id`.
    pub route: String,
    /// Of the bodies of requests.
    pub request: Option<Message>,
    /// Of the bodies of replies with a status below 400.
    pub response: Option<Message>,
    /// Of the bodies of the other replies.
    pub error: Option<Message>,
}

/// The types of routes, as somebody wrote them down.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RouteMap {
    /// In the order of the file.
    pub routes: Vec<RouteTypes>,
    /// Of failed replies on all routes that do not say it themselves.
    pub error: Option<Message>,
}

impl RouteTypes {
    /// The type of one side.
    pub fn of(&self, direction: Direction, is_error: bool) -> Option<&Message> {
        match (direction, is_error) {
            (Direction::Request, _) => self.request.as_ref(),
            (Direction::Response, false) => self.response.as_ref(),
            (Direction::Response, true) => self.error.as_ref(),
        }
    }
}

impl RouteMap {
    /// Read a map for the types of a schema.
    ///
    /// # Errors
    /// [`MapError`], naming the route and the key.
    pub fn parse(text: &str, schema: &Schema) -> Result<Self, MapError> {
        let table = DeTable::parse(text).map_err(|error| MapError::Syntax(error.to_string()))?;
        let mut map = Self::default();
        for (key, value) in table.get_ref() {
            let (key, value): (&str, _) = (key.get_ref(), value.get_ref());
            match key {
                "error" => map.error = Some(message(schema, "the file", key, value)?),
                "routes" => map.routes = routes(schema, key, value)?,
                _ => return Err(unknown("the file", key, &["error", "routes"])),
            }
        }
        if map.routes.len() > MAP_ROUTES {
            return Err(MapError::TooMany(map.routes.len()));
        }
        Ok(map)
    }

    /// As a file that [`Self::parse`] takes back. `notes` are comments, one for each route.
    pub fn to_toml(&self, notes: &[String]) -> String {
        let mut text = String::from(
            "# Which message each body is. Correct what is wrong and give it back with --map.\n",
        );
        if let Some(error) = &self.error {
            let _ = writeln!(text, "error = {}", quoted(error.full_name()));
        }
        for (at, route) in self.routes.iter().enumerate() {
            let _ = writeln!(text, "\n[routes.{}]", quoted(&route.route));
            for note in notes.get(at).into_iter().flat_map(|note| note.lines()) {
                let _ = writeln!(text, "# {note}");
            }
            for (key, kind) in [
                ("request", &route.request),
                ("response", &route.response),
                ("error", &route.error),
            ] {
                if let Some(kind) = kind {
                    let _ = writeln!(text, "{key} = {}", quoted(kind.full_name()));
                }
            }
        }
        text
    }
}

fn routes(schema: &Schema, key: &str, value: &DeValue<'_>) -> Result<Vec<RouteTypes>, MapError> {
    let wanted = "a table: [routes.\"GET /path/:id\"]";
    let DeValue::Table(table) = value else {
        return Err(kind("the file", key, wanted));
    };
    let mut routes = Vec::new();
    for (route, value) in table {
        let route: &str = route.get_ref();
        let DeValue::Table(sides) = value.get_ref() else {
            return Err(kind("routes", route, wanted));
        };
        let mut types = RouteTypes {
            route: route.to_owned(),
            ..RouteTypes::default()
        };
        let place = format!("[routes.{}]", quoted(route));
        for (side, value) in sides {
            let (side, value): (&str, _) = (side.get_ref(), value.get_ref());
            let slot = match side {
                "request" => &mut types.request,
                "response" => &mut types.response,
                "error" => &mut types.error,
                _ => return Err(unknown(&place, side, &["request", "response", "error"])),
            };
            *slot = Some(message(schema, &place, side, value)?);
        }
        routes.push(types);
    }
    Ok(routes)
}

fn message(
    schema: &Schema,
    place: &str,
    key: &str,
    value: &DeValue<'_>,
) -> Result<Message, MapError> {
    let DeValue::String(name) = value else {
        return Err(kind(place, key, "the name of a message in quotes"));
    };
    schema.message(name).map_err(|error| MapError::Type {
        place: place.to_owned(),
        cause: error.to_string(),
    })
}

fn kind(place: &str, key: &str, wanted: &'static str) -> MapError {
    MapError::Kind {
        place: place.to_owned(),
        key: key.to_owned(),
        wanted,
    }
}

fn unknown(place: &str, key: &str, keys: &[&'static str]) -> MapError {
    let near = nearest(key, keys.iter().copied());
    MapError::Key {
        place: place.to_owned(),
        key: key.to_owned(),
        hint: near.map_or_else(String::new, |near| format!(", did you mean `{near}`?")),
    }
}

/// A basic string of TOML.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c.is_control() => {
                let _ = write!(out, "\\u{:04X}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
