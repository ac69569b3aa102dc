//! Amounts of requests.
//!
//! Owns: what an amount may be by itself, and the SendMax that the configuration makes of it. May not: repeat text that it did
//! not understand, or compare with limits; the caller does.

use paygate_payments::limits::Limits;
use paygate_proto::v1::IssuedAmount as AskedIssued;
use xrpl_tx::{
    AccountId, Amount, Asset, Currency, Drops, IssuedAmount, IssuedValue, SecondReaderError,
};

use super::{Violation, address, keep};

/// Drops that can be paid.
pub(in crate::api) fn xrp(drops: u64) -> Result<Drops, Violation> {
    let limit = Drops::MAX.get();
    match Drops::new(drops) {
        Ok(Drops::ZERO) => Err(Violation::malformed(
            "xrp_drops",
            format!("is 0, must be 1 to {limit}"),
        )
        .of_value(0)
        .with_limit(1)),
        Ok(drops) => Ok(drops),
        Err(_) => Err(Violation::malformed(
            "xrp_drops",
            format!("is {drops}, must be 1 to {limit}, all XRP there is"),
        )
        .of_value(drops)
        .with_limit(limit)),
    }
}

/// An amount that the ledger, and both of our own implementations, can hold. Each part that is wrong is named.
pub(in crate::api) fn issued(
    asked: &AskedIssued,
    bad: &mut Vec<Violation>,
) -> Option<IssuedAmount> {
    // Texts are not repeated: whoever mixes up two fields may have put a secret here.
    let currency = asked
        .currency
        .parse::<Currency>()
        .map_err(|error| {
            Violation::malformed("issued.currency", format!("is no issued currency: {error}"))
        })
        .and_then(|currency| {
            let readable = currency.check_second_reader();
            readable
                .map_err(|error| unreadable("issued.currency", currency, &error))
                .map(|()| currency)
        });
    let issuer = address("issued.issuer", &asked.issuer, AccountId::from_address);
    let value = asked
        .value
        .parse::<IssuedValue>()
        .map_err(|error| Violation::malformed("issued.value", format!("is no value: {error}")))
        .and_then(|value| {
            let readable = value.check_second_reader();
            readable
                .map_err(|error| unreadable("issued.value", value, &error))
                .map(|()| value)
        });
    let (currency, issuer, value) = (keep(currency, bad), keep(issuer, bad), keep(value, bad));
    let asset = Asset {
        currency: currency?,
        issuer: issuer?,
    };
    let amount = IssuedAmount::new(asset, value?).map_err(|_| {
        Violation::malformed("issued.value", "is 0, must be larger")
            .of_value(0)
            .with_limit(0)
    });
    keep(amount, bad)
}

/// The amount with the SendMax of the configured cap. What the configuration has against it may change: it does not concern
/// a payment that is stored already, and a SendMax is no part of what is asked for.
pub(super) fn priced(
    amount: IssuedAmount,
    limits: &Limits,
    bad_now: &mut Vec<Violation>,
) -> Amount {
    let plain = Amount::Issued {
        amount,
        send_max: None,
    };
    // An asset that is not configured is refused with the limits.
    let Some(limits) = limits.asset(amount.asset()) else {
        return plain;
    };
    let most = amount.value().add_ppm_up(limits.transfer_fee_max_ppm);
    match most.map(|most| (most, most.check_second_reader())) {
        Some((_, Ok(()))) => limits.payment(amount).unwrap_or(plain),
        Some((most, Err(error))) => {
            bad_now.push(unreadable("issued.value", most, &error));
            plain
        }
        None => {
            let problem = "with the issuer's fee is more than the ledger can hold";
            bad_now.push(Violation::malformed("issued.value", problem).of_value(amount.value()));
            plain
        }
    }
}

fn unreadable(field: &str, value: impl ToString, error: &SecondReaderError) -> Violation {
    Violation::malformed(field, format!("cannot be sent: {error}")).of_value(value)
}
