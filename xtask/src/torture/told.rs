//! What `realm` said of a change: whether it was signed and taken in, or whether nobody can tell.

use serde_json::Value;

use super::plan::Order;
use crate::command::Finished;

/// What `realm` says, beside the object, where it signs nothing because it is so already.
const SO_ALREADY: [&str; 3] = ["` is stopped already", "` runs already", "` is removed already"];

/// See the module.
#[derive(PartialEq, Eq, Debug)]
pub(super) enum Told {
    /// A node has it.
    Signed { intent: String },
    /// Nothing was signed: it is so already, or, when not `known`, there is no such component.
    Unchanged { known: bool },
    /// It may have been taken in, or not.
    Unknown(String),
}

impl Told {
    /// Understands the end of a command with `--json`.
    pub(super) fn of(order: &Order, done: &Finished) -> Told {
        let said = done.stderr.trim_end();
        match (done.code, serde_json::from_str::<Value>(done.stdout.trim())) {
            // `stop` of what is stopped, and the like: the object then tells of what was signed before.
            (Some(0), Ok(_)) if matches!(order, Order::Steer(_)) && SO_ALREADY.iter().any(|so| said.contains(so)) => {
                Told::Unchanged { known: true }
            }
            (Some(0 | 3 | 5), Ok(object)) => Told::of_object(order, &object),
            (Some(1), _) if said.contains("nothing is known by the name") || said.contains("` was removed") => {
                Told::Unchanged { known: false }
            }
            (code, _) => Told::Unknown(format!("exit code {code:?}")),
        }
    }

    fn of_object(order: &Order, object: &Value) -> Told {
        let verdict = object["verdict"].as_str().unwrap_or_default();
        let nodes = object["nodes"].as_array().map(Vec::as_slice).unwrap_or_default();
        // These come only once a node has accepted it, and so does the word of any node about it.
        let removes = matches!(order, Order::Steer(super::plan::Verb::Remove));
        let is_held = matches!(verdict, "none-live" | "detached")
            || removes && matches!(verdict, "good" | "part" | "failed")
            || nodes.iter().any(|node| !node["phase"].is_null());
        match object["intent"].as_str() {
            Some(intent) if is_held => Told::Signed { intent: intent.to_owned() },
            _ => Told::Unknown(format!("verdict `{verdict}`, and no node has told of it")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::torture::plan::Verb;

    fn told(verb: Verb, code: i32, stdout: &str, stderr: &str) -> Told {
        let done = Finished { code: Some(code), stdout: stdout.into(), stderr: stderr.into() };
        Told::of(&Order::Steer(verb), &done)
    }

    fn object(verdict: &str, phase: &str) -> String {
        format!("{{\"intent\":\"i\",\"verdict\":\"{verdict}\",\"nodes\":[{{\"phase\":{phase}}}]}}\n")
    }

    #[test]
    fn what_a_node_has_told_of_is_signed() {
        let signed = Told::Signed { intent: "i".into() };
        assert_eq!(told(Verb::Stop, 0, &object("good", "\"stopped\""), ""), signed);
        assert_eq!(told(Verb::Start, 5, &object("timed-out", "\"fetching\""), ""), signed);
        assert_eq!(told(Verb::Start, 5, &object("none-live", "null"), ""), signed);
        assert_eq!(told(Verb::Remove, 5, &object("part", "null"), ""), signed);
    }

    #[test]
    fn what_nobody_has_told_of_is_unknown() {
        for (code, stdout) in [(5, object("part", "null")), (5, object("cut-off", "null")), (1, String::new())] {
            assert!(matches!(told(Verb::Start, code, &stdout, "no node answered"), Told::Unknown(_)), "{stdout}");
        }
    }

    #[test]
    fn what_is_so_already_is_unchanged() {
        for (verb, phase, said) in [
            (Verb::Stop, "\"stopped\"", "`a` is stopped already"),
            (Verb::Start, "\"running\"", "`a` runs already, on every live node where it should"),
            (Verb::Stop, "null", "`a` is stopped already"),
            (Verb::Remove, "null", "`a` is removed already"),
        ] {
            assert_eq!(told(verb, 0, &object("good", phase), said), Told::Unchanged { known: true }, "{said}");
        }
        let unknown = Told::Unchanged { known: false };
        assert_eq!(told(Verb::Stop, 1, "", "error: `a` was removed\nhint: x"), unknown);
        assert_eq!(told(Verb::Stop, 1, "", "error: nothing is known by the name `a`"), unknown);
    }
}
