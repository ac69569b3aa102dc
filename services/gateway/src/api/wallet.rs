//! WalletService: what the wallet holds and how much may still be sent.
//!
//! Owns: the answer of GetWallet, put together from the picture and the store. May not: ask the ledger or the signer.

use paygate_payments::books::Book;
use paygate_payments::limits::AssetLimits;
use paygate_payments::payment::{State, Versions};
use paygate_proto::signer::v1::DescribeSignerResponse;
use paygate_proto::v1::wallet_service_server::WalletService;
use paygate_proto::v1::{
    Books, GetWalletRequest, GetWalletResponse, KeyStatus, SlotInFlight, WalletAsset, WalletLimits,
    WalletLine, WatchedWallet,
};
use tonic::{Request, Response, Status};
use xrpl_tx::{AccountId, IssuedValue, PublicKey};

use super::{Api, errors, identity};
use crate::clock;
use crate::engine::asset_exposure;
use crate::store::{OpenSlot, StoreError, Summary};
use crate::view::{AccountView, EngineView};

/// Serves WalletService.
#[derive(Clone, Debug)]
pub struct WalletApi(pub Api);

#[tonic::async_trait]
impl WalletService for WalletApi {
    async fn get_wallet(
        &self,
        request: Request<GetWalletRequest>,
    ) -> Result<Response<GetWalletResponse>, Status> {
        identity::caller(&request)?;
        let failed = |error: StoreError| errors::store("get_wallet", &error);
        let summary = self.0.store.summary(clock::now()).await.map_err(failed)?;
        let slots = self.0.store.open_slots().await.map_err(failed)?;
        Ok(Response::new(wallet(
            &self.0,
            &self.0.view.now(),
            &summary,
            &slots,
        )))
    }
}

fn wallet(
    api: &Api,
    view: &EngineView,
    summary: &Summary,
    slots: &[OpenSlot],
) -> GetWalletResponse {
    let mut answer = GetWalletResponse {
        address: api.wallet.account.to_address(),
        network_id: api.wallet.network_id,
        accepted_drops: summary.accepted.get(),
        slots: slots.iter().map(in_flight).collect(),
        limits: Some(limits(api, summary)),
        key_status: key_status(api.wallet.account, view).into(),
        watched: api
            .settings
            .watched
            .iter()
            .map(|(account, wallet_type)| unread(*account, wallet_type))
            .collect(),
        ..GetWalletResponse::default()
    };
    answer.assets = assets(api, view, summary, slots);
    answer.books = summary.book.as_ref().map(books);
    if let (Some(account), Some(validated)) = (&view.account, view.validated) {
        answer.validated_ledger_index = validated.index.0;
        answer.observed_time = view.validated_at.map(clock::Millis::timestamp);
        answer.balance_drops = account.balance.get();
        answer.reserve_drops = account.reserve.get();
        answer.spendable_drops = account.spendable.saturating_sub(summary.accepted).get();
        answer.at_large_drops = account.at_large.get();
        answer.sequence = account.sequence;
        answer.owner_count = account.owner_count;
    }
    answer
}

fn in_flight(open: &OpenSlot) -> SlotInFlight {
    let key = open.owner.as_ref().map(|owner| &owner.payment.intent.key);
    let versions: Option<&Versions> = match (
        &open.filler,
        open.owner.as_ref().map(|owner| &owner.payment.state),
    ) {
        (Some(filler), _) => filler.versions.as_ref(),
        (None, Some(State::AtLarge(at_large))) => Some(&at_large.versions),
        (None, Some(State::OnHold(held))) => Some(&held.versions),
        (None, _) => None,
    };
    SlotInFlight {
        sequence: open.slot.number(),
        client_id: key.map(|key| key.client.to_string()).unwrap_or_default(),
        payment_id: key.map(|key| key.payment.to_string()).unwrap_or_default(),
        dead_at_ledger: versions.map_or(0, |versions| versions.highest_last_ledger().0),
    }
}

