//! Every hard limit of the crate in one place.
//!
//! Sizes on the wire and in JSON are claims made by whoever sent the bytes. Each limit below is
//! checked before the claim is used; a value exactly at the limit is accepted, one above it is
//! refused with an error that names the limit.

/// The limits a [`Schema`](crate::Schema) and everything made from it obey.
///
/// Set them with [`Schema::with_limits`](crate::Schema::with_limits).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Messages (or groups) nested below the outermost one. Default 100, which is what the
    /// reference implementations accept; at most 200, so that a recursive walk fits any stack.
    pub depth: usize,
    /// Bytes in one encoded message. Default 64 MiB; at most [`Limits::MESSAGE_BYTES_MAX`].
    pub message_bytes: usize,
    /// Wire fields met while walking one message, nested ones included. Default 8,000,000: an index
    /// entry is 24 bytes, so this bounds the memory of a walk to about three times the message.
    pub fields: usize,
    /// Bytes of one JSON text. Default 64 MiB.
    pub json_bytes: usize,
    /// Arrays and objects nested in a JSON text. Default 100; at most 200.
    pub json_depth: usize,
    /// Bytes of one message in text format. Default 256 MiB, as a byte takes up to four.
    pub text_bytes: usize,
    /// Segments of one field path. Default 32, which is also the most.
    pub path_segments: usize,
    /// Distinct placeholders of one template. Default 256.
    pub template_slots: usize,
    /// Bytes of one encoded descriptor set. Default 64 MiB.
    pub descriptor_bytes: usize,
    /// `.proto` files found below the directories of one schema. Default 10,000.
    pub proto_files: usize,
    /// Bytes of one `.proto` file. Default 16 MiB.
    pub proto_file_bytes: u64,
    /// Directory levels searched below each import root. Default 32.
    pub directory_depth: usize,
}

impl Limits {
    /// The largest message any [`Limits`] may allow: 2 GiB less one byte, the format's own limit.
    pub const MESSAGE_BYTES_MAX: usize = i32::MAX as usize;
    /// The deepest nesting any [`Limits`] may allow, for messages and for JSON.
    pub const DEPTH_MAX: usize = 200;
    /// The most segments any [`Limits`] may allow in a field path.
    pub const PATH_SEGMENTS_MAX: usize = 32;

    /// The limits with each value brought down to what the walkers can hold.
    pub(crate) fn clamped(self) -> Limits {
        Limits {
            depth: self.depth.min(Self::DEPTH_MAX),
            json_depth: self.json_depth.min(Self::DEPTH_MAX),
            message_bytes: self.message_bytes.min(Self::MESSAGE_BYTES_MAX),
            json_bytes: self.json_bytes.min(Self::MESSAGE_BYTES_MAX),
            text_bytes: self.text_bytes.min(Self::MESSAGE_BYTES_MAX),
            path_segments: self.path_segments.min(Self::PATH_SEGMENTS_MAX),
            ..self
        }
    }
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            depth: 100,
            message_bytes: 64 << 20,
            fields: 8_000_000,
            json_bytes: 64 << 20,
            json_depth: 100,
            text_bytes: 256 << 20,
            path_segments: Self::PATH_SEGMENTS_MAX,
            template_slots: 256,
            descriptor_bytes: 64 << 20,
            proto_files: 10_000,
            proto_file_bytes: 16 << 20,
            directory_depth: 32,
        }
    }
}
