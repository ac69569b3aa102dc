//! Claim: who asks, and what the slot and the payment already are. Reads the journal, decides nothing about money.

use xrpl_tx::{AccountId, Hash256, Slot};

use super::{State, Vault};
use crate::intent::{Fence, NoOpRequest, PaymentKey, PaymentRequest, TicketCreateRequest, Version};
use crate::journal::{Entry, JournalError, Position, Record, Recorded};
use crate::policy::{Denial, EPOCH_STEP_MAX};

/// What the slot and the payment say about a request.
pub(super) enum Claim {
    /// Nothing of this content was signed.
    Fresh,
    /// Other versions of this content were signed.
    Versions,
    /// This very version was signed.
    Replay(Box<Recorded>),
}

/// Why a step ended without an approval: by the rules, or because the disk failed.
pub(super) enum Stop {
    Denied(Denial),
    Failed(JournalError),
}

impl From<Denial> for Stop {
    fn from(denial: Denial) -> Stop {
        Stop::Denied(denial)
    }
}

impl From<JournalError> for Stop {
    fn from(error: JournalError) -> Stop {
        Stop::Failed(error)
    }
}

impl Vault {
    fn check_request(
        &self,
        state: &mut State,
        account: AccountId,
        slot: Slot,
        fence: Fence,
    ) -> Result<(), Stop> {
        if account != self.wallet.account {
            return Err(Denial::WrongAccount {
                asked: account,
                wallet: self.wallet.account,
            }
            .into());
        }
        if state
            .index
            .pin()
            .is_some_and(|pin| pin.store_id != fence.store_id)
        {
            return Err(Denial::WrongStore.into());
        }
        let highest = state.epoch_seen;
        let is_older = fence.epoch < highest && !xrpl_tx::mutant!("signer-believes-any-epoch");
        if is_older || fence.epoch.saturating_sub(highest) > EPOCH_STEP_MAX {
            return Err(Denial::Epoch {
                asked: fence.epoch,
                highest,
            }
            .into());
        }
        if let Some(known) = fence.known
            && state.journal.hash_at(known.height)? != Some(known.hash)
        {
            return Err(Denial::JournalBehind {
                height: known.height,
            }
            .into());
        }
        if let Slot::Sequence(sequence) = slot {
            state.check_not_set_aside(sequence)?;
        }
        // Only once the journal is pinned: before, a request that is denied must leave no trace at all.
        if state.index.pin().is_some() {
            state.epoch_seen = fence.epoch;
        }
        Ok(())
    }

    pub(super) fn claim_payment(
        &self,
        state: &mut State,
        request: &PaymentRequest,
        invoice_id: Hash256,
    ) -> Result<Claim, Stop> {
        self.check_request(state, request.account, request.slot, request.fence)?;
        if request.digest_with(invoice_id) != request.claimed_digest {
            return Err(Denial::IntentDigest.into());
        }
        if let Some((position, first)) = state.payment(&request.key)? {
            if matches!(first.entry, Entry::Seal { .. }) {
                // Possibly another call's seal, not yet durable: nobody may hear of it before.
                let _recorded = self.durability.commit(position, first)?;
                return Err(Denial::Sealed.into());
            }
            if first.slot != request.slot {
                return Err(Denial::PaymentOnOtherSlot(first.slot).into());
            }
        }
        let Some(latest) = state.latest(request.slot)? else {
            return Ok(Claim::Fresh);
        };
        match &latest.entry {
            Entry::NoOp { .. } | Entry::Seal { .. } => Err(Denial::SlotIsNoOp(request.slot).into()),
            Entry::Payment { digest, .. }
                if *digest != request.claimed_digest && !xrpl_tx::mutant!("slot-reused") =>
            {
                Err(Denial::SlotTaken(request.slot).into())
            }
            Entry::TicketCreate { .. } | Entry::Adoption | Entry::Recovery { .. } => {
                Err(Denial::SlotTaken(request.slot).into())
            }
            Entry::Payment { .. } => {
                self.replay_or_version(state, request.slot, request.claimed_digest, request.version)
            }
        }
    }

