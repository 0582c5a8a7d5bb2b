//! The component logs: what is appended is what is read, over restarts, within the cap, and without waiting.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where its expectation ends")]

use agent::control::logs::{Busy, Follower, LogEntry, Logs};
use shared::{ComponentName, LogMaxKb, Stream};
use smol::channel::bounded;
use std::fs::{self, OpenOptions};
use std::io::Read;
use std::path::Path;
use tempfile::TempDir;

/// More than any test writes.
const ALL: usize = 100_000;

fn name(text: &str) -> ComponentName {
    text.parse().unwrap()
}

/// The last lines; waits until all that was appended before is written.
fn tail(logs: &Logs, component: Option<&str>, n: usize) -> Vec<LogEntry> {
    let (reply, answer) = bounded(1);
    logs.tail(component.map(name), n, None, reply).unwrap();
    answer.recv_blocking().unwrap()
}

fn since(logs: &Logs, component: Option<&str>, since: u64) -> Vec<String> {
    let (reply, answer) = bounded(1);
    logs.tail(component.map(name), ALL, Some(since), reply).unwrap();
    answer.recv_blocking().unwrap().into_iter().map(|line| line.text).collect()
}

/// What comes next, and how many lines are left out after it.
fn followed(follower: &mut Follower) -> Option<(Vec<String>, u64)> {
    let next = smol::block_on(follower.next())?;
    Some((next.lines.into_iter().map(|line| line.text).collect(), next.missed))
}

fn texts(logs: &Logs, component: Option<&str>) -> Vec<String> {
    tail(logs, component, ALL).into_iter().map(|line| line.text).collect()
}

fn out(logs: &Logs, component: &str, at: u64, text: &str) {
    logs.append(name(component), 1, Stream::Stdout, at, text.as_bytes().to_vec()).unwrap();
}

fn size(dir: &TempDir, file: &str) -> u64 {
    fs::metadata(dir.path().join(file)).map_or(0, |found| found.len())
}

fn open(dir: &TempDir) -> Logs {
    Logs::open(dir.path()).unwrap()
}

#[test]
fn lines_are_put_together_for_each_instance_and_stream() {
    let dir = TempDir::new().unwrap();
    let logs = open(&dir);
    let append = |instance, stream, at, bytes: &[u8]| {
        logs.append(name("hello"), instance, stream, at, bytes.to_vec()).unwrap();
    };
    append(1, Stream::Stdout, 10, b"one ");
    append(2, Stream::Stdout, 11, b"two ");
    append(1, Stream::Stderr, 12, b"oops\n");
    // The bytes of one character, in two pieces.
    append(1, Stream::Stdout, 13, &"🙂".as_bytes()[..2]);
    append(1, Stream::Stdout, 14, &"🙂".as_bytes()[2..]);
    append(2, Stream::Stdout, 15, b"more\n");
    append(1, Stream::Stdout, 16, b"\n");
    logs.note(name("hello"), 17, "started".into()).unwrap();
    let line = |at, stream, text: &str| LogEntry { component: name("hello"), at, stream, text: text.into() };
    let expected = [
        line(12, Stream::Stderr, "oops"),
        line(11, Stream::Stdout, "two more"),
        line(10, Stream::Stdout, "one 🙂"),
        line(17, Stream::Agent, "started"),
    ];
    assert_eq!(tail(&logs, Some("hello"), ALL), expected);
    assert_eq!(tail(&logs, Some("hello"), 2), expected[2..]);
    assert_eq!(tail(&logs, Some("other"), ALL), []);
    let stored = fs::read_to_string(dir.path().join("hello.log")).unwrap();
    assert_eq!(stored, "12 E oops\n11 O two more\n10 O one 🙂\n17 A started\n");
}

#[test]
fn an_unfinished_line_is_shown_and_survives_its_instance_and_the_agent() {
    let dir = TempDir::new().unwrap();
    let logs = open(&dir);
    out(&logs, "hello", 5, "name? ");
    assert_eq!(texts(&logs, Some("hello")), ["name? "]);
    assert_eq!(size(&dir, "hello.log"), 0);
    logs.end(name("hello"), 1).unwrap();
    out(&logs, "hello", 6, "left over");
    assert_eq!(texts(&logs, Some("hello")), ["name? ", "left over"]);
    drop(logs);
    assert_eq!(fs::read_to_string(dir.path().join("hello.log")).unwrap(), "5 O name? \n6 O left over\n");
    assert_eq!(texts(&open(&dir), None), ["name? ", "left over"]);
}

