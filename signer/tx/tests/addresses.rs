//! Keys, addresses and X-addresses of the ledger's documentation and of other libraries' published tests.
#![allow(clippy::unwrap_used)]

use xrpl_tx::{
    ACCOUNT_ONE, ACCOUNT_ZERO, AccountId, AddressError, Algorithm, Destination, PublicKey,
    PublicKeyError, XNetwork, to_x_address,
};

fn account(address: &str) -> AccountId {
    address.parse().unwrap()
}

#[test]
fn keys_own_the_documented_accounts() {
    for (key, address, algorithm) in [
        // The master passphrase "masterpassphrase", owner of the first account of every ledger.
        (
            "0330E7FC9D56BB25D6893BA3F317AE5BCF33B3291BD63DB32654A313222F7FD020",
            "rHb9CJAWyB4rj91VRWn96DkukG4bwdtyTh",
            Algorithm::Secp256k1,
        ),
        (
            "ED9434799226374926EDA3B54B1B461B4ABF7237962EAE18528FEA67595397FA32",
            "rDTXLQ7ZKZVKz33zJbHjgVShjsBnqMBhmN",
            Algorithm::Ed25519,
        ),
    ] {
        let key = PublicKey::from_bytes(&hex::decode(key).unwrap()).unwrap();
        assert_eq!(key.account_id().to_address(), address);
        assert_eq!(key.algorithm(), algorithm);
    }
}

#[test]
fn other_bytes_are_no_public_key() {
    for bytes in [0, 32, 34, 65] {
        assert_eq!(
            PublicKey::from_bytes(&vec![2; bytes]),
            Err(PublicKeyError::Length { bytes })
        );
    }
    for prefix in [0x00, 0x01, 0x04, 0xEC, 0xEE] {
        assert_eq!(
            PublicKey::from_bytes(&[prefix; 33]),
            Err(PublicKeyError::Prefix { prefix })
        );
    }
}

#[test]
fn special_accounts_have_their_documented_addresses() {
    assert_eq!(ACCOUNT_ZERO.to_address(), "rrrrrrrrrrrrrrrrrrrrrhoLvTp");
    assert_eq!(ACCOUNT_ONE.to_address(), "rrrrrrrrrrrrrrrrrrrrBZbvji");
    assert_eq!(account("rrrrrrrrrrrrrrrrrrrrrhoLvTp"), ACCOUNT_ZERO);
    assert_eq!(account("rrrrrrrrrrrrrrrrrrrrBZbvji"), ACCOUNT_ONE);
}

const X_ADDRESSES: [(&str, Option<u32>, &str, &str); 9] = [
    (
        "r9cZA1mLK5R5Am25ArfXFmqgNwjZgnfk59",
        None,
        "X7AcgcsBL6XDcUb289X4mJ8djcdyKaB5hJDWMArnXr61cqZ",
        "T719a5UwUCnEs54UsxG9CJYYDhwmFCqkr7wxCcNcfZ6p5GZ",
    ),
    (
        "r9cZA1mLK5R5Am25ArfXFmqgNwjZgnfk59",
        Some(1),
        "X7AcgcsBL6XDcUb289X4mJ8djcdyKaGZMhc9YTE92ehJ2Fu",
        "T719a5UwUCnEs54UsxG9CJYYDhwmFCvbJNZbi37gBGkRkbE",
    ),
    (
        "r9cZA1mLK5R5Am25ArfXFmqgNwjZgnfk59",
        Some(11747),
        "X7AcgcsBL6XDcUb289X4mJ8djcdyKaLFuhLRuNXPrDeJd9A",
        "T719a5UwUCnEs54UsxG9CJYYDhwmFCziiNHtUukubF2Mg6t",
    ),
    (
        "rLczgQHxPhWtjkaQqn3Q6UM8AbRbbRvs5K",
        None,
        "XVZVpQj8YSVpNyiwXYSqvQoQqgBttTxAZwMcuJd4xteQHyt",
        "TVVrSWtmQQssgVcmoMBcFQZKKf56QscyWLKnUyiuZW8ALU4",
    ),
    (
        "rpZc4mVfWUif9CRoHRKKcmhu1nx2xktxBo",
        Some(58),
        "X7YenJqxv3L66CwhBSfd3N8RzGXxYqV56ZkTCa9UCzgaao1",
        "T77wVQzA8ntj9wvCTNiQpNYLT5hmhR9kej6uxm4jGcQD7rZ",
    ),
    (
        "rsA2LpzuawewSBQXkiju3YQTMzW13pAAdW",
        Some(23480),
        "X7d3eHCXzwBeWrZec1yT24iZerQjYL8m8zCJ16ACxu1BrBY",
        "T7YChPFWifjCAXLEtg5N74c7fSAYsvSokwcmBPBUZWhxH5P",
    ),
    (
        "rGWrZyQqhTp9Xu7G5Pkayo7bXjH4k4QYpf",
        None,
        "XVLhHMPHU98es4dbozjVtdWzVrDjtV5fdx1mHp98tDMoQXb",
        "TVE26TYGhfLC7tQDno7G8dGtxSkYQn49b3qD26PK7FcGSKE",
    ),
    (
        "rGWrZyQqhTp9Xu7G5Pkayo7bXjH4k4QYpf",
        Some(0),
        "XVLhHMPHU98es4dbozjVtdWzVrDjtV8AqEL4xcZj5whKbmc",
        "TVE26TYGhfLC7tQDno7G8dGtxSkYQnSy8RHqGHoGJ59spi2",
    ),
    (
        "rGWrZyQqhTp9Xu7G5Pkayo7bXjH4k4QYpf",
        Some(32),
        "XVLhHMPHU98es4dbozjVtdWzVrDjtVoYiC9UvKfjKar4LJe",
        "TVE26TYGhfLC7tQDno7G8dGtxSkYQnT2oqaCDzMEuCDAj1j",
    ),
];

