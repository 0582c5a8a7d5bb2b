//! `realm init`, `realm key show` and `realm whoami`.

use crate::cli::{InitArgs, WhoamiArgs};
use crate::exit::{Exit, Failure};
use crate::home::Home;
use crate::output::{Terminal, Tone};
use crate::world::Settings;
use serde::Serialize;
use shared::{OwnerId, RealmId};

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

/// What `realm whoami --json` prints.
#[derive(Serialize)]
struct WhoamiObject {
    schema: u32,
    owner: OwnerId,
    realm: RealmId,
    key_file: String,
}

pub(super) fn whoami(args: &WhoamiArgs, settings: &Settings, terminal: &mut Terminal<'_>) -> Result<Exit, Failure> {
    let home = Home::of(settings)?;
    let owner = home.owner_key()?.id();
    let realm = RealmId::of_owner(&owner);
    let key_file = home.key_path().display().to_string();
    if args.json {
        let object = WhoamiObject { schema: 1, owner, realm, key_file };
        terminal.data(&serde_json::to_string(&object).map_err(|error| Failure::new(error.to_string()))?);
    } else {
        terminal.data(&format!("owner {owner}\nrealm {realm}\nkey   {key_file}"));
    }
    Ok(Exit::Done)
}
