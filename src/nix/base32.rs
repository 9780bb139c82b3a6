//! Nix's base 32: the text form of hashes and store paths.
//!
//! The bytes are one little-endian number; its most significant group of five bits is printed
//! first. The alphabet leaves out `e`, `o`, `t` and `u`, and is in ASCII order, so that texts of
//! equal length sort as the numbers do. Promises: decoding accepts exactly what encoding prints
//! (no other length, no other digit, no bits set in the padding) and never panics.

/// The 32 digits, in ascending order both of value and of ASCII.
pub const ALPHABET: &[u8; 32] = b"0123456789abcdfghijklmnpqrsvwxyz";

/// Marks a byte that is no digit in [`VALUES`].
const NO_DIGIT: u8 = 0xff;

/// The value of every byte as a digit.
const VALUES: [u8; 256] = {
    let mut values = [NO_DIGIT; 256];
    let mut digit = 0u8;
    while digit < 32 {
        values[ALPHABET[digit as usize] as usize] = digit;
        digit += 1;
    }
    values
};

/// Why a text is not the base-32 form of a number of the wanted length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Base32Error {
    /// The text has another number of characters than the wanted bytes need.
    #[error("{found} base-32 characters instead of {wanted}")]
    Length {
        /// Characters needed.
        wanted: usize,
        /// Bytes found.
        found: usize,
    },
    /// A byte that is not in the alphabet.
    #[error("the character at position {position} is not a base-32 digit of Nix")]
    Digit {
        /// Byte offset in the text, from 0.
        position: usize,
    },
    /// The first digit says more bits than the bytes can hold.
    #[error("bits are set beyond the last byte")]
    Padding,
}

/// The number of characters that `bytes` bytes take.
#[must_use]
pub const fn encoded_len(bytes: usize) -> usize {
    (bytes * 8).div_ceil(5)
}

/// The value of one digit, 0 to 31.
#[must_use]
pub(super) fn digit_value(byte: u8) -> Option<u8> {
    match VALUES[usize::from(byte)] {
        NO_DIGIT => None,
        value => Some(value),
    }
}

/// Whether all bytes are digits. Faster than decoding: without branches and tables.
#[must_use]
#[expect(
    clippy::needless_bitwise_bool,
    reason = "without branches the compiler looks at many bytes at once"
)]
pub(super) fn all_digits(text: &[u8]) -> bool {
    text.iter().fold(true, |so_far, &byte| {
        let number = byte.wrapping_sub(b'0') < 10;
        let letter = (byte.wrapping_sub(b'a') < 26)
            & (byte != b'e')
            & (byte != b'o')
            & (byte != b't')
            & (byte != b'u');
        so_far & (number | letter)
    })
}

/// Prints `bytes` in Nix's base 32.
#[must_use]
pub fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(encoded_len(bytes.len()));
    encode_to(bytes, &mut text);
    text
}

/// Appends the base-32 form of `bytes` to `text`.
pub fn encode_to(bytes: &[u8], text: &mut String) {
    // Five bytes are eight digits, so that only the last group, printed first, is cut short.
    for group in bytes.chunks(5).rev() {
        let number = group
            .iter()
            .rev()
            .fold(0u64, |number, &byte| number << 8 | u64::from(byte));
        for digit in (0..encoded_len(group.len())).rev() {
            let [value, ..] = (number >> (5 * digit)).to_le_bytes();
            text.push(char::from(ALPHABET[usize::from(value & 31)]));
        }
    }
}

/// Reads exactly `N` bytes from their base-32 form.
///
/// # Errors
///
/// A wrong length, a byte that is no digit, or padding bits that are not zero.
pub fn decode<const N: usize>(text: &[u8]) -> Result<[u8; N], Base32Error> {
    let mut bytes = [0; N];
    decode_into(text, &mut bytes)?;
    Ok(bytes)
}

/// Reads exactly as many bytes as `bytes` has from their base-32 form; on an error `bytes` holds
/// nothing of use.
///
/// # Errors
///
/// As [`decode`].
pub fn decode_into(text: &[u8], bytes: &mut [u8]) -> Result<(), Base32Error> {
    let wanted = encoded_len(bytes.len());
    if text.len() != wanted {
        return Err(Base32Error::Length {
            wanted,
            found: text.len(),
        });
    }
    let mut end = text.len();
    for (digits, group) in text.rchunks(8).zip(bytes.chunks_mut(5)) {
        end -= digits.len();
        let mut number = 0u64;
        for (index, &byte) in digits.iter().enumerate() {
            let position = end + index;
            let value = digit_value(byte).ok_or(Base32Error::Digit { position })?;
            number = number << 5 | u64::from(value);
        }
        let number = number.to_le_bytes();
        let (kept, beyond) = number.split_at(group.len());
        if beyond.iter().any(|&byte| byte != 0) {
            return Err(Base32Error::Padding);
        }
        group.copy_from_slice(kept);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn prints_the_known_vectors() {
        let mut low = [0u8; 20];
        low[0] = 1;
        assert_eq!(encode(&low), "00000000000000000000000000000001");
        let mut high = [0u8; 20];
        high[19] = 1;
        assert_eq!(encode(&high), "04000000000000000000000000000000");
        assert_eq!(encode(&[]), "");
    }

    #[test]
    fn both_ways_of_telling_digits_agree() {
        for byte in 0..=255 {
            assert_eq!(all_digits(&[byte]), digit_value(byte).is_some(), "{byte}");
        }
        assert!(all_digits(ALPHABET) && !all_digits(b"0123e"));
    }

    #[test]
    fn rejects_what_encoding_never_prints() {
        assert_eq!(
            decode::<1>(b"0"),
            Err(Base32Error::Length {
                wanted: 2,
                found: 1
            })
        );
        assert_eq!(decode::<1>(b"0e"), Err(Base32Error::Digit { position: 1 }));
        assert_eq!(
            decode::<1>(b"\xff0"),
            Err(Base32Error::Digit { position: 0 })
        );
        assert_eq!(decode::<1>(b"7z"), Ok([0xff]));
        assert_eq!(decode::<1>(b"80"), Err(Base32Error::Padding));
        // 52 digits hold 260 bits, four more than a SHA-256 has.
        assert_eq!(decode::<32>(&[b'z'; 52]), Err(Base32Error::Padding));
    }

    proptest! {
        #[test]
        fn round_trips(bytes in proptest::collection::vec(any::<u8>(), 0..70)) {
            let text = encode(&bytes);
            let mut back = vec![0; bytes.len()];
            decode_into(text.as_bytes(), &mut back).unwrap();
            prop_assert_eq!(back, bytes);
        }

        #[test]
        fn what_decodes_prints_back(text in "[0-9a-z]{52}") {
            if let Ok(bytes) = decode::<32>(text.as_bytes()) {
                prop_assert_eq!(encode(&bytes), text);
            }
        }

        #[test]
        fn order_of_texts_is_order_of_numbers(a in any::<[u8; 20]>(), b in any::<[u8; 20]>()) {
            let number = |mut bytes: [u8; 20]| { bytes.reverse(); bytes };
            prop_assert_eq!(encode(&a).cmp(&encode(&b)), number(a).cmp(&number(b)));
        }
    }
}
