//! A process of the node is killed with -9, at each moment of an apply.

use crate::child::Place;
use crate::moments::{Disk, Moments, missing};
use crate::site::{Applying, Site};
use crate::skip::skipped;
use crate::support::signal;
use crate::tally::{Course, Tally};
use rustix::process::Signal;

/// Who is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Victim {
    /// The guard starts another one.
    Control,
    /// Control asks for another one.
    Runner,
    /// The guard, and with it all others.
    Agent,
}

/// At which end of the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    /// It does not happen.
    Before,
    After,
}

fn killed(victim: Victim, at: At, disk: Disk) {
    if let Some(why) = missing() {
        return skipped(&why);
    }
    let mut site = Site::new(&Place::default(), None);
    let mut tally = Tally::default();
    // The last one is found by going past it.
    for number in Course::of_this_run().numbers() {
        let Some((moments, applying, call)) = reach(&mut site, number, at, disk) else { break };
        println!("{number}: {}", site.shortened(&call));
        match victim {
            Victim::Control | Victim::Agent => cut_off(&mut site, moments, applying, victim, &mut tally),
            Victim::Runner => lose_the_runner(&mut site, moments, applying, &mut tally),
        }
        site.assert_whole();
        site.agent.kill();
        // The guard would wait longer each time before it starts a control that was killed.
        site.agent.start_again(&[]);
        site.until_runs(&[site.version], site.version, &|_| true);
    }
    println!("{victim:?} killed {at:?}, {disk:?} disk: {tally}");
    tally.check();
}

/// Applies the next version up to a moment, at which its node stands still; to its end when there is no such moment.
fn reach(site: &mut Site, number: usize, at: At, disk: Disk) -> Option<(Moments, Applying, String)> {
    let mut moments = Moments::of(site.process("control").unwrap(), disk);
    let mut applying = site.begin(site.version + 1);
    for _ in 1..number {
        if moments.next(&mut || applying.has_ended()).is_none() {
            break;
        }
        moments.pass();
        moments.go();
    }
    let Some(call) = moments.next(&mut || applying.has_ended()) else {
        moments.release();
        assert_eq!(applying.until_ended(), Some(0), "{}", applying.said());
        return None;
    };
    if at == At::After {
        moments.pass();
    }
    Some((moments, applying, call))
}

/// Control ends there, and the operator leaves.
fn cut_off(site: &mut Site, moments: Moments, mut applying: Applying, victim: Victim, tally: &mut Tally) {
    let acknowledged = applying.is_acknowledged();
    drop(applying);
    match victim {
        Victim::Control | Victim::Runner => {
            moments.kill();
            site.agent.until_ready_again();
        }
        Victim::Agent => {
            site.agent.kill();
            // It sees that its guard is gone when it goes on.
            moments.release();
            site.agent.start_again(&[]);
        }
    }
    tally.judge(site, acknowledged);
    let next = site.version + 1;
    site.apply(next);
}

/// What runs is gone, and comes back. Control goes on, and so does the operator, who may hear that something has failed.
fn lose_the_runner(site: &mut Site, moments: Moments, mut applying: Applying, tally: &mut Tally) {
    signal(site.process("runner").unwrap(), Signal::KILL);
    moments.release();
    let code = applying.until_ended();
    assert!(matches!(code, Some(0 | 3)), "{code:?}: {}", applying.said());
    tally.judge(site, true);
    let next = site.version + 1;
    site.apply(next);
}

#[test]
fn control_is_killed_before_each_call() {
    killed(Victim::Control, At::Before, Disk::Quick);
}

#[test]
fn control_is_killed_after_each_call() {
    killed(Victim::Control, At::After, Disk::Quick);
}

#[test]
fn the_runner_is_killed_before_each_call() {
    killed(Victim::Runner, At::Before, Disk::Quick);
}

#[test]
fn the_agent_is_killed_before_each_call_on_a_slow_disk() {
    killed(Victim::Agent, At::Before, Disk::Slow);
}
