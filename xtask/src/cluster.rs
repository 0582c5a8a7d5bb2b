//! A few agents on this machine, in one temporary folder: started, found by their own words, and ended.
//! Demo, bench and the guests' check share it. Whatever goes wrong, nothing of it stays behind.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use crate::Failure;
use crate::command::{self, Echo, Finished};
use crate::sweeper::Sweeper;
use crate::workspace::Programs;

mod place;
mod process;
mod rough;
mod status;

pub(crate) use place::Place;
pub(crate) use process::Agent;

/// How long an agent may take to end after SIGTERM: its own grace period for guests is shorter.
const STOPPED_WITHIN: Duration = Duration::from_secs(20);
/// How long one `realm` command may take; it bounds itself to five minutes at most.
const COMMAND_WITHIN: Duration = Duration::from_secs(330);

/// How agents and operator find one another.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Meet {
    /// By the addresses that they are told.
    Told,
    /// By what they announce on their network, which is to be one that was made for them.
    OnTheLan,
}

/// The agents, the operator's folder, and the temporary folder around them.
pub(crate) struct Cluster {
    /// Holds everything: `operator/`, `node-1/`…, `node-1.log`….
    pub(crate) folder: PathBuf,
    /// In the order of their start.
    pub(crate) agents: Vec<Agent>,
    programs: Programs,
    sweeper: Sweeper,
    /// Where the operator is.
    desk: Place,
    /// To be changed before the first agent is started.
    pub(crate) meet: Meet,
}

impl Cluster {
    /// A new temporary folder and no agent yet.
    pub(crate) fn new(programs: Programs) -> Result<Self, Failure> {
        Cluster::at(programs, &std::env::temp_dir(), Place::here())
    }

    /// The same with its folder in `parent` and the operator elsewhere.
    pub(crate) fn at(programs: Programs, parent: &Path, desk: Place) -> Result<Self, Failure> {
        // Short: Unix sockets in it have to stay under 108 bytes. The time, because process ids come back.
        let nanos = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().subsec_nanos();
        let folder = parent.join(format!("realm-{}-{nanos}", std::process::id()));
        fs::create_dir(&folder).map_err(|error| format!("cannot make `{}`: {error}", folder.display()))?;
        let sweeper = Sweeper::start(&folder)?;
        Ok(Self { folder, agents: Vec::new(), programs, sweeper, desk, meet: Meet::Told })
    }

    /// So many agents on this machine that know one another, with their folder in `parent`.
    pub(crate) fn formed_of(agents: usize, programs: &Programs, parent: &Path) -> Result<Self, Failure> {
        let mut cluster = Cluster::at(programs.clone(), parent, Place::here())?;
        let owner = cluster.init(Echo::Quiet)?;
        for _ in 0..agents {
            cluster.add(&owner, Echo::Quiet)?;
        }
        cluster.formed()?;
        Ok(cluster)
    }

    /// Has a namespace removed when we are gone.
    pub(crate) fn sweep_namespace(&mut self, name: &str) -> Result<(), Failure> {
        self.sweeper.watch_namespace(name)
    }

    /// Makes the owner key, and says its public half (`ed25519:…`).
    pub(crate) fn init(&self, echo: Echo) -> Result<String, Failure> {
        self.expect(&["init"], 0, echo)?;
        let shown = self.expect(&["key", "show"], 0, echo)?.stdout;
        let key = shown.split_whitespace().last().unwrap_or_default();
        if key.starts_with("ed25519:") {
            Ok(key.to_owned())
        } else {
            Err(format!("the last word of `realm key show` is no key: `{key}`"))
        }
    }

    /// Starts one more agent that trusts `owner`, has the tag `dev`, and meets the others through the first.
    pub(crate) fn add(&mut self, owner: &str, echo: Echo) -> Result<(), Failure> {
        self.add_at(&Place::here(), owner, echo)
    }

    /// As [`Cluster::add`], with further tags.
    pub(crate) fn add_tagged(&mut self, owner: &str, tags: &[&str]) -> Result<(), Failure> {
        self.start(&Place::here(), owner, tags, Echo::Quiet)
    }

    /// As [`Cluster::add`], elsewhere.
    pub(crate) fn add_at(&mut self, place: &Place, owner: &str, echo: Echo) -> Result<(), Failure> {
        self.start(place, owner, &[], echo)
    }

    /// The agent that is started next runs this program, and so do those after it.
    pub(crate) fn run_agent(&mut self, program: PathBuf) {
        self.programs.agent = program;
    }

    /// The same with a copy of the program that nobody else runs.
    pub(crate) fn run_own_copy(&mut self) -> Result<(), Failure> {
        let copy = self.folder.join("realm-agent");
        fs::copy(&self.programs.agent, &copy).map_err(|error| format!("cannot write `{}`: {error}", copy.display()))?;
        self.run_agent(copy);
        Ok(())
    }

    /// What the agent that is started next runs.
    pub(crate) fn program(&self) -> &Path {
        &self.programs.agent
    }

    fn start(&mut self, place: &Place, owner: &str, tags: &[&str], echo: Echo) -> Result<(), Failure> {
        let number = self.agents.len() + 1;
        let data_dir = self.folder.join(format!("node-{number}"));
        let mut agent = place.command(&self.programs.agent);
        agent.args(["--listen", &format!("/ip4/{}/udp/0/quic-v1", place.ip()), "--http", "127.0.0.1:0"]);
        agent.args(["--role", "dev", "--owner", owner, "--data-dir"]).arg(&data_dir);
        agent.args(tags.iter().flat_map(|tag| ["--role", tag]));
        if let (Meet::Told, Some(first)) = (self.meet, self.agents.first()) {
            agent.args(["--bootstrap", &first.address]);
        }
        if echo == Echo::Shown {
            println!("$ {} &", command::display(&agent));
        }
        let log = self.folder.join(format!("node-{number}.log"));
        let started = Agent::start(agent, data_dir, &log, self.meet, &mut self.sweeper)?;
        if echo == Echo::Shown {
            println!("listening {}", started.address);
        }
        self.agents.push(started);
        Ok(())
    }