#[test]
fn x_addresses_are_the_published_ones() {
    for (address, tag, main, test) in X_ADDRESSES {
        let account = account(address);
        for (text, network) in [(main, XNetwork::Main), (test, XNetwork::Test)] {
            assert_eq!(to_x_address(account, tag, network), text);
            let expected = Destination {
                account,
                tag,
                network: Some(network),
            };
            assert_eq!(Destination::parse(text), Ok(expected));
        }
        let classic = Destination {
            account,
            tag: None,
            network: None,
        };
        assert_eq!(Destination::parse(address), Ok(classic));
        assert_eq!(account.to_string(), address);
    }
}

#[test]
fn a_mistyped_address_is_refused() {
    for (text, error) in [
        ("", AddressError::Checksum),
        ("r", AddressError::Checksum),
        ("X", AddressError::Checksum),
        ("rHb9CJAWyB4rj91VRWn96DkukG4bwdtyTj", AddressError::Checksum),
        ("rHb9CJAWyB4rj91VRWn96DkukG4bwdtyT", AddressError::Checksum),
        (
            "rrHb9CJAWyB4rj91VRWn96DkukG4bwdtyTh",
            AddressError::Checksum,
        ),
        (
            "rHb9CJAWyB4rj91VRWn96DkukG4bwdtyTh ",
            AddressError::Character,
        ),
        (
            " rHb9CJAWyB4rj91VRWn96DkukG4bwdtyTh",
            AddressError::Character,
        ),
        (
            "rHb9CJAWyB4rj91VRWn96DkukG4bwdtyT0",
            AddressError::Character,
        ),
        (
            "rHb9CJAWyB4rj91VRWn96DkukG4bwdtyTé",
            AddressError::Character,
        ),
        // A seed: right checksum, other prefix and length. The error does not repeat the text.
        (
            "snoPBrXtMeMyMHUVTgbuqAfg1SUTb",
            AddressError::Length {
                bytes: 17,
                expected: 21,
            },
        ),
        // The X-address of the first row, one character changed.
        (
            "X7AcgcsBL6XDcUb289X4mJ8djcdyKaB5hJDWMArnXr61cqz",
            AddressError::Checksum,
        ),
    ] {
        assert_eq!(Destination::parse(text), Err(error), "{text}");
    }
    assert_eq!(
        AccountId::from_address(X_ADDRESSES[0].2),
        Err(AddressError::Length {
            bytes: 31,
            expected: 21
        })
    );
    assert_eq!(
        Destination::parse(&"r".repeat(1_000_000)),
        Err(AddressError::TooLong)
    );
}
