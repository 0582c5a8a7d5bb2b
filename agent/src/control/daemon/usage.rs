//! What instances use, heard anew from the runners when somebody looks at it, and not before: an idle node stays idle.

use super::{Daemon, Word};
use crate::control::host::HostOrder;
use smol::Timer;
use smol::channel::{Sender, bounded};
use smol::future::FutureExt;
use std::time::Duration;

/// A runner answers from a thread of its own, in a millisecond. One that does not is being ended, and what was last
/// heard has to do.
const PATIENCE: Duration = Duration::from_secs(1);

/// So many may wait for it at once; whoever is beyond sees what was last heard.
const MAX_ASKING: usize = 64;

/// Returns once the node has heard what instances use by now, or will not.
pub(super) async fn refresh(words: &Sender<Word>) {
    let (reply, answer) = bounded(1);
    if words.send(Word::Usage { reply }).await.is_ok() {
        let late = async {
            Timer::after(PATIENCE).await;
        };
        let heard = async {
            let _ = answer.recv().await;
        };
        heard.or(late).await;
    }
}

impl Daemon {
    pub(super) fn ask_usage(&mut self, reply: Sender<()>) {
        self.asking_usage.retain(|asking| !asking.is_closed());
        // Without room the reply is dropped, which is an answer too.
        if self.asking_usage.len() < MAX_ASKING && self.host.order(HostOrder::AskUsage).is_ok() {
            self.asking_usage.push(reply);
        }
    }
}
