//! Payments in a file, for accounting.
//!
//! Owns: the columns, and that a file is there as a whole or not at all. May not: replace a file, or write an amount that the gateway
//! has not told.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use clap::Args;
use paygate_client::proto::{
    Evidence, IssuedAmount, ListPaymentsRequest, Payment, PaymentState, evidence, payment,
};
use paygate_client::{CallError, currency_name, xrp_from_drops};
use prost_types::Timestamp;
use serde_json::{Map, Value, json};

use super::cells::harmless;
use super::exit::Exit;
use super::failure::Asked;
use super::names;
use super::out::note;
use super::parse::state;
use super::period::{Bound, Period, PeriodError, bound, page};
use super::run::{Context, numbers};

const HELP: &str = "\
Examples:
  paygatectl export november.csv --from 2026-11-01T00:00:00Z --to 2026-12-01T00:00:00Z
  paygatectl export paid.jsonl --from 93412345 --to 93499999 --state paid,failed

NAME.csv or NAME.jsonl; a file that is there already is never overwritten. One row for each payment, newest first by when it was stored:
the same payments are the same rows in the same order. Whoever has the scope operate exports everybody's, others their own.

--from belongs to the period; --to belongs to it if it is a ledger, and not if it is a time. By time a payment belongs to when the ledger
closed that decided it; if no ledger did, to when it ended; if it has not ended, to when it was stored. So periods that follow each other
hold each payment once, as soon as it is decided. By ledger it belongs to the ledger that decided it, and undecided ones to none.

Amounts are decimals in the units of `currency` (XRP, not drops), fees are XRP. Only the state says what happened: an amount was paid
if it is PAID, and then `delivered` equals it. Fees of no-ops that belong to no payment are not here: see `paygatectl reconcile`.";

/// Names of the columns, and of the members of a line.
const COLUMNS: [&str; 18] = [
    "client_id",
    "payment_id",
    "state",
    "reason",
    "destination",
    "destination_tag",
    "amount",
    "currency",
    "issuer",
    "delivered",
    "fee_xrp",
    "tx_hash",
    "ledger_index",
    "close_time",
    "engine_result",
    "create_time",
    "update_time",
    "invoice_id",
];

#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct Export {
    /// Where they go: NAME.csv or NAME.jsonl.
    file: PathBuf,
    /// Where the period begins: a ledger, a time (2026-11-01T00:00:00Z), or a span (24h ago). [default: the beginning]
    #[arg(long, value_name = "LEDGER_OR_TIME", value_parser = bound)]
    from: Option<Bound>,
    /// Where it ends. [default: now]
    #[arg(long, value_name = "LEDGER_OR_TIME", value_parser = bound)]
    to: Option<Bound>,
    /// Only these states, for example paid,failed.
    #[arg(long, value_parser = state, value_delimiter = ',')]
    state: Vec<PaymentState>,
    /// Whose payments, if not all that you may see.
    #[arg(
        long,
        value_name = "CLIENT_ID",
        default_value = "",
        hide_default_value = true
    )]
    client: String,
}

