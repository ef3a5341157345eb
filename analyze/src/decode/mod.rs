//! Bodies that somebody saw, made readable: what `isukit decode`, `tap` and `call` have in common.
//!
//! A [`Body`] is what HTTP carried; a [`Decoder`] undoes its codings, finds the [type](Types) of its
//! message and hands out a [`Decoded`], which is written as a line of JSON ([`write_record`]) or for people
//! ([`write_text`]).

mod body;
mod decoder;
mod filter;
mod frames;
pub mod limits;
mod messages;
mod record;
mod sniff;
mod stats;
mod text;
mod types;

pub use crate::capture::Direction;
pub use body::{Body, OwnedBody};
pub use decoder::{Content, Decoded, Decoder, DecoderOptions};
pub use filter::{BodyFilter, BodyFilterError};
pub use frames::Framing;
pub use messages::read_messages;
pub use record::{DECODE_SCHEMA, Summary, escape_controls, write_record};
pub use sniff::{Notation, Sniffed, is_http, sniff};
pub use stats::{Stats, StatsReport};
pub use text::{TextStyle, write_text};
pub use types::{
    Candidate, Choice, MapError, Media, RouteMap, RouteTypes, Slot, Source, TypeOptions, Types,
};
