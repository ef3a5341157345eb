//! What can go wrong, with the place it went wrong at.

use std::path::PathBuf;

/// A schema that does not compile.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SchemaError {
    /// A `.proto` source is wrong. Line and column count from 1.
    #[error("{file}:{line}:{column}: {cause}; correct the file, it was not compiled")]
    Source {
        /// The file as imports name it, below one of the directories.
        file: String,
        /// Line of the fault, from 1.
        line: usize,
        /// Column of the fault, from 1.
        column: usize,
        /// The compiler's words.
        cause: String,
    },
    /// A file is wrong as a whole, or the place in it is not known.
    #[error("{file}: {cause}; correct the file or the list of directories")]
    File {
        /// The file as imports name it, or its path when it could not be read.
        file: String,
        /// What is wrong with it.
        cause: String,
    },
    /// A directory could not be searched.
    #[error("cannot read the directory {}: {cause}; check the path and its permissions", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// The system's words.
        cause: String,
    },
    /// No `.proto` file was found.
    #[error("no .proto file below {dirs}; name the directory that holds the schema")]
    Empty {
        /// The directories searched, separated by commas.
        dirs: String,
    },
    /// The bytes are no descriptor set.
    #[error(
        "not a usable descriptor set: {cause}; write it with `protoc --include_imports --descriptor_set_out=FILE`"
    )]
    Descriptor {
        /// What is wrong with it.
        cause: String,
    },
    /// A limit of [`Limits`](crate::Limits) was passed.
    #[error("more than {limit} {what}; raise the limit or split the schema")]
    Limit {
        /// What there is too much of.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
}

/// A message type the schema does not have, or has more than once.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UnknownType {
    /// No type has this name.
    #[error("no message type {name}{}", did_you_mean(.nearest))]
    Missing {
        /// The name asked for.
        name: String,
        /// The full name nearest to it, if any is near.
        nearest: Option<String>,
    },
    /// Several types end in this name.
    #[error("the message type {name} is ambiguous; write one of {}", candidates.join(", "))]
    Ambiguous {
        /// The name asked for.
        name: String,
        /// The full names it may mean, sorted.
        candidates: Vec<String>,
    },
}

/// Bytes that are not the message they were read as. Offsets count from the start of the buffer
/// that was handed in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The bytes end inside a value.
    #[error(
        "the message ends early at byte {offset}; check that the body is complete and not compressed"
    )]
    Truncated {
        /// Where the bytes end.
        offset: usize,
    },
    /// A varint is longer than ten bytes or larger than 64 bits.
    #[error("no valid varint at byte {offset}; check that the body is protobuf")]
    Varint {
        /// Where the varint starts.
        offset: usize,
    },
    /// A tag with field number 0, a field number above 2^29 - 1 or an unused wire type.
    #[error("no valid tag at byte {offset}; check that the body is protobuf")]
    Tag {
        /// Where the tag starts.
        offset: usize,
    },
    /// A length claims more bytes than its message has left.
    #[error(
        "a length of {claimed} at byte {offset} where {left} bytes are left; check the type and that the body is complete"
    )]
    Length {
        /// Where the length starts.
        offset: usize,
        /// The length it claims.
        claimed: u64,
        /// The bytes left.
        left: usize,
    },
    /// A group ends that was not open.
    #[error("the group {number} ends at byte {offset} but is not the open one; check the type")]
    Group {
        /// Where the end is.
        offset: usize,
        /// The field number of the end tag.
        number: u32,
    },
    /// A known field has a wire type its schema does not allow.
    #[error(
        "the field {field} has the wire type {found} at byte {offset}; check the type of the message"
    )]
    WireType {
        /// Where the field's tag starts.
        offset: usize,
        /// Full name of the field.
        field: Box<str>,
        /// The wire type found.
        found: &'static str,
    },
    /// A string field is not UTF-8.
    #[error(
        "the string {field} is not UTF-8 at byte {offset}; declare it `bytes` or check the type"
    )]
    Utf8 {
        /// The first byte that is wrong.
        offset: usize,
        /// Full name of the field.
        field: Box<str>,
    },
    /// A packed field's length is no multiple of its element's size.
    #[error("the packed field {field} ends inside an element at byte {offset}; check the type")]
    Packed {
        /// Where the broken element starts.
        offset: usize,
        /// Full name of the field.
        field: Box<str>,
    },
    /// A required field is absent.
    #[error(
        "the required field {field} is absent from the message at byte {offset}; check the type or the sender"
    )]
    Required {
        /// Where the message that lacks it starts.
        offset: usize,
        /// Full name of the field.
        field: Box<str>,
    },
    /// Messages or groups nest too deeply.
    #[error(
        "more than {limit} nested messages at byte {offset}; raise the depth limit if they are meant"
    )]
    Depth {
        /// Where the first message too deep starts.
        offset: usize,
        /// The limit.
        limit: usize,
    },
    /// The message is larger than the limit.
    #[error(
        "a message of {size} bytes exceeds the limit of {limit}; raise the limit if it is meant"
    )]
    Size {
        /// Its size in bytes.
        size: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// The message has more fields than the limit.
    #[error("more than {limit} fields at byte {offset}; raise the limit if they are meant")]
    Fields {
        /// Where the first field too many is.
        offset: usize,
        /// The limit.
        limit: usize,
    },
    /// The value is valid protobuf but has no JSON form, such as a Timestamp in the year 10000.
    #[error("the {message} at byte {offset} has no JSON form: {cause}; print it as text instead")]
    NoJson {
        /// Where the message starts.
        offset: usize,
        /// Full name of the message type.
        message: Box<str>,
        /// Why it has none.
        cause: &'static str,
    },
}

