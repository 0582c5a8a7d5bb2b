//! What one machine is told and orders, to be read when a seed has failed: `REALM_SIM_TRACE=4`, or `all`.

use agent::control::node::{Effect, Input};
use std::fmt::Debug;
use std::sync::LazyLock;

/// So much of each is shown.
const SHOWN: usize = 200;

static TRACED: LazyLock<Option<String>> = LazyLock::new(|| std::env::var("REALM_SIM_TRACE").ok());

fn show(at: usize, now: u64, what: &str, it: &impl Debug) {
    if TRACED.as_ref().is_some_and(|traced| traced == "all" || *traced == at.to_string()) {
        println!("{now:>7} {at:>3} {what} {}", format!("{it:?}").chars().take(SHOWN).collect::<String>());
    }
}

pub fn input(at: usize, now: u64, input: &Input) {
    if !matches!(input, Input::Reported { .. } | Input::SyncAsked { .. } | Input::SyncAnswered { .. }) {
        show(at, now, "<-", input);
    }
}

pub fn order(at: usize, now: u64, effect: &Effect) {
    let of_others = matches!(
        effect,
        Effect::Judge { .. }
            | Effect::AnswerSync { .. }
            | Effect::NodeChanged(_)
            | Effect::PublishReport(_)
            | Effect::AskSync { .. }
    );
    if !of_others {
        show(at, now, "    ->", effect);
    }
}
