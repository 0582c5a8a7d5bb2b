//! What Linux tells of processes in /proc: who started whom, the memory they have and had, the time they have used.

use std::fs;

use crate::Failure;

/// Ticks per second in /proc/PID/stat: fixed in Linux' interface to programs, whatever the kernel itself uses.
pub(super) const TICKS_PER_SECOND: f64 = 100.0;

/// A process and all that descend from it.
pub(super) fn family(root: u32) -> Vec<u32> {
    descent(root, &parents())
}

/// The same by `(pid, parent)` pairs.
fn descent(root: u32, parents: &[(u32, u32)]) -> Vec<u32> {
    let mut members = vec![root];
    let mut next = 0;
    while let Some(&member) = members.get(next) {
        members.extend(parents.iter().filter(|(_, parent)| *parent == member).map(|(pid, _)| *pid));
        next += 1;
    }
    members
}

fn parents() -> Vec<(u32, u32)> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_string_lossy().parse().ok());
    pids.filter_map(|pid| Some((pid, u32::try_from(*stat(pid).ok()?.get(1)?).ok()?))).collect()
}

/// Time that processes have used, see [`TICKS_PER_SECOND`].
pub(super) fn ticks(pids: &[u32]) -> Result<u64, Failure> {
    let mut sum = 0;
    for pid in pids {
        let fields = stat(*pid)?;
        // Fields 14 and 15 of proc(5), counted from 3, the first after the name.
        sum += fields.get(11).copied().unwrap_or_default() + fields.get(12).copied().unwrap_or_default();
    }
    Ok(sum)
}

/// The fields after the name, as numbers (0 where they are none); the first is the state.
fn stat(pid: u32) -> Result<Vec<u64>, Failure> {
    let text = read(pid, "stat")?;
    // The name is in parentheses and may hold anything, a parenthesis too.
    let (_, fields) = text.rsplit_once(')').ok_or("a process without a name in /proc")?;
    Ok(fields.split_whitespace().map(|field| field.parse().unwrap_or_default()).collect())
}

/// Memory of a process, with its share of what it shares.
pub(super) fn pss_kib(pid: u32) -> Result<u64, Failure> {
    kib(pid, "smaps_rollup", "Pss:")
}

/// Memory of a process that is not swapped out, what it shares included.
pub(super) fn resident_kib(pid: u32) -> Result<u64, Failure> {
    kib(pid, "status", "VmRSS:")
}

/// The most that [`resident_kib`] has ever been since [`forget_peak`]: the system keeps it, so no peak is missed.
pub(super) fn peak_kib(pid: u32) -> Result<u64, Failure> {
    kib(pid, "status", "VmHWM:")
}

/// Begins [`peak_kib`] anew.
pub(super) fn forget_peak(pid: u32) -> Result<(), Failure> {
    let path = format!("/proc/{pid}/clear_refs");
    fs::write(&path, "5").map_err(|error| format!("{path}: {error}"))
}

fn kib(pid: u32, file: &str, key: &str) -> Result<u64, Failure> {
    let text = read(pid, file)?;
    let line = text.lines().find_map(|line| line.strip_prefix(key));
    let number = line.and_then(|rest| rest.split_whitespace().next()).and_then(|number| number.parse().ok());
    number.ok_or_else(|| format!("no `{key}` in /proc/{pid}/{file}"))
}

/// `guard`, or the verb that a child was started with.
pub(super) fn kind(pid: u32) -> String {
    let line = read(pid, "cmdline").unwrap_or_default();
    let verb = line.split('\0').nth(1).filter(|word| !word.is_empty() && !word.starts_with('-'));
    verb.unwrap_or("guard").to_owned()
}

fn read(pid: u32, file: &str) -> Result<String, Failure> {
    let path = format!("/proc/{pid}/{file}");
    fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn a_family_holds_grandchildren_and_no_stranger() {
        let parents = [(1, 0), (10, 1), (11, 10), (12, 11), (20, 1), (13, 10)];
        let mut members = descent(10, &parents);
        members.sort_unstable();
        assert_eq!(members, [10, 11, 12, 13]);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn this_process_has_memory_a_parent_and_used_time() {
        let own = std::process::id();
        assert!(pss_kib(own).unwrap() > 100);
        forget_peak(own).unwrap();
        assert!(peak_kib(own).unwrap() >= resident_kib(own).unwrap() / 2);
        assert!(parents().iter().any(|(pid, parent)| *pid == own && *parent > 0));
        let before = ticks(&[own]).unwrap();
        let started = Instant::now();
        while started.elapsed() < Duration::from_millis(100) {
            std::hint::black_box(before);
        }
        assert!(ticks(&[own]).unwrap() > before);
    }
}
