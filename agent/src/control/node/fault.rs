//! Why the disk did not keep what arrived: the last fault of each kind of write, for the report. What is on its way from others
//! is offered again while they hold it, a minute after the last time and then again, and a manifest is tried again, so that a
//! fault that lasts is seen anew before it is forgotten here. One that is not is over, or nobody offers what it hit: an
//! operator who was refused at the door and left.

use super::workload::BACKOFF_MOST_MS;
use shared::MAX_DETAIL_BYTES;

/// For how long a fault is told that is not seen again: twice the longest pause between two attempts.
const TOLD_MS: u64 = 2 * BACKOFF_MOST_MS;

/// What was to be written.
#[derive(Debug, Clone, Copy)]
pub enum Written {
    /// An intent.
    Intent,
    /// The manifest in force.
    Manifest,
}

/// See the module.
#[derive(Default)]
pub struct DiskFault {
    /// Of each kind: why, and when that was last so, in milliseconds since the agent was started.
    last: [Option<(String, u64)>; 2],
}

impl DiskFault {
    /// A write has ended: with a fault, or well.
    pub fn ended(&mut self, what: Written, fault: Option<&str>, now_ms: u64) {
        let bounded = |why: &str| why[..why.floor_char_boundary(MAX_DETAIL_BYTES)].to_owned();
        self.last[what as usize] = fault.map(|why| (bounded(why), now_ms));
    }

    /// What a report tells of it. The text names no intent: two hundred that are refused are one change.
    pub fn told(&self, now_ms: u64) -> Option<String> {
        let lasts = |(_, at): &&(String, u64)| now_ms - at < TOLD_MS;
        self.last.iter().flatten().find(lasts).map(|(why, _)| why.clone())
    }
}
