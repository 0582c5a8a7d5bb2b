//! The binary `realm`: one world in, one exit code out.

use realm::world::World;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::process::ExitCode;

/// Each file that a manifest names stays open until nodes have it, a thousand at the most; beside them there are some connections. The
/// usual soft limit is 1,024 or 256.
const DESCRIPTORS: u64 = 2048;

fn main() -> ExitCode {
    raise_limit();
    ExitCode::from(realm::run(&mut World::of_process()).code())
}

/// Raises the soft limit of open files as far as the hard one lets it. Where it is not granted, it stays as it is.
fn raise_limit() {
    let found = getrlimit(Resource::Nofile);
    let most = found.maximum.unwrap_or(u64::MAX).min(DESCRIPTORS);
    if found.current.is_some_and(|current| current < most) {
        let _ = setrlimit(Resource::Nofile, Rlimit { current: Some(most), ..found });
    }
}
