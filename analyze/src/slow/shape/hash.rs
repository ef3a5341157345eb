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

#[inline]
fn word(bytes: &[u8]) -> u64 {
    let mut word = [0; 8];
    word[..bytes.len()].copy_from_slice(bytes);
    u64::from_le_bytes(word)
}

/// Hash `text`: 16 bytes a step, each step a multiplication to 128 bits whose halves are folded.
pub(super) fn hash(text: &[u8]) -> u64 {
    let mut state = SEEDS[0] ^ text.len() as u64;
    let mut chunks = text.chunks_exact(16);
    for chunk in &mut chunks {
        let (low, high) = chunk.split_at(8);
        state = mix(state ^ word(low), SEEDS[1] ^ word(high));
    }
    let rest = chunks.remainder();
    let (low, high) = rest.split_at(rest.len().min(8));
    state = mix(state ^ word(low), SEEDS[1] ^ word(high));
    mix(state ^ SEEDS[2], SEEDS[1])
}
