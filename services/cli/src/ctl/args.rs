//! The command line.
//!
//! Owns: names, defaults and help. May not: do anything.

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::NonEmptyStringValueParser;
use clap::{ArgGroup, Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use paygate_client::proto::{AuditHead, PaymentState};

use super::export::Export;
use super::parse::{
    When, audit_head, currency, decimal, drops, duration, payment_id, state, tx_hash, when, xrp,
};
use super::reconcile::Reconcile;
use super::rollout::Rollout;
use super::token::Token;

const TOP_HELP: &str = "\
Examples:
  paygatectl pay 2.5 --to rPT1Sjq2YGrBMTttX4GZHjKu9dyfzbpAYe --id invoice-4711 --wait
  paygatectl explain invoice-4711
  paygatectl list --state at-large,on-hold
  paygatectl --output json wallet | jq -r .spendable_drops

Exit codes:
  0   done; for pay and get: PAID, and nothing else
  1   the payment ended unpaid: the destination got nothing and never will
  2   unknown, or not decided yet: ask again, do not pay elsewhere
  3   the gateway refused the request
  64  the command line is wrong; nothing was sent

Results go to standard output, everything else to standard error. With --output json a result or an error is one JSON object
on one line; 64-bit numbers are strings in it, as in protobuf's JSON. TRACEPARENT is taken over, so that a payment becomes part
of your trace. NO_COLOR turns colours off; they are only used on a terminal.";

const PAY_HELP: &str = "\
Examples:
  paygatectl pay 25 --to rPT1Sjq2YGrBMTttX4GZHjKu9dyfzbpAYe --id invoice-17 --wait
  paygatectl pay --drops 1 --to rPT1Sjq2YGrBMTttX4GZHjKu9dyfzbpAYe --tag 4711 --memo 'rent, November'
  paygatectl pay 25 --to rPT1Sjq2YGrBMTttX4GZHjKu9dyfzbpAYe --id salary-3 --before 30m --wait
  paygatectl pay 25 --to rPT1Sjq2YGrBMTttX4GZHjKu9dyfzbpAYe --validate-only
  paygatectl pay --amount 12.5 --currency RLUSD --issuer rMxCKbEDwqr76QuheSUMdEGf4B9xJ8m5De \\
      --to rPT1Sjq2YGrBMTttX4GZHjKu9dyfzbpAYe --id invoice-18 --wait

The id makes it safe: the same id is the same payment, however often you repeat the command. Without --id one is made and printed
before anything is sent; if the command is cut off, repeat it with that --id and it cannot pay twice. Another content under a used
id is refused (exit code 3).

Without --wait it ends as soon as the payment is stored, with 2, because nothing is decided yet.
With --validate-only it ends with 0 if the payment would be accepted.";

const GET_HELP: &str = "\
Examples:
  paygatectl get invoice-17
  paygatectl --output json get invoice-17 | jq -r .state

Ends with 0 only if the payment is PAID, with 1 if it ended unpaid, with 2 if it is not decided.";

const LIST_HELP: &str = "\
Examples:
  paygatectl list --limit 10
  paygatectl list --state failed,expired --since 24h
  paygatectl list --since 2026-11-01T00:00:00Z --before 2026-12-01T00:00:00Z --all --output json

With --output json each page is one line: {\"payments\": [...], \"next_page_token\": \"...\"}.";

const WATCH_HELP: &str = "\
Examples:
  paygatectl watch
  paygatectl watch --state paid,failed --output json
  paygatectl watch --cursor beginning --output json | jq -r .change.summary
  paygatectl watch --cursor \"$(cat cursor)\"

Follows breaks of the connection and restarts of the gateway by itself, unless one is longer than --timeout. Each JSON line holds the cursor of its change: store it
after dealing with the change, and go on with --cursor. A change may come twice, with the same
change.sequence; none is left out.";

const CANCEL_HELP: &str = "\
Examples:
  paygatectl cancel invoice-17 --comment 'customer withdrew' --wait

A payment that is bound may be paid all the same: only its state tells. Ends with 0 if it ended unpaid, with 1 if it was paid,
with 2 if that is not decided yet.";

const UNFREEZE_HELP: &str = "\
Examples:
  paygatectl status
  paygatectl unfreeze --reason 'key rotated by hand, ticket 4711' --acknowledge 9F0C...E1
  paygatectl unfreeze --reason 'signer repaired, blob compared' --yes

Shows what froze sending and asks. Where nobody can be asked it wants --yes. The gateway refuses, and lists them, as long as there
are transactions of the wallet that it did not make and that you have not named. It decides no payment.";

const ANNOUNCE_HELP: &str = "\
Examples:
  paygatectl announce 9F0C...E1 --last-ledger 93412345 --reason 'regular key rotated, ticket 4711'

Announce first, then send the transaction with whatever tool signed it. The gateway refuses while payments are at large, because they
and the transaction would compete for the same slots: wait until `paygatectl wallet` lists none. Until the transaction is validated,
or the last ledger is, nothing is bound. Nothing that was not announced goes unnoticed: it freezes sending.";

const BATCH_PAY_HELP: &str = "\
Examples:
  paygatectl batch pay salaries.csv --dry-run
  paygatectl batch pay salaries.csv --results salaries.paid.csv
  paygatectl batch pay salaries.jsonl --yes --output json

A CSV file begins with a line of names; a .jsonl file holds one object a line. The names:
  payment_id       required; your own id, and what makes repeating the command safe
  destination      required; a classic address or an X-address
  xrp              amount in XRP, at most 6 decimals; or instead
  drops            amount in drops; or instead
  amount           amount in an issued currency, with currency and issuer
  destination_tag, memo, retry_of, deadline   optional; deadline is a time such as 2026-11-24T12:00:00Z

The whole file is checked first: if one row is wrong, all that are wrong are named and nothing is sent. Then it pays, never more than
--in-flight at once, waits where the gateway's limits say so, and follows each payment to its end. Cut off by Ctrl-C or by anything
else, run the same command with the same file again: what is stored already is not paid again. The file of results has a row for each
payment, with its evidence.

Ends with 0 only if all are PAID, with 1 if some ended unpaid, with 2 if some are not decided, with 3 if some were refused.";
const PAUSE_HELP: &str = "\
Examples:
  paygatectl pause --reason 'looking at odd payments, ticket 4711'
  paygatectl pause --client shop --reason 'shop repeats invoices under new ids'
  paygatectl resume --client shop --reason 'shop repaired'

Payments go on being accepted, and wait with the reason PAUSED. What is bound already is followed to its end. It lasts over restarts;
several pauses may be in force, and resume ends the one of the same scope.";

const APPROVE_HELP: &str = "\
Examples:
  paygatectl approvals
  paygatectl approve shop invoice-17 2500 --to rPT1Sjq2YGrBMTttX4GZHjKu9dyfzbpAYe --comment 'called the payee'
  paygatectl reject shop invoice-18 --comment 'the payee knows nothing of it'

Type what you saw: it is refused if the payment is another one. A client never approves its own payments.";

const VERIFY_HELP: &str = "\
Examples:
  paygatectl audit verify
  paygatectl audit verify --head 17:9f0c...e1

Ends with 0 if the log is whole, with 1 if it is not, and names the first entry that is not what was written. Whoever can write to the
store's file can make a whole log anew; a head that you kept elsewhere shows that too.";

const RUNBOOK_HELP: &str = "\
Examples:
  paygatectl runbook
  paygatectl runbook SignerDown
  paygatectl runbook incident-response --output json > evidence.json

Shows what fires it and whether money is at risk, then asks the gateway for everything that the runbook looks at, and changes nothing.
What is not answered is named among the rest. Keep the answer for the incident's record. The steps are in runbooks/NAME.md.

Ends with 0 if everything was answered, with 2 if the gateway did not answer, with 3 if it refused something.";

const COMPLETIONS_HELP: &str = "\
Examples:
  paygatectl completions bash > ~/.local/share/bash-completion/completions/paygatectl
  paygatectl completions zsh > \"${fpath[1]}/_paygatectl\"
  paygatectl completions fish > ~/.config/fish/completions/paygatectl.fish";

/// Pays through a Paygate gateway, and shows what provably happened.
#[derive(Debug, Parser)]
#[command(name = "paygatectl", version, after_help = TOP_HELP, max_term_width = 130)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Apart from what belongs to the command itself.
const FOR_ALL: &str = "For all commands";

/// What all commands have.
#[derive(Debug, Args)]
pub(crate) struct Common {
    /// The gateway.
    #[arg(
        long,
        global = true,
        help_heading = FOR_ALL,
        env = "PAYGATE_ENDPOINT",
        default_value = "http://127.0.0.1:50051",
        value_name = "URL"
    )]
    pub(crate) endpoint: String,
    /// CAs that the gateway's certificate must come from, PEM; needed for https://.
    #[arg(long, global = true, help_heading = FOR_ALL, env = "PAYGATE_TLS_CA", value_name = "FILE")]
    pub(crate) tls_ca: Option<PathBuf>,
    /// Your certificate, PEM.
    #[arg(long, global = true, help_heading = FOR_ALL, env = "PAYGATE_CERT", value_name = "FILE")]
    pub(crate) cert: Option<PathBuf>,
    /// Its key, PEM, readable by you alone.
    #[arg(long, global = true, help_heading = FOR_ALL, env = "PAYGATE_KEY", value_name = "FILE")]
    pub(crate) key: Option<PathBuf>,
    /// A file that holds your token, readable by you alone.
    #[arg(long, global = true, help_heading = FOR_ALL, env = "PAYGATE_TOKEN_FILE", value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
    /// How long a call may take in all, its repeats included: 500ms, 30s, 5m, 2h.
    #[arg(long, global = true, default_value = "30s", value_name = "TIME", value_parser = duration)]
    pub(crate) timeout: Duration,
    /// Text for a person, or JSON for a script.
    #[arg(long, short, global = true, help_heading = FOR_ALL, value_enum, default_value_t = Format::Text)]
    pub(crate) output: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    Text,
    Json,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Pay somebody.
    Pay(Pay),
    /// Show a payment as it is now.
    #[command(after_help = GET_HELP)]
    Get(One),
    /// List payments, newest first.
    List(List),
    /// Show everything that happened to a payment, and what proves its end.
    Explain(One),
    /// Show what the wallet holds and how much may still be sent.
    Wallet,
    /// Show everything that decides whether payments flow.
    Status,
    /// Follow every change of payments.
    Watch(Watch),
    /// Ask to cancel a payment.
    Cancel(Cancel),
    /// Let sending go on after a freeze that you have understood.
    Unfreeze(Unfreeze),
    /// Name a transaction of the wallet that you make outside, so that it does not freeze sending.
    Announce(Announce),
    /// Pay what a file lists.
    #[command(subcommand)]
    Batch(Batch),
    /// Write payments into a file for accounting.
    Export(Export),
    /// Compare what the gateway says of payments with the ledger itself.
    Reconcile(Reconcile),
    /// Make tokens for callers. Nothing is sent.
    #[command(subcommand)]
    Token(Token),
    /// Keep payments from being bound: all, those of one client, or those to one destination.
    #[command(after_help = PAUSE_HELP)]
    Pause(Pause),
    /// End a pause.
    Resume(Pause),
    /// List payments that wait for approval, oldest first.
    Approvals(Approvals),
    /// Let a payment of another client go on.
    Approve(Approve),
    /// End a payment of another client that waits for approval.
    Reject(Reject),
    /// Show what people did, or check that the log of it is whole.
    #[command(subcommand)]
    Audit(Audit),
    /// Show the stage of the roll-out, say what you know of it, go on or back.
    #[command(subcommand)]
    Rollout(Rollout),
    /// Gather what a runbook asks to be looked at, or list the runbooks.
    #[command(after_help = RUNBOOK_HELP)]
    Runbook(Runbook),
    /// Print completions for a shell.
    #[command(after_help = COMPLETIONS_HELP)]
    Completions {
        /// Which shell.
        shell: Shell,
    },
}

