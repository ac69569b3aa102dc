//! The file of a batch: each row a payment.
//!
//! Owns: what the columns are, and that every row that is wrong is named with its line and column. May not: guess. A file with
//! a wrong row is no batch.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::File;
use std::io::{BufReader, Read as _};
use std::path::Path;
use std::str::FromStr as _;

use paygate_client::proto::{
    CreatePaymentRequest, IssuedAmount, Memo, create_payment_request::Amount,
};
use paygate_client::{MAX_DROPS, xrp_from_drops};
use prost_types::Timestamp;
use serde_json::Value;

use super::super::parse;

/// Rows of a file.
const ROWS_MAX: usize = 100_000;

/// Bytes of a file.
const FILE_MAX_BYTES: u64 = 64 * 1024 * 1024;

/// Names of the columns.
const COLUMNS: [&str; 11] = [
    "payment_id",
    "destination",
    "destination_tag",
    "xrp",
    "drops",
    "amount",
    "currency",
    "issuer",
    "memo",
    "retry_of",
    "deadline",
];

/// One row.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Row {
    /// Its line in the file, from 1.
    pub(super) line: u64,
    /// What it asks for.
    pub(super) request: CreatePaymentRequest,
}

/// Something in the file that is no payment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Bad {
    /// Where.
    pub(super) line: u64,
    /// What: names the column and, if it is no secret by mistake, the value.
    pub(super) what: String,
}

/// Why there is no batch.
#[derive(Debug, thiserror::Error)]
pub(super) enum FileError {
    #[error("{0}: {1}")]
    Io(String, std::io::Error),
    #[error("{0} is neither a .csv nor a .jsonl file")]
    Kind(String),
    #[error("{0} has more than {FILE_MAX_BYTES} bytes")]
    TooLarge(String),
    #[error("{} of the rows are no payments; nothing was sent", .0.len())]
    Rows(Vec<Bad>),
    #[error("{0} holds no payments")]
    Empty(String),
}

type Cells = BTreeMap<&'static str, String>;

/// A line and its cells by their columns, or what is wrong with it.
type Line = (u64, Result<Cells, String>);

/// All rows of the file, or everything that is wrong with it.
pub(super) fn read(path: &Path) -> Result<Vec<Row>, FileError> {
    let name = path.display().to_string();
    let io = |error| FileError::Io(name.clone(), error);
    let file = File::open(path).map_err(io)?;
    if file.metadata().map_err(io)?.len() > FILE_MAX_BYTES {
        return Err(FileError::TooLarge(name));
    }
    let file = file.take(FILE_MAX_BYTES);
    let read = match path.extension().and_then(|ext| ext.to_str()) {
        Some("csv") => csv_cells(file),
        Some("jsonl") => json_cells(BufReader::new(file)).map_err(io)?,
        _ => return Err(FileError::Kind(name)),
    };
    let mut bad = Vec::new();
    let mut rows = Vec::new();
    let mut first_of: HashMap<String, u64> = HashMap::new();
    for (line, cells) in read {
        match cells.and_then(|cells| request(&cells)) {
            Ok(request) => {
                let first = *first_of.entry(request.payment_id.clone()).or_insert(line);
                if first == line {
                    rows.push(Row { line, request });
                } else {
                    let what = format!(
                        "payment_id {} is that of line {first}, too",
                        request.payment_id
                    );
                    bad.push(Bad { line, what });
                }
            }
            Err(what) => bad.push(Bad { line, what }),
        }
    }
    if rows.len() > ROWS_MAX {
        let what = format!("there are more than {ROWS_MAX} rows; make several files of them");
        bad.push(Bad { line: 0, what });
    }
    match (bad.is_empty(), rows.is_empty()) {
        (false, _) => Err(FileError::Rows(bad)),
        (true, true) => Err(FileError::Empty(name)),
        (true, false) => Ok(rows),
    }
}

fn column(name: &str) -> Result<&'static str, String> {
    let found = COLUMNS.into_iter().find(|column| *column == name);
    found.ok_or_else(|| format!("{name:?} is no column; there are {}", COLUMNS.join(", ")))
}

fn csv_cells(file: impl std::io::Read) -> Vec<Line> {
    let mut reader = csv::ReaderBuilder::new()
        .trim(csv::Trim::All)
        .from_reader(file);
    let headings = match reader.headers() {
        Ok(headings) => headings.clone(),
        Err(error) => return vec![(1, Err(error.to_string()))],
    };
    let mut names = Vec::new();
    for heading in &headings {
        // Spreadsheets put a mark before the first one.
        match column(heading.trim_start_matches('\u{feff}')) {
            Ok(name) if names.contains(&name) => {
                return vec![(1, Err(format!("column {name} is there twice")))];
            }
            Ok(name) => names.push(name),
            Err(what) => return vec![(1, Err(what))],
        }
    }
    let mut rows = Vec::new();
    for record in reader.records() {
        match record {
            Ok(record) => {
                let line = record.position().map_or(0, csv::Position::line);
                let cells = names.iter().copied().zip(record.iter().map(str::to_owned));
                rows.push((
                    line,
                    Ok(cells.filter(|(_, cell)| !cell.is_empty()).collect()),
                ));
            }
            Err(error) => {
                let line = error.position().map_or(0, csv::Position::line);
                rows.push((line, Err(error.to_string())));
            }
        }
    }
    rows
}

