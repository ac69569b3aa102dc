//! Issued currencies: that the books balance whatever is sent, and the rules that no recording shows.

use serde_json::{Value, json};

use super::super::decimal::Decimal;
use super::super::lines::{End, LineKey};
use super::super::money::Currency;
use super::super::node::Node;
use super::{Wallet, XRP, close, node, submit, validated};

const LOW_RATE: u64 = 1_002_000_000;
const TF_SET_NO_RIPPLE: u32 = 0x0002_0000;
const TF_SET_FREEZE: u32 = 0x0010_0000;
const TF_SET_DEEP_FREEZE: u32 = 0x0040_0000;
const TF_PARTIAL: u32 = 0x0002_0000;

/// Submits the transaction with the account's next Sequence, closes, and gives the validated result, or the preliminary
/// one if no ledger took it.
fn does(node: &mut Node, who: &Wallet, mut fields: Value) -> &'static str {
    let sequence = node
        .open_account(&who.id())
        .map_or(1, |account| account.sequence);
    fields["Sequence"] = json!(sequence);
    let tx = who.tx(fields);
    let answer = submit(node, &tx);
    close(node);
    validated(node, &tx).unwrap_or(answer.ter).name()
}

fn usd(issuer: &Wallet, value: &str) -> Value {
    json!({ "currency": "USD", "issuer": issuer.address(), "value": value })
}

fn sets(flag: u32) -> Value {
    json!({ "TransactionType": "AccountSet", "SetFlag": flag })
}

fn trusts(peer: &Wallet, limit: &str, flags: u32) -> Value {
    json!({ "TransactionType": "TrustSet", "LimitAmount": usd(peer, limit), "Flags": flags })
}

fn pays(to: &Wallet, issuer: &Wallet, value: &str) -> Value {
    json!({ "Destination": to.address(), "Amount": usd(issuer, value) })
}

fn held(node: &Node, holder: &Wallet, issuer: &Wallet) -> Option<Decimal> {
    let currency = Currency::parse("USD").unwrap();
    let line = node
        .world
        .accounts
        .line(&LineKey::new(holder.id(), issuer.id(), currency))?;
    Some(line.held_by(End::of(&holder.id(), &issuer.id())))
}

fn text(node: &Node, holder: &Wallet, issuer: &Wallet) -> String {
    held(node, holder, issuer).map_or_else(|| "no line".to_owned(), |held| held.to_string())
}

fn objects(node: &Node, wallet: &Wallet) -> u32 {
    node.world.accounts.get(&wallet.id()).unwrap().owner_count
}

/// An issuer whose money may pass from holder to holder, and holders who trust it for 1000.
fn market(holders: &[&Wallet], issuer: &Wallet) -> Node {
    let mut funded = vec![(issuer, 1000 * XRP)];
    funded.extend(holders.iter().map(|holder| (*holder, 1000 * XRP)));
    let mut node = node(&funded);
    assert_eq!(does(&mut node, issuer, sets(8)), "tesSUCCESS");
    for holder in holders {
        assert_eq!(
            does(&mut node, holder, trusts(issuer, "1000", 0)),
            "tesSUCCESS"
        );
    }
    node
}

#[test]
fn what_holders_have_is_what_was_issued_less_what_the_issuer_kept() {
    let issuer = Wallet::new("issuer");
    let wallets: Vec<Wallet> = ["ann", "ben", "cid"].map(Wallet::new).into();
    let holders: Vec<&Wallet> = wallets.iter().collect();
    let mut node = market(&holders, &issuer);
    let total = |node: &Node| {
        let held = holders
            .iter()
            .filter_map(|holder| held(node, holder, &issuer));
        held.fold(Decimal::ZERO, |sum, held| sum.plus(held).unwrap())
    };
    let number = |text: &str| Decimal::parse(text).unwrap();
    for holder in &holders {
        assert_eq!(
            does(&mut node, &issuer, pays(holder, &issuer, "300")),
            "tesSUCCESS"
        );
    }
    assert_eq!(total(&node), number("900"));
    let rate = json!({ "TransactionType": "AccountSet", "TransferRate": LOW_RATE });
    assert_eq!(does(&mut node, &issuer, rate), "tesSUCCESS");
    let mut kept = Decimal::ZERO;
    // Values of few digits, so that no rounding hides what is lost.
    for (from, to, value, fee) in [
        (0, 1, "10", "0.02"),
        (1, 2, "250.5", "0.501"),
        (2, 0, "0.5", "0.001"),
    ] {
        let mut payment = pays(holders[to], &issuer, value);
        payment["SendMax"] = usd(&issuer, "400");
        assert_eq!(does(&mut node, holders[from], payment), "tesSUCCESS");
        kept = kept.plus(number(fee)).unwrap();
        assert_eq!(total(&node).plus(kept).unwrap(), number("900"));
    }
    assert_eq!(
        does(&mut node, holders[0], pays(&issuer, &issuer, "100")),
        "tesSUCCESS"
    );
    assert_eq!(total(&node).plus(kept).unwrap(), number("800"));
}

