//! Whether a throwaway server may keep its files in memory.
//!
//! PostgreSQL makes some three hundred files for each database. On a disk, tests that make and drop
//! a database each spend half of the server's time in the file system: measured in turns on ext4
//! and a busy machine, 62 tests took 62 and 100 s there, and 28 s in memory.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

/// A file system in memory, which Linux has here.
const FOLDER: &str = "/dev/shm";
/// What a busy server of tests needs at most: a gigabyte of WAL, its databases, and as much again.
const ROOM: u64 = 4 << 30;
/// What other programs of the machine are left with beside [`ROOM`].
const TO_SPARE: u64 = 4 << 30;

/// Returns the folder in memory for a server that need not survive the machine, where there is
/// plenty of it; `None` where `$TMPDIR` names a folder.
pub(crate) fn folder() -> Option<PathBuf> {
    let is_told = env::var_os("TMPDIR").is_some();
    let fits = || {
        let mounts = fs::read_to_string("/proc/mounts").ok()?;
        let memory = fs::read_to_string("/proc/meminfo").ok()?;
        let group = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        Some(
            allowed(&mounts, total(&memory)?)? >= ROOM
                && kilobytes(&memory, "MemAvailable:")? >= ROOM + TO_SPARE
                && group_limit(&group).is_none_or(|limit| limit >= ROOM + TO_SPARE),
        )
    };
    (!is_told && fits()?).then(|| PathBuf::from(FOLDER))
}

fn total(memory: &str) -> Option<u64> {
    kilobytes(memory, "MemTotal:")
}

/// Returns a number of `/proc/meminfo` in bytes.
fn kilobytes(memory: &str, name: &str) -> Option<u64> {
    let line = memory.lines().find_map(|line| line.strip_prefix(name))?;
    let number: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    number.checked_mul(1024)
}

/// Returns how many bytes may be in the folder, by `/proc/mounts`; `None` if it is not in memory or
/// its limit cannot be read.
fn allowed(mounts: &str, total: u64) -> Option<u64> {
    // The last one that was mounted there is seen.
    let mount = mounts.lines().rev().find_map(|line| {
        let mut words = line.split(' ').skip(1);
        (words.next() == Some(FOLDER)).then_some(words)
    });
    let mut words = mount?;
    if words.next() != Some("tmpfs") {
        return None;
    }
    let mut options = words.next()?.split(',');
    match options.find_map(|option| option.strip_prefix("size=")) {
        // Linux's default.
        None => Some(total / 2),
        Some(size) => {
            let digits = size.trim_end_matches(|c: char| !c.is_ascii_digit());
            let unit = match &size[digits.len()..] {
                "" => 1,
                "k" => 1 << 10,
                "m" => 1 << 20,
                "g" => 1 << 30,
                _ => return None,
            };
            digits.parse::<u64>().ok()?.checked_mul(unit)
        }
    }
}

/// Returns the least memory, in bytes, that a control group (version 2) of ours may use.
fn group_limit(groups: &str) -> Option<u64> {
    let ours = groups.lines().find_map(|line| line.strip_prefix("0::/"))?;
    let folders = Path::new("/sys/fs/cgroup").join(ours);
    let limits = folders.ancestors().filter_map(|folder| {
        let limit = fs::read_to_string(folder.join("memory.max")).ok()?;
        limit.trim().parse().ok()
    });
    limits.min()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    #[test]
    fn what_a_mount_allows_is_read() {
        for (options, expected) in [
            ("rw,nosuid,nodev", Some(8 * GIB)),
            ("rw,size=65536k", Some(64 << 20)),
            ("rw,size=5g,mode=1777", Some(5 * GIB)),
            ("rw,size=200m", Some(200 << 20)),
            ("rw,size=4096", Some(4096)),
            ("rw,size=50%", None),
            ("rw,size=k", None),
        ] {
            let mounts = format!(
                "proc /proc proc rw 0 0\ntmpfs /dev/shm tmpfs {options} 0 0\nx /x tmpfs rw"
            );
            assert_eq!(allowed(&mounts, 16 * GIB), expected, "{options}");
        }
    }

    #[test]
    fn what_is_not_in_memory_allows_none() {
        assert_eq!(allowed("/dev/vda / ext4 rw 0 0\n", GIB), None);
        assert_eq!(allowed("/dev/vda /dev/shm ext4 rw 0 0\n", GIB), None);
        let covered = "tmpfs /dev/shm tmpfs rw 0 0\n/dev/vda /dev/shm ext4 rw 0 0\n";
        assert_eq!(allowed(covered, GIB), None);
    }

    #[test]
    fn memory_is_read_in_bytes() {
        let memory = "MemTotal:       24589684 kB\nMemAvailable:   23000000 kB\n";
        assert_eq!(total(memory), Some(24_589_684 * 1024));
        assert_eq!(kilobytes(memory, "MemAvailable:"), Some(23_000_000 * 1024));
        assert_eq!(kilobytes(memory, "SwapFree:"), None);
    }
}
