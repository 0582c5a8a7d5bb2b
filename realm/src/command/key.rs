//! `realm init` and `realm key show`.

use crate::cli::InitArgs;
use crate::exit::{Exit, Failure};
use crate::home::Home;
use crate::output::{Terminal, Tone};
use crate::world::Settings;

pub(super) fn init(args: &InitArgs, settings: &Settings, terminal: &mut Terminal<'_>) -> Result<Exit, Failure> {
    let home = Home::of(settings)?;
    let key = home.make_key(args.force)?;
    terminal.say(
        Tone::Plain,
        &format!("the owner key is in `{}`: whoever has that file commands the realm", home.key_path().display()),
    );
    terminal.say(Tone::Plain, "keep a copy of it in a safe place");
    terminal.data(&format!("owner {}", key.id()));
    Ok(Exit::Done)
}

pub(super) fn show(settings: &Settings, terminal: &mut Terminal<'_>) -> Result<Exit, Failure> {
    let key = Home::of(settings)?.owner_key()?;
    terminal.data(&format!("owner {}", key.id()));
    Ok(Exit::Done)
}
