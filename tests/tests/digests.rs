//! The intent digest of the gateway against the signer's, which share no code: whatever is asked for, both compute the same,
//! and what differs in anything but the version has another.
#![allow(clippy::unwrap_used, reason = "a story ends where it goes wrong")]

use paygate_payments::intent::{Id, Intent, PaymentKey, Wallet};
use paygate_proto::signer::v1 as wire;
use paygate_signer::intent::PaymentRequest;
use xrpl_tx::{
    AccountId, Amount, Asset, Currency, Drops, IssuedAmount, IssuedValue, Memo, Memos, Slot,
};

/// Intents that are drawn.
const INTENTS: u32 = 2_000;

/// SplitMix64: the same intents in each run.
struct Draws(u64);

impl Draws {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    fn bytes(&mut self, length: u64) -> Vec<u8> {
        (0..length).map(|_| self.next() as u8).collect()
    }

    fn account(&mut self) -> AccountId {
        AccountId::from_bytes(self.bytes(20).try_into().unwrap())
    }

    fn tag(&mut self) -> Option<u32> {
        let any = self.next() as u32;
        [None, Some(0), Some(u32::MAX), Some(any)][self.below(4) as usize]
    }

    fn id(&mut self) -> Id {
        let length = 1 + self.below(64);
        let text = (0..length).map(|_| b"abcXYZ019._:-"[self.below(13) as usize] as char);
        Id::new(text.collect::<String>()).unwrap()
    }

    fn value(&mut self) -> IssuedValue {
        let digits = 10u64.pow(15) + self.below(9 * 10u64.pow(15));
        IssuedValue::new(digits, self.below(177) as i32 - 96).unwrap()
    }

    fn amount(&mut self) -> Amount {
        if self.below(2) == 0 {
            return Amount::Xrp(Drops::new(1 + self.below(Drops::MAX.get())).unwrap());
        }
        let mut currency = self.bytes(20);
        currency[0] |= 1;
        let known = "USD".parse().unwrap();
        let any = Currency::from_bytes(currency.try_into().unwrap()).unwrap();
        let asset = Asset {
            currency: [known, any][self.below(2) as usize],
            issuer: self.account(),
        };
        let (one, other) = (self.value(), self.value());
        let (value, send_max) = match self.below(2) {
            0 => (one, None),
            _ => (one.min(other), Some(one.max(other))),
        };
        Amount::issued(IssuedAmount::new(asset, value).unwrap(), send_max).unwrap()
    }

    fn memos(&mut self) -> Memos {
        let part = |draws: &mut Draws| {
            let length = draws.below(20);
            Some(vec![b'a'; length as usize])
        };
        let memos = (0..self.below(4)).filter_map(|_| {
            let data = self.below(200);
            let data = Some(self.bytes(data));
            Memo::new(part(self), data, part(self)).ok()
        });
        Memos::new(memos.collect()).unwrap()
    }
}

/// The request as `services/gateway/src/signer.rs` puts it, by the contract alone.
fn asked(intent: &Intent, wallet: &Wallet, slot: Slot) -> wire::SignPaymentRequest {
    let kind = match slot {
        Slot::Sequence(number) => wire::slot::Kind::Sequence(number),
        Slot::Ticket(number) => wire::slot::Kind::Ticket(number),
    };
    let amount = match &intent.amount {
        Amount::Xrp(drops) => wire::sign_payment_request::Amount::XrpDrops(drops.get()),
        Amount::Issued { amount, send_max } => {
            wire::sign_payment_request::Amount::Issued(wire::IssuedAmount {
                currency: amount.asset().currency.to_string(),
                issuer: amount.asset().issuer.to_address(),
                value: amount.value().to_string(),
                send_max: send_max.map_or_else(String::new, |value| value.to_string()),
            })
        }
    };
    let memo = |memo: &Memo| wire::Memo {
        r#type: memo.memo_type.clone().unwrap_or_default(),
        data: memo.data.clone().unwrap_or_default(),
        format: memo.format.clone().unwrap_or_default(),
    };
    wire::SignPaymentRequest {
        fence: Some(wire::Fence {
            store_id: vec![7; 16],
            epoch: 1,
            journal_head: Some(wire::JournalHead::default()),
        }),
        key: Some(wire::PaymentKey {
            client_id: intent.key.client.to_string(),
            payment_id: intent.key.payment.to_string(),
        }),
        account: wallet.account.to_address(),
        slot: Some(wire::Slot { kind: Some(kind) }),
        destination: intent.destination.to_address(),
        destination_tag: intent.destination_tag,
        source_tag: wallet.source_tag,
        memos: intent.memos.as_slice().iter().map(memo).collect(),
        amount: Some(amount),
        fee_drops: 12,
        last_ledger_sequence: 1_000,
        intent_digest: vec![0; 32],
    }
}

fn signers(intent: &Intent, wallet: &Wallet, slot: Slot) -> [u8; 32] {
    PaymentRequest::from_wire(asked(intent, wallet, slot))
        .unwrap()
        .digest(wallet.network_id)
}

#[test]
fn gateway_and_signer_compute_the_same_digest_of_any_intent() {
    let mut draws = Draws(0x5EED);
    let mut issued = 0;
    for _ in 0..INTENTS {
        let wallet = Wallet {
            network_id: draws.next() as u32,
            account: draws.account(),
            source_tag: draws.tag(),
        };
        let number = 1 + draws.below(u64::from(u32::MAX)) as u32;
        let slot = [Slot::Sequence(number), Slot::Ticket(number)][draws.below(2) as usize];
        let intent = Intent {
            key: PaymentKey {
                client: draws.id(),
                payment: draws.id(),
            },
            destination: draws.account(),
            destination_tag: draws.tag(),
            amount: draws.amount(),
            memos: draws.memos(),
            retry_of: None,
        };
        issued += u32::from(matches!(intent.amount, Amount::Issued { .. }));
        let digest = intent.digest(&wallet, slot);
        assert_eq!(
            digest.as_bytes(),
            &signers(&intent, &wallet, slot),
            "{intent:?}"
        );

        let other = Intent {
            amount: draws.amount(),
            ..intent.clone()
        };
        if other.amount != intent.amount {
            assert_ne!(digest, other.digest(&wallet, slot));
            assert_ne!(digest.as_bytes(), &signers(&other, &wallet, slot));
        }
    }
    assert!((INTENTS / 3..INTENTS).contains(&issued), "{issued}");
}
