//! Which workers serve which requests, and how many answers are held for clients that take them: nobody waits for somebody
//! who asks for something else.

use super::HttpKind;
use super::limits::{
    FIGURES_READERS, FIGURES_WORKERS, HEALTH_READERS, HEALTH_WORKERS, LOGS_READERS, LOGS_WORKERS, MAX_FOLLOWERS,
};
use super::route::Refused;
use smol::lock::Semaphore;

/// One of them.
pub(super) struct Lane {
    /// Together there are as many as threads, so that nothing waits behind the front.
    pub(super) workers: Semaphore,
    pub(super) readers: Semaphore,
}

/// All of them.
pub(super) struct Lanes {
    health: Lane,
    figures: Lane,
    logs: Lane,
    /// Answers without an end, which take no worker.
    pub(super) followers: Semaphore,
}

impl Lanes {
    pub(super) fn new() -> Lanes {
        let lane = |workers, readers| Lane { workers: Semaphore::new(workers), readers: Semaphore::new(readers) };
        Lanes {
            health: lane(HEALTH_WORKERS, HEALTH_READERS),
            figures: lane(FIGURES_WORKERS, FIGURES_READERS),
            logs: lane(LOGS_WORKERS, LOGS_READERS),
            followers: Semaphore::new(MAX_FOLLOWERS),
        }
    }

    /// The one for a request; a refusal is short, and goes with the figures.
    pub(super) fn of(&self, asked: &Result<HttpKind, Refused>) -> &Lane {
        match asked {
            Ok(HttpKind::Healthz | HttpKind::Readyz) => &self.health,
            Ok(HttpKind::Logs { .. }) => &self.logs,
            Ok(HttpKind::Metrics | HttpKind::Status) | Err(_) => &self.figures,
        }
    }
}