#[test]
fn the_newest_lines_stay_within_the_cap() {
    let dir = TempDir::new().unwrap();
    let logs = open(&dir);
    logs.set_cap(name("chatty"), LogMaxKb::try_from(16).unwrap()).unwrap();
    for number in 0..5_000 {
        out(&logs, "chatty", number, &format!("line {number}\n"));
        if number % 500 == 0 {
            // Waits for the disk, so that the queue is never full.
            tail(&logs, Some("chatty"), 1);
        }
    }
    let kept = texts(&logs, Some("chatty"));
    let expected: Vec<String> = (5_000 - kept.len()..5_000).map(|number| format!("line {number}")).collect();
    assert_eq!(kept, expected);
    let (current, older) = (size(&dir, "chatty.log"), size(&dir, "chatty.log.1"));
    assert!(current <= 8 * 1024 && older <= 8 * 1024, "{current} and {older} bytes");
    // At least half of the cap is there, whenever one looks.
    assert!(current + older >= 8 * 1024, "{current} and {older} bytes");
}

#[test]
fn one_large_piece_is_kept_within_the_cap_as_well() {
    let dir = TempDir::new().unwrap();
    let logs = open(&dir);
    logs.set_cap(name("chatty"), LogMaxKb::try_from(16).unwrap()).unwrap();
    let lines: String = (0..20_000).map(|number| format!("{number}\n")).collect();
    out(&logs, "chatty", 1, &lines);
    assert_eq!(texts(&logs, Some("chatty")).last().map(String::as_str), Some("19999"));
    out(&logs, "chatty", 2, &"x".repeat(1 << 20));
    logs.end(name("chatty"), 1).unwrap();
    assert!(texts(&logs, Some("chatty")).iter().all(|line| !line.is_empty() && line.chars().all(|c| c == 'x')));
    assert!(size(&dir, "chatty.log") <= 8 * 1024 && size(&dir, "chatty.log.1") <= 8 * 1024);
}

#[test]
fn a_smaller_cap_cuts_what_is_there() {
    let dir = TempDir::new().unwrap();
    let logs = open(&dir);
    let lines: String = (0..50_000).map(|number| format!("line {number}\n")).collect();
    out(&logs, "chatty", 1, &lines);
    assert_eq!(texts(&logs, Some("chatty")).len(), 50_000 - first_of(&logs));
    logs.set_cap(name("chatty"), LogMaxKb::try_from(16).unwrap()).unwrap();
    let kept = texts(&logs, Some("chatty"));
    assert_eq!(kept.last().map(String::as_str), Some("line 49999"));
    assert!(size(&dir, "chatty.log") <= 8 * 1024 && size(&dir, "chatty.log.1") <= 8 * 1024);
    // What is left in each file begins with a whole line.
    for file in ["chatty.log", "chatty.log.1"] {
        assert!(fs::read_to_string(dir.path().join(file)).unwrap().starts_with("1 O line "), "{file}");
    }
}

/// The number in the oldest line that is kept.
fn first_of(logs: &Logs) -> usize {
    texts(logs, Some("chatty"))[0].strip_prefix("line ").unwrap().parse().unwrap()
}

#[test]
fn a_torn_line_spoils_no_other() {
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join("hello.log"), "1 O whole\n2 O to").unwrap();
    fs::write(dir.path().join("hello.log.1"), "garbage\n0 E older\n17").unwrap();
    fs::write(dir.path().join("NOT A COMPONENT.log"), "1 O foreign\n").unwrap();
    let logs = open(&dir);
    out(&logs, "hello", 3, "next\n");
    assert_eq!(texts(&logs, None), ["older", "whole", "to", "next"]);
}

#[test]
fn all_components_are_merged_by_time() {
    let dir = TempDir::new().unwrap();
    let logs = open(&dir);
    for (component, at) in [("b", 1), ("a", 2), ("a", 4), ("b", 5), ("b", 3), ("c", 6)] {
        out(&logs, component, at, &format!("{component}{at}\n"));
    }
    // The clock of `b` was set back: its lines stay in the order in which they came.
    assert_eq!(texts(&logs, None), ["b1", "a2", "a4", "b5", "b3", "c6"]);
    let last: Vec<String> = tail(&logs, None, 3).into_iter().map(|line| line.text).collect();
    assert_eq!(last, ["b5", "b3", "c6"]);
    assert_eq!(tail(&logs, None, 0), []);
}

