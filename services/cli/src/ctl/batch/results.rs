//! What became of each row.
//!
//! Owns: the file of results, which is replaced as a whole, and the words at the end. May not: call a row paid or unpaid that the
//! gateway has not.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use paygate_client::proto::{Payment, evidence, payment};
use paygate_client::{Outcome, Refusal, outcome, safe_to_repay};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::super::cells::harmless;
use super::super::exit::Exit;
use super::super::names;
use super::rows::Row;

/// The file is written so often on the way.
const WRITTEN_EVERY: Duration = Duration::from_secs(10);

/// Names of the file's columns.
const COLUMNS: [&str; 13] = [
    "line",
    "payment_id",
    "state",
    "safe_to_repay",
    "destination",
    "destination_tag",
    "amount",
    "tx_hash",
    "ledger_index",
    "engine_result",
    "delivered",
    "fee_drops",
    "reason",
];

/// What is known of a row.
#[derive(Clone, Debug)]
pub(super) enum Ended {
    /// Nothing was asked yet, or there was no answer.
    Open,
    /// The gateway has it.
    Stored(Box<Payment>),
    /// The gateway has refused it; nothing is stored.
    Refused(Refusal),
}

/// Why the file of results cannot be written.
#[derive(Debug, thiserror::Error)]
pub(super) enum ResultsError {
    #[error("the results cannot be written to {0}: {1}")]
    Io(String, std::io::Error),
    #[error("the results cannot be written to {0}: {1}")]
    Csv(String, csv::Error),
}

/// Every row and what became of it, by line.
pub(super) struct Results {
    path: PathBuf,
    rows: BTreeMap<u64, (Row, Ended)>,
    written: Instant,
}

impl Results {
    /// Nothing is known yet. The file is written once, so that a place that cannot be written is found before anything is sent.
    pub(super) fn begin(path: PathBuf, rows: &[Row]) -> Result<Self, ResultsError> {
        let open = |row: &Row| (row.line, (row.clone(), Ended::Open));
        let mut results = Self {
            path,
            rows: rows.iter().map(open).collect(),
            written: Instant::now(),
        };
        results.write()?;
        Ok(results)
    }

    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// Takes in how a payment stands. An end stays: answers may overtake each other. True: it goes on.
    pub(super) fn stored(&mut self, line: u64, payment: &Payment) -> bool {
        let known = self.rows.get(&line).map(|(_, ended)| ended);
        if let Some(Ended::Stored(known)) = known
            && outcome(known) != Outcome::Live
        {
            return false;
        }
        self.ended(line, Ended::Stored(Box::new(payment.clone())));
        outcome(payment) == Outcome::Live
    }

    pub(super) fn ended(&mut self, line: u64, ended: Ended) {
        if let Some((_, known)) = self.rows.get_mut(&line) {
            *known = ended;
        }
    }

    /// How many rows stand how.
    pub(super) fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for (_, ended) in self.rows.values() {
            match ended {
                Ended::Open => counts.open += 1,
                Ended::Refused(_) => counts.refused += 1,
                Ended::Stored(payment) => match outcome(payment) {
                    Outcome::Paid => counts.paid += 1,
                    Outcome::Unpaid => counts.unpaid += 1,
                    Outcome::Live => counts.open += 1,
                },
            }
        }
        counts
    }

    /// The end in words.
    pub(super) fn text(&self) -> String {
        let path = self.path.display();
        format!("{}; results in {path}\n", self.counts().text())
    }

    /// The end for a script.
    pub(super) fn json(&self) -> Value {
        let counts = self.counts();
        json!({
            "payments": self.len(),
            "paid": counts.paid,
            "unpaid": counts.unpaid,
            "refused": counts.refused,
            "undecided": counts.open,
            "results": self.path.display().to_string(),
        })
    }

    pub(super) fn write_now_and_then(&mut self) -> Result<(), ResultsError> {
        if self.written.elapsed() < WRITTEN_EVERY {
            return Ok(());
        }
        self.write()
    }

    /// Beside the file first, and then in its place: there is never half of one.
    pub(super) fn write(&mut self) -> Result<(), ResultsError> {
        let name = self.path.display().to_string();
        let io = |error| ResultsError::Io(name.clone(), error);
        let bytes = self
            .csv()
            .map_err(|error| ResultsError::Csv(name.clone(), error))?;
        let beside = beside(&self.path);
        let mut file = fs::File::create(&beside).map_err(io)?;
        file.write_all(&bytes).map_err(io)?;
        file.sync_all().map_err(io)?;
        fs::rename(&beside, &self.path).map_err(io)?;
        self.written = Instant::now();
        Ok(())
    }

    fn csv(&self) -> Result<Vec<u8>, csv::Error> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record(COLUMNS)?;
        for (row, ended) in self.rows.values() {
            writer.write_record(cells(row, ended))?;
        }
        writer
            .into_inner()
            .map_err(|error| csv::Error::from(error.into_error()))
    }
}

fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    PathBuf::from(name)
}

