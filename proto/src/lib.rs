//! Protocol Buffers: schemas compiled to flat tables, and the codec that walks them.
//!
//! A [`Schema`] is made from `.proto` sources or a descriptor set; a [`Message`] of it checks wire
//! bytes, turns them to JSON or text and back, reads single fields where they lie, writes messages field
//! by field, and makes request templates. Nothing here opens a socket, reads a clock or prints.

mod codec;
mod error;
#[doc(hidden)]
pub mod fuzz;
mod limits;
mod nearest;
mod schema;
pub mod schemaless;
pub mod wire;

pub use codec::fields::{EnumInfo, FieldInfo, FieldKind, FieldRef, OneofRef};
pub use codec::fit::Fit;
pub use codec::from_json::JsonParseOptions;
pub use codec::from_text::TextParseOptions;
pub use codec::path::FieldPath;
pub use codec::path_parse::Segment;
pub use codec::read::subslice_range;
pub use codec::readable::Readable;
pub use codec::template::{SlotValue, Template};
pub use codec::text::TextOptions;
pub use codec::to_json::{JsonOptions, Unknown};
pub use codec::value::Value;
pub use codec::weigh::{Step, Weight};
pub use codec::write::{WriteValue, Writer};
pub use error::{
    DecodeError, EncodeCause, EncodeError, PathError, RenderError, SchemaError, UnknownType,
    WriteError,
};
pub use limits::Limits;
pub use nearest::nearest;
pub use schema::services::{HttpRule, Method};
pub use schema::{Message, Schema};
