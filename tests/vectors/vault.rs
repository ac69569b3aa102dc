//! The signer's vault and keys, asked for given transactions.

use std::collections::BTreeSet;

use paygate_signer::intent::{
    Fence, NoOpRequest, PaymentKey, PaymentRequest, TicketCreateRequest, Version,
};
use paygate_signer::keys::SigningKey;
use paygate_signer::keys::seed::Seed;
use paygate_signer::policy::{AssetLimits, DAY_MS, Policy, TransactionType};
use paygate_signer::vault::{self, Ledger, Outcome, Vault};
use xrpl_tx::{Asset, Body, Drops, IssuedValue, NoOp, Slot, Unsigned};

use crate::fields::Named;

const NOON_MS: u64 = 1_800_000_000_000;

/// A vault that allows everything that can be said, with a clock that leaves a day between any two signatures.
pub(crate) struct Signer {
    vault: Vault,
    now_ms: u64,
    _directory: tempfile::TempDir,
}

impl Signer {
    /// Signs for these assets, of each as much as there can be.
    pub(crate) fn new(seed: &str, network_id: u32, assets: &[Asset]) -> Signer {
        let directory = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(&directory.path().join("journal"), network_id).unwrap();
        let key = key(seed);
        let wallet = vault::Wallet {
            account: key.public().account_id(),
            network_id,
        };
        let everything = AssetLimits {
            max_payment: IssuedValue::MAX,
            max_day: IssuedValue::MAX,
        };
        let policy = Policy {
            max_payment: Drops::MAX,
            max_day: Drops::MAX,
            max_fee: Drops::MAX,
            last_ledger_window: u32::MAX,
            anchor_ledger_index: 1,
            anchor_time_ms: NOON_MS,
            ledger_min_close_ms: 3000,
            denied_destinations: BTreeSet::new(),
            allowed_types: BTreeSet::from([
                TransactionType::Payment,
                TransactionType::NoOp,
                TransactionType::TicketCreate,
            ]),
            assets: assets.iter().map(|asset| (*asset, everything)).collect(),
        };
        Signer {
            vault: Vault::new(wallet, policy, key, ledger).unwrap(),
            now_ms: NOON_MS,
            _directory: directory,
        }
    }

    /// Asks for this transaction. What no request can say, the InvoiceID, a no-op's memo, the NetworkID, is the vault's.
    pub(crate) fn sign(&mut self, tx: &Unsigned, named: Option<&Named>) -> Vec<u8> {
        self.now_ms += DAY_MS + 1;
        let key = named.map(|named| PaymentKey::new(&named.client, &named.payment).unwrap());
        let fence = Fence {
            store_id: [7; 16],
            epoch: 1,
            known: None,
        };
        let version = Version {
            fee_drops: tx.fee.get(),
            last_ledger_sequence: tx.last_ledger_sequence,
        };
        let outcome = match &tx.body {
            Body::Payment(payment) => {
                let mut request = PaymentRequest {
                    fence,
                    key: key.expect("a payment has a name"),
                    account: tx.account,
                    slot: tx.slot,
                    destination: payment.destination,
                    destination_tag: payment.destination_tag,
                    source_tag: tx.source_tag,
                    amount: payment.amount,
                    memos: tx.memos.as_slice().to_vec(),
                    version,
                    claimed_digest: [0; 32],
                };
                let network_id = self.vault.describe(self.now_ms).unwrap().wallet.network_id;
                request.claimed_digest = request.digest(network_id);
                self.vault.sign_payment(&request, self.now_ms)
            }
            Body::NoOp(NoOp) => {
                let request = NoOpRequest {
                    fence,
                    account: tx.account,
                    slot: tx.slot,
                    for_payment: key,
                    source_tag: tx.source_tag,
                    version,
                };
                self.vault.sign_noop(&request, self.now_ms)
            }
            Body::TicketCreate(tickets) => {
                let Slot::Sequence(sequence) = tx.slot else {
                    panic!("the vault makes tickets by sequences only");
                };
                let request = TicketCreateRequest {
                    fence,
                    account: tx.account,
                    sequence,
                    tickets: *tickets,
                    source_tag: tx.source_tag,
                    version,
                };
                self.vault.sign_ticket_create(&request, self.now_ms)
            }
        };
        match outcome.unwrap() {
            Outcome::Signed { recorded, .. } => {
                recorded.record().transaction().unwrap().blob.clone()
            }
            Outcome::Denied { denial, .. } => panic!("{denial}"),
        }
    }
}

/// The key of a written seed, as the signer derives it.
pub(crate) fn key(seed: &str) -> SigningKey {
    SigningKey::from_seed(Seed::parse(seed.as_bytes()).unwrap()).unwrap()
}
