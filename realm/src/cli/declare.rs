//! The verbs of the manifest.

use super::values::Timeout;
use argh::{ArgsInfo, FromArgs};
use std::path::PathBuf;

/// Show what `realm apply` would change, and change nothing.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "plan", help_triggers("-h", "--help"))]
pub struct PlanArgs {
    /// the manifest (default realm.toml; as a variable REALM_MANIFEST)
    #[argh(option)]
    pub file: Option<PathBuf>,
    /// where it fails, have the nodes that changed go back, as `rollout.auto_rollback` in the manifest does
    #[argh(switch)]
    pub auto_rollback: bool,
    /// exit 0 when nothing would change, 2 when something would, 1 for every error
    #[argh(switch)]
    pub detailed_exitcode: bool,
    /// print one JSON object, schema 1
    #[argh(switch)]
    pub json: bool,
}

/// Have the realm run what the manifest declares, and wait until it does.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "apply", help_triggers("-h", "--help"))]
pub struct ApplyArgs {
    /// the manifest (default realm.toml; as a variable REALM_MANIFEST)
    #[argh(option)]
    pub file: Option<PathBuf>,
    /// number of this version (default: the next one)
    #[argh(option, arg_name = "number")]
    pub version: Option<u32>,
    /// only when this version is held now; 0: none
    #[argh(option, arg_name = "number")]
    pub if_version: Option<u32>,
    /// where it fails, have the nodes that changed go back, as `rollout.auto_rollback` in the manifest does
    #[argh(switch)]
    pub auto_rollback: bool,
    /// show what would change, and change nothing
    #[argh(switch)]
    pub dry_run: bool,
    /// leave once a node has accepted it and has everything
    #[argh(switch)]
    pub detach: bool,
    /// do not ask when something that runs would be stopped or replaced
    #[argh(switch)]
    pub yes: bool,
    /// a word that is kept with it, in place of the manifest's note
    #[argh(option, arg_name = "text")]
    pub note: Option<String>,
    /// how long to wait: 300ms, 90s, 5m (default), 1h
    #[argh(option, arg_name = "time")]
    pub timeout: Option<Timeout>,
    /// exit 5 when any matching node is away
    #[argh(switch)]
    pub require_all: bool,
    /// print one JSON object when it is over
    #[argh(switch)]
    pub json: bool,
}

/// Go back to an earlier version of the manifest, as a new version with the old contents.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "rollback", help_triggers("-h", "--help"))]
pub struct RollbackArgs {
    /// to this version (default: the last good one)
    #[argh(option, arg_name = "number")]
    pub to: Option<u32>,
    /// only when this version is held now
    #[argh(option, arg_name = "number")]
    pub if_version: Option<u32>,
    /// show what would change, and change nothing
    #[argh(switch)]
    pub dry_run: bool,
    /// leave once a node has accepted it and has everything
    #[argh(switch)]
    pub detach: bool,
    /// do not ask when something that runs would be stopped or replaced
    #[argh(switch)]
    pub yes: bool,
    /// a word that is kept with it (default: rollback to version N)
    #[argh(option, arg_name = "text")]
    pub note: Option<String>,
    /// how long to wait: 300ms, 90s, 5m (default), 1h
    #[argh(option, arg_name = "time")]
    pub timeout: Option<Timeout>,
    /// exit 5 when any matching node is away
    #[argh(switch)]
    pub require_all: bool,
    /// print one JSON object when it is over
    #[argh(switch)]
    pub json: bool,
}

/// Show the versions of the manifest, the newest first.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "history", help_triggers("-h", "--help"))]
pub struct HistoryArgs {
    /// print one JSON object, schema 1
    #[argh(switch)]
    pub json: bool,
}

/// Print the manifest that is held, the newest, as a file for `realm apply`.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "export", help_triggers("-h", "--help"))]
pub struct ExportArgs {
    /// also what was pushed by hand
    #[argh(switch)]
    pub pushed: bool,
}
