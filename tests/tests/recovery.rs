//! What is lost and put back: the gateway's database, the signer's journal, both; and two gateways where one should be. Told with the real
//! processes, and with the commands of the runbooks.
#![allow(clippy::unwrap_used, reason = "a story ends where it goes wrong")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use paygate_payments::intent::{Id, Intent, PaymentKey, Wallet};
use paygate_proto::signer::v1 as wire;
use paygate_proto::v1::{
    CreatePaymentRequest, GetStatusRequest, GetStatusResponse, Payment, PaymentReason,
    PaymentState, slot,
};
use paygate_tests::world::client::{self, Client, DROPS_PER_XRP, payment};
use paygate_tests::world::wallet::payee;
use paygate_tests::world::{Setup, World};
use serde_json::Value;
use xrpl_tx::{AccountId, Amount, Drops, Memos, Slot};

/// More than anything in these stories takes on a busy machine.
const WITHIN: Duration = Duration::from_secs(120);

const POLL: Duration = Duration::from_millis(50);

const CLOSE_MS: u64 = 300;

/// A quarantine lasts so many ledgers.
const WINDOW: u32 = 12;

/// Payments that are on their way while the copy is made.
const ON_THE_WAY: u64 = 4;

/// Payments that are made after the copy.
fn lost() -> u64 {
    let full = std::env::var_os("PAYGATE_TESTS_FULL").is_some_and(|value| value == "1");
    if full { 100 } else { 10 }
}

fn setup() -> Setup {
    Setup {
        close_ms: CLOSE_MS,
        daily_limit_xrp: "10000".to_owned(),
        max_pending: 200,
        gateway_variables: vec![(
            "PAYGATE__XRPL__LAST_LEDGER_WINDOW".to_owned(),
            WINDOW.to_string(),
        )],
        ..Setup::default()
    }
}

fn request(name: &str, number: u64) -> CreatePaymentRequest {
    payment(
        &format!("{name}-{number}"),
        &payee("alice"),
        DROPS_PER_XRP + number,
    )
}

/// Has so many payments made, and waits until they are.
async fn pay(client: &Client, name: &str, count: u64) -> Vec<Payment> {
    for number in 0..count {
        client
            .create_until_stored(&request(name, number), WITHIN)
            .await
            .unwrap();
    }
    let mut paid = Vec::new();
    for number in 0..count {
        let one = client
            .until_final(&format!("{name}-{number}"), WITHIN)
            .await
            .unwrap();
        assert_eq!(one.state(), PaymentState::Paid, "{one:?}");
        paid.push(one);
    }
    paid
}

async fn status(client: &Client) -> Option<GetStatusResponse> {
    let answer = client.operations().get_status(GetStatusRequest {}).await;
    answer.ok().map(tonic::Response::into_inner)
}

/// Waits until the gateway's own word of itself fulfils a condition, and answers it.
async fn until(
    client: &Client,
    what: &str,
    is_so: impl Fn(&GetStatusResponse) -> bool,
) -> GetStatusResponse {
    let deadline = Instant::now() + WITHIN;
    loop {
        let now = status(client).await;
        if let Some(now) = now.clone().filter(&is_so) {
            return now;
        }
        assert!(Instant::now() < deadline, "never {what}: {now:?}");
        tokio::time::sleep(POLL).await;
    }
}

fn doubt(status: &GetStatusResponse) -> String {
    let quarantine = status.quarantine.clone().unwrap_or_default();
    if quarantine.active {
        quarantine.reason
    } else {
        String::new()
    }
}

fn freeze(status: &GetStatusResponse) -> String {
    let freeze = status.freeze.clone().unwrap_or_default();
    if freeze.active {
        freeze.reason
    } else {
        String::new()
    }
}

/// Copies a folder's files; the process that they belong to does not run.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_file() {
            fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}

/// Puts a copy in the place of what is there.
fn put_back(copied: &Path, place: &Path) {
    for entry in fs::read_dir(place).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            fs::remove_file(path).unwrap();
        }
    }
    copy(copied, place);
}

/// The folders of the database and of the journal, and where their copies go.
fn places(world: &World) -> [(PathBuf, PathBuf); 2] {
    ["gateway", "signer/journal"].map(|name| {
        let copied = world.path(&format!("copies/{}", name.replace('/', "-")));
        (world.path(name), copied)
    })
}

