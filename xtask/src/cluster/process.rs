//! One agent as a process: started, understood by the lines it prints, asked over HTTP.
//! Nothing is guessed: it is up when it has printed `ready`.

use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use super::Meet;
use crate::Failure;
use crate::sweeper::Sweeper;

/// How long an agent may take to print `ready`: a debug build on a busy machine needs a second or two.
const READY_WITHIN: Duration = Duration::from_secs(60);
/// How long a local HTTP answer may take.
const HTTP_WITHIN: Duration = Duration::from_secs(10);
/// What is shown of an agent's log when it failed.
const LOG_TAIL_LINES: usize = 20;

/// One agent that runs.
pub(crate) struct Agent {
    /// Process id of its guard.
    pub(crate) pid: u32,
    /// Its first address, with `/p2p/`.
    pub(crate) address: String,
    /// `HOST:PORT` of its HTTP edge.
    pub(crate) http: String,
    pub(crate) data_dir: PathBuf,
    /// The file that its log goes to.
    pub(super) log: PathBuf,
    /// What it was started with.
    pub(super) words: (OsString, Vec<OsString>),
    /// What it prints.
    lines: Receiver<String>,
    /// Tells once how it ended.
    pub(super) ended: Receiver<std::io::Result<ExitStatus>>,
}

impl Agent {
    /// Starts one, which was told to keep its files in `data_dir`, and waits until it is ready. Its log goes to the file `log`.
    pub(crate) fn start(
        mut agent: Command,
        data_dir: PathBuf,
        log: &Path,
        meet: Meet,
        sweeper: &mut Sweeper,
    ) -> Result<Self, Failure> {
        // What it said before it was ended stays.
        let file = OpenOptions::new().create(true).append(true).open(log);
        let file = file.map_err(|error| format!("cannot write `{}`: {error}", log.display()))?;
        let words = (agent.get_program().to_owned(), agent.get_args().map(OsString::from).collect());
        without_own_settings(&mut agent);
        match meet {
            // Nobody on this machine's network has to hear of them.
            Meet::Told => _ = agent.env("REALM_AGENT_NO_MDNS", "1"),
            Meet::OnTheLan => {}
        }
        agent.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(file);
        let mut child = agent.spawn().map_err(|error| format!("cannot run `realm-agent`: {error}"))?;
        let pid = child.id();
        sweeper.watch(pid)?;
        let lines = read_lines(&mut child);
        let (tell, ended) = mpsc::channel();
        thread::spawn(move || tell.send(child.wait()).is_ok());
        let mut agent = Agent {
            pid,
            address: String::new(),
            http: String::new(),
            data_dir,
            log: log.to_path_buf(),
            words,
            lines,
            ended,
        };
        agent.until_ready()?;
        Ok(agent)
    }

    /// Waits until it says that it is ready: once it was started, and again whenever its control process was.
    pub(crate) fn until_ready(&mut self) -> Result<(), Failure> {
        let (mut address, mut http) = (None, None);
        let deadline = Instant::now() + READY_WITHIN;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let Ok(line) = self.lines.recv_timeout(left) else {
                return Err(format!("an agent did not print `ready`{}", self.log_tail()));
            };
            match line.split_once(' ') {
                Some(("listening", rest)) => drop(address.get_or_insert_with(|| rest.to_owned())),
                Some(("http", rest)) => http = Some(rest.to_owned()),
                _ if line == "ready" => break,
                _ => return Err(format!("an agent printed an unknown line: `{line}`")),
            }
        }
        let (Some(address), Some(http)) = (address, http) else {
            return Err(format!("an agent was ready without having said `listening` and `http`{}", self.log_tail()));
        };
        (self.address, self.http) = (address, http);
        Ok(())
    }

    /// The body of a GET at its HTTP edge; anything but 200 is a failure.
    pub(crate) fn get(&self, path: &str) -> Result<String, Failure> {
        let failed = |error: std::io::Error| format!("GET http://{}{path}: {error}", self.http);
        let mut stream = TcpStream::connect(&self.http).map_err(failed)?;
        stream.set_read_timeout(Some(HTTP_WITHIN)).map_err(failed)?;
        let request = format!("GET {path} HTTP/1.0\r\nHost: {}\r\nConnection: close\r\n\r\n", self.http);
        stream.write_all(request.as_bytes()).map_err(failed)?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).map_err(failed)?;
        let answer = String::from_utf8_lossy(&answer);
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        if head.split_whitespace().nth(1) == Some("200") {
            Ok(body.to_owned())
        } else {
            Err(format!("GET http://{}{path}: {}", self.http, head.lines().next().unwrap_or("no answer")))
        }
    }

    /// The file of an artifact, by its hexadecimal SHA-256: there once it is complete.
    pub(crate) fn artifact(&self, digest: &str) -> PathBuf {
        let folder = digest.get(..2).unwrap_or(digest);
        self.data_dir.join("blobs/sha256").join(folder).join(digest)
    }

    /// All that its processes have said since it was first started.
    pub(crate) fn said(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// The last lines of its log, with a heading.
    pub(crate) fn log_tail(&self) -> String {
        tail(&self.log)
    }
}

fn read_lines(child: &mut Child) -> Receiver<String> {
    let (tell, lines) = mpsc::channel();
    let stdout = child.stdout.take();
    thread::spawn(move || {
        for line in stdout.into_iter().flat_map(|pipe| BufReader::new(pipe).lines().map_while(Result::ok)) {
            // Read on when nobody listens: an agent must not be stopped by a full pipe.
            let _ = tell.send(line);
        }
    });
    lines
}

/// The settings of whoever calls us must not reach what we start.
pub(super) fn without_own_settings(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("REALM_") {
            command.env_remove(name);
        }
    }
}

fn tail(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    let last = &lines[lines.len().saturating_sub(LOG_TAIL_LINES)..];
    format!("\n--- last lines of {}\n{}", log.file_name().unwrap_or_default().display(), last.join("\n"))
}
