//! Mutated inputs for everything that reads text or bytes from outside: transactions, addresses, amounts.
//!
//! Owns no rule. The corpus is in `fuzz-corpus/`, one input a line; whatever once went wrong is added there. The draws
//! follow from a fixed seed, so that a run that fails fails again, and from no clock: what bounds a run is a number of
//! rounds, `PAYGATE_TESTS_FULL=1` makes it larger.

use std::collections::BTreeSet;

use serde_json::Value;
use xrpl::core::{addresscodec, binarycodec};

use crate::address::{AccountId, Destination, to_x_address};
use crate::base58;
use crate::decode::DecodeError;
use crate::drops::{Drops, DropsError};
use crate::issued::{IssuedValue, IssuedValueError};
use crate::tx::{Amount, Body, Unsigned};

const TRANSACTIONS: &str = include_str!("../fuzz-corpus/transactions.hex");
const ADDRESSES: &str = include_str!("../fuzz-corpus/addresses.txt");
const AMOUNTS: &str = include_str!("../fuzz-corpus/amounts.txt");
const ISSUED_VALUES: &str = include_str!("../fuzz-corpus/issued-values.txt");

/// Mutated inputs of each kind: a few seconds without optimisation.
const ROUNDS: u32 = 30_000;

/// The same with `PAYGATE_TESTS_FULL=1`: about a minute.
const FULL_ROUNDS: u32 = 1_000_000;

/// Changes of one input, at most. More leave nothing of what makes it interesting.
const CHANGES_MAX: u64 = 4;

/// Longest piece that one change moves, repeats or removes.
const PIECE_BYTES_MAX: u64 = 40;

/// Prefix of what is signed.
const PREFIX: &[u8] = b"STX\0";

fn rounds() -> u32 {
    #[expect(
        clippy::disallowed_methods,
        reason = "how long a test runs is no answer of the crate"
    )]
    match std::env::var_os("PAYGATE_TESTS_FULL") {
        Some(_) => FULL_ROUNDS,
        None => ROUNDS,
    }
}

/// SplitMix64.
struct Draws(u64);

impl Draws {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }

    /// A piece of the bytes, possibly of length zero.
    fn piece(&mut self, bytes: &[u8]) -> std::ops::Range<usize> {
        let from = self.below(bytes.len() + 1);
        let length = self.below(PIECE_BYTES_MAX as usize + 1);
        from..(from + length).min(bytes.len())
    }

    /// One of the corpus with a few changes. `alphabet` holds the bytes that mean something to the reader.
    fn mutated(&mut self, corpus: &[Vec<u8>], alphabet: &[u8]) -> Vec<u8> {
        let mut bytes = corpus[self.below(corpus.len())].clone();
        for _ in 0..self.next() % (CHANGES_MAX + 1) {
            let piece = self.piece(&bytes);
            let at = self.below(bytes.len());
            match self.below(9) {
                0 if !bytes.is_empty() => bytes[at] ^= 1 << self.below(8),
                1 if !bytes.is_empty() => bytes[at] = alphabet[self.below(alphabet.len())],
                2 if !bytes.is_empty() => bytes[at] = self.next() as u8,
                3 if !bytes.is_empty() => bytes[at] = bytes[at].wrapping_add(1),
                4 => bytes.insert(at, alphabet[self.below(alphabet.len())]),
                5 => drop(bytes.drain(piece)),
                6 => {
                    let again = bytes[piece.clone()].to_vec();
                    bytes.splice(piece.end..piece.end, again);
                }
                7 => bytes.truncate(at),
                _ => {
                    let other = &corpus[self.below(corpus.len())];
                    let from = self.piece(other);
                    bytes.splice(piece, other[from].iter().copied());
                }
            }
        }
        bytes
    }
}

fn lines(corpus: &str) -> Vec<Vec<u8>> {
    let lines: Vec<Vec<u8>> = corpus
        .lines()
        .map(|line| line.as_bytes().to_vec())
        .collect();
    assert!(lines.len() > 10, "the corpus is there");
    lines
}