#[derive(Debug, Args)]
#[command(after_help = PAY_HELP, group = ArgGroup::new("how_much").required(true).args(["xrp", "drops", "amount"]))]
pub(crate) struct Pay {
    /// Amount in XRP, at most 6 decimals.
    #[arg(value_parser = xrp, value_name = "XRP")]
    pub(crate) xrp: Option<u64>,
    /// Amount in drops, instead (1 XRP = 1000000 drops).
    #[arg(long, value_parser = drops)]
    pub(crate) drops: Option<u64>,
    /// Amount in an issued currency, instead: a decimal such as 12.5, at most 16 digits.
    #[arg(long, value_parser = decimal, value_name = "VALUE", requires = "currency", requires = "issuer")]
    pub(crate) amount: Option<String>,
    /// The issued currency: three characters (USD), a longer name (RLUSD), or 40 hex digits.
    #[arg(long, value_parser = currency, requires = "amount")]
    pub(crate) currency: Option<String>,
    /// Who issues it.
    #[arg(long, value_name = "ADDRESS", requires = "amount")]
    pub(crate) issuer: Option<String>,
    /// Whom: a classic address or an X-address.
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) to: String,
    /// Destination tag. 0 is a tag of its own.
    #[arg(long)]
    pub(crate) tag: Option<u32>,
    /// Your own id of the payment, 1 to 64 of A-Z a-z 0-9 . _ : - [default: one is made and printed]
    #[arg(long, value_parser = payment_id, value_name = "PAYMENT_ID")]
    pub(crate) id: Option<String>,
    /// A note in the transaction, readable by everybody for ever. May be given several times.
    #[arg(long, value_name = "TEXT")]
    pub(crate) memo: Vec<String>,
    /// Pay before about this time or not at all: from now on (10m, 2h), or a time (2026-11-24T12:00:00Z).
    #[arg(long, value_parser = when, value_name = "TIME")]
    pub(crate) before: Option<When>,
    /// The id of the payment that this one replaces. It must be safe to repay.
    #[arg(long, value_parser = payment_id, value_name = "PAYMENT_ID")]
    pub(crate) retry_of: Option<String>,
    /// Check everything, store and pay nothing.
    #[arg(long, conflicts_with = "wait")]
    pub(crate) validate_only: bool,
    /// Wait until a validated ledger has decided.
    #[arg(long)]
    pub(crate) wait: bool,
    /// How long --wait waits. Its end decides nothing about the payment.
    #[arg(long, default_value = "5m", value_name = "TIME", value_parser = duration)]
    pub(crate) wait_timeout: Duration,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Batch {
    /// Pay every row of a CSV or JSON lines file, each exactly once.
    Pay(BatchPay),
}

