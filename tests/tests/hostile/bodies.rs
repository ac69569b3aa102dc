//! Messages that are none, or that mean harm: fuzzed, oversize, deep, of wrong types, and texts that look like others.
//!
//! Owns: bytes. May not: send them.

use paygate_proto::v1::{BatchCreatePaymentsRequest, CreatePaymentRequest, Memo};
use paygate_tests::world::client::payment;
use paygate_tests::world::draws::Draws;
use paygate_tests::world::wallet::payee;
use prost::Message as _;
use prost_types::field_descriptor_proto::Type;
use prost_types::{DescriptorProto, FileDescriptorSet};

/// A text that is not what it seems.
pub(super) struct Trick {
    pub(super) bytes: &'static [u8],
    /// A person's reason or comment may hold it: it is how other languages are written.
    pub(super) is_language: bool,
}

const fn never(bytes: &'static [u8]) -> Trick {
    Trick {
        bytes,
        is_language: false,
    }
}

const fn language(text: &'static str) -> Trick {
    Trick {
        bytes: text.as_bytes(),
        is_language: true,
    }
}

pub(super) const TRICKS: [Trick; 19] = [
    // Cyrillic and Greek letters and full-width digits among Latin ones.
    language("p\u{430}yment-1"),
    language("\u{3bf}rder-\u{ff11}"),
    // The same letter, composed and not.
    language("caf\u{e9}"),
    language("cafe\u{301}"),
    // Right-to-left override, isolates, marks.
    never("invoice-\u{202e}gnp.exe".as_bytes()),
    never("a\u{2066}b\u{2069}".as_bytes()),
    never("\u{200f}7".as_bytes()),
    // What nobody sees.
    never("in\u{200b}voice".as_bytes()),
    never("\u{feff}invoice".as_bytes()),
    never("line\u{2028}separator".as_bytes()),
    // Bytes that end texts, lines and terminals.
    never(b"invoice\0"),
    never(b"a\r\nb: c"),
    never(b"\x1b[2J\x1b]0;owned\x07"),
    never(b"\x7f\xc2\x85"),
    // No UTF-8: over-long, a surrogate, beyond the end, cut off, a lone byte.
    never(b"\xc0\xaf\xc0\x80"),
    never(b"\xed\xa0\x80"),
    never(b"\xf4\x90\x80\x80"),
    never(b"abc\xe2\x82"),
    never(b"\xff\xfe"),
];

/// A text field of a request: its number, inside of which others.
pub(super) struct TextField {
    pub(super) path: String,
    pub(super) name: String,
    pub(super) numbers: Vec<u32>,
}

/// Every text field of every request of `paygate.v1`, those of messages inside included.
pub(super) fn text_fields() -> Vec<TextField> {
    let set = FileDescriptorSet::decode(paygate_proto::FILE_DESCRIPTOR_SET).unwrap();
    let files: Vec<_> = set
        .file
        .iter()
        .filter(|file| file.package() == "paygate.v1")
        .collect();
    let messages: Vec<&DescriptorProto> =
        files.iter().flat_map(|file| &file.message_type).collect();
    let mut fields = Vec::new();
    for service in files.iter().flat_map(|file| &file.service) {
        for method in &service.method {
            if method.server_streaming() {
                continue;
            }
            let path = format!("/paygate.v1.{}/{}", service.name(), method.name());
            gather(&messages, method.input_type(), &path, &[], &mut fields);
        }
    }
    fields
}

fn gather(
    all: &[&DescriptorProto],
    of: &str,
    path: &str,
    inside: &[u32],
    found: &mut Vec<TextField>,
) {
    let short = of.rsplit('.').next().unwrap_or_default();
    let Some(message) = all.iter().find(|message| message.name() == short) else {
        return;
    };
    for field in &message.field {
        let numbers = [inside, &[u32::try_from(field.number()).unwrap()]].concat();
        match field.r#type() {
            Type::String => found.push(TextField {
                path: path.to_owned(),
                name: field.name().to_owned(),
                numbers,
            }),
            Type::Message if numbers.len() < 4 => {
                gather(all, field.type_name(), path, &numbers, found)
            }
            _ => {}
        }
    }
}

