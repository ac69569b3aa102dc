//! Requests become core types here, once; nothing behind this file checks a field again.
//!
//! Owns: what a field may hold. May not: read a clock or the store, nor repeat text that it did not understand.

pub(super) mod amount;

use std::collections::BTreeSet;
use std::time::Duration;

use paygate_payments::LedgerIndex;
use paygate_payments::intent::{Id, Intent, PaymentKey, Wallet};
use paygate_payments::limits::Limits;
use paygate_payments::payment::StateName;
use paygate_proto::v1::create_payment_request::Amount as AskedAmount;
use paygate_proto::v1::{
    CancelPaymentRequest, CreatePaymentRequest, ErrorReason, ListPaymentsRequest,
    Memo as AskedMemo, PaymentState, UnfreezeRequest, WatchPaymentsRequest,
};
use prost_types::Timestamp;
use tonic::Status;
use xrpl_tx::{
    ACCOUNT_ZERO, AccountId, AddressError, Amount, Destination, Hash256, Memo, MemoError, Memos,
    XNetwork,
};

use super::errors::{self, Violation};
use super::identity::Caller;
use super::reach;
use crate::clock::Millis;
use crate::store::{ListQuery, PAGE_MAX, WatchFilter};

/// How long one ledger counts when `pay_before` becomes an index. Ledgers close every 3 to 5 seconds: with the upper end the
/// deadline is never later than asked for while the network is in health.
const LEDGER_SECONDS: u64 = 5;

/// The number of the network whose X-addresses begin with X.
const MAIN_NETWORK_ID: u32 = 0;

/// Seeds in base58 have 29 or 31 characters; some more on both sides, for one cut or mistyped.
const SEED_CHARS: std::ops::RangeInclusive<usize> = 24..=36;

/// A reason is a sentence for whoever reads the events later, not a report.
const REASON_CHARS_MAX: usize = 200;

/// Characters of a cancel's comment: a sentence or two for whoever reads the timeline.
const COMMENT_CHARS_MAX: usize = 200;

/// The cursor that stands before everything.
const CURSOR_BEGINNING: &str = "beginning";

/// What a request is measured by, as it is at this moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules<'a> {
    /// The wallet that pays.
    pub(super) wallet: &'a Wallet,
    /// Limits of a single payment.
    pub(super) limits: &'a Limits,
    /// The newest validated ledger.
    pub(super) validated: Option<LedgerIndex>,
    /// Now.
    pub(super) now: Millis,
}

/// A well-formed CreatePaymentRequest.
#[derive(Debug)]
pub(super) struct Asked {
    /// What is to be paid: an acceptable content at any time.
    pub(super) intent: Intent,
    /// Store nothing.
    pub(super) validate_only: bool,
    /// The deadline, or why the request cannot be taken *now*. A payment that was stored earlier does not care: its repeated
    /// request must find it although its `pay_before` is over or a limit was lowered meanwhile.
    pub(super) deadline: Result<Option<LedgerIndex>, Box<Status>>,
}

/// Checks a whole CreatePaymentRequest.
pub(super) fn create(
    request: &CreatePaymentRequest,
    client: Id,
    rules: Rules<'_>,
) -> Result<Asked, Status> {
    let mut bad = Vec::new();
    let mut bad_now = Vec::new();
    let payment = keep(payment_id(&request.payment_id, "payment_id"), &mut bad);
    let to = keep(destination(request, rules.wallet), &mut bad);
    let amount = match &request.amount {
        Some(AskedAmount::Issued(asked)) => amount::issued(asked, &mut bad)
            .map(|asked| amount::priced(asked, rules.limits, &mut bad_now)),
        Some(AskedAmount::XrpDrops(drops)) => keep(amount::xrp(*drops), &mut bad).map(Amount::Xrp),
        None => {
            let problem = "is required: set xrp_drops or issued";
            keep(Err(Violation::malformed("amount", problem)), &mut bad)
        }
    };
    if let Some(amount) = amount
        && let Err(over) = rules.limits.check_amount(amount)
    {
        bad_now.push(errors::amount_limit(&over));
    }
    let memos = keep(memos(&request.memos), &mut bad);
    let retry_of = match request.retry_of.as_str() {
        "" => Some(None),
        text => keep(payment_id(text, "retry_of"), &mut bad).map(Some),
    };
    let wait = request
        .pay_before
        .as_ref()
        .and_then(|at| keep(ledgers_until(at, rules.now), &mut bad_now));

    let (
        Some(payment),
        Some((destination, destination_tag)),
        Some(amount),
        Some(memos),
        Some(retry_of),
    ) = (payment, to, amount, memos, retry_of)
    else {
        bad.append(&mut bad_now);
        return Err(errors::invalid(&bad));
    };
    let deadline = if bad_now.is_empty() {
        match (wait, rules.validated) {
            (None, _) => Ok(None),
            (Some(ledgers), Some(validated)) => Ok(Some(validated.plus(ledgers))),
            (Some(_), None) => Err(Box::new(errors::ledger_unavailable())),
        }
    } else {
        Err(Box::new(errors::invalid(&bad_now)))
    };
    let intent = Intent {
        key: PaymentKey { client, payment },
        destination,
        destination_tag,
        amount,
        memos,
        retry_of,
    };
    Ok(Asked {
        intent,
        validate_only: request.validate_only,
        deadline,
    })
}

