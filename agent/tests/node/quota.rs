//! What artifacts and compiled code may take on the disk: who gets room, what goes for it, and what never does.

use crate::bench::*;
use crate::pinned::*;
use agent::control::node::{Effect, Input, PrepareError, Restored, Usage};
use shared::{
    Apply, Artifact, Audience, Body, Digest, Past, Phase, Push, RealmId, Role, Rollout, Takeover, Verb, seal,
};

const MIB: u64 = 1 << 20;

/// A node with so many mebibytes for artifacts and code.
fn with_store(mib: u64) -> Bench {
    Bench::with(nothing(), |config| config.store_max_bytes = mib * MIB)
}

fn sized(number: u8, mib: u64) -> Artifact {
    Artifact { size: mib * MIB, ..artifact(number) }
}

/// A push of an artifact of this size.
fn large(text: &str, seq: u64, number: u8, mib: u64, change: impl FnOnce(&mut Push)) -> Vec<u8> {
    push(seq, |body| {
        body.payload.component.name = name(text);
        body.payload.component.artifact = sized(number, mib);
        change(&mut body.payload);
    })
}

fn stored(bench: &mut Bench, number: u8) -> Vec<Effect> {
    bench.give(Input::Stored { digest: artifact(number).digest })
}

fn removed(bench: &mut Bench, number: u8) -> Vec<Effect> {
    bench.give(Input::Removed { digest: artifact(number).digest, gone: true })
}

/// Its code is compiled and takes so much.
fn compiled(bench: &mut Bench, number: u8, mib: u64) -> Vec<Effect> {
    let digest = artifact(number).digest;
    bench.give(Input::Code { digest, bytes: mib * MIB });
    bench.give(Input::Prepared { digest, fuel: false, result: Ok(()) })
}

fn too_large(bench: &mut Bench, number: u8, mib: u64) -> Vec<Effect> {
    let result = Err(PrepareError::TooLarge(mib * MIB));
    bench.give(Input::Prepared { digest: artifact(number).digest, fuel: false, result })
}

fn rooms(effects: &[Effect]) -> Vec<u64> {
    let room = |effect: &Effect| match effect {
        Effect::Prepare { room, .. } => Some(room / MIB),
        _ => None,
    };
    effects.iter().filter_map(room).collect()
}

fn code_drops(effects: &[Effect]) -> Vec<Digest> {
    let digest = |effect: &Effect| match effect {
        Effect::DropCode(digest) => Some(*digest),
        _ => None,
    };
    effects.iter().filter_map(digest).collect()
}

fn stands(bench: &Bench, text: &str) -> (Phase, String) {
    let component = bench.component(text);
    (component.phase, component.reason.unwrap_or_default())
}

fn store_mib(bench: &Bench) -> u64 {
    bench.node.figures().store_bytes / MIB
}

#[test]
fn what_finds_no_room_is_refused_by_name_and_fetched_when_there_is_some() {
    let mut bench = with_store(100);
    assert_eq!(fetches(&bench.accept(&large("first", 1, 1, 60, |_| {}))), [artifact(1).digest]);
    assert_eq!(store_mib(&bench), 60, "what is to come counts");
    let effects = bench.accept(&large("second", 2, 2, 41, |_| {}));
    assert!(fetches(&effects).is_empty());
    let (phase, reason) = stands(&bench, "second");
    assert_eq!(phase, Phase::Failed);
    assert!(reason.contains("needs 41 MiB, the store has 40 MiB of 100 MiB left"), "{reason}");
    assert!(reason.contains("--store-max-mb") && reason.len() <= shared::MAX_DETAIL_BYTES, "{reason}");
    assert!(logs(&effects).iter().any(|line| line.contains("`second`")), "{effects:?}");
    assert_eq!(notes(&effects).len(), 1);
    // Others do not suffer.
    assert_eq!(fetches(&bench.accept(&large("third", 3, 3, 10, |_| {}))), [artifact(3).digest]);
    stored(&mut bench, 3);
    assert_eq!(starts(&compiled(&mut bench, 3, 1)).len(), 1);
    // Nothing is asked again and again, nor said.
    let waited = bench.wait(3_600_000);
    assert!(fetches(&waited).iter().all(|digest| *digest != artifact(2).digest) && notes(&waited).is_empty());
    assert!(dials(&waited).is_empty());
    // Something is removed: it is fetched when that is gone.
    let removal = push(4, |body| body.payload.component.name = name("first"));
    let body = held(&removal).opened.body().clone();
    let body = body.map(|_| shared::Remove { name: name("first") });
    let effects = bench.accept(&seal(&owner(), &body).unwrap());
    assert_eq!((drops(&effects), fetches(&effects)), (vec![artifact(1).digest], vec![]));
    let (phase, reason) = stands(&bench, "second");
    assert_eq!(phase, Phase::Fetching, "{reason}");
    assert!(reason.contains("41 MiB"), "{reason}");
    assert_eq!(fetches(&removed(&mut bench, 1)), [artifact(2).digest]);
    assert_eq!(stands(&bench, "second"), (Phase::Fetching, String::new()));
    assert_eq!(store_mib(&bench), 52);
}

