//! The verbs and their flags, as argh reads them. The first sentence of each is its help text.

use super::declare::{ApplyArgs, ExportArgs, HistoryArgs, PlanArgs, RollbackArgs};
use super::steer::{RestartArgs, RmArgs, StartArgs, StopArgs};
use super::values::{Color, PeerRef, ReachAddr, Timeout};
use crate::rollout::Until;
use argh::{ArgsInfo, FromArgs};
use shared::time::Since;
use shared::{
    ComponentName, DeadlineMs, EnvPair, EpochMs, Fuel, Isolation, LogMaxKb, Mebibytes, OwnerId, Replicas, Restart,
    StoreMebibytes, Tag,
};
use std::path::PathBuf;
use std::str::FromStr;

/// Push a WebAssembly component, and it runs on every matching node.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    help_triggers("-h", "--help"),
    note = "Every flag can also be given as a variable: `--memory-max-mb` as `REALM_MEMORY_MAX_MB`.\nExit codes: 0 done, 1 error, 2 usage, 3 it failed (a push: on every live node), 4 it failed and what was before is there again, 5 out of time or only part of the nodes."
)]
pub(super) struct TopArgs {
    /// talk to the node at this multiaddr (repeatable, or comma separated)
    #[argh(option, arg_name = "addr")]
    pub(super) via: Vec<AddrList>,
    /// do not look for nodes on the local network
    #[argh(switch)]
    pub(super) no_mdns: bool,
    /// auto (default), always or never
    #[argh(option, arg_name = "when")]
    pub(super) color: Option<Color>,
    /// print the version
    #[argh(switch)]
    pub(super) version: bool,
    #[argh(subcommand)]
    pub(super) verb: Option<Verb>,
}

/// Comma-separated addresses.
#[derive(Debug)]
pub(super) struct AddrList(pub(super) Vec<ReachAddr>);

impl FromStr for AddrList {
    type Err = String;

    fn from_str(text: &str) -> Result<AddrList, String> {
        text.split(',')
            .map(str::trim)
            .filter(|part| !part.is_empty())
            .map(str::parse)
            .collect::<Result<_, _>>()
            .map(AddrList)
    }
}

/// What to do.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand)]
#[allow(missing_docs)]
pub enum Verb {
    Init(InitArgs),
    Key(KeyArgs),
    Configure(ConfigureArgs),
    Whoami(WhoamiArgs),
    Status(StatusArgs),
    Ps(PsArgs),
    Inspect(InspectArgs),
    Push(PushArgs),
    Plan(PlanArgs),
    Apply(ApplyArgs),
    History(HistoryArgs),
    Rollback(RollbackArgs),
    Export(ExportArgs),
    Logs(LogsArgs),
    Stop(StopArgs),
    Start(StartArgs),
    Restart(RestartArgs),
    Rm(RmArgs),
    Completions(CompletionsArgs),
}

/// Make the owner key: whoever holds it commands the realm.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "init", help_triggers("-h", "--help"))]
pub struct InitArgs {
    /// replace a key that is there
    #[argh(switch)]
    pub force: bool,
}

/// The owner key.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "key", help_triggers("-h", "--help"))]
pub struct KeyArgs {
    #[argh(subcommand)]
    /// which
    pub verb: KeyVerb,
}

/// What to do with the key.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand)]
#[allow(missing_docs)]
pub enum KeyVerb {
    Show(KeyShowArgs),
}

/// Print the public half of the owner key.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "show", help_triggers("-h", "--help"))]
pub struct KeyShowArgs {}

/// Write the configuration of this machine's agent.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "configure", help_triggers("-h", "--help"))]
pub struct ConfigureArgs {
    /// whom the node obeys: the public key that `realm key show` prints
    #[argh(option, arg_name = "key")]
    pub owner: Option<OwnerId>,
    /// multiaddr that the agent dials at start (repeatable); the list that is there is replaced
    #[argh(option, arg_name = "addr")]
    pub bootstrap: Vec<ReachAddr>,
    /// what artifacts and compiled code may take on its disk together, in MiB
    #[argh(option, arg_name = "mb")]
    pub store_max_mb: Option<StoreMebibytes>,
    /// the agent's data directory
    #[argh(option, arg_name = "dir")]
    pub data_dir: Option<PathBuf>,
    /// replace another owner, or a file that cannot be read
    #[argh(switch)]
    pub force: bool,
}

/// Show the nodes of the realm and what runs on them.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "status", help_triggers("-h", "--help"))]
pub struct StatusArgs {
    /// print one JSON object, schema 1
    #[argh(switch)]
    pub json: bool,
}

/// Show the components of the realm, each on all its nodes together.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "ps", help_triggers("-h", "--help"))]
pub struct PsArgs {
    /// print one JSON object, schema 1
    #[argh(switch)]
    pub json: bool,
}

/// Show one component: what is wanted, its limits and what it uses, how it stands on each node, and its last runs.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "inspect", help_triggers("-h", "--help"))]
pub struct InspectArgs {
    /// name of the component
    #[argh(positional)]
    pub component: ComponentName,
    /// print one JSON object, schema 1
    #[argh(switch)]
    pub json: bool,
}

