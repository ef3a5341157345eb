//! A fast 64-bit hash of short texts.

/// Odd constants with as many zeros as ones: the fractional digits of pi, e and the square root of 2.
const SEEDS: [u64; 3] = [
    0x243f_6a88_85a3_08d3,
    0xb7e1_5162_8aed_2a6b,
    0x6a09_e667_f3bc_c909,
];

#[inline]
fn mix(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    product as u64 ^ (product >> 64) as u64
}

/// Hash `text`: 16 bytes a step, each step a multiplication to 128 bits whose halves are folded.
pub(super) fn hash(text: &[u8]) -> u64 {
    let mut state = SEEDS[0] ^ text.len() as u64;
    let mut rest = text;
    while let Some((words, more)) = rest.split_first_chunk::<16>() {
        state = step(state, u128::from_le_bytes(*words));
        rest = more;
    }
    // The last 16 bytes once more, or what there is of them.
    let last = match text.last_chunk::<16>() {
        Some(words) => u128::from_le_bytes(*words),
        None => rest
            .iter()
            .fold(0, |word, byte| word << 8 | u128::from(*byte)),
    };
    mix(step(state, last) ^ SEEDS[2], SEEDS[1])
}

#[inline]
fn step(state: u64, words: u128) -> u64 {
    mix(state ^ words as u64, SEEDS[1] ^ (words >> 64) as u64)
}
