//! The swarm task: waits for the next input (the swarm, a hello, a resolved name, a command, a deadline), changes its
//! state, and delivers the events that follow before it takes the next one.

use super::addr::{self, Addr};
use super::dials::{Dials, Resolving};
use super::gated::Gated;
use super::gossip;
use super::hello::{Exchange, Step};
use super::lan::{Heard, Lan};
use super::limits::{LISTEN_TIMEOUT, Limits, MAX_NEGOTIATING};
use super::peer::{self, Peer};
use super::streams::Streams;
use super::task::Connections;
use super::{Command, MeshConfig, MeshError, MeshEvent, transport};
use crate::{Hello, NodeId};
use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt, future, pin_mut, select};
use libp2p::core::muxing::StreamMuxerBox;
use libp2p::core::transport::{Boxed, ListenerId};
use libp2p::identity::Keypair;
use libp2p::swarm::{Config, NetworkBehaviour, Swarm, SwarmEvent};
use libp2p::{Multiaddr, PeerId, identify, multiaddr};
use smol::Timer;
use smol::channel::{Receiver, Sender};
use std::collections::{HashMap, VecDeque};
use std::ops::ControlFlow;

/// What the swarm does for us. Streams come last: they count connections that no other part can deny any more.
#[derive(NetworkBehaviour)]
pub(super) struct Behaviour {
    pub(super) gossip: Gated,
    identify: identify::Behaviour,
    lan: Lan,
    pub(super) streams: Streams,
}

/// The state of the swarm task.
pub(super) struct Node {
    pub(super) swarm: Swarm<Behaviour>,
    pub(super) local: NodeId,
    pub(super) hello: Hello,
    pub(super) limits: Limits,
    /// Who is connected; bounded by the number of connections.
    pub(super) peers: HashMap<PeerId, Peer>,
    pub(super) dials: Dials,
    /// Bounded by the hello streams that a connection may have.
    pub(super) exchanges: FuturesUnordered<Exchange>,
    /// Bounded by the number of dials.
    pub(super) resolving: FuturesUnordered<Resolving>,
    /// Events of the input that is being handled; empty before the next one is taken.
    pub(super) outbox: VecDeque<MeshEvent>,
    commands: Receiver<Command>,
    /// Closed when the mesh should end.
    stop: Receiver<()>,
    events: Sender<MeshEvent>,
}

/// What the task waits for.
enum Input {
    Swarm(Box<SwarmEvent<BehaviourEvent>>),
    Step(Box<Step>),
    Resolved(u64, Result<Vec<Multiaddr>, String>),
    Command(Command),
    Deadline,
    Stop,
}

/// The swarm of `config`, whose tasks `connections` owns.
pub(super) fn swarm(config: &MeshConfig, connections: Connections) -> Result<Swarm<Behaviour>, MeshError> {
    let keypair = Keypair::ed25519_from_bytes(config.seed).map_err(|error| MeshError::Setup(error.to_string()))?;
    let transport = transport::build(&keypair, &config.limits)?;
    swarm_over(transport, keypair, config, connections)
}

/// The same over another transport: a crowd of swarms in one process needs no sockets.
pub(super) fn swarm_over(
    transport: Boxed<(PeerId, StreamMuxerBox)>,
    keypair: Keypair,
    config: &MeshConfig,
    connections: Connections,
) -> Result<Swarm<Behaviour>, MeshError> {
    // No addresses are kept of whom we met: the application knows where its members are.
    let identify = identify::Config::new("realm/1".into(), keypair.public())
        .with_agent_version(agent_version(&config.hello))
        .with_cache_size(0);
    let behaviour = Behaviour {
        identify: identify::Behaviour::new(identify),
        lan: Lan::new(keypair.public().to_peer_id(), config.lan),
        streams: Streams::new(&config.limits),
        gossip: Gated::new(gossip::build()?),
    };
    let swarm = Config::with_executor(move |future| connections.spawn(future))
        .with_max_negotiating_inbound_streams(MAX_NEGOTIATING);
    Ok(Swarm::new(transport, behaviour, keypair.public().to_peer_id(), swarm))
}

fn agent_version(hello: &Hello) -> String {
    let tags: Vec<_> = hello.tags.iter().map(ToString::to_string).collect();
    format!("realm/{} ({})", hello.version, tags.join(","))
}

