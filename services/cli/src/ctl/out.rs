//! Where words go, and how they look.
//!
//! Owns: standard output and error, colours, tables, and that text from elsewhere cannot steer a terminal. May not: panic because
//! nobody reads.

use std::fmt::Display;
use std::io::{self, IsTerminal as _, Write as _};

use serde_json::Value;

use super::args::Format;

/// What a piece of text means, and so its colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tone {
    Good,
    Bad,
    Open,
    Dim,
    Plain,
}

/// Standard output, as it was asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Out {
    pub(crate) format: Format,
    pub(crate) colour: bool,
}

/// Nobody reads what is printed, or it cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write the result: {0}")]
pub(crate) struct WriteError(#[from] pub(crate) io::Error);

impl Out {
    /// Colours only on a terminal that has them, and never with NO_COLOR (<https://no-color.org>).
    pub(crate) fn new(format: Format) -> Out {
        let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        Out {
            format,
            colour: io::stdout().is_terminal() && !set("NO_COLOR") && !dumb,
        }
    }

    pub(crate) fn is_json(self) -> bool {
        self.format == Format::Json
    }

    /// One result.
    pub(crate) fn result(
        self,
        text: impl FnOnce() -> String,
        json: impl FnOnce() -> Value,
    ) -> Result<(), WriteError> {
        match self.format {
            Format::Text => print(&text()),
            Format::Json => print(&format!("{}\n", json())),
        }
    }

    /// Clean, and coloured if that is wanted.
    pub(crate) fn paint(self, tone: Tone, text: &str) -> String {
        let text = clean(text);
        let code = match tone {
            Tone::Good => "32",
            Tone::Bad => "31",
            Tone::Open => "33",
            Tone::Dim => "2",
            Tone::Plain => return text,
        };
        if self.colour {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text
        }
    }
}

/// Standard output, as it stands.
pub(crate) fn print(text: &str) -> Result<(), WriteError> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    Ok(stdout.flush()?)
}

/// A line on standard error. Nothing is to be done if nobody reads it.
pub(crate) fn note(line: impl Display) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}

/// Text from elsewhere, without what would steer a terminal or reorder what it shows.
pub(crate) fn clean(text: &str) -> String {
    let steers = |letter: char| {
        letter.is_control()
            || matches!(letter, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars()
        .flat_map(|letter| {
            let escaped = steers(letter).then(|| letter.escape_unicode());
            let kept = escaped.is_none().then_some(letter);
            escaped.into_iter().flatten().chain(kept)
        })
        .collect()
}

/// `  name          value` lines, aligned; those without a value are left out.
pub(crate) fn fields(rows: &[(&str, String)]) -> String {
    let rows = rows.iter().filter(|(_, value)| !value.is_empty());
    rows.map(|(name, value)| format!("  {name:<15} {value}\n"))
        .collect()
}

/// A column: its heading and whether it holds numbers.
pub(crate) struct Column {
    pub(crate) heading: &'static str,
    pub(crate) right: bool,
}

/// Columns as wide as they must be. The last one is not padded.
pub(crate) fn table(out: Out, columns: &[Column], rows: &[Vec<(Tone, String)>]) -> String {
    let rows: Vec<Vec<(Tone, String)>> = rows
        .iter()
        .map(|row| {
            row.iter()
                .map(|(tone, text)| (*tone, clean(text)))
                .collect()
        })
        .collect();
    let widths: Vec<usize> = columns
        .iter()
        .enumerate()
        .map(|(index, column)| {
            let cells = rows
                .iter()
                .filter_map(|row| row.get(index))
                .map(|(_, text)| text.chars().count());
            cells
                .chain([column.heading.len()])
                .max()
                .unwrap_or_default()
        })
        .collect();
    let headings = columns
        .iter()
        .map(|column| (Tone::Dim, column.heading.to_owned()))
        .collect();
    let mut text = String::new();
    for row in std::iter::once(&headings).chain(&rows) {
        let cells = row.iter().zip(columns).zip(&widths).enumerate().map(
            |(index, (((tone, cell), column), width))| {
                let gap = " ".repeat(width - cell.chars().count());
                let cell = out.paint(*tone, cell);
                match (column.right, index + 1 == columns.len()) {
                    (true, _) => format!("{gap}{cell}"),
                    (false, true) => cell,
                    (false, false) => format!("{cell}{gap}"),
                }
            },
        );
        let line = cells.collect::<Vec<_>>().join("  ");
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
pub(crate) const PLAIN: Out = Out {
    format: Format::Text,
    colour: false,
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_from_elsewhere_cannot_steer_the_terminal() {
        assert_eq!(clean("grüße, 東京"), "grüße, 東京");
        assert_eq!(
            clean("a\x1b[2Jb\nc\u{202e}d\u{9b}"),
            "a\\u{1b}[2Jb\\u{a}c\\u{202e}d\\u{9b}"
        );
        let colour = Out {
            colour: true,
            ..PLAIN
        };
        assert_eq!(
            colour.paint(Tone::Good, "\x1b[31mPAID"),
            "\x1b[32m\\u{1b}[31mPAID\x1b[0m"
        );
        assert_eq!(PLAIN.paint(Tone::Good, "PAID"), "PAID");
    }

    #[test]
    fn a_table_is_aligned() {
        let columns = [("NAME", false), ("AMOUNT", true), ("NOTE", false)]
            .map(|(heading, right)| Column { heading, right });
        let row = |cells: [&str; 3]| cells.map(|cell| (Tone::Plain, cell.to_owned())).to_vec();
        let text = table(
            PLAIN,
            &columns,
            &[row(["a", "25", "x"]), row(["longer", "2.5", ""])],
        );
        assert_eq!(
            text,
            "NAME    AMOUNT  NOTE\na           25  x\nlonger     2.5\n"
        );
    }
}
