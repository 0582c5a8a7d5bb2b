//! From a digest to code that can be started, and what may be in the way.

use crate::bench::*;
use agent::control::node::{Input, PrepareError};
use shared::RunUsage;
use shared::{Fuel, Mebibytes, Outcome, Phase, Replicas};

fn with_memory(text: &str, seq: u64, mebibytes: u64) -> Vec<u8> {
    push(seq, |body| {
        body.payload.component.name = name(text);
        body.payload.component.limits.memory_max_mb = Some(Mebibytes::try_from(mebibytes).unwrap());
    })
}

#[test]
fn what_does_not_fit_is_refused_with_numbers() {
    let mut bench = Bench::new();
    bench.run(&with_memory("first", 1, 1_000));
    let effects = bench.accept(&with_memory("second", 2, 25));
    let reason = bench.component("second").reason.unwrap();
    assert_eq!(bench.component("second").phase, Phase::Failed);
    assert!(reason.starts_with("needs 25 MiB, the node has 24 MiB left (hint: "), "{reason}");
    assert_eq!(notes(&effects), [reason]);
    assert!(fetches(&effects).is_empty() && prepares(&effects).is_empty());
    assert_eq!(prepares(&bench.accept(&with_memory("third", 3, 24))).len(), 1);
    // Pushed again smaller, a component makes room by itself.
    assert_eq!(prepares(&bench.accept(&with_memory("first", 4, 900))).len(), 1);
    // After a restart the one that was there first has its room again, whatever the names are.
    let mut restored = after(&with_memory("zeta", 1, 1_000), None);
    restored.intents.push(held(&with_memory("alpha", 2, 100)));
    let bench = Bench::with(restored, |_| {});
    assert_eq!(bench.component("alpha").phase, Phase::Failed);
    assert_eq!(bench.component("zeta").phase, Phase::Compiling);
}

#[test]
fn a_fetch_that_failed_is_tried_again() {
    let mut bench = Bench::new();
    let digest = artifact(1).digest;
    bench.accept(&push(1, |_| {}));
    for pause in [1_250, 2_500, 5_000] {
        let effects = bench.give(Input::FetchFailed { digest, reason: "the disk is full".into() });
        assert_eq!(notes(&effects), ["the disk is full"]);
        let component = bench.component("hello");
        assert_eq!((component.phase, component.reason.as_deref()), (Phase::Backoff, Some("the disk is full")));
        assert_eq!(fetches(&bench.wait(pause)), [digest]);
        assert_eq!(bench.component("hello").phase, Phase::Fetching);
    }
    assert_eq!(prepares(&bench.give(Input::Stored { digest })).len(), 1);
}

#[test]
fn a_fetch_without_a_source_says_so_until_it_goes_on() {
    let mut bench = Bench::new();
    let digest = artifact(1).digest;
    bench.accept(&push(1, |_| {}));
    bench.give(Input::Fetched { digest, bytes: 7 });
    bench.give(Input::NoSource { digest });
    let component = bench.component("hello");
    assert_eq!((component.phase, component.fetched), (Phase::Fetching, Some(7)));
    assert!(component.reason.unwrap().starts_with("no connected node has it"));
    bench.give(Input::Fetched { digest, bytes: 8 });
    assert_eq!((bench.component("hello").fetched, bench.component("hello").reason), (Some(8), None));
}

#[test]
fn compiling_may_be_refused_or_not_be_possible_for_a_while() {
    let mut bench = Bench::new();
    let digest = artifact(1).digest;
    bench.accept(&push(1, |_| {}));
    bench.give(Input::Stored { digest });
    bench.unable(digest);
    let component = bench.component("hello");
    assert_eq!((component.phase, component.reason.as_deref()), (Phase::Compiling, Some("no memory")));
    assert_eq!(prepares(&bench.wait(1_250)).len(), 1);
    bench.give(Input::Prepared { digest, fuel: false, result: Err(PrepareError::Refused("a core module".into())) });
    let component = bench.component("hello");
    assert_eq!((component.phase, component.reason.as_deref()), (Phase::Failed, Some("a core module")));
    assert!(prepares(&bench.wait(600_000)).is_empty(), "it would end the same");
}