/// Calls `check` with the corpus as it is and then with mutations of it. It says whether the input was accepted; of both
/// there must be many.
fn fuzz(corpus: &[Vec<u8>], alphabet: &[u8], mut check: impl FnMut(&[u8]) -> bool) {
    let mut accepted = BTreeSet::new();
    let mut refused = 0;
    let mut draws = Draws(0x5EED);
    let mut one = |input: Vec<u8>| match check(&input) {
        true => drop(accepted.insert(input)),
        false => refused += 1,
    };
    corpus.iter().cloned().for_each(&mut one);
    (0..rounds()).for_each(|_| one(draws.mutated(corpus, alphabet)));
    let known: BTreeSet<_> = corpus.iter().cloned().collect();
    let new = accepted.difference(&known).count();
    assert!(new > 100, "only {new} new inputs were accepted");
    assert!(refused > 100, "only {refused} inputs were refused");
}

// === transactions ===

/// Whether the bytes are read. What is read must be exactly them, for us and for another implementation.
fn check_transaction(bytes: &[u8]) -> bool {
    let payload = [PREFIX, bytes].concat();
    let unsigned = Unsigned::from_signing_payload(&payload);
    if let Ok(tx) = &unsigned {
        assert_eq!(tx.signing_payload(), payload);
        // The other side has to see the same fields, of which it writes the same bytes.
        if others_read(tx) {
            let read = as_others_read(bytes);
            assert_eq!(read["Fee"], tx.fee.get().to_string().as_str());
        }
    }
    let signed = Unsigned::from_blob(bytes);
    if let Ok((tx, signature)) = &signed {
        assert_eq!(tx.sign_with(signature).unwrap().blob, bytes);
        if others_read(tx) {
            let read = as_others_read(bytes);
            assert_eq!(read["Account"], tx.account.to_address().as_str());
            assert_eq!(read["TxnSignature"], hex::encode_upper(signature).as_str());
        }
        assert_eq!(
            Unsigned::from_signing_payload(&tx.signing_payload()),
            Ok(tx.clone())
        );
    }
    assert!(
        unsigned.is_err() || signed.is_err(),
        "nothing is both signed and not"
    );
    unsigned.is_ok() || signed.is_ok()
}

/// The ledger holds issued amounts that the other side cannot read.
fn others_read(tx: &Unsigned) -> bool {
    let Body::Payment(payment) = &tx.body else {
        return true;
    };
    match payment.amount {
        Amount::Xrp(_) => true,
        Amount::Issued { amount, send_max } => {
            amount.check_second_reader().is_ok()
                && send_max.is_none_or(|send_max| send_max.check_second_reader().is_ok())
        }
    }
}

fn as_others_read(bytes: &[u8]) -> Value {
    let text = hex::encode_upper(bytes);
    let read = binarycodec::decode(&text).expect("the other side reads what we accept");
    assert_eq!(binarycodec::encode(&read).unwrap(), text);
    read
}

#[test]
fn whatever_bytes_come_what_is_read_as_a_transaction_is_exactly_them() {
    let corpus: Vec<_> = lines(TRANSACTIONS)
        .iter()
        .map(|line| hex::decode(line).unwrap())
        .collect();
    // The bytes that begin or end a field, and the ends of both forms of a length.
    let alphabet = [
        0x12, 0x20, 0x21, 0x22, 0x23, 0x24, 0x2E, 27, 40, 41, 0x50, 17, 0x61, 0x68, 0x69, 0x73,
        0xD4, 0xC0, 0x80, 0x74, 0x7C, 0x7D, 0x7E, 0x81, 0x83, 0xEA, 0xE1, 0xF9, 0xF1, 0, 1, 2, 3,
        10, 20, 33, 64, 0x40, 192, 193, 240, 241, 254, 255,
    ];
    fuzz(&corpus, &alphabet, check_transaction);
}

