//! The one place that knows both the policy and the edges: one loop takes what happened, asks the node what to do
//! about it, and hands the orders down. It never waits for an edge; an edge that has no room is an input too.

mod alarm;
mod backtrace;
mod crew;
mod descriptors;
mod events;
mod journal;
mod listen;
mod orders;
mod pages;
mod start;
mod streams;
mod usage;
mod watch;

use crate::args::AgentArgs;
use crate::control::artifacts::{ArtifactEvent, Artifacts};
use crate::control::host::{Host, HostEvent};
use crate::control::http::{Http, HttpRequest};
use crate::control::logs::Logs;
use crate::control::node::{Input, Node, Now, Ticket};
use crate::control::store::{Store, StoreEvent, StorePaths};
use alarm::Alarm;
use crew::Crew;
use shared::mesh::{GossipId, Mesh, MeshEvent, MeshTask};
use shared::{ComponentName, NodeId, NodeRuns, NodeView, Receipt, SyncReply, SyncRequest, Tag};
use smol::Executor;
use smol::channel::{Receiver, Sender};
use std::collections::{HashMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Events of one edge that may wait for the loop. Each edge waits when its own queue is full, so a talkative one
/// holds up itself and nobody else.
const MAX_EVENTS: usize = 256;

/// Operators that may watch at once.
const MAX_WATCHERS: usize = 64;

/// What tasks on streams bring to the loop.
pub(crate) enum Word {
    /// An intent was handed over.
    Offered { peer: NodeId, bytes: Vec<u8>, reply: Sender<Receipt> },
    /// A neighbour asks.
    SyncAsked { request: SyncRequest, reply: Sender<SyncReply> },
    /// A neighbour has answered, or not.
    SyncAnswered { peer: NodeId, result: Result<SyncReply, String> },
    /// An operator wants to see the realm, and with `follow` what changes.
    Watch { follow: bool, reply: Sender<(Vec<NodeView>, Receiver<NodeView>)> },
    /// Somebody wants to know what instances use; the answer says that the node has heard of it, or will not.
    Usage { reply: Sender<()> },
    /// A page of figures, once they are fresh.
    Metrics(HttpRequest),
    /// An operator wants to see the runs of a component here.
    Runs { component: ComponentName, reply: Sender<Option<NodeRuns>> },
    /// Who else can be asked, and who is alive and out of reach.
    Others { reply: Sender<(Vec<NodeId>, Vec<NodeId>)> },
}

/// Who waits for the node's word.
enum Waiting {
    Receipt(Sender<Receipt>),
    Sync(Sender<SyncReply>),
    Gossip(GossipId),
}

/// What the loop hears.
struct Inboxes {
    mesh: Receiver<MeshEvent>,
    artifacts: Receiver<ArtifactEvent>,
    host: Receiver<HostEvent>,
    store: Receiver<StoreEvent>,
    http: Receiver<HttpRequest>,
    words: Receiver<Word>,
}

/// The fields are dropped in this order: first whoever asks for things, last whoever keeps them.
struct Daemon {
    http: Http,
    crew: Crew,
    artifacts: Artifacts,
    mesh: Mesh,
    mesh_task: MeshTask,
    host: Host,
    logs: Arc<Logs>,
    store: Store,
    node: Node,
    words: Sender<Word>,
    waiting: HashMap<Ticket, Waiting>,
    next_ticket: Ticket,
    watchers: Vec<Sender<NodeView>>,
    /// How many read along with the neighbours through this node.
    relayed: Arc<AtomicUsize>,
    /// Who waits for word of what instances use.
    asking_usage: Vec<Sender<()>>,
    running: HashMap<u64, ComponentName>,
    tags: Vec<Tag>,
    output_dropped_bytes: u64,
    /// Inputs that the loop itself makes, such as the refusal of an edge.
    backlog: VecDeque<Input>,
    started: Instant,
    ending: Option<Instant>,
    /// While this file is there, the system's clock is synchronised (systemd-timesyncd writes it).
    clock_marker: PathBuf,
    drained: bool,
}

/// The process `realm-agent control`. Its standard input is the socket to the guard.
///
/// # Errors
/// A sentence with the next step, when the agent cannot be started.
pub fn main(args: AgentArgs) -> Result<(), String> {
    use std::os::fd::AsFd;
    let guard = std::io::stdin().as_fd().try_clone_to_owned().map(std::os::unix::net::UnixStream::from);
    let guard = guard.map_err(|error| format!("cannot use the socket to the guard: {error}"))?;
    let _lock = crate::lock::wait_for_former_control(&args.data_dir)
        .map_err(|error| format!("cannot lock `{}`: {error}", args.data_dir.display()))?;
    descriptors::raise_limit();
    start::tell_of_clock();
    let executor = Arc::new(Executor::new());
    let paths = StorePaths::new(&args.data_dir);
    smol::block_on(executor.run(async {
        let (mut daemon, inboxes) = start::start(&args, &paths, guard, &executor).await?;
        daemon.serve(&inboxes).await;
        daemon.end(&args.data_dir).await;
        Ok(())
    }))
}

impl Daemon {
    async fn serve(&mut self, inboxes: &Inboxes) {
        self.feed(Input::Booted);
        let mut alarm = Alarm::new();
        while !self.drained {
            let wake = self.node.next_wake().map(|at| self.started + Duration::from_millis(at));
            match events::next(inboxes, &mut alarm, wake, self.ending).await {
                events::Event::Woke => self.feed(Input::Woke),
                // The guests had their time.
                events::Event::Overdue => return,
                events::Event::Mesh(event) => self.mesh_event(event),
                events::Event::Artifact(event) => self.artifact_event(event),
                events::Event::Host(event) => self.host_event(event),
                events::Event::Store(event) => self.store_event(event),
                events::Event::Http(request) => self.http_request(request),
                events::Event::Word(word) => self.word(word),
            }
        }
    }

    /// Gives the node an input and carries out what follows, until nothing is left.
    fn feed(&mut self, input: Input) {
        self.backlog.push_back(input);
        while let Some(input) = self.backlog.pop_front() {
            let now = self.now();
            for effect in self.node.handle(input, now) {
                self.obey(effect);
            }
        }
    }

    /// The clocks, read once per input.
    fn now(&self) -> Now {
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Now { mono_ms: millis(self.started.elapsed()), unix_ms: millis(unix), synchronised: self.clock_marker.exists() }
    }

    fn ticket(&mut self, waiting: Waiting) -> Ticket {
        self.next_ticket += 1;
        self.waiting.insert(self.next_ticket, waiting);
        self.next_ticket
    }

    /// Leaves in order: connections are closed, what is queued for the disk is written.
    async fn end(self, data_dir: &Path) {
        let _ = std::fs::remove_file(crate::control::store::endpoint_file(data_dir));
        drop(self.http);
        drop(self.crew);
        drop(self.artifacts);
        self.mesh_task.shutdown().await;
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