/// Types a command of a runbook and gives what it printed.
fn types(program: &Path, arguments: &[&str]) -> (i32, String) {
    let output = Command::new(program)
        .args(arguments)
        .env_clear()
        .output()
        .unwrap();
    let text = [output.stdout, output.stderr].concat();
    (
        output.status.code().unwrap(),
        String::from_utf8(text).unwrap(),
    )
}

/// Makes a copy of the database of the gateway that runs, and gives its file.
fn backs_up(world: &World) -> PathBuf {
    let gateway = &world.binaries().gateway;
    let config = world.path("gateway/gateway.toml").display().to_string();
    let (code, said) = types(gateway, &["backup", "--config", &config, "--json"]);
    assert_eq!(code, 0, "{said}");
    let said: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(said["manifest"]["account"], world.wallet().address());
    let file = PathBuf::from(said["file"].as_str().unwrap());
    for path in [&file, &with(&file, ".manifest.json")] {
        let mode = fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{}", path.display());
    }
    // Nothing is overwritten.
    let name = file.display().to_string();
    let (code, said) = types(gateway, &["backup", "--config", &config, "--to", &name]);
    assert_eq!(code, 1, "{said}");
    file
}

/// Loses the gateway with its database, and puts a copy in place; what must not be done on the way is refused.
fn restores(world: &mut World, copied: &Path) {
    let gateway = world.binaries().gateway.clone();
    let config = world.path("gateway/gateway.toml").display().to_string();
    let file = copied.display().to_string();
    let (code, said) = types(&gateway, &["restore", "--verify", &file]);
    assert_eq!(code, 0, "{said}");
    for part in ["QUARANTINE", "what no ledger tells", "integrity_check"] {
        assert!(said.contains(part), "{part} is not in {said}");
    }
    let damaged = with(copied, ".damaged");
    let mut bytes = fs::read(copied).unwrap();
    let at = bytes.len() / 2;
    bytes[at] ^= 1;
    fs::write(&damaged, bytes).unwrap();
    fs::copy(
        with(copied, ".manifest.json"),
        with(&damaged, ".manifest.json"),
    )
    .unwrap();
    let refused = |arguments: &[&str], why: &str| {
        let (code, said) = types(&gateway, arguments);
        assert!(code == 1 && said.contains(why), "{code}: {said}");
    };
    refused(
        &["restore", "--verify", &damaged.display().to_string()],
        "is not what was backed up",
    );
    refused(
        &["restore", &file, "--config", &config, "--move-aside"],
        "stop it first",
    );
    world.kill_gateway();
    refused(
        &["restore", &file, "--config", &config],
        "nothing is overwritten",
    );
    let (code, said) = types(
        &gateway,
        &[
            "restore",
            &file,
            "--config",
            &config,
            "--move-aside",
            "--json",
        ],
    );
    assert_eq!(code, 0, "{said}");
    let said: Value = serde_json::from_str(&said).unwrap();
    for aside in said["put_in_place"]["moved_aside"].as_array().unwrap() {
        assert!(Path::new(aside.as_str().unwrap()).exists(), "{aside}");
    }
    let store = world.path("gateway/paygate.db");
    assert_eq!(fs::read(store).unwrap(), fs::read(copied).unwrap());
}

/// Makes a copy of the journal of the signer that runs, and gives its folder.
fn backs_up_the_journal(world: &World) -> PathBuf {
    let config = world.path("signer/signer.toml").display().to_string();
    let folder = world.path("copies");
    fs::create_dir_all(&folder).unwrap();
    let to = folder.display().to_string();
    let signer = &world.binaries().signer;
    let (code, said) = types(signer, &["backup", "--config", &config, "--to", &to]);
    assert_eq!(code, 0, "{said}");
    assert!(said.contains(&world.wallet().address()), "{said}");
    let made: Vec<_> = fs::read_dir(&folder).unwrap().collect();
    assert_eq!(made.len(), 1, "one folder: {made:?}");
    made[0].as_ref().unwrap().path()
}