/// Checks the name of a payment that is asked for. An empty `client_id` is the caller's own.
pub(super) fn key(client_id: &str, payment: &str, caller: &Caller) -> Result<PaymentKey, Status> {
    let mut bad = Vec::new();
    let payment = keep(payment_id(payment, "payment_id"), &mut bad);
    let client = client(client_id, &mut bad);
    match payment {
        Some(payment) if bad.is_empty() => Ok(PaymentKey {
            client: reach::one(caller, client)?,
            payment,
        }),
        _ => Err(errors::invalid(&bad)),
    }
}

/// Checks a ListPaymentsRequest. An empty `client_id` is the caller's own, an operator's everybody's.
pub(super) fn list(request: &ListPaymentsRequest, caller: &Caller) -> Result<ListQuery, Status> {
    let mut bad = Vec::new();
    let limit = keep(page_size(request.page_size), &mut bad);
    let client = client(&request.client_id, &mut bad);
    let states = states(&request.states, &mut bad);
    let from = request
        .create_time_from
        .as_ref()
        .and_then(|at| keep(millis(at, "create_time_from"), &mut bad));
    let before = request
        .create_time_before
        .as_ref()
        .and_then(|at| keep(millis(at, "create_time_before"), &mut bad));
    if let (Some(from), Some(before)) = (from, before)
        && before <= from
    {
        bad.push(Violation::malformed(
            "create_time_before",
            "is not after create_time_from",
        ));
    }
    match limit {
        Some(limit) if bad.is_empty() => {
            let token = Some(request.page_token.clone()).filter(|token| !token.is_empty());
            Ok(ListQuery {
                limit,
                token,
                client: reach::several(caller, client)?,
                states,
                from,
                before,
            })
        }
        _ => Err(errors::invalid(&bad)),
    }
}

/// From where a watcher wants to follow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum WatchFrom {
    /// What is committed from now on.
    Now,
    /// Everything.
    Beginning,
    /// What is behind this cursor, which the store knows or not.
    Cursor(String),
}

/// Checks a WatchPaymentsRequest. An empty `client_id` is the caller's own, an operator's everybody's.
pub(super) fn watch(
    request: &WatchPaymentsRequest,
    caller: &Caller,
) -> Result<(WatchFrom, WatchFilter), Status> {
    let mut bad = Vec::new();
    let client = client(&request.client_id, &mut bad);
    let states = states(&request.states, &mut bad);
    let from = match request.cursor.as_str() {
        "" => WatchFrom::Now,
        CURSOR_BEGINNING => WatchFrom::Beginning,
        text => WatchFrom::Cursor(text.to_owned()),
    };
    if !bad.is_empty() {
        return Err(errors::invalid(&bad));
    }
    let client = reach::several(caller, client)?;
    Ok((from, WatchFilter { client, states }))
}

/// Checks a CancelPaymentRequest. Only its own client cancels a payment.
pub(super) fn cancel(
    request: &CancelPaymentRequest,
    caller: &Caller,
) -> Result<(PaymentKey, String), Status> {
    let mut bad = Vec::new();
    let payment = keep(payment_id(&request.payment_id, "payment_id"), &mut bad);
    let comment = keep(comment(&request.comment), &mut bad);
    match (payment, comment) {
        (Some(payment), Some(comment)) => Ok((
            PaymentKey {
                client: caller.client_id.clone(),
                payment,
            },
            comment,
        )),
        _ => Err(errors::invalid(&bad)),
    }
}

// --- fields

/// Whom the field names. `None`: nobody, or not readable, which is put aside.
fn client(text: &str, bad: &mut Vec<Violation>) -> Option<Id> {
    match text {
        "" => None,
        text => keep(payment_id(text, "client_id"), bad),
    }
}

