//! Makes `proto/errors.md` and the Rust table out of the comments on `ErrorReason`.
//!
//! Owns: what such a comment must hold: a gRPC code and what the reason means, a paragraph `Money:` that begins with one of four
//! words, and a paragraph `Do:`.

use std::fmt::Write as _;

use prost_types::FileDescriptorSet;

/// Path of enums in a FileDescriptorProto, and of values in an enum.
const ENUMS: i32 = 5;
const VALUES: i32 = 2;

const PREFIX: &str = "ERROR_REASON_";

/// By number.
const CODES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

/// How the money's paragraph begins, and what the Rust table makes of it.
const STORED: [(&str, &str); 4] = [
    ("Nothing stored", "Nothing"),
    ("Not looked at, so nothing stored", "Nothing"),
    ("Unchanged", "Nothing"),
    ("Unknown", "Unknown"),
];

const HEAD: &str = "\
# Errors: what they mean for the money, and what to do

Every error is a `google.rpc.Status` with a `google.rpc.ErrorInfo` of domain `paygate.v1`, whose `reason` is one of these. A reason always comes
with the same code. Errors about a field also carry `google.rpc.BadRequest`, errors about a limit `google.rpc.QuotaFailure`, and errors
that pass by themselves `google.rpc.RetryInfo`. In a batch, an item's error has the same reasons.

- **No error makes it safe to pay by other means.** \"Nothing stored\" is about this call; an earlier one with the same `payment_id`, above all one
  without an answer, may have stored the payment. Only a payment's `safe_to_repay` says that paying again cannot pay twice.
- **Repeating the same call with the same `payment_id` is always safe**, whatever the error was.
- An error without ErrorInfo (UNAVAILABLE, CANCELLED, DEADLINE_EXCEEDED, UNKNOWN, INTERNAL from the transport or a proxy) says nothing about the
  money: treat it as STORE_UNAVAILABLE.
- A reason that you do not know: go by its code, and take UNAVAILABLE, DEADLINE_EXCEEDED, INTERNAL and UNKNOWN for \"unknown\".

Generated from [`errors.proto`](paygate/v1/errors.proto), like the Rust table `paygate_proto::REASONS`.

| reason | code | what it means | the money | what to do |
|---|---|---|---|---|
";

pub(crate) struct Row {
    variant: String,
    name: String,
    code: usize,
    stored: &'static str,
    meaning: String,
    money: String,
    advice: String,
}

/// The rows, in the order of the contract.
pub(crate) fn table(descriptors: &FileDescriptorSet) -> Vec<Row> {
    let mut files = descriptors.file.iter();
    let file = files
        .find(|file| file.name() == "paygate/v1/errors.proto")
        .unwrap();
    let list = &file.enum_type[0];
    assert_eq!(list.name(), "ErrorReason");
    let locations = &file.source_code_info.as_ref().unwrap().location;
    let comment = |at: i32| {
        let path = [ENUMS, 0, VALUES, at];
        let location = locations.iter().find(|location| location.path == path);
        location
            .map(|location| location.leading_comments())
            .unwrap_or_default()
    };
    let values = (0..).zip(&list.value).skip(1);
    let rows: Vec<Row> = values
        .map(|(at, value)| row(value.name(), comment(at)))
        .collect();
    assert_eq!(list.value[0].name(), "ERROR_REASON_UNSPECIFIED");
    rows
}

fn row(value: &str, comment: &str) -> Row {
    let name = value.strip_prefix(PREFIX).unwrap();
    let text = comment.split_whitespace().collect::<Vec<_>>().join(" ");
    let (first, advice) = text
        .split_once(" Do: ")
        .unwrap_or_else(|| panic!("{value} does not say what to do (`Do: `)"));
    let (first, money) = first
        .split_once(" Money: ")
        .unwrap_or_else(|| panic!("{value} does not say what it means for the money (`Money: `)"));
    let (code, meaning) = first.split_once(". ").unwrap_or((first, ""));
    let code = CODES.iter().position(|known| *known == code);
    let begins = |(words, _): &&(&str, &str)| {
        let rest = money.strip_prefix(words);
        rest.is_some_and(|rest| rest.starts_with(['.', ':', ' ']))
    };
    let stored = STORED.iter().find(begins);
    assert!(!meaning.is_empty() && !advice.is_empty(), "{value}: {text}");
    Row {
        variant: variant(name),
        name: name.to_owned(),
        code: code.unwrap_or_else(|| panic!("{value} does not begin with a gRPC code: {text}")),
        stored: stored
            .unwrap_or_else(|| panic!("{value}: the money's part begins with none of {STORED:?}"))
            .1,
        meaning: meaning.to_owned(),
        money: money.to_owned(),
        advice: advice.to_owned(),
    }
}

/// `PaymentIdReused` for `PAYMENT_ID_REUSED`.
fn variant(name: &str) -> String {
    let word = |word: &str| {
        let (first, rest) = word.split_at(1);
        format!("{first}{}", rest.to_lowercase())
    };
    name.split('_').map(word).collect()
}

/// The page.
pub(crate) fn page(rows: &[Row]) -> String {
    let mut page = HEAD.to_owned();
    for row in rows {
        let cells = [&row.meaning, &row.money, &row.advice].map(|cell| cell.replace('|', "\\|"));
        let code = CODES[row.code];
        writeln!(page, "| `{}` | {code} | {} |", row.name, cells.join(" | ")).unwrap();
    }
    page
}

/// The Rust table.
pub(crate) fn rust(rows: &[Row]) -> String {
    let mut text = "// Generated from errors.proto by tests/generated.rs.\n\n/// Every reason, in the order of the contract.\n\
                    pub const REASONS: &[Reason] = &[\n"
        .to_owned();
    for row in rows {
        writeln!(
            text,
            "    Reason {{\n        reason: ErrorReason::{},\n        name: {:?},\n        code: {},\n        stored: Stored::{},\n        \
             meaning: {:?},\n        money: {:?},\n        advice: {:?},\n    }},",
            row.variant, row.name, row.code, row.stored, row.meaning, row.money, row.advice
        )
        .unwrap();
    }
    text.push_str("];\n");
    text
}
