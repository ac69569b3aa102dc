//! What a keystore keeps, and what it refuses.

use std::os::unix::fs::PermissionsExt;

use super::*;

/// The well-known seed "masterpassphrase": no secret.
const SEED: &str = "snoPBrXtMeMyMHUVTgbuqAfg1SUTb";
const ADDRESS: &str = "rHb9CJAWyB4rj91VRWn96DkukG4bwdtyTh";

fn passphrase(text: &str) -> Passphrase {
    Passphrase::new(Zeroizing::new(text.as_bytes().to_vec())).unwrap()
}

fn sealed() -> Keystore {
    let seed = Seed::parse(SEED.as_bytes()).unwrap();
    Keystore::seal(&seed, &passphrase("correct horse battery")).unwrap()
}

#[test]
fn what_was_sealed_opens_with_its_passphrase_and_no_other() {
    let keystore = sealed();
    assert_eq!(keystore.address(), ADDRESS);
    let again = Keystore::parse(keystore.text().as_bytes()).unwrap();
    assert_eq!(again, keystore);
    let seed = again.open(&passphrase("correct horse battery")).unwrap();
    assert_eq!(seed.written().as_str(), SEED);
    assert!(matches!(
        again.open(&passphrase("correct horse batterz")),
        Err(KeystoreError::DoesNotOpen)
    ));
    assert!(!keystore.text().contains(SEED));
}

#[test]
fn a_file_that_was_changed_anywhere_does_not_open() {
    let keystore = sealed();
    let text = keystore.text();
    let other = Seed::random(Family::Secp256k1).unwrap();
    let other = Keystore::seal(&other, &passphrase("correct horse battery")).unwrap();
    let exchanges = [
        (hex::encode(keystore.salt), hex::encode(other.salt)),
        (hex::encode(keystore.nonce), hex::encode(other.nonce)),
        (hex::encode(&keystore.sealed), hex::encode(&other.sealed)),
        ("\"lanes\": 4".to_owned(), "\"lanes\": 2".to_owned()),
        (
            "\"family\": \"secp256k1\"".to_owned(),
            "\"family\": \"ed25519\"".to_owned(),
        ),
    ];
    for (from, to) in exchanges {
        let changed = text.replacen(&from, &to, 1);
        assert_ne!(changed, text, "{from}");
        let opened = Keystore::parse(changed.as_bytes())
            .and_then(|changed| changed.open(&passphrase("correct horse battery")));
        assert!(matches!(opened, Err(KeystoreError::DoesNotOpen)), "{to}");
    }
    // Another key's public half does not pass for this one's.
    let foreign = text
        .replace(&keystore.public_key_hex(), &other.public_key_hex())
        .replace(ADDRESS, &other.address());
    let opened = Keystore::parse(foreign.as_bytes())
        .and_then(|changed| changed.open(&passphrase("correct horse battery")));
    assert!(matches!(opened, Err(KeystoreError::DoesNotOpen)));
}

#[test]
fn what_is_no_keystore_is_refused_by_field() {
    let text = sealed().text();
    for (from, to, named) in [
        ("paygate-keystore", "another", "format"),
        ("\"version\": 1", "\"version\": 2", "version"),
        ("argon2id", "argon2d", "kdf"),
        ("aes-256-gcm", "none", "cipher"),
        (
            "\"memory_kib\": 65536",
            "\"memory_kib\": 8",
            "kdf.memory_kib",
        ),
        (
            "\"memory_kib\": 65536",
            "\"memory_kib\": 4194304",
            "kdf.memory_kib",
        ),
        ("\"passes\": 3", "\"passes\": 1", "kdf.passes"),
        ("\"lanes\": 4", "\"lanes\": 400", "kdf.lanes"),
        (ADDRESS, "rPT1Sjq2YGrBMTttX4GZHjKu9dyfzbpAYe", "address"),
        ("\"sealed\": \"", "\"sealed\": \"00", "sealed"),
        ("\"nonce\"", "\"nonse\"", "nonse"),
    ] {
        let changed = text.replacen(from, to, 1);
        let refused = Keystore::parse(changed.as_bytes()).unwrap_err().to_string();
        assert!(refused.contains(named), "{to}: {refused}");
    }
    assert!(Keystore::parse(b"").is_err() && Keystore::parse(SEED.as_bytes()).is_err());
}

#[test]
fn a_short_passphrase_protects_nothing() {
    let short = Passphrase::new(Zeroizing::new(b"eleven char".to_vec()));
    assert!(matches!(
        short,
        Err(KeystoreError::Passphrase { characters: 11 })
    ));
}

#[test]
fn its_file_is_private_and_never_written_over() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("wallet.keystore");
    let keystore = sealed();
    keystore.create(&path).unwrap();
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(matches!(
        keystore.create(&path),
        Err(KeystoreError::Exists { .. })
    ));
    let read = Keystore::read(PrivateFile::open("keystore", &path).unwrap()).unwrap();
    assert_eq!(read, keystore);
    let other = sealed();
    other.replace(&path).unwrap();
    let read = Keystore::read(PrivateFile::open("keystore", &path).unwrap()).unwrap();
    assert_eq!(read, other);
    let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
    assert_eq!(left.len(), 1, "nothing else is left behind");
}

#[test]
fn written_seeds_of_both_families_read_back() {
    for family in [Family::Ed25519, Family::Secp256k1] {
        for _ in 0..200 {
            let seed = Seed::random(family).unwrap();
            let written = seed.written();
            let read = Seed::parse(written.as_bytes()).unwrap();
            assert_eq!(read.family(), family);
            assert_eq!(read.entropy(), seed.entropy());
            let start = if family == Family::Ed25519 {
                "sEd"
            } else {
                "s"
            };
            assert!(written.starts_with(start));
        }
    }
    assert_eq!(
        Seed::parse(SEED.as_bytes()).unwrap().written().as_str(),
        SEED
    );
}
