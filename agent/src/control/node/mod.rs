//! The policy of a node, and all of it: inputs and time go in, orders come out. No clock, socket, file or `async`
//! is named here, so that a simulator can drive a thousand nodes from one seed.

mod accept;
mod alarms;
mod chatter;
mod config;
mod declared;
mod dialer;
mod effect;
mod errands;
mod fault;
mod force;
mod history;
mod input;
mod lan;
mod ledger;
mod leftovers;
mod neighbours;
mod orders;
mod places;
mod quota;
mod random;
mod ration;
mod reconcile;
mod reporting;
mod rolling;
mod room;
mod roster;
mod seek;
mod signatures;
mod slot;
mod stage;
mod target;
mod turn;
mod view;
mod wish;
mod work;
mod workload;

pub use config::{Config, Restored};
pub use effect::{Effect, Level, ManifestFile, Member, PinnedFile, RunRecord, Verdict};
pub use force::{Fate, Forces, InForce};
pub use history::Total;
pub use input::{Input, Instance, Now, PrepareError, Source, Ticket};
pub use ledger::{FUTURE_MS, Held};
pub use quota::Usage;
pub use signatures::Signatures;
pub use view::Figures;

use chatter::Chatter;
use declared::Declared;
use dialer::Dialer;
use errands::Errand;
use fault::DiskFault;
use history::History;
use ledger::Ledger;
use neighbours::Neighbours;
use orders::Orders;
use quota::Quota;
use random::Random;
use reporting::Reporting;
use room::Retiring;
use roster::Roster;
use shared::{ComponentName, Digest, Hello, IntentKey, NodeFacts, NodeId, RealmId, Role};
use signatures::SignReport;
use std::collections::{BTreeMap, BTreeSet};
use workload::Workload;

/// See the module.
pub struct Node {
    config: Config,
    me: NodeId,
    ledger: Ledger,
    declared: Declared,
    runs: BTreeMap<ComponentName, RunRecord>,
    blobs: BTreeSet<Digest>,
    /// What nothing names as far as is known: what the last run may have left, until `Booted`, and what the manifest that is
    /// held and not read yet may name.
    strays: BTreeSet<Digest>,
    kept: BTreeSet<ComponentName>,
    works: BTreeMap<ComponentName, Workload>,
    /// Instances of components that were moved to other nodes, until they have ended.
    orphans: BTreeMap<ComponentName, Retiring>,
    /// Fetches that no component here waits for.
    errands: BTreeMap<Digest, Errand>,
    orders: Orders,
    /// Artifacts that nobody fetches any more, of which there may be a part.
    parts: BTreeSet<Digest>,
    /// What artifacts and compiled code may take on the disk.
    quota: Quota,
    history: History,
    next_instance: Instance,
    neighbours: Neighbours,
    roster: Roster,
    dialer: Dialer,
    /// Why the disk did not keep what arrived.
    disk_fault: DiskFault,
    reporting: Reporting,
    sign_report: SignReport,
    random: Random,
    chatter: Chatter,
    /// What every hello says.
    said: Option<Hello>,
    /// When changes in whom this node knows are written.
    save_members_at: Option<u64>,
    saved_members_at: Option<u64>,
    /// When others are looked for who have what is fetched here.
    seek_at: Option<u64>,
    /// The time of the newest input.
    now_ms: u64,
    booted: bool,
    leaving: bool,
    out: Vec<Effect>,
}

impl Node {
    /// Takes up what the disk held. Nothing happens before the first input, which should be `Booted`.
    #[must_use]
    pub fn new(config: Config, restored: Restored) -> Node {
        Node::with_signatures(config, restored, Signatures::default())
    }