    pub(super) fn claim_noop(
        &self,
        state: &mut State,
        request: &NoOpRequest,
    ) -> Result<Claim, Stop> {
        self.check_request(state, request.account, request.slot, request.fence)?;
        let latest = state.latest(request.slot)?;
        if let Some(key) = &request.for_payment {
            // The memo would name a payment that the slot does not belong to.
            if let Some((_, first)) = state.payment(key)?
                && first.slot != request.slot
            {
                return Err(Denial::PaymentOnOtherSlot(first.slot).into());
            }
            let is_another = |latest: &Record| {
                matches!(latest.entry, Entry::TicketCreate { .. })
                    || latest.key().is_some_and(|owner| owner != key)
            };
            if latest.as_ref().is_some_and(is_another) {
                return Err(Denial::SlotTaken(request.slot).into());
            }
        }
        match latest {
            Some(_) => {
                self.replay_or_version(state, request.slot, request.digest(), request.version)
            }
            None => Ok(Claim::Fresh),
        }
    }

    pub(super) fn claim_ticket_create(
        &self,
        state: &mut State,
        request: &TicketCreateRequest,
    ) -> Result<Claim, Stop> {
        self.check_request(state, request.account, request.slot(), request.fence)?;
        let digest = request.digest();
        match state.latest(request.slot())?.map(|latest| latest.entry) {
            Some(Entry::NoOp { .. } | Entry::Seal { .. }) => {
                Err(Denial::SlotIsNoOp(request.slot()).into())
            }
            Some(Entry::TicketCreate { digest: found, .. }) if found == digest => {
                self.replay_or_version(state, request.slot(), digest, request.version)
            }
            Some(
                Entry::Payment { .. }
                | Entry::TicketCreate { .. }
                | Entry::Adoption
                | Entry::Recovery { .. },
            ) => Err(Denial::SlotTaken(request.slot()).into()),
            // It jumps over the sequences after its own: one that was signed for would never come, whoever waits for it.
            None if state.index.highest_sequence() > request.sequence => {
                Err(Denial::TicketsBehind {
                    sequence: request.sequence,
                    highest: state.index.highest_sequence(),
                }
                .into())
            }
            None => Ok(Claim::Fresh),
        }
    }

    /// Goes back through the slot's frames for this very version.
    fn replay_or_version(
        &self,
        state: &State,
        slot: Slot,
        digest: [u8; 32],
        version: Version,
    ) -> Result<Claim, Stop> {
        let mut offset = state.index.slot_offset(slot).unwrap_or(0);
        while offset != 0 {
            let (position, record) = state.journal.read(offset)?;
            let same_content = match &record.entry {
                Entry::Payment { digest: found, .. }
                | Entry::NoOp { digest: found, .. }
                | Entry::TicketCreate { digest: found, .. } => *found == digest,
                Entry::Seal { .. } | Entry::Adoption | Entry::Recovery { .. } => false,
            };
            let same_version = record.transaction().is_some_and(|transaction| {
                transaction.fee_drops == version.fee_drops
                    && transaction.last_ledger_sequence == version.last_ledger_sequence
            });
            if same_content && same_version {
                // Possibly another call's frame, not yet durable: this commit waits for it.
                return Ok(Claim::Replay(Box::new(
                    self.durability.commit(position, record)?,
                )));
            }
            offset = record.previous_offset;
        }
        Ok(Claim::Versions)
    }
}

impl State {
    /// Whether a TicketCreate may make a ticket of the sequence: unless its own slot was given to a no-op, in which case
    /// whoever asks has to know from the ledger which of the two came.
    fn check_not_set_aside(&self, sequence: u32) -> Result<(), Stop> {
        let Some(by) = self.index.set_aside_by(sequence) else {
            return Ok(());
        };
        match self.latest(Slot::Sequence(by))?.map(|latest| latest.entry) {
            Some(Entry::TicketCreate { .. }) => Err(Denial::SetAside { sequence, by }.into()),
            _ => Ok(()),
        }
    }

    fn latest(&self, slot: Slot) -> Result<Option<Record>, JournalError> {
        match self.index.slot_offset(slot) {
            Some(offset) => Ok(Some(self.journal.read(offset)?.1)),
            None => Ok(None),
        }
    }

    /// The first frame that names the payment.
    fn payment(&self, key: &PaymentKey) -> Result<Option<(Position, Record)>, JournalError> {
        for offset in self.index.payment_candidates(key) {
            let (position, record) = self.journal.read(offset)?;
            if record.key() == Some(key) {
                return Ok(Some((position, record)));
            }
        }
        Ok(None)
    }
}
