//! The vault's signing against the bare curve operation and against xrpl-rust's own signing of a payment.
//!
//! `cargo bench --workspace --bench sign`. The vault checks policy and journal, encodes, signs and records; its journal lies
//! in memory (`/dev/shm`), so that a sync costs nothing while frame, checksums and `HEAD` are written all the same. One
//! request is in flight: nothing shares a commit. Limits are raised to all there is. All three do the same payment in
//! interleaved rounds on one thread, and the median round of each is told: only the ratios mean something. What is counted
//! is the thread's processor time, user and system, so that other work on the machine disturbs less.
#![allow(clippy::print_stdout, reason = "the figures are the result")]
#![allow(clippy::unwrap_used, reason = "a bench that fails says where")]
#![allow(clippy::float_arithmetic, reason = "figures for people, not money")]

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::hint::black_box;
use std::path::Path;
use std::time::Duration;

use paygate_signer::intent::{Fence, PaymentKey, PaymentRequest, Version};
use paygate_signer::keys::SigningKey;
use paygate_signer::keys::seed::Seed;
use paygate_signer::policy::{AssetLimits, Policy, TransactionType};
use paygate_signer::vault::{Ledger, Outcome, Vault, Wallet};
use rustix::time::{ClockId, clock_gettime};
use xrpl::models::transactions::Memo as TheirMemo;
use xrpl::models::transactions::payment::Payment as TheirPayment;
use xrpl_tx::{
    AccountId, Amount, Asset, Body, Drops, IssuedAmount, IssuedValue, Memo, Slot, Unsigned,
    sha512_half,
};

const ROUNDS: usize = 15;
const ROUND: Duration = Duration::from_millis(300);

/// Calls between two looks at the clock.
const BATCH: u32 = 50;

/// Bars: of the bare curve's rate, and of xrpl-rust's.
const CURVE_BAR: f64 = 0.8;
const THEIRS_BAR: f64 = 4.0;

const NOW_MS: u64 = 1_800_000_000_000;
const FIRST_LEDGER: u32 = 1000;
const DESTINATION: AccountId = AccountId::from_bytes([0xA2; 20]);

/// In memory if there is such a place, else where temporary files are, which then is said.
fn directory() -> (tempfile::TempDir, bool) {
    let memory = Path::new("/dev/shm");
    match tempfile::tempdir_in(memory) {
        Ok(directory) => (directory, true),
        Err(_) => (tempfile::tempdir().unwrap(), false),
    }
}

fn key(seed: &str) -> SigningKey {
    SigningKey::from_seed(Seed::parse(seed.as_bytes()).unwrap()).unwrap()
}

fn usd() -> Asset {
    Asset {
        currency: "USD".parse().unwrap(),
        issuer: AccountId::from_bytes([0x15; 20]),
    }
}

fn policy() -> Policy {
    let everything = AssetLimits {
        max_payment: IssuedValue::MAX,
        max_day: IssuedValue::MAX,
    };
    Policy {
        max_payment: Drops::MAX,
        max_day: Drops::MAX,
        max_fee: Drops::MAX,
        last_ledger_window: 30,
        anchor_ledger_index: FIRST_LEDGER,
        anchor_time_ms: NOW_MS,
        ledger_min_close_ms: 3000,
        denied_destinations: BTreeSet::new(),
        allowed_types: BTreeSet::from([TransactionType::Payment]),
        assets: BTreeMap::from([(usd(), everything)]),
    }
}

/// A vault, and the number of its next payment.
struct Bench {
    vault: Vault,
    account: AccountId,
    next: Cell<u32>,
    amount: Amount,
}

impl Bench {
    fn new(directory: &Path, seed: &str, amount: Amount) -> Bench {
        let key = key(seed);
        let account = key.public().account_id();
        let wallet = Wallet {
            account,
            network_id: 0,
        };
        let ledger = Ledger::open(directory, 0).unwrap();
        Bench {
            vault: Vault::new(wallet, policy(), key, ledger).unwrap(),
            account,
            next: Cell::new(1),
            amount,
        }
    }

    /// A new payment each time: a repeated one would only be read from the journal. Whoever asks makes it, not the vault.
    fn request(&self) -> PaymentRequest {
        let number = self.next.replace(self.next.get() + 1);
        let mut request = PaymentRequest {
            fence: Fence {
                store_id: [7; 16],
                epoch: 1,
                known: None,
            },
            key: PaymentKey::new("shop", &format!("order-{number}")).unwrap(),
            account: self.account,
            slot: Slot::Sequence(number),
            destination: DESTINATION,
            destination_tag: Some(7),
            source_tag: Some(1),
            amount: self.amount,
            memos: vec![Memo::new(None, Some(b"order 4711".to_vec()), None).unwrap()],
            version: Version {
                fee_drops: 12,
                last_ledger_sequence: FIRST_LEDGER + 20,
            },
            claimed_digest: [0; 32],
        };
        request.claimed_digest = request.digest(0);
        request
    }