/// Loses the journal, and puts a copy in its place; what must not be done on the way is refused.
async fn restores_the_journal(world: &mut World, copied: &Path) {
    let signer = world.binaries().signer.clone();
    let config = world.path("signer/signer.toml").display().to_string();
    let copied = copied.display().to_string();
    let restore = |more: &[&str]| {
        let arguments = [&["restore", "--config", &config, copied.as_str()], more].concat();
        types(&signer, &arguments)
    };
    // The signer runs, and has signed three payments since.
    let (code, said) = restore(&["--verify"]);
    assert_eq!(code, 0, "{said}");
    assert!(
        said.contains("IT IS OLDER") && said.contains("NOTHING IS SIGNED"),
        "{said}"
    );
    let (code, said) = restore(&["--move-aside"]);
    assert!(code == 1 && said.contains("in use"), "{said}");
    world.stop_signer().await.unwrap();
    let (code, said) = restore(&["--move-aside"]);
    assert!(code == 1 && said.contains("is whole and newer"), "{said}");
    // The disk changes a byte; now the copy is all that there is.
    let journal = world.path("signer/journal/journal");
    let mut bytes = fs::read(&journal).unwrap();
    let at = bytes.len() - 1;
    bytes[at] ^= 1;
    fs::write(&journal, bytes).unwrap();
    let (code, said) = restore(&[]);
    assert!(
        code == 1 && said.contains("nothing is overwritten"),
        "{said}"
    );
    let (code, said) = restore(&["--move-aside"]);
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("kept as journal.lost-"), "{said}");
}

fn with(path: &Path, suffix: &str) -> PathBuf {
    PathBuf::from(format!("{}{suffix}", path.display()))
}

async fn paid_once(world: &World) -> usize {
    let address = world.wallet().address();
    let invoices = world.ledger().paid_invoices(&address).await.unwrap();
    assert!(
        invoices.values().all(|times| *times == 1),
        "paid more than once: {invoices:?}"
    );
    invoices.len()
}

/// The same evidence, whoever looked when.
fn assert_same(told: &Payment, known: &Payment) {
    let of = |payment: &Payment| {
        let evidence = payment.evidence.clone().unwrap();
        (
            payment.state(),
            evidence.ledger_index,
            evidence.ledger_hash,
            evidence.tx_hash,
            payment.slot,
        )
    };
    assert_eq!(of(told), of(known), "as it was told before");
}

