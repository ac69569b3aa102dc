//! What the ledger asks for now.
//!
//! Owns: reading it. May not: choose; the core does, under our own cap.

use paygate_payments::LedgerIndex;
use paygate_payments::terms::{self, FeeFacts, Terms};

use paygate_payments::proof::Source;

use super::Engine;
use crate::xrpl::{CallError, Fees, Heard, Member, NotSent, ServerInfo, gather};

impl Engine {
    /// What the servers ask for at this moment: of each number the median, so that no single one decides what is paid.
    pub(super) async fn fee_facts(&self) -> Result<FeeFacts, CallError> {
        let quorum = self.fleet.quorum();
        let question = |member: Member| async move {
            tokio::try_join!(member.link.fee(), member.link.server_info())
        };
        let enough = |heard: &[Heard<Result<(Fees, ServerInfo), CallError>>]| {
            let told = heard.iter().filter(|heard| heard.said.is_ok());
            let sources: Vec<Source> = told.map(|heard| heard.member.source.clone()).collect();
            quorum.suffices(&sources)
        };
        let mut told = Vec::new();
        let mut failed = None;
        for heard in gather(self.fleet.panel(), question, enough, None).await {
            match heard.said {
                Ok((fee, info)) => told.push(facts(&fee, &info)),
                Err(err) => failed = failed.or(Some(err)),
            }
        }
        median(&told).ok_or_else(|| {
            failed.unwrap_or(CallError::NotConnected {
                command: "fee",
                why: NotSent::Disconnected,
            })
        })
    }

    /// Terms of a version made now for a payment without a deadline. `None`: the server does not tell, or asks for more than
    /// our cap; the next ledger is another chance.
    pub(super) async fn terms_now(&self, validated: LedgerIndex) -> Option<Terms> {
        let facts = self.fee_facts().await.ok()?;
        terms::choose(
            facts,
            self.settings.terms,
            validated,
            LedgerIndex::default(),
            None,
        )
        .ok()
    }
}

fn facts(fee: &Fees, info: &ServerInfo) -> FeeFacts {
    // Rounded up: a fee a drop too low waits a ledger for nothing.
    let load = u128::from(info.load_factor_server) * 256;
    let load = load.div_ceil(u128::from(info.load_base.max(1)));
    FeeFacts {
        base: fee.base,
        minimum: fee.minimum,
        load_256ths: u64::try_from(load).unwrap_or(u64::MAX),
    }
}

/// The median of each number by itself. Of two it is the higher one: a fee that one of them does not take waits, and our own
/// cap bounds what the other can make of it. `None`: nobody told.
fn median(told: &[FeeFacts]) -> Option<FeeFacts> {
    Some(FeeFacts {
        base: middle(told.iter().map(|facts| facts.base).collect())?,
        minimum: middle(told.iter().map(|facts| facts.minimum).collect())?,
        load_256ths: middle(told.iter().map(|facts| facts.load_256ths).collect())?,
    })
}

fn middle<T: Ord + Copy>(mut values: Vec<T>) -> Option<T> {
    values.sort_unstable();
    values.get(values.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use xrpl_tx::Drops;

    use super::*;

    #[test]
    fn no_single_server_decides_what_is_paid() {
        let told = |base, minimum, load_256ths| FeeFacts {
            base: Drops::from_const(base),
            minimum: Drops::from_const(minimum),
            load_256ths,
        };
        let usual = told(10, 10, 256);
        let greedy = told(10, 900_000, 1 << 40);
        let cheap = told(1, 1, 1);
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[usual]), Some(usual));
        assert_eq!(median(&[usual, greedy, usual]), Some(usual));
        assert_eq!(median(&[cheap, usual, greedy]), Some(usual));
        assert_eq!(median(&[cheap, usual]), Some(usual), "of two the higher");
        let mixed = [told(10, 20, 512), told(12, 10, 256), told(11, 30, 300)];
        assert_eq!(median(&mixed), Some(told(11, 20, 300)), "each by itself");
    }
}
