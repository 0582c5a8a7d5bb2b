//! `init` and `key show`: the key is made once, kept from others, and never lost by accident.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails by panicking")]

mod common;

use common::Desk;
use shared::OwnerId;
use std::fs;
use std::os::unix::fs::PermissionsExt;

fn last_word(text: &str) -> OwnerId {
    text.split_whitespace().last().unwrap().parse().unwrap()
}

#[test]
fn init_makes_a_key_that_only_its_owner_reads() {
    let desk = Desk::new();
    let made = desk.run("init").assert(0);
    let path = desk.path("realm/owner.key");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::metadata(desk.path("realm")).unwrap().permissions().mode() & 0o777, 0o700);
    let shown = desk.run("key show").assert(0);
    assert_eq!(last_word(&made.out), last_word(&shown.out));
    assert!(shown.err.is_empty());
    let secret = fs::read_to_string(&path).unwrap();
    assert!(!made.out.contains(secret.trim()) && !made.err.contains(secret.trim()));
}

#[test]
fn init_never_overwrites_without_force() {
    let desk = Desk::new();
    let first = last_word(&desk.run("init").assert(0).out);
    let before = fs::read(desk.path("realm/owner.key")).unwrap();
    desk.run("init").assert(1).says("there is an owner key already").says("hint: ");
    assert_eq!(fs::read(desk.path("realm/owner.key")).unwrap(), before);
    let second = last_word(&desk.run("init --force").assert(0).out);
    assert_ne!(first, second);
    assert_eq!(last_word(&desk.run("key show").assert(0).out), second);
}

#[test]
fn init_does_not_follow_a_dangling_link() {
    let desk = Desk::new();
    fs::create_dir(desk.path("realm")).unwrap();
    std::os::unix::fs::symlink(desk.path("nowhere"), desk.path("realm/owner.key")).unwrap();
    desk.run("init").assert(1);
    assert!(!desk.path("nowhere").exists());
}

#[test]
fn a_key_that_others_can_read_is_refused() {
    let desk = Desk::new();
    desk.run("init").assert(0);
    let path = desk.path("realm/owner.key");
    for mode in [0o640, 0o604, 0o660] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let ended = desk.run("key show").assert(1).says("is open to others").says("hint: chmod 600 '");
        assert!(ended.out.is_empty());
    }
    fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).unwrap();
    desk.run("key show").assert(0);
}

#[test]
fn a_missing_or_torn_key_is_named() {
    let desk = Desk::new();
    desk.run("key show").assert(1).says("no owner key at").says("hint: `realm init` makes one");
    desk.run("status").assert(1).says("no owner key at");
    desk.run("init").assert(0);
    let path = desk.path("realm/owner.key");
    for torn in [&b""[..], b"ed25519-secret:", b"ed25519-secret:abc", b"garbage", &[0; 60], b"\xFF\xFE"] {
        fs::write(&path, torn).unwrap();
        desk.run("key show").assert(1).says("is no owner key").says("hint: ");
        assert_eq!(fs::read(&path).unwrap(), torn);
    }
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
    desk.run("key show").assert(1).says("owner.key").says("hint: ");
}

#[test]
fn a_key_that_finds_no_place_is_an_error() {
    let mut desk = Desk::new();
    desk.write("file", "");
    let home = desk.path("file/home").to_string_lossy().into_owned();
    desk.set("REALM_HOME", &home);
    desk.run("init").assert(1).says("cannot write the owner key").says("hint: ");
}

#[test]
fn without_a_home_it_says_so() {
    let mut desk = Desk::new();
    desk.env.clear();
    desk.run("init").assert(1).says("neither REALM_HOME nor HOME is set");
    let home = desk.path("home").to_string_lossy().into_owned();
    desk.set("HOME", &home);
    desk.run("init").assert(0);
    let place = if cfg!(target_os = "macos") { "Library/Application Support/realm" } else { ".config/realm" };
    assert!(desk.path("home").join(place).join("owner.key").exists());
}