fn limits(api: &Api, summary: &Summary) -> WalletLimits {
    let limits = api.store.limits();
    // More than fits is as good as no limit.
    let count = |n: u64| u32::try_from(n).unwrap_or(u32::MAX);
    WalletLimits {
        min_payment_drops: limits.payment_min.get(),
        max_payment_drops: limits.payment_max.get(),
        daily_limit_drops: limits.day_max.get(),
        daily_used_drops: summary.day_used.get(),
        daily_left_drops: limits.day_max.saturating_sub(summary.day_used).get(),
        max_pending_payments: count(limits.pending_max),
        pending_payments: count(summary.pending),
        hourly_fees_limit_drops: summary.fees_hour.max.get(),
        hourly_fees_used_drops: summary.fees_hour.used.get(),
    }
}

/// The books in the contract.
pub(super) fn books(book: &Book) -> Books {
    Books {
        opened_ledger: book.opened.0,
        opening_drops: book.opening.get(),
        balance_drops: book.balance.get(),
        paid_drops: book.paid.get(),
        fees_drops: book.fees.get(),
        inflows_drops: book.inflows.get(),
        outside_in_drops: book.outside_in.get(),
        outside_out_drops: book.outside_out.get(),
        found_drops: book.found.get(),
        lost_drops: book.lost.get(),
    }
}

fn assets(api: &Api, view: &EngineView, summary: &Summary, slots: &[OpenSlot]) -> Vec<WalletAsset> {
    let one = |limits: &AssetLimits| {
        let asset = limits.asset;
        let used = summary.assets.iter().find(|used| used.asset == asset);
        let day_used = used.map_or(IssuedValue::ZERO, |used| used.day_used);
        let line = view
            .account
            .as_ref()
            .and_then(|account| account.line(asset));
        WalletAsset {
            currency: asset.currency.to_string(),
            issuer: asset.issuer.to_address(),
            min_payment: limits.payment_min.to_string(),
            max_payment: limits.payment_max.to_string(),
            daily_limit: limits.day_max.to_string(),
            daily_used: day_used.to_string(),
            daily_left: limits.day_max.saturating_sub_down(day_used).to_string(),
            max_transfer_fee_ppm: limits.transfer_fee_max_ppm,
            at_large: asset_exposure(slots.iter(), asset).to_string(),
            accepted: used
                .map_or(IssuedValue::ZERO, |used| used.accepted)
                .to_string(),
            line: line.map(|line| WalletLine {
                balance: line.balance.to_string(),
                limit: line.limit.to_string(),
                frozen: line.frozen,
            }),
        }
    };
    let limits = api.store.limits();
    limits.assets.iter().map(one).collect()
}

fn key_status(wallet: AccountId, view: &EngineView) -> KeyStatus {
    let signing = view.signer.described.as_ref().and_then(signing_account);
    match (signing, &view.account) {
        (Some(signing), Some(account)) => standing(wallet, signing, account),
        _ => KeyStatus::Unknown,
    }
}

fn signing_account(described: &DescribeSignerResponse) -> Option<AccountId> {
    PublicKey::from_bytes(&described.public_key)
        .ok()
        .map(|key| key.account_id())
}

fn standing(wallet: AccountId, signing: AccountId, account: &AccountView) -> KeyStatus {
    if account.regular_key == Some(signing) {
        KeyStatus::Regular
    } else if signing == wallet && !account.master_disabled {
        KeyStatus::Master
    } else {
        KeyStatus::NotAuthorized
    }
}

/// This version measures no further address: it says so by the absent time.
fn unread(account: AccountId, wallet_type: &str) -> WatchedWallet {
    WatchedWallet {
        address: account.to_address(),
        wallet_type: wallet_type.to_owned(),
        balance_drops: 0,
        observed_time: None,
    }
}
