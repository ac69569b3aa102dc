//! The terminal: questions, answers that are not shown, a screen that goes away.
//!
//! Owns that what is typed hidden is nowhere but in the buffer that is returned, and that the terminal is as it was, however the
//! conversation ends. May not: work without a terminal on both sides; a seed does not belong in a file or a pipe.

use std::io::{self, IsTerminal as _, Write as _};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use zeroize::Zeroizing;

const CTRL_C: u8 = 3;
const CTRL_D: u8 = 4;
const BACKSPACE: u8 = 8;
const CTRL_U: u8 = 21;
const DELETE: u8 = 127;

/// The other screen of a terminal, and back: what was on it is in no scroll-back.
const OTHER_SCREEN: &str = "\x1b[?1049h\x1b[H\x1b[2J";
const FIRST_SCREEN: &str = "\x1b[2J\x1b[H\x1b[?1049l";

/// Why there is no conversation.
#[derive(Debug, thiserror::Error)]
pub enum TerminalError {
    /// Nobody to talk to.
    #[error("this needs a terminal: standard input and standard output must be one")]
    None,
    /// He has left.
    #[error("aborted; nothing was written")]
    Aborted,
    /// More than anybody types.
    #[error("more than {0} bytes were typed")]
    TooLong(usize),
    /// It failed.
    #[error("the terminal failed: {0}")]
    Io(#[from] io::Error),
}

/// A person at a terminal.
#[derive(Debug)]
pub(super) struct Terminal(());

/// The terminal's other screen, while it lasts.
pub(super) struct OtherScreen<'a>(&'a Terminal);

/// Keys come one by one, unseen, until it is dropped.
struct Unseen(Termios);

impl Terminal {
    pub(super) fn open() -> Result<Terminal, TerminalError> {
        if io::stdin().is_terminal() && io::stdout().is_terminal() {
            Ok(Terminal(()))
        } else {
            Err(TerminalError::None)
        }
    }

    pub(super) fn say(&self, text: &str) -> Result<(), TerminalError> {
        Ok(print(text)?)
    }

    /// A line that is seen while it is typed.
    pub(super) fn line(
        &self,
        question: &str,
        bytes_max: usize,
    ) -> Result<Zeroizing<Vec<u8>>, TerminalError> {
        self.say(question)?;
        let mut line = Zeroizing::new(Vec::with_capacity(bytes_max));
        loop {
            match key()? {
                b'\n' => return Ok(line),
                byte => push(&mut line, byte, bytes_max)?,
            }
        }
    }

    /// A line that is not shown.
    pub(super) fn hidden(
        &self,
        question: &str,
        bytes_max: usize,
    ) -> Result<Zeroizing<Vec<u8>>, TerminalError> {
        let unseen = Unseen::begin()?;
        // After the echo is off, so that whoever answers fast is not seen either.
        self.say(question)?;
        // With all its room from the beginning: a vector that grows leaves copies behind.
        let mut line = Zeroizing::new(Vec::with_capacity(bytes_max));
        let read = loop {
            match key() {
                Ok(b'\n' | b'\r') => break Ok(()),
                Ok(CTRL_C | CTRL_D) => break Err(TerminalError::Aborted),
                Ok(BACKSPACE | DELETE) => {
                    line.pop();
                }
                Ok(CTRL_U) => line.clear(),
                Ok(byte) => {
                    if let Err(error) = push(&mut line, byte, bytes_max) {
                        break Err(error);
                    }
                }
                Err(error) => break Err(error),
            }
        };
        drop(unseen);
        self.say("\n")?;
        read.map(|()| line)
    }

    pub(super) fn other_screen(&self) -> Result<OtherScreen<'_>, TerminalError> {
        self.say(OTHER_SCREEN)?;
        Ok(OtherScreen(self))
    }
}

impl OtherScreen<'_> {
    pub(super) fn say(&self, text: &str) -> Result<(), TerminalError> {
        self.0.say(text)
    }

    pub(super) fn hidden(
        &self,
        question: &str,
        bytes_max: usize,
    ) -> Result<Zeroizing<Vec<u8>>, TerminalError> {
        self.0.hidden(question, bytes_max)
    }
}

impl Drop for OtherScreen<'_> {
    fn drop(&mut self) {
        // A terminal that is gone shows nothing any more.
        let _ = print(FIRST_SCREEN);
    }
}

impl Unseen {
    fn begin() -> Result<Unseen, TerminalError> {
        let before = tcgetattr(io::stdin()).map_err(io::Error::from)?;
        let mut modes = before.clone();
        // Without signals: a key that ends the process would leave the terminal blind.
        modes.local_modes -= LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG;
        tcsetattr(io::stdin(), OptionalActions::Flush, &modes).map_err(io::Error::from)?;
        Ok(Unseen(before))
    }
}

impl Drop for Unseen {
    fn drop(&mut self) {
        // A terminal that is gone needs nothing any more.
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.0);
    }
}

/// Writes all of it, at once.
pub(super) fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// The next byte, past any buffer that would keep a copy.
fn key() -> Result<u8, TerminalError> {
    let mut byte = [0];
    loop {
        match rustix::io::read(io::stdin(), &mut byte) {
            Ok(0) => return Err(TerminalError::Aborted),
            Ok(_) => return Ok(byte[0]),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(io::Error::from(error).into()),
        }
    }
}

fn push(line: &mut Vec<u8>, byte: u8, bytes_max: usize) -> Result<(), TerminalError> {
    if line.len() == bytes_max {
        return Err(TerminalError::TooLong(bytes_max));
    }
    line.push(byte);
    Ok(())
}
