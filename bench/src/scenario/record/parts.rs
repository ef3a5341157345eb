//! The parts of a capture: each begins where the target was reset.

use super::limits::PARTS;
use super::model::Exchange;

/// A part.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Part {
    /// What reset the target.
    pub(super) reset: Option<usize>,
    /// What came after it, in the order of time.
    pub(super) exchanges: Vec<usize>,
}

/// Whether a request is of the kind that makes the target forget everything.
fn is_reset(exchange: &Exchange) -> bool {
    let last = exchange.path().trim_end_matches('/').rsplit('/').next();
    let is_named = last.is_some_and(|word| {
        ["initialize", "init", "reset"].contains(&word.to_ascii_lowercase().as_str())
    });
    is_named && exchange.is_success()
}

/// Split exchanges, which are in the order of time. What else goes on during a reset makes it a request
/// like others.
pub(super) fn parts(exchanges: &[Exchange]) -> Vec<Part> {
    let mut parts = vec![Part::default()];
    let mut last_end = i64::MIN;
    for (at, exchange) in exchanges.iter().enumerate() {
        let is_alone = last_end <= exchange.began_us
            && exchanges
                .get(at + 1)
                .is_none_or(|next| next.began_us >= exchange.ended_us);
        if is_reset(exchange) && is_alone && parts.len() <= PARTS {
            parts.push(Part {
                reset: Some(at),
                exchanges: Vec::new(),
            });
        } else if let Some(part) = parts.last_mut() {
            part.exchanges.push(at);
        }
        last_end = last_end.max(exchange.ended_us);
    }
    parts.retain(|part| part.reset.is_some() || !part.exchanges.is_empty());
    parts
}
