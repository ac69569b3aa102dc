//! Offers to trade: they are taken down, and nobody ever takes them.
//!
//! Owns: the form of an OfferCreate, the offer it leaves, and the book's page for its price. May not: trade. An offer
//! that another one would meet is left beside it all the same.

use serde_json::{Map, json};

use super::blob::Tx;
use super::codes::Ter;
use super::decimal::Decimal;
use super::draft::Draft;
use super::entries::Entry;
use super::lines::{End, LineKey};
use super::money::{Currency, Money};
use super::state::{Account, LSF_GLOBAL_FREEZE, View};
use super::types::{AccountId, Hash, sha512_half};

/// OfferCreate flags.
const TF_IMMEDIATE_OR_CANCEL: u32 = 0x0002_0000;
const TF_FILL_OR_KILL: u32 = 0x0004_0000;
/// All of them.
pub(super) const OFFER_FLAGS: u32 =
    0x0001_0000 | TF_IMMEDIATE_OR_CANCEL | TF_FILL_OR_KILL | 0x0008_0000;
/// Prices are computed with so many digits more than they keep.
const PRICE_SHIFT: u32 = 17;
/// Half of the last digit but one, with which prices are rounded.
const PRICE_HALF: i128 = 5;

fn sides(tx: &Tx) -> Result<(Money, Money), Ter> {
    let side = |name: &str| tx.money(name).ok_or(Ter::TemBadOffer);
    Ok((side("TakerPays")?, side("TakerGets")?))
}

fn value(money: Money) -> Option<Decimal> {
    match money {
        Money::Xrp(drops) => Decimal::new(drops, 0),
        Money::Issued(value, _) => Some(value),
    }
}

/// The form of an OfferCreate.
pub(super) fn preflight_offer(tx: &Tx) -> Result<(), Ter> {
    let both = TF_IMMEDIATE_OR_CANCEL | TF_FILL_OR_KILL;
    if tx.flags & both == both {
        return Err(Ter::TemInvalidFlag);
    }
    let (pays, gets) = sides(tx)?;
    let is_good = |money| value(money).is_some_and(Decimal::is_positive);
    match (pays, gets) {
        (Money::Xrp(_), Money::Xrp(_)) => return Err(Ter::TemBadOffer),
        _ if !is_good(pays) || !is_good(gets) => return Err(Ter::TemBadOffer),
        (Money::Issued(_, one), Money::Issued(_, other)) if one == other => {
            return Err(Ter::TemRedundant);
        }
        _ => {}
    }
    let is_bad = |money| matches!(money, Money::Issued(_, asset) if asset.currency.is_bad());
    if is_bad(pays) || is_bad(gets) {
        return Err(Ter::TemBadCurrency);
    }
    Ok(())
}

/// What an OfferCreate needs before anything is changed.
pub(super) fn check_offer(view: &View<'_>, account: &Account, tx: &Tx) -> Result<(), Ter> {
    let (_, gets) = sides(tx)?;
    let Money::Issued(_, asset) = gets else {
        return Ok(());
    };
    if asset.issuer == account.id {
        return Ok(());
    }
    let issuer = view.get(&asset.issuer);
    if issuer.is_some_and(|issuer| issuer.has(LSF_GLOBAL_FREEZE)) {
        return Err(Ter::TecFrozen);
    }
    let line = view.line(&LineKey::new(account.id, asset.issuer, asset.currency));
    let end = End::of(&account.id, &asset.issuer);
    let is_funded =
        line.is_some_and(|line| line.held_by(end).is_positive() && !line.has(end.other().freeze()));
    if is_funded {
        Ok(())
    } else {
        Err(Ter::TecUnfundedOffer)
    }
}