#[test]
fn what_never_fits_is_told_so_and_one_that_is_stopped_waits_no_longer() {
    let mut bench = with_store(100);
    bench.accept(&large("large", 1, 1, 101, |_| {}));
    assert!(stands(&bench, "large").1.contains("needs 101 MiB, the store may have 100 MiB"));
    bench.accept(&large("large", 2, 1, 101, |push| push.verb = Some(Verb::Stop)));
    assert_eq!(stands(&bench, "large").0, Phase::Stopped);
    assert!(fetches(&bench.accept(&large("small", 3, 2, 1, |_| {}))).len() == 1);
}

#[test]
fn a_replacement_gets_the_room_of_what_it_replaces() {
    let mut bench = with_store(100);
    bench.accept(&large("hello", 1, 1, 60, |_| {}));
    stored(&mut bench, 1);
    compiled(&mut bench, 1, 10);
    let effects = bench.accept(&large("hello", 2, 2, 50, |_| {}));
    assert_eq!((drops(&effects), fetches(&effects)), (vec![artifact(1).digest], vec![]));
    assert_eq!(stands(&bench, "hello").0, Phase::Fetching);
    assert_eq!(fetches(&removed(&mut bench, 1)), [artifact(2).digest]);
}

#[test]
fn code_of_what_does_not_run_goes_and_of_what_runs_never() {
    let mut bench = with_store(100);
    for (at, text) in (1..).zip(["stopped", "runs"]) {
        bench.accept(&large(text, u64::from(at), at, 20, |_| {}));
        stored(&mut bench, at);
        compiled(&mut bench, at, 20);
    }
    let stop = |push: &mut Push| (push.verb, push.component.start) = (Some(Verb::Stop), false);
    let effects = bench.accept(&large("stopped", 3, 1, 20, stop));
    let instance = stops(&effects)[0];
    // As long as it has not ended, its code is left alone.
    bench.accept(&large("new", 4, 3, 40, |_| {}));
    assert_eq!(stands(&bench, "new").0, Phase::Failed);
    let effects = bench.exit(instance, shared::Outcome::Stopped);
    assert_eq!((code_drops(&effects), fetches(&effects)), (vec![artifact(1).digest], vec![artifact(3).digest]));
    assert!(drops(&effects).is_empty(), "an intent names its artifact");
    // Nothing else can go for another one.
    bench.accept(&large("more", 5, 4, 1, |_| {}));
    assert_eq!(stands(&bench, "more").0, Phase::Failed);
    assert_eq!(stands(&bench, "runs").0, Phase::Compiling, "it is about to");
    assert_eq!(store_mib(&bench), 100);
}

#[test]
fn code_is_compiled_into_the_room_that_there_is() {
    let mut bench = with_store(100);
    bench.accept(&large("first", 1, 1, 10, |_| {}));
    bench.accept(&large("second", 2, 2, 10, |_| {}));
    let effects = stored(&mut bench, 1);
    assert_eq!(rooms(&effects), [50], "as much as it may take");
    assert!(rooms(&stored(&mut bench, 2)).is_empty(), "30 are left by now, and there may be more in a moment");
    let effects = compiled(&mut bench, 1, 45);
    assert_eq!((starts(&effects).len(), rooms(&effects)), (1, vec![35]), "all that there is");
    let effects = too_large(&mut bench, 2, 36);
    assert!(rooms(&effects).is_empty());
    let (phase, reason) = stands(&bench, "second");
    assert_eq!(phase, Phase::Failed);
    assert!(reason.contains("its compiled code needs 36 MiB, the store has 35 MiB of 100 MiB left"), "{reason}");
    assert!(bench.wait(3_600_000).iter().all(|effect| !matches!(effect, Effect::Prepare { .. })));
    // Its code is what it needs, and what it gets.
    let stop = |push: &mut Push| (push.verb, push.component.start) = (Some(Verb::Stop), false);
    let instance = stops(&bench.accept(&large("first", 3, 1, 10, stop)))[0];
    let effects = bench.exit(instance, shared::Outcome::Stopped);
    assert_eq!((code_drops(&effects), rooms(&effects)), (vec![artifact(1).digest], vec![36]));
    assert_eq!(stands(&bench, "second").0, Phase::Compiling);
    assert_eq!(starts(&compiled(&mut bench, 2, 36)).len(), 1);
    assert_eq!(store_mib(&bench), 56);
}

