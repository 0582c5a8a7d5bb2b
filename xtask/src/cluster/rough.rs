//! Agents that are ended in the middle of things, and started again where they were.

use std::process::Command;
use std::sync::mpsc::RecvTimeoutError;

use super::process::Agent;
use super::{Cluster, STOPPED_WITHIN, ended_badly};
use crate::Failure;
use crate::command;

impl Cluster {
    /// Kills an agent's guard, with which the rest of it ends.
    pub(crate) fn kill(&mut self, index: usize) -> Result<(), Failure> {
        let agent = &self.agents[index];
        command::signal("KILL", agent.pid)?;
        match agent.ended.recv_timeout(STOPPED_WITHIN) {
            Ok(_) => self.sweeper.forget(agent.pid),
            Err(RecvTimeoutError::Timeout) => Err(format!("agent {} lives after SIGKILL", agent.pid)),
            Err(RecvTimeoutError::Disconnected) => {
                Err(format!("agent {} had ended before{}", agent.pid, agent.log_tail()))
            }
        }
    }

    /// Tells an agent to end, and insists that it ends well.
    pub(crate) fn terminate(&mut self, index: usize) -> Result<(), Failure> {
        let agent = &self.agents[index];
        command::signal("TERM", agent.pid)?;
        match ended_badly(agent) {
            None => self.sweeper.forget(agent.pid),
            Some(why) => Err(format!("{why}{}", agent.log_tail())),
        }
    }

    /// Starts one that has ended, with the same words and the same files.
    pub(crate) fn start_again(&mut self, index: usize) -> Result<(), Failure> {
        let agent = &self.agents[index];
        let mut command = Command::new(&agent.words.0);
        command.args(&agent.words.1);
        let (data_dir, log) = (agent.data_dir.clone(), agent.log.clone());
        self.agents[index] = Agent::start(command, data_dir, &log, self.meet, &mut self.sweeper)?;
        Ok(())
    }

    /// Ends the agent that was started last; the next one gets its data directory.
    pub(crate) fn stop_last(&mut self) -> Result<(), Failure> {
        let Some(last) = self.agents.len().checked_sub(1) else { return Ok(()) };
        self.terminate(last)?;
        self.agents.pop();
        Ok(())
    }
}
