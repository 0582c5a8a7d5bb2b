//! Manifests that are read, those that are refused with every fault, and those that are written and read again.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails by panicking")]

use super::*;
use shared::{NodeId, Tag};

mod refused;
mod written;

const DIR: &str = "/etc/realm";

fn parsed(text: &str) -> Result<Reading, Faults> {
    parse(text, Path::new("realm.toml"), Path::new(DIR))
}

#[track_caller]
fn read_well(text: &str) -> Manifest {
    let reading = parsed(text).unwrap_or_else(|faults| panic!("{faults}\n{text}"));
    assert!(reading.deprecated.is_empty(), "{}", reading.deprecated);
    reading.manifest
}

/// Compares what is wrong with a text, without the name of the file.
#[track_caller]
fn refused(text: &str, faults: &[&str]) {
    let found = parsed(text).expect_err(text).lines();
    let found: Vec<&str> = found.iter().map(|line| line.trim_start_matches("realm.toml:")).collect();
    assert_eq!(found, faults, "{text}");
}

/// The text of a component `web`, with these lines from line 3 on.
fn web(lines: &str) -> String {
    format!("[components.web]\nsource = \"web.wasm\"\n{lines}")
}

fn tags(tags: &[&str]) -> Vec<Tag> {
    tags.iter().map(|tag| tag.parse().unwrap()).collect()
}

#[test]
fn every_key() {
    let peer = NodeId::of_seed(&[7; 32]);
    let text = format!(
        "note = \"the shop\"\n\n[components.web]\nsource = \"build/web.wasm\"\nsha256 = \"{}\"\nreplicas = 2\n\
         memory_max_mb = 32\nfuel = 18_446_744_073_709_551_615\nepoch_ms = 0x64\ndeadline_ms = +60000\nlog_max_kb = 2048\n\
         tags = [\"dev\", \"arm\"]\npeers = [\"{peer}\"]\nstart = false\nrestart = \"always\"\nargs = [\"-v\", \"a b\"]\n\
         env = {{ PLACE = \"here\", \"a.b\" = \"\" }}\nisolation = \"process\"\nstrategy = \"stop-first\"\n",
        "ab".repeat(32)
    );
    let component = Component {
        name: "web".parse().unwrap(),
        source: Source::Path("/etc/realm/build/web.wasm".into()),
        sha256: Some(Digest::from_bytes([0xab; 32])),
        limits: Limits {
            memory_max_mb: Some(32.try_into().unwrap()),
            fuel: Some(u64::MAX.try_into().unwrap()),
            epoch_ms: 100.try_into().unwrap(),
            deadline_ms: Some(60_000.try_into().unwrap()),
            log_max_kb: 2048.try_into().unwrap(),
        },
        replicas: 2.try_into().unwrap(),
        restart: Restart::Always,
        start: false,
        args: vec!["-v".into(), "a b".into()],
        env: vec![("PLACE".into(), "here".into()), ("a.b".into(), String::new())],
        audience: Audience { peers: vec![peer], tags: tags(&["dev", "arm"]), platform: None },
        isolation: Isolation::Process,
        strategy: Takeover::StopFirst,
        places: Places {
            name: Place { line: 3, column: 13 },
            source: Place { line: 4, column: 10 },
            sha256: Place { line: 5, column: 10 },
        },
    };
    assert_eq!(
        read_well(&text),
        Manifest { note: "the shop".into(), rollout: Rollout::default(), components: vec![component] }
    );
}

#[test]
fn what_is_left_out_has_its_default() {
    let manifest = read_well(&web(""));
    let [web] = &manifest.components[..] else { panic!("{manifest:?}") };
    assert_eq!((web.limits, web.replicas, web.restart), Default::default());
    assert_eq!((&web.audience, web.strategy, web.start), (&Audience::default(), Takeover::StartFirst, true));
    assert!(manifest.note.is_empty() && web.sha256.is_none() && web.args.is_empty() && web.env.is_empty());
    assert_eq!(web.places.sha256, web.places.name);
}

#[test]
fn digests_are_read_as_they_are_printed_too() {
    let digest = Digest::of(b"web");
    for text in [digest.hex(), digest.to_string()] {
        assert_eq!(read_well(&web(&format!("sha256 = \"{text}\""))).components[0].sha256, Some(digest));
    }
}

#[test]
fn defaults_give_way_to_a_components_own_keys() {
    let manifest = read_well(
        "[components.own]\nsource = \"a\"\ntags = []\nenv = { B = \"2\" }\nmemory_max_mb = 8\nstart = true\n\
         [components.none]\nsource = \"b\"\n\
         [defaults]\ntags = [\"dev\"]\nenv = { A = \"1\" }\nmemory_max_mb = 16\nstart = false\nargs = [\"-v\"]\nreplicas = 3\n",
    );
    let [own, none] = &manifest.components[..] else { panic!("{manifest:?}") };
    let env = |name: &str, value: &str| vec![(name.to_owned(), value.to_owned())];
    let memory = |component: &Component| component.limits.memory_max_mb.map(u64::from);
    assert_eq!((&own.audience.tags, &none.audience.tags), (&tags(&[]), &tags(&["dev"])));
    // A table is one value: the default's variables do not get into it.
    assert_eq!((&own.env, &none.env), (&env("B", "2"), &env("A", "1")));
    assert_eq!((memory(own), memory(none)), (Some(8), Some(16)));
    assert_eq!((own.start, none.start, own.replicas, &own.args), (true, false, none.replicas, &none.args));
}

