//! `realm configure`: writes the files that this machine's agent reads when it is started.

use crate::cli::ConfigureArgs;
use crate::exit::{Exit, Failure};
use crate::home::read_small;
use crate::output::{Terminal, Tone};
use crate::world::Settings;
use shared::OwnerId;
use shared::files::{self, AgentConfig, TrustFile};
use std::io;
use std::path::{Path, PathBuf};

/// Neither file holds a secret, and the agent may run as another user than the one who configures it.
const MODE: u32 = 0o644;

pub(super) fn run(args: &ConfigureArgs, settings: &Settings, terminal: &mut Terminal<'_>) -> Result<Exit, Failure> {
    if args.owner.is_none() && args.bootstrap.is_empty() && args.store_max_mb.is_none() {
        let hint = "give `--owner KEY`, `--bootstrap ADDR`, `--store-max-mb MB`, or several of them";
        return Err(Failure::usage("nothing to configure").hint(hint));
    }
    let dir = data_dir(args, settings)?;
    // Both files are looked at before one is written: a refusal leaves everything as it was.
    let (trust, config) = (dir.join("trust.toml"), dir.join("config.toml"));
    let old_owner = read(&trust, TrustFile::parse, args.force)?.map(|file| file.owner);
    let old_config = read(&config, AgentConfig::parse, args.force)?;
    let owner = args.owner.filter(|owner| old_owner != Some(*owner));
    if let (Some(old), Some(new), false) = (old_owner, owner, args.force) {
        return Err(another_owner(&trust, old, new));
    }
    files::make_private_dir(&dir).map_err(|error| unwritten(&dir, &error))?;
    let mut wrote = false;
    if let Some(owner) = owner {
        write(&trust, &TrustFile { owner }.to_text())?;
        terminal.say(Tone::Plain, &format!("wrote `{}`: the node obeys {owner}", trust.display()));
        wrote = true;
    }
    let before = old_config.clone().unwrap_or_default();
    let mut wanted = before.clone();
    if !args.bootstrap.is_empty() {
        wanted.bootstrap = args.bootstrap.iter().map(|addr| addr.as_str().to_owned()).collect();
    }
    wanted.store_max_mb = args.store_max_mb.or(before.store_max_mb);
    let is_asked = !args.bootstrap.is_empty() || args.store_max_mb.is_some();
    if is_asked && (wanted != before || old_config.is_none()) {
        write(&config, &wanted.to_text())?;
        let dial = wanted.bootstrap.len();
        let store = wanted.store_max_mb.map(|mb| format!(", {mb} MiB for artifacts and code")).unwrap_or_default();
        terminal.say(Tone::Plain, &format!("wrote `{}`: {dial} to dial at start{store}", config.display()));
        wrote = true;
    }
    let last =
        if wrote { "it takes effect when realm-agent is next started" } else { "it is configured like that already" };
    terminal.say(Tone::Plain, last);
    Ok(Exit::Done)
}

fn data_dir(args: &ConfigureArgs, settings: &Settings) -> Result<PathBuf, Failure> {
    let dir = args.data_dir.clone().or_else(|| files::agent_data_dir(&|name| settings.env(name)));
    let dir = dir.ok_or_else(|| {
        Failure::new("no place for the agent's files: neither REALM_AGENT_DATA nor HOME is set")
            .hint("name it with `--data-dir DIR`")
    })?;
    Ok(settings.cwd.join(dir))
}

/// What is there; a file that cannot be read counts as none when it may be replaced.
fn read<T, E: std::fmt::Display>(
    path: &Path,
    parse: fn(&str) -> Result<T, E>,
    force: bool,
) -> Result<Option<T>, Failure> {
    let fault = match read_small(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => error.to_string(),
        Ok(text) => match parse(&text) {
            Ok(value) => return Ok(Some(value)),
            Err(error) => error.to_string(),
        },
    };
    if force {
        return Ok(None);
    }
    Err(Failure::new(format!("cannot read `{}`: {fault}", path.display()))
        .hint("put it right, or replace it with `--force`"))
}

fn another_owner(path: &Path, old: OwnerId, new: OwnerId) -> Failure {
    Failure::new(format!("`{}` names another owner, {old}", path.display()))
        .hint(format!("`--force` makes the node obey {new} and no longer the one before"))
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    files::replace(path, text.as_bytes(), MODE).map_err(|error| unwritten(path, &error))
}

fn unwritten(path: &Path, error: &io::Error) -> Failure {
    Failure::new(format!("cannot write `{}`: {error}", path.display()))
        .hint("does the directory belong to you? `--data-dir` names another one")
}