impl DecodeError {
    /// Where in the buffer it happened; 0 for an error about the whole.
    pub fn offset(&self) -> usize {
        match self {
            DecodeError::Truncated { offset }
            | DecodeError::Varint { offset }
            | DecodeError::Tag { offset }
            | DecodeError::Length { offset, .. }
            | DecodeError::Group { offset, .. }
            | DecodeError::WireType { offset, .. }
            | DecodeError::Utf8 { offset, .. }
            | DecodeError::Packed { offset, .. }
            | DecodeError::Required { offset, .. }
            | DecodeError::Depth { offset, .. }
            | DecodeError::Fields { offset, .. }
            | DecodeError::NoJson { offset, .. } => *offset,
            DecodeError::Size { .. } => 0,
        }
    }
}

/// JSON or text that is not the message it was read as, or a template that cannot be filled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line} column {column}{}: {cause}", at_path(.path))]
#[non_exhaustive]
pub struct EncodeError {
    /// Line of the fault, from 1.
    pub line: usize,
    /// Column of the fault in characters, from 1.
    pub column: usize,
    /// The field the fault is in, such as `team.members[0].id`; empty at the outermost level.
    pub path: String,
    /// What is wrong.
    pub cause: EncodeCause,
}

/// Why JSON or text does not encode.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeCause {
    /// The text is not JSON.
    #[error("not JSON: expected {expected}; correct the text")]
    Syntax {
        /// What would have been right here.
        expected: &'static str,
    },
    /// The text is not in text format.
    #[error("not text format: expected {expected}; correct the text")]
    Text {
        /// What would have been right here.
        expected: &'static str,
    },
    /// The text is not UTF-8.
    #[error("not UTF-8; save the text as UTF-8")]
    Utf8,
    /// A value of the wrong JSON type.
    #[error("expected {expected}, found {found}; change the value")]
    Type {
        /// What the field takes.
        expected: String,
        /// What is there.
        found: &'static str,
    },
    /// A number outside the field's range, or with a fraction where there may be none.
    #[error("{value} is no {kind}; write a number the field can hold")]
    Range {
        /// The number as written.
        value: String,
        /// The field's type.
        kind: &'static str,
    },
    /// The message has no such field.
    #[error("{message} has no field {name}{}", did_you_mean(.nearest))]
    UnknownField {
        /// Full name of the message type.
        message: String,
        /// The key as written.
        name: String,
        /// The field nearest to it, if any is near.
        nearest: Option<String>,
    },
    /// The enum has no such name.
    #[error("{name_of} has no value {name}{}", did_you_mean(.nearest))]
    UnknownEnum {
        /// Full name of the enum type.
        name_of: String,
        /// The name as written.
        name: String,
        /// The value nearest to it, if any is near.
        nearest: Option<String>,
    },
    /// A key, or both names of one field, appears twice; in text, a single field does.
    #[error("the key {name} appears twice; remove one")]
    Duplicate {
        /// The key as written.
        name: String,
    },
    /// Two members of one oneof.
    #[error("{name} and {other} are members of the oneof {oneof}; keep one of them")]
    Oneof {
        /// The second member.
        name: String,
        /// The first member.
        other: String,
        /// The oneof.
        oneof: String,
    },
    /// A required field is absent.
    #[error("the required field {name} is absent; add it")]
    Required {
        /// The field's name.
        name: String,
    },
    /// A value that does not follow the form its type demands, such as a malformed Timestamp.
    #[error("expected {expected}; change the value")]
    Form {
        /// What would have been right.
        expected: &'static str,
    },
    /// An `Any` of a type the schema lacks.
    #[error("the schema has no type {name}{}", did_you_mean(.nearest))]
    UnknownType {
        /// The type asked for.
        name: String,
        /// The type nearest to it, if any is near.
        nearest: Option<String>,
    },
    /// A limit of [`Limits`](crate::Limits) was passed.
    #[error("more than {limit} {what}; raise the limit if they are meant")]
    Limit {
        /// What there is too much of.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
    /// A placeholder stands where none can.
    #[error("a placeholder cannot stand in {place}; write a literal value")]
    Placeholder {
        /// Where it stands.
        place: String,
    },
    /// A placeholder the template's user does not provide.
    #[error("no placeholder ${{{name}}} is known{}", did_you_mean(.nearest))]
    UnknownSlot {
        /// Its name.
        name: String,
        /// The known name nearest to it, if any is near.
        nearest: Option<String>,
    },
}

