//! One real process: started, watched, killed, and never left behind.
//!
//! Owns: the child, its log files, its ready line, and a guard that kills it should its parent be killed. May not: know
//! which program it is.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// How often a condition is looked at again: small against a ledger, large against a system call.
const POLL: Duration = Duration::from_millis(5);

/// Bytes of a log that are shown when something failed: enough for the last dozens of lines.
const TAIL_BYTES: usize = 6_000;

/// Which of the three processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// `paygate`.
    Gateway,
    /// `paygate-signer`.
    Signer,
    /// `xrpl-sim`.
    Ledger,
}

impl Role {
    /// What a person calls it; its log is named so as well.
    pub fn name(self) -> &'static str {
        match self {
            Role::Gateway => "gateway",
            Role::Signer => "signer",
            Role::Ledger => "ledger",
        }
    }
}

/// What to start and where its words go.
#[derive(Clone, Debug)]
pub struct Launch {
    /// What a person calls it: `gateway`, `signer`, `ledger`.
    pub name: &'static str,
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// Its whole environment beside `PATH`.
    pub environment: Vec<(String, String)>,
    /// Where its logs are kept.
    pub logs: PathBuf,
}

/// Why a process is not what it should be.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// The system says no.
    #[error("cannot start {name}: {source}")]
    Spawn {
        /// Which.
        name: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It ended before it was ready.
    #[error("{name} ended with {status} before it was ready; its log ends:\n{tail}")]
    Ended {
        /// Which.
        name: &'static str,
        /// How.
        status: ExitStatus,
        /// Its last words.
        tail: String,
    },
    /// It was not ready in time.
    #[error("{name} was not ready within {} s; its log ends:\n{tail}", within.as_secs())]
    NotReady {
        /// Which.
        name: &'static str,
        /// How long it had.
        within: Duration,
        /// Its last words.
        tail: String,
    },
    /// It did not end in time.
    #[error("{name} still ran {} s after it was asked to end; its log ends:\n{tail}", within.as_secs())]
    StillRunning {
        /// Which.
        name: &'static str,
        /// How long it had.
        within: Duration,
        /// Its last words.
        tail: String,
    },
    /// Its first line is no JSON.
    #[error("{name} printed {line:?} instead of its ready line")]
    ReadyLine {
        /// Which.
        name: &'static str,
        /// What it printed.
        line: String,
    },
}

/// A running process. Killed and reaped when dropped.
#[derive(Debug)]
pub struct Process {
    name: &'static str,
    child: Child,
    guard: Child,
    log: PathBuf,
}

// === impl Launch ===

impl Launch {
    /// The file that takes its standard error, over all its lives.
    pub fn log(&self) -> PathBuf {
        self.logs.join(format!("{}.log", self.name))
    }

    /// The file that takes its standard output, of its latest life.
    fn output(&self) -> PathBuf {
        self.logs.join(format!("{}.out", self.name))
    }

    /// Starts it and waits for its ready line.
    pub async fn start(&self, within: Duration) -> Result<(Process, Value), ProcessError> {
        let mut process = self.spawn().map_err(|source| ProcessError::Spawn {
            name: self.name,
            source,
        })?;
        let deadline = Instant::now() + within;
        loop {
            if let Some(line) = first_line(&self.output()) {
                let ready = serde_json::from_str(&line);
                return match ready {
                    Ok(ready) => Ok((process, ready)),
                    Err(_) => Err(ProcessError::ReadyLine {
                        name: self.name,
                        line,
                    }),
                };
            }
            if let Some(status) = process.ended() {
                return Err(ProcessError::Ended {
                    name: self.name,
                    status,
                    tail: tail(&process.log),
                });
            }
            if Instant::now() > deadline {
                return Err(ProcessError::NotReady {
                    name: self.name,
                    within,
                    tail: tail(&process.log),
                });
            }
            tokio::time::sleep(POLL).await;
        }
    }

    fn spawn(&self) -> io::Result<Process> {
        let log = self.log();
        let errors = OpenOptions::new().create(true).append(true).open(&log)?;
        let mut command = Command::new(&self.program);
        command
            .args(&self.arguments)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .envs(self.environment.iter().map(|(key, value)| (key, value)))
            .stdin(Stdio::null())
            .stdout(File::create(self.output())?)
            .stderr(errors);
        // Ctrl-C at a terminal reaches only the parent, which then ends its children in order.
        let mut child = command.process_group(0).spawn()?;
        match guard(child.id()) {
            Ok(guard) => Ok(Process {
                name: self.name,
                child,
                guard,
                log,
            }),
            Err(error) => {
                let _ = child.kill();
                let _ = child.wait();
                Err(error)
            }
        }
    }
}

// === impl Process ===

impl Process {
    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// How it ended; None while it runs.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child
            .try_wait()
            .expect("a child of this process can be waited for")
    }

    /// `kill -9`, and gone when this returns.
    pub fn kill(mut self) {
        self.end();
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id())
            .ok()
            .and_then(Pid::from_raw)
            .expect("a child has a process id");
        // An error means that it has ended, which the caller sees when it waits.
        let _ = kill_process(pid, signal);
    }

    /// SIGTERM, and waits for its end.
    pub async fn terminate(mut self, within: Duration) -> Result<ExitStatus, ProcessError> {
        self.signal(Signal::TERM);
        let deadline = Instant::now() + within;
        loop {
            if let Some(status) = self.ended() {
                return Ok(status);
            }
            if Instant::now() > deadline {
                return Err(ProcessError::StillRunning {
                    name: self.name,
                    within,
                    tail: tail(&self.log),
                });
            }
            tokio::time::sleep(POLL).await;
        }
    }

    fn end(&mut self) {
        // It may have ended by itself already: then there is nothing to kill, only to reap.
        let _ = self.child.kill();
        let _ = self.child.wait();
        // A line tells the guard that there is nothing left to kill.
        if let Some(mut line) = self.guard.stdin.take() {
            let _ = line.write_all(b"ended\n");
        }
        let _ = self.guard.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
    }
}

/// A shell that waits for a line, and kills the process if its parent is gone instead, however that ended.
fn guard(pid: u32) -> io::Result<Child> {
    Command::new("/bin/sh")
        .args([
            "-c",
            "read -r ended || kill -9 \"$1\"",
            "guard",
            &pid.to_string(),
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
}

/// The end of a log.
pub fn tail(path: &Path) -> String {
    let bytes = std::fs::read(path).unwrap_or_default();
    let start = bytes.len().saturating_sub(TAIL_BYTES);
    String::from_utf8_lossy(&bytes[start..]).into_owned()
}

/// The first line, once it is complete.
fn first_line(path: &Path) -> Option<String> {
    let text = std::fs::read_to_string(path).ok()?;
    let (line, _) = text.split_once('\n')?;
    Some(line.to_owned())
}
