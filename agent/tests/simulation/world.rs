//! The world: one queue of events in virtual time. Whatever a node orders comes back as an event, late or not at all.

use crate::machine::{Machine, Waiting};
use crate::network::{Ask, Packet};
use crate::pushes::Pushes;
use crate::remembered;
use crate::rng::{Rng, mix};
use crate::trace;
use agent::control::node::{Input, Instance, Ticket};
use shared::RunUsage;
use shared::{Digest, NodeId, Outcome};
use std::cmp::Reverse;
use std::collections::binary_heap::PeekMut;
use std::collections::{BTreeMap, BinaryHeap};

/// What a simulation is like.
#[derive(Clone)]
pub struct Plan {
    pub nodes: usize,
    /// So many machines are in the configuration of others.
    pub anchors: usize,
    /// A machine has so many connections at most.
    pub links: usize,
    /// Percent of packets and dials that are lost.
    pub loss: u64,
    pub latency_ms: (u64, u64),
    pub gossip: bool,
    /// A report is passed on to so many neighbours, and not to who has it already. Where that is not what is looked at, most of the
    /// time would go into copies that say nothing.
    pub sparing: Option<usize>,
    /// Percent of packets that come twice.
    pub doubled: u64,
    /// Percent of reports that gossip does not carry. They are most of the traffic, and no state may depend on them.
    pub unheard: u64,
    /// The most reports that come with one answer.
    pub told: usize,
    /// Percent of writes, fetches and compilations that fail.
    pub faults: u64,
    /// Whether the bytes of packets are counted.
    pub weighed: bool,
    /// So many of ten thousand inputs end in a power cut, between any two of the effects that follow from them.
    pub cuts: u64,
}

/// Something that is due.
#[derive(Clone)]
pub enum Event {
    Feed { at: usize, life: u64, input: Input },
    Wake { at: usize, life: u64, due: u64 },
    Written { at: usize, life: u64 },
    Read { at: usize, life: u64, digest: Digest },
    Saved { at: usize, life: u64 },
    Look { at: usize, life: u64, digest: Digest, again: bool },
    Fetched { at: usize, life: u64, digest: Digest },
    Exit { at: usize, life: u64, instance: Instance, outcome: Outcome },
    Arrive { from: usize, to: usize, life: u64, packet: Packet },
    GiveUp { ask: u64 },
    Dialled { from: usize, life: u64, to: Option<usize>, addr: String },
    Greet { a: usize, b: usize },
    Strangers { a: usize, b: usize, id: u64 },
    Notice { at: usize, life: u64, peer: usize },
    Step(crate::script::Step),
}

/// What is due, in order; at the same time, what was planned first. Events are large, and stay where they are.
#[derive(Default)]
struct Queue {
    order: BinaryHeap<Reverse<(u64, u64, usize)>>,
    events: Vec<Option<Event>>,
    free: Vec<usize>,
    queued: u64,
}

impl Queue {
    fn push(&mut self, at: u64, event: Event) {
        let place = self.free.pop().unwrap_or_else(|| {
            self.events.push(None);
            self.events.len() - 1
        });
        self.events[place] = Some(event);
        self.queued += 1;
        self.order.push(Reverse((at, self.queued, place)));
    }

    /// The next one, if it is due by then.
    fn pop(&mut self, until: u64) -> Option<(u64, Event)> {
        let next = self.order.peek_mut().filter(|next| next.0.0 <= until)?;
        let Reverse((at, _, place)) = PeekMut::pop(next);
        self.free.push(place);
        self.events[place].take().map(|event| (at, event))
    }
}

/// What a simulation did.
#[derive(Default, Debug)]
pub struct Figures {
    pub events: u64,
    pub messages: u64,
    /// Of all these messages, where they are weighed.
    pub bytes: u64,
    /// Of these messages: intents and reports in gossip, every copy of them; intents handed over; questions and answers.
    pub intents_passed: u64,
    pub reports_passed: u64,
    pub handovers: u64,
    pub asked_and_told: u64,
    /// Of its own by each node, and with those that it publishes for others.
    pub reports: u64,
    pub published: u64,
    pub pushes: u64,
    /// Manifests that were signed, that came into force on a machine, and that an entry node refused.
    pub applies: u64,
    pub in_force: u64,
    pub refused: u64,
    /// So many machines changed at the same time, at most, and so often one halted.
    pub beside: u64,
    pub halted: u64,
    pub doubled: u64,
    pub fetched: u64,
    pub crashes: u64,
    pub starts: u64,
    /// So often a component got another number of instances, and nothing else of it was changed.
    pub scaled: u64,
    pub writes: u64,
    pub saved_members: u64,
    pub forged: u64,
    pub replayed: u64,
    pub lost_runners: u64,
    /// Components that waited for memory when all was well.
    pub waiting: u64,
}

pub struct World {
    pub plan: Plan,
    pub rng: Rng,
    pub now: u64,
    queue: Queue,
    pub machines: Vec<Machine>,
    pub by_addr: BTreeMap<String, usize>,
    pub by_id: BTreeMap<NodeId, usize>,
    pub links: BTreeMap<(usize, usize), u64>,
    pub links_made: u64,
    /// On which side of a split each machine is.
    pub side: Vec<u8>,
    pub asks: BTreeMap<u64, Ask>,
    pub asked: u64,
    tickets: Ticket,
    pub pushes: Pushes,
    pub figures: Figures,
    /// A digest of everything that has happened, in order.
    pub trace: u64,
}