#[test]
fn the_corpus_meets_every_reason_to_refuse_a_transaction() {
    let mut met = BTreeSet::new();
    for line in lines(TRANSACTIONS) {
        let bytes = hex::decode(line).unwrap();
        met.extend(Unsigned::from_signing_payload(&bytes).err().map(reason));
        met.extend(Unsigned::from_blob(&bytes).err().map(reason));
    }
    assert_eq!(met, (0..18).collect());
}

/// A number for each variant; a new one does not compile without its line, nor pass without an input in the corpus.
fn reason(error: DecodeError) -> u8 {
    match error {
        DecodeError::Prefix => 0,
        DecodeError::Truncated { .. } => 1,
        DecodeError::Missing { .. } => 2,
        DecodeError::Unexpected { .. } => 3,
        DecodeError::TransactionType { .. } => 4,
        DecodeError::NotXrp { .. } => 5,
        DecodeError::Drops { .. } => 6,
        DecodeError::Length { .. } => 7,
        DecodeError::PublicKey(_) => 8,
        DecodeError::Memo(_) => 9,
        DecodeError::Signature(_) => 10,
        DecodeError::NotCanonical => 11,
        DecodeError::TicketCount(_) => 12,
        DecodeError::IssuedValue { .. } => 13,
        DecodeError::ZeroValue { .. } => 14,
        DecodeError::Currency { .. } => 15,
        DecodeError::SendMaxAsset { .. } => 16,
        DecodeError::SendMax(_) => 17,
    }
}

// === addresses ===

/// Whether the text is read. What is read has one text, and another implementation takes it too.
fn check_address(text: &str) -> bool {
    let destination = Destination::parse(text);
    let account = AccountId::from_address(text);
    // Not the other way round: the other side also takes addresses of fewer than 20 bytes.
    assert!(account.is_err() || addresscodec::is_valid_classic_address(text));
    match &destination {
        Ok(Destination {
            account: paid,
            tag,
            network: Some(network),
        }) => {
            assert_eq!(to_x_address(*paid, *tag, *network), text);
            assert!(account.is_err());
        }
        Ok(Destination {
            account: paid,
            tag,
            network: None,
        }) => {
            assert_eq!((paid.to_address(), *tag), (text.to_owned(), None));
            assert_eq!(account, Ok(*paid));
        }
        Err(_) => assert!(account.is_err()),
    }
    destination.is_ok()
}

#[test]
fn whatever_text_comes_an_account_and_a_tag_have_one_address() {
    let corpus = lines(ADDRESSES);
    let alphabet = b"rXTxst10OIl =:?\0\xC3\xA9";
    // Mutated as text, hardly any checksum holds; mutated below the checksum, all do.
    let payloads: Vec<Vec<u8>> = corpus
        .iter()
        .filter_map(|line| base58::decode_check(str::from_utf8(line).unwrap()).ok())
        .collect();
    assert!(payloads.len() > 10);
    let known = [0x05, 0x44, 0x04, 0x93, 0, 1, 2, 255];
    fuzz(&payloads, &known, |payload| {
        check_address(&base58::encode_check(payload))
    });
    let mut draws = Draws(0x5EED);
    for line in &corpus {
        check_address(&String::from_utf8_lossy(line));
    }
    for _ in 0..rounds() {
        let text = draws.mutated(&corpus, alphabet);
        check_address(&String::from_utf8_lossy(&text));
    }
}

// === amounts ===

/// Whether the text is an amount, found apart from our reader: in 128 bits and by another order of checks.
fn expected_drops(text: &str) -> Option<u64> {
    let (whole, decimals) = match text.split('.').collect::<Vec<_>>()[..] {
        [whole] => (whole, "0"),
        [whole, decimals] => (whole, decimals),
        _ => return None,
    };
    let plain = |part: &str, digits: usize| {
        (1..=digits).contains(&part.len()) && part.chars().all(|c| c.is_ascii_digit())
    };
    if !plain(whole, 12) || !plain(decimals, 6) {
        return None;
    }
    let whole: u128 = whole.parse().ok()?;
    let decimals: u128 = format!("{decimals:0<6}").parse().ok()?;
    let drops = whole * 1_000_000 + decimals;
    u64::try_from(drops)
        .ok()
        .filter(|drops| *drops <= Drops::MAX.get())
}

