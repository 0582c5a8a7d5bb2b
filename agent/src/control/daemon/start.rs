//! From a data directory and flags to a daemon that serves. What the last run left is taken up before any network is
//! there.

use super::journal::log;
use super::{Crew, Daemon, Inboxes, MAX_EVENTS, listen};
use crate::args::{AgentArgs, check_addrs};
use crate::control::artifacts::Artifacts;
use crate::control::host::{self, Host, HostConfig, HostOrder};
use crate::control::http::Http;
use crate::control::logs::{self, Logs};
use crate::control::node::{Config, Forces, Held, Input, Level, Node, Restored, Usage};
use crate::control::store::{Loaded, Store, StorePaths, endpoint_file, load, set_aside};
use crate::machine;
use shared::mesh::{Limits, MeshConfig};
use shared::{Artifact, BUILD_FLOOR_UNIX_MS, Digest, Hello, Role, Trust, open};
use smol::Executor;
use smol::channel::bounded;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Of the machine's memory, what all components may take together.
const BUDGET_PERCENT: u64 = 80;

/// Artifacts that nothing names and that are removed at one start: the queues of the edges have room for as many. The next
/// start removes more.
const MAX_STRAYS: usize = 128;

pub(super) async fn start(
    args: &AgentArgs,
    paths: &StorePaths,
    guard: UnixStream,
    executor: &Arc<Executor<'static>>,
) -> Result<(Daemon, Inboxes), String> {
    let mut loaded = load(paths).map_err(|error| error.to_string())?;
    let trust = trust(args, paths, &loaded)?;
    let (bootstrap, wanted) = addresses(args, paths, &loaded)?;
    let (store_events, store) = bounded(MAX_EVENTS);
    let store_edge = Store::start(paths.clone(), store_events).map_err(no_thread)?;
    let logs_edge = Logs::open(&paths.logs()).map_err(|error| format!("cannot open the logs: {error}"))?;
    let (host_events, host_inbox) = bounded(MAX_EVENTS);
    let host_config = HostConfig { cwasm: paths.cwasm(), seed: loaded.seed };
    let host_edge = Host::start(guard, host_config, host_events).map_err(no_thread)?;

    let config = node_config(args, &loaded, bootstrap);
    let (mesh_events, mesh) = bounded(MAX_EVENTS);
    let hello = first_hello(&config, &trust);
    let mesh_config = MeshConfig {
        seed: loaded.seed,
        hello,
        listen: Vec::new(),
        lan: !args.no_mdns,
        limits: Limits::for_memory(machine::memory_bytes()),
    };
    let (mesh_edge, bound, mesh_task) =
        listen::start(&wanted, &paths.ports(), mesh_config, executor, &mesh_events).await?;
    let (artifact_events, artifacts) = bounded(MAX_EVENTS);
    let artifacts_edge = Artifacts::start(&paths.blobs(), executor, mesh_edge.clone(), artifact_events)
        .map_err(|error| format!("cannot use `{}`: {error}", paths.blobs().display()))?;
    let restored = restore(paths, trust, &mut loaded, &artifacts_edge);
    for warning in &loaded.warnings {
        log(Level::Warn, warning);
    }
    let node = Node::new(config, restored);
    let (http_requests, http) = bounded(MAX_EVENTS);
    let (http_edge, http_addr) = Http::start(args.http, &args.data_dir, http_requests).map_err(|error| {
        format!(
            "cannot serve HTTP on `{}`: {error}\nhint: choose another address with `--http`, or `--http 127.0.0.1:0`",
            args.http
        )
    })?;
    let (word_sender, words) = bounded(MAX_EVENTS);
    let mut daemon = Daemon {
        http: http_edge,
        crew: Crew::new(Arc::clone(executor)),
        artifacts: artifacts_edge,
        mesh: mesh_edge,
        mesh_task,
        host: host_edge,
        logs: Arc::new(logs_edge),
        store: store_edge,
        node,
        words: word_sender,
        waiting: HashMap::new(),
        next_ticket: 0,
        watchers: Vec::new(),
        relayed: Arc::default(),
        asking_usage: Vec::new(),
        running: HashMap::new(),
        tags: args.roles.clone(),
        output_dropped_bytes: 0,
        backlog: VecDeque::new(),
        started: Instant::now(),
        ending: None,
        clock_marker: "/run/systemd/timesync/synchronized".into(),
        drained: false,
    };
    for addr in &bound {
        daemon.feed(Input::Listening { addr: addr.clone() });
    }
    announce(args, &bound, http_addr);
    let _ = daemon.host.order(HostOrder::Ready);
    Ok((daemon, Inboxes { mesh, artifacts, host: host_inbox, store, http, words }))
}

