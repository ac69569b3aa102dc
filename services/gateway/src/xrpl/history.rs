//! A long history, walked in parts that are each complete.
//!
//! Owns: how large a part is. May not: leave a ledger out; a part that the server does not cover is an error, never a short answer.

use xrpl_tx::AccountId;

use super::calls::AccountTxError;
use super::facts::AccountHistory;
use super::link::Link;

/// Ledgers walked at once: half a day of the network.
const LEDGERS_PER_PART: u32 = 10_000;

impl Link {
    /// Every transaction of the account from ledger `from` on, up to `last` or as many ledgers as one walk takes: the answer says how far
    /// it reaches.
    pub async fn history_part(
        &self,
        account: AccountId,
        from: u32,
        last: u32,
    ) -> Result<AccountHistory, AccountTxError> {
        let mut ledgers = LEDGERS_PER_PART;
        loop {
            let to = from.saturating_add(ledgers - 1).min(last);
            match self.account_tx(account, from, to).await {
                Err(AccountTxError::TooLong { .. }) if ledgers > 1 => ledgers /= 2,
                walked => return walked,
            }
        }
    }
}
