//! pt-query-digest's own fingerprints and ids.

use md5::{Digest, Md5};

/// The fingerprint that pt-query-digest 3.2.1 gives a statement.
pub fn fingerprint(statement: &[u8]) -> String {
    super::shape::render(statement)
}

/// pt-query-digest 3.2.1's id of a fingerprint: its MD5, 32 digits in upper case.
pub fn id(fingerprint: &str) -> String {
    Md5::digest(fingerprint.as_bytes())
        .iter()
        .map(|byte| format!("{byte:02X}"))
        .collect()
}

/// A fingerprint's hash.
pub(super) fn hash(statement: &[u8]) -> u64 {
    super::shape::hash_of(fingerprint(statement).as_bytes())
}
