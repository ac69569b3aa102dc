//! The protections, from the inside of a process that has them: on the main thread, on a runtime's worker, on a thread
//! that may block. Runs itself again as that process, since a test must not confine its own runner.

#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)]

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpStream, UdpSocket};
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use paygate_signer::hardening::{Protection, confine};

const INSIDE: &str = "PAYGATE_TEST_INSIDE_OF_SANDBOX";

fn main() {
    match std::env::var_os(INSIDE) {
        Some(directory) => inside(Path::new(&directory)),
        None => outside(),
    }
}

fn outside() {
    let directory = tempfile::tempdir().unwrap();
    let journal = directory.path().join("journal");
    std::fs::DirBuilder::new()
        .mode(0o700)
        .create(&journal)
        .unwrap();
    File::create(directory.path().join("secret")).unwrap();
    let _listener = UnixListener::bind(directory.path().join("other.sock")).unwrap();

    let mut child = Command::new(std::env::current_exe().unwrap())
        .env(INSIDE, directory.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut failed = Vec::new();
    let mut tried = 0;
    for line in lines
        .by_ref()
        .map(Result::unwrap)
        .take_while(|line| line != "ready")
    {
        println!("{line}");
        tried += 1;
        if !line.ends_with(" as it must be") {
            failed.push(line);
        }
    }
    let threads = threads(child.id());
    drop(child.stdin.take());
    assert!(
        child.wait().unwrap().success(),
        "the confined process failed"
    );
    assert!(failed.is_empty(), "{failed:?}");
    assert_eq!(
        tried,
        1 + 3 * TRIALS.len(),
        "every trial ran on every kind of thread"
    );
    assert!(
        threads.len() >= 4,
        "main, workers and a blocking thread: {threads:?}"
    );
    for (name, status) in &threads {
        assert!(has(status, "Seccomp:", "2"), "thread {name}: {status}");
        assert!(has(status, "NoNewPrivs:", "1"), "thread {name}: {status}");
    }
    println!(
        "{} threads, all with Seccomp 2 and NoNewPrivs 1",
        threads.len()
    );
}

fn threads(pid: u32) -> Vec<(String, String)> {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    tasks
        .map(|task| task.unwrap().path())
        .map(|path| {
            (
                path.display().to_string(),
                std::fs::read_to_string(path.join("status")).unwrap(),
            )
        })
        .collect()
}

fn has(status: &str, name: &str, value: &str) -> bool {
    status
        .lines()
        .any(|line| line.split_whitespace().eq([name, value]))
}

/// What is tried, by name; each answers the error that it got.
type Trial = (
    &'static str,
    fn(&Path) -> Option<std::io::Error>,
    &'static [i32],
);

const TRIALS: &[Trial] = &[
    (
        "opening an inet socket",
        |_| UdpSocket::bind("127.0.0.1:0").err(),
        &[libc::EPERM],
    ),
    (
        "connecting over TCP",
        |_| TcpStream::connect("127.0.0.1:9").err(),
        &[libc::EPERM],
    ),
    (
        "connecting to a Unix socket",
        |directory| UnixStream::connect(directory.join("other.sock")).err(),
        &[libc::EPERM],
    ),
    (
        "connecting a pair",
        |directory| {
            UnixDatagram::pair()
                .and_then(|pair| pair.0.connect(directory.join("other.sock")))
                .err()
        },
        &[libc::EPERM],
    ),
    (
        "listening",
        |directory| UnixListener::bind(directory.join("journal/new.sock")).err(),
        &[libc::EPERM],
    ),
    (
        "executing",
        |_| {
            Command::new("/bin/true")
                .spawn()
                .and_then(|mut child| child.wait())
                .err()
        },
        &[libc::EPERM],
    ),
    (
        "reading /etc/passwd",
        |_| File::open("/etc/passwd").err(),
        &[libc::EACCES],
    ),
    (
        "reading a file outside",
        |directory| File::open(directory.join("secret")).err(),
        &[libc::EACCES],
    ),
    (
        "reading its environment",
        |_| File::open("/proc/self/environ").err(),
        &[libc::EACCES],
    ),
    (
        "listing a directory",
        |_| std::fs::read_dir("/").err(),
        &[libc::EACCES],
    ),
    (
        "creating a file outside",
        |directory| File::create(directory.join("new")).err(),
        &[libc::EACCES],
    ),
];

fn try_all(thread: &str, directory: &Path) {
    for (what, attempt, expected) in TRIALS {
        match attempt(directory).and_then(|error| error.raw_os_error()) {
            Some(code) if expected.contains(&code) => {
                println!("{thread}: {what} is refused as it must be")
            }
            other => println!("{thread}: {what} answered {other:?}"),
        }
    }
}

fn inside(directory: &Path) {
    let journal = directory.join("journal");
    let report = confine(&journal);
    for protection in Protection::ALL {
        assert!(report.holds(protection), "{:?}", report.failures());
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    try_all("main", directory);
    let on_worker: PathBuf = directory.to_path_buf();
    let on_blocking = on_worker.clone();
    runtime.block_on(async {
        tokio::spawn(async move { try_all("worker", &on_worker) })
            .await
            .unwrap();
        tokio::task::spawn_blocking(move || try_all("blocking", &on_blocking))
            .await
            .unwrap();
    });

    // What the journal needs still works.
    std::fs::write(journal.join("HEAD.new"), b"x").unwrap();
    std::fs::rename(journal.join("HEAD.new"), journal.join("HEAD")).unwrap();
    File::options()
        .write(true)
        .open(journal.join("HEAD"))
        .unwrap()
        .set_len(0)
        .unwrap();
    println!("the journal's directory can be written as it must be");
    println!("ready");
    std::io::stdout().flush().unwrap();
    let mut end = String::new();
    let _ = std::io::stdin().read_line(&mut end);
}
