//! AccountSet: what an account says of itself, and the rules it sets for who pays or trusts it.
//!
//! Owns: its flags and fields and their limits. May not: act on the rules (`tokens`, `lines`, `apply`).

use serde_json::{Value, json};

use super::blob::Tx;
use super::codes::Ter;
use super::state::{
    Account, LSF_CLAWBACK, LSF_DEFAULT_RIPPLE, LSF_DEPOSIT_AUTH, LSF_DISABLE_MASTER,
    LSF_DISALLOW_TRUSTLINES, LSF_DISALLOW_XRP, LSF_GLOBAL_FREEZE, LSF_NO_FREEZE, LSF_REQUIRE_AUTH,
    LSF_REQUIRE_DEST_TAG,
};

const ASF_REQUIRE_AUTH: u32 = 2;
/// Remembers the last transaction in a field; no flag.
const ASF_ACCOUNT_TXN_ID: u32 = 5;
const ASF_NO_FREEZE: u32 = 6;
const ASF_GLOBAL_FREEZE: u32 = 7;
/// Names who may mint for it; no flag.
const ASF_MINTER: u32 = 10;
/// `SetFlag`/`ClearFlag` values and the account bits they stand for.
const FLAGS: [(u32, u32); 14] = [
    (1, LSF_REQUIRE_DEST_TAG),
    (ASF_REQUIRE_AUTH, LSF_REQUIRE_AUTH),
    (3, LSF_DISALLOW_XRP),
    (4, LSF_DISABLE_MASTER),
    (ASF_NO_FREEZE, LSF_NO_FREEZE),
    (ASF_GLOBAL_FREEZE, LSF_GLOBAL_FREEZE),
    (8, LSF_DEFAULT_RIPPLE),
    (9, LSF_DEPOSIT_AUTH),
    (12, 0x0400_0000),
    (13, 0x0800_0000),
    (14, 0x1000_0000),
    (15, LSF_DISALLOW_TRUSTLINES),
    (16, LSF_CLAWBACK),
    (17, 0x4000_0000),
];
/// Names in `account_info`, and the bits they show.
const FLAG_NAMES: [(&str, u32); 15] = [
    ("allowTrustLineClawback", LSF_CLAWBACK),
    ("allowTrustLineLocking", 0x4000_0000),
    ("defaultRipple", LSF_DEFAULT_RIPPLE),
    ("depositAuth", LSF_DEPOSIT_AUTH),
    ("disableMasterKey", LSF_DISABLE_MASTER),
    ("disallowIncomingCheck", 0x0800_0000),
    ("disallowIncomingNFTokenOffer", 0x0400_0000),
    ("disallowIncomingPayChan", 0x1000_0000),
    ("disallowIncomingTrustline", LSF_DISALLOW_TRUSTLINES),
    ("disallowIncomingXRP", LSF_DISALLOW_XRP),
    ("globalFreeze", LSF_GLOBAL_FREEZE),
    ("noFreeze", LSF_NO_FREEZE),
    ("passwordSpent", super::state::LSF_PASSWORD_SPENT),
    ("requireAuthorization", LSF_REQUIRE_AUTH),
    ("requireDestinationTag", LSF_REQUIRE_DEST_TAG),
];
/// AccountSet flags of an older form, one for each of the first three: 0x0001_0000 to 0x0020_0000.
pub(super) const ACCOUNT_SET_FLAGS: u32 = 0x003F_0000;
/// What an issuer may charge for a transfer, in billionths of the amount.
const TRANSFER_RATES: std::ops::RangeInclusive<u64> = 1_000_000_000..=2_000_000_000;
/// Digits of an offer's price that an issuer may ask for.
const TICK_SIZES: std::ops::RangeInclusive<u64> = 3..=15;
/// The number of digits that is no limit.
const TICK_SIZE_NONE: u64 = 16;
/// Longest domain, in hexadecimal digits.
const DOMAIN_DIGITS_MAX: usize = 512;

/// The flags of an account as `account_info` names them.
pub(super) fn named_flags(account: &Account) -> impl Iterator<Item = (String, Value)> {
    FLAG_NAMES
        .map(|(name, bit)| (name.to_owned(), json!(account.has(bit))))
        .into_iter()
}

fn bit(flag: u32) -> u32 {
    let known = FLAGS.iter().find(|(known, _)| *known == flag);
    known.map_or(0, |(_, bit)| *bit)
}

