//! What the benches of real processes share: what a process has used and has taken.
//!
//! Owns: reading `/proc`. May not: start or end a process.

/// Processor time that a process has used, user and system, in microseconds.
pub(crate) fn processor_us(pid: u32) -> f64 {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    tasks
        // A thread may end while we look; what it used is small, as the busy ones live as long as the process.
        .filter_map(|task| std::fs::read_to_string(task.unwrap().path().join("schedstat")).ok())
        .map(|schedstat| schedstat.split(' ').next().unwrap().parse::<f64>().unwrap() / 1000.0)
        .sum()
}

/// Memory that a process has taken, in MiB.
pub(crate) fn resident_mib(pid: u32) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .unwrap();
    let kib: f64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kib / 1024.0
}