impl Node {
    pub(super) fn new(
        swarm: Swarm<Behaviour>,
        MeshConfig { hello, limits, .. }: MeshConfig,
        commands: Receiver<Command>,
        stop: Receiver<()>,
        events: Sender<MeshEvent>,
    ) -> Node {
        let local = peer::node_id(swarm.local_peer_id()).unwrap_or(NodeId::from_bytes([0; 32]));
        let mut node = Node {
            swarm,
            local,
            hello: Hello { realm: None, ..hello.clone() },
            limits,
            peers: HashMap::new(),
            dials: Dials::default(),
            exchanges: FuturesUnordered::new(),
            resolving: FuturesUnordered::new(),
            outbox: VecDeque::new(),
            commands,
            stop,
            events,
        };
        node.on_set_hello(hello);
        let fault = node.swarm.behaviour_mut().lan.take_fault();
        node.outbox.extend(fault.map(|reason| MeshEvent::NoLan { reason }));
        node
    }

    /// Binds every address, and waits until each listener knows at least one that it is reached under.
    pub(super) async fn listen(&mut self, texts: &[String]) -> Result<Vec<String>, MeshError> {
        let mut waiting = HashMap::new();
        for text in texts {
            let fault = |reason: String| MeshError::Listen { addr: text.clone(), reason };
            let (multiaddr, addr) = Addr::for_listening(text)?;
            addr::check_tcp_port(&addr).map_err(|error| fault(error.to_string()))?;
            let id = self.swarm.listen_on(multiaddr).map_err(|error| fault(addr::listen_reason(&error)))?;
            waiting.insert(id, (text.clone(), addr));
        }
        let late = FutureExt::fuse(Timer::after(LISTEN_TIMEOUT));
        pin_mut!(late);
        let mut bound = Vec::new();
        while !waiting.is_empty() {
            let event = select! {
                event = self.swarm.select_next_some() => event,
                _ = late => return Err(no_address(waiting)),
            };
            self.on_listening(event, &mut waiting, &mut bound)?;
        }
        // A wildcard has an address on each interface; those that are known already belong to the answer.
        while let Some(event) = self.swarm.select_next_some().now_or_never() {
            self.on_listening(event, &mut waiting, &mut bound)?;
        }
        Ok(bound)
    }

    fn on_listening(
        &mut self,
        event: SwarmEvent<BehaviourEvent>,
        waiting: &mut HashMap<ListenerId, (String, Addr)>,
        bound: &mut Vec<String>,
    ) -> Result<(), MeshError> {
        let (id, reason) = match event {
            SwarmEvent::NewListenAddr { listener_id, address } => {
                waiting.remove(&listener_id);
                bound.push(self.with_local(address));
                return Ok(());
            }
            SwarmEvent::ListenerClosed { listener_id, reason, .. } => {
                (listener_id, reason.err().map_or_else(|| "the listener closed".into(), |error| error.to_string()))
            }
            SwarmEvent::ListenerError { listener_id, error } => (listener_id, error.to_string()),
            other => {
                self.on_swarm(other);
                return Ok(());
            }
        };
        match waiting.remove(&id) {
            Some((addr, _)) => Err(MeshError::Listen { addr, reason }),
            None => Ok(()),
        }
    }

    pub(super) async fn run(mut self: Box<Self>) {
        while self.deliver().await.is_continue() {
            match self.next_input().await {
                Input::Swarm(event) => self.on_swarm(*event),
                Input::Step(step) => self.on_step(*step),
                Input::Resolved(dial, found) => self.on_resolved(dial, found),
                Input::Command(command) => self.on_command(command),
                Input::Deadline => self.on_deadline(),
                Input::Stop => break,
            }
        }
        self.close_all().await;
    }

