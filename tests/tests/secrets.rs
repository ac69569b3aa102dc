//! The key stays where it belongs: neither seed nor private key is anywhere in or about the gateway while it pays.
#![allow(clippy::unwrap_used, reason = "a story ends where it goes wrong")]

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Duration;

use paygate_proto::v1::PaymentState;
use paygate_tests::world::client::{DROPS_PER_XRP, payment, signer};
use paygate_tests::world::wallet::{SeedType, Wallet, payee};
use paygate_tests::world::{Setup, World};

const FINAL_WITHIN: Duration = Duration::from_secs(60);

/// Memory is read in pieces of this size.
const CHUNK_BYTES: usize = 1 << 20;

/// Payments while the gateway is looked at.
const PAYMENTS: u32 = 6;

/// What must not be found: a name for the message, and the bytes.
fn secrets(wallet: &Wallet) -> Vec<(&'static str, Vec<u8>)> {
    let hex = hex::encode(wallet.private_key);
    vec![
        ("the seed", wallet.seed.clone().into_bytes()),
        ("the private key", wallet.private_key.to_vec()),
        ("the private key in hex", hex.clone().into_bytes()),
        (
            "the private key in upper-case hex",
            hex.to_uppercase().into_bytes(),
        ),
    ]
}

fn holds(bytes: &[u8], wanted: &[u8]) -> bool {
    // The first byte alone decides nearly always: this is run over tens of megabytes in a debug build.
    let first = wanted[0];
    let mut at = 0;
    while let Some(found) = bytes[at..].iter().position(|byte| *byte == first) {
        at += found;
        if bytes[at..].starts_with(wanted) {
            return true;
        }
        at += 1;
    }
    false
}

/// Which of these are in the readable memory of a process.
fn found_in_memory(pid: u32, wanted: &[(&'static str, Vec<u8>)]) -> Vec<&'static str> {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    let memory = File::open(format!("/proc/{pid}/mem")).unwrap();
    let overlap = wanted.iter().map(|(_, bytes)| bytes.len()).max().unwrap();
    let mut found = Vec::new();
    let mut chunk = vec![0; CHUNK_BYTES];
    for line in maps.lines().filter(|line| {
        line.split(' ')
            .nth(1)
            .is_some_and(|mode| mode.starts_with('r'))
    }) {
        let (start, end) = line.split(' ').next().unwrap().split_once('-').unwrap();
        let (mut at, end) = (
            u64::from_str_radix(start, 16).unwrap(),
            u64::from_str_radix(end, 16).unwrap(),
        );
        while at < end {
            let wish = CHUNK_BYTES.min(usize::try_from(end - at).unwrap());
            // The kernel's own pages, and those that went away meanwhile, cannot be read.
            let Ok(read) = memory.read_at(&mut chunk[..wish], at) else {
                break;
            };
            found.extend(
                wanted
                    .iter()
                    .filter(|(_, bytes)| holds(&chunk[..read], bytes))
                    .map(|(name, _)| *name),
            );
            if read <= overlap {
                break;
            }
            at += u64::try_from(if read < wish { read } else { wish - overlap }).unwrap();
            if end - at <= u64::try_from(overlap).unwrap() {
                break;
            }
        }
    }
    found
}

fn files_below(folder: &Path, into: &mut Vec<std::path::PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files_below(&path, into);
        } else if path.is_file() {
            into.push(path);
        }
    }
}

async fn nothing_leaks(seed_type: SeedType) {
    let wallet = Wallet::random(seed_type);
    let world = World::start(Setup {
        wallet: wallet.clone(),
        ..Setup::default()
    })
    .await
    .unwrap();
    let client = world.client();
    let (secrets, pid) = (secrets(&wallet), world.gateway_pid());
    for number in 0..PAYMENTS {
        let payment_id = format!("watched-{number}");
        client
            .create(payment(&payment_id, &payee("alice"), DROPS_PER_XRP))
            .await
            .unwrap();
        if number % 2 == 0 {
            client.until_final(&payment_id, FINAL_WITHIN).await.unwrap();
        }
        let wanted = secrets.clone();
        let found = tokio::task::spawn_blocking(move || found_in_memory(pid, &wanted))
            .await
            .unwrap();
        assert_eq!(found, Vec::<&str>::new(), "in the gateway's memory");
    }
    for number in 0..PAYMENTS {
        let paid = client
            .until_final(&format!("watched-{number}"), FINAL_WITHIN)
            .await
            .unwrap();
        assert_eq!(paid.state(), PaymentState::Paid);
    }
    let known = vec![("the wallet's address", wallet.address().into_bytes())];
    let seen = tokio::task::spawn_blocking(move || found_in_memory(pid, &known))
        .await
        .unwrap();
    assert!(!seen.is_empty(), "the search finds what is there");

    for file in ["environ", "cmdline"] {
        let bytes = fs::read(format!("/proc/{pid}/{file}")).unwrap();
        assert!(
            !secrets.iter().any(|(_, secret)| holds(&bytes, secret)),
            "in {file} of the gateway"
        );
    }
    let mut files = Vec::new();
    files_below(world.directory(), &mut files);
    assert!(
        files
            .iter()
            .any(|path| path.ends_with("gateway/paygate.db")),
        "{files:?}"
    );
    for path in files
        .into_iter()
        .filter(|path| !path.ends_with("secrets/wallet.seed"))
    {
        let bytes = fs::read(&path).unwrap();
        let found: Vec<_> = secrets
            .iter()
            .filter(|(_, secret)| holds(&bytes, secret))
            .map(|(name, _)| *name)
            .collect();
        assert_eq!(found, Vec::<&str>::new(), "in {}", path.display());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ed25519_key_is_nowhere_but_in_the_signer() {
    nothing_leaks(SeedType::Ed25519).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secp256k1_key_is_nowhere_but_in_the_signer() {
    nothing_leaks(SeedType::Secp256k1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_thread_of_the_signer_is_confined() {
    let world = World::start(Setup::default()).await.unwrap();
    world
        .client()
        .create(payment("confined", &payee("alice"), DROPS_PER_XRP))
        .await
        .unwrap();
    let paid = world
        .client()
        .until_final("confined", FINAL_WITHIN)
        .await
        .unwrap();
    assert_eq!(paid.state(), PaymentState::Paid);

    let tasks = fs::read_dir(format!("/proc/{}/task", world.signer_pid())).unwrap();
    let mut threads = 0;
    for task in tasks {
        let status = fs::read_to_string(task.unwrap().path().join("status")).unwrap();
        let field = |name: &str| {
            status
                .lines()
                .find_map(|line| line.strip_prefix(name))
                .map(str::trim)
                .map(str::to_owned)
        };
        assert_eq!(field("Seccomp:").as_deref(), Some("2"), "{status}");
        assert_eq!(field("NoNewPrivs:").as_deref(), Some("1"), "{status}");
        threads += 1;
    }
    assert!(threads > 1, "a signer that serves has several threads");

    let request = tonic::Request::new(Default::default());
    let described = signer(&world.signer_socket())
        .describe_signer(request)
        .await
        .unwrap()
        .into_inner();
    let hardening = described.hardening.unwrap();
    let holds = [
        hardening.landlock,
        hardening.seccomp,
        hardening.no_new_privs,
        hardening.not_dumpable,
        hardening.key_memory_locked,
    ];
    assert_eq!(holds, [true; 5], "{hardening:?}");
    assert_eq!(hardening.waived, Vec::<String>::new());
    assert_eq!(described.account, world.wallet().address());
}
