//! Bytes as text.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD, URL_SAFE_NO_PAD};

/// The form that Matrix calls unpadded. Reading is lenient, as the specification asks for: padding may be there.
/// <https://spec.matrix.org/v1.18/appendices/#unpadded-base64>
const UNPADDED: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// Returns the bytes in lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |value: u8| char::from(DIGITS.get(usize::from(value)).copied().unwrap_or(b'0'));
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// Returns the bytes in base64 with padding.
pub fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// Returns the bytes in base64 without padding.
pub fn unpadded_base64(bytes: &[u8]) -> String {
    UNPADDED.encode(bytes)
}

/// Returns the bytes of a text in base64, with or without padding; `None` if it is none.
pub fn from_base64(text: &str) -> Option<Vec<u8>> {
    UNPADDED.decode(text).ok()
}

/// Returns the bytes in base64 without padding, with the letters that URLs take as they are.
pub fn url_base64(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Reverses [`url_base64`]; `None` if the text is no such.
pub fn from_url_base64(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_as_text() {
        assert_eq!(hex(&[0x00, 0x9f, 0xff]), "009fff");
        for (bytes, padded, unpadded) in
            [("", "", ""), ("f", "Zg==", "Zg"), ("fo", "Zm8=", "Zm8"), ("foo", "Zm9v", "Zm9v")]
        {
            assert_eq!((&*base64(bytes.as_bytes()), &*unpadded_base64(bytes.as_bytes())), (padded, unpadded));
            for text in [padded, unpadded] {
                assert_eq!(from_base64(text).as_deref(), Some(bytes.as_bytes()), "{text}");
            }
        }
        assert_eq!(from_base64("Zh"), Some(b"f".to_vec()), "bits that are left over do not count");
        assert_eq!(from_base64("-_"), None);
        assert_eq!(url_base64(&[0xfb, 0xff]), "-_8");
        assert_eq!(from_url_base64("-_8"), Some(vec![0xfb, 0xff]));
        assert_eq!(from_url_base64("+/8"), None);
    }
}