#[test]
fn whatever_text_comes_an_amount_is_read_exactly_or_not_at_all() {
    let corpus = lines(AMOUNTS);
    fuzz(&corpus, b"0123456789.,-+eE _xX\0\xD9", |bytes| {
        let text = String::from_utf8_lossy(bytes);
        let read = Drops::from_xrp_str(&text);
        assert_eq!(
            read.as_ref().ok().map(|drops| drops.get()),
            expected_drops(&text),
            "{text:?}"
        );
        match read {
            Ok(drops) => assert_eq!(Drops::from_xrp_str(&drops.to_xrp_string()), Ok(drops)),
            Err(DropsError::AboveSupply { drops }) => assert!(drops > Drops::MAX.get()),
            Err(_) => {}
        }
        expected_drops(&text).is_some()
    });
}

// === issued values ===

/// What the text means, found apart from our reader: the digits as one number of 128 bits, the point and the exponent
/// moved into one power of ten, and only then the ledger's bounds.
fn expected_issued(text: &str) -> Option<(u128, i32)> {
    let lower = text.to_ascii_lowercase();
    let (number, exponent) = match lower.split('e').collect::<Vec<_>>()[..] {
        [number] => (number, 0),
        [number, exponent] => {
            let digits = exponent.trim_start_matches(['+', '-']);
            let plain =
                (1..=4).contains(&digits.len()) && digits.chars().all(|c| c.is_ascii_digit());
            if !plain || exponent.len() > digits.len() + 1 {
                return None;
            }
            (
                number,
                exponent.trim_start_matches('+').parse::<i32>().ok()?,
            )
        }
        _ => return None,
    };
    let (whole, decimals) = match number.split('.').collect::<Vec<_>>()[..] {
        [whole] => (whole, ""),
        [whole, decimals] if !decimals.is_empty() => (whole, decimals),
        _ => return None,
    };
    let digits = format!("{whole}{decimals}");
    let grammatical = !whole.is_empty()
        && digits.chars().all(|c| c.is_ascii_digit())
        && (whole == "0" || !whole.starts_with('0'));
    if text.len() > 128 || !grammatical {
        return None;
    }
    let significant = digits.trim_start_matches('0').trim_end_matches('0');
    if significant.is_empty() {
        return Some((0, 0));
    }
    let zeros = digits.len() - digits.trim_end_matches('0').len();
    let exponent = exponent - decimals.len() as i32 + zeros as i32;
    let shift = 16usize.checked_sub(significant.len())?;
    let mantissa = significant.parse::<u128>().ok()? * 10u128.pow(shift as u32);
    let exponent = exponent - shift as i32;
    (-96..=80)
        .contains(&exponent)
        .then_some((mantissa, exponent))
}

#[test]
fn whatever_text_comes_an_issued_value_is_read_exactly_or_not_at_all() {
    let corpus = lines(ISSUED_VALUES);
    fuzz(&corpus, b"0123456789.,-+eE _xX\0\xD9", |bytes| {
        let text = String::from_utf8_lossy(bytes);
        let read: Result<IssuedValue, IssuedValueError> = text.parse();
        let expected = expected_issued(&text);
        let found = read.as_ref().ok().map(|value| match value.is_zero() {
            true => (0, 0),
            false => (u128::from(value.mantissa()), value.exponent()),
        });
        assert_eq!(found, expected, "{text:?}");
        if let Ok(value) = read {
            assert_eq!(value.to_string().parse(), Ok(value));
            assert_eq!(IssuedValue::from_bytes(value.to_bytes()), Ok(value));
        }
        expected.is_some()
    });
}
