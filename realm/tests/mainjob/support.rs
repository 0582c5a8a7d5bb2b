//! Real agents, on loopback if nothing else is said: started in a directory of their own, asked over HTTP, ended by their
//! own process id.

use crate::child::{Guard, Place, agent_command, lines_of};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use shared::{NodeId, OwnerKey};
use std::fs::{self, OpenOptions};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A bound on each wait. What is waited for takes seconds at the most; a loaded machine may take ten times as long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Where a node listens: on loopback alone, with ports that the system chooses.
pub(crate) const LISTEN: [&str; 4] = ["--listen", "/ip4/127.0.0.1/udp/0/quic-v1", "--listen", "/ip4/127.0.0.1/tcp/0"];

/// Asks until there is an answer; `probe` gives what it saw instead, to be shown in the end. What happens inside other
/// processes sends a test no event, so this is the one place that asks again and again.
pub(crate) fn eventually<T>(what: &str, mut probe: impl FnMut() -> Result<T, String>) -> T {
    let by = Instant::now() + PATIENCE;
    loop {
        match probe() {
            Ok(answer) => return answer,
            Err(seen) => assert!(Instant::now() < by, "not within {PATIENCE:?}: {what}; last seen: {seen}"),
        }
        thread::sleep(Duration::from_millis(20));
    }
}

/// A key that a test knows by a number.
pub(crate) fn owner(number: u8) -> OwnerKey {
    OwnerKey::of_seed(&[number; 32])
}

/// The bytes of a guest.
pub(crate) fn guest(name: &str) -> Vec<u8> {
    let path = guest_path(name);
    fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Where a guest is.
pub(crate) fn guest_path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../guests").join(name).with_extension("wasm")
}

/// A node: its directory, which stays, and its agent, which comes and goes.
pub(crate) struct Agent {
    place: Place,
    dir: TempDir,
    flags: Vec<String>,
    running: Option<Running>,
}

struct Running {
    guard: Guard,
    /// What its control says on stdout, and after it those that the guard starts in its place.
    lines: Mutex<Receiver<String>>,
    listen: Vec<String>,
    http: SocketAddr,
}

impl Running {
    /// Waits until a control has said where it is, and that it is ready.
    fn until_ready(&mut self) {
        self.listen.clear();
        let failed = loop {
            match self.lines.get_mut().unwrap().recv_timeout(PATIENCE) {
                Ok(line) if line == "ready" => return,
                Ok(line) => match line.split_once(' ') {
                    Some(("listening", addr)) => self.listen.push(addr.to_owned()),
                    Some(("http", addr)) => self.http = addr.parse().unwrap(),
                    _ => break format!("an unknown line, `{line}`"),
                },
                Err(RecvTimeoutError::Timeout) => break "silence".into(),
                Err(RecvTimeoutError::Disconnected) => break "its end".into(),
            }
        };
        panic!("the agent was not ready, but there was {failed}");
    }
}

/// An object as a program prints it; the manual has each of its fields.
#[track_caller]
pub(crate) fn documented(text: &str) -> Value {
    const MANUAL: &str = include_str!("../../../docs/json.md");
    fn look_at(value: &Value) {
        for (key, value) in value.as_object().into_iter().flatten() {
            assert!(MANUAL.contains(&format!("`{key}`")), "docs/json.md does not have `{key}`");
            look_at(value);
        }
        value.as_array().into_iter().flatten().for_each(look_at);
    }
    let object = serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"));
    look_at(&object);
    object
}

impl Agent {
    /// Starts a node with these flags, and waits until it is ready.
    pub(crate) fn start(flags: &[&str]) -> Agent {
        Agent::start_at(&Place::default(), &[&LISTEN, flags].concat())
    }

    /// The same somewhere else, where it listens as its flags say.
    pub(crate) fn start_at(place: &Place, flags: &[&str]) -> Agent {
        let flags = flags.iter().map(|flag| (*flag).to_owned()).collect();
        let mut agent = Agent { place: place.clone(), dir: TempDir::new().unwrap(), flags, running: None };
        agent.start_again(&[]);
        agent
    }

    /// Nodes of the realm of `owner`, each of which knows the first.
    pub(crate) fn realm(owner: &OwnerKey, flags: &[&[&str]]) -> Vec<Agent> {
        let id = owner.id().to_string();
        let mut agents: Vec<Agent> = Vec::new();
        for own in flags {
            let bootstrap = agents.first().map(|first| first.addr().to_owned());
            let mut flags = vec!["--owner", &id];
            flags.extend(bootstrap.iter().flat_map(|addr| ["--bootstrap", addr]));
            flags.extend(*own);
            agents.push(Agent::start(&flags));
        }
        for agent in &agents {
            agent.until_sees(agents.len());
        }
        agents
    }

    /// Where its agent is started from now on.
    #[allow(dead_code, reason = "tests of clocks use it")]
    pub(crate) fn move_to(&mut self, place: &Place) {
        self.place = place.clone();
    }

    /// Starts the agent anew in the same directory, with further flags this time.
    pub(crate) fn start_again(&mut self, more: &[&str]) {
        assert!(self.running.is_none(), "it runs");
        let stderr = OpenOptions::new().create(true).append(true).open(self.stderr_path()).unwrap();
        let mut command = agent_command(&self.place, &self.data_dir());
        let mut child = command.args(&self.flags).args(more).stdout(Stdio::piped()).stderr(stderr).spawn().unwrap();
        let lines = lines_of(child.stdout.take().unwrap());
        let http = SocketAddr::from(([0, 0, 0, 0], 0));
        // From here on, `drop` ends it.
        let running =
            self.running.insert(Running { guard: Guard(child), lines: Mutex::new(lines), listen: Vec::new(), http });
        running.until_ready();
    }

