//! The words of `realm-agent`, checked; the guard passes them on to control as they are.

mod adhoc;

pub use adhoc::AdhocArgs;

use argh::{EarlyExit, FromArgs};
use shared::args::{Flag, Table};
use shared::mesh;
use shared::{DeadlineMs, EnvPair, EpochMs, Fuel, Mebibytes, OwnerId, StoreMebibytes, Tag};
use std::net::SocketAddr;
use std::path::PathBuf;

/// Where metrics, logs and health are served when no flag says otherwise.
const DEFAULT_HTTP: &str = "127.0.0.1:9920";

/// Flags and the variables that stand in for them.
const FLAGS: Table = Table {
    program: &[
        Flag::many("--role", "REALM_AGENT_ROLE"),
        Flag::one("--owner", "REALM_AGENT_OWNER"),
        Flag::many("--bootstrap", "REALM_AGENT_BOOTSTRAP"),
        Flag::many("--listen", "REALM_AGENT_LISTEN"),
        Flag::one("--http", "REALM_AGENT_HTTP"),
        Flag::one("--data-dir", "REALM_AGENT_DATA"),
        Flag::one("--store-max-mb", "REALM_AGENT_STORE_MAX_MB"),
        Flag::switch("--no-tofu", "REALM_AGENT_NO_TOFU"),
        Flag::switch("--no-mdns", "REALM_AGENT_NO_MDNS"),
        // What is run once is typed: a variable that is left over would change what the run means.
        Flag::one("--wasm", "").typed_only(),
        Flag::one("--memory-max-mb", "").typed_only(),
        Flag::one("--fuel", "").typed_only(),
        Flag::one("--epoch-ms", "").typed_only(),
        Flag::one("--deadline-ms", "").typed_only(),
        Flag::many("--arg", "").typed_only(),
        Flag::many("--env", "").typed_only(),
    ],
    verbs: &[],
};

#[derive(FromArgs)]
/// realm-agent: run WebAssembly components under hard limits, as a peer of a mesh. With `--wasm FILE`: run one at once,
/// without a realm, and end with it.
struct Words {
    /// a tag of this node, such as `dev` (repeatable)
    #[argh(option, arg_name = "TAG")]
    role: Vec<Tag>,

    /// the public key that commands this node, `ed25519:…`
    #[argh(option, arg_name = "KEY")]
    owner: Option<OwnerId>,

    /// address of another node, such as `/ip4/192.168.1.10/udp/4001/quic-v1` (repeatable)
    #[argh(option, arg_name = "ADDR")]
    bootstrap: Vec<String>,

    /// address to listen on (repeatable); default: QUIC and TCP on every interface, ports kept
    #[argh(option, arg_name = "ADDR")]
    listen: Vec<String>,

    /// where to serve /metrics, /logs, /status, /healthz and /readyz; default 127.0.0.1:9920, port 0 lets the system choose
    #[argh(option, arg_name = "ADDR")]
    http: Option<SocketAddr>,

    /// where to keep key, state and artifacts
    #[argh(option, arg_name = "DIR")]
    data_dir: Option<PathBuf>,

    /// what artifacts and compiled code may take together, in MiB; default: a quarter of the file system, at least 256
    #[argh(option, arg_name = "MB")]
    store_max_mb: Option<StoreMebibytes>,

    /// never obey the first stranger: stay without an owner until one is configured
    #[argh(switch)]
    no_tofu: bool,

    /// neither look for other nodes on the local network nor be found there
    #[argh(switch)]
    no_mdns: bool,

    /// run this component at once, without a realm; its output is that of the agent, and so is its exit code
    #[argh(option, arg_name = "FILE")]
    wasm: Option<PathBuf>,

    /// with `--wasm`: MiB of all its memories and tables together; default 64, on boards under 1 GB 16
    #[argh(option, arg_name = "MB")]
    memory_max_mb: Option<Mebibytes>,

    /// with `--wasm`: units of compute; default: no limit
    #[argh(option, arg_name = "UNITS")]
    fuel: Option<Fuel>,

    /// with `--wasm`: longest stretch of compute before it gives way; default 100
    #[argh(option, arg_name = "MS")]
    epoch_ms: Option<EpochMs>,

    /// with `--wasm`: wall-clock limit; default: none
    #[argh(option, arg_name = "MS")]
    deadline_ms: Option<DeadlineMs>,

    /// with `--wasm`: an argument of the component (repeatable)
    #[argh(option, arg_name = "ARG")]
    arg: Vec<String>,

    /// with `--wasm`: an environment variable of the component (repeatable)
    #[argh(option, arg_name = "NAME=VALUE")]
    env: Vec<EnvPair>,

    /// print the version and end
    #[argh(switch)]
    version: bool,
}