#[test]
fn an_artifact_for_others_waits_too_and_is_named() {
    let mut bench = with_store(100);
    bench.meet(50, Role::Operator, true);
    bench.accept(&large("first", 1, 1, 90, |_| {}));
    let elsewhere = push(2, |body| {
        body.payload.component.name = name("theirs");
        body.payload.component.artifact = sized(2, 20);
        body.audience.tags = vec!["arm".parse().unwrap()];
    });
    let effects = bench.accept(&elsewhere);
    assert!(fetches(&effects).is_empty());
    assert!(logs(&effects).iter().any(|line| line.contains("`theirs` is not fetched: needs 20 MiB")), "{effects:?}");
    bench.accept(&large("first", 3, 3, 60, |_| {}));
    let fetched = fetches(&removed(&mut bench, 1));
    assert_eq!(fetched, [artifact(2).digest, artifact(3).digest], "the oldest first");
}

#[test]
fn a_part_that_nobody_fetches_goes() {
    let mut bench = with_store(100);
    bench.accept(&large("first", 1, 1, 60, |_| {}));
    bench.accept(&large("first", 2, 1, 60, |push| (push.verb, push.component.start) = (Some(Verb::Stop), false)));
    assert_eq!(store_mib(&bench), 60, "it is kept as long as there is room");
    let effects = bench.accept(&large("second", 3, 2, 41, |_| {}));
    assert_eq!(drops(&effects), [artifact(1).digest]);
    assert_eq!(fetches(&removed(&mut bench, 1)), [artifact(2).digest]);
    // It begins anew, when there is room.
    bench.accept(&large("first", 4, 1, 60, |push| push.verb = Some(Verb::Start)));
    assert_eq!(stands(&bench, "first").0, Phase::Failed);
}

/// A manifest of one component, of which each version has an artifact of its own, and the versions before it.
fn version(number: u8, mib: u64, past: &[&Pinned]) -> Pinned {
    let (mut spec, audience, _) = declare("web", number);
    spec.artifact = sized(number, mib);
    let pinned = Pinned::signed(
        u32::from(number),
        u64::from(number),
        Rollout::default(),
        &[(spec, audience, Takeover::StopFirst)],
    );
    let past = past.iter().rev().zip(0..).map(|(past, back)| Past {
        version: u32::from(number) - 1 - back,
        manifest: past.document(),
        issued_at: EPOCH,
        note: String::new(),
    });
    let body = Body {
        realm: RealmId::of_owner(&owner().id()),
        seq: EPOCH + u64::from(number),
        issued_at: EPOCH,
        not_after: None,
        audience: Audience::default(),
        note: String::new(),
        payload: Apply { version: u32::from(number), manifest: pinned.document(), past: past.collect() },
    };
    Pinned { sealed: seal(&owner(), &body).unwrap(), ..pinned }
}

/// Takes a manifest all the way until what it declares runs, or is refused.
fn roll(bench: &mut Bench, pinned: &Pinned, number: u8) -> Vec<Effect> {
    let mut effects = bench.apply(pinned);
    effects.extend(stored(bench, number));
    effects.extend(compiled(bench, number, 1));
    let ended: Vec<_> = stops(&effects);
    ended.into_iter().for_each(|instance| effects.extend(bench.exit(instance, shared::Outcome::Stopped)));
    bench.wait(HEALTHY_MS);
    effects
}

#[test]
fn what_is_kept_for_the_way_back_goes_when_the_room_is_wanted_and_not_before() {
    let mut bench = with_store(100);
    let first = version(1, 40, &[]);
    let second = version(2, 40, &[&first]);
    roll(&mut bench, &first, 1);
    let effects = roll(&mut bench, &second, 2);
    assert!(drops(&effects).is_empty() && code_drops(&effects).is_empty(), "both are here: {effects:?}");
    // No room for this one, whatever goes: nothing does.
    let effects = bench.accept(&large("large", 10, 7, 70, |_| {}));
    assert!(drops(&effects).is_empty() && code_drops(&effects).is_empty(), "{effects:?}");
    // And for this one the version before goes, which does not run; the small document of it would not help.
    let effects = bench.accept(&large("fits", 11, 8, 50, |_| {}));
    assert_eq!(drops(&effects), [artifact(1).digest]);
    assert_eq!(fetches(&removed(&mut bench, 1)), [artifact(8).digest]);
    assert_eq!(bench.component("web").phase, Phase::Compiling);
    assert_eq!(stands(&bench, "large").0, Phase::Failed);
}