#[test]
fn lines_since_a_time_are_those_that_were_begun_then_or_later() {
    let dir = TempDir::new().unwrap();
    let logs = open(&dir);
    // The clock was set back before the last line of `a`.
    for (component, at) in [("a", 1), ("a", 5), ("b", 6), ("a", 3), ("a", 8)] {
        out(&logs, component, at, &format!("{component}{at}\n"));
    }
    out(&logs, "b", 9, "begun");
    assert_eq!(since(&logs, None, 5), ["a5", "b6", "a8", "begun"]);
    assert_eq!(since(&logs, Some("a"), 6), ["a8"]);
    assert_eq!(since(&logs, Some("b"), 10), [""; 0]);
}

#[test]
fn a_character_that_is_cut_in_two_is_whole_or_shown_as_lost() {
    let dir = TempDir::new().unwrap();
    // A power cut went through the middle of one.
    fs::write(dir.path().join("hello.log"), b"1 O gr\xC3").unwrap();
    let logs = open(&dir);
    logs.append(name("hello"), 1, Stream::Stdout, 2, b"gr\xC3".to_vec()).unwrap();
    // It has not come yet, which is not to be lost.
    assert_eq!(texts(&logs, Some("hello")), ["gr\u{FFFD}", "gr"]);
    logs.append(name("hello"), 1, Stream::Stdout, 3, b"\xBC\xC3".to_vec()).unwrap();
    assert_eq!(texts(&logs, Some("hello")), ["gr\u{FFFD}", "gr\u{FC}"]);
    drop(logs);
    let logs = open(&dir);
    out(&logs, "hello", 4, "next\n");
    assert_eq!(texts(&logs, Some("hello")), ["gr\u{FFFD}", "gr\u{FC}\u{FFFD}", "next"]);
}

#[test]
fn a_follower_gets_the_last_lines_and_every_new_one_once() {
    let dir = TempDir::new().unwrap();
    let logs = open(&dir);
    out(&logs, "a", 1, "old\nolder than the follower\nbegun");
    let mut one = logs.follow(Some(name("a")), 1, None).unwrap();
    let mut all = logs.follow(None, ALL, Some(7)).unwrap();
    assert_eq!(followed(&mut one), Some((vec!["older than the follower".into()], 0)));
    out(&logs, "b", 2, "other\n");
    out(&logs, "a", 3, " and ended\n");
    assert_eq!(followed(&mut one), Some((vec!["begun and ended".into()], 0)));
    logs.note(name("a"), 4, "said by the agent".into()).unwrap();
    out(&logs, "a", 5, "left over");
    // Everything before is in the queues of both.
    drop(logs);
    assert_eq!(followed(&mut one), Some((vec!["said by the agent".into(), "left over".into()], 0)));
    assert_eq!(followed(&mut one), None);
    let expected = ["other", "begun and ended", "said by the agent", "left over"].map(str::to_owned).to_vec();
    assert_eq!(followed(&mut all), Some((expected, 0)));
    assert_eq!(followed(&mut all), None);
}

#[test]
fn a_follower_that_is_behind_is_told_what_it_missed() {
    let dir = TempDir::new().unwrap();
    let logs = open(&dir);
    let mut follower = logs.follow(None, 0, None).unwrap();
    let lines = 300;
    for number in 0..lines {
        out(&logs, "a", number, &format!("{}\n", "x".repeat(8_000)));
        tail(&logs, None, 0);
    }
    let (given, missed) = followed(&mut follower).unwrap();
    assert!((100..=131).contains(&given.len()), "{} lines within 1 MiB", given.len());
    assert_eq!(given.len() as u64 + missed, lines);
    // It has caught up, and misses nothing more.
    out(&logs, "a", 1, "next\n");
    assert_eq!(followed(&mut follower), Some((vec!["next".into()], 0)));
    // So are the lines from before: the newest come.
    let (given, missed) = followed(&mut logs.follow(None, ALL, None).unwrap()).unwrap();
    assert!((32..=131).contains(&given.len()) && missed == 0, "{} lines within 1 MiB", given.len());
    assert_eq!(given.last().map(String::as_str), Some("next"));
}

