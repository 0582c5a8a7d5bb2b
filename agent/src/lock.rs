//! One agent per data directory. Apart from guard and control, which both hold a lock and know nothing of one another.

use rustix::fs::{FlockOperation, flock};
use std::fs::{File, OpenOptions};
use std::path::Path;

/// Makes the directory when it is not there, and holds its lock as long as the file lives.
///
/// # Errors
/// A sentence with the next step: in use, or not usable.
pub(crate) fn take(data_dir: &Path) -> Result<File, String> {
    let dir = data_dir.display();
    shared::files::make_private_dir(data_dir).map_err(|error| {
        format!("cannot make the data directory `{dir}`: {error}\nhint: choose another one with `--data-dir DIR`")
    })?;
    let path = data_dir.join("lock");
    let file = OpenOptions::new().write(true).create(true).truncate(false).open(&path).map_err(|error| {
        format!("cannot write in the data directory `{dir}`: {error}\nhint: choose another one with `--data-dir DIR`")
    })?;
    flock(&file, FlockOperation::NonBlockingLockExclusive).map_err(|_| {
        format!("another agent is using the data directory `{dir}`\nhint: stop it, or choose another one with `--data-dir DIR`")
    })?;
    Ok(file)
}

/// Waits until the control process that used this directory before has ended. It ends by itself as soon as its
/// guard has, and the caller holds the guard's lock.
///
/// # Errors
/// When the lock file cannot be used.
pub(crate) fn wait_for_former_control(data_dir: &Path) -> std::io::Result<File> {
    let file = OpenOptions::new().write(true).create(true).truncate(false).open(data_dir.join("control.lock"))?;
    flock(&file, FlockOperation::LockExclusive)?;
    Ok(file)
}
