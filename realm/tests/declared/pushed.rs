//! What was pushed by hand and what is declared: a name is one of them.

use crate::manifest::component;
use crate::shell::realm;

#[test]
fn a_name_is_pushed_or_declared() {
    let (shell, agents) = realm(&[&[]]);
    assert_eq!(shell.push("mine", "ticker", &[]).0, Some(0));
    shell.declare(&[component("mine", "ticker", ""), component("web", "ticker", "")]);
    for verb in ["plan", "apply"] {
        let (code, out, err) = shell.with_manifest(verb, &[]);
        assert_eq!((code, out.as_str()), (Some(1), ""), "{err}");
        assert!(err.contains("pushed by hand, and in the manifest: `mine`"), "{err}");
        assert!(err.contains("hint: `realm rm mine`"), "{err}");
    }
    shell.applied(&[component("web", "ticker", "")]);
    assert_eq!(agents[0].component("mine")["declared"], false);
    for verb in ["stop", "start", "restart", "rm"] {
        let (code, out, err) = shell.realm(&[verb, "web"]);
        assert_eq!((code, out.as_str()), (Some(1), ""), "{err}");
        assert!(err.contains("the manifest declares `web`") && err.contains("`realm apply`"), "{err}");
    }
    let (code, _, err) = shell.push("web", "ticker", &[]);
    assert!(code == Some(1) && err.contains("the manifest declares `web`"), "{err}");

    // What was pushed is left alone, until it makes room.
    shell.good(&["rm", "mine"]);
    shell.applied(&[component("mine", "ticker", ""), component("web", "ticker", "")]);
    assert_eq!(agents[0].component("mine")["declared"], true);
    // What is not declared any more can be pushed again.
    shell.applied(&[component("web", "ticker", "")]);
    assert_eq!(shell.push("mine", "ticker", &[]).0, Some(0));
    assert_eq!(agents[0].component("mine")["declared"], false);
}

#[test]
fn what_is_exported_changes_nothing_when_it_is_applied() {
    let (shell, _agents) = realm(&[&["--role", "dev"]]);
    let web = component(
        "web",
        "ticker",
        "replicas = 2\nmemory_max_mb = 8\ntags = [\"dev\"]\nargs = [\"--port\", \"80 80\"]\nenv = { PLACE = \"here\" }\nstrategy = \"stop-first\"",
    );
    shell.applied(&[web]);
    assert_eq!(shell.push("mine", "hello", &["--arg", "x"]).0, Some(0));
    let declared = shell.good(&["export"]);
    let all = shell.good(&["export", "--pushed"]);
    assert!(
        !declared.contains("mine") && all.contains("[components.mine]") && all.contains("[components.web]"),
        "{all}"
    );
    for (name, guest) in [("web", "ticker"), ("mine", "hello")] {
        std::fs::copy(crate::support::guest_path(guest), shell.home.path().join(format!("{name}.wasm"))).unwrap();
    }
    std::fs::write(shell.manifest(), &declared).unwrap();
    let (code, out, err) = shell.with_manifest("plan", &["--detailed-exitcode"]);
    assert_eq!(code, Some(0), "{out}{err}");
    assert!(out.contains("nothing changes"), "{out}");
    let (code, _, err) = shell.apply(&[]);
    assert!(code == Some(0) && err.contains("already in force"), "{err}");
    shell.good(&["rm", "mine"]);
    std::fs::write(shell.manifest(), &all).unwrap();
    let (code, out, err) = shell.with_manifest("plan", &["--detailed-exitcode"]);
    assert_eq!(code, Some(2), "{out}{err}");
    assert!(out.contains("+ mine") && out.contains("1 to create, 1 unchanged"), "{out}");
}