fn json_cells(file: impl std::io::BufRead) -> Result<Vec<Line>, std::io::Error> {
    let mut rows = Vec::new();
    for (at, text) in file.lines().enumerate() {
        let text = text?;
        if !text.trim().is_empty() {
            let line = u64::try_from(at + 1).unwrap_or(u64::MAX);
            rows.push((line, object(&text)));
        }
    }
    Ok(rows)
}

fn object(text: &str) -> Result<Cells, String> {
    let value: Value = serde_json::from_str(text).map_err(|error| format!("no JSON: {error}"))?;
    let Value::Object(object) = value else {
        return Err("no JSON object".to_owned());
    };
    let mut cells = Cells::new();
    for (name, value) in object {
        let name = column(&name)?;
        let cell = match value {
            Value::Null => continue,
            Value::String(text) => text,
            // Whole numbers only: any other may have been rounded before it came here.
            Value::Number(number) if number.is_u64() => number.to_string(),
            _ => return Err(format!("{name} must be a string")),
        };
        cells.insert(name, cell);
    }
    Ok(cells)
}

fn request(cells: &Cells) -> Result<CreatePaymentRequest, String> {
    let get = |name: &'static str| cells.get(name).map(String::as_str);
    let need = |name: &'static str| get(name).ok_or_else(|| format!("{name} is missing"));
    let named = |name: &'static str, error: String| format!("{name}: {error}");
    let id = parse::payment_id(need("payment_id")?).map_err(|error| named("payment_id", error))?;
    let tag = get("destination_tag").map(|text| {
        let tag = text.parse::<u32>();
        tag.map_err(|_| {
            named(
                "destination_tag",
                format!("{text} is none of 0 to 4294967295"),
            )
        })
    });
    let retry_of = get("retry_of").map(|text| {
        let id = parse::payment_id(text);
        id.map_err(|error| named("retry_of", error))
    });
    let deadline = get("deadline").map(|text| {
        let time = Timestamp::from_str(text);
        time.map_err(|_| {
            named(
                "deadline",
                format!("{text} is no time such as 2026-11-24T12:00:00Z"),
            )
        })
    });
    let memo = get("memo").map(|text| Memo {
        data: text.as_bytes().to_vec(),
        ..Memo::default()
    });
    Ok(CreatePaymentRequest {
        payment_id: id,
        destination: need("destination")?.to_owned(),
        destination_tag: tag.transpose()?,
        amount: Some(amount(cells)?),
        pay_before: deadline.transpose()?,
        memos: memo.into_iter().collect(),
        retry_of: retry_of.transpose()?.unwrap_or_default(),
        validate_only: false,
    })
}

fn amount(cells: &Cells) -> Result<Amount, String> {
    let get = |name: &'static str| cells.get(name).map(String::as_str);
    let issued = (get("amount"), get("currency"), get("issuer"));
    match (get("xrp"), get("drops"), issued) {
        (Some(xrp), None, (None, None, None)) => parse::xrp(xrp)
            .map(Amount::XrpDrops)
            .map_err(|error| format!("xrp: {error}")),
        (None, Some(drops), (None, None, None)) => parse::drops(drops)
            .map(Amount::XrpDrops)
            .map_err(|error| format!("drops: {error}")),
        (None, None, (Some(value), Some(currency), Some(issuer))) => {
            Ok(Amount::Issued(IssuedAmount {
                value: parse::decimal(value).map_err(|error| format!("amount: {error}"))?,
                currency: parse::currency(currency)
                    .map_err(|error| format!("currency: {error}"))?,
                issuer: issuer.to_owned(),
            }))
        }
        _ => Err("give exactly one of xrp, drops, or amount with currency and issuer".to_owned()),
    }
}

/// What a batch comes to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Totals {
    pub(super) payments: usize,
    pub(super) destinations: usize,
    /// All XRP together.
    pub(super) drops: u128,
    /// Payments in each issued currency, by currency and issuer. Their sum is the gateway's to make: it knows their arithmetic.
    pub(super) issued: BTreeMap<(String, String), usize>,
}

impl Totals {
    pub(super) fn of(rows: &[Row]) -> Self {
        let mut totals = Self {
            payments: rows.len(),
            ..Self::default()
        };
        let mut destinations = BTreeSet::new();
        for row in rows {
            destinations.insert((&row.request.destination, row.request.destination_tag));
            match &row.request.amount {
                Some(Amount::XrpDrops(drops)) => totals.drops += u128::from(*drops),
                Some(Amount::Issued(issued)) => {
                    let asset = (issued.currency.clone(), issued.issuer.clone());
                    *totals.issued.entry(asset).or_default() += 1;
                }
                None => {}
            }
        }
        totals.destinations = destinations.len();
        totals
    }