    /// `realm` with the operator's folder and all agents as entry nodes.
    pub(crate) fn realm(&self, words: &[&str]) -> Command {
        let mut realm = self.desk.command(&self.programs.realm);
        realm.args(words);
        process::without_own_settings(&mut realm);
        realm.env("REALM_HOME", self.operator());
        match self.meet {
            Meet::Told => realm.env("REALM_VIA", self.via()),
            // An agent of this machine is none of the cluster.
            Meet::OnTheLan => realm.env("REALM_AGENT_DATA", self.folder.join("no-agent")),
        };
        if let Ok(root) = crate::workspace::root() {
            realm.current_dir(root);
        }
        realm
    }

    /// Runs `realm` and insists on its exit code.
    pub(crate) fn expect(&self, words: &[&str], code: i32, echo: Echo) -> Result<Finished, Failure> {
        let mut realm = self.realm(words);
        let shown = command::display(&realm);
        if echo == Echo::Shown {
            println!("$ {shown}");
        }
        let done = command::bounded(&mut realm, COMMAND_WITHIN, echo)?;
        if done.code == Some(code) {
            return Ok(done);
        }
        let ended = done.code.map_or("a signal".to_owned(), |code| format!("exit code {code}"));
        let said = if echo == Echo::Shown { String::new() } else { format!("\n{}{}", done.stdout, done.stderr) };
        Err(format!("`{shown}` ended with {ended} instead of {code}{said}{}", self.log_tails()))
    }

    /// Ends every agent with SIGTERM, insists that each ends well, and removes the folder.
    pub(crate) fn stop(mut self) -> Result<(), Failure> {
        for agent in &self.agents {
            command::signal("TERM", agent.pid)?;
        }
        let failures: Vec<String> = self.agents.iter().filter_map(ended_badly).collect();
        if !failures.is_empty() {
            return Err(format!("{}{}", failures.join("\n"), self.log_tails()));
        }
        self.agents.clear();
        let left = left_behind(&self.folder);
        if !left.is_empty() {
            return Err(format!("the agents have ended, but these processes are left:\n{}", left.join("\n")));
        }
        fs::remove_dir_all(&self.folder)
            .map_err(|error| format!("cannot remove `{}`: {error}", self.folder.display()))?;
        self.sweeper.release()
    }

    /// Leaves the agents running, and says how to talk to them and how to end them.
    pub(crate) fn keep(self) -> Result<(), Failure> {
        let pids: Vec<String> = self.agents.iter().map(|agent| agent.pid.to_string()).collect();
        println!("the agents go on running. To talk to them:\n");
        println!("  export REALM_HOME='{}'", self.operator().display());
        println!("  export REALM_VIA='{}'", self.via());
        println!("  export PATH=\"{}:$PATH\"", self.programs.realm.parent().unwrap_or(Path::new(".")).display());
        println!("  realm status\n");
        for agent in &self.agents {
            println!("  http://{}/status   log: {}", agent.http, agent.log.display());
        }
        println!("\nto end them:\n\n  kill {} && rm -r '{}'\n", pids.join(" "), self.folder.display());
        self.sweeper.release()
    }

    fn operator(&self) -> PathBuf {
        self.folder.join("operator")
    }

    fn via(&self) -> String {
        self.agents.iter().map(|agent| agent.address.as_str()).collect::<Vec<_>>().join(",")
    }

    fn log_tails(&self) -> String {
        self.agents.iter().map(|agent| agent.log_tail()).collect()
    }
}

/// Waits for the end of an agent that was told to end.
fn ended_badly(agent: &Agent) -> Option<String> {
    match agent.ended.recv_timeout(STOPPED_WITHIN) {
        Ok(Ok(status)) if status.success() => None,
        Ok(Ok(status)) => Some(format!("an agent ended with {}", command::how(status))),
        Ok(Err(error)) => Some(format!("cannot wait for an agent: {error}")),
        Err(_) => Some(format!("agent {} did not end after SIGTERM", agent.pid)),
    }
}

/// Processes whose command line names the folder; only Linux can tell.
fn left_behind(folder: &Path) -> Vec<String> {
    let folder = folder.to_string_lossy();
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let lines = processes.filter_map(|entry| fs::read_to_string(entry.path().join("cmdline")).ok());
    // The sweeper names the folder too, and is meant to be there still.
    let ours = lines.filter(|line| line.contains(&*folder) && !line.contains("sweeper"));
    ours.map(|line| line.replace('\0', " ")).collect()
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::process::Stdio;

    use super::*;

    #[test]
    fn finds_processes_that_name_the_folder() {
        let folder = std::env::temp_dir().join(format!("xtask-left-{}", std::process::id()));
        let mut stray = Command::new("sh");
        stray.args(["-c", "echo up; read _", "stray"]).arg(&folder);
        let mut child = stray.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        // Its command line can be read for certain once it has said something.
        child.stdout.take().unwrap().read_exact(&mut [0; 3]).unwrap();
        let found = left_behind(&folder);
        drop(child.stdin.take());
        child.wait().unwrap();
        assert_eq!(found.len(), usize::from(cfg!(target_os = "linux")));
        assert!(left_behind(&folder).is_empty());
    }
}
