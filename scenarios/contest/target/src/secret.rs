//! Hashes and tokens.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};

/// The SHA-256 of some bytes in hexadecimal digits.
pub(crate) fn hash(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// What is kept of a password. A sample's choice: fast, where a real portal would want it slow.
pub(crate) fn password_hash(contestant: &str, password: &str) -> String {
    hash(format!("contest\0{contestant}\0{password}").as_bytes())
}

/// A token of so many hexadecimal digits that nobody can guess.
pub(crate) fn token(digits: usize) -> String {
    let mut bytes = vec![0; digits / 2];
    // Without the system's randomness there is no session to give: the request fails as internal.
    getrandom::fill(&mut bytes).expect("the system gives random bytes");
    hex(&bytes)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