/// Why there is no file.
#[derive(Debug, thiserror::Error)]
enum ExportError {
    #[error("{0}")]
    Period(#[from] PeriodError),
    #[error("{0} is neither .csv nor .jsonl")]
    Kind(String),
    #[error("{0} is there already, and is not overwritten")]
    Exists(String),
    #[error("{0} cannot be written: {1}")]
    Io(String, io::Error),
    #[error("{0}")]
    Call(#[from] CallError),
}

/// Writes the file.
pub(crate) async fn export(context: &Context, asked: Export) -> Exit {
    match write(context, &asked).await {
        Ok(rows) => {
            let file = asked.file.display().to_string();
            context.show(
                Exit::Done,
                || format!("{rows} payments in {file}\n"),
                || json!({ "payments": rows, "file": file }),
            )
        }
        Err(ExportError::Call(error)) => context.failed(&error, Asked::Read),
        Err(error) => {
            note(format_args!("paygatectl: {error}; nothing was exported"));
            match error {
                ExportError::Io(..) => Exit::Undecided,
                _ => Exit::Usage,
            }
        }
    }
}

async fn write(context: &Context, asked: &Export) -> Result<u64, ExportError> {
    let period = Period::of(asked.from, asked.to, SystemTime::now())?;
    let mut target = Target::begin(&asked.file)?;
    let mut request = ListPaymentsRequest {
        states: numbers(&asked.state),
        client_id: asked.client.clone(),
        ..ListPaymentsRequest::default()
    };
    let mut rows = 0;
    loop {
        let page = page(&context.client, request.clone()).await?;
        for payment in page.payments.iter().filter(|payment| period.holds(payment)) {
            target.put(payment)?;
            rows += 1;
        }
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    target.finish()?;
    Ok(rows)
}

// === the file ===

enum Form {
    Csv,
    Lines,
}

/// A file beside the one that is wanted, until it is whole. Dropped before, it goes.
struct Target {
    form: Form,
    wanted: PathBuf,
    beside: PathBuf,
    file: BufWriter<File>,
}

impl Target {
    fn begin(wanted: &Path) -> Result<Self, ExportError> {
        let name = wanted.display().to_string();
        let form = match wanted.extension().and_then(|ext| ext.to_str()) {
            Some("csv") => Form::Csv,
            Some("jsonl") => Form::Lines,
            _ => return Err(ExportError::Kind(name)),
        };
        // Told before anything is read; that nobody makes it meanwhile, `finish` looks to.
        if fs::symlink_metadata(wanted).is_ok() {
            return Err(ExportError::Exists(name));
        }
        let mut beside = wanted.as_os_str().to_owned();
        beside.push(format!(".{}.part", std::process::id()));
        let beside = PathBuf::from(beside);
        let file = File::create_new(&beside).map_err(|error| ExportError::Io(name, error))?;
        let mut target = Self {
            form,
            wanted: wanted.to_owned(),
            beside,
            file: BufWriter::new(file),
        };
        if let Form::Csv = target.form {
            target.record(COLUMNS)?;
        }
        Ok(target)
    }

    fn put(&mut self, payment: &Payment) -> Result<(), ExportError> {
        let row = row(payment);
        match self.form {
            Form::Csv => self.record(row.map(|value| harmless(text(&value)))),
            Form::Lines => {
                let members = COLUMNS.map(str::to_owned).into_iter().zip(row);
                let line = Value::Object(members.collect::<Map<_, _>>());
                writeln!(self.file, "{line}").map_err(|error| self.failed(error))
            }
        }
    }

    fn record<T: AsRef<[u8]>>(&mut self, cells: [T; 18]) -> Result<(), ExportError> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        let line = writer.write_record(cells).map_err(io::Error::from);
        let bytes = line.and_then(|()| writer.into_inner().map_err(|error| error.into_error()));
        let written = bytes.and_then(|bytes| self.file.write_all(&bytes));
        written.map_err(|error| self.failed(error))
    }

    /// The whole file takes its name, which nobody else may have taken meanwhile.
    fn finish(mut self) -> Result<(), ExportError> {
        let done = self
            .file
            .flush()
            .and_then(|()| self.file.get_ref().sync_all());
        done.map_err(|error| self.failed(error))?;
        // Not a rename: that would replace a file.
        fs::hard_link(&self.beside, &self.wanted).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => ExportError::Exists(self.wanted.display().to_string()),
            _ => self.failed(error),
        })
    }

    fn failed(&self, error: io::Error) -> ExportError {
        ExportError::Io(self.wanted.display().to_string(), error)
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        // Its other name stays, if it has one.
        let _ = fs::remove_file(&self.beside);
    }
}

// === a row ===