#[test]
fn forms_of_toml_that_mean_the_same() {
    let same = read_well(&web("replicas = 2\nenv = { A = \"1\" }")).components;
    for text in [
        "components.web.source = 'web.wasm'\ncomponents.web.replicas = 2\ncomponents.web.env.A = '1'",
        "components = { web = { source = 'web.wasm', replicas = 0b10, env = { A = '1' } } }",
        "[components]\n[components.'web']\nreplicas = 2\nsource = 'web.wasm'\n[components.web.env]\nA = \"\"\"1\"\"\"\n[defaults]\n",
        "\u{feff}[components.web]\r\nsource = \"web.wasm\"\r\nreplicas = 2\r\nenv.A = \"1\"\r\n",
    ] {
        let mut components = read_well(text).components;
        components[0].places = same[0].places;
        assert_eq!(components, same, "{text}");
    }
}

#[test]
fn components_and_variables_keep_the_order_of_the_file() {
    let manifest = read_well(
        "[components.b]\nsource = \"b\"\nenv = { Z = \"1\", A = \"2\", M = \"3\" }\n[components.c]\nsource = \"c\"\n[components.a]\nsource = \"a\"",
    );
    let names: Vec<&str> = manifest.components.iter().map(|component| component.name.as_str()).collect();
    let variables: Vec<&str> = manifest.components[0].env.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!((names, variables), (vec!["b", "c", "a"], vec!["Z", "A", "M"]));
}

#[test]
fn former_names_are_understood_and_told_of() {
    let peer = NodeId::of_seed(&[7; 32]);
    let digest = "ab".repeat(32);
    let reading = parsed(&format!(
        "[defaults]\ntarget_tags = [\"dev\"]\n[components.web]\nsource = \"web.wasm\"\nsha256_hex = \"{digest}\"\n\
         target_peer_ids = [\"{peer}\"]\nmemory_max_mb = 64\nfuel = 1000000\nepoch_ms = 100\n"
    ))
    .unwrap();
    let component = &reading.manifest.components[0];
    assert_eq!(component.audience, Audience { peers: vec![peer], tags: tags(&["dev"]), platform: None });
    assert_eq!(component.sha256, Digest::from_hex(&digest));
    let warnings = [
        "realm.toml:2:1: `target_tags` is deprecated; expected `tags`",
        "realm.toml:5:1: `sha256_hex` is deprecated; expected `sha256`",
        "realm.toml:6:1: `target_peer_ids` is deprecated; expected `peers`",
    ];
    assert_eq!(reading.deprecated.lines(), warnings);
    refused(
        &web("target_tags = [\"dev\"]\ntags = [\"arm\"]\nreplicas    = 0"),
        &[
            "3:1: `target_tags` is the former name of `tags`, and both are there; expected one of them",
            "  hint: leave `target_tags` out",
            "5:15: replicas is 0; expected a whole number from 1 to 1000",
        ],
    );
}

#[test]
fn the_page_has_every_key_in_this_order_and_every_range() {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/manifest.md")).unwrap();
    let (_, table) = page.split_once("\n## A component\n").unwrap();
    let rows = table.lines().skip_while(|line| !line.starts_with("| `")).take_while(|line| line.starts_with("| `"));
    let rows: Vec<Vec<&str>> = rows.map(|row| row.split(" | ").collect()).collect();
    let keys: Vec<&str> = rows.iter().map(|cells| cells[0].trim_matches(['|', ' ', '`'])).collect();
    assert_eq!(keys, keys::COMPONENT);
    for (key, cells) in keys.iter().zip(&rows) {
        // A known key with a value of no use; a limit tells its range.
        let told = parsed(&web(&format!("{key} = 1979-05-27"))).unwrap_err().to_string();
        assert!(told.contains("expected") && !told.contains("unknown key"), "{told}");
        if let Some((_, range)) = told.split_once("a whole number from ") {
            assert_eq!(range, cells[2], "{key}");
        }
    }
    for figure in [
        shared::MAX_NOTE_BYTES,
        MAX_FILE_BYTES,
        shared::MAX_MANIFEST_COMPONENTS,
        MAX_SHOWN_FAULTS,
        MAX_SOURCE_BYTES,
        shared::MAX_TEXT_BYTES,
        shared::MAX_ARGS,
        shared::MAX_AUDIENCE_TAGS,
        shared::MAX_AUDIENCE_PEERS,
    ] {
        assert!(page.split_whitespace().any(|word| word == figure.to_string()), "{figure} is not on the page");
    }
}

#[test]
fn how_it_spreads() {
    let text = |table: &str| format!("[rollout]\n{table}\n{}", web(""));
    assert_eq!(read_well(&web("")).rollout, Rollout::default());
    let all = "max_parallel = 2\nmin_healthy_s = 0\nmax_failures = 3\nauto_rollback = true";
    let manifest = read_well(&text(all));
    let wanted = Rollout { max_parallel: Some(2), min_healthy_s: 0, max_failures: 3, auto_rollback: true };
    assert_eq!(manifest.rollout, wanted);
    assert_eq!(read_well(&manifest.to_toml(Path::new("/"))).rollout, wanted);
    let faults = "max_parallel = 0\nmin_healthy_s = 3601\nmax_failures = \"1\"\nauto_rollback = 1\nmax_paralel = 2";
    let told = parsed(&text(faults)).unwrap_err().lines().join("\n");
    for part in [
        "2:16: max_parallel is 0; expected a whole number from 1 to 65535",
        "3:17: min_healthy_s is 3601; expected a whole number from 0 to 3600",
        "4:16: max_failures is a string; expected a whole number from 1 to 65535",
        "5:17: auto_rollback is an integer; expected `true` or `false`",
        "6:1: unknown key `max_paralel`",
        "did you mean `max_parallel`?",
    ] {
        assert!(told.contains(part), "{part} is not in\n{told}");
    }
}