    /// Waits for room in the channel of events, and breaks when there is nobody left to tell.
    async fn deliver(&mut self) -> ControlFlow<()> {
        while let Some(event) = self.outbox.pop_front() {
            let send = self.events.send(event).map(|sent| sent.is_ok());
            let stop = self.stop.recv().map(|_| false);
            pin_mut!(send, stop);
            if !future::select(stop, send).await.factor_first().0 {
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    }

    async fn next_input(&mut self) -> Input {
        let deadline = self.peers.values().filter_map(Peer::wakes).min();
        let timer = FutureExt::fuse(deadline.map_or_else(Timer::never, Timer::at));
        let stop = self.stop.recv().fuse();
        let commands = &self.commands;
        let command = async move {
            match commands.recv().await {
                Ok(command) => command,
                // No handle is left; peers and events still are.
                Err(_) => future::pending().await,
            }
        };
        let command = command.fuse();
        pin_mut!(timer, stop, command);
        select! {
            _ = stop => Input::Stop,
            event = self.swarm.select_next_some() => Input::Swarm(Box::new(event)),
            step = self.exchanges.select_next_some() => Input::Step(Box::new(step)),
            (dial, found) = self.resolving.select_next_some() => Input::Resolved(dial, found),
            command = command => Input::Command(command),
            _ = timer => Input::Deadline,
        }
    }

    fn on_swarm(&mut self, event: SwarmEvent<BehaviourEvent>) {
        match event {
            SwarmEvent::ConnectionEstablished { peer_id, connection_id, endpoint, .. } => {
                self.on_established(peer_id, connection_id, &endpoint);
            }
            SwarmEvent::ConnectionClosed { peer_id, connection_id, .. } => self.on_closed(peer_id, connection_id),
            SwarmEvent::OutgoingConnectionError { connection_id, peer_id, error } => {
                self.on_dial_error(connection_id, peer_id, &error);
            }
            SwarmEvent::NewListenAddr { address, .. } => {
                let addr = self.with_local(address);
                self.outbox.push_back(MeshEvent::NewAddr { addr });
            }
            SwarmEvent::ExpiredListenAddr { address, .. } => {
                let addr = self.with_local(address);
                self.outbox.push_back(MeshEvent::LostAddr { addr });
                self.try_all();
            }
            SwarmEvent::Behaviour(BehaviourEvent::Lan(Heard::Found(found))) => {
                self.outbox.extend(found.into_iter().map(|(peer, addrs)| MeshEvent::Found { peer, addrs }));
            }
            SwarmEvent::Behaviour(BehaviourEvent::Lan(Heard::Lost(addrs))) => {
                self.outbox.extend(addrs.into_iter().map(|addr| MeshEvent::Lost { addr }));
            }
            SwarmEvent::Behaviour(BehaviourEvent::Streams(inbound)) => self.on_inbound(inbound),
            SwarmEvent::Behaviour(BehaviourEvent::Gossip(event)) => self.on_gossip(event),
            _ => {}
        }
    }

    fn on_command(&mut self, command: Command) {
        match command {
            Command::Dial(addrs) => self.on_dial(addrs),
            Command::Publish { topic, data } => self.on_publish(topic, data),
            Command::Verdict { id, verdict } => self.on_verdict(&id, verdict),
            Command::SetHello(hello) => self.on_set_hello(*hello),
            Command::AskLan => self.swarm.behaviour_mut().lan.ask(),
            Command::DropPeer(node) => {
                if let Some(peer) = peer::peer_id(&node) {
                    self.drop_peer(peer);
                }
            }
            Command::Open { peer, protocol, reply } => match peer::peer_id(&peer) {
                Some(peer) => self.swarm.behaviour_mut().streams.open(peer, None, protocol, reply),
                None => drop(reply.send(Err(MeshError::NotConnected))),
            },
        }
    }

    fn with_local(&self, address: Multiaddr) -> String {
        address.with(multiaddr::Protocol::P2p(*self.swarm.local_peer_id())).to_string()
    }

    /// Says goodbye: a peer learns at once, instead of after ten silent seconds. The caller bounds the time.
    async fn close_all(&mut self) {
        let peers: Vec<_> = self.peers.keys().copied().collect();
        for peer in peers {
            self.drop_peer(peer);
        }
        while self.swarm.network_info().num_peers() > 0 {
            self.swarm.select_next_some().await;
        }
        // QUIC counts as closed before its goodbye is sent, which a task of the runtime does. That task was woken before
        // this one: when this one is over, the packets have left, even if the process exits at once.
        let _ = tokio::spawn(async {}).await;
    }
}

fn no_address(waiting: HashMap<ListenerId, (String, Addr)>) -> MeshError {
    let addr = waiting.into_values().next().map_or_else(String::new, |(text, _)| text);
    MeshError::Listen { addr, reason: format!("no address within {} s", LISTEN_TIMEOUT.as_secs()) }
}