    fn sign(&self, request: &PaymentRequest) -> Vec<u8> {
        match self.vault.sign_payment(request, NOW_MS).unwrap() {
            Outcome::Signed { recorded, .. } => {
                recorded.record().transaction().unwrap().blob.clone()
            }
            Outcome::Denied { denial, .. } => panic!("{denial}"),
        }
    }
}

/// The curve's own operation over the bytes of such a payment.
enum Curve {
    Ed25519(ring::signature::Ed25519KeyPair),
    Secp256k1 {
        context: secp256k1::Secp256k1<secp256k1::All>,
        key: secp256k1::SecretKey,
    },
}

impl Curve {
    fn sign(&self, payload: &[u8]) {
        match self {
            Curve::Ed25519(pair) => {
                black_box(pair.sign(black_box(payload)));
            }
            Curve::Secp256k1 { context, key } => {
                let digest = *sha512_half(&[black_box(payload)]).as_bytes();
                black_box(context.sign_ecdsa(&secp256k1::Message::from_digest(digest), key));
            }
        }
    }
}

fn theirs(wallet: &xrpl::wallet::Wallet) -> String {
    let memo = TheirMemo::new(Some(hex::encode_upper("order 4711")), None, None);
    let mut payment = TheirPayment::new(
        wallet.classic_address.clone().into(),
        None,
        Some("12".into()),
        None,
        Some(FIRST_LEDGER + 20),
        Some(vec![memo]),
        Some(7),
        None,
        Some(1),
        None,
        xrpl::models::Amount::XRPAmount("25000000".into()),
        DESTINATION.to_address().into(),
        None,
        Some(7),
        None,
        None,
        None,
    );
    xrpl::signing::sign(&mut payment, wallet, false).unwrap();
    // What is submitted is the blob.
    xrpl::core::binarycodec::encode(&payment).unwrap()
}

/// What the thread took of a processor so far.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(
        time.tv_sec.try_into().unwrap(),
        time.tv_nsec.try_into().unwrap(),
    )
}

/// Calls within a round, as calls a second of a processor. What a call is asked with is made before, and not counted.
fn rate<Q>(mut ask: impl FnMut() -> Q, mut call: impl FnMut(&Q)) -> f64 {
    let (mut calls, mut taken) = (0u32, Duration::ZERO);
    while taken < ROUND {
        let asked: Vec<Q> = (0..BATCH).map(|_| ask()).collect();
        let begin = processor_time();
        asked.iter().for_each(&mut call);
        taken += processor_time() - begin;
        calls += BATCH;
    }
    f64::from(calls) / taken.as_secs_f64()
}

fn median(mut rates: Vec<f64>) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates[rates.len() / 2]
}

fn compare(family: &str, seed: &str, curve: &Curve) {
    let issued = IssuedAmount::new(usd(), "25.5".parse().unwrap()).unwrap();
    let issued = Amount::issued(issued, Some("25.6".parse().unwrap())).unwrap();
    let (place, in_memory) = directory();
    let xrp = Amount::Xrp(Drops::from_const(25_000_000));
    let xrp = Bench::new(&place.path().join("xrp"), seed, xrp);
    let issued = Bench::new(&place.path().join("issued"), seed, issued);
    let wallet = xrpl::wallet::Wallet::new(seed, 0).unwrap();

    let (tx, _) = Unsigned::from_blob(&xrp.sign(&xrp.request())).unwrap();
    assert!(matches!(tx.body, Body::Payment(_)));
    let payload = tx.signing_payload();
    let mut rates: [Vec<f64>; 4] = Default::default();
    for _ in 0..ROUNDS {
        rates[0].push(rate(|| (), |()| curve.sign(&payload)));
        rates[1].push(rate(
            || xrp.request(),
            |request| drop(black_box(xrp.sign(request))),
        ));
        rates[2].push(rate(
            || issued.request(),
            |request| drop(black_box(issued.sign(request))),
        ));
        rates[3].push(rate(|| (), |()| drop(black_box(theirs(&wallet)))));
    }
    let [curve, xrp, issued, theirs] = rates.map(median);
    let place = if in_memory { "in memory" } else { "ON A DISK" };
    println!("{family}, journal {place}:");
    println!("  bare curve operation     {curve:>8.0} /s");
    println!(
        "  vault, XRP               {xrp:>8.0} /s   {:.2} x curve (bar {CURVE_BAR})   {:.1} x xrpl-rust (bar {THEIRS_BAR})",
        xrp / curve,
        xrp / theirs
    );
    println!(
        "  vault, issued + SendMax  {issued:>8.0} /s   {:.2} x curve",
        issued / curve
    );
    println!("  xrpl-rust sign + blob    {theirs:>8.0} /s");
}

fn main() {
    // Well-known seeds: no secret.
    let pair = ring::signature::Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap();
    compare(
        "ed25519",
        "sEdSKaCy2JT7JaM7v95H9SxkhP9wS2r",
        &Curve::Ed25519(pair),
    );
    let curve = Curve::Secp256k1 {
        context: secp256k1::Secp256k1::new(),
        key: secp256k1::SecretKey::from_byte_array(&[7; 32]).unwrap(),
    };
    compare("secp256k1", "snoPBrXtMeMyMHUVTgbuqAfg1SUTb", &curve);
}