/// Puts a violation aside, so that the other fields are looked at as well.
/// A person's reason, and the foreign transactions that are known to that person.
pub(super) fn unfreeze(request: &UnfreezeRequest) -> Result<(String, BTreeSet<Hash256>), Status> {
    let mut bad = Vec::new();
    reason(&request.reason, &mut bad);
    let mut hashes = BTreeSet::new();
    for (at, text) in request.acknowledged_tx_hashes.iter().enumerate() {
        match text.parse() {
            Ok(hash) => {
                hashes.insert(hash);
            }
            Err(_) => bad.push(Violation::malformed(
                format!("acknowledged_tx_hashes[{at}]"),
                "is no transaction hash: 64 hex digits",
            )),
        }
    }
    if bad.is_empty() {
        Ok((request.reason.clone(), hashes))
    } else {
        Err(errors::invalid(&bad))
    }
}

/// Why a person does something, for the events.
pub(super) fn reason(text: &str, bad: &mut Vec<Violation>) {
    let length = text.chars().count();
    if !(1..=REASON_CHARS_MAX).contains(&length) {
        let problem = format!("has {length} characters, must have 1 to {REASON_CHARS_MAX}");
        bad.push(Violation::malformed("reason", problem).with_limit(REASON_CHARS_MAX));
    } else if let Err(violation) = shown("reason", text) {
        bad.push(violation);
    }
}

/// What is shown on terminals and kept in logs for ever says what it seems to say: nothing moves a cursor, ends a line, turns the order
/// of what follows, or is there without being seen.
fn shown(field: &'static str, text: &str) -> Result<(), Violation> {
    if text.chars().any(char::is_control) {
        return Err(Violation::malformed(field, "holds a control character"));
    }
    if text.chars().any(is_deceptive) {
        let problem = "holds an invisible character or one that turns the order of others";
        return Err(Violation::malformed(field, problem));
    }
    Ok(())
}

/// Marks of direction, embeddings, overrides and isolates; separators of lines and paragraphs; spaces without width. Joiners stay: several
/// languages are written with them.
fn is_deceptive(char: char) -> bool {
    matches!(
        char,
        '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
    )
}

pub(super) fn keep<T>(field: Result<T, Violation>, bad: &mut Vec<Violation>) -> Option<T> {
    field.map_err(|violation| bad.push(violation)).ok()
}

pub(super) fn payment_id(text: &str, field: &'static str) -> Result<Id, Violation> {
    Id::new(text).map_err(|error| Violation::malformed(field, error.to_string()))
}

fn destination(
    request: &CreatePaymentRequest,
    wallet: &Wallet,
) -> Result<(AccountId, Option<u32>), Violation> {
    let refuse = |problem: String| Violation::malformed("destination", problem);
    let text = request.destination.as_str();
    if text.is_empty() {
        return Err(refuse(
            "is required: a classic address or an X-address".to_owned(),
        ));
    }
    let to = address("destination", text, Destination::parse)?;
    let own = if wallet.network_id == MAIN_NETWORK_ID {
        XNetwork::Main
    } else {
        XNetwork::Test
    };
    if let Some(network) = to.network
        && network != own
    {
        let (written, wanted) = match network {
            XNetwork::Main => ("X, for the main network", "T"),
            XNetwork::Test => ("T, for a test network", "X"),
        };
        let id = wallet.network_id;
        return Err(refuse(format!(
            "is an X-address with {written}; network {id} takes those with {wanted}"
        )));
    }
    if to.account == ACCOUNT_ZERO {
        return Err(refuse(format!(
            "is {ACCOUNT_ZERO}, which belongs to nobody: the money would be lost"
        )));
    }
    if to.account == wallet.account {
        let problem = "is the wallet that pays".to_owned();
        return Err(Violation {
            reason: ErrorReason::DestinationIsWallet,
            ..refuse(problem)
        }
        .of_value(to.account));
    }
    match (to.tag, request.destination_tag) {
        (Some(inside), Some(beside)) if inside != beside => {
            let problem =
                format!("is {beside}, and the X-address in destination carries tag {inside}");
            Err(Violation::malformed("destination_tag", problem)
                .of_value(beside)
                .with_limit(inside))
        }
        (inside, beside) => Ok((to.account, inside.or(beside))),
    }
}

/// The text is not repeated: whoever mixes up two fields may have put a secret here.
pub(super) fn address<T>(
    field: &'static str,
    text: &str,
    read: fn(&str) -> Result<T, AddressError>,
) -> Result<T, Violation> {
    read(text).map_err(|error| {
        let problem = if looks_like_seed(text) {
            "is no address and looks like a seed: if it is one, replace that key at once".to_owned()
        } else {
            format!("is no address of the XRP Ledger: {error}")
        };
        Violation::malformed(field, problem)
    })
}

fn looks_like_seed(text: &str) -> bool {
    let text = text.trim();
    text.starts_with('s')
        && SEED_CHARS.contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric())
}