impl World {
    pub fn new(seed: u64, plan: Plan) -> World {
        remembered::forget();
        World {
            plan,
            rng: Rng::new(seed),
            now: 0,
            queue: Queue::default(),
            machines: Vec::new(),
            by_addr: BTreeMap::new(),
            by_id: BTreeMap::new(),
            links: BTreeMap::new(),
            links_made: 0,
            side: Vec::new(),
            asks: BTreeMap::new(),
            asked: 0,
            tickets: 0,
            pushes: Pushes::new(seed),
            figures: Figures::default(),
            trace: seed,
        }
    }

    pub fn add(&mut self, mut machine: Machine) {
        machine.links = self.plan.links;
        let addr = machine.addr.split("/p2p/").next().unwrap_or_default().to_owned();
        self.by_addr.insert(addr, self.machines.len());
        self.by_id.insert(machine.id, self.machines.len());
        self.machines.push(machine);
        self.side.push(0);
    }

    pub fn after(&mut self, delay_ms: u64, event: Event) {
        self.queue.push(self.now + delay_ms, event);
    }

    pub fn latency(&mut self) -> u64 {
        let (least, most) = self.plan.latency_ms;
        self.rng.between(least, most)
    }

    pub fn ticket(&mut self, at: usize, waiting: Waiting) -> Ticket {
        self.tickets += 1;
        self.machines[at].waiting.insert(self.tickets, waiting);
        self.tickets
    }

    /// Lets time pass until `until`.
    pub fn run(&mut self, until: u64) {
        while let Some((at, event)) = self.queue.pop(until) {
            self.now = at;
            self.figures.events += 1;
            self.happen(event);
        }
        self.now = until;
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Feed { at, life, input } if self.lives(at, life) => self.feed(at, input),
            Event::Wake { at, life, due } if self.lives(at, life) && self.machines[at].wake == Some(due) => {
                self.machines[at].wake = None;
                self.feed(at, Input::Woke);
                let next = self.machines[at].wake;
                assert!(next.is_none_or(|next| next > self.now), "{at} wants to be woken at {next:?} over and over");
            }
            Event::Written { at, life } if self.lives(at, life) => self.written(at),
            Event::Read { at, life, digest } if self.lives(at, life) => self.read(at, digest),
            Event::Saved { at, life } if self.lives(at, life) => self.saved(at),
            Event::Look { at, life, digest, again } if self.lives(at, life) => self.look(at, digest, again),
            Event::Fetched { at, life, digest } if self.lives(at, life) => {
                if self.machines[at].fetching.remove(&digest) {
                    self.machines[at].disk.parts.remove(&digest);
                    self.machines[at].disk.blobs.insert(digest);
                    self.feed(at, Input::Stored { digest });
                }
            }
            Event::Exit { at, life, instance, outcome } if self.lives(at, life) => {
                if let Some(live) = self.machines[at].live.remove(&instance) {
                    if outcome == Outcome::Completed {
                        let completed = &mut self.machines[at].past.completed;
                        completed.entry(live.spec.name.clone()).or_default().push(live.spec);
                    }
                    let usage = RunUsage { memory_peak_bytes: 1 << 20, ..RunUsage::default() };
                    self.feed(at, Input::Exited { instance, outcome, usage });
                }
            }
            Event::Arrive { from, to, life, packet } if self.lives(to, life) && self.is_linked(from, to) => {
                self.arrive(from, to, packet);
            }
            Event::GiveUp { ask } => self.answered(ask, Err("no answer".into())),
            Event::Dialled { from, life, to, addr } if self.lives(from, life) => self.dialled(from, to, addr),
            Event::Greet { a, b } if self.is_linked(a, b) => self.greet(a, b),
            Event::Strangers { a, b, id } => self.strangers(a, b, id),
            Event::Notice { at, life, peer } if self.lives(at, life) => self.notice(at, peer),
            Event::Step(step) => self.step(step),
            _ => {}
        }
    }

    pub fn lives(&self, at: usize, life: u64) -> bool {
        self.machines[at].life == life && self.machines[at].node.is_some()
    }

    /// Gives a node an input, carries out what it orders, and checks what must always hold.
    pub fn feed(&mut self, at: usize, input: Input) {
        let machine = &mut self.machines[at];
        let now = machine.now(self.now);
        machine.observe(&input, self.now);
        trace::input(at, self.now, &input);
        let Some(node) = &mut machine.node else { return };
        let effects = node.handle(input, now);
        let wake = node.next_wake().map(|wake| (machine.started_ms + wake).max(self.now));
        self.trace = mix(self.trace ^ mix(self.now) ^ at as u64);
        let cut = self.rng.below(10_000) < self.plan.cuts;
        let obeyed = if cut { self.rng.index(effects.len() + 1) } else { effects.len() };
        for effect in effects.into_iter().take(obeyed) {
            trace::order(at, self.now, &effect);
            self.obey(at, effect);
        }
        if cut {
            return self.crash_at(at);
        }
        let machine = &mut self.machines[at];
        if machine.wake != wake {
            machine.wake = wake;
            let life = machine.life;
            if let Some(due) = wake {
                self.after(due - self.now, Event::Wake { at, life, due });
            }
        }
    }
}
