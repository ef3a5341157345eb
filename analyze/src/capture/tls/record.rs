//! Records: the frames of TLS (RFC 8446, 5.1).

use super::limits::{CONTENT_BYTES, EXPANSION_BYTES};

/// Of the header, in bytes.
pub(super) const HEADER: usize = 5;

/// The smallest record with a protected content, in bytes: a header, an empty content and a tag.
pub(super) const SMALLEST: u64 = 21;

/// The largest, in bytes.
pub(super) const LARGEST: u64 = (HEADER + CONTENT_BYTES + EXPANSION_BYTES) as u64;

/// Content types.
pub(super) const CHANGE_CIPHER_SPEC: u8 = 20;
pub(super) const ALERT: u8 = 21;
pub(super) const HANDSHAKE: u8 = 22;
pub(super) const DATA: u8 = 23;
pub(super) const HEARTBEAT: u8 = 24;

/// A whole record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Record<'a> {
    pub(super) header: [u8; HEADER],
    pub(super) body: &'a [u8],
}

/// What is no record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bad {
    NotTls,
    SslV2,
    Dtls,
    Length(usize),
}

impl<'a> Record<'a> {
    /// The record that `bytes` begin with; None when they are too few.
    pub(super) fn read(bytes: &'a [u8]) -> Result<Option<Self>, Bad> {
        let Some(total) = total(bytes)? else {
            return Ok(None);
        };
        let record = bytes.split_first_chunk().and_then(|(header, rest)| {
            Some(Self {
                header: *header,
                body: rest.get(..total - HEADER)?,
            })
        });
        Ok(record)
    }

    pub(super) fn kind(&self) -> u8 {
        self.header[0]
    }

    /// With its header, in bytes.
    pub(super) fn total(&self) -> usize {
        HEADER + self.body.len()
    }
}

/// How long the record is that `bytes` begin with, its header included; None when they are too few.
pub(super) fn total(bytes: &[u8]) -> Result<Option<usize>, Bad> {
    let &[kind, major, minor, ref rest @ ..] = bytes else {
        return Ok(None);
    };
    // Two bytes of length with the highest bit set, then the type of a client's hello.
    if kind & 0x80 != 0 && minor == 1 {
        return Err(Bad::SslV2);
    }
    if !(CHANGE_CIPHER_SPEC..=HEARTBEAT).contains(&kind) {
        return Err(Bad::NotTls);
    }
    match (major, minor) {
        (3, 0..=4) => {}
        (0xfe, 0xfc..=0xff) => return Err(Bad::Dtls),
        _ => return Err(Bad::NotTls),
    }
    let &[high, low, ..] = rest else {
        return Ok(None);
    };
    let length = usize::from(u16::from_be_bytes([high, low]));
    if length > CONTENT_BYTES + EXPANSION_BYTES {
        return Err(Bad::Length(length));
    }
    Ok(Some(HEADER + length))
}

/// Whether a record of an established connection can begin here, as far as `bytes` say.
pub(super) fn plausible(bytes: &[u8]) -> bool {
    let kind = bytes
        .first()
        .is_none_or(|kind| (CHANGE_CIPHER_SPEC..=DATA).contains(kind));
    // All records but hellos say 3.3, in TLS 1.2 and 1.3 alike.
    let version = [3, 3];
    let told = bytes.get(1..).unwrap_or_default();
    let told = &told[..told.len().min(2)];
    kind && version.starts_with(told)
        && match bytes.get(3..HEADER) {
            Some(length) => {
                let length = usize::from(length[0]) << 8 | usize::from(length[1]);
                let least = if bytes[0] == CHANGE_CIPHER_SPEC {
                    1
                } else {
                    16
                };
                (least..=CONTENT_BYTES + EXPANSION_BYTES).contains(&length)
            }
            None => true,
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_told_from_other_bytes() {
        let check = |bytes: &[u8], expected| assert_eq!(total(bytes), expected, "{bytes:?}");
        check(&[], Ok(None));
        check(&[22], Ok(None));
        check(&[22, 3, 1, 0], Ok(None));
        check(&[22, 3, 1, 1, 2], Ok(Some(5 + 258)));
        check(&[23, 3, 3, 0x48, 0], Ok(Some(5 + 18432)));
        check(&[23, 3, 3, 0x48, 1], Err(Bad::Length(18433)));
        check(&[22, 3, 5], Err(Bad::NotTls));
        check(&[22, 2, 0], Err(Bad::NotTls));
        check(&[19, 3, 3], Err(Bad::NotTls));
        check(&[25, 3, 3], Err(Bad::NotTls));
        check(b"GET", Err(Bad::NotTls));
        check(&[22, 0xfe, 0xfd], Err(Bad::Dtls));
        check(&[0x80, 0x2e, 1, 3, 1], Err(Bad::SslV2));
    }

    #[test]
    fn a_record_is_read_when_it_is_whole() {
        let bytes = [21, 3, 3, 0, 2, 1, 0, 9];
        assert_eq!(Record::read(&bytes[..6]), Ok(None));
        let record = Record::read(&bytes).unwrap().unwrap();
        assert_eq!(
            (record.kind(), record.body, record.total()),
            (21, &[1, 0][..], 7)
        );
    }

    #[test]
    fn places_of_records_are_plausible() {
        let check = |bytes: &[u8], expected| assert_eq!(plausible(bytes), expected, "{bytes:?}");
        check(&[], true);
        check(&[23, 3], true);
        check(&[23, 3, 3, 0], true);
        check(&[23, 3, 3, 0, 16], true);
        check(&[23, 3, 3, 0, 15], false);
        check(&[20, 3, 3, 0, 1], true);
        check(&[23, 3, 1], false);
        check(&[23, 3, 3, 0x50, 0], false);
        check(&[24], false);
    }
}
