//! What is on this machine's disks: certificates, tokens, the database, its copies, and the room for them.
//!
//! Owns: dates, modes, ages, free space. May not: write a file, or show what is in one.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::{Finding, Item};
use crate::api::access::Access;
use crate::backup;
use crate::clock::{self, Millis};
use crate::config::Config;
use crate::store::copy;
use crate::tls::Tls;

const ACCESS: Item = Item {
    name: "access-files",
    to_do: "put files in place that can be read, keys and tokens of mode 0400 or 0600 (proto/access.md)",
};
const CERTIFICATES: Item = Item {
    name: "certificate-dates",
    to_do: "have the certificate issued anew: runbooks/CertificateExpiring.md",
};
const MODES: Item = Item {
    name: "file-modes",
    to_do: "chmod 0600 the file (0700 a folder), owned by the gateway's user; nobody else reads amounts or writes the configuration",
};
const STORE: Item = Item {
    name: "store",
    to_do: "make the folder, owned by the gateway's user; or name the database of this wallet",
};
const BACKUP: Item = Item {
    name: "backup-age",
    to_do: "set backup.dir, let deploy/systemd/paygate-backup.timer run: runbooks/BackupTooOld.md",
};
const DISK: Item = Item {
    name: "disk-free",
    to_do: "free some space, or use another disk: runbooks/StoreFailing.md",
};

pub(super) const ITEMS: [Item; 6] = [ACCESS, CERTIFICATES, MODES, STORE, BACKUP, DISK];

/// As the alert CertificateExpiring.
const CERTIFICATE_DAYS_MIN: u64 = 14;

/// As the alert BackupTooOld.
const BACKUP_HOURS_MAX: u64 = 26;

/// A million payments take less, with their log and a copy being made.
const FREE_MIB_MIN: u64 = 1024;

const DAY_SECONDS: u64 = 24 * 3600;

/// Bits of a mode that let others read or do more; and that let them write.
const OTHERS: u32 = 0o077;
const OTHERS_WRITE: u32 = 0o022;

pub(super) fn check(config: &Config) -> Vec<Finding> {
    let now = clock::now().since(Millis::ZERO).as_secs();
    let store = store(config);
    let folder = config.store.path.parent().unwrap_or(Path::new("."));
    let mut found = vec![access(config)];
    found.extend(certificates(config, now));
    found.push(modes(config));
    found.push(store);
    found.push(backups(config, now));
    found.push(disk("store.path", folder));
    if let Some(folder) = &config.backup.dir {
        found.push(disk("backup.dir", folder));
    }
    found
}

fn access(config: &Config) -> Finding {
    match Access::check_files(config) {
        Ok(()) => ACCESS.passed("certificates, key, revocation list and tokens can be used"),
        Err(error) => ACCESS.failed(error),
    }
}

fn certificates(config: &Config, now: u64) -> Vec<Finding> {
    match Tls::open(&config.tls) {
        // Said by `access`: which file, and why.
        Err(_) => Vec::new(),
        Ok(None) => vec![
            CERTIFICATES.warns("tls.cert_file is not set: without TLS only this host can call"),
        ],
        Ok(Some(tls)) => tls
            .expiries()
            .into_iter()
            .map(|(file, at)| certificate(file, at, now))
            .collect(),
    }
}

fn certificate(file: &str, at: u64, now: u64) -> Finding {
    let days = at.saturating_sub(now) / DAY_SECONDS;
    match (at <= now, days < CERTIFICATE_DAYS_MIN) {
        (true, _) => CERTIFICATES.failed(format_args!("tls.{file} is not valid any more")),
        (false, true) => CERTIFICATES.failed(format_args!(
            "tls.{file} ends in {days} days, fewer than {CERTIFICATE_DAYS_MIN}"
        )),
        (false, false) => CERTIFICATES.passed(format_args!("tls.{file} ends in {days} days")),
    }
}