/// How an agent was started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentArgs {
    /// Its tags.
    pub roles: Vec<Tag>,
    /// Who commands it, if a flag says so.
    pub owner: Option<OwnerId>,
    /// Addresses to dial.
    pub bootstrap: Vec<String>,
    /// Addresses to listen on.
    pub listen: Vec<String>,
    /// Where to serve HTTP.
    pub http: SocketAddr,
    /// Where everything is kept.
    pub data_dir: PathBuf,
    /// What artifacts and compiled code may take, if a flag says so.
    pub store_max_mb: Option<StoreMebibytes>,
    /// Whether the first stranger is refused too.
    pub no_tofu: bool,
    /// Whether to keep out of mDNS.
    pub no_mdns: bool,
}

/// What the words ask for.
pub enum Asked {
    /// To run a node.
    Run(AgentArgs),
    /// To run one component.
    Adhoc(AdhocArgs),
    /// To print this and end well.
    Print(String),
}

/// Checks the words after the program's name. Every flag of a node can be left to a `REALM_AGENT_*` variable.
///
/// # Errors
/// A text for the user, whose exit code is 2.
pub fn parse(words: &[String], env: &dyn Fn(&str) -> Option<String>) -> Result<Asked, String> {
    match read(words, &|_| None).and_then(|typed| asked(typed, words, env)) {
        Err(exit) if exit.status.is_ok() => Ok(Asked::Print(exit.output)),
        other => other.map_err(|exit| exit.output),
    }
}

/// Asked twice where a node is wanted: what a run without a realm is must not depend on the variables of a node.
fn asked(mut typed: Words, words: &[String], env: &dyn Fn(&str) -> Option<String>) -> Result<Asked, EarlyExit> {
    if typed.version {
        return Err(EarlyExit { output: format!("realm-agent {}\n", shared::VERSION), status: Ok(()) });
    }
    if let Some(file) = typed.wasm.take() {
        return adhoc::adhoc(typed, file).map(Asked::Adhoc).map_err(EarlyExit::from);
    }
    adhoc::refuse_without_wasm(&typed)?;
    Ok(Asked::Run(node(read(words, env)?, env)?))
}

/// An error of usage, or a text to print, is an early exit.
fn read(words: &[String], env: &dyn Fn(&str) -> Option<String>) -> Result<Words, EarlyExit> {
    let prepared = shared::args::prepare(&FLAGS, words, env).map_err(|error| error.to_string())?;
    let words: Vec<&str> = prepared.args.iter().map(String::as_str).collect();
    Words::from_args(&["realm-agent"], &words).map_err(|exit| match exit.status {
        Ok(()) => exit,
        Err(()) => {
            let fault = prepared.readable(exit.output.trim_end());
            format!("{fault}\nhint: `realm-agent --help` lists the flags").into()
        }
    })
}

fn node(words: Words, env: &dyn Fn(&str) -> Option<String>) -> Result<AgentArgs, String> {
    if words.role.len() > shared::MAX_NODE_TAGS {
        return Err(format!("{} roles, at most {} are allowed", words.role.len(), shared::MAX_NODE_TAGS));
    }
    check_addrs(&words.bootstrap, &words.listen)?;
    let data_dir = words.data_dir.or_else(|| shared::files::agent_data_dir(env));
    let data_dir = data_dir.ok_or("no data directory: neither `--data-dir`, REALM_AGENT_DATA nor HOME is set")?;
    let http = match words.http {
        Some(http) => http,
        None => DEFAULT_HTTP.parse().map_err(|error| format!("{error}"))?,
    };
    Ok(AgentArgs {
        roles: words.role,
        owner: words.owner,
        bootstrap: words.bootstrap,
        listen: words.listen,
        http,
        data_dir,
        store_max_mb: words.store_max_mb,
        no_tofu: words.no_tofu,
        no_mdns: words.no_mdns,
    })
}

/// Checks addresses of the command line or of `config.toml`.
///
/// # Errors
/// What is wrong with one of them, and the next step.
pub(crate) fn check_addrs(bootstrap: &[String], listen: &[String]) -> Result<(), String> {
    bootstrap.iter().try_for_each(|addr| mesh::check_addr(addr)).map_err(|error| error.to_string())?;
    listen.iter().try_for_each(|addr| mesh::check_listen_addr(addr)).map_err(|error| error.to_string())
}

impl AgentArgs {
    /// The words that [`parse`] makes this of.
    #[must_use]
    pub fn to_words(&self) -> Vec<String> {
        let mut words = vec!["--data-dir".into(), self.data_dir.to_string_lossy().into_owned()];
        words.extend(["--http".into(), self.http.to_string()]);
        let mut flag = |name: &str, value: String| words.extend([name.to_owned(), value]);
        self.roles.iter().for_each(|role| flag("--role", role.to_string()));
        self.owner.iter().for_each(|owner| flag("--owner", owner.to_string()));
        self.bootstrap.iter().for_each(|addr| flag("--bootstrap", addr.clone()));
        self.listen.iter().for_each(|addr| flag("--listen", addr.clone()));
        self.store_max_mb.iter().for_each(|mb| flag("--store-max-mb", mb.to_string()));
        if self.no_tofu {
            words.push("--no-tofu".into());
        }
        if self.no_mdns {
            words.push("--no-mdns".into());
        }
        words
    }
}
