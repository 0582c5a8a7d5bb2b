//! The operator's end of a push: how long it has to stay, and what becomes of it when its entry node dies.

use crate::operator::Operator;
use crate::shell::Shell;
use crate::support::{Agent, PATIENCE, eventually, guest, guest_path};
#[cfg(target_os = "linux")]
use crate::{load::children, support::signal};
#[cfg(target_os = "linux")]
use rustix::process::Signal;
use shared::{Hasher, OwnerKey, Verdict};
use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::time::Instant;

/// Large enough that a push can be interrupted while it is on its way.
const LARGE_BYTES: usize = 16 << 20;

/// An operator, a node that nothing is meant for, and two that the push is for.
fn realm() -> (Shell, Vec<Agent>) {
    let shell = Shell::new();
    shell.good(&["init"]);
    let text = fs::read_to_string(shell.home.path().join("realm/owner.key")).unwrap();
    let flags: [&[&str]; 3] = [&["--role", "gate"], &["--role", "dev"], &["--role", "dev"]];
    let agents = Agent::realm(&OwnerKey::from_secret_text(&text).unwrap(), &flags);
    (shell.to(&agents[..1]), agents)
}

/// `hello` with a custom section of so many bytes, no two chunks of which are the same.
fn large(shell: &Shell) -> String {
    let mut bytes = guest("hello");
    let name = b"ballast";
    let size = 1 + name.len() + LARGE_BYTES;
    bytes.push(0);
    bytes.extend((0..5).map(|at| (size >> (7 * at) & 0x7f) as u8 | if at < 4 { 0x80 } else { 0 }));
    bytes.push(name.len() as u8);
    bytes.extend(name);
    bytes.extend((0..LARGE_BYTES / 8).flat_map(|at| (at as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes()));
    let path = shell.home.path().join("large.wasm");
    fs::write(&path, bytes).unwrap();
    path.to_string_lossy().into_owned()
}

/// A push on its way, and what it says.
struct Push {
    child: Child,
    said: Vec<String>,
    lines: std::sync::mpsc::Receiver<String>,
}

impl Push {
    fn begin(shell: &Shell, file: &str, more: &[&str]) -> Push {
        let words = ["push", "--name", "large", "--file", file, "--tag", "dev"];
        let timeout: &[&str] = if more.contains(&"--timeout") { &[] } else { &["--timeout", "60s"] };
        Push::of(shell, &[&words[..], timeout, more].concat())
    }

    /// Another change that waits.
    fn of(shell: &Shell, words: &[&str]) -> Push {
        let mut command = shell.command(words);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let (sender, lines) = std::sync::mpsc::channel();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        std::thread::spawn(move || stderr.lines().map_while(Result::ok).all(|line| sender.send(line).is_ok()));
        Push { child, said: Vec::new(), lines }
    }

    /// Waits until it has said something, or has ended.
    fn until(&mut self, wanted: impl Fn(&str) -> bool) -> bool {
        let by = Instant::now() + PATIENCE;
        while let Ok(line) = self.lines.recv_timeout(by.saturating_duration_since(Instant::now())) {
            self.said.push(line);
            if self.said.last().is_some_and(|line| wanted(line)) {
                return true;
            }
        }
        false
    }

    fn end(&mut self) -> (Option<i32>, String) {
        self.until(|_| false);
        (self.child.wait().unwrap().code(), self.said.join("\n"))
    }
}

impl Drop for Push {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn when_the_entry_node_dies_the_push_goes_on_through_another() {
    let (shell, mut agents) = realm();
    let mut push = Push::begin(&shell, &large(&shell), &[]);
    assert!(push.until(|line| line.contains("fetching")), "{:?}", push.said);
    agents.remove(0).kill();
    let (code, said) = push.end();
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("going on through"), "it was not missed: {said}");
    agents.iter().for_each(|agent| drop(agent.until("large", "completed")));
}

#[test]
fn what_waits_for_the_only_node_goes_on_when_its_agent_is_started_again() {
    let (shell, mut agents) = crate::shell::realm(&[&["--role", "dev"]]);
    let agent = &mut agents[0];
    let file = large(&shell);
    let mut push = Push::begin(&shell, &file, &[]);
    assert!(push.until(|line| line.contains("fetching")), "{:?}", push.said);
    agent.kill();
    agent.start_again(&[]);
    let (code, said) = push.end();
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("looking for it") && said.contains("going on through"), "{said}");
    agent.until("large", "completed");

    let manifest = shell.home.path().join("realm.toml");
    let text = format!(
        "[rollout]\nmin_healthy_s = 10\n[components.service]\nsource = \"{}\"\n",
        guest_path("ticker").display()
    );
    fs::write(&manifest, text).unwrap();
    let words = ["apply", "--file", manifest.to_str().unwrap(), "--yes", "--timeout", "60s"];
    let mut apply = Push::of(&shell, &words);
    // It runs, and is not well before it has run for a while.
    assert!(apply.until(|line| line.contains("the rest has started")), "{:?}", apply.said);
    // This time it is away for longer than a dial or two.
    agent.kill();
    assert!(apply.until(|line| line.contains("looking for it")), "{:?}", apply.said);
    agent.start_again(&[]);
    let (code, said) = apply.end();
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("going on through"), "{said}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_node_whose_agent_dies_while_it_is_asked_is_asked_again() {
    let (shell, mut agents) = crate::shell::realm(&[&["--role", "dev"]]);
    let file = large(&shell);
    let mut push = Push::begin(&shell, &file, &[]);
    // What follows is the hand-over: mostly there is no word on it yet, and where there was one the end is the same.
    assert!(push.until(|line| line.contains("matched 1 node")), "{:?}", push.said);
    signal(children(agents[0].pid())[0], Signal::KILL);
    agents[0].until_ready_again();
    let (code, said) = push.end();
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("going on through"), "{said}");
}