#[test]
fn what_the_manifest_that_is_on_its_way_may_name_stays_until_that_is_known() {
    let stay = |effects: &[Effect]| drops(effects).iter().all(|of| ![1, 2].map(|it| artifact(it).digest).contains(of));
    let mut bench = with_store(100);
    let first = version(1, 40, &[]);
    let second = version(2, 40, &[&first]);
    roll(&mut bench, &first, 1);
    roll(&mut bench, &second, 2);
    // Back to what the first declares.
    let (mut spec, audience, _) = declare("web", 1);
    spec.artifact = sized(1, 40);
    let third = Pinned::signed(3, 3, Rollout::default(), &[(spec, audience, Takeover::StopFirst)]);
    bench.accept(&third.sealed);
    let effects = bench.accept(&large("fits", 11, 8, 50, |_| {}));
    assert!(stay(&effects));
    bench.give(Input::Stored { digest: third.document().digest });
    let effects = bench.give(third.read());
    assert!(stay(&effects), "it is wanted");
    let effects = bench.give(third.saved());
    assert_eq!(prepares(&effects), [(artifact(1).digest, false)]);
    // What the second declared is for the way back now, but it runs until this one is compiled.
    assert!(stay(&effects));
    let effects = compiled(&mut bench, 1, 1);
    let effects = bench.exit(stops(&effects)[0], shared::Outcome::Stopped);
    assert_eq!(drops(&effects), [artifact(2).digest]);
    assert_eq!(fetches(&removed(&mut bench, 2)), [artifact(8).digest]);
}

#[test]
fn a_document_that_finds_no_room_is_told_and_comes_when_there_is_some() {
    let mut bench = with_store(1);
    let filler = push(1, |body| body.payload.component.artifact = Artifact { size: MIB, ..artifact(1) });
    bench.accept(&filler);
    let pinned = Pinned::new(1, &[declare("web", 2)]);
    assert!(fetches(&bench.accept(&pinned.sealed)).is_empty());
    assert!(told(&bench).reason.unwrap().contains("the store has 0 MiB of 1 MiB left"));
    bench.accept(&removal(2));
    let effects = removed(&mut bench, 1);
    assert_eq!(fetches(&effects), [pinned.document().digest]);
    assert_eq!(told(&bench).reason, None);
}

#[test]
fn a_start_with_less_room_gives_up_what_may_go_and_keeps_the_rest() {
    let intents = [
        large("runs", 1, 1, 40, |_| {}),
        large("stopped", 2, 2, 40, |push| {
            (push.verb, push.component.start) = (Some(Verb::Stop), false);
        }),
    ];
    let here =
        |number: u8, code: u64| (artifact(number).digest, Usage { artifact: 40 * MIB, aside: 0, code: code * MIB });
    let restored = || Restored {
        intents: intents.iter().map(|bytes| held(bytes)).collect(),
        blobs: [1, 2].map(|number| artifact(number).digest).into(),
        usage: [here(1, 5), here(2, 9), (artifact(3).digest, Usage { artifact: 1, aside: MIB, code: 0 })].into(),
        strays: [artifact(3).digest].into(),
        ..nothing()
    };
    let mut bench = Bench::off(restored(), |config| config.store_max_bytes = 200 * MIB);
    let effects = bench.give(Input::Booted);
    assert_eq!((drops(&effects), code_drops(&effects)), (vec![artifact(3).digest], vec![]));
    let mut bench = Bench::off(restored(), |config| config.store_max_bytes = 70 * MIB);
    let effects = bench.give(Input::Booted);
    assert_eq!((drops(&effects), code_drops(&effects)), (vec![artifact(3).digest], vec![artifact(2).digest]));
    assert!(logs(&effects).iter().any(|line| line.contains("--store-max-mb")), "{effects:?}");
    // What runs is compiled already, and needs no room.
    assert_eq!(rooms(&effects), [0]);
    assert_eq!(starts(&compiled(&mut bench, 1, 5)).len(), 1);
}

#[test]
fn code_of_another_version_goes_where_this_one_finds_no_room_beside_it() {
    let restored = |size: u64| Restored {
        intents: vec![held(&large("hello", 1, 1, size, |_| {}))],
        blobs: [artifact(1).digest].into(),
        usage: [(artifact(1).digest, Usage { artifact: size * MIB, aside: 0, code: 30 * MIB })].into(),
        ..nothing()
    };
    let mut bench = Bench::off(restored(20), |config| config.store_max_bytes = 70 * MIB);
    assert_eq!(rooms(&bench.give(Input::Booted)), [20], "it may be at hand");
    let effects = too_large(&mut bench, 1, 40);
    assert_eq!((code_drops(&effects), rooms(&effects)), (vec![artifact(1).digest], vec![40]));
    assert_eq!(starts(&compiled(&mut bench, 1, 40)).len(), 1);
    assert_eq!(store_mib(&bench), 60);
    // In vain it does not.
    let mut bench = Bench::off(restored(31), |config| config.store_max_bytes = 70 * MIB);
    bench.give(Input::Booted);
    assert!(code_drops(&too_large(&mut bench, 1, 40)).is_empty());
    assert_eq!(stands(&bench, "hello").0, Phase::Failed);
}
