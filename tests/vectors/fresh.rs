//! Random transactions of every kind that is sent, signed by us.

use paygate_tests::world::wallet::{SeedType, Wallet};
use xrpl_tx::{
    AccountId, Algorithm, Amount, Body, Drops, Hash256, Memo, Memos, NoOp, Payment, Slot,
    TICKETS_MAX, TicketCreate, Unsigned, filler_memo, invoice_id, network_id_field, noop_memo,
    sha512_half,
};

use crate::fields::{Named, Vector, as_json};
use crate::vault::{Signer, key};

/// SplitMix64: every draw follows from the seed.
pub(crate) struct Draws(pub(crate) u64);

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

    fn pick<T: Copy>(&mut self, values: &[T]) -> T {
        values[usize::try_from(self.below(values.len() as u64)).unwrap()]
    }

    pub(crate) fn array<const N: usize>(&mut self) -> [u8; N] {
        std::array::from_fn(|_| self.next() as u8)
    }

    fn bytes(&mut self, length: u64) -> Vec<u8> {
        (0..length).map(|_| self.next() as u8).collect()
    }

    /// Mostly any, often an end of the range.
    fn number(&mut self) -> u32 {
        let any = (self.next() as u32).max(1);
        self.pick(&[1, u32::MAX, any, any, any, any])
    }

    fn tag(&mut self) -> Option<u32> {
        let any = self.next() as u32;
        self.pick(&[None, Some(0), Some(u32::MAX), Some(any), Some(any)])
    }

    /// From one drop to all there are, of any magnitude.
    fn drops(&mut self) -> Drops {
        let magnitude = 10u64.pow(u32::try_from(1 + self.below(17)).unwrap());
        let any = 1 + self.below(magnitude);
        let ends = [1, 0xFFFF_FFFF, 0x1_0000_0000, Drops::MAX.get()];
        let end = self.pick(&ends);
        Drops::new(self.pick(&[end, any, any, any])).unwrap()
    }

    fn memos(&mut self) -> Memos {
        let url = |draws: &mut Draws| {
            let length = draws.below(30);
            let text = (0..length).map(|_| draws.pick(b"abcXYZ019-._~:/?#[]@!$&'()*+,;=%"));
            Some(text.collect())
        };
        // Each length that has another form, and all that fits.
        let lengths = [1, 192, 193, 1019];
        match self.below(4) {
            0 => Memos::default(),
            1 => {
                let length = self.pick(&lengths);
                let data = Some(self.bytes(length));
                Memos::new(vec![Memo::new(None, data, None).unwrap()]).unwrap()
            }
            _ => {
                let memos = (0..1 + self.below(4)).filter_map(|_| {
                    let length = self.below(180);
                    let data = Some(self.bytes(length));
                    Memo::new(url(self), data, url(self)).ok()
                });
                let memos = memos.collect();
                Memos::new(memos).unwrap()
            }
        }
    }
}

/// A wallet on a network, with the vault that holds its key.
pub(crate) struct Owner {
    wallet: Wallet,
    network: u32,
    signer: Signer,
}

impl Owner {
    pub(crate) fn draw(draws: &mut Draws, family: SeedType) -> Owner {
        let wallet = Wallet::from_entropy(family, draws.array());
        let any = draws.number();
        let network = draws.pick(&[0, 1, 1024, 1025, u32::MAX, any]);
        let signer = Signer::new(&wallet.seed, network);
        Owner {
            wallet,
            network,
            signer,
        }
    }

    /// Signed by the vault; for tickets and for making them, which it does not sign, by the bare curve.
    pub(crate) fn transaction(&mut self, draws: &mut Draws, number: usize) -> Vector {
        let named = Named {
            client: draws.pick(&["local", "shop", "a.b_c:d-e"]).into(),
            payment: format!("p-{number}"),
        };
        let makes_tickets = draws.below(10) == 0;
        let pays = !makes_tickets && draws.below(4) > 0;
        let named = Some(named).filter(|_| pays || (!makes_tickets && draws.below(2) > 0));
        // No two of a wallet have the same, of which a vault signs only one.
        let slot_number = 1 + 1_000_000 * number as u32 + draws.below(1_000_000) as u32;
        let slot = match draws.below(3) {
            0 => Slot::Ticket(slot_number),
            _ => Slot::Sequence(slot_number),
        };
        let (body, memos) = match &named {
            Some(named) if pays => {
                let invoice_id = self.invoice_id(named);
                let body = Body::Payment(Payment {
                    destination: AccountId::from_bytes(draws.array()),
                    destination_tag: draws.tag(),
                    amount: Amount::Xrp(draws.drops()),
                    invoice_id,
                });
                (body, draws.memos())
            }
            _ if makes_tickets => {
                let any = 1 + draws.below(u64::from(TICKETS_MAX)) as u32;
                let tickets = TicketCreate::new(draws.pick(&[1, any, any, TICKETS_MAX]));
                (Body::TicketCreate(tickets.unwrap()), draws.memos())
            }
            _ => {
                let memo = match &named {
                    Some(named) => noop_memo(&named.client, &named.payment),
                    None => filler_memo(slot),
                };
                (Body::NoOp(NoOp), Memos::new(vec![memo]).unwrap())
            }
        };
        let tx = Unsigned {
            account: self.wallet.account,
            slot,
            fee: draws.drops(),
            last_ledger_sequence: draws.number(),
            network_id: network_id_field(self.network),
            source_tag: draws.tag(),
            memos,
            body,
            signing_key: key(&self.wallet.seed).public(),
        };
        let blob = match slot {
            Slot::Sequence(_) if !makes_tickets => self.signer.sign(&tx, named.as_ref()),
            _ => tx.sign_with(&self.curve(&tx)).unwrap().blob,
        };
        Vector {
            seed: self.wallet.seed.clone(),
            network: self.network,
            named,
            tx: as_json(&tx),
            hash: sha512_half(&[b"TXN\0", &blob]).to_string(),
            blob: hex::encode_upper(blob),
        }
    }

    fn invoice_id(&self, named: &Named) -> Hash256 {
        invoice_id(
            self.network,
            self.wallet.account,
            &named.client,
            &named.payment,
        )
    }

    fn curve(&self, tx: &Unsigned) -> Vec<u8> {
        let payload = tx.signing_payload();
        match tx.signing_key.algorithm() {
            Algorithm::Ed25519 => {
                let pair =
                    ring::signature::Ed25519KeyPair::from_seed_unchecked(&self.wallet.private_key);
                pair.unwrap().sign(&payload).as_ref().to_vec()
            }
            Algorithm::Secp256k1 => {
                let private = secp256k1::SecretKey::from_byte_array(&self.wallet.private_key);
                let digest = secp256k1::Message::from_digest(*sha512_half(&[&payload]).as_bytes());
                let signature = secp256k1::Secp256k1::new().sign_ecdsa(&digest, &private.unwrap());
                signature.serialize_der().to_vec()
            }
        }
    }
}
