//! The binary `realm`: one world in, one exit code out.

use realm::world::World;
use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(realm::run(&mut World::of_process()).code())
}