#[test]
fn metered_code_is_other_code() {
    let mut bench = Bench::new();
    let digest = artifact(1).digest;
    bench.accept(&push(1, |body| body.payload.component.limits.fuel = Some(Fuel::try_from(5).unwrap())));
    bench.accept(&named("free", 2));
    let ready = bench.give(Input::Stored { digest });
    assert_eq!(prepares(&ready), [(digest, false), (digest, true)]);
    assert_eq!(starts(&bench.give(Input::Prepared { digest, fuel: true, result: Ok(()) })).len(), 1);
    assert_eq!(bench.component("free").phase, Phase::Compiling);
}

#[test]
fn an_audience_reaches_whom_it_names() {
    let mut bench = Bench::new();
    bench.accept(&push(1, |body| body.audience.tags = vec!["dev".parse().unwrap()]));
    bench.accept(&push(2, |body| {
        body.payload.component.name = name("arm-only");
        body.audience.platform = Some("linux/aarch64".into());
    }));
    let me = bench.node.me();
    bench.accept(&push(3, |body| {
        body.payload.component.name = name("mine");
        body.audience.peers = vec![peer(3), me];
    }));
    let names: Vec<String> = bench.node.components().iter().map(|component| component.name.to_string()).collect();
    assert_eq!(names, ["hello", "mine"]);
}

#[test]
fn what_the_disk_has_lost_is_fetched_again() {
    let mut bench = Bench::new();
    let digest = artifact(1).digest;
    bench.run(&push(1, |_| {}));
    assert_eq!(fetches(&bench.give(Input::Torn { digest })), [digest]);
    assert_eq!(bench.component("hello").phase, Phase::Running, "what runs does not need it");
    assert!(fetches(&bench.wait(60_000)).is_empty(), "it is under way");
    bench.give(Input::FetchFailed { digest, reason: "the disk is full".into() });
    assert_eq!(fetches(&bench.wait(1_250)), [digest]);
    assert!(prepares(&bench.give(Input::Stored { digest })).is_empty());
    assert!(fetches(&bench.wait(60_000)).is_empty());
    // Nobody wants this one.
    assert!(fetches(&bench.give(Input::Torn { digest: artifact(2).digest })).is_empty());
}

#[test]
fn what_is_found_to_be_torn_when_it_is_to_be_compiled_is_fetched_first() {
    for failed in [false, true] {
        let mut bench = Bench::new();
        let digest = artifact(1).digest;
        bench.accept(&push(1, |_| {}));
        bench.give(Input::Stored { digest });
        if failed {
            let result = Err(PrepareError::Unable("the disk has changed its artifact".into()));
            bench.give(Input::Prepared { digest, fuel: false, result });
        }
        assert_eq!(fetches(&bench.give(Input::Torn { digest })), [digest]);
        assert_eq!(bench.component("hello").phase, Phase::Fetching);
        assert_eq!(prepares(&bench.give(Input::Stored { digest })).len(), 1);
    }
}

#[test]
fn the_latest_usage_of_each_running_instance_is_kept() {
    let mut bench = Bench::new();
    let twice = push(1, |body| body.payload.component.replicas = Replicas::try_from(2).unwrap());
    let instances = bench.run(&twice);
    let used = |cpu_ms| RunUsage { memory_bytes: 1, memory_peak_bytes: 2, fuel_used: 3, cpu_ms };
    let known = |bench: &Bench| {
        let runs = bench.node.runs(&name("hello")).unwrap();
        runs.live.into_iter().map(|run| run.usage).collect::<Vec<_>>()
    };
    let nothing = RunUsage::default();
    assert_eq!(known(&bench), [nothing, nothing]);
    bench.give(Input::Usages(vec![(instances[1], used(4)), (999, used(5))]));
    bench.give(Input::Usages(vec![(instances[1], used(6))]));
    assert_eq!(known(&bench), [nothing, used(6)]);
    bench.exit(instances[1], Outcome::Completed);
    assert_eq!(known(&bench), [nothing]);
    let ended = bench.node.runs(&name("hello")).unwrap().ended;
    assert_eq!((ended.len(), ended[0].usage.memory_peak_bytes), (1, 7), "its own last word counts");
    bench.give(Input::RunnerLost { instances: vec![instances[0]], reason: "killed".into() });
    let runs = bench.node.runs(&name("hello")).unwrap();
    assert!(runs.ended[0].outcome.to_string().contains("the runner ended: killed"), "{runs:?}");
}
