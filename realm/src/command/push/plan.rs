//! What is to be pushed, checked as far as this machine can.

use crate::artifact::{self, Component};
use crate::cli::PushArgs;
use crate::exit::Failure;
use crate::rollout::Until;
use crate::world::Settings;
use shared::{ComponentName, ComponentSpec, Limits};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A push that has not met a node yet.
pub(super) struct Plan {
    pub(super) spec: ComponentSpec,
    pub(super) component: Component,
    pub(super) note: String,
    pub(super) timeout: Duration,
    pub(super) require_all: bool,
    pub(super) until: Until,
}

impl Plan {
    /// Reads and checks the file, and everything that was typed.
    ///
    /// # Errors
    /// 2 for what was typed, 1 for the file.
    pub(super) fn of(args: &PushArgs, settings: &Settings) -> Result<Plan, Failure> {
        let file = file(args)?;
        let name = name(args, &file)?;
        if args.start && args.no_start {
            return Err(Failure::usage("`--start` and `--no-start` exclude each other"));
        }
        let until = match (args.until, args.detach) {
            (Some(until), true) if until != Until::Accepted => {
                return Err(Failure::usage("`--detach` is `--until accepted`, and another `--until` was given"));
            }
            (Some(until), _) => until,
            (None, true) => Until::Accepted,
            (None, false) => Until::Running,
        };
        if until != Until::Running && args.require_all {
            return Err(Failure::usage(
                "`--require-all` waits for nodes to run it, and `--detach` and `--until` leave earlier",
            ));
        }
        let component = artifact::open(&settings.cwd.join(file))?;
        let default = Limits::default();
        let limits = Limits {
            memory_max_mb: args.memory_max_mb,
            fuel: args.fuel,
            epoch_ms: args.epoch_ms.unwrap_or(default.epoch_ms),
            deadline_ms: args.deadline_ms,
            log_max_kb: args.log_max_kb.unwrap_or(default.log_max_kb),
        };
        let spec = ComponentSpec {
            name,
            artifact: component.artifact,
            limits,
            replicas: args.replicas.unwrap_or_default(),
            restart: args.restart.unwrap_or_default(),
            start: !args.no_start,
            args: args.arg.clone(),
            env: args.env.iter().map(|pair| (pair.0.clone(), pair.1.clone())).collect(),
            isolation: args.isolation.unwrap_or_default(),
        };
        spec.check().map_err(|error| Failure::usage(error.to_string()))?;
        Ok(Plan {
            spec,
            component,
            note: args.note.clone().unwrap_or_default(),
            timeout: args.timeout.unwrap_or_default().0,
            require_all: args.require_all,
            until,
        })
    }
}

fn file(args: &PushArgs) -> Result<PathBuf, Failure> {
    match (&args.file, &args.path) {
        (Some(file), None) | (None, Some(file)) => Ok(file.clone()),
        (Some(_), Some(_)) => Err(Failure::usage("the file is named twice, with `--file` and without")),
        (None, None) => {
            Err(Failure::usage("no file was named").hint("`realm push --name hello --file hello.wasm --tag dev`"))
        }
    }
}

fn name(args: &PushArgs, file: &Path) -> Result<ComponentName, Failure> {
    if let Some(name) = &args.name {
        return Ok(name.clone());
    }
    let stem = file.file_stem().unwrap_or_default().to_string_lossy();
    stem.parse()
        .map_err(|error| Failure::usage(format!("the file's name does not do: {error}")).hint("name it with `--name`"))
}
