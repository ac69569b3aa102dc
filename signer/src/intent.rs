//! Requests as types: what came over the wire, checked for form, with the digest that the signer computes itself.
//!
//! Owns the only way from the wire into the vault. May not judge: whether something is allowed is `policy.rs`. Memos and
//! fees come through as they are, since what is wrong with them has reasons of its own.

use paygate_proto::signer::v1 as wire;
use xrpl_tx::{
    AccountId, Amount, Asset, Drops, Hash256, IssuedAmount, IssuedValue, Memo, Slot, TICKETS_MAX,
    TicketCreate, invoice_id, sha256,
};

/// Longest client id and payment id.
pub const ID_CHARACTERS_MAX: usize = 64;

/// Memos that are looked at. Each takes at least 5 bytes of the 1,024 that the ledger allows for all.
const MEMOS_MAX: usize = 256;

const TAG_INTENT: &[u8] = b"paygate/intent/v1\0";
const TAG_NO_OP: &[u8] = b"paygate/noop/v1\0";
const TAG_TICKET_CREATE: &[u8] = b"paygate/ticket-create/v1\0";

/// Leads the asset in the digest of a payment.
const ASSET_XRP: u8 = 0;
const ASSET_ISSUED: u8 = 1;

/// A request that is not one: a field is missing or has no meaning.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field} {problem}")]
pub struct Malformed {
    /// Which field.
    pub field: &'static str,
    /// What is wrong with it.
    pub problem: String,
}

/// Names a payment: the caller's identity and the caller's own id, both checked.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PaymentKey {
    client_id: Box<str>,
    payment_id: Box<str>,
}

/// Which store asks, in which generation, and how much of the journal it knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fence {
    /// Identity of the store.
    pub store_id: [u8; 16],
    /// Generation of its user.
    pub epoch: u64,
    /// The newest journal frame that the store recorded; none if it recorded none.
    pub known: Option<KnownFrame>,
}

/// A frame of the journal that a store recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KnownFrame {
    /// Its number, at least 1.
    pub height: u64,
    /// Its hash.
    pub hash: [u8; 32],
}

/// What may differ between the versions of one slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Version {
    /// Fee in drops, unchecked.
    pub fee_drops: u64,
    /// Last ledger that may hold it; 0: missing.
    pub last_ledger_sequence: u32,
}

/// One version of one payment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PaymentRequest {
    /// Who asks.
    pub fence: Fence,
    /// Which payment.
    pub key: PaymentKey,
    /// Whose wallet.
    pub account: AccountId,
    /// Which slot.
    pub slot: Slot,
    /// Who is paid.
    pub destination: AccountId,
    /// For whom within the destination.
    pub destination_tag: Option<u32>,
    /// Which application sends.
    pub source_tag: Option<u32>,
    /// How much, more than nothing.
    pub amount: Amount,
    /// Memos, unchecked.
    pub memos: Vec<Memo>,
    /// Fee and LastLedgerSequence.
    pub version: Version,
    /// The digest as the gateway computed it.
    pub claimed_digest: [u8; 32],
}

/// One version of a no-op.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoOpRequest {
    /// Who asks.
    pub fence: Fence,
    /// Whose wallet.
    pub account: AccountId,
    /// Which slot.
    pub slot: Slot,
    /// The payment that the slot was bound to.
    pub for_payment: Option<PaymentKey>,
    /// Which application sends.
    pub source_tag: Option<u32>,
    /// Fee and LastLedgerSequence.
    pub version: Version,
}

/// One version of a TicketCreate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TicketCreateRequest {
    /// Who asks.
    pub fence: Fence,
    /// Whose wallet.
    pub account: AccountId,
    /// Which sequence; those after it become tickets.
    pub sequence: u32,
    /// How many.
    pub tickets: TicketCreate,
    /// Which application sends.
    pub source_tag: Option<u32>,
    /// Fee and LastLedgerSequence.
    pub version: Version,
}

// === impl PaymentKey ===