#[test]
fn a_payment_takes_what_it_needs_and_never_more_than_its_most() {
    let [issuer, ann, ben] = ["issuer", "ann", "ben"].map(Wallet::new);
    let mut node = market(&[&ann, &ben], &issuer);
    does(&mut node, &issuer, pays(&ann, &issuer, "100"));
    let rate = json!({ "TransactionType": "AccountSet", "TransferRate": 2_000_000_000u64 });
    does(&mut node, &issuer, rate);
    let with = |value: &str, most: &str, flags: u32, least: Option<&str>| {
        let mut payment = pays(&ben, &issuer, value);
        payment["SendMax"] = usd(&issuer, most);
        payment["Flags"] = json!(flags);
        if let Some(least) = least {
            payment["DeliverMin"] = usd(&issuer, least);
        }
        payment
    };
    #[rustfmt::skip]
    let rows = [
        ("half of it is too little", with("10", "19.99", 0, None), "tecPATH_PARTIAL", "100", "0"),
        ("exactly enough", with("10", "20", 0, None), "tesSUCCESS", "80", "10"),
        ("more than it takes", with("10", "80", 0, None), "tesSUCCESS", "60", "20"),
        ("more than there is", with("40", "80", 0, None), "tecPATH_PARTIAL", "60", "20"),
        ("less is welcome", with("40", "20", TF_PARTIAL, None), "tesSUCCESS", "40", "30"),
        ("but not that little", with("40", "20", TF_PARTIAL, Some("10.1")), "tecPATH_PARTIAL", "40", "30"),
        ("as little as this", with("400", "800", TF_PARTIAL, Some("20")), "tesSUCCESS", "0", "50"),
        ("nothing is left", with("40", "20", TF_PARTIAL, None), "tecPATH_DRY", "0", "50"),
    ];
    for (name, payment, result, left, arrived) in rows {
        assert_eq!(does(&mut node, &ann, payment), result, "{name}");
        let now = (text(&node, &ann, &issuer), text(&node, &ben, &issuer));
        assert_eq!(now, (left.to_owned(), arrived.to_owned()), "{name}");
    }
}

#[test]
fn freezes_stop_what_they_should() {
    let [issuer, ann, ben] = ["issuer", "ann", "ben"].map(Wallet::new);
    let mut node = market(&[&ann, &ben], &issuer);
    for holder in [&ann, &ben] {
        does(&mut node, &issuer, pays(holder, &issuer, "100"));
    }
    let deep = trusts(&ben, "0", TF_SET_DEEP_FREEZE);
    assert_eq!(
        does(&mut node, &issuer, deep.clone()),
        "tecNO_PERMISSION",
        "not before a freeze"
    );
    assert_eq!(
        does(&mut node, &issuer, trusts(&ben, "0", TF_SET_FREEZE)),
        "tesSUCCESS"
    );
    assert_eq!(
        does(&mut node, &ann, pays(&ben, &issuer, "1")),
        "tesSUCCESS"
    );
    assert_eq!(
        does(&mut node, &ben, pays(&ann, &issuer, "1")),
        "tecPATH_DRY"
    );
    assert_eq!(does(&mut node, &issuer, deep), "tesSUCCESS");
    assert_eq!(
        does(&mut node, &ann, pays(&ben, &issuer, "1")),
        "tecPATH_DRY"
    );
    assert_eq!(
        does(&mut node, &ben, pays(&issuer, &issuer, "1")),
        "tesSUCCESS"
    );
    assert_eq!(does(&mut node, &issuer, sets(6)), "tesSUCCESS");
    let refused = does(&mut node, &issuer, trusts(&ann, "0", TF_SET_FREEZE));
    assert_eq!(refused, "tecNO_PERMISSION", "it gave up freezing");
    assert_eq!(does(&mut node, &issuer, sets(7)), "tesSUCCESS");
    assert_eq!(
        does(&mut node, &ann, pays(&issuer, &issuer, "1")),
        "tesSUCCESS"
    );
    let clear = json!({ "TransactionType": "AccountSet", "ClearFlag": 7 });
    assert_eq!(does(&mut node, &issuer, clear), "tesSUCCESS");
    let issuer_flags = node.world.accounts.get(&issuer.id()).unwrap().flags;
    assert_ne!(issuer_flags & 0x0040_0000, 0, "for good");
}

