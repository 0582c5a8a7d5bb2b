//! Alarms that stand: the owner's key has signed two different intents with one sequence. Each stands until this node holds an
//! intent with a higher sequence under the same key, for then the operator has said which of the two is meant. They are kept
//! in memory alone: the agent's log has them for longer.

use shared::{Alarm, IntentKey, MAX_REPORT_ALARMS};
use std::collections::VecDeque;

/// So many stand at once, the oldest is forgotten first: many times what a report tells, so that those that come to light when
/// others have ended are told then.
const MAX_STANDING: usize = 64;

/// See the module.
#[derive(Default)]
pub struct Alarms {
    /// The newest first, one for each key.
    standing: VecDeque<Alarm>,
    /// How often one was raised since the agent was started.
    pub raised: u64,
}

impl Alarms {
    /// Two intents were seen.
    pub fn raise(&mut self, key: IntentKey, seq: u64) {
        self.raised += 1;
        let alarm = Alarm { key, seq };
        // Handed over again, or by another neighbour, it is no news.
        if !self.standing.contains(&alarm) {
            self.standing.retain(|other| other.key != alarm.key);
            self.standing.truncate(MAX_STANDING - 1);
            self.standing.push_front(alarm);
        }
    }

    /// An intent of this sequence is held.
    pub fn held(&mut self, key: &IntentKey, seq: u64) {
        self.standing.retain(|alarm| alarm.key != *key || alarm.seq >= seq);
    }

    /// What a report tells of them.
    pub fn told(&self) -> Vec<Alarm> {
        self.standing.iter().take(MAX_REPORT_ALARMS).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: usize) -> IntentKey {
        IntentKey::Component(format!("c{number}").parse().unwrap())
    }

    #[test]
    fn they_are_bounded_and_end_by_a_higher_sequence_of_their_key() {
        let mut alarms = Alarms::default();
        (0..MAX_STANDING + 2).for_each(|number| alarms.raise(key(number), 5));
        alarms.raise(key(MAX_STANDING + 1), 5);
        assert_eq!((alarms.standing.len(), alarms.told().len()), (MAX_STANDING, MAX_REPORT_ALARMS));
        let newest = Alarm { key: key(MAX_STANDING + 1), seq: 5 };
        assert_eq!(alarms.told()[0], newest, "the newest first, and once");
        alarms.held(&newest.key, 5);
        assert_eq!(alarms.told()[0], newest, "the other one of the two");
        alarms.held(&newest.key, 6);
        assert_eq!(alarms.told()[0].key, key(MAX_STANDING));
        assert_eq!(alarms.raised, MAX_STANDING as u64 + 3);
    }
}