    /// As [`Node::new`], with another way to make and check signatures.
    #[must_use]
    pub fn with_signatures(config: Config, restored: Restored, signatures: Signatures) -> Node {
        let me = (signatures.identify)(&config.seed);
        let mut roster = Roster::new(signatures.check);
        let mut dialer = Dialer::new(me, &config.bootstrap, config.lan);
        if let Some(realm) = restored.trust.realm() {
            roster.restore(&realm, &restored.members);
            for member in &restored.members {
                dialer.learn(&member.addrs, 0);
                let report = roster.report(&member.report.node);
                report.iter().for_each(|report| dialer.reported(&report.node, &report.addrs, 0));
            }
            dialer.remembered();
        }
        let facts = NodeFacts { node: me, tags: &config.tags, platform: &config.platform };
        let declared = Declared::restore(restored.in_force, &facts);
        Node {
            me,
            ledger: Ledger::new(restored.trust, restored.intents, signatures.open),
            declared,
            runs: restored.runs,
            blobs: restored.blobs,
            strays: restored.strays,
            kept: restored.kept,
            works: BTreeMap::new(),
            orphans: BTreeMap::new(),
            errands: BTreeMap::new(),
            orders: Orders::default(),
            parts: BTreeSet::new(),
            quota: Quota::new(config.store_max_bytes, restored.usage),
            history: History::default(),
            next_instance: 0,
            neighbours: Neighbours::default(),
            roster,
            dialer,
            disk_fault: DiskFault::default(),
            reporting: Reporting::default(),
            sign_report: signatures.sign,
            random: Random::new(config.random_seed),
            chatter: Chatter::default(),
            said: None,
            save_members_at: None,
            saved_members_at: None,
            seek_at: None,
            now_ms: 0,
            booted: false,
            leaving: false,
            out: Vec::new(),
            config,
        }
    }

    /// Takes an input and gives the orders that follow from it, in order.
    pub fn handle(&mut self, input: Input, now: Now) -> Vec<Effect> {
        self.now_ms = now.mono_ms;
        // What is heard of others is by far the most, and changes nothing that this node has to report.
        let of_others = matches!(input, Input::Reported { .. } | Input::SyncAsked { .. });
        self.orders.answered(&input);
        let look = self.disk_changed(&input);
        self.take(input, now);
        self.ration(look, now);
        self.save_members_due(now);
        if self.roll_out(now) || !of_others {
            self.maybe_report(now);
        }
        let orders = std::mem::take(&mut self.out);
        self.orders.due(orders)
    }

    fn take(&mut self, input: Input, now: Now) {
        match input {
            Input::Booted => self.booted(now),
            Input::Offered { source, bytes } => self.offered(source, &bytes, now),
            Input::Persisted { ticket, result } => self.persisted(ticket, result, now),
            Input::ManifestRead { digest, result } => self.manifest_read(&digest, result, now),
            Input::ManifestSaved { id, result } => self.manifest_saved(id, result, now),
            Input::Met { peer, addr, hello, admitted } => self.met(peer, &addr, &hello, admitted, now),
            Input::Gone { peer } => self.peer_gone(peer, now),
            Input::Subscribed { peer } => self.compare_with(peer, now),
            Input::Leads { addr, peer } => self.dialer.leads_to(&addr, peer),
            Input::DialFailed { addr, reason } => {
                if self.dialer.failed(&addr, now.mono_ms) {
                    self.say(Level::Info, format!("could not reach `{addr}`: {reason}; it is tried again"), now);
                }
            }
            Input::Listening { addr } => {
                if self.dialer.listening(addr, now.mono_ms) {
                    self.say_hello();
                    self.dial_due(now);
                }
            }
            Input::NotListening { addr } => {
                if self.dialer.not_listening(&addr) {
                    self.say_hello();
                }
            }
            Input::Found { addrs } => {
                addrs.into_iter().for_each(|addr| self.dialer.found(addr, now.mono_ms));
                self.dial_due(now);
            }
            Input::Lost { addr } => self.dialer.lost(&addr),
            Input::SyncAsked { ticket, request } => self.sync_asked(ticket, &request),
            Input::SyncAnswered { peer, result } => self.sync_answered(peer, result, now),
            Input::Reported { ticket, report } => self.reported(ticket, report, now),
            Input::Stored { digest } => self.stored(digest),
            Input::Torn { digest } => self.torn(&digest),
            // What follows is that there is room.
            Input::Removed { .. } | Input::Code { .. } => {}
            Input::Fetched { digest, bytes } => self.fetched(&digest, bytes),
            Input::NoSource { digest } => self.no_source(&digest),
            Input::FetchFailed { digest, reason } => self.fetch_failed(&digest, &reason, now),
            Input::Prepared { digest, fuel, result } => self.prepared(&digest, fuel, &result, now),
            Input::Started { instance } => self.started(instance, now),
            Input::Exited { instance, outcome, usage } => self.exited(instance, &outcome, usage, now),
            Input::Usages(of) => self.uses(of),
            Input::RunnerLost { instances, reason } => self.runner_lost(&instances, &reason, now),
            Input::Woke => self.woke(now),
            Input::Leaving => self.leaving = true,
        }
    }