/// The form of an AccountSet.
pub(super) fn preflight_account_set(tx: &Tx, set: u32, clear: u32) -> Result<(), Ter> {
    if set != 0 && set == clear {
        return Err(Ter::TemInvalidFlag);
    }
    let number = |name: &str| tx.json.get(name).and_then(Value::as_u64);
    let text = |name: &str| tx.json.get(name).and_then(Value::as_str);
    if number("TransferRate").is_some_and(|rate| rate != 0 && !TRANSFER_RATES.contains(&rate)) {
        return Err(Ter::TemBadTransferRate);
    }
    let is_tick_size = |size| size == 0 || size == TICK_SIZE_NONE || TICK_SIZES.contains(&size);
    if number("TickSize").is_some_and(|size| !is_tick_size(size)) {
        return Err(Ter::TemBadTickSize);
    }
    if text("Domain").is_some_and(|domain| domain.len() > DOMAIN_DIGITS_MAX) {
        return Err(Ter::TelBadDomain);
    }
    let names_minter = tx.json.contains_key("NFTokenMinter");
    if (set == ASF_MINTER) != names_minter {
        return Err(Ter::TemMalformed);
    }
    Ok(())
}

/// What an AccountSet needs before anything is changed.
pub(super) fn check_account_set(account: &Account, set: u32) -> Result<(), Ter> {
    let needs_nothing_owned = (set == ASF_REQUIRE_AUTH && !account.has(LSF_REQUIRE_AUTH))
        || (bit(set) == LSF_CLAWBACK && !account.has(LSF_CLAWBACK));
    if bit(set) == LSF_CLAWBACK && account.has(LSF_NO_FREEZE) {
        return Err(Ter::TecNoPermission);
    }
    if needs_nothing_owned && !account.directory.is_empty() {
        return Err(Ter::TecOwners);
    }
    if set == ASF_NO_FREEZE && account.has(LSF_CLAWBACK) {
        return Err(Ter::TecNoPermission);
    }
    Ok(())
}

/// The account after an AccountSet.
pub(super) fn account_set(
    tx: &Tx,
    before: &Account,
    has_signer_list: bool,
    (set, clear): (u32, u32),
) -> Result<Account, Ter> {
    let is_master = tx.signer == Some(tx.account);
    if bit(set) == LSF_DISABLE_MASTER && !before.has(LSF_DISABLE_MASTER) {
        if !is_master {
            return Err(Ter::TecNeedMasterKey);
        }
        if before.regular_key.is_none() && !has_signer_list {
            return Err(Ter::TecNoAlternativeKey);
        }
    }
    if set == ASF_NO_FREEZE && !is_master && !before.has(LSF_DISABLE_MASTER) {
        return Err(Ter::TecNeedMasterKey);
    }
    let mut after = before.clone();
    after.flags |= bit(set);
    // Who gave up freezing may not end a freeze of everything either, nor take it back.
    let stays = match clear {
        ASF_GLOBAL_FREEZE => after.has(LSF_NO_FREEZE),
        ASF_NO_FREEZE | 16 => true,
        _ => false,
    };
    if !stays {
        after.flags &= !bit(clear);
    }
    let id = json!(tx.hash.to_string());
    match (set, clear) {
        (ASF_ACCOUNT_TXN_ID, _) => after.settings.insert("AccountTxnID", id),
        (_, ASF_ACCOUNT_TXN_ID) => after.settings.remove("AccountTxnID"),
        (_, ASF_MINTER) => after.settings.remove("NFTokenMinter"),
        _ => None,
    };
    for name in [
        "Domain",
        "EmailHash",
        "MessageKey",
        "NFTokenMinter",
        "TickSize",
        "TransferRate",
        "WalletLocator",
    ] {
        let Some(value) = tx.json.get(name) else {
            continue;
        };
        if is_none(name, value) {
            after.settings.remove(name);
        } else {
            after.settings.insert(name, value.clone());
        }
    }
    Ok(after)
}

/// True for a value that stands for no value.
fn is_none(name: &str, value: &Value) -> bool {
    match value {
        Value::String(text) => text.bytes().all(|digit| digit == b'0'),
        Value::Number(number) => match (name, number.as_u64()) {
            ("TickSize", Some(size)) => size == 0 || size == TICK_SIZE_NONE,
            (_, rate) => rate == Some(0) || rate == Some(*TRANSFER_RATES.start()),
        },
        _ => false,
    }
}
