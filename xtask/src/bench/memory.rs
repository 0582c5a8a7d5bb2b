//! What agents hold in memory while they transfer a very large component: the most that each of their daemons ever had,
//! beyond what it had before. It must not grow with the size of an artifact.

use std::env;

use super::{AGENTS, Figures, stored, verdict};
use crate::Failure;
use crate::cluster::Cluster;
use crate::payload;
use crate::proc;
use crate::workspace::Programs;

/// Ten times what a large component has.
const SIZE: u64 = 512 * 1024 * 1024;
/// Pushed before: code that runs for the first time is read into memory, and is no memory of the transfer.
const FIRST_SIZE: u64 = 4 * 1024 * 1024;
/// What a daemon may hold beyond that, in MiB.
const TARGET_MIB: f64 = 16.0;

/// Of one daemon, in MiB.
struct Held {
    before: f64,
    most: f64,
}

/// Pushes and asks the system, which is possible on Linux.
pub(super) fn measure(programs: &Programs) -> Result<Figures, Failure> {
    println!("a push of {} MiB to {AGENTS} agents, for their memory", SIZE >> 20);
    let cluster = Cluster::formed_of(AGENTS, programs, &env::temp_dir())?;
    stored::push(&cluster, &payload::write(&cluster.folder, FIRST_SIZE, 1)?, &[])?;
    let daemons = match daemons(&cluster) {
        Ok(daemons) => daemons,
        Err(why) => {
            cluster.stop()?;
            return Ok(Figures { text: format!("\nmemory: SKIPPED: {why}\n"), json: "\"memory\":null".into() });
        }
    };
    let payload = payload::write(&cluster.folder, SIZE, 2)?;
    daemons.iter().try_for_each(|pid| proc::forget_peak(*pid))?;
    let before = daemons.iter().map(|pid| proc::resident_kib(*pid)).collect::<Result<Vec<_>, _>>()?;
    // The compiler may find it too large, which is no matter here.
    let times = stored::push(&cluster, &payload, &["--detach"])?;
    let most = daemons.iter().map(|pid| proc::peak_kib(*pid)).collect::<Result<Vec<_>, _>>()?;
    cluster.stop()?;
    let mib = |kib: u64| kib as f64 / 1024.0;
    let held: Vec<Held> =
        before.iter().zip(&most).map(|(before, most)| Held { before: mib(*before), most: mib(*most) }).collect();
    println!("it took {:.1} s", times.stored.as_secs_f64());
    Ok(Figures { text: table(&held), json: json(&held) })
}

/// The processes that hold keys and mesh.
fn daemons(cluster: &Cluster) -> Result<Vec<u32>, Failure> {
    let guards = cluster.agents.iter().map(|agent| agent.pid);
    let daemon = |guard: u32| proc::family(guard).into_iter().find(|pid| proc::kind(*pid) == "control");
    guards.map(|guard| daemon(guard).ok_or_else(|| "no daemon in /proc".to_owned())).collect()
}

/// The one that grew most.
fn growth(held: &[Held]) -> f64 {
    held.iter().map(|held| held.most - held.before).fold(0.0, f64::max)
}

fn table(held: &[Held]) -> String {
    let title = format!("{} MiB to {AGENTS}: daemon, MiB", SIZE >> 20);
    let mut text = format!("\n{title:32} {:>9} {:>9} {:>9}\n", "before", "most", "growth");
    for (index, held) in held.iter().enumerate() {
        let (name, growth) = (format!("node {}", index + 1), held.most - held.before);
        text.push_str(&format!("{name:32} {:>9.1} {:>9.1} {growth:>9.1}\n", held.before, held.most));
    }
    let growth = growth(held);
    let met = verdict(growth <= TARGET_MIB);
    text.push_str(&format!("{:32} {growth:>9.1}   target {TARGET_MIB:.0}, {met}\n", "most growth"));
    text
}

fn json(held: &[Held]) -> String {
    let node = |held: &Held| format!("{{\"before_mib\":{:.1},\"most_mib\":{:.1}}}", held.before, held.most);
    let nodes: Vec<String> = held.iter().map(node).collect();
    format!("\"memory\":{{\"bytes\":{SIZE},\"growth_mib\":{:.1},\"daemons\":[{}]}}", growth(held), nodes.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_one_that_grew_most_counts() {
        let held = |most| Held { before: 20.0, most };
        assert!(table(&[held(22.0), held(36.5)]).contains("MISSED"));
        assert!(table(&[held(22.0), held(30.0)]).contains("met"));
        assert!(json(&[held(30.0)]).contains("\"growth_mib\":10.0"));
    }
}