#[derive(Debug, Args)]
#[command(after_help = BATCH_PAY_HELP)]
pub(crate) struct BatchPay {
    /// The payments: NAME.csv or NAME.jsonl.
    pub(crate) file: PathBuf,
    /// Check everything, also with the gateway; store and pay nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Where the results go, as CSV; replaced as a whole. [default: FILE.results.csv]
    #[arg(long, value_name = "FILE")]
    pub(crate) results: Option<PathBuf>,
    /// Payments that are stored and not decided, at most.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(crate) in_flight: u16,
    /// Do not ask.
    #[arg(long, short)]
    pub(crate) yes: bool,
}

#[derive(Debug, Args)]
pub(crate) struct One {
    /// The payment.
    #[arg(value_parser = payment_id)]
    pub(crate) payment_id: String,
    /// Whose payment, if it is another client's.
    #[arg(
        long,
        value_name = "CLIENT_ID",
        default_value = "",
        hide_default_value = true
    )]
    pub(crate) client: String,
}

#[derive(Debug, Args)]
#[command(after_help = LIST_HELP)]
pub(crate) struct List {
    /// Only these states, for example paid,on-hold.
    #[arg(long, value_parser = state, value_delimiter = ',')]
    pub(crate) state: Vec<PaymentState>,
    /// Whose payments, if not the caller's own.
    #[arg(
        long,
        value_name = "CLIENT_ID",
        default_value = "",
        hide_default_value = true
    )]
    pub(crate) client: String,
    /// Only those created since: 24h ago, or since a time (2026-11-24T12:00:00Z).
    #[arg(long, value_parser = when, value_name = "TIME")]
    pub(crate) since: Option<When>,
    /// Only those created before: 24h ago, or before a time.
    #[arg(long, value_parser = when, value_name = "TIME")]
    pub(crate) before: Option<When>,
    /// Payments of a page.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(i32).range(1..=1000))]
    pub(crate) limit: i32,
    /// Where to go on, as the page before said.
    #[arg(
        long,
        value_name = "TOKEN",
        default_value = "",
        hide_default_value = true
    )]
    pub(crate) page_token: String,
    /// All pages.
    #[arg(long)]
    pub(crate) all: bool,
}

