//! The command line itself: help, versions, flags, variables, exit codes.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails by panicking")]

mod common;

use common::Desk;

#[test]
fn alone_it_prints_help() {
    let ended = Desk::new().run("").assert(0);
    for verb in ["init", "key", "configure", "status", "push", "plan", "apply", "rollback", "history", "export", "logs"]
    {
        assert!(ended.out.contains(verb), "{verb} is not in:\n{}", ended.out);
    }
    assert!(ended.err.is_empty());
}

#[test]
fn help_and_version_go_to_stdout() {
    let desk = Desk::new();
    for line in ["--help", "-h", "help", "push --help", "help push", "key show -h"] {
        let ended = desk.run(line).assert(0);
        assert!(ended.out.starts_with("Usage: realm") && ended.err.is_empty(), "{line}:\n{}", ended.out);
    }
    assert!(desk.run("push --help").out.contains("--memory-max-mb"));
    assert_eq!(desk.run("--version").assert(0).out, format!("realm {}\n", shared::VERSION));
}

#[test]
fn what_cannot_be_used_ends_with_2_and_a_hint() {
    let desk = Desk::new();
    desk.write("hello.wat", "(component)");
    for line in [
        "frobnicate",
        "--frobnicate",
        "key",
        "key hide",
        "init --force=yes",
        "status extra",
        "--via",
        "--via localhost:1 status",
        "status --color blue",
        "--color never",
        "logs",
        "logs UPPER",
        "logs hello -n many",
        "logs hello -n 0",
        "logs hello -n 10001",
        "push",
        "push --file a.wasm b.wasm",
        "push hello.wat --replicas 0",
        "push hello.wat --memory-max-mb 0",
        "push hello.wat --fuel -1",
        "push hello.wat --epoch-ms 1",
        "push hello.wat --deadline-ms x",
        "push hello.wat --log-max-kb 1",
        "push hello.wat --tag Dev",
        "push hello.wat --peer x",
        "push hello.wat --env NAME",
        "push hello.wat --restart sometimes",
        "push hello.wat --isolation vm",
        "push hello.wat --timeout 5",
        "push hello.wat --name Hello",
        "push hello.wat --start --no-start",
        "push hello.wat --detach --require-all",
        "push Hello.wat",
        "plan realm.toml",
        "apply --version -1",
        "apply --version many",
        "apply --if-version x",
        "apply --timeout 5",
        "apply --detach --require-all",
        "rollback --to x",
        "rollback --detach --require-all",
        "history all",
        "export --json",
    ] {
        let ended = desk.run(line).assert(2);
        assert!(ended.err.starts_with("error: ") && ended.out.is_empty(), "{line}:\n{}", ended.err);
    }
    desk.run("frobnicate").says("frobnicate").says("hint: ");
    desk.run("push --file").says("hint: `realm push --help`");
    desk.run("push Hello.wat").says("hint: name it with `--name`");
    // There 2 says that something would change.
    desk.run("plan --detailed-exitcode --frobnicate").assert(1).says("hint: `realm plan --help`");
}

#[test]
fn what_is_no_name_is_refused_and_quoted_in_part() {
    let desk = Desk::new();
    desk.write("hello.wat", "(component)");
    let long = "x".repeat(10 << 20);
    for name in ["", "../up", "..", "a/b", "a\0b", "🙂", "Ünï", "-x", "\x1b[31mred", "two\nlines", &long] {
        for words in [
            &["push", "hello.wat", "--name", name][..],
            &["push", "hello.wat", "--tag", name],
            &["logs", "--", name],
            &["stop", "--", name],
            &["inspect", "--", name],
        ] {
            let ended = desk.run_words(words).assert(2);
            let said = &ended.err;
            assert!(said.contains("names are 1 to 63") && said.contains("\nhint: "), "{said}");
            assert!(said.len() < 600 && !said.contains(['\x1b', '\0']) && said.lines().count() == 2, "{said:?}");
            assert!(ended.out.is_empty());
        }
    }
}

#[test]
fn variables_stand_in_for_flags_and_are_blamed() {
    let mut desk = Desk::new();
    desk.set("REALM_TIMEOUT", "soon");
    desk.run("push --file hello.wat").assert(2).says("`--timeout` comes from the variable `REALM_TIMEOUT`");
    desk.run("push --file hello.wat --timeout 5s").assert(1).says("cannot read");
    desk.set("REALM_TIMEOUT", "5s");
    desk.set("REALM_FILE", "missing.wasm");
    desk.run("push").assert(1).says("missing.wasm");
    desk.set("REALM_FORCE", "perhaps");
    desk.run("init").assert(2).says("REALM_FORCE");
}

#[test]
fn colours_only_where_they_are_wanted() {
    let mut desk = Desk::new();
    assert!(!desk.run("key show").err.contains('\x1b'), "not off a terminal");
    assert!(desk.run("key show --color always").err.contains("\x1b[31m"));
    desk.terminal = Some((80, 24));
    assert!(desk.run("key show").err.contains("\x1b[31m"));
    assert!(!desk.run("--color never key show").err.contains('\x1b'));
    desk.set("NO_COLOR", "1");
    assert!(!desk.run("key show").err.contains('\x1b'));
    assert!(desk.run("key show --color=always").err.contains("\x1b[31m"));
    desk.set("NO_COLOR", "");
    desk.set("TERM", "dumb");
    assert!(!desk.run("key show").err.contains('\x1b'));
}

#[test]
fn torn_lists_of_addresses_are_no_more_than_that() {
    let desk = Desk::new();
    desk.run("init").assert(0);
    for torn in [&b""[..], b"\xFF\0\xFE", b"nonsense\n/ip4/1.2.3\n", b"/ip4/127.0.0.1/tcp/1\n/ip4/127.0.0"] {
        desk.write("agent/endpoint", torn);
        desk.write("realm/peers", torn);
        desk.run("status").assert(1).says("no node answered").says("endpoint").says("hint: ");
    }
}

#[test]
fn nobody_to_talk_to_is_an_error_that_says_where_it_looked() {
    let mut desk = Desk::new();
    desk.run("init").assert(0);
    for line in ["status", "logs hello"] {
        desk.run(line).assert(1).says("no node answered").says("endpoint").says("hint: start `realm-agent`");
    }
    // A closed port on this machine.
    desk.set("REALM_VIA", "/ip4/127.0.0.1/tcp/1");
    desk.run("status --json").assert(1).says("/ip4/127.0.0.1/tcp/1: ").says("hint: is the agent running there");
    desk.set("REALM_VIA", "/dns/no-such-host.invalid/udp/1/quic-v1");
    desk.run("status").assert(1).says("cannot resolve `no-such-host.invalid`").says("hint: ");
}
