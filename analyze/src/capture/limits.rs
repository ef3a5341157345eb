//! Every hard limit of the capture reader, in one place.

/// A block of a pcapng file or a packet of a pcap file, in bytes.
pub(super) const BLOCK_BYTES: u32 = 16 << 20;

/// The reading buffer at first; it grows to the longest block.
pub(super) const READ_BYTES: usize = 256 << 10;

/// Interfaces of one section of a pcapng file.
pub(super) const INTERFACES: usize = 4096;

/// VLAN tags on one frame.
pub(super) const VLAN_TAGS: usize = 8;

/// Extension headers of one IPv6 packet.
pub(super) const EXTENSION_HEADERS: usize = 16;

/// Connections that are followed at once; the one unused for longest makes room.
pub(super) const CONNECTIONS: usize = 8192;

/// Out-of-order bytes of one direction of a connection, with [`SEGMENT_OVERHEAD`].
pub(super) const PENDING_BYTES: usize = 4 << 20;

/// Out-of-order segments of one direction of a connection.
pub(super) const PENDING_SEGMENTS: usize = 4096;

/// What a kept segment costs besides its bytes.
pub(super) const SEGMENT_OVERHEAD: usize = 96;

/// Packets of a connection after which what a peer acknowledged and we never saw is lost: captures
/// reorder packets, but not by that many.
pub(super) const LOST_AFTER_PACKETS: u32 = 64;

/// As [`LOST_AFTER_PACKETS`], in nanoseconds of the capture.
pub(super) const LOST_AFTER_NS: i64 = 500_000_000;

/// What nobody acknowledged is waited for longer: it may be sent again.
pub(super) const UNACKED_LOST_AFTER_PACKETS: u32 = 2048;

/// As [`UNACKED_LOST_AFTER_PACKETS`], in nanoseconds of the capture.
pub(super) const UNACKED_LOST_AFTER_NS: i64 = 60_000_000_000;

/// Packets of a connection whose opening was not seen, before its first bytes are taken as its
/// start: an earlier packet may have been captured late.
pub(super) const SETTLE_PACKETS: u32 = 16;

/// As [`SETTLE_PACKETS`], in nanoseconds of the capture.
pub(super) const SETTLE_NS: i64 = 500_000_000;

/// A segment this far from where its connection is belongs to no window that is in use.
pub(super) const WINDOW_BYTES: u64 = 1 << 30;

/// A connection silent for this many nanoseconds may have its ports used by another one.
pub(super) const SILENCE_NS: i64 = 60_000_000_000;

/// Bytes that were delivered are kept for comparison with what is sent again.
pub(super) const HISTORY_BYTES: usize = 2 << 20;

/// Places in the history that one direction of a connection knows.
pub(super) const HISTORY_PLACES: usize = 4;

/// Start line and headers together, and also the trailers of a chunked body, in bytes.
pub(super) const HEAD_BYTES: usize = 64 << 10;

/// Requests of one connection that wait for their replies.
pub(super) const OUTSTANDING: usize = 1024;

/// A request line's method and target are kept for its reply up to this many bytes.
pub(super) const LINE_BYTES: usize = 8 << 10;

/// A buffer for messages grows by at most this much at a time, so that it never has much to spare.
pub(super) const GROWTH_BYTES: usize = 1 << 20;

/// Buffers that wait to be used again, and how large one of them may be.
pub(super) const SPARE_BUFFERS: usize = 32;

/// As [`SPARE_BUFFERS`].
pub(super) const SPARE_BYTES: usize = 128 << 10;

/// Positions in a TLS stream whose place in the plaintext is remembered, for each direction.
pub(super) const TLS_MARKS: usize = 256;
