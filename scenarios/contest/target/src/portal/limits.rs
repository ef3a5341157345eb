//! What texts may be, and how many members a team has.

use crate::refusal::{BAD_REQUEST, Refusal};

/// Members that a team has at most.
pub(crate) const MEMBERS: i64 = 3;
/// Teams that may register, unless `/initialize` says otherwise.
pub(crate) const CAPACITY: i64 = 300;
/// Characters of a contestant's id.
const ID: usize = 64;
/// Characters of a name, a host or a password.
pub(crate) const NAME: usize = 255;
/// Characters of a question, an answer or a reason.
pub(crate) const PROSE: usize = 10_000;

/// Refuse a text that is too long.
pub(crate) fn at_most(what: &str, text: &str, limit: usize) -> Result<(), Refusal> {
    if text.chars().count() > limit {
        return Err(BAD_REQUEST.because(format!("{what} has at most {limit} characters")));
    }
    Ok(())
}

/// Refuse a text that is empty or too long.
pub(crate) fn some(what: &str, text: &str, limit: usize) -> Result<(), Refusal> {
    if text.is_empty() {
        return Err(BAD_REQUEST.because(format!("{what} must not be empty")));
    }
    at_most(what, text, limit)
}

/// Refuse what is no contestant's id.
pub(crate) fn contestant_id(id: &str) -> Result<(), Refusal> {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    if id.is_empty() || id.len() > ID || !id.bytes().all(known) {
        let rule = format!("an id has 1 to {ID} characters of A-Z, a-z, 0-9, _ and -");
        return Err(BAD_REQUEST.because(rule));
    }
    Ok(())
}