/// How many transactions the wallet has made.
async fn sequence(world: &World) -> u64 {
    let address = world.wallet().address();
    world.ledger().account(&address).await.unwrap().unwrap().1
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_from_before_some_payments_pays_none_of_them_again() {
    let mut world = World::start(setup()).await.unwrap();
    pay(&world.client(), "before", 2).await;
    // The copy is made while payments come and go.
    for number in 0..ON_THE_WAY {
        let request = request("on-the-way", number);
        world
            .client()
            .create_until_stored(&request, WITHIN)
            .await
            .unwrap();
    }
    let copied = backs_up(&world);
    let mut made = pay(&world.client(), "lost", lost()).await;
    for number in 0..ON_THE_WAY {
        let name = format!("on-the-way-{number}");
        made.push(world.client().until_final(&name, WITHIN).await.unwrap());
    }
    restores(&mut world, &copied);

    let before = sequence(&world).await;
    world.start_gateway().await.unwrap();
    let client = world.client();
    // A new one at once, and the lost ones again: nothing is signed until everything lost is dead or known.
    client
        .create_until_stored(&request("new", 0), WITHIN)
        .await
        .unwrap();
    let said = until(&client, "in quarantine", |now| !doubt(now).is_empty()).await;
    let until_ledger = said.quarantine.clone().unwrap().until_ledger;
    let (waits, made_now) = (client.get("new-0").await.unwrap(), sequence(&world).await);
    // On a busy machine the look itself may have taken as long as the quarantine.
    if world.ledger().validated_index().await.unwrap() < u64::from(until_ledger) {
        assert_eq!(
            (waits.state(), waits.reason()),
            (PaymentState::Accepted, PaymentReason::Quarantine)
        );
        assert_eq!(made_now, before, "nothing is signed");
    }
    for known in &made {
        let (name, number) = known.payment_id.rsplit_once('-').unwrap();
        let request = request(name, number.parse().unwrap());
        let again = client.create_until_stored(&request, WITHIN).await.unwrap();
        assert_eq!(again.payment_id, known.payment_id);
        let again = client.until_final(&known.payment_id, WITHIN).await.unwrap();
        assert_same(&again, known);
    }
    let other = payment("lost-0", &payee("alice"), 7 * DROPS_PER_XRP);
    assert!(client.create(other).await.is_err(), "other content");

    let paid = client.until_final("new-0", WITHIN).await.unwrap();
    assert_eq!(paid.state(), PaymentState::Paid, "{paid:?}");
    assert!(
        paid.evidence.clone().unwrap().ledger_index > until_ledger,
        "not before the quarantine's end at {until_ledger}: {paid:?}"
    );
    assert_eq!(paid_once(&world).await as u64, 3 + lost() + ON_THE_WAY);
    assert_eq!(freeze(&status(&client).await.unwrap()), "");
    // And it is over: the next start finds nothing to doubt.
    world.stop_gateway().await.unwrap();
    world.start_gateway().await.unwrap();
    pay(&world.client(), "after", 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_database_is_rebuilt_from_the_ledger_and_a_new_one_knows_what_was_paid() {
    let mut world = World::start(setup()).await.unwrap();
    let made = pay(&world.client(), "lost", lost()).await;
    world.kill_gateway();
    let [(database, _), _] = places(&world);
    for entry in fs::read_dir(&database).unwrap() {
        fs::remove_file(entry.unwrap().path()).unwrap();
    }
    let config = world.write_gateway_config().unwrap();

    // What the callers know of: all but the last one, and one that was never asked for.
    let listed = made.len() - 1;
    let mut list: String = made[..listed]
        .iter()
        .map(|one| format!("local\t{}\n", one.payment_id))
        .collect();
    list.push_str("local\tnever-asked\n");
    let ids = world.path("ids.tsv");
    fs::write(&ids, list).unwrap();
    let (config, ids) = (config.display().to_string(), ids.display().to_string());
    let gateway = world.binaries().gateway.clone();
    let (code, told) = types(
        &gateway,
        &[
            "rebuild", "--config", &config, "--ids", &ids, "--output", "json",
        ],
    );
    assert_eq!(code, 0, "{told}");
    let told: Value = serde_json::from_str(&told).unwrap();
    let fates = told["payments"].as_array().unwrap();
    assert_eq!(fates.len(), listed + 1);
    for (fate, known) in fates.iter().zip(&made) {
        if fate["payment_id"] == "never-asked" {
            assert_eq!(fate["fate"], "NOT_FOUND");
            continue;
        }
        let evidence = known.evidence.clone().unwrap();
        assert_eq!(fate["fate"], "PAID", "{fate}");
        assert_eq!(fate["payment_id"], known.payment_id.as_str());
        assert_eq!(fate["transaction"]["hash"], evidence.tx_hash.as_str());
        assert_eq!(fate["transaction"]["ledger_index"], evidence.ledger_index);
    }
    let unlisted = told["not_listed"].as_array().unwrap();
    assert_eq!(unlisted.len(), 1, "{unlisted:?}");
    assert_eq!(unlisted[0]["invoice_id"], made[listed].invoice_id.as_str());
    let (code, table) = types(&gateway, &["rebuild", "--config", &config, "--ids", &ids]);
    assert_eq!(code, 0, "{table}");
    assert!(
        table.contains("NOT FOUND is not \"not paid\"") && table.contains("NOT LISTED"),
        "{table}"
    );

    // A new database: the journal belongs to the old one, until a person says otherwise.
    world.start_gateway().await.unwrap();
    let said = until(&world.client(), "in quarantine", |now| {
        doubt(now).contains("adopt-store")
    })
    .await;
    let said = doubt(&said);
    let (_, store) = said.split_once("this store's id is ").unwrap();
    let store = &store[..32];
    let signer = world.binaries().signer.clone();
    let signer_config = world.path("signer/signer.toml").display().to_string();
    let adopt = [
        "adopt-store",
        "--config",
        &signer_config,
        "--store-id",
        store,
    ];
    let (code, told) = types(&signer, &adopt);
    assert_eq!(code, 1, "the signer runs: {told}");
    world.stop_signer().await.unwrap();
    let (code, told) = types(&signer, &adopt);
    assert_eq!(code, 0, "{told}");
    world.start_signer().await.unwrap();

    let client = world.client();
    client
        .create_until_stored(&request("new", 0), WITHIN)
        .await
        .unwrap();
    let paid = client.until_final("new-0", WITHIN).await.unwrap();
    assert_eq!(paid.state(), PaymentState::Paid);
    for (number, known) in made.iter().enumerate() {
        let again = client.create(request("lost", number as u64)).await.unwrap();
        assert_same(&again, known);
    }
    assert_eq!(paid_once(&world).await as u64, 1 + lost());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_journal_put_back_is_noticed_by_both_sides_and_signs_nothing_until_a_person_recovers_it()
{
    let mut world = World::start(setup()).await.unwrap();
    pay(&world.client(), "before", 2).await;
    let copied = backs_up_the_journal(&world);
    pay(&world.client(), "lost", 3).await;
    restores_the_journal(&mut world, &copied).await;
    let before = sequence(&world).await;
    world.start_signer().await.unwrap();

    let client = world.client();
    client
        .create_until_stored(&request("new", 0), WITHIN)
        .await
        .unwrap();
    let said = until(&client, "in quarantine", |now| {
        doubt(now).contains("paygate-signer recover")
    })
    .await;
    assert!(doubt(&said).contains("journal"), "{said:?}");
    // The signer refuses by itself as well: a request that carries the store's head.
    let waits = client.get("new-0").await.unwrap();
    let bound_before = waits.state() == PaymentState::AtLarge;
    assert!(
        bound_before || waits.state() == PaymentState::Accepted,
        "{waits:?}"
    );
    assert_eq!(waits.reason(), PaymentReason::Quarantine, "{waits:?}");

    let signer = world.binaries().signer.clone();
    let config = world.path("signer/signer.toml").display().to_string();
    world.stop_signer().await.unwrap();
    let recover = |ledger: u64| {
        let ledger = ledger.to_string();
        types(
            &signer,
            &[
                "recover",
                "--config",
                &config,
                "--validated-ledger",
                &ledger,
            ],
        )
    };
    let begun = world.ledger().validated_index().await.unwrap();
    let (code, told) = recover(begun);
    assert_eq!(code, 0, "{told}");
    let (_, rest) = told.split_once("until ledger ").unwrap();
    let (dead, _) = rest.split_once(' ').unwrap();
    let dead: u64 = dead.parse().unwrap();
    assert!(dead > begun, "{told}");
    let (code, told) = types(&signer, &["serve", "--config", &config]);
    assert_eq!(code, 1, "{told}");
    assert!(told.contains("being recovered"), "{told}");
    let deadline = Instant::now() + WITHIN;
    while world.ledger().validated_index().await.unwrap() < dead {
        assert!(Instant::now() < deadline);
        tokio::time::sleep(POLL).await;
    }
    assert_eq!(sequence(&world).await, before, "nothing is signed");
    let (code, told) = recover(dead);
    assert_eq!(code, 0, "{told}");
    assert!(told.contains("in use again"), "{told}");
    world.start_signer().await.unwrap();
    let paid = client.until_final("new-0", WITHIN).await.unwrap();
    assert_eq!(paid.state(), PaymentState::Paid);
    assert_eq!(paid_once(&world).await, 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn database_and_journal_put_back_together_are_refused_with_what_to_do() {
    let mut world = World::start(setup()).await.unwrap();
    pay(&world.client(), "before", 2).await;
    world.stop_gateway().await.unwrap();
    world.stop_signer().await.unwrap();
    for (place, copied) in places(&world) {
        copy(&place, &copied);
    }
    world.start_signer().await.unwrap();
    world.start_gateway().await.unwrap();
    let made = pay(&world.client(), "lost", 3).await;
    world.kill_gateway();
    world.stop_signer().await.unwrap();
    for (place, copied) in places(&world) {
        put_back(&copied, &place);
    }
    let before = sequence(&world).await;
    world.start_signer().await.unwrap();
    world.start_gateway().await.unwrap();
    let client = world.client();
    client
        .create_until_stored(&request("new", 0), WITHIN)
        .await
        .unwrap();
    let said = until(&client, "frozen", |now| !freeze(now).is_empty()).await;
    assert!(
        freeze(&said).contains("both were put back from a backup")
            && freeze(&said).contains("restore-from-backup.md"),
        "{said:?}"
    );
    assert_eq!(sequence(&world).await, before, "nothing is signed");

    // What is on the ledger is told truly all the same.
    for (number, known) in made.iter().enumerate() {
        let again = client.create(request("lost", number as u64)).await.unwrap();
        assert_same(&again, known);
    }
    // A person has understood, and names them.
    let mut named = vec![
        "unfreeze".to_owned(),
        "--reason".to_owned(),
        "both put back from Sunday's backup".to_owned(),
        "--yes".to_owned(),
        "--endpoint".to_owned(),
        format!("http://{}", world.listeners().grpc),
    ];
    for known in &made {
        let hash = known.evidence.clone().unwrap().tx_hash;
        named.extend(["--acknowledge".to_owned(), hash]);
    }
    let named: Vec<&str> = named.iter().map(String::as_str).collect();
    let (code, told) = types(&world.binaries().ctl.clone(), &named);
    assert_eq!(code, 0, "{told}");
    let paid = client.until_final("new-0", WITHIN).await.unwrap();
    assert_eq!(paid.state(), PaymentState::Paid);
    assert_eq!(paid_once(&world).await, 6);
}

/// Has the signer sign a payment as a gateway would whose rows were then lost. The blob; nobody has sent it.
async fn signed_by_a_lost_row(world: &World, number: u64, slot: u32, fee: u64) -> String {
    let mut signer = client::signer(&world.signer_socket());
    let described = signer
        .describe_signer(wire::DescribeSignerRequest {})
        .await
        .unwrap()
        .into_inner();
    let wallet = Wallet {
        network_id: described.network_id,
        account: AccountId::from_address(&described.account).unwrap(),
        source_tag: None,
    };
    let asked = request("lost", number);
    let drops = DROPS_PER_XRP + number;
    let key = PaymentKey {
        client: Id::new("local").unwrap(),
        payment: Id::new(asked.payment_id.clone()).unwrap(),
    };
    let intent = Intent {
        key,
        destination: AccountId::from_address(&asked.destination).unwrap(),
        destination_tag: None,
        amount: Amount::Xrp(Drops::new(drops).unwrap()),
        memos: Memos::default(),
        retry_of: None,
    };
    let digest = intent.digest(&wallet, Slot::Sequence(slot));
    let validated = world.ledger().validated_index().await.unwrap();
    let request = wire::SignPaymentRequest {
        fence: Some(wire::Fence {
            store_id: described.store_id,
            epoch: described.epoch,
            journal_head: described.journal_head,
        }),
        key: Some(wire::PaymentKey {
            client_id: "local".to_owned(),
            payment_id: asked.payment_id,
        }),
        account: described.account,
        slot: Some(wire::Slot {
            kind: Some(wire::slot::Kind::Sequence(slot)),
        }),
        destination: asked.destination,
        amount: Some(wire::sign_payment_request::Amount::XrpDrops(drops)),
        fee_drops: fee,
        last_ledger_sequence: u32::try_from(validated).unwrap() + WINDOW,
        intent_digest: digest.as_bytes().to_vec(),
        ..wire::SignPaymentRequest::default()
    };
    let answer = signer.sign_payment(request).await.unwrap().into_inner();
    match answer.outcome {
        Some(wire::sign_payment_response::Outcome::Signed(signed)) => {
            hex::encode_upper(signed.blob)
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_only_the_journal_knows_is_waited_out_and_its_slot_filled() {
    let world = World::start(setup()).await.unwrap();
    let client = world.client();
    pay(&client, "before", 1).await;
    let next = u32::try_from(sequence(&world).await).unwrap();
    // Two rows are lost: the blob of one is alive and gets into a ledger late, the other's is never sent.
    let alive = signed_by_a_lost_row(&world, 0, next, 12).await;
    signed_by_a_lost_row(&world, 1, next + 1, 12).await;
    let said = until(&client, "in quarantine", |now| !doubt(now).is_empty()).await;
    let until_ledger = said.quarantine.unwrap().until_ledger;
    let sent = world
        .ledger()
        .ask("submit", serde_json::json!({ "tx_blob": alive }))
        .await
        .unwrap();
    assert_eq!(sent["engine_result"], "tesSUCCESS", "{sent}");
    client
        .create_until_stored(&request("new", 0), WITHIN)
        .await
        .unwrap();
    let paid = client.until_final("new-0", WITHIN).await.unwrap();
    assert_eq!(paid.state(), PaymentState::Paid, "{paid:?}");
    let Some(slot::Kind::Sequence(used)) = paid.slot.and_then(|slot| slot.kind) else {
        panic!("{paid:?}");
    };
    assert_eq!(used, next + 2, "a no-op fills the slot between");
    assert!(paid.evidence.unwrap().ledger_index > until_ledger);

    // Asked for again, the one is paid already. The other can never be signed again: it says so, and is safe to repay.
    let told = client
        .create_until_stored(&request("lost", 0), WITHIN)
        .await
        .unwrap();
    assert_eq!(told.state(), PaymentState::Paid, "{told:?}");
    client
        .create_until_stored(&request("lost", 1), WITHIN)
        .await
        .unwrap();
    let given_up = client.until_final("lost-1", WITHIN).await.unwrap();
    assert_eq!(given_up.state(), PaymentState::Cancelled, "{given_up:?}");
    assert!(given_up.safe_to_repay);
    let again = CreatePaymentRequest {
        retry_of: "lost-1".to_owned(),
        ..request("again", 1)
    };
    client.create_until_stored(&again, WITHIN).await.unwrap();
    let paid = client.until_final("again-1", WITHIN).await.unwrap();
    assert_eq!(paid.state(), PaymentState::Paid, "{paid:?}");
    assert_eq!(freeze(&status(&client).await.unwrap()), "");
    assert_eq!(paid_once(&world).await, 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_gateways_one_works_and_the_other_says_why_it_stands_still() {
    let world = World::start(setup()).await.unwrap();
    pay(&world.client(), "first", 1).await;

    // On the same file: it does not start.
    let config = fs::read_to_string(world.path("gateway/gateway.toml")).unwrap();
    let elsewhere = |text: &str| {
        let listeners = world.listeners();
        let any = "127.0.0.1:0";
        [&listeners.grpc, &listeners.health, &listeners.metrics]
            .iter()
            .fold(text.to_owned(), |text, address| text.replace(*address, any))
    };
    let second = world.path("gateway/second.toml");
    fs::write(&second, elsewhere(&config)).unwrap();
    let gateway = world.binaries().gateway.clone();
    let serve = ["serve", "--config", second.to_str().unwrap()];
    let (code, told) = types(&gateway, &serve);
    assert_eq!(code, 1, "{told}");
    assert!(
        told.contains("another gateway has this store open")
            && told.contains(&world.gateway_pid().to_string()),
        "{told}"
    );

    // On a store of its own with the same signer: it accepts, binds nothing, and says why.
    fs::create_dir(world.path("gateway/other")).unwrap();
    let other = elsewhere(&config).replace("gateway/paygate.db", "gateway/other/paygate.db");
    fs::write(&second, other).unwrap();
    let mut other = world.start_second_gateway(&second).await.unwrap();
    let loser = other.client();
    let wanted = request("both", 0);
    loser.create_until_stored(&wanted, WITHIN).await.unwrap();
    let said = until(&loser, "in quarantine", |now| {
        doubt(now).contains("belongs to another store")
    })
    .await;
    assert!(doubt(&said).contains("adopt-store"), "{said:?}");
    let waits = loser.get("both-0").await.unwrap();
    assert_eq!(
        (waits.state(), waits.reason()),
        (PaymentState::Accepted, PaymentReason::Quarantine)
    );
    // The other one goes on, also with the same payment; the loser learns from the ledger that it is paid.
    let winner = world.client();
    winner.create_until_stored(&wanted, WITHIN).await.unwrap();
    let paid = winner.until_final("both-0", WITHIN).await.unwrap();
    assert_eq!(paid.state(), PaymentState::Paid);
    let learnt = loser.until_final("both-0", WITHIN).await.unwrap();
    assert_same(&learnt, &paid);
    assert_eq!(freeze(&status(&loser).await.unwrap()), "");
    pay(&winner, "after", 2).await;
    assert_eq!(paid_once(&world).await, 4);
    other.stop().await.unwrap();
}
