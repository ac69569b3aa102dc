//! Amounts to and from columns: drops as a number, issued values in the ledger's own bytes, so that every digit comes back.
//!
//! Owns: the form of amounts in rows and in evidence. May not: round, or panic on what a row holds.

use paygate_payments::money::Money;
use xrpl_tx::{AccountId, Amount, Asset, Currency, Drops, IssuedAmount, IssuedValue};

use super::codec;
use super::error::StoreError;

/// Currency and issuer, one after the other.
pub(super) type AssetBytes = [u8; 40];

/// A value in the ledger's own form.
pub(super) type ValueBytes = [u8; 8];

/// The columns of an amount.
pub(super) struct AmountColumns {
    pub(super) drops: u64,
    pub(super) asset: Option<AssetBytes>,
    pub(super) value: Option<ValueBytes>,
    pub(super) send_max: Option<ValueBytes>,
}

pub(super) fn amount_columns(amount: Amount) -> AmountColumns {
    match amount {
        Amount::Xrp(drops) => AmountColumns {
            drops: drops.get(),
            asset: None,
            value: None,
            send_max: None,
        },
        Amount::Issued { amount, send_max } => AmountColumns {
            drops: 0,
            asset: Some(asset_column(amount.asset())),
            value: Some(amount.value().to_bytes()),
            send_max: send_max.map(IssuedValue::to_bytes),
        },
    }
}

/// Puts an amount together from its columns.
pub(super) fn amount(
    number: u64,
    asset_bytes: Option<AssetBytes>,
    value_bytes: Option<ValueBytes>,
    send_max: Option<ValueBytes>,
) -> Result<Amount, StoreError> {
    let (asset_bytes, value_bytes) = match (asset_bytes, value_bytes) {
        (None, None) => return Ok(Amount::Xrp(codec::drops(number, "drops")?)),
        (Some(asset), Some(value)) => (asset, value),
        _ => return Err(StoreError::corrupt("of asset and value only one is there")),
    };
    let amount = IssuedAmount::new(asset(asset_bytes)?, value(value_bytes, "value")?)
        .map_err(|error| StoreError::corrupt(format!("value: {error}")))?;
    let send_max = send_max.map(|bytes| value(bytes, "send_max")).transpose()?;
    Ok(Amount::Issued { amount, send_max })
}

pub(super) fn asset_column(asset: Asset) -> AssetBytes {
    let mut bytes = [0; 40];
    bytes[..20].copy_from_slice(asset.currency.as_bytes());
    bytes[20..].copy_from_slice(asset.issuer.as_bytes());
    bytes
}

pub(super) fn asset(bytes: AssetBytes) -> Result<Asset, StoreError> {
    let (mut currency, mut issuer) = ([0; 20], [0; 20]);
    currency.copy_from_slice(&bytes[..20]);
    issuer.copy_from_slice(&bytes[20..]);
    Ok(Asset {
        currency: Currency::from_bytes(currency)
            .map_err(|error| StoreError::corrupt(format!("asset: {error}")))?,
        issuer: AccountId::from_bytes(issuer),
    })
}

pub(super) fn value(bytes: ValueBytes, column: &str) -> Result<IssuedValue, StoreError> {
    IssuedValue::from_bytes(bytes)
        .map_err(|error| StoreError::corrupt(format!("{column}: {error}")))
}

/// What a row may take at most of its asset.
pub(super) fn takes(
    value_bytes: ValueBytes,
    send_max: Option<ValueBytes>,
) -> Result<IssuedValue, StoreError> {
    let of_value = value(value_bytes, "value")?;
    match send_max {
        Some(bytes) => Ok(value(bytes, "send_max")?.max(of_value)),
        None => Ok(of_value),
    }
}

pub(super) fn delivered_columns(delivered: Option<Money>) -> (u64, Vec<u8>) {
    match delivered {
        None => (0, Vec::new()),
        Some(Money::Xrp(drops)) => (drops.get(), Vec::new()),
        Some(Money::Issued { asset, value }) => {
            let mut bytes = value.to_bytes().to_vec();
            bytes.extend_from_slice(&asset_column(asset));
            (0, bytes)
        }
    }
}

/// What arrived, from its columns.
pub(super) fn delivered(number: u64, issued: &[u8]) -> Result<Option<Money>, StoreError> {
    if issued.is_empty() {
        let drops = codec::drops(number, "delivered amount in evidence")?;
        return Ok(Some(Money::Xrp(drops)).filter(|_| drops > Drops::ZERO));
    }
    let short = || StoreError::corrupt("delivered amount in evidence has other than 48 bytes");
    let (value_bytes, asset_bytes) = issued.split_at_checked(8).ok_or_else(short)?;
    let value_bytes = ValueBytes::try_from(value_bytes).map_err(|_| short())?;
    let asset_bytes = AssetBytes::try_from(asset_bytes).map_err(|_| short())?;
    Ok(Some(Money::Issued {
        asset: asset(asset_bytes)?,
        value: value(value_bytes, "delivered amount in evidence")?,
    }))
}
