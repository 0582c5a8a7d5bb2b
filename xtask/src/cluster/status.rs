//! What `realm status` says of a cluster, and waiting until it says what is wished.

use std::time::{Duration, Instant};

use super::Cluster;
use crate::Failure;
use crate::command::Echo;

/// How long news may take from one node to the others: gossip is a matter of milliseconds, a missed one of a sync.
const SETTLED_WITHIN: Duration = Duration::from_secs(30);
/// Pause between two questions that were answered too early.
const ASK_AGAIN_AFTER: Duration = Duration::from_millis(100);

impl Cluster {
    /// `realm status --json` without spaces between its tokens, so that a member can be found as text.
    pub(crate) fn status_json(&self) -> Result<String, Failure> {
        self.status_json_by(&[])
    }

    fn status_json_by(&self, words: &[&str]) -> Result<String, Failure> {
        let json = self.expect(&[&["status", "--json"], words].concat(), 0, Echo::Quiet)?.stdout;
        Ok(compact(&json))
    }

    /// Asks for the status until it is as wished; `what` says in words what was waited for.
    ///
    /// What one node knows reaches the next a moment later, and any of them may answer. Nothing tells an operator when all
    /// know it, so this asks again, as one would by hand.
    pub(crate) fn await_status(&self, what: &str, wished: impl Fn(&str) -> bool) -> Result<String, Failure> {
        self.await_status_by(&[], what, wished)
    }

    fn await_status_by(&self, words: &[&str], what: &str, wished: impl Fn(&str) -> bool) -> Result<String, Failure> {
        let deadline = Instant::now() + SETTLED_WITHIN;
        loop {
            let status = self.status_json_by(words)?;
            if wished(&status) {
                return Ok(status);
            }
            if Instant::now() > deadline {
                let seconds = SETTLED_WITHIN.as_secs();
                return Err(format!("{what}: not within {seconds} s\n{status}{}", self.log_tails()));
            }
            std::thread::sleep(ASK_AGAIN_AFTER);
        }
    }

    /// Waits until any node knows all of them.
    pub(crate) fn formed(&self) -> Result<(), Failure> {
        self.await_nodes(&[])
    }

    /// Waits until the node at `address` knows all of them.
    pub(crate) fn formed_at(&self, address: &str) -> Result<(), Failure> {
        self.await_nodes(&["--via", address])
    }

    fn await_nodes(&self, words: &[&str]) -> Result<(), Failure> {
        let nodes = self.agents.len();
        let all = |status: &str| status.matches("\"alive\":true").count() == nodes;
        self.await_status_by(words, &format!("a realm of {nodes} live nodes"), all).map(drop)
    }
}

fn compact(json: &str) -> String {
    let (mut inside, mut escaped) = (false, false);
    let keep = |letter: &char| {
        match letter {
            '"' if !escaped => inside = !inside,
            _ if !inside && letter.is_whitespace() => return false,
            _ => {}
        }
        escaped = inside && *letter == '\\' && !escaped;
        true
    };
    json.chars().filter(keep).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compact_json_loses_spaces_outside_of_strings_only() {
        assert_eq!(compact("{ \"a\" : \"b \\\" c\",\n \"d\": [ 1 ] }"), "{\"a\":\"b \\\" c\",\"d\":[1]}");
        assert_eq!(compact(r#"{"a\\": "b"}"#), r#"{"a\\":"b"}"#);
    }
}
