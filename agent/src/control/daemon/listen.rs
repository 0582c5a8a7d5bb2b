//! Which addresses the mesh listens on: those of flags or configuration, with the ports of the last time where the
//! system may choose, so that addresses that others have saved stay good.

use super::journal::log;
use crate::control::node::Level;
use shared::mesh::{Mesh, MeshConfig, MeshError, MeshEvent, MeshTask};
use smol::Executor;
use smol::channel::Sender;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// Without any flag: every interface, over QUIC and over TCP for networks that drop UDP.
const DEFAULT_LISTEN: [&str; 2] = ["/ip4/0.0.0.0/udp/0/quic-v1", "/ip4/0.0.0.0/tcp/0"];

/// The last line of the file of ports: without it the end is missing, and with it perhaps digits of a port.
const END: &str = "end\n";

/// Lines of the file of ports that are read.
const MAX_PORTS: usize = 64;

/// The port of an address that leaves it to the system; the rest of the address before and behind it.
fn split_port(addr: &str) -> Option<(&str, &str, &str)> {
    let at = addr.find("/udp/").or_else(|| addr.find("/tcp/"))? + "/udp/".len();
    let end = addr[at..].find('/').map_or(addr.len(), |length| at + length);
    Some((&addr[..at], &addr[at..end], &addr[end..]))
}

fn with_port(addr: &str, port: &str) -> String {
    split_port(addr).map_or_else(|| addr.to_owned(), |(before, _, behind)| format!("{before}{port}{behind}"))
}

/// Starts the mesh on the wanted addresses. A remembered port that is taken is replaced and logged.
///
/// # Errors
/// An address that was asked for by its port is taken.
pub(super) async fn start(
    wanted: &[String],
    ports_file: &Path,
    mut config: MeshConfig,
    executor: &Arc<Executor<'static>>,
    events: &Sender<MeshEvent>,
) -> Result<(Mesh, Vec<String>, MeshTask), String> {
    let defaults = DEFAULT_LISTEN.map(str::to_owned);
    let wanted = if wanted.is_empty() { &defaults[..] } else { wanted };
    let mut remembered = remembered(ports_file);
    for _ in 0..=wanted.len() {
        config.listen =
            wanted.iter().map(|addr| remembered.get(addr).map_or(addr.clone(), |port| with_port(addr, port))).collect();
        let copy = MeshConfig {
            seed: config.seed,
            hello: config.hello.clone(),
            listen: config.listen.clone(),
            lan: config.lan,
            limits: config.limits,
        };
        match Mesh::start(copy, Arc::clone(executor), events.clone()).await {
            Ok((mesh, bound, task)) => {
                remember(ports_file, wanted, &bound);
                return Ok((mesh, bound, task));
            }
            Err(MeshError::Listen { addr, reason }) => {
                let given_up = wanted
                    .iter()
                    .find(|wanted| remembered.get(*wanted).is_some_and(|port| with_port(wanted, port) == addr));
                let Some(given_up) = given_up else {
                    return Err(format!(
                        "cannot listen on `{addr}`: {reason}\nhint: choose another port with `--listen`"
                    ));
                };
                log(
                    Level::Warn,
                    &format!("`{addr}`, used the last time, cannot be had ({reason}); another port is used"),
                );
                remembered.remove(given_up);
            }
            Err(error) => return Err(format!("cannot start the mesh: {error}")),
        }
    }
    Err("cannot start the mesh: no address could be had".into())
}

/// Lines of `WANTED PORT`, and the end. What is not readable is named and as good as not there: the system then chooses again.
fn remembered(file: &Path) -> BTreeMap<String, String> {
    if !file.exists() {
        return BTreeMap::new();
    }
    let text = std::fs::read(file).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let line = |line: &str| {
        let (wanted, port) = line.split_once(' ')?;
        let chosen_by_system = split_port(wanted).is_some_and(|(_, wanted, _)| wanted == "0");
        (chosen_by_system && port.parse::<u16>().is_ok()).then(|| (wanted.to_owned(), port.to_owned()))
    };
    let whole = text.strip_suffix(END);
    let kept = whole.unwrap_or_else(|| text.rsplit_once('\n').map_or("", |(kept, _)| kept));
    let lines: Vec<_> = kept.lines().take(MAX_PORTS).map(line).collect();
    if lines.contains(&None) || whole.is_none() {
        log(Level::Warn, &format!("`{}` is unreadable in part; other ports may be used", file.display()));
    }
    lines.into_iter().flatten().collect()
}

/// Writes which port the system chose for each address, when that is news.
fn remember(file: &Path, wanted: &[String], bound: &[String]) {
    let mut text = String::new();
    for addr in wanted {
        let Some((before, "0", behind)) = split_port(addr) else { continue };
        // `/ip4/0.0.0.0` is bound as the addresses of the interfaces: compare the transport.
        let transport = &before[before.len() - "/udp/".len()..];
        let same = |bound: &&String| {
            split_port(bound).is_some_and(|(start, _, rest)| start.ends_with(transport) && rest.starts_with(behind))
        };
        let port = bound
            .iter()
            .filter(|bound| before.contains("0.0.0.0") || before.contains("/ip6/::") || bound.starts_with(before));
        if let Some((_, port, _)) = port.filter(same).find_map(|bound| split_port(bound)) {
            text.push_str(&format!("{addr} {port}\n"));
        }
    }
    text.push_str(END);
    if std::fs::read_to_string(file).is_ok_and(|before| before == text) {
        return;
    }
    if let Err(error) = shared::files::replace(file, text.as_bytes(), 0o600) {
        log(Level::Warn, &format!("cannot remember the ports in `{}`: {error}", file.display()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_kept_for_what_was_wanted() -> std::io::Result<()> {
        let dir = tempfile::tempdir()?;
        let file = dir.path().join("ports");
        let wanted = ["/ip4/0.0.0.0/udp/0/quic-v1".to_owned(), "/ip4/127.0.0.1/tcp/0".to_owned()];
        let bound = ["/ip4/127.0.0.1/udp/4001/quic-v1/p2p/x".to_owned(), "/ip4/127.0.0.1/tcp/4002/p2p/x".to_owned()];
        remember(&file, &wanted, &bound);
        let kept = remembered(&file);
        assert_eq!(with_port(&wanted[0], &kept[&wanted[0]]), "/ip4/0.0.0.0/udp/4001/quic-v1");
        assert_eq!(with_port(&wanted[1], &kept[&wanted[1]]), "/ip4/127.0.0.1/tcp/4002");
        let whole = std::fs::read(&file)?;
        for length in 0..whole.len() {
            std::fs::write(&file, &whole[..length])?;
            assert!(remembered(&file).iter().all(|(wanted, port)| kept.get(wanted) == Some(port)), "cut at {length}");
        }
        std::fs::write(&file, "torn\n/ip4/0.0.0.0/udp/0/quic-v1 99999\n/ip4/1.2.3.4/udp/7/quic-v1 8\n")?;
        assert!(remembered(&file).is_empty());
        Ok(())
    }
}