impl TextField {
    /// A request of this field alone, behind one that would be good where that matters.
    pub(super) fn request(&self, text: &[u8], number: u64) -> Vec<u8> {
        let mut bytes = text.to_vec();
        for number in self.numbers.iter().rev() {
            bytes = delimited(*number, &bytes);
        }
        let before = match self.path.rsplit('/').next() {
            Some("CreatePayment") => create(number).encode_to_vec(),
            _ => Vec::new(),
        };
        [before, bytes].concat()
    }
}

/// A payment that would be stored, if nothing were done to it.
pub(super) fn create(number: u64) -> CreatePaymentRequest {
    CreatePaymentRequest {
        memos: vec![Memo {
            r#type: "text/plain".into(),
            data: b"thank you".to_vec(),
            format: String::new(),
        }],
        ..payment(&format!("evil-{number}"), &payee("mallory"), 1_000)
    }
}

/// A field of a length.
fn delimited(number: u32, bytes: &[u8]) -> Vec<u8> {
    let mut field = varint(u64::from(number) << 3 | 2);
    field.extend(varint(bytes.len() as u64));
    field.extend(bytes);
    field
}

fn varint(mut number: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number >= 128 {
        bytes.push((number % 128) as u8 | 128);
        number /= 128;
    }
    bytes.push(number as u8);
    bytes
}

/// A message of one of these kinds. Nearly all are refused; what is left good is answered as good.
pub(super) fn drawn(draws: &mut Draws, number: u64) -> Vec<u8> {
    match draws.below(12) {
        0 => random(draws, 600),
        1..=4 => mutated(draws, create(number).encode_to_vec()),
        5 => {
            let items = vec![create(number); 2];
            let batch = BatchCreatePaymentsRequest { payments: items };
            mutated(draws, batch.encode_to_vec())
        }
        // One of the lengths around the limits: 10 KiB for a message, 128 KiB for a batch, 4 MiB where tonic says no by itself.
        6 => {
            let bytes = [10_241, 131_073, 200_000, 1_000_000][draws.below(4) as usize];
            [
                create(number).encode_to_vec(),
                delimited(99, &vec![7; bytes]),
            ]
            .concat()
        }
        // Groups in groups, and memos in memos.
        7 => {
            let deep = 1 + draws.below(5_000) as usize;
            let group = [(5 << 3) | 3].repeat(deep);
            [group, [(5 << 3) | 4].repeat(deep)].concat()
        }
        8 => {
            let mut bytes = vec![1];
            for _ in 0..draws.below(1_500) {
                bytes = delimited(6, &bytes);
            }
            bytes
        }
        // Every field in every form but its own.
        9 => {
            let field = varint((draws.below(40)) << 3 | draws.below(8));
            [field, random(draws, 40)].concat()
        }
        // More parts than anybody sends.
        10 => {
            let part = delimited(1 + draws.below(9) as u32, &[]);
            part.repeat(2 + draws.below(4_000) as usize)
        }
        // Numbers that are too long, fields that cannot be, lengths beyond the end.
        _ => match draws.below(4) {
            0 => [vec![8], vec![255; 11], vec![1]].concat(),
            1 => vec![0, 0, 0],
            2 => [varint(u64::MAX), random(draws, 20)].concat(),
            _ => [
                vec![10],
                varint(u64::MAX >> draws.below(40)),
                random(draws, 20),
            ]
            .concat(),
        },
    }
}

fn random(draws: &mut Draws, most: u64) -> Vec<u8> {
    let length = draws.below(most);
    (0..length).map(|_| draws.below(256) as u8).collect()
}

fn mutated(draws: &mut Draws, mut bytes: Vec<u8>) -> Vec<u8> {
    for _ in 0..1 + draws.below(6) {
        let at = draws.below(bytes.len().max(1) as u64) as usize;
        match draws.below(5) {
            0 if !bytes.is_empty() => bytes[at] = draws.below(256) as u8,
            1 if !bytes.is_empty() => bytes[at] ^= 1 << draws.below(8),
            2 => bytes.truncate(at),
            3 => {
                let again = bytes[at.min(bytes.len())..].to_vec();
                bytes.extend(again);
            }
            _ => {
                let more = random(draws, 12);
                let tail = bytes.split_off(at.min(bytes.len()));
                bytes.extend(more);
                bytes.extend(tail);
            }
        }
    }
    bytes
}