fn modes(config: &Config) -> Finding {
    let log = |suffix: &str| {
        let mut name = config.store.path.as_os_str().to_owned();
        name.push(suffix);
        PathBuf::from(name)
    };
    let private = [
        Some(config.store.path.clone()),
        Some(log("-wal")),
        config.backup.dir.clone(),
        config.tls.key_file.clone(),
    ];
    let private = private.into_iter().flatten().map(|path| (path, OTHERS));
    let unwritable = [
        &config.tls.cert_file,
        &config.tls.client_ca_file,
        &config.tls.crl_file,
        &config.security.tokens_file,
    ];
    let unwritable = unwritable
        .into_iter()
        .flatten()
        .map(|path| (path.clone(), OTHERS_WRITE));
    let wrong = |(path, bits): (PathBuf, u32)| {
        // What is not there yet is made with the right mode, or is told by another item.
        let mode = std::fs::metadata(&path).ok()?.mode() & 0o7777;
        let what = if bits == OTHERS { "read" } else { "write" };
        (mode & bits != 0).then(|| {
            format!(
                "{} has mode {mode:04o}: others can {what} it",
                path.display()
            )
        })
    };
    let wrong: Vec<String> = private.chain(unwritable).filter_map(wrong).collect();
    match wrong.is_empty() {
        true => MODES.passed("database, copies and key are this user's alone; nobody else writes certificates or tokens"),
        false => MODES.failed(wrong.join("; ")),
    }
}

fn store(config: &Config) -> Finding {
    let path = &config.store.path;
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    if !folder.is_dir() {
        return STORE.failed(format_args!("{} is no folder", folder.display()));
    }
    if !path.exists() {
        return STORE.passed(format_args!(
            "{} will be made by the first start",
            path.display()
        ));
    }
    match copy::peek(path) {
        Err(error) => STORE.failed(error),
        Ok(facts) => {
            let wallet = &config.wallet;
            let told = format!(
                "{} serves {} on network {}, schema {}, {} payments",
                path.display(),
                facts.account.to_address(),
                facts.network_id,
                facts.schema,
                facts.payments
            );
            match (facts.account, facts.network_id) == (wallet.address.0, wallet.network_id) {
                true => STORE.passed(told),
                false => STORE.failed(format_args!(
                    "{told}; configured is {} on network {}",
                    wallet.address.0.to_address(),
                    wallet.network_id
                )),
            }
        }
    }
}

fn backups(config: &Config, now: u64) -> Finding {
    let Some(folder) = &config.backup.dir else {
        return BACKUP.failed("backup.dir is not set");
    };
    if !config.store.path.exists() {
        return BACKUP.warns("there is no database yet, so nothing was copied");
    }
    match backup::newest(folder, config.wallet.address.0, config.wallet.network_id) {
        None => BACKUP.failed(format_args!(
            "{} holds no whole copy of this wallet's database",
            folder.display()
        )),
        Some((file, manifest)) => {
            let hours = now.saturating_sub(manifest.made_at_unix) / 3600;
            let told = format!("{} is {hours} hours old", file.display());
            match hours >= BACKUP_HOURS_MAX {
                true => BACKUP.failed(format_args!("{told}, {BACKUP_HOURS_MAX} are too many")),
                false => BACKUP.passed(told),
            }
        }
    }
}

fn disk(key: &str, folder: &Path) -> Finding {
    match rustix::fs::statvfs(folder) {
        Err(error) => DISK.failed(format_args!("{key}: {}: {error}", folder.display())),
        Ok(found) => {
            let mib = found.f_bavail.saturating_mul(found.f_frsize) / (1024 * 1024);
            let told = format!("{key}: {mib} MiB are free in {}", folder.display());
            match mib < FREE_MIB_MIN {
                true => DISK.failed(format_args!("{told}, {FREE_MIB_MIN} are needed")),
                false => DISK.passed(told),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Status;
    use super::*;

    #[test]
    fn a_certificate_is_judged_as_its_alert_does() {
        let now = 1_000 * DAY_SECONDS;
        let status = |days: u64| certificate("cert_file", days * DAY_SECONDS, now).status;
        assert_eq!(status(999), Status::Failed);
        assert_eq!(status(1_013), Status::Failed);
        assert_eq!(status(1_014), Status::Passed);
    }
}