fn no_thread(error: std::io::Error) -> String {
    format!("cannot start a thread: {error}")
}

/// The flag says whom to obey, or the disk does; both must agree. Where somebody was obeyed before, nobody else becomes the
/// owner because a file or a flag is gone.
fn trust(args: &AgentArgs, paths: &StorePaths, loaded: &Loaded) -> Result<Trust, String> {
    match (args.owner, loaded.owner) {
        (Some(flag), Some(bound)) if flag != bound => Err(format!(
            "this node belongs to `{bound}`, and `--owner` names `{flag}`\n\
             hint: `realm configure --owner KEY --force` gives it to another owner"
        )),
        (Some(owner), _) | (None, Some(owner)) => Ok(Trust::Owner(owner)),
        (None, None) if was_owned(loaded) => Err(format!(
            "nothing says whom this node obeys, and there are intents or nodes of an owner: `{}` is lost, or `--owner` was left out\n\
             hint: `realm configure --owner KEY`, or the flag",
            paths.trust().display()
        )),
        (None, None) if args.no_tofu => {
            log(Level::Warn, "this node has no owner and obeys nobody: set one with `realm configure --owner KEY`");
            Ok(Trust::Nobody)
        }
        (None, None) => {
            log(Level::Warn, "this node has no owner: it will obey whoever pushes first (`--no-tofu` forbids that)");
            Ok(Trust::FirstUse)
        }
    }
}

/// Whatever has become of its intents. A node without an owner counts nobody as a member.
fn was_owned(loaded: &Loaded) -> bool {
    !loaded.intents.is_empty() || loaded.lacks_intents || !loaded.members.members.is_empty()
}

/// A board without a battery has to be told the time. It serves all the same, as far as it can.
pub(super) fn tell_of_clock() {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    if seconds < BUILD_FLOOR_UNIX_MS / 1000 {
        let shown = shared::time::utc(seconds);
        log(
            Level::Warn,
            &format!(
                "the clock shows {shown}, which is long past: until it is set, nothing counts as expired or from the future, and before 1975 nobody is reached over QUIC, only over TCP"
            ),
        );
    }
}

/// What to dial and where to listen. Those of the flags have been checked.
fn addresses(args: &AgentArgs, paths: &StorePaths, loaded: &Loaded) -> Result<(Vec<String>, Vec<String>), String> {
    check_addrs(&loaded.config.bootstrap, &loaded.config.listen)
        .map_err(|error| format!("`{}`: {error}", paths.config().display()))?;
    let bootstrap = args.bootstrap.iter().chain(&loaded.config.bootstrap).cloned().collect();
    let wanted = if args.listen.is_empty() { loaded.config.listen.clone() } else { args.listen.clone() };
    Ok((bootstrap, wanted))
}

fn node_config(args: &AgentArgs, loaded: &Loaded, bootstrap: Vec<String>) -> Config {
    let Loaded { seed, boot, .. } = *loaded;
    let store_max_mb = args.store_max_mb.or(loaded.config.store_max_mb);
    let store_max_bytes = || machine::store_bytes(&args.data_dir);
    let memory = machine::memory_bytes();
    let mut random = [0; 8];
    random.copy_from_slice(&Digest::of_parts(&[b"jitter", &seed, &boot.to_be_bytes()]).as_bytes()[..8]);
    Config {
        seed,
        tags: args.roles.clone(),
        version: shared::VERSION.into(),
        platform: shared::platform(),
        boot,
        budget_bytes: memory / 100 * BUDGET_PERCENT,
        store_max_bytes: store_max_mb.map_or_else(store_max_bytes, |mb| u64::from(mb.get()) << 20),
        default_memory_mb: machine::default_memory_mb(memory),
        bootstrap,
        lan: !args.no_mdns,
        max_peers: Limits::for_memory(machine::memory_bytes()).max_connections,
        random_seed: u64::from_be_bytes(random),
    }
}

/// What is said until the node says more, with addresses and the highest sequence.
fn first_hello(config: &Config, trust: &Trust) -> Hello {
    Hello {
        realm: trust.realm(),
        role: Role::Node,
        boot: config.boot,
        version: config.version.clone(),
        platform: config.platform.clone(),
        tags: config.tags.clone(),
        addrs: Vec::new(),
        highest_seq: 0,
        crowded: false,
    }
}