fn cells(row: &Row, ended: &Ended) -> [String; 13] {
    let request = &row.request;
    let tag = |tag: Option<u32>| tag.map(|tag| tag.to_string()).unwrap_or_default();
    let mut cells: [String; 13] = Default::default();
    cells[0] = row.line.to_string();
    cells[1].clone_from(&request.payment_id);
    match ended {
        Ended::Open => {
            cells[2] = "UNKNOWN".to_owned();
            cells[3] = "false".to_owned();
        }
        Ended::Refused(refusal) => {
            cells[2] = "REFUSED".to_owned();
            // Nothing is stored of this row; of another row with its id there may be.
            cells[3] = "false".to_owned();
            cells[12] = format!("{}: {}", refusal.reason, refusal.message);
        }
        Ended::Stored(payment) => {
            cells[2] = names::state(payment.state);
            cells[3] = safe_to_repay(payment).to_string();
            cells[4].clone_from(&payment.destination);
            cells[5] = tag(payment.destination_tag);
            cells[6] = amount(payment);
            if let Some(evidence) = &payment.evidence {
                cells[7].clone_from(&evidence.tx_hash);
                cells[8] = evidence.ledger_index.to_string();
                cells[9].clone_from(&evidence.engine_result);
                cells[10] = match &evidence.delivered {
                    Some(evidence::Delivered::DeliveredDrops(drops)) => format!("{drops} drops"),
                    Some(evidence::Delivered::DeliveredIssued(issued)) => {
                        format!("{} {} {}", issued.value, issued.currency, issued.issuer)
                    }
                    None => String::new(),
                };
                cells[11] = evidence.fee_drops.to_string();
            }
            cells[12].clone_from(&payment.reason_detail);
        }
    }
    cells.map(harmless)
}

fn amount(payment: &Payment) -> String {
    match &payment.amount {
        Some(payment::Amount::XrpDrops(drops)) => format!("{drops} drops"),
        Some(payment::Amount::Issued(issued)) => {
            format!("{} {} {}", issued.value, issued.currency, issued.issuer)
        }
        None => String::new(),
    }
}

/// How many rows stand how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) paid: usize,
    pub(super) unpaid: usize,
    pub(super) refused: usize,
    /// Not asked, not answered or not decided.
    pub(super) open: usize,
}

impl Counts {
    pub(super) fn done(self) -> usize {
        self.paid + self.unpaid + self.refused
    }

    fn text(self) -> String {
        let mut text = format!("{} paid", self.paid);
        let others = [
            (self.unpaid, "ended unpaid"),
            (self.refused, "refused, nothing of them is stored"),
            (self.open, "not decided"),
        ];
        for (count, words) in others.into_iter().filter(|(count, _)| *count > 0) {
            text.push_str(&format!(", {count} {words}"));
        }
        text
    }

    /// What is not decided comes first: it may still be paid.
    pub(super) fn exit(self) -> Exit {
        match self {
            Self { open: 1.., .. } => Exit::Undecided,
            Self { refused: 1.., .. } => Exit::Refused,
            Self { unpaid: 1.., .. } => Exit::Otherwise,
            _ => Exit::Done,
        }
    }
}

#[cfg(test)]
mod tests {
    use paygate_client::proto::{CreatePaymentRequest, Evidence, PaymentState};

    use super::*;

    fn row(line: u64) -> Row {
        let request = CreatePaymentRequest {
            payment_id: format!("p-{line}"),
            ..CreatePaymentRequest::default()
        };
        Row { line, request }
    }

    fn payment(state: PaymentState) -> Payment {
        Payment {
            state: state.into(),
            amount: Some(payment::Amount::XrpDrops(5)),
            evidence: (state == PaymentState::Paid).then(|| Evidence {
                tx_hash: "AB".into(),
                ledger_index: 7,
                engine_result: "tesSUCCESS".into(),
                delivered: Some(evidence::Delivered::DeliveredDrops(5)),
                fee_drops: 10,
                ..Evidence::default()
            }),
            reason_detail: "=cmd".into(),
            ..Payment::default()
        }
    }

    #[test]
    fn the_file_tells_of_each_row_what_is_known_and_no_more() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("results.csv");
        let mut results = Results::begin(path.clone(), &[row(2), row(3), row(4)]).unwrap();
        results.stored(2, &payment(PaymentState::Paid));
        assert!(
            !results.stored(2, &payment(PaymentState::AtLarge)),
            "an end stays"
        );
        assert!(results.stored(3, &payment(PaymentState::AtLarge)));
        results.write().unwrap();
        let text = fs::read_to_string(&path).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines[1],
            "2,p-2,PAID,false,,,5 drops,AB,7,tesSUCCESS,5 drops,10,'=cmd"
        );
        assert!(lines[2].starts_with("3,p-3,AT_LARGE,false"), "{text}");
        assert!(lines[3].starts_with("4,p-4,UNKNOWN,false"), "{text}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn only_a_batch_of_which_all_is_paid_ends_with_0() {
        let counts = |paid, unpaid, refused, open| Counts {
            paid,
            unpaid,
            refused,
            open,
        };
        for (counts, exit) in [
            (counts(3, 0, 0, 0), Exit::Done),
            (counts(3, 1, 0, 0), Exit::Otherwise),
            (counts(3, 1, 1, 0), Exit::Refused),
            (counts(3, 1, 1, 1), Exit::Undecided),
        ] {
            assert_eq!(counts.exit(), exit);
        }
        assert_eq!(
            counts(3, 1, 0, 2).text(),
            "3 paid, 1 ended unpaid, 2 not decided"
        );
    }
}