impl PaymentKey {
    /// Checks both ids.
    pub fn new(client_id: &str, payment_id: &str) -> Result<PaymentKey, Malformed> {
        check_id("key.client_id", client_id)?;
        check_id("key.payment_id", payment_id)?;
        Ok(PaymentKey {
            client_id: client_id.into(),
            payment_id: payment_id.into(),
        })
    }

    /// The caller's identity.
    pub fn client_id(&self) -> &str {
        &self.client_id
    }

    /// The caller's own id.
    pub fn payment_id(&self) -> &str {
        &self.payment_id
    }
}

fn check_id(field: &'static str, id: &str) -> Result<(), Malformed> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._:-".contains(&byte);
    if id.is_empty() || id.len() > ID_CHARACTERS_MAX || !id.bytes().all(allowed) {
        return Err(malformed(
            field,
            format!("is not 1 to {ID_CHARACTERS_MAX} characters of [A-Za-z0-9._:-]"),
        ));
    }
    Ok(())
}

// === impl PaymentRequest ===

impl PaymentRequest {
    /// Checks the form of a request.
    pub fn from_wire(request: wire::SignPaymentRequest) -> Result<PaymentRequest, Malformed> {
        let destination = AccountId::from_address(&request.destination)
            .map_err(|error| malformed("destination", format!("is no classic address: {error}")))?;
        let amount = match required("amount", request.amount)? {
            wire::sign_payment_request::Amount::XrpDrops(drops) => xrp(drops)?,
            wire::sign_payment_request::Amount::Issued(amount) => issued(&amount)?,
        };
        if request.memos.len() > MEMOS_MAX {
            return Err(malformed("memos", format!("are more than {MEMOS_MAX}")));
        }
        Ok(PaymentRequest {
            fence: fence(request.fence)?,
            key: key(required("key", request.key)?)?,
            account: account(&request.account)?,
            slot: slot(request.slot)?,
            destination,
            destination_tag: request.destination_tag,
            source_tag: request.source_tag,
            amount,
            memos: request.memos.into_iter().map(memo).collect(),
            version: Version {
                fee_drops: request.fee_drops,
                last_ledger_sequence: request.last_ledger_sequence,
            },
            claimed_digest: bytes("intent_digest", &request.intent_digest)?,
        })
    }

    /// The InvoiceID, which no request can choose.
    pub fn invoice_id(&self, network_id: u32) -> Hash256 {
        invoice_id(
            network_id,
            self.account,
            self.key.client_id(),
            self.key.payment_id(),
        )
    }

    /// SHA-256 over everything that may never differ between versions of this payment.
    pub fn digest(&self, network_id: u32) -> [u8; 32] {
        self.digest_with(self.invoice_id(network_id))
    }

    /// The same for whoever has the [`Self::invoice_id`] already.
    pub(crate) fn digest_with(&self, invoice_id: Hash256) -> [u8; 32] {
        let mut text = Vec::with_capacity(512);
        text.extend_from_slice(TAG_INTENT);
        put_key(&mut text, &self.key);
        text.extend_from_slice(self.account.as_bytes());
        put_slot(&mut text, self.slot);
        text.extend_from_slice(self.destination.as_bytes());
        put_optional(&mut text, self.destination_tag);
        put_optional(&mut text, self.source_tag);
        put_amount(&mut text, &self.amount);
        put_length(&mut text, self.memos.len());
        for memo in &self.memos {
            for part in [&memo.memo_type, &memo.data, &memo.format] {
                match part {
                    Some(part) => {
                        text.push(1);
                        put_frame(&mut text, part);
                    }
                    None => text.push(0),
                }
            }
        }
        text.extend_from_slice(invoice_id.as_bytes());
        *sha256(&[&text]).as_bytes()
    }
}

// === impl NoOpRequest ===

impl NoOpRequest {
    /// Checks the form of a request.
    pub fn from_wire(request: wire::SignNoOpRequest) -> Result<NoOpRequest, Malformed> {
        Ok(NoOpRequest {
            fence: fence(request.fence)?,
            account: account(&request.account)?,
            slot: slot(request.slot)?,
            for_payment: request.for_payment.map(key).transpose()?,
            source_tag: request.source_tag,
            version: Version {
                fee_drops: request.fee_drops,
                last_ledger_sequence: request.last_ledger_sequence,
            },
        })
    }

