//! The bounds of the component logs, each with its reason.

/// Appends that wait for the disk. A flood beyond that is dropped and counted: the loop must not wait for an SD card.
pub(super) const QUEUE_MESSAGES: usize = 1024;

/// Bytes of output that wait for the disk, in all messages together.
pub(super) const QUEUE_BYTES: usize = 2 * 1024 * 1024;

/// The longest line; a longer one is cut into several. With its time and stream it fits into half of the smallest
/// cap (16 KiB), so that a line alone never fills a file.
pub(super) const MAX_LINE_BYTES: usize = 8 * 1024 - 64;

/// Lines that are begun and not ended, of all instances together: 4 MiB at the worst. Beyond that the oldest is
/// written as it is.
pub(super) const MAX_UNFINISHED: usize = 512;

/// Components whose cap differs from the default; more than a report can list, and a bound all the same.
pub(super) const MAX_CAPS: usize = 1024;

/// Text that one answer holds. The newest lines are kept when more was asked for.
pub(super) const MAX_TAIL_BYTES: usize = 4 * 1024 * 1024;

/// Components whose files are looked at for an answer about all of them.
pub(super) const MAX_TAIL_COMPONENTS: usize = 1024;

/// Followers at once: operators that look at this node, and those who look through another one.
pub(super) const MAX_FOLLOWERS: usize = 16;

/// New lines that wait for one follower, with what they cost beside their text, and those from before as well: 64 MiB
/// for all of them at the very worst. One that is further behind is told how many lines it missed.
pub(super) const MAX_BEHIND_BYTES: usize = 1024 * 1024;