/// Opens what the disk holds. An intent that the owner did not sign, or that is torn, is set aside and named.
fn restore(paths: &StorePaths, trust: Trust, loaded: &mut Loaded, here: &Artifacts) -> Restored {
    let mut intents = Vec::new();
    for (path, bytes) in std::mem::take(&mut loaded.intents) {
        match open(&bytes, &trust) {
            Ok(opened) => intents.push(Held { bytes: bytes.into(), opened }),
            Err(refused) => {
                loaded.lacks_intents = true;
                loaded.warnings.push(set_aside(paths, &path, &refused.to_string()));
            }
        }
    }
    let in_force = in_force(paths, &trust, loaded);
    let named = named(&intents, &in_force);
    let blobs: BTreeSet<_> =
        named.iter().filter(|artifact| here.holds(artifact)).map(|artifact| artifact.digest).collect();
    let runs = std::mem::take(&mut loaded.runs);
    let members = std::mem::take(&mut loaded.members.members);
    let (strays, kept) = Default::default();
    let usage = usage(paths, here);
    let mut restored = Restored { trust, intents, in_force, runs, members, blobs, usage, strays, kept };
    // What an intent that was not taken up named is not for us to remove: it may be put right and back.
    if !loaded.lacks_intents {
        look_for_leftovers(paths, &mut restored, here);
    }
    restored
}

/// What the disk has of each artifact.
fn usage(paths: &StorePaths, here: &Artifacts) -> BTreeMap<Digest, Usage> {
    let of = |(digest, (artifact, aside))| (digest, Usage { artifact, aside, code: 0 });
    let mut usage: BTreeMap<Digest, Usage> = here.usage().into_iter().map(of).collect();
    for (digest, bytes) in host::usage(&paths.cwasm()) {
        usage.entry(digest).or_default().code = bytes;
    }
    usage
}

/// What was in force. When it is lost, the manifest that is held comes into force again as soon as its document is here.
fn in_force(paths: &StorePaths, trust: &Trust, loaded: &mut Loaded) -> Forces {
    let Some(file) = loaded.manifest.take() else { return Forces::default() };
    Forces::open(&file, trust).unwrap_or_else(|why| {
        loaded.lacks_intents = true;
        loaded.warnings.push(set_aside(paths, &paths.manifest(), &why));
        Forces::default()
    })
}

/// All artifacts that are named by what is held and what is in force.
fn named(intents: &[Held], in_force: &Forces) -> BTreeSet<Artifact> {
    let held = intents.iter().flat_map(|held| held.opened.body().payload.artifacts());
    held.chain(in_force.artifacts()).collect()
}

/// What lies in the data directory and may be named by nothing any more.
fn look_for_leftovers(paths: &StorePaths, restored: &mut Restored, here: &Artifacts) {
    let named = named(&restored.intents, &restored.in_force);
    let named: BTreeSet<_> = named.into_iter().map(|artifact| artifact.digest).collect();
    let is_named = |digest: &Digest| named.contains(digest);
    restored.strays = here.unnamed(is_named, MAX_STRAYS);
    restored.strays.extend(host::unnamed(&paths.cwasm(), is_named, MAX_STRAYS - restored.strays.len()));
    restored.kept = logs::kept(&paths.logs()).unwrap_or_default();
    restored.kept.extend(restored.runs.keys().cloned());
}

/// Tells the world, in this order: where the mesh listens, where HTTP is, that everything is up.
fn announce(args: &AgentArgs, bound: &[String], http: std::net::SocketAddr) {
    let endpoint: String = bound.iter().map(|addr| format!("{addr}\n")).collect();
    let path = endpoint_file(&args.data_dir);
    if let Err(error) = shared::files::replace(&path, endpoint.as_bytes(), 0o644) {
        let text = format!("cannot write `{}`: {error}; on this machine, `realm` needs `--via ADDR`", path.display());
        log(Level::Warn, &text);
    }
    let mut text: String = bound.iter().map(|addr| format!("listening {addr}\n")).collect();
    text.push_str(&format!("http {http}\nready\n"));
    // Nobody may be reading; the agent serves all the same.
    let _ = std::io::stdout().write_all(text.as_bytes()).and_then(|()| std::io::stdout().flush());
}
