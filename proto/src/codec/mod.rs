//! The codec: walks the wire by tables made from the descriptors, once.

pub(crate) mod fields;
pub(crate) mod from_json;
mod from_json_special;
pub(crate) mod index;
mod json_read;
pub(crate) mod json_write;
mod map_order;
pub(crate) mod path;
pub(crate) mod path_parse;
mod path_read;
mod path_walk;
pub(crate) mod read;
mod render;
mod room;
mod slots;
pub(crate) mod tables;
pub(crate) mod template;
pub(crate) mod text;
mod text_write;
pub(crate) mod to_json;
pub(crate) mod validate;
pub(crate) mod value;
pub(crate) mod well_known;
pub(crate) mod write;
mod write_value;