/// Leaves the offer in its book.
pub(super) fn offer_create(
    draft: &mut Draft<'_, '_>,
    tx: &Tx,
    balance_before: u64,
) -> Result<(), Ter> {
    let (pays, gets) = sides(tx)?;
    if tx.flags & (TF_IMMEDIATE_OR_CANCEL | TF_FILL_OR_KILL) != 0 {
        return Err(Ter::TecKilled);
    }
    let owner_count = draft.account(&tx.account).owner_count + 1;
    if balance_before < draft.fees().reserve(owner_count) {
        return Err(Ter::TecInsufReserveOffer);
    }
    let number = tx.ticket.unwrap_or(tx.sequence);
    let key = sha512_half(&[&[0x00, 0x6F], &tx.account.0, &number.to_be_bytes()]);
    let price = price(pays, gets).ok_or(Ter::TefException)?;
    let book = book_key(pays, gets, price);
    if draft.entry(&book).is_none() {
        draft.put_entry(book, book_page(book, pays, gets, price));
    }
    draft.change(&tx.account, |account| {
        account.owner_count += 1;
        account.directory.add(key);
    });
    let page = draft.account(&tx.account).directory.page_of(&key);
    let mut fields = Map::new();
    fields.insert("Account".into(), json!(tx.account.to_string()));
    fields.insert("BookDirectory".into(), json!(book.to_string()));
    fields.insert("BookNode".into(), json!("0"));
    fields.insert("Flags".into(), json!(tx.flags & 0x0009_0000));
    fields.insert("OwnerNode".into(), json!(page));
    fields.insert("Sequence".into(), json!(number));
    fields.insert("TakerGets".into(), gets.to_json());
    fields.insert("TakerPays".into(), pays.to_json());
    let entry = Entry {
        kind: "Offer",
        fields,
        owners: vec![tx.account],
        origin: None,
    };
    draft.put_entry(key, entry);
    Ok(())
}

/// What the taker pays for one of what he gets: exponent and mantissa in one number.
fn price(pays: Money, gets: Money) -> Option<u64> {
    let ((pays, pays_power), (gets, gets_power)) = (value(pays)?.parts(), value(gets)?.parts());
    let shift = 10_i128.pow(PRICE_SHIFT);
    let quotient = i128::from(pays) * shift / i128::from(gets.max(1)) + PRICE_HALF;
    let power = pays_power - gets_power - i32::try_from(PRICE_SHIFT).ok()?;
    let (mantissa, exponent) = Decimal::new(quotient, power)?.parts();
    Some(u64::try_from(exponent + 100).ok()? << 56 | u64::try_from(mantissa).ok()?)
}

fn names(money: Money) -> (Currency, AccountId) {
    match money {
        Money::Xrp(_) => (Currency([0; 20]), AccountId([0; 20])),
        Money::Issued(_, asset) => (asset.currency, asset.issuer),
    }
}

fn book_key(pays: Money, gets: Money, price: u64) -> Hash {
    let ((pays, pays_issuer), (gets, gets_issuer)) = (names(pays), names(gets));
    let parts: [&[u8]; 5] = [
        &[0x00, 0x42],
        &pays.0,
        &gets.0,
        &pays_issuer.0,
        &gets_issuer.0,
    ];
    let mut key = sha512_half(&parts);
    key.0[24..].copy_from_slice(&price.to_be_bytes());
    key
}

fn book_page(key: Hash, pays: Money, gets: Money, price: u64) -> Entry {
    let mut fields = Map::new();
    fields.insert("ExchangeRate".into(), json!(format!("{price:016x}")));
    fields.insert("Flags".into(), json!(0));
    fields.insert("RootIndex".into(), json!(key.to_string()));
    for (side, money) in [("TakerPays", pays), ("TakerGets", gets)] {
        let (currency, issuer) = names(money);
        if currency.0 != [0; 20] {
            let (currency, issuer) = (hex::encode_upper(currency.0), hex::encode_upper(issuer.0));
            fields.insert(format!("{side}Currency"), json!(currency));
            fields.insert(format!("{side}Issuer"), json!(issuer));
        }
    }
    Entry {
        kind: "DirectoryNode",
        fields,
        owners: Vec::new(),
        origin: None,
    }
}
