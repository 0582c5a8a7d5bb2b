//! Who dies first when the machine runs out of memory. Left alone, the kernel takes whatever is largest, which can be
//! control, a database beside the agent, or the operator's shell.

use std::fs;

/// Where the kernel keeps the preference of a process: -1000 is never, 1000 is first. Everybody may raise their own.
const SCORE: &str = "/proc/self/oom_score_adj";

/// The compile child goes first: nothing is lost with it, and what it was working on is most likely what is too large.
pub(super) const COMPILE: i32 = 1000;

/// Then a runner: its guests are started again, while a node without its control process hears of nothing.
pub(super) const RUNNER: i32 = 500;

/// Makes this process be taken before those with a lower score. Best effort: only Linux has such a thing, and some
/// containers hide it.
pub(super) fn volunteer(score: i32) {
    let set = fs::read_to_string(SCORE).ok().and_then(|text| text.trim().parse::<i32>().ok());
    // Whoever started the agent may have set more than that; going below takes a privilege, and would be against their will.
    if set.is_some_and(|set| set < score) {
        let _ = fs::write(SCORE, score.to_string());
    }
}
