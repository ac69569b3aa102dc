//! Keys of both families against published vectors and an implementation that is not ours.

#![allow(missing_docs, clippy::unwrap_used)]

use paygate_signer::keys::SigningKey;
use paygate_signer::keys::seed::{Family, Seed};
use xrpl::constants::CryptoAlgorithm;
use xrpl::core::addresscodec::{decode_seed, encode_seed};
use xrpl::core::keypairs::{CryptoImplementation, Ed25519, Secp256k1};

/// Sixty-four in a thousand of the older family are refused by the other side's usual way in; all must do here.
const SEEDS: u64 = 2000;

fn key(seed: &str) -> SigningKey {
    SigningKey::from_seed(Seed::parse(seed.as_bytes()).unwrap()).unwrap()
}

/// A seed for each number, the same in each run.
fn entropy(number: u64) -> [u8; 16] {
    let hash = xrpl_tx::sha256(&[b"seed", &number.to_be_bytes()]);
    hash.as_bytes()[..16].try_into().unwrap()
}

#[test]
fn known_seeds_have_their_known_addresses() {
    for (seed, address) in [
        (
            "snoPBrXtMeMyMHUVTgbuqAfg1SUTb",
            "rHb9CJAWyB4rj91VRWn96DkukG4bwdtyTh",
        ),
        (
            "sp5fghtJtpUorTwvof1NpDXAzNwf5",
            "rU6K7V3Po4snVhBBaU29sesqs2qTQJWDw1",
        ),
        (
            "sEdSKaCy2JT7JaM7v95H9SxkhP9wS2r",
            "rLUEXYuLiQptky37CqLcm9USQpPiz5rkpD",
        ),
        (
            "sEdTM1uX8pu2do5XvTnutH6HsouMaM2",
            "rG31cLyErnqeVj2eomEjBZtq7PYaupGYzL",
        ),
    ] {
        assert_eq!(
            key(seed).public().account_id().to_address(),
            address,
            "{seed}"
        );
    }
}

#[test]
fn thousands_of_seeds_give_the_keys_that_another_implementation_derives() {
    let mut leading_zeros = 0;
    for number in 0..SEEDS {
        let seed = encode_seed(entropy(number), CryptoAlgorithm::SECP256K1).unwrap();
        let (entropy, _) = decode_seed(&seed).unwrap();
        let (public, private) = Secp256k1.derive_keypair(&entropy, false).unwrap();
        leading_zeros += u32::from(private.trim_start_matches('0').len() < 64);
        assert_eq!(
            hex::encode_upper(key(&seed).public().as_bytes()),
            public,
            "seed number {number}"
        );

        let seed = encode_seed(entropy, CryptoAlgorithm::ED25519).unwrap();
        let (public, _) = Ed25519.derive_keypair(&entropy, false).unwrap();
        assert_eq!(
            hex::encode_upper(key(&seed).public().as_bytes()),
            public,
            "seed number {number}"
        );
    }
    assert!(
        leading_zeros > 0,
        "the seeds that others refuse are among them"
    );
}

#[test]
fn the_canary_proves_the_key_of_either_family() {
    for seed in [
        "snoPBrXtMeMyMHUVTgbuqAfg1SUTb",
        "sEdTM1uX8pu2do5XvTnutH6HsouMaM2",
    ] {
        let key = key(seed);
        assert!(key.memory_is_locked());
        key.canary(1).unwrap();
    }
}

#[test]
fn what_is_no_seed_is_refused_without_being_repeated() {
    assert_eq!(
        Seed::parse(b"sEdTM1uX8pu2do5XvTnutH6HsouMaM2")
            .unwrap()
            .family(),
        Family::Ed25519
    );
    assert_eq!(
        Seed::parse(b"snoPBrXtMeMyMHUVTgbuqAfg1SUTb")
            .unwrap()
            .family(),
        Family::Secp256k1
    );
    for text in [
        "",
        "s",
        "snoPBrXtMeMyMHUVTgbuqAfg1SUTc",
        "sEdTM1uX8pu2do5XvTnutH6HsouMaM3",
        "snoPBrXtMeMyMHUVTgbuqAfg1SUT0",
        "rHb9CJAWyB4rj91VRWn96DkukG4bwdtyTh",
        "rrrrrrrrrrrrrrrrrrrrrhoLvTp",
        "zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz",
        "snoPBrXtMeMyMHUVTgbuqAfg1SUTbsnoPBrXtMeMyMHUVTgbuqAfg1SUTb",
    ] {
        let error = Seed::parse(text.as_bytes()).err().unwrap().to_string();
        assert!(
            text.is_empty() || text == "s" || !error.contains(text),
            "{error}"
        );
    }
}