#[test]
fn followers_are_bounded_and_one_that_has_gone_makes_room() {
    let dir = TempDir::new().unwrap();
    let logs = open(&dir);
    let mut followers: Vec<Follower> = (0..16).map(|_| logs.follow(None, 0, None).unwrap()).collect();
    assert!(logs.follow(None, 0, None).is_err());
    followers.pop();
    followers.push(logs.follow(None, 0, None).unwrap());
    assert!(logs.follow(None, 0, None).is_err());
    out(&logs, "a", 1, "line\n");
    assert!(followers.iter_mut().all(|follower| followed(follower) == Some((vec!["line".into()], 0))));
}

#[test]
fn what_is_forgotten_is_gone_and_starts_afresh() {
    let dir = TempDir::new().unwrap();
    let logs = open(&dir);
    logs.set_cap(name("a"), LogMaxKb::try_from(16).unwrap()).unwrap();
    for _ in 0..4 {
        out(&logs, "a", 1, &"x".repeat(7_000));
        out(&logs, "a", 1, "\n");
    }
    out(&logs, "a", 1, "begun");
    out(&logs, "b", 1, "other\n");
    logs.forget(name("a")).unwrap();
    assert_eq!(texts(&logs, None), ["other"]);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    out(&logs, "a", 2, "new\n");
    assert_eq!(texts(&logs, Some("a")), ["new"]);
}

#[test]
fn an_answer_is_bounded_in_bytes() {
    let dir = TempDir::new().unwrap();
    let logs = open(&dir);
    for component in 0..10 {
        let line = format!("{}\n", "x".repeat(8_000));
        out(&logs, &format!("c{component}"), component, &line.repeat(100));
        tail(&logs, None, 1);
    }
    let lines = tail(&logs, None, ALL);
    let bytes: usize = lines.iter().map(|line| line.text.len()).sum();
    assert!((3 << 20..=4 << 20).contains(&bytes), "{bytes} bytes");
    assert_eq!(lines.last().map(|line| line.at), Some(9));
}

#[test]
fn a_slow_disk_makes_it_busy_and_what_is_lost_is_counted() {
    let dir = TempDir::new().unwrap();
    // A pipe that nobody reads stands for a disk that does not answer.
    let pipe = dir.path().join("slow.log");
    mkfifo(&pipe);
    // Held open in both directions, so that there is no end between two writes.
    let mut pipe = OpenOptions::new().read(true).write(true).open(&pipe).unwrap();
    let logs = open(&dir);
    let line = format!("{}\n", "x".repeat(7_999));
    let piece = line.repeat(64);
    let accepted = (0..9).take_while(|at| {
        let sent = logs.append(name("slow"), 1, Stream::Stdout, *at, piece.clone().into_bytes());
        assert!(sent.is_ok() || sent == Err(Busy));
        sent.is_ok()
    });
    assert_eq!(accepted.count(), 4, "2 MiB are queued at the most");
    assert_eq!(logs.dropped_bytes(), piece.len() as u64);
    let mut written = vec![0; 4 * (piece.len() + 64 * "0 O ".len())];
    let reader = std::thread::spawn(move || pipe.read_exact(&mut written).map(|()| written));
    drop(logs);
    let written = reader.join().unwrap().unwrap();
    assert!(written.starts_with(b"0 O xx") && written.ends_with(b"xx\n"));
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_loses_lines_that_are_counted_and_later_ones_are_kept() {
    let dir = TempDir::new().unwrap();
    let logs = open(&dir);
    let file = dir.path().join("hello.log");
    std::os::unix::fs::symlink("/dev/full", &file).unwrap();
    out(&logs, "hello", 1, "lost\n");
    out(&logs, "other", 1, "kept\n");
    assert_eq!(texts(&logs, Some("other")), ["kept"]);
    assert!(logs.dropped_bytes() > 0);
    fs::remove_file(file).unwrap();
    out(&logs, "hello", 2, "kept too\n");
    assert_eq!(texts(&logs, Some("hello")), ["kept too"]);
}

fn mkfifo(path: &Path) {
    let made = std::process::Command::new("mkfifo").arg(path).status().unwrap();
    assert!(made.success());
}
