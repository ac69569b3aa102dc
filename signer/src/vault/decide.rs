//! Decide: the rules, and the only place where an [`Approved`] is made.

use xrpl_tx::{
    Amount, Asset, Body, Drops, Hash256, IssuedValue, Memos, NoOp, Payment, Slot, Unsigned,
    filler_memo, network_id_field, noop_memo, tickets_memo,
};

use super::{State, Vault};
use crate::intent::{NoOpRequest, PaymentRequest, TicketCreateRequest, Version};
use crate::journal::SignedTransaction;
use crate::keys::Approved;
use crate::policy::{Denial, TransactionType};

impl Vault {
    pub(super) fn approve_payment(
        &self,
        state: &mut State,
        request: &PaymentRequest,
        invoice_id: Hash256,
        memos: Memos,
        now_ms: u64,
    ) -> Result<Approved, Denial> {
        self.policy.check_type(TransactionType::Payment)?;
        let fee = match request.amount {
            Amount::Xrp(amount) => {
                self.policy.check_amount(amount)?;
                let fee = self.policy.check_version(request.version, now_ms)?;
                // Both are below all XRP there is; if their sum is not, it is above every limit.
                let charge = amount.checked_add(fee).unwrap_or(Drops::MAX);
                self.check_day(state, request.slot, charge, now_ms)?;
                fee
            }
            Amount::Issued { amount, send_max } => {
                let charge = send_max.unwrap_or(amount.value());
                self.policy.check_issued_amount(amount.asset(), charge)?;
                let fee = self.policy.check_version(request.version, now_ms)?;
                self.check_day(state, request.slot, fee, now_ms)?;
                self.check_issued_day(state, request.slot, amount.asset(), charge, now_ms)?;
                fee
            }
        };
        let body = Body::Payment(Payment {
            destination: request.destination,
            destination_tag: request.destination_tag,
            amount: request.amount,
            invoice_id,
        });
        Ok(self.approved(
            request.slot,
            fee,
            request.version,
            request.source_tag,
            memos,
            body,
        ))
    }

    pub(super) fn approve_noop(
        &self,
        state: &mut State,
        request: &NoOpRequest,
        now_ms: u64,
    ) -> Result<Approved, Denial> {
        self.policy.check_type(TransactionType::NoOp)?;
        let fee = self.policy.check_version(request.version, now_ms)?;
        self.check_day(state, request.slot, fee, now_ms)?;
        let memo = match &request.for_payment {
            Some(key) => noop_memo(key.client_id(), key.payment_id()),
            None => filler_memo(request.slot),
        };
        let memos = Memos::new(vec![memo]).map_err(Denial::MemosInvalid)?;
        Ok(self.approved(
            request.slot,
            fee,
            request.version,
            request.source_tag,
            memos,
            Body::NoOp(NoOp),
        ))
    }

    pub(super) fn approve_ticket_create(
        &self,
        state: &mut State,
        request: &TicketCreateRequest,
        now_ms: u64,
    ) -> Result<Approved, Denial> {
        self.policy.check_type(TransactionType::TicketCreate)?;
        let fee = self.policy.check_version(request.version, now_ms)?;
        self.check_day(state, request.slot(), fee, now_ms)?;
        let memo = tickets_memo(request.slot(), request.tickets);
        let memos = Memos::new(vec![memo]).map_err(Denial::MemosInvalid)?;
        Ok(self.approved(
            request.slot(),
            fee,
            request.version,
            request.source_tag,
            memos,
            Body::TicketCreate(request.tickets),
        ))
    }

    /// A slot counts once a day, with the most that any of its versions can take.
    fn check_day(
        &self,
        state: &mut State,
        slot: Slot,
        charge: Drops,
        now_ms: u64,
    ) -> Result<(), Denial> {
        let (others, of_slot) = state.index.day_used(Some(slot), now_ms);
        if charge <= of_slot {
            return Ok(());
        }
        self.policy.check_day(charge, others)
    }

    /// The same of an issued currency, which counts beside the fee.
    fn check_issued_day(
        &self,
        state: &mut State,
        slot: Slot,
        asset: Asset,
        charge: IssuedValue,
        now_ms: u64,
    ) -> Result<(), Denial> {
        let (others, of_slot) = state.index.day_used_issued(asset, Some(slot), now_ms);
        if charge <= of_slot {
            return Ok(());
        }
        self.policy.check_issued_day(asset, charge, others)
    }

    fn approved(
        &self,
        slot: Slot,
        fee: Drops,
        version: Version,
        source_tag: Option<u32>,
        memos: Memos,
        body: Body,
    ) -> Approved {
        Approved(Unsigned {
            account: self.wallet.account,
            slot,
            fee,
            last_ledger_sequence: version.last_ledger_sequence,
            network_id: network_id_field(self.wallet.network_id),
            source_tag,
            memos,
            body,
            signing_key: self.key.public(),
        })
    }

    pub(super) fn sign(&self, approved: &Approved, version: Version) -> SignedTransaction {
        let signed = self.key.sign(approved);
        SignedTransaction {
            fee_drops: version.fee_drops,
            last_ledger_sequence: version.last_ledger_sequence,
            hash: *signed.hash.as_bytes(),
            blob: signed.blob,
        }
    }
}
