//! Owns memos and the limits that servers put on them: a transaction that breaks one is not even given a result code.

use crate::encode;

/// Encoded bytes of all memos of a transaction together, as servers count them. More is refused by every server.
pub const MEMOS_BYTES_MAX: usize = 1024;

/// What RFC 3986 lets stand in a URL besides letters and digits. Servers refuse a memo type or format with anything else.
const URL_PUNCTUATION: &[u8] = b"-._~:/?#[]@!$&'()*+,;=%";

/// One memo. [`Memo::new`] checks it, and [`Memos::new`] checks it again, so that no other can be sent.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Memo {
    /// What the memo is about. URL characters only.
    pub memo_type: Option<Vec<u8>>,
    /// Any bytes.
    pub data: Option<Vec<u8>>,
    /// How to read the data, by custom a MIME type. URL characters only.
    pub format: Option<Vec<u8>>,
}

/// All memos of one transaction, within the limits. None is the default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Memos(Vec<Memo>);

/// Why a memo cannot be sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MemoError {
    /// There is nothing in it.
    #[error("memo has no type, no data and no format")]
    Empty,
    /// The type has other than URL characters.
    #[error("memo type has byte {byte:02X}, which is not a URL character of RFC 3986")]
    TypeCharacter {
        /// The first such byte.
        byte: u8,
    },
    /// The format has other than URL characters.
    #[error("memo format has byte {byte:02X}, which is not a URL character of RFC 3986")]
    FormatCharacter {
        /// The first such byte.
        byte: u8,
    },
    /// All memos together are too long.
    #[error("memos take {bytes} bytes when encoded, more than {MEMOS_BYTES_MAX}")]
    TooLong {
        /// How many they would take.
        bytes: usize,
    },
}

impl Memo {
    /// Checks the parts. A part without bytes counts as absent.
    pub fn new(
        memo_type: Option<Vec<u8>>,
        data: Option<Vec<u8>>,
        format: Option<Vec<u8>>,
    ) -> Result<Memo, MemoError> {
        let present = |part: &Vec<u8>| !part.is_empty();
        let memo = Memo {
            memo_type: memo_type.filter(present),
            data: data.filter(present),
            format: format.filter(present),
        };
        if let Some(byte) = memo.memo_type.as_deref().and_then(first_outside_url) {
            return Err(MemoError::TypeCharacter { byte });
        }
        if let Some(byte) = memo.format.as_deref().and_then(first_outside_url) {
            return Err(MemoError::FormatCharacter { byte });
        }
        if memo.memo_type.is_none() && memo.data.is_none() && memo.format.is_none() {
            return Err(MemoError::Empty);
        }
        Ok(memo)
    }
}

impl Memos {
    /// Checks each memo and the length of all together.
    pub fn new(memos: Vec<Memo>) -> Result<Memos, MemoError> {
        let memos = memos
            .into_iter()
            .map(|memo| Memo::new(memo.memo_type, memo.data, memo.format))
            .collect::<Result<Vec<_>, _>>()?;
        let bytes = memos.iter().map(encode::memo_bytes).sum();
        if bytes > MEMOS_BYTES_MAX {
            return Err(MemoError::TooLong { bytes });
        }
        Ok(Memos(memos))
    }

    /// The memos in their order.
    pub fn as_slice(&self) -> &[Memo] {
        &self.0
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn first_outside_url(text: &[u8]) -> Option<u8> {
    text.iter()
        .copied()
        .find(|byte| !byte.is_ascii_alphanumeric() && !URL_PUNCTUATION.contains(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memos_are_held_to_the_limits_of_servers() {
        let data = |bytes: usize| Memo::new(None, Some(vec![7; bytes]), None).unwrap();
        // Header, field header, two bytes of length, end marker: five bytes besides the data.
        assert!(Memos::new(vec![data(1019)]).is_ok());
        assert_eq!(
            Memos::new(vec![data(1020)]),
            Err(MemoError::TooLong { bytes: 1025 })
        );
        assert_eq!(
            Memos::new(vec![data(508), data(507), data(1)]),
            Err(MemoError::TooLong { bytes: 1030 })
        );
        assert!(matches!(
            Memos::new(vec![data(10_000_000)]),
            Err(MemoError::TooLong { .. })
        ));
        assert!(Memos::new(vec![]).unwrap().is_empty());
    }

    #[test]
    fn memo_types_and_formats_are_url_text() {
        let memo = |memo_type: &str, format: &str| {
            Memo::new(Some(memo_type.into()), None, Some(format.into()))
        };
        assert!(
            memo(
                "http://example.com/a-b_c.d~e?f#[g]@!$&'()*+,;=%41",
                "text/plain"
            )
            .is_ok()
        );
        assert_eq!(
            memo("two words", "x"),
            Err(MemoError::TypeCharacter { byte: b' ' })
        );
        assert_eq!(
            memo("x", "\"q\""),
            Err(MemoError::FormatCharacter { byte: b'"' })
        );
        for byte in [
            b' ', b'"', b'<', b'>', b'\\', b'^', b'`', b'{', b'|', b'}', 0, b'\n', 0x7F, 0x80, 0xFF,
        ] {
            assert_eq!(
                Memo::new(Some(vec![byte]), None, None),
                Err(MemoError::TypeCharacter { byte })
            );
        }
    }

    #[test]
    fn empty_memos_are_refused_however_they_are_made() {
        assert_eq!(Memo::new(None, None, None), Err(MemoError::Empty));
        assert_eq!(
            Memo::new(Some(vec![]), Some(vec![]), Some(vec![])),
            Err(MemoError::Empty)
        );
        let unchecked = Memo {
            memo_type: Some(vec![0xFF]),
            data: None,
            format: None,
        };
        assert_eq!(
            Memos::new(vec![unchecked]),
            Err(MemoError::TypeCharacter { byte: 0xFF })
        );
        // An empty part is left out, not written as a field without bytes.
        let memo = Memo {
            memo_type: Some(vec![]),
            data: Some(vec![1]),
            format: None,
        };
        let expected = Memo {
            memo_type: None,
            data: Some(vec![1]),
            format: None,
        };
        assert_eq!(Memos::new(vec![memo]).unwrap().as_slice(), [expected]);
    }
}