#[derive(Debug, Args)]
#[command(after_help = WATCH_HELP)]
pub(crate) struct Watch {
    /// Only changes into these states, for example paid,on-hold.
    #[arg(long, value_parser = state, value_delimiter = ',')]
    pub(crate) state: Vec<PaymentState>,
    /// Whose payments, if not the caller's own.
    #[arg(
        long,
        value_name = "CLIENT_ID",
        default_value = "",
        hide_default_value = true
    )]
    pub(crate) client: String,
    /// Where to go on; `beginning`: from the first change there is. Without it: from now on.
    #[arg(long, default_value = "", hide_default_value = true)]
    pub(crate) cursor: String,
    /// End after so many changes.
    #[arg(long)]
    pub(crate) count: Option<u64>,
}

#[derive(Debug, Args)]
#[command(after_help = UNFREEZE_HELP)]
pub(crate) struct Unfreeze {
    /// Why it is safe to go on, for the events: at most 200 characters, not a secret.
    #[arg(long, value_parser = NonEmptyStringValueParser::new())]
    pub(crate) reason: String,
    /// A transaction of the wallet that the gateway did not make and that you know of. May be given several times.
    #[arg(long, value_name = "TX_HASH", value_parser = tx_hash, value_delimiter = ',')]
    pub(crate) acknowledge: Vec<String>,
    /// Do not ask.
    #[arg(long, short)]
    pub(crate) yes: bool,
}

