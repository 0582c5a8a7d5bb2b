//! What artifacts and compiled code may take on the disk of a node: what finds no room is told, and comes when there is some.

use crate::shell::{Shell, realm};
use crate::support::{Agent, eventually, guest};
use std::fs;
use std::path::Path;

/// A guest with so many bytes behind it that mean nothing, none of which are like those of another `number`.
fn padded(shell: &Shell, name: &str, number: u8, bytes: u32) -> String {
    let mut component = guest(name);
    let custom = [&[3_u8][..], b"pad", &vec![number; bytes as usize]].concat();
    component.push(0);
    // LEB128, as sections have their lengths.
    let mut length = custom.len();
    while length >= 0x80 {
        component.push((length & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    component.push(length as u8);
    component.extend(custom);
    let path = shell.home.path().join(format!("padded-{number}.wasm"));
    fs::write(&path, component).unwrap();
    path.to_str().unwrap().to_owned()
}

fn push(shell: &Shell, name: &str, file: &str) -> (Option<i32>, String, String) {
    shell.realm(&["push", "--name", name, "--file", file, "--timeout", "50s"])
}

/// All bytes of the files below a directory.
fn bytes_in(dir: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(dir) else { return 0 };
    let of = |entry: fs::DirEntry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => bytes_in(&entry.path()),
        found => found.map_or(0, |metadata| metadata.len()),
    };
    entries.map(|entry| of(entry.unwrap())).sum()
}

fn on_disk(agent: &Agent) -> u64 {
    ["blobs", "cwasm"].iter().map(|dir| bytes_in(&agent.data_dir().join(dir))).sum()
}

#[test]
fn what_finds_no_room_is_refused_and_comes_when_something_is_removed() {
    const MAX: u64 = 2 << 20;
    let (shell, agents) = realm(&[&["--store-max-mb", "2"], &[]]);
    let [small, ample] = &agents[..] else { unreachable!() };
    assert_eq!(small.metric("realm_store_max_bytes"), MAX);
    assert!(ample.metric("realm_store_max_bytes") >= 256 << 20);
    let [first, second] = [1, 2].map(|number| padded(&shell, "ticker", number, 1_000_000));
    let (code, out, err) = push(&shell, "first", &first);
    assert_eq!(code, Some(0), "{out}{err}");

    let (code, out, err) = push(&shell, "second", &second);
    assert_eq!(code, Some(5), "{out}{err}");
    let told = format!("{out}{err}");
    assert!(told.contains("needs 2 MiB, the store has 0 MiB of 2 MiB left"), "{told}");
    assert!(told.contains(&small.id().short()) && told.contains("--store-max-mb"), "{told}");
    assert_eq!(small.component("second")["phase"], "failed");
    assert!(small.stderr().contains("the artifact of `second` is not fetched"), "{}", small.stderr());
    // Where there is room it runs, and on the small node what ran goes on, and what fits comes.
    ample.until("second", "running");
    let (code, out, err) = shell.push("third", "hello", &[]);
    assert_eq!(code, Some(0), "{out}{err}");
    assert_eq!(small.component("first")["phase"], "running");
    assert!(on_disk(small) <= MAX, "{}", on_disk(small));

    // The operator is not there any more: the other node has it.
    shell.good(&["rm", "first"]);
    small.until("second", "running");
    eventually("what is counted is what is there", || {
        let (counted, there) = (small.metric("realm_store_bytes"), on_disk(small));
        if counted == there && there <= MAX { Ok(()) } else { Err(format!("{counted}, and there are {there}")) }
    });
}

#[test]
fn how_much_may_be_taken_is_configured_and_a_flag_counts_more() {
    let mut agent = Agent::start(&[]);
    let (shell, config) = (Shell::new(), agent.data_dir().join("config.toml"));
    agent.kill();
    let dir = agent.data_dir();
    shell.good(&["configure", "--store-max-mb", "7", "--data-dir", dir.to_str().unwrap()]);
    assert!(fs::read_to_string(config).unwrap().contains("store_max_mb = 7"));
    agent.start_again(&[]);
    assert_eq!(agent.metric("realm_store_max_bytes"), 7 << 20);
    assert_eq!(agent.metric("realm_store_bytes"), 0);
    agent.kill();
    agent.start_again(&["--store-max-mb", "8"]);
    assert_eq!(agent.metric("realm_store_max_bytes"), 8 << 20);
}
