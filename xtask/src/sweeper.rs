//! A helper process that outlives this one by a moment: ends the agents and removes their folder when we are gone.
//! Without it, ctrl-c or a kill of `cargo xtask` would leave daemons running and folders behind.

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};

use crate::Failure;

/// Reads `pid N`, `gone N` and `net NAMESPACE` lines; at `done` it leaves everything alone. At the end of input it sweeps: the pids were ours, and their
/// parent is gone, so nobody else will. Agents get ten seconds to end by themselves before they are killed; a shell can
/// only ask whether a process that is not its child still lives, hence the loop.
const SCRIPT: &str = r#"
trap '' HUP INT TERM
pids= nets=
while read -r verb what; do
    case $verb in
        pid) pids="$pids $what" ;;
        gone) left=; for pid in $pids; do [ "$pid" = "$what" ] || left="$left $pid"; done; pids=$left ;;
        net) nets="$nets $what" ;;
        done) exit 0 ;;
    esac
done
alive() { for pid in $pids; do kill -0 "$pid" 2>/dev/null && return 0; done; return 1; }
if alive; then
    kill -s TERM $pids 2>/dev/null
    for try in 1 2 3 4 5 6 7 8 9 10; do alive || break; sleep 1; done
    alive && kill -s KILL $pids 2>/dev/null
fi
for net in $nets; do ip netns delete "$net" 2>/dev/null; done
rm -rf "$1"
"#;

/// The helper. Dropping it without [`Sweeper::release`] sweeps.
pub(crate) struct Sweeper {
    child: Child,
    lines: Option<ChildStdin>,
}

impl Sweeper {
    /// Starts the helper for `folder`, which it will remove.
    pub(crate) fn start(folder: &Path) -> Result<Self, Failure> {
        let mut command = Command::new("sh");
        command.args(["-c", SCRIPT, "sweeper"]).arg(folder);
        // A process group of its own: ctrl-c reaches everyone in ours.
        command.process_group(0).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().map_err(|error| format!("cannot run `sh`: {error}"))?;
        let lines = child.stdin.take();
        Ok(Self { child, lines })
    }

    /// Has one more process ended when we are gone.
    pub(crate) fn watch(&mut self, pid: u32) -> Result<(), Failure> {
        self.say(&format!("pid {pid}\n"))
    }

    /// A process has ended: by the time that we are gone, its number may be that of another one.
    pub(crate) fn forget(&mut self, pid: u32) -> Result<(), Failure> {
        self.say(&format!("gone {pid}\n"))
    }

    /// Has a network namespace removed when we are gone.
    pub(crate) fn watch_namespace(&mut self, name: &str) -> Result<(), Failure> {
        self.say(&format!("net {name}\n"))
    }

    /// Leaves processes and folder alone, and ends the helper.
    pub(crate) fn release(mut self) -> Result<(), Failure> {
        self.say("done\n")
    }

    fn say(&mut self, line: &str) -> Result<(), Failure> {
        let lines = self.lines.as_mut().ok_or("the cleaning helper has no standard input")?;
        lines.write_all(line.as_bytes()).map_err(|error| format!("the cleaning helper is gone: {error}"))
    }
}

impl Drop for Sweeper {
    fn drop(&mut self) {
        // Its input has to end before it is waited for.
        drop(self.lines.take());
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::process::Command;

    use super::*;

    fn folder(name: &str) -> std::path::PathBuf {
        let folder = std::env::temp_dir().join(format!("xtask-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        folder
    }

    #[test]
    fn sweeps_processes_and_folder_when_dropped() {
        let folder = folder("swept");
        let mut victim = Command::new("sleep").arg("600").spawn().unwrap();
        let mut sweeper = Sweeper::start(&folder).unwrap();
        sweeper.watch(victim.id()).unwrap();
        // Somebody has to reap the victim while the helper waits.
        let waiter = std::thread::spawn(move || victim.wait().unwrap());
        drop(sweeper);
        assert!(!waiter.join().unwrap().success());
        assert!(!folder.exists());
    }

    #[test]
    fn leaves_alone_whose_number_is_that_of_one_that_has_ended() {
        let folder = folder("forgotten");
        let mut spared = Command::new("sleep").arg("600").spawn().unwrap();
        let mut sweeper = Sweeper::start(&folder).unwrap();
        sweeper.watch(spared.id()).unwrap();
        sweeper.forget(spared.id()).unwrap();
        drop(sweeper);
        assert!(spared.try_wait().unwrap().is_none());
        spared.kill().unwrap();
        spared.wait().unwrap();
    }

    #[test]
    fn leaves_everything_alone_when_released() {
        let folder = folder("kept");
        let mut spared = Command::new("sleep").arg("600").spawn().unwrap();
        let mut sweeper = Sweeper::start(&folder).unwrap();
        sweeper.watch(spared.id()).unwrap();
        sweeper.release().unwrap();
        assert!(folder.exists());
        assert!(spared.try_wait().unwrap().is_none());
        spared.kill().unwrap();
        spared.wait().unwrap();
        fs::remove_dir_all(&folder).unwrap();
    }
}