    /// SHA-256 over everything but the version.
    pub fn digest(&self) -> [u8; 32] {
        let mut text = Vec::with_capacity(256);
        text.extend_from_slice(TAG_NO_OP);
        text.extend_from_slice(self.account.as_bytes());
        put_slot(&mut text, self.slot);
        match &self.for_payment {
            Some(key) => {
                text.push(1);
                put_key(&mut text, key);
            }
            None => text.push(0),
        }
        put_optional(&mut text, self.source_tag);
        *sha256(&[&text]).as_bytes()
    }
}

// === impl TicketCreateRequest ===

impl TicketCreateRequest {
    /// Checks the form of a request.
    pub fn from_wire(
        request: wire::SignTicketCreateRequest,
    ) -> Result<TicketCreateRequest, Malformed> {
        // Made by a ticket, the tickets would have numbers that nobody knows before a ledger has them.
        let Slot::Sequence(sequence) = slot(request.slot)? else {
            return Err(malformed(
                "slot",
                "is a ticket: tickets are made by a sequence".into(),
            ));
        };
        Ok(TicketCreateRequest {
            fence: fence(request.fence)?,
            account: account(&request.account)?,
            sequence,
            tickets: TicketCreate::new(request.ticket_count).map_err(|error| {
                let problem = format!("is {}, not within 1 to {TICKETS_MAX}", error.count);
                malformed("ticket_count", problem)
            })?,
            source_tag: request.source_tag,
            version: Version {
                fee_drops: request.fee_drops,
                last_ledger_sequence: request.last_ledger_sequence,
            },
        })
    }

    /// The slot that it uses up.
    pub fn slot(&self) -> Slot {
        Slot::Sequence(self.sequence)
    }

    /// SHA-256 over everything but the version.
    pub fn digest(&self) -> [u8; 32] {
        let mut text = Vec::with_capacity(256);
        text.extend_from_slice(TAG_TICKET_CREATE);
        text.extend_from_slice(self.account.as_bytes());
        put_slot(&mut text, self.slot());
        text.extend_from_slice(&self.tickets.count().to_be_bytes());
        put_optional(&mut text, self.source_tag);
        *sha256(&[&text]).as_bytes()
    }
}

// === the digest's parts ===

/// Amount and SendMax; XRP never has one.
fn put_amount(text: &mut Vec<u8>, amount: &Amount) {
    let send_max = match amount {
        Amount::Xrp(drops) => {
            text.push(ASSET_XRP);
            text.extend_from_slice(&drops.get().to_be_bytes());
            None
        }
        Amount::Issued { amount, send_max } => {
            text.push(ASSET_ISSUED);
            text.extend_from_slice(amount.asset().currency.as_bytes());
            text.extend_from_slice(amount.asset().issuer.as_bytes());
            text.extend_from_slice(&amount.value().to_bytes());
            *send_max
        }
    };
    match send_max {
        Some(send_max) => {
            text.push(1);
            text.extend_from_slice(&send_max.to_bytes());
        }
        None => text.push(0),
    }
}

fn put_length(text: &mut Vec<u8>, length: usize) {
    let length = u32::try_from(length).expect("requests are capped far below 4 GiB");
    text.extend_from_slice(&length.to_be_bytes());
}

fn put_frame(text: &mut Vec<u8>, bytes: &[u8]) {
    put_length(text, bytes.len());
    text.extend_from_slice(bytes);
}

fn put_key(text: &mut Vec<u8>, key: &PaymentKey) {
    put_frame(text, key.client_id().as_bytes());
    put_frame(text, key.payment_id().as_bytes());
}

fn put_slot(text: &mut Vec<u8>, slot: Slot) {
    text.push(match slot {
        Slot::Sequence(_) => 1,
        Slot::Ticket(_) => 2,
    });
    text.extend_from_slice(&slot.number().to_be_bytes());
}

fn put_optional(text: &mut Vec<u8>, value: Option<u32>) {
    match value {
        Some(value) => {
            text.push(1);
            text.extend_from_slice(&value.to_be_bytes());
        }
        None => text.push(0),
    }
}