fn row(payment: &Payment) -> [Value; 18] {
    let none = Evidence::default();
    let evidence = payment.evidence.as_ref().unwrap_or(&none);
    let (amount, currency, issuer) = match &payment.amount {
        Some(payment::Amount::XrpDrops(drops)) => (xrp(*drops), json!("XRP"), Value::Null),
        Some(payment::Amount::Issued(issued)) => (
            json!(issued.value),
            json!(currency(issued)),
            json!(issued.issuer),
        ),
        None => (Value::Null, Value::Null, Value::Null),
    };
    let delivered = match &evidence.delivered {
        Some(evidence::Delivered::DeliveredDrops(drops)) => xrp(*drops),
        Some(evidence::Delivered::DeliveredIssued(issued)) => json!(issued.value),
        None => Value::Null,
    };
    let has_tx = !evidence.tx_hash.is_empty();
    [
        json!(payment.client_id),
        json!(payment.payment_id),
        json!(names::state(payment.state)),
        json!(names::reason(payment.reason)),
        json!(payment.destination),
        json!(payment.destination_tag),
        amount,
        currency,
        issuer,
        delivered,
        if has_tx {
            xrp(evidence.fee_drops)
        } else {
            Value::Null
        },
        if has_tx {
            json!(evidence.tx_hash)
        } else {
            Value::Null
        },
        if evidence.ledger_index == 0 {
            Value::Null
        } else {
            json!(evidence.ledger_index)
        },
        time(evidence.ledger_close_time),
        if has_tx {
            json!(evidence.engine_result)
        } else {
            Value::Null
        },
        time(payment.create_time),
        time(payment.update_time),
        json!(payment.invoice_id),
    ]
}

fn xrp(drops: u64) -> Value {
    json!(xrp_from_drops(drops))
}

fn currency(issued: &IssuedAmount) -> String {
    currency_name(&issued.currency).unwrap_or_else(|| issued.currency.clone())
}

fn time(time: Option<Timestamp>) -> Value {
    time.map_or(Value::Null, |time| json!(time.to_string()))
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paid() -> Payment {
        Payment {
            client_id: "-shop".into(),
            payment_id: "p-1".into(),
            state: PaymentState::Paid.into(),
            amount: Some(payment::Amount::XrpDrops(2_500_000)),
            evidence: Some(Evidence {
                tx_hash: "AB".into(),
                ledger_index: 7,
                engine_result: "tesSUCCESS".into(),
                delivered: Some(evidence::Delivered::DeliveredDrops(2_500_000)),
                fee_drops: 12,
                ..Evidence::default()
            }),
            ..Payment::default()
        }
    }

    #[test]
    fn a_file_is_there_as_a_whole_or_not_at_all_and_none_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.csv");
        let mut cut_off = Target::begin(&path).unwrap();
        cut_off.put(&paid()).unwrap();
        drop(cut_off);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);

        let mut target = Target::begin(&path).unwrap();
        target.put(&paid()).unwrap();
        assert!(!path.exists());
        target.finish().unwrap();
        let text = fs::read_to_string(&path).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], COLUMNS.join(","));
        assert!(
            lines[1].starts_with("'-shop,p-1,PAID,UNSPECIFIED,,,2.5,XRP,,2.5,0.000012,AB,7,"),
            "{text}"
        );
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);

        assert!(matches!(Target::begin(&path), Err(ExportError::Exists(_))));
        let late = folder.path().join("b.jsonl");
        let mut target = Target::begin(&late).unwrap();
        target.put(&paid()).unwrap();
        fs::write(&late, "somebody else's").unwrap();
        assert!(matches!(target.finish(), Err(ExportError::Exists(_))));
        assert_eq!(fs::read_to_string(&late).unwrap(), "somebody else's");
        assert!(matches!(
            Target::begin(&folder.path().join("c.txt")),
            Err(ExportError::Kind(_))
        ));
    }

    #[test]
    fn what_is_not_known_is_empty_and_never_zero() {
        let live = Payment {
            evidence: None,
            state: PaymentState::AtLarge.into(),
            ..paid()
        };
        let row = row(&live);
        for column in [
            "delivered",
            "fee_xrp",
            "tx_hash",
            "ledger_index",
            "close_time",
            "engine_result",
        ] {
            let at = COLUMNS.iter().position(|name| *name == column).unwrap();
            assert!(row[at].is_null(), "{column}");
        }
    }
}