#[test]
fn a_line_ends_when_nobody_needs_it() {
    let [issuer, ann] = ["issuer", "ann"].map(Wallet::new);
    let mut node = market(&[&ann], &issuer);
    assert_eq!(objects(&node, &ann), 1);
    let nothing = trusts(&issuer, "0", TF_SET_NO_RIPPLE);
    assert_eq!(does(&mut node, &ann, trusts(&issuer, "0", 0)), "tesSUCCESS");
    assert_eq!(
        text(&node, &ann, &issuer),
        "0",
        "money may pass through, which is not how a line is by itself"
    );
    assert_eq!(does(&mut node, &ann, nothing.clone()), "tesSUCCESS");
    assert_eq!(
        (text(&node, &ann, &issuer).as_str(), objects(&node, &ann)),
        ("no line", 0)
    );
    does(&mut node, &ann, trusts(&issuer, "1000", 0));
    does(&mut node, &issuer, pays(&ann, &issuer, "5"));
    assert_eq!(does(&mut node, &ann, nothing), "tesSUCCESS");
    assert_eq!(
        text(&node, &ann, &issuer),
        "5",
        "what it holds keeps the line"
    );
    let all = does(&mut node, &ann, pays(&issuer, &issuer, "5"));
    assert_eq!(all, "tesSUCCESS");
    let now = (text(&node, &ann, &issuer), objects(&node, &ann));
    assert_eq!(now, ("no line".to_owned(), 0));
    let accounts = &node.world.accounts;
    assert!(accounts.get(&ann.id()).unwrap().directory.is_empty());
    assert!(accounts.get(&issuer.id()).unwrap().directory.is_empty());
}

#[test]
fn who_has_a_line_can_neither_require_permission_nor_go() {
    let [issuer, ann] = ["issuer", "ann"].map(Wallet::new);
    let mut node = market(&[&ann], &issuer);
    assert_eq!(does(&mut node, &issuer, sets(2)), "tecOWNERS");
    for _ in 0..256 {
        close(&mut node);
    }
    let ends = json!({ "TransactionType": "AccountDelete", "Destination": issuer.address(), "Fee": "200000" });
    assert_eq!(does(&mut node, &ann, ends.clone()), "tecHAS_OBLIGATIONS");
    let nothing = trusts(&issuer, "0", TF_SET_NO_RIPPLE);
    assert_eq!(does(&mut node, &ann, nothing), "tesSUCCESS");
    assert_eq!(does(&mut node, &ann, ends), "tesSUCCESS");
    assert!(node.world.accounts.get(&ann.id()).is_none());
    assert_eq!(does(&mut node, &issuer, sets(2)), "tesSUCCESS");
    let again = json!({ "Destination": ann.address(), "Amount": "5000000" });
    assert_eq!(does(&mut node, &issuer, again), "tesSUCCESS");
}

#[test]
fn a_list_of_owned_objects_has_pages_of_32() {
    let ann = Wallet::new("ann");
    let mut node = node(&[(&ann, 1000 * XRP)]);
    let tickets = json!({ "TransactionType": "TicketCreate", "TicketCount": 70 });
    assert_eq!(does(&mut node, &ann, tickets), "tesSUCCESS");
    let sizes = |node: &Node| -> Vec<usize> {
        let account = node.world.accounts.get(&ann.id()).unwrap();
        let pages = account.directory.pages();
        pages.map(|(_, page)| page.entries.len()).collect()
    };
    assert_eq!(sizes(&node), [32, 32, 6]);
    let account = node.world.accounts.get(&ann.id()).unwrap().clone();
    for ticket in account.tickets.keys().skip(32).take(32) {
        let uses = json!({ "TransactionType": "AccountSet", "TicketSequence": ticket });
        let mut fields = uses;
        fields["Sequence"] = json!(0);
        let tx = ann.tx(fields);
        assert_eq!(submit(&mut node, &tx).ter.name(), "tesSUCCESS");
    }
    close(&mut node);
    assert_eq!(sizes(&node), [32, 6], "an empty page goes");
}

#[test]
fn an_issuer_takes_its_money_back_if_it_said_so_in_time() {
    let [issuer, ann] = ["issuer", "ann"].map(Wallet::new);
    let mut node = node(&[(&issuer, 1000 * XRP), (&ann, 1000 * XRP)]);
    let takes = |value: &str| json!({ "TransactionType": "Clawback", "Amount": usd(&ann, value) });
    assert_eq!(does(&mut node, &issuer, takes("1")), "tecNO_PERMISSION");
    assert_eq!(does(&mut node, &issuer, sets(16)), "tesSUCCESS");
    assert_eq!(does(&mut node, &issuer, takes("1")), "tecNO_LINE");
    does(&mut node, &ann, trusts(&issuer, "1000", 0));
    assert_eq!(
        does(&mut node, &issuer, takes("1")),
        "tecINSUFFICIENT_FUNDS"
    );
    assert_eq!(
        does(&mut node, &issuer, pays(&ann, &issuer, "100")),
        "tesSUCCESS"
    );
    assert_eq!(does(&mut node, &issuer, takes("30.5")), "tesSUCCESS");
    assert_eq!(text(&node, &ann, &issuer), "69.5");
    assert_eq!(does(&mut node, &issuer, takes("1000")), "tesSUCCESS");
    assert_eq!(text(&node, &ann, &issuer), "0");
    assert_eq!(
        does(&mut node, &issuer, sets(6)),
        "tecNO_PERMISSION",
        "it may not give up freezing"
    );
}