// === the wire's parts ===

fn malformed(field: &'static str, problem: String) -> Malformed {
    Malformed { field, problem }
}

fn required<T>(field: &'static str, value: Option<T>) -> Result<T, Malformed> {
    value.ok_or_else(|| malformed(field, "is missing".into()))
}

fn bytes<const N: usize>(field: &'static str, value: &[u8]) -> Result<[u8; N], Malformed> {
    value
        .try_into()
        .map_err(|_| malformed(field, format!("has {} bytes instead of {N}", value.len())))
}

fn key(key: wire::PaymentKey) -> Result<PaymentKey, Malformed> {
    PaymentKey::new(&key.client_id, &key.payment_id)
}

fn account(address: &str) -> Result<AccountId, Malformed> {
    AccountId::from_address(address)
        .map_err(|error| malformed("account", format!("is no classic address: {error}")))
}

fn xrp(drops: u64) -> Result<Amount, Malformed> {
    const FIELD: &str = "amount.xrp_drops";
    match Drops::new(drops).map_err(|error| malformed(FIELD, error.to_string()))? {
        Drops::ZERO => Err(malformed(FIELD, "is 0".into())),
        drops => Ok(Amount::Xrp(drops)),
    }
}

fn issued(amount: &wire::IssuedAmount) -> Result<Amount, Malformed> {
    let currency = amount.currency.parse();
    let issuer = AccountId::from_address(&amount.issuer);
    let asset = Asset {
        currency: currency.map_err(|error: xrpl_tx::CurrencyError| {
            malformed("amount.issued.currency", format!("is none: {error}"))
        })?,
        issuer: issuer.map_err(|error| {
            malformed(
                "amount.issued.issuer",
                format!("is no classic address: {error}"),
            )
        })?,
    };
    let value = |field, text: &str| -> Result<IssuedValue, Malformed> {
        text.parse()
            .map_err(|error| malformed(field, format!("is no amount: {error}")))
    };
    let arrives = value("amount.issued.value", &amount.value)?;
    let arrives = IssuedAmount::new(asset, arrives)
        .map_err(|_| malformed("amount.issued.value", "is 0".into()))?;
    let send_max = match amount.send_max.as_str() {
        "" => None,
        text => Some(value("amount.issued.send_max", text)?),
    };
    Amount::issued(arrives, send_max)
        .map_err(|error| malformed("amount.issued.send_max", format!("is too little: {error}")))
}

fn slot(slot: Option<wire::Slot>) -> Result<Slot, Malformed> {
    let slot = match required("slot", slot.and_then(|slot| slot.kind))? {
        wire::slot::Kind::Sequence(number) => Slot::Sequence(number),
        wire::slot::Kind::Ticket(number) => Slot::Ticket(number),
    };
    if slot.number() == 0 {
        return Err(malformed("slot", "is number 0".into()));
    }
    Ok(slot)
}

fn fence(fence: Option<wire::Fence>) -> Result<Fence, Malformed> {
    let fence = required("fence", fence)?;
    let head = required("fence.journal_head", fence.journal_head)?;
    let known = match (head.height, head.hash.as_slice()) {
        (0, []) => None,
        (0, _) => {
            return Err(malformed(
                "fence.journal_head.hash",
                "is given for height 0".into(),
            ));
        }
        (height, hash) => Some(KnownFrame {
            height,
            hash: bytes("fence.journal_head.hash", hash)?,
        }),
    };
    if fence.epoch == 0 {
        return Err(malformed("fence.epoch", "is 0".into()));
    }
    Ok(Fence {
        store_id: bytes("fence.store_id", &fence.store_id)?,
        epoch: fence.epoch,
        known,
    })
}

/// A part without bytes is absent.
fn memo(memo: wire::Memo) -> Memo {
    let present = |part: Vec<u8>| Some(part).filter(|part| !part.is_empty());
    Memo {
        memo_type: present(memo.r#type),
        data: present(memo.data),
        format: present(memo.format),
    }
}

#[cfg(test)]
mod tests;