fn memos(asked: &[AskedMemo]) -> Result<Memos, Violation> {
    let part = |bytes: &[u8]| Some(bytes.to_vec()).filter(|bytes| !bytes.is_empty());
    let mut memos = Vec::with_capacity(asked.len());
    for (at, memo) in asked.iter().enumerate() {
        let made = Memo::new(
            part(memo.r#type.as_bytes()),
            part(&memo.data),
            part(memo.format.as_bytes()),
        );
        memos.push(made.map_err(|error| {
            let field = match error {
                MemoError::TypeCharacter { .. } => format!("memos[{at}].type"),
                MemoError::FormatCharacter { .. } => format!("memos[{at}].format"),
                MemoError::Empty | MemoError::TooLong { .. } => format!("memos[{at}]"),
            };
            Violation::malformed(field, error.to_string())
        })?);
    }
    Memos::new(memos).map_err(|error| {
        let violation = Violation::malformed("memos", error.to_string());
        match error {
            MemoError::TooLong { bytes } => violation
                .of_value(bytes)
                .with_limit(xrpl_tx::MEMOS_BYTES_MAX),
            _ => violation,
        }
    })
}

/// How many ledgers there are until then; at least one.
fn ledgers_until(at: &Timestamp, now: Millis) -> Result<u32, Violation> {
    let at = millis(at, "pay_before")?;
    let ahead = at.since(now);
    let refuse = |problem: String| {
        Err(Violation::malformed("pay_before", problem).of_value(iso_seconds(ahead)))
    };
    if at <= now {
        return refuse("is not in the future".to_owned());
    }
    match u32::try_from(ahead.as_secs() / LEDGER_SECONDS) {
        Ok(0) => refuse(format!(
            "is {} ms ahead, less than the {LEDGER_SECONDS} seconds that one ledger counts",
            ahead.as_millis()
        )),
        Ok(ledgers) => Ok(ledgers),
        Err(_) => refuse("is further ahead than there are ledger indexes".to_owned()),
    }
}

fn iso_seconds(duration: Duration) -> String {
    format!("{}s", duration.as_secs())
}

fn millis(at: &Timestamp, field: &'static str) -> Result<Millis, Violation> {
    let out_of_range =
        || Violation::malformed(field, "is no time: seconds or nanos are out of range");
    let nanos = i64::from(at.nanos);
    if !(0..1_000_000_000).contains(&nanos) {
        return Err(out_of_range());
    }
    let whole = at.seconds.checked_mul(1000).ok_or_else(out_of_range)?;
    whole
        .checked_add(nanos / 1_000_000)
        .map(Millis)
        .ok_or_else(out_of_range)
}

/// 0 stands for the default, which the store knows.
pub(super) fn page_size(asked: i32) -> Result<usize, Violation> {
    match usize::try_from(asked) {
        Ok(size) if size <= PAGE_MAX => Ok(size),
        _ => Err(
            Violation::malformed("page_size", format!("is {asked}, must be 0 to {PAGE_MAX}"))
                .of_value(asked)
                .with_limit(PAGE_MAX),
        ),
    }
}

pub(super) fn comment(text: &str) -> Result<String, Violation> {
    let chars = text.chars().count();
    if chars > COMMENT_CHARS_MAX {
        let problem = format!("has {chars} characters, at most {COMMENT_CHARS_MAX} are kept");
        return Err(Violation::malformed("comment", problem)
            .of_value(chars)
            .with_limit(COMMENT_CHARS_MAX));
    }
    shown("comment", text)?;
    Ok(text.to_owned())
}

fn states(numbers: &[i32], bad: &mut Vec<Violation>) -> Vec<StateName> {
    let mut states = Vec::new();
    for (at, number) in numbers.iter().enumerate() {
        states.extend(keep(state(at, *number), bad));
    }
    states
}

fn state(at: usize, number: i32) -> Result<StateName, Violation> {
    let name = match PaymentState::try_from(number) {
        Ok(PaymentState::AwaitingApproval) => StateName::AwaitingApproval,
        Ok(PaymentState::Accepted) => StateName::Accepted,
        Ok(PaymentState::AtLarge) => StateName::AtLarge,
        Ok(PaymentState::OnHold) => StateName::OnHold,
        Ok(PaymentState::Paid) => StateName::Paid,
        Ok(PaymentState::Failed) => StateName::Failed,
        Ok(PaymentState::Expired) => StateName::Expired,
        Ok(PaymentState::Cancelled) => StateName::Cancelled,
        Ok(PaymentState::Rejected) => StateName::Rejected,
        Ok(PaymentState::Unspecified) | Err(_) => {
            let problem = format!("is {number}, which is no PaymentState to filter by");
            return Err(Violation::malformed(format!("states[{at}]"), problem).of_value(number));
        }
    };
    Ok(name)
}