    /// Starts what the disk says should run, before any network is there.
    fn booted(&mut self, now: Now) {
        self.booted = true;
        self.restore_evidence();
        // Those first that had a place in the node's memory, the oldest of them first.
        let pushed = self.ledger.held().keys().filter_map(IntentKey::component);
        let declared = self.declared.in_force().into_iter().flat_map(|of| of.manifest.components().keys());
        let names: BTreeSet<&ComponentName> = pushed.chain(declared).collect();
        let order = |name: &ComponentName| (self.waited(name), self.rank_of(name), name.clone());
        let mut order: Vec<_> = names.into_iter().map(order).collect();
        order.sort();
        for (_, _, name) in order {
            self.follow(&name, &[], now);
        }
        self.manifest_held(&[], now);
        // Once for all: nobody has ended meanwhile.
        self.make_room(now);
        self.tidy_up();
        self.say_hello();
        self.dial_due(now);
    }

    fn woke(&mut self, now: Now) {
        self.start_due(now);
        self.errands_due(now);
        self.manifest_due(now);
        self.expire_nodes(now);
        self.dial_due(now);
        self.leave_crowded(now);
        self.seek_due(now);
        self.compare_with_somebody(now);
        self.ask_reports_due(now);
    }

    fn dial_due(&mut self, now: Now) {
        if self.booted && !self.leaving {
            let claimed = self.realm().is_some();
            let unheard = |node: &NodeId| self.roster.is_unheard(node);
            self.dialer.dial_due(unheard, claimed, now.mono_ms, &mut self.random, &mut self.out);
        }
    }

    /// When `Woke` is due, in milliseconds since the agent was started.
    #[must_use]
    pub fn next_wake(&self) -> Option<u64> {
        let acts = !self.leaving;
        let unheard = |node: &NodeId| self.roster.is_unheard(node);
        let works = self.works.values().filter(|_| acts).filter_map(Workload::next_wake);
        let others = [
            self.dialer.next_wake(unheard, self.realm().is_some(), self.now_ms).filter(|_| acts),
            self.save_members_at,
            self.seek_at.filter(|_| acts),
            self.next_errand(),
            self.declared.next_wake(),
            self.roster.next_wake(),
            self.neighbours.next_wake(),
            self.next_leave().filter(|_| acts),
            self.realm().and_then(|_| self.reporting.next_wake()),
        ];
        works.chain(others.into_iter().flatten()).min()
    }

    /// Who this node is.
    #[must_use]
    pub fn me(&self) -> NodeId {
        self.me
    }

    /// Which realm it belongs to; none while it is unclaimed.
    #[must_use]
    pub fn realm(&self) -> Option<RealmId> {
        self.ledger.realm()
    }

    /// What it says to every peer.
    #[must_use]
    pub fn hello(&self) -> Hello {
        Hello {
            realm: self.realm(),
            role: Role::Node,
            boot: self.config.boot,
            version: self.config.version.clone(),
            platform: self.config.platform.clone(),
            tags: self.config.tags.clone(),
            addrs: self.dialer.hello_addrs(),
            highest_seq: self.ledger.summary().highest_seq,
            crowded: self.is_crowded(),
        }
    }

    /// Has every hello say what holds by now.
    fn say_hello(&mut self) {
        let hello = self.hello();
        if self.said.as_ref() != Some(&hello) {
            self.said = Some(hello.clone());
            self.out.push(Effect::SetHello(hello));
        }
    }

    /// Writes to the agent's log what somebody else has caused.
    fn say(&mut self, level: Level, text: String, now: Now) {
        self.out.extend(self.chatter.say(level, text, now.mono_ms));
    }
}
