//! A fast hash of bytes, the same on every machine and in every run.
//!
//! 16 bytes at a time are multiplied to 128 bits whose halves are folded into 64, as wyhash does. It
//! is not keyed: someone who writes the log's lines could make two texts meet, and would see two
//! groups of a report as one.

/// Odd numbers without a pattern: digits of the square roots of 2, 3 and 5.
const SEED: u64 = 0x6a09_e667_f3bc_c909;
const LOW: u64 = 0xbb67_ae85_84ca_a73b;
const HIGH: u64 = 0x3c6e_f372_fe94_f82b;

#[inline(always)]
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    (product as u64) ^ ((product >> 64) as u64)
}

#[inline(always)]
fn word(bytes: &[u8]) -> u64 {
    bytes.first_chunk().map_or(0, |c| u64::from_le_bytes(*c))
}

/// The last at most 16 bytes as two words; they may overlap.
#[inline(always)]
fn tail(rest: &[u8]) -> (u64, u64) {
    let half = |bytes: &[u8]| {
        bytes
            .first_chunk()
            .map_or(0, |c| u64::from(u32::from_le_bytes(*c)))
    };
    match rest.len() {
        8.. => (word(rest), word(&rest[rest.len() - 8..])),
        4.. => (half(rest), half(&rest[rest.len() - 4..])),
        0 => (0, 0),
        n => {
            let ends = u64::from(rest[0]) | u64::from(rest[n / 2]) << 8;
            (ends | u64::from(rest[n - 1]) << 16, 0)
        }
    }
}

/// Hash `bytes`. Never 0.
#[inline]
pub(crate) fn hash(bytes: &[u8]) -> u64 {
    let mut state = SEED ^ (bytes.len() as u64);
    let (chunks, rest) = bytes.as_chunks::<16>();
    for chunk in chunks {
        let mixed = fold(word(chunk) ^ LOW, word(&chunk[8..]) ^ state);
        // Were the product alone the new state, a chunk equal to LOW would erase what came before.
        state = mixed.wrapping_add(state.rotate_left(32));
    }
    let (low, high) = tail(rest);
    state = fold(low ^ LOW, high ^ state).wrapping_add(state);
    fold(state ^ HIGH, LOW ^ state.rotate_left(32)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn near_texts_do_not_meet() {
        let mut seen = HashSet::new();
        for len in 0..70 {
            let zeros = vec![0_u8; len];
            assert!(seen.insert(hash(&zeros)), "{len} zeros");
            for at in 0..len {
                for bit in 0..8 {
                    let mut text = zeros.clone();
                    text[at] ^= 1 << bit;
                    assert!(seen.insert(hash(&text)), "{len} {at} {bit}");
                }
            }
        }
    }
}
