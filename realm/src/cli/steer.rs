//! The verbs that change a component that is there: the same flags for each.

use super::values::Timeout;
use argh::{ArgsInfo, FromArgs};
use shared::ComponentName;

/// What becomes of a component.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Steer {
    /// Its runs end.
    Stop,
    /// It runs again where it does not.
    Start,
    /// It begins anew everywhere.
    Restart,
    /// It is nowhere any more.
    Remove,
}

/// What was typed after one of them.
#[derive(Debug)]
pub struct SteerArgs {
    /// Which component.
    pub name: ComponentName,
    /// How long to wait.
    pub timeout: Timeout,
    /// Whether to leave once a node has accepted it.
    pub detach: bool,
    /// Whether an absent node spoils it.
    pub require_all: bool,
    /// A word that is kept with it.
    pub note: Option<String>,
    /// Whether to print JSON.
    pub json: bool,
}

macro_rules! steer {
    ($(#[$doc:meta])* $args:ident) => {
        $(#[$doc])*
        pub struct $args {
            /// name of the component
            #[argh(positional)]
            pub name: ComponentName,
            /// how long to wait: 300ms, 90s, 5m (default), 1h
            #[argh(option, arg_name = "time")]
            pub timeout: Option<Timeout>,
            /// leave once a node has accepted it
            #[argh(switch)]
            pub detach: bool,
            /// exit 5 when any node that has it is away
            #[argh(switch)]
            pub require_all: bool,
            /// a word that is kept with it
            #[argh(option, arg_name = "text")]
            pub note: Option<String>,
            /// print one JSON object when it is over
            #[argh(switch)]
            pub json: bool,
        }

        impl From<$args> for SteerArgs {
            fn from(args: $args) -> SteerArgs {
                let $args { name, timeout, detach, require_all, note, json } = args;
                SteerArgs { name, timeout: timeout.unwrap_or_default(), detach, require_all, note, json }
            }
        }
    };
}

steer! {
    /// End all runs of a component, and keep it; `realm start` runs it again.
    #[derive(FromArgs, ArgsInfo, Debug)]
    #[argh(subcommand, name = "stop", help_triggers("-h", "--help"))]
    StopArgs
}

steer! {
    /// Run a component again where it was stopped or has ended.
    #[derive(FromArgs, ArgsInfo, Debug)]
    #[argh(subcommand, name = "start", help_triggers("-h", "--help"))]
    StartArgs
}

steer! {
    /// End all runs of a component and begin anew.
    #[derive(FromArgs, ArgsInfo, Debug)]
    #[argh(subcommand, name = "restart", help_triggers("-h", "--help"))]
    RestartArgs
}

steer! {
    /// Remove a component from every node, with its output; nodes that are away drop it when they are back.
    #[derive(FromArgs, ArgsInfo, Debug)]
    #[argh(subcommand, name = "rm", help_triggers("-h", "--help"))]
    RmArgs
}
