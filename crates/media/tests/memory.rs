//! Memory of decoding a picture that decompresses to much more than its size.

#![expect(clippy::unwrap_used, reason = "a test fails where something is not as it says")]

use reeve_media::picture::{self, Shrunk};
use reeve_media::size::Size;

/// Decompressed size of the colour profile, in bytes.
const PROFILE: usize = 500 * 1024 * 1024;
/// Maximum memory of a thumbnail of a small picture, in bytes.
const MAX: u64 = 48 * 1024 * 1024;

/// `length` zero bytes, compressed (RFC 1950, RFC 1951): one zero, and then the longest repetition again and
/// again.
fn packed_zeros(length: usize) -> Vec<u8> {
    let (mut out, mut bits, mut count) = (vec![0x78, 0x01], 0_u32, 0);
    let mut push = |value: u32, width: u32| {
        bits |= value << count;
        count += width;
        while count >= 8 {
            out.push(u8::try_from(bits & 0xff).unwrap());
            bits >>= 8;
            count -= 8;
        }
    };
    // The last block, with fixed codes. Codes are written from their highest bit.
    push(0b011, 3);
    push(0b0000_1100, 8);
    for _ in 0..length / 258 {
        push(0b1010_0011, 8);
        push(0, 5);
    }
    push(0, 7 + 7);
    out
}

fn chunk(kind: [u8; 4], data: &[u8]) -> Vec<u8> {
    let body = [kind.as_slice(), data].concat();
    let crc = body.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0xedb8_8320 * (crc & 1)))
    });
    [&u32::try_from(data.len()).unwrap().to_be_bytes(), body.as_slice(), &(!crc).to_be_bytes()].concat()
}

/// The peak memory of this process, in bytes.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

#[test]
fn a_profile_that_unpacks_to_much_is_left_packed() {
    let mut png = Vec::new();
    let picture = image::DynamicImage::new_rgb8(100, 50);
    picture.write_to(&mut std::io::Cursor::new(&mut png), image::ImageFormat::Png).unwrap();
    // After the signature and the header.
    let profile = [b"icc\0\0".as_slice(), &packed_zeros(PROFILE)].concat();
    png.splice(33..33, chunk(*b"iCCP", &profile));

    let before = peak();
    let shrunk = picture::shrink(&png, Size { width: 10, height: 10, crop: false }, false, 32_000_000);
    let grown = peak() - before;
    assert!(matches!(shrunk.unwrap(), Shrunk::Smaller("image/png", _)));
    assert_eq!(picture::dimensions(&png).unwrap(), (100, 50));
    assert!(grown < MAX, "{grown} bytes");
}
