//! Random transactions of every kind that is sent, signed by the signer's vault.

use paygate_tests::world::wallet::{SeedType, Wallet};
use xrpl_tx::{
    AccountId, Amount, Asset, Body, Currency, Drops, Hash256, IssuedAmount, IssuedValue, Memo,
    Memos, NoOp, Payment, Slot, TICKETS_MAX, TicketCreate, Unsigned, filler_memo, invoice_id,
    network_id_field, noop_memo, sha512_half, tickets_memo,
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

    /// A standard code, or any other 20 bytes. Not of `<` and `>`, which xrpl.js writes as hex.
    fn asset(&mut self) -> Asset {
        let any = loop {
            if let Ok(any) = Currency::from_bytes(self.array()) {
                break any;
            }
        };
        let known = [
            "USD",
            "usd",
            "?!@",
            "524C555344000000000000000000000000000000",
        ];
        let known = self.pick(&known).parse().unwrap();
        Asset {
            currency: self.pick(&[known, any]),
            issuer: AccountId::from_bytes(self.array()),
        }
    }

    /// The whole range, with any number of digits.
    fn issued(&mut self) -> IssuedValue {
        let zeros = 10u64.pow(self.below(16) as u32);
        let any = (10u64.pow(15) + self.below(9 * 10u64.pow(15))) / zeros * zeros;
        let mantissa = self.pick(&[10u64.pow(15), 10u64.pow(16) - 1, any, any, any]);
        let exponent = self.below(177) as i32 - 96;
        let exponent = self.pick(&[-96, 80, exponent, exponent, exponent]);
        IssuedValue::new(mantissa, exponent).unwrap()
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

/// What is signed: each kind that there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A payment in XRP.
    Xrp,
    /// A payment in an issued currency.
    Issued,
    /// A no-op, for a payment or for none.
    NoOp,
    /// A TicketCreate.
    TicketCreate,
}

/// All kinds.
pub(crate) const KINDS: [Kind; 4] = [Kind::Xrp, Kind::Issued, Kind::NoOp, Kind::TicketCreate];

/// Assets of which each wallet pays.
const ASSETS: usize = 12;

/// A wallet on a network, with the vault that holds its key.
pub(crate) struct Owner {
    wallet: Wallet,
    network: u32,
    assets: Vec<Asset>,
    signer: Signer,
}

impl Owner {
    pub(crate) fn draw(draws: &mut Draws, family: SeedType) -> Owner {
        let wallet = Wallet::from_entropy(family, draws.array());
        let any = draws.number();
        let network = draws.pick(&[0, 1, 1024, 1025, u32::MAX, any]);
        let assets: Vec<Asset> = (0..ASSETS).map(|_| draws.asset()).collect();
        let signer = Signer::new(&wallet.seed, network, &assets);
        Owner {
            wallet,
            network,
            assets,
            signer,
        }
    }

    /// Signed by the vault. Numbers have to rise: tickets are made in front of all that was signed for.
    pub(crate) fn transaction(&mut self, draws: &mut Draws, number: usize, kind: Kind) -> Vector {
        let named = Named {
            client: draws.pick(&["local", "shop", "a.b_c:d-e"]).into(),
            payment: format!("p-{number}"),
        };
        let named = match kind {
            Kind::Xrp | Kind::Issued => Some(named),
            Kind::NoOp => Some(named).filter(|_| draws.below(2) > 0),
            Kind::TicketCreate => None,
        };
        // No two of a wallet have the same, of which a vault signs only one, and none is next to another.
        let slot_number = 1 + 1_000_000 * number as u32 + draws.below(900_000) as u32;
        let slot = match draws.below(3) {
            0 if kind != Kind::TicketCreate => Slot::Ticket(slot_number),
            _ => Slot::Sequence(slot_number),
        };
        let (body, memos) = match (kind, &named) {
            (Kind::Xrp | Kind::Issued, Some(named)) => {
                let amount = match kind {
                    Kind::Issued => self.issued(draws),
                    _ => Amount::Xrp(draws.drops()),
                };
                let body = Body::Payment(Payment {
                    destination: AccountId::from_bytes(draws.array()),
                    destination_tag: draws.tag(),
                    amount,
                    invoice_id: self.invoice_id(named),
                });
                (body, draws.memos())
            }
            (Kind::TicketCreate, _) => {
                let any = 1 + draws.below(u64::from(TICKETS_MAX)) as u32;
                let tickets = TicketCreate::new(draws.pick(&[1, any, any, TICKETS_MAX])).unwrap();
                (
                    Body::TicketCreate(tickets),
                    one(tickets_memo(slot, tickets)),
                )
            }
            (_, named) => {
                let memo = match named {
                    Some(named) => noop_memo(&named.client, &named.payment),
                    None => filler_memo(slot),
                };
                (Body::NoOp(NoOp), one(memo))
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
        let blob = self.signer.sign(&tx, named.as_ref());
        Vector {
            seed: self.wallet.seed.clone(),
            network: self.network,
            named,
            tx: as_json(&tx),
            hash: sha512_half(&[b"TXN\0", &blob]).to_string(),
            blob: hex::encode_upper(blob),
        }
    }

    fn issued(&self, draws: &mut Draws) -> Amount {
        let (one, other) = (draws.issued(), draws.issued());
        let (value, send_max) = match draws.below(2) {
            0 => (one, None),
            _ => (one.min(other), Some(one.max(other))),
        };
        let asset = draws.pick(&self.assets);
        Amount::issued(IssuedAmount::new(asset, value).unwrap(), send_max).unwrap()
    }

    fn invoice_id(&self, named: &Named) -> Hash256 {
        invoice_id(
            self.network,
            self.wallet.account,
            &named.client,
            &named.payment,
        )
    }
}

fn one(memo: Memo) -> Memos {
    Memos::new(vec![memo]).unwrap()
}