    /// Waits until the guard has started another control in place of one that has ended, and that is ready.
    #[allow(dead_code, reason = "tests that kill control use it")]
    pub(crate) fn until_ready_again(&mut self) {
        self.running.as_mut().expect("the agent runs").until_ready();
    }

    fn running(&self) -> &Running {
        self.running.as_ref().expect("the agent runs")
    }

    pub(crate) fn data_dir(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    fn stderr_path(&self) -> PathBuf {
        self.dir.path().join("stderr")
    }

    /// Everything that its agents have said since the beginning.
    pub(crate) fn stderr(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.stderr_path()).unwrap_or_default()).into_owned()
    }

    /// Its QUIC address, with the peer id.
    pub(crate) fn addr(&self) -> &str {
        self.listen().iter().find(|addr| addr.contains("/quic-v1/")).expect("an address over QUIC")
    }

    pub(crate) fn listen(&self) -> &[String] {
        &self.running().listen
    }

    pub(crate) fn id(&self) -> NodeId {
        self.addr().rsplit('/').next().unwrap().parse().unwrap()
    }

    /// The process id of the guard.
    pub(crate) fn pid(&self) -> u32 {
        self.running().guard.0.id()
    }

    /// Ends the guard without warning, as a crash would.
    pub(crate) fn kill(&mut self) {
        // Control and runner see that the guard is gone, and end by themselves.
        self.running = None;
    }

    /// Asks the agent to end, as a service manager would.
    pub(crate) fn ask_to_end(&self) {
        signal(self.pid(), Signal::TERM);
    }

    /// The same, until it has.
    pub(crate) fn terminate(&mut self) -> ExitStatus {
        self.ask_to_end();
        self.until_ended()
    }

    /// Waits for an end that was asked for.
    pub(crate) fn until_ended(&mut self) -> ExitStatus {
        let mut running = self.running.take().expect("the agent runs");
        running.guard.until_ended(&|| self.stderr())
    }

    /// A connection to what it serves over HTTP.
    pub(crate) fn connect(&self) -> TcpStream {
        connect(&self.place, self.running().http).unwrap()
    }

    /// The body of a page; anything but 200 is the error.
    pub(crate) fn try_get(&self, target: &str) -> Result<String, String> {
        get(&self.place, self.running().http, target).map_err(|error| error.to_string())?
    }

    pub(crate) fn get(&self, target: &str) -> String {
        // A machine that is busy with five agents in one test may be told 503 instead of an answer.
        let get = || match self.try_get(target) {
            Err(error) if error.contains(" 503 ") => Err(error),
            answer => Ok(answer),
        };
        eventually("an answer", get).unwrap_or_else(|error| panic!("{target}: {error}"))
    }

    pub(crate) fn status(&self) -> Value {
        documented(&self.get("/status"))
    }

    /// What it says of a component; null when it has none of that name.
    pub(crate) fn component(&self, name: &str) -> Value {
        let status = self.status();
        let all = status["components"].as_array().unwrap();
        all.iter().find(|component| component["name"] == name).cloned().unwrap_or_default()
    }

    /// Waits until a component stands in this phase, and gives what is said of it.
    pub(crate) fn until(&self, name: &str, phase: &str) -> Value {
        eventually(&format!("`{name}` is {phase}"), || {
            let component = self.component(name);
            if component["phase"] == phase { Ok(component) } else { Err(component.to_string()) }
        })
    }

    /// Waits until so many nodes of the realm are alive, this one included.
    pub(crate) fn until_sees(&self, nodes: usize) {
        eventually(&format!("{nodes} nodes are alive"), || match self.metric("realm_nodes_alive") {
            seen if seen == nodes as u64 => Ok(()),
            seen => Err(seen.to_string()),
        });
    }

    /// Waits until so many intents are stored, and acted on.
    pub(crate) fn until_accepted(&self, intents: u64) {
        eventually(&format!("{intents} intents are accepted"), || match self.metric("realm_intents_accepted_total") {
            seen if seen == intents => Ok(()),
            seen => Err(seen.to_string()),
        });
    }

    /// A figure; 0 when it is not there.
    pub(crate) fn metric(&self, name: &str) -> u64 {
        let text = self.get("/metrics");
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value.map_or(0, |value| value.parse().unwrap())
    }

    /// How many intents were refused for this reason.
    pub(crate) fn refused(&self, code: &str) -> u64 {
        self.metric(&format!("realm_intents_refused_total{{code=\"{code}\"}}"))
    }

    /// What a component has written, without the agent's own words about it.
    pub(crate) fn output(&self, name: &str) -> Vec<String> {
        let text = self.get(&format!("/logs?component={name}&tail=10000"));
        let lines = text.lines().filter(|line| line.contains(" stdout | ") || line.contains(" stderr | "));
        lines.filter_map(|line| line.split_once(" | ")).map(|(_, text)| text.to_owned()).collect()
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.kill();
        if thread::panicking() {
            eprintln!("--- what the agent in {} said ---\n{}", self.dir.path().display(), self.stderr());
        }
    }
}

/// Sends a signal to a process of the test.
pub(crate) fn signal(pid: u32, signal: Signal) {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).expect("a process id");
    kill_process(pid, signal).unwrap();
}

fn connect(place: &Place, addr: SocketAddr) -> std::io::Result<TcpStream> {
    let stream = place.inside(|| TcpStream::connect_timeout(&addr, PATIENCE))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(stream)
}

fn get(place: &Place, addr: SocketAddr, target: &str) -> std::io::Result<Result<String, String>> {
    let mut stream = connect(place, addr)?;
    write!(stream, "GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    Ok(if head.contains(" 200 ") { Ok(body.to_owned()) } else { Err(answer.clone()) })
}
