//! Where the programs of a cluster run: on this machine as it is, or on a host of a network that was made for them.

use std::path::Path;
use std::process::Command;

use crate::Failure;
use crate::command;

/// See the module.
#[derive(Clone)]
pub(crate) struct Place {
    /// Known to `ip netns` under this name.
    namespace: Option<String>,
    ip: String,
}

/// Bytes that have passed a host's link.
pub(crate) struct Traffic {
    pub(crate) sent: u64,
    pub(crate) received: u64,
}

impl Place {
    /// This machine, on loopback.
    pub(crate) fn here() -> Place {
        Place { namespace: None, ip: "127.0.0.1".to_owned() }
    }

    /// The namespace that `ip netns` knows under this name.
    pub(crate) fn host(namespace: &str, ip: &str) -> Place {
        Place { namespace: Some(namespace.to_owned()), ip: ip.to_owned() }
    }

    /// The address that others reach it under.
    pub(super) fn ip(&self) -> &str {
        &self.ip
    }

    /// A program that is going to run there.
    pub(crate) fn command(&self, program: &Path) -> Command {
        let Some(namespace) = &self.namespace else { return Command::new(program) };
        // It becomes the program: the process id is that of this child.
        let mut command = Command::new("ip");
        command.args(["netns", "exec", namespace]).arg(program);
        command
    }

    /// What its link has carried so far, with all headers.
    pub(crate) fn traffic(&self) -> Result<Traffic, Failure> {
        let count = |what: &str| {
            let mut cat = self.command(Path::new("cat"));
            let text = command::output(cat.arg(format!("/sys/class/net/eth0/statistics/{what}_bytes")))?;
            text.parse().map_err(|_| format!("`{text}` is no number of bytes"))
        };
        Ok(Traffic { sent: count("tx")?, received: count("rx")? })
    }
}