#[test]
fn when_the_only_node_does_not_come_back_that_is_said_in_the_end() {
    let (shell, mut agents) = crate::shell::realm(&[&["--role", "dev"]]);
    let mut push = Push::begin(&shell, &large(&shell), &["--timeout", "20s"]);
    assert!(push.until(|line| line.contains("fetching")), "{:?}", push.said);
    agents.remove(0).kill();
    let (code, said) = push.end();
    assert_eq!(code, Some(5), "{said}");
    assert!(said.contains("the realm cannot be reached any more") && said.contains("hint: "), "{said}");
}

#[test]
fn who_leaves_once_it_is_replicated_is_not_needed_any_more() {
    let (shell, mut agents) = realm();
    let mut push = Push::begin(&shell, &large(&shell), &["--until", "replicated"]);
    let (code, said) = push.end();
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("is replicated and on its way"), "{said}");
    // Not even the entry node is.
    agents.remove(0).kill();
    agents.iter().for_each(|agent| drop(agent.until("large", "completed")));
}

#[test]
fn an_operator_that_dies_once_it_is_accepted_has_lost_nothing() {
    let (shell, agents) = realm();
    let mut push = Push::begin(&shell, &large(&shell), &["--detach"]);
    let (code, said) = push.end();
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("is accepted and on its way"), "{said}");
    agents[1..].iter().for_each(|agent| drop(agent.until("large", "completed")));
    assert!(agents[0].component("large").is_null());
}

#[test]
fn who_finds_no_source_says_so() {
    let (shell, agents) = realm();
    let text = fs::read_to_string(shell.home.path().join("realm/owner.key")).unwrap();
    let operator = Operator::of(&OwnerKey::from_secret_text(&text).unwrap());
    let (entry, _) = operator.meet(agents[0].addr());
    // Signed and accepted, but what it pins is nowhere.
    let bytes = [&guest("hello")[..], b"\0\x02\x01x"].concat();
    let mut hasher = Hasher::default();
    hasher.update(&bytes);
    let mut body = operator.intent("orphan", "hello");
    body.payload.component.artifact = hasher.finish().0;
    assert_eq!(operator.hand(entry, &operator.seal(&body)), Verdict::Accepted);
    for agent in &agents {
        eventually("it says why nothing comes", || match agent.component("orphan")["reason"].as_str() {
            Some(reason) if reason.starts_with("no connected node has it") => Ok(()),
            other => Err(format!("{other:?}")),
        });
    }
    eventually("the operator is told", || match shell.good(&["status"]) {
        status if status.matches("no connected node has it").count() == agents.len() => Ok(()),
        status => Err(status),
    });
    // Somebody brings it along with another push.
    let file = shell.home.path().join("orphan.wasm");
    fs::write(&file, bytes).unwrap();
    shell.good(&["push", "--name", "other", "--file", file.to_str().unwrap(), "--tag", "dev", "--timeout", "50s"]);
    agents.iter().for_each(|agent| _ = agent.until("orphan", "completed"));
}
