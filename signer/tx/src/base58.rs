//! Owns the ledger's base58 with a four-byte checksum. Knows nothing of what the bytes mean.

use crate::hash::sha256;

const ALPHABET: &[u8; 58] = b"rpshnaf39wBUDNEGHJKLM4PQRST7VWXYZ2bcdeCg65jkm8oFqi1tuvAxyz";

/// Bytes of a checksum: the start of a double SHA-256.
const CHECKSUM_BYTES: usize = 4;

/// The longest text that is decoded at all. An X-address has 47 characters; decoding costs the square of the length.
pub(crate) const TEXT_BYTES_MAX: usize = 64;

/// Why a text is not base58 with a checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Base58Error {
    TooLong,
    Character,
    Checksum,
}

/// The text of `payload` followed by its checksum.
pub(crate) fn encode_check(payload: &[u8]) -> String {
    let mut bytes = payload.to_vec();
    bytes.extend_from_slice(&checksum(payload));
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();

    // The number in base 58, least significant digit first.
    let mut digits: Vec<u8> = Vec::with_capacity(TEXT_BYTES_MAX);
    for byte in &bytes[zeros..] {
        let mut carry = u32::from(*byte);
        for digit in &mut digits {
            carry += u32::from(*digit) << 8;
            *digit = (carry % 58) as u8;
            carry /= 58;
        }
        while carry > 0 {
            digits.push((carry % 58) as u8);
            carry /= 58;
        }
    }
    digits.resize(digits.len() + zeros, 0);
    digits
        .iter()
        .rev()
        .map(|digit| char::from(ALPHABET[usize::from(*digit)]))
        .collect()
}

/// The payload of a text, without its checksum, which was right. Of any length: the caller checks that.
pub(crate) fn decode_check(text: &str) -> Result<Vec<u8>, Base58Error> {
    if text.len() > TEXT_BYTES_MAX {
        return Err(Base58Error::TooLong);
    }
    // The number in base 256, least significant byte first.
    let mut bytes: Vec<u8> = Vec::with_capacity(TEXT_BYTES_MAX);
    let mut zeros = 0;
    for character in text.bytes() {
        let digit = ALPHABET
            .iter()
            .position(|known| *known == character)
            .ok_or(Base58Error::Character)?;
        if digit == 0 && bytes.is_empty() {
            zeros += 1; // a leading 'r' is a leading zero byte
        }
        let mut carry = digit as u32;
        for byte in &mut bytes {
            carry += u32::from(*byte) * 58;
            *byte = carry as u8;
            carry >>= 8;
        }
        if carry > 0 {
            bytes.push(carry as u8); // carry is below 58 + 255 * 58 / 256, so one byte holds it
        }
    }
    bytes.resize(bytes.len() + zeros, 0);
    bytes.reverse();

    let split = bytes
        .len()
        .checked_sub(CHECKSUM_BYTES)
        .ok_or(Base58Error::Checksum)?;
    let expected = bytes.split_off(split);
    if checksum(&bytes) != expected[..] {
        return Err(Base58Error::Checksum);
    }
    Ok(bytes)
}

fn checksum(payload: &[u8]) -> [u8; CHECKSUM_BYTES] {
    let [a, b, c, d, ..] = *sha256(&[sha256(&[payload]).as_bytes()]).as_bytes();
    [a, b, c, d]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_that_cannot_hold_a_checksum_is_refused() {
        for text in ["", "r", "rrr", "rrrr", "p"] {
            assert_eq!(decode_check(text), Err(Base58Error::Checksum), "{text}");
        }
        assert_eq!(decode_check("0"), Err(Base58Error::Character));
        assert_eq!(decode_check(&"r".repeat(65)), Err(Base58Error::TooLong));
    }

    proptest::proptest! {
        #![proptest_config(crate::same_cases_each_run())]

        #[test]
        fn payload_and_back_is_the_same(zeros in 0usize..6, rest in proptest::collection::vec(0u8.., 0..32)) {
            let mut payload = vec![0; zeros];
            payload.extend(rest);
            proptest::prop_assert_eq!(decode_check(&encode_check(&payload)), Ok(payload));
        }

        #[test]
        fn what_decodes_is_the_only_text_of_its_payload(text in "[rpshnaf39wB]{0,12}") {
            if let Ok(payload) = decode_check(&text) {
                proptest::prop_assert_eq!(encode_check(&payload), text);
            }
        }

        #[test]
        fn no_text_panics(text in ".{0,70}|[rpshnaf39wBUDNEGHJKLM]{0,70}") {
            let _ = decode_check(&text);
        }
    }
}