#[derive(Debug, Args)]
#[command(after_help = ANNOUNCE_HELP)]
pub(crate) struct Announce {
    /// The transaction's hash.
    #[arg(value_parser = tx_hash)]
    pub(crate) tx_hash: String,
    /// The transaction's LastLedgerSequence: the announcement ends there.
    #[arg(long, value_name = "LEDGER_INDEX")]
    pub(crate) last_ledger: u32,
    /// What it is for, for the events: at most 200 characters, not a secret.
    #[arg(long, value_parser = NonEmptyStringValueParser::new())]
    pub(crate) reason: String,
}

#[derive(Debug, Args)]
pub(crate) struct Pause {
    /// Only payments of this client.
    #[arg(long, value_name = "CLIENT_ID", value_parser = payment_id, conflicts_with = "destination")]
    pub(crate) client: Option<String>,
    /// Only payments to this classic address, whatever their tag.
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) destination: Option<String>,
    /// Why, for the audit log: at most 200 characters, not a secret.
    #[arg(long, value_parser = NonEmptyStringValueParser::new())]
    pub(crate) reason: String,
}

#[derive(Debug, Args)]
pub(crate) struct Approvals {
    /// Payments of a page.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(i32).range(1..=1000))]
    pub(crate) limit: i32,
    /// Where to go on, as the page before said.
    #[arg(
        long,
        value_name = "TOKEN",
        default_value = "",
        hide_default_value = true
    )]
    pub(crate) page_token: String,
    /// All pages.
    #[arg(long)]
    pub(crate) all: bool,
}