/// A path that leads to no field of the message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PathError {
    /// The text is no path.
    #[error("not a path at character {at}: expected {expected}; write it like team.members[0].id")]
    Syntax {
        /// Characters before the fault.
        at: usize,
        /// What would have been right here.
        expected: &'static str,
    },
    /// The message has no such field.
    #[error("{message} has no field {name}{}", did_you_mean(.nearest))]
    UnknownField {
        /// Full name of the message type.
        message: String,
        /// The name as written.
        name: String,
        /// The field nearest to it, if any is near.
        nearest: Option<String>,
    },
    /// The message has no such oneof.
    #[error("{message} has no oneof {name}{}", did_you_mean(.nearest))]
    UnknownOneof {
        /// Full name of the message type.
        message: String,
        /// The name as written.
        name: String,
        /// The oneof nearest to it, if any is near.
        nearest: Option<String>,
    },
    /// A field of something that has none, or an index of something that is no list or map.
    #[error("{field} is {is}, it takes no {step}; shorten the path or index the list first")]
    Step {
        /// The path so far.
        field: String,
        /// What it is.
        is: &'static str,
        /// The step that does not fit.
        step: &'static str,
    },
    /// A map key of the wrong type.
    #[error("the keys of {field} are {kind}; write the key as one")]
    Key {
        /// The map.
        field: String,
        /// The type of its keys.
        kind: &'static str,
    },
    /// More segments than [`Limits::path_segments`](crate::Limits).
    #[error("a path of more than {limit} segments; shorten it")]
    Long {
        /// The limit.
        limit: usize,
    },
}

/// Why a template could not be rendered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RenderError {
    /// Fewer values than slots.
    #[error("{given} values for {wanted} placeholders; give one value for each")]
    Count {
        /// Values given.
        given: usize,
        /// Slots of the template.
        wanted: usize,
    },
    /// A value its field cannot hold.
    #[error(
        "the placeholder {slot} fills {field}, which takes {expected}; {found} does not fit, change it"
    )]
    Value {
        /// The placeholder.
        slot: String,
        /// Name of the field.
        field: String,
        /// What the field takes.
        expected: &'static str,
        /// The value.
        found: String,
    },
}

/// A value or a call that does not make a message. Fields go by their full name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// A value its field cannot hold.
    #[error("{field} takes {expected}; {found} does not fit, change it")]
    Value {
        /// The field.
        field: String,
        /// What it takes.
        expected: String,
        /// The value, cut to 80 characters.
        found: String,
    },
    /// The enum has no such name, or, being closed, no such number.
    #[error("{field} takes {name_of}, which has no value {name}{}", did_you_mean(.nearest))]
    UnknownEnum {
        /// The field.
        field: String,
        /// Full name of the enum type.
        name_of: String,
        /// The name or number given.
        name: String,
        /// The name nearest to it, if any is near.
        nearest: Option<String>,
    },
    /// A field of another type than the message that is open.
    #[error("a field of another type was given to {message}; look it up in this one")]
    Foreign {
        /// Full name of the message type that is open.
        message: String,
    },
    /// A call that does not suit the field.
    #[error("{field} is {is}; {remedy}")]
    Shape {
        /// The field.
        field: String,
        /// What it is.
        is: &'static str,
        /// What to call instead.
        remedy: &'static str,
    },
    /// A single field is set twice.
    #[error("{field} is set twice; set it once")]
    Twice {
        /// The field.
        field: String,
    },
    /// Two members of one oneof.
    #[error("{field} and {other} are members of the oneof {oneof}; keep one of them")]
    Oneof {
        /// The second member.
        field: String,
        /// The first member.
        other: String,
        /// The oneof.
        oneof: String,
    },
    /// A message ends without a required field.
    #[error("the required field {field} is absent; set it")]
    Required {
        /// The field.
        field: String,
    },
    /// A message that is still open at the end, or an end where none is open.
    #[error("messages left open: {open}; call end once for each begin")]
    Unbalanced {
        /// Messages open below the outermost one.
        open: usize,
    },
    /// A limit of [`Limits`](crate::Limits) was passed.
    #[error("more than {limit} {what}; raise the limit if they are meant")]
    Limit {
        /// What there is too much of.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
}

fn did_you_mean(nearest: &Option<String>) -> String {
    match nearest {
        Some(name) => format!("; did you mean {name}?"),
        None => "; check the schema".to_owned(),
    }
}

fn at_path(path: &str) -> String {
    if path.is_empty() {
        String::new()
    } else {
        format!(" in {path}")
    }
}