    /// In words.
    pub(super) fn text(&self) -> String {
        let xrp = match u64::try_from(self.drops) {
            Ok(drops) if drops <= MAX_DROPS => xrp_from_drops(drops),
            _ => format!("{} drops, more than exist", self.drops),
        };
        let mut text = format!(
            "{} payments to {} destinations, {xrp} XRP",
            self.payments, self.destinations
        );
        for ((currency, issuer), count) in &self.issued {
            let name = paygate_client::currency_name(currency).unwrap_or_else(|| currency.clone());
            text.push_str(&format!(", {count} payments of {name} ({issuer})"));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    const TO: &str = "rPT1Sjq2YGrBMTttX4GZHjKu9dyfzbpAYe";

    fn file(ext: &str, text: &str) -> tempfile::TempPath {
        let mut file = tempfile::Builder::new().suffix(ext).tempfile().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        file.into_temp_path()
    }

    fn bad(ext: &str, text: &str) -> Vec<(u64, String)> {
        match read(&file(ext, text)) {
            Err(FileError::Rows(bad)) => bad.into_iter().map(|bad| (bad.line, bad.what)).collect(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_csv_and_a_jsonl_of_the_same_rows_are_the_same_batch() {
        let csv = format!(
            "\u{feff}payment_id,destination,destination_tag,xrp,memo,amount,currency,issuer\n\
             a-1,{TO},0,2.5,\"rent, November\",,,\n\
             a-2 , {TO},,,,12.5,RLUSD,{TO}\n"
        );
        let jsonl = format!(
            "{{\"payment_id\":\"a-1\",\"destination\":\"{TO}\",\"destination_tag\":0,\"drops\":2500000,\"memo\":\"rent, November\"}}\n\n\
             {{\"payment_id\":\"a-2\",\"destination\":\"{TO}\",\"amount\":\"12.5\",\"currency\":\"RLUSD\",\"issuer\":\"{TO}\",\"memo\":null}}\n"
        );
        let (csv, jsonl) = (
            read(&file(".csv", &csv)).unwrap(),
            read(&file(".jsonl", &jsonl)).unwrap(),
        );
        let requests = |rows: &[Row]| {
            rows.iter()
                .map(|row| row.request.clone())
                .collect::<Vec<_>>()
        };
        assert_eq!(requests(&csv), requests(&jsonl));
        assert_eq!(csv[0].request.destination_tag, Some(0));
        assert_eq!((csv[0].line, csv[1].line), (2, 3));
        assert_eq!((jsonl[0].line, jsonl[1].line), (1, 3));
        let totals = Totals::of(&csv).text();
        assert!(
            totals.starts_with("2 payments to 2 destinations, 2.5 XRP, 1 payments of RLUSD"),
            "{totals}"
        );
    }

    #[test]
    fn every_bad_row_is_named_and_there_is_no_batch() {
        let text = format!(
            "payment_id,destination,xrp,drops\n\
             a,{TO},1,\n\
             b,{TO},1.0000001,\n\
             c,{TO},1,5\n\
             ,{TO},1,\n\
             a,{TO},1,\n\
             d,,1,\n\
             e,{TO},,-4\n\
             f,{TO}\n"
        );
        let bad = bad(".csv", &text);
        let lines: Vec<u64> = bad.iter().map(|(line, _)| *line).collect();
        assert_eq!(lines, [3, 4, 5, 6, 7, 8, 9], "{bad:?}");
        let said = |at: usize, words: &str| assert!(bad[at].1.contains(words), "{bad:?}");
        said(0, "xrp: 1.0000001 has more than 6 decimals");
        said(1, "exactly one of xrp, drops");
        said(2, "payment_id is missing");
        said(3, "payment_id a is that of line 2, too");
        said(4, "destination is missing");
        said(5, "drops: -4 is no number");
        said(6, "fields");
    }

    #[test]
    fn a_number_that_may_have_been_rounded_is_refused() {
        let text = format!("{{\"payment_id\":\"a\",\"destination\":\"{TO}\",\"xrp\":0.1}}\n");
        assert_eq!(
            bad(".jsonl", &text),
            [(1, "xrp must be a string".to_owned())]
        );
        let text = "{\"payment_id\":\"a\",\"amout\":\"1\"}\nno\n[]\n";
        let bad = bad(".jsonl", text);
        assert!(bad[0].1.starts_with("\"amout\" is no column"), "{bad:?}");
        assert!(
            bad[1].1.starts_with("no JSON") && bad[2].1 == "no JSON object",
            "{bad:?}"
        );
    }

    #[test]
    fn a_column_that_nobody_knows_or_that_comes_twice_is_no_batch() {
        assert!(
            bad(".csv", "payment_id,to\na,b\n")[0]
                .1
                .contains("\"to\" is no column")
        );
        assert!(bad(".csv", "xrp,xrp\n1,2\n")[0].1.contains("twice"));
        let (empty, other) = (
            file(".csv", "payment_id,destination,xrp\n"),
            file(".xls", ""),
        );
        assert!(matches!(read(&empty), Err(FileError::Empty(_))));
        assert!(matches!(read(&other), Err(FileError::Kind(_))));
    }
}