#[derive(Debug, Args)]
#[command(after_help = APPROVE_HELP, group = ArgGroup::new("seen").required(true).args(["xrp", "drops", "amount"]))]
pub(crate) struct Approve {
    /// Whose payment.
    #[arg(value_parser = payment_id)]
    pub(crate) client_id: String,
    /// The payment.
    #[arg(value_parser = payment_id)]
    pub(crate) payment_id: String,
    /// The amount that you saw, in XRP.
    #[arg(value_parser = xrp, value_name = "XRP")]
    pub(crate) xrp: Option<u64>,
    /// The amount that you saw, in drops, instead.
    #[arg(long, value_parser = drops)]
    pub(crate) drops: Option<u64>,
    /// The amount that you saw, in an issued currency, instead.
    #[arg(long, value_parser = decimal, value_name = "VALUE", requires = "currency", requires = "issuer")]
    pub(crate) amount: Option<String>,
    /// The issued currency.
    #[arg(long, value_parser = currency, requires = "amount")]
    pub(crate) currency: Option<String>,
    /// Who issues it.
    #[arg(long, value_name = "ADDRESS", requires = "amount")]
    pub(crate) issuer: Option<String>,
    /// The destination that you saw: its classic address.
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) to: String,
    /// Why, for the timeline and the audit log: at most 200 characters, not a secret.
    #[arg(long, default_value = "", hide_default_value = true)]
    pub(crate) comment: String,
}

#[derive(Debug, Args)]
pub(crate) struct Reject {
    /// Whose payment.
    #[arg(value_parser = payment_id)]
    pub(crate) client_id: String,
    /// The payment.
    #[arg(value_parser = payment_id)]
    pub(crate) payment_id: String,
    /// Why, for the payment's client and the audit log: at most 200 characters, not a secret.
    #[arg(long, value_parser = NonEmptyStringValueParser::new())]
    pub(crate) comment: String,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Audit {
    /// The newest entries, the newest last.
    Tail(AuditTail),
    /// Recompute the log's chain from all of its entries.
    #[command(after_help = VERIFY_HELP)]
    Verify(AuditVerify),
}

#[derive(Debug, Args)]
pub(crate) struct AuditTail {
    /// So many.
    #[arg(long, short = 'n', default_value_t = 20, value_parser = clap::value_parser!(i32).range(1..=1000))]
    pub(crate) limit: i32,
    /// Only by this client.
    #[arg(
        long,
        value_name = "CLIENT_ID",
        default_value = "",
        hide_default_value = true
    )]
    pub(crate) client: String,
}

#[derive(Debug, Args)]
pub(crate) struct Runbook {
    /// An alert's name, or a procedure's. Without it: the list of all.
    pub(crate) name: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct AuditVerify {
    /// A head that was kept elsewhere, from an earlier verification or from the gateway's own log: SEQUENCE:HASH.
    #[arg(long, value_name = "SEQUENCE:HASH", value_parser = audit_head)]
    pub(crate) head: Option<AuditHead>,
}

#[derive(Debug, Args)]
#[command(after_help = CANCEL_HELP)]
pub(crate) struct Cancel {
    /// The payment.
    #[arg(value_parser = payment_id)]
    pub(crate) payment_id: String,
    /// Why, for the payment's timeline: at most 200 characters, not a secret.
    #[arg(long, default_value = "", hide_default_value = true)]
    pub(crate) comment: String,
    /// Wait until a validated ledger has decided.
    #[arg(long)]
    pub(crate) wait: bool,
    /// How long --wait waits. Its end decides nothing about the payment.
    #[arg(long, default_value = "5m", value_name = "TIME", value_parser = duration)]
    pub(crate) wait_timeout: Duration,
}