/// Say who you are to the nodes: the owner key, its realm, and where the key is kept.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "whoami", help_triggers("-h", "--help"))]
pub struct WhoamiArgs {
    /// print one JSON object, schema 1
    #[argh(switch)]
    pub json: bool,
}

/// Print a script that has a shell complete verbs and flags.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "completions", help_triggers("-h", "--help"))]
pub struct CompletionsArgs {
    /// bash, zsh or fish
    #[argh(positional)]
    pub shell: Shell,
}

/// A shell that completes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shell {
    /// bash
    Bash,
    /// zsh
    Zsh,
    /// fish
    Fish,
}

impl FromStr for Shell {
    type Err = String;

    fn from_str(text: &str) -> Result<Shell, String> {
        match text {
            "bash" => Ok(Shell::Bash),
            "zsh" => Ok(Shell::Zsh),
            "fish" => Ok(Shell::Fish),
            _ => Err("expected bash, zsh or fish".into()),
        }
    }
}

/// Print the last lines of a component's output, from every node, by time; with `--follow` also what comes.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "logs", help_triggers("-h", "--help"))]
pub struct LogsArgs {
    /// name of the component
    #[argh(positional)]
    pub component: ComponentName,
    /// how many lines of each node (default 100, at most 10000)
    #[argh(option, short = 'n', arg_name = "lines")]
    pub tail: Option<u32>,
    /// go on with each line as it comes
    #[argh(switch, short = 'f')]
    pub follow: bool,
    /// only lines since then: 10m, 2h, or a time such as 2026-11-25T07:00:00Z
    #[argh(option, arg_name = "time")]
    pub since: Option<Since>,
    /// only of this node (repeatable; beginning or end of the id is enough)
    #[argh(option)]
    pub node: Vec<PeerRef>,
    /// print one JSON object a line
    #[argh(switch)]
    pub json: bool,
}

/// Send a component to every matching node, and wait until it runs there.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "push", help_triggers("-h", "--help"))]
pub struct PushArgs {
    /// the component, in place of `--file`
    #[argh(positional, arg_name = "file")]
    pub path: Option<PathBuf>,
    /// name of the component; left out, that of the file
    #[argh(option)]
    pub name: Option<ComponentName>,
    /// the component: `.wasm`, or `.wat`, which is encoded
    #[argh(option)]
    pub file: Option<PathBuf>,
    /// nodes with this tag (repeatable: any of them)
    #[argh(option)]
    pub tag: Vec<Tag>,
    /// this node (repeatable: any of them; beginning or end of the id is enough); with `--tag`, both must match
    #[argh(option)]
    pub peer: Vec<PeerRef>,
    /// instances on each matching node (default 1)
    #[argh(option)]
    pub replicas: Option<Replicas>,
    /// memory of one instance, all memories and tables together (default 64, on boards under 1 GB 16)
    #[argh(option, arg_name = "mb")]
    pub memory_max_mb: Option<Mebibytes>,
    /// units of compute for one run (default: no limit)
    #[argh(option, arg_name = "units")]
    pub fuel: Option<Fuel>,
    /// longest stretch of compute before it gives way (default 100)
    #[argh(option, arg_name = "ms")]
    pub epoch_ms: Option<EpochMs>,
    /// wall-clock limit of one run (default: none)
    #[argh(option, arg_name = "ms")]
    pub deadline_ms: Option<DeadlineMs>,
    /// output that is kept on each node (default 1024)
    #[argh(option, arg_name = "kb")]
    pub log_max_kb: Option<LogMaxKb>,
    /// argument of the component (repeatable)
    #[argh(option)]
    pub arg: Vec<String>,
    /// environment variable of the component, NAME=VALUE (repeatable)
    #[argh(option, arg_name = "pair")]
    pub env: Vec<EnvPair>,
    /// never, on-failure (default) or always
    #[argh(option, arg_name = "when")]
    pub restart: Option<Restart>,
    /// shared (default): in one process with the others on the node; process: in one of its own
    #[argh(option, arg_name = "with")]
    pub isolation: Option<Isolation>,
    /// start it (default)
    #[argh(switch)]
    pub start: bool,
    /// fetch and compile it, and leave it staged
    #[argh(switch)]
    pub no_start: bool,
    /// how long to wait: 300ms, 90s, 5m (default), 1h
    #[argh(option, arg_name = "time")]
    pub timeout: Option<Timeout>,
    /// leave when it is accepted (by one node, which has the artifact), replicated (three have it, or all that it is
    /// for) or running (default)
    #[argh(option, arg_name = "level")]
    pub until: Option<Until>,
    /// the same as `--until accepted`
    #[argh(switch)]
    pub detach: bool,
    /// exit 5 when any matching node is away
    #[argh(switch)]
    pub require_all: bool,
    /// a word that is kept with the push
    #[argh(option, arg_name = "text")]
    pub note: Option<String>,
    /// print one JSON object when it is over
    #[argh(switch)]
    pub json: bool,
}
