//! Clocks that are wrong by decades, of nodes and of the operator: what can be done all the same is done, and what cannot
//! is told with its reason. A small library moves the clock of one process; see `clock.c`.

use crate::child::{Place, run};
use crate::shell::Shell;
use crate::skip::skipped;
use crate::support::{Agent, LISTEN, eventually};
use std::path::Path;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};
use tempfile::TempDir;

/// 1970-01-02 and 2100-01-01, in Unix seconds.
const IN_1970: u64 = 86_400;
const IN_2100: u64 = 4_102_444_800;

/// The library that moves clocks.
struct Clock(TempDir);

impl Clock {
    /// `None` when this machine does not make such a library, which is told.
    fn new() -> Option<Clock> {
        let dir = TempDir::new().unwrap();
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/faults/clock.c");
        let mut command = Command::new("cc");
        command.args(["-shared", "-fPIC", "-o"]).arg(dir.path().join("clock.so")).arg(source).arg("-ldl");
        match command.output() {
            Ok(made) if made.status.success() && cfg!(target_os = "linux") => Some(Clock(dir)),
            Ok(made) => skip(&String::from_utf8_lossy(&made.stderr)),
            Err(error) => skip(&format!("`cc`: {error}")),
        }
    }

    /// Where it is this time, for all that is started from now on.
    fn at(&self, unix_seconds: u64) -> Place {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let shift = i64::try_from(unix_seconds).unwrap() - i64::try_from(now).unwrap();
        let library = format!("LD_PRELOAD={}", self.0.path().join("clock.so").display());
        Place::behind(&["env", &library, &format!("SHIFT={shift}")])
    }
}

fn skip(why: &str) -> Option<Clock> {
    skipped(&format!("no clock of its own: {why}"));
    None
}

/// An operator, and flags of the nodes of their realm.
fn realm() -> (Shell, Vec<String>) {
    let shell = Shell::new();
    shell.good(&["init"]);
    let flags = LISTEN.iter().map(|word| (*word).to_owned()).chain(["--owner".to_owned(), shell.key()]).collect();
    (shell, flags)
}

fn start(place: &Place, flags: &[String], more: &[&str]) -> Agent {
    let flags: Vec<&str> = flags.iter().map(String::as_str).chain(more.iter().copied()).collect();
    Agent::start_at(place, &flags)
}

fn tcp(agent: &Agent) -> &str {
    agent.listen().iter().find(|addr| addr.contains("/tcp/")).unwrap()
}

#[test]
fn nodes_in_1970_and_in_2100_run_what_is_pushed() {
    let Some(clock) = Clock::new() else { return };
    let (shell, flags) = realm();
    let entry = start(&Place::default(), &flags, &[]);
    // Over TCP: certificates of QUIC do not hold in 1970, which is said.
    let past = start(&clock.at(IN_1970), &flags, &["--bootstrap", tcp(&entry), "--bootstrap", entry.addr()]);
    let future = start(&clock.at(IN_2100), &flags, &["--bootstrap", entry.addr()]);
    let agents = [entry, past, future];
    agents.iter().for_each(|agent| agent.until_sees(3));
    let said = agents[1].stderr();
    assert!(said.contains("the clock shows 1970-01-0"), "{said}");
    let shell = shell.to(&agents[..1]);
    let (code, out, err) = shell.push("ticker", "ticker", &[]);
    assert_eq!(code, Some(0), "{out}{err}");
    agents.iter().for_each(|agent| drop(agent.until("ticker", "running")));
    // Once its clock is set, the node is as any other.
    let [_entry, mut past, mut future] = agents;
    for agent in [&mut past, &mut future] {
        agent.kill();
        agent.move_to(&Place::default());
        agent.start_again(&[]);
        agent.until_sees(3);
    }
    let (code, out, err) = shell.push("ticker", "hello", &[]);
    assert_eq!(code, Some(0), "{out}{err}");
    assert_eq!(future.component("ticker")["last_outcome"], "completed");
}

#[test]
fn an_operator_in_2100_is_told_of_the_clock_and_one_in_1970_is_obeyed() {
    let Some(clock) = Clock::new() else { return };
    let (shell, flags) = realm();
    let agent = [start(&Place::default(), &flags, &[])];
    let shell = shell.to(&agent);
    let push = |at: u64, via: &str| {
        let file = crate::support::guest_path("hello");
        let words = ["push", "--name", "hello", "--file", file.to_str().unwrap(), "--timeout", "30s"];
        let plain = shell.command(&words);
        let mut command = clock.at(at).command(plain.get_program());
        command.args(plain.get_args()).envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
        run(command.env("REALM_VIA", via))
    };
    let (code, out, err) = push(IN_2100, agent[0].addr());
    assert_eq!(code, Some(1), "{out}{err}");
    assert!(err.contains("ahead of the clock") && err.contains("hint: is the clock of this machine right"), "{err}");
    assert!(agent[0].component("hello").is_null());

    let (code, out, err) = push(IN_1970, agent[0].addr());
    assert_eq!(code, Some(1), "{out}{err}");
    assert!(err.contains("the clock of this machine is wrong"), "{err}");
    let (code, out, err) = push(IN_1970, tcp(&agent[0]));
    assert_eq!(code, Some(0), "{out}{err}");
    // What follows with a clock that is right is newer.
    let (code, out, err) = shell.push("hello", "hello", &[]);
    assert_eq!(code, Some(0), "{out}{err}");
    eventually("both have run", || match agent[0].output("hello").len() {
        4 => Ok(()),
        lines => Err(lines.to_string()),
    });
}
