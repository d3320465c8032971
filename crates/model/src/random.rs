//! Random values for identifiers and secrets, from the operating system's generator.

use rand::RngExt;

const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const CAPITALS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ";
const TOKEN: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

#[expect(clippy::disallowed_methods, reason = "the one place that reads the random generator")]
fn pick(alphabet: &[u8], length: usize) -> String {
    let mut rng = rand::rng();
    (0..length)
        .map(|_| char::from(alphabet.get(rng.random_range(0..alphabet.len())).copied().unwrap_or(b'A')))
        .collect()
}

/// `length` random ASCII letters, for identifiers such as sessions and jobs.
pub fn letters(length: usize) -> String {
    pick(LETTERS, length)
}

/// `length` random capital ASCII letters, the usual form of a device id.
pub fn capitals(length: usize) -> String {
    pick(CAPITALS, length)
}

/// `length` random ASCII letters and digits, for secrets. 32 of them hold 190 bits.
pub fn secret(length: usize) -> String {
    pick(TOKEN, length)
}

/// `N` random bytes.
#[expect(clippy::disallowed_methods, reason = "the one place that reads the random generator")]
pub fn bytes<const N: usize>() -> [u8; N] {
    rand::rng().random()
}

/// A random number below `bound` (0 when `bound` is 0), for jitter and sampling.
#[expect(clippy::disallowed_methods, reason = "the one place that reads the random generator")]
pub fn below(bound: u64) -> u64 {
    if bound == 0 { 0 } else { rand::rng().random_range(0..bound) }
}
