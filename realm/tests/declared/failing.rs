//! An apply that does not come to what it should: by what it ends, and what is said.

use crate::manifest::component;
use crate::shell::realm;
use crate::support::documented;

#[test]
fn a_component_that_crashes_fails_at_once_with_its_last_lines() {
    let (shell, agents) = realm(&[&[], &[]]);
    shell.applied(&[component("web", "ticker", "")]);
    shell.declare(&[component("web", "ticker", ""), component("bad", "crash", "")]);
    let (code, out, err) = shell.apply(&[]);
    assert_eq!(code, Some(3), "{out}{err}");
    for agent in &agents {
        assert!(err.contains(&format!("`bad` failed on {}: trap: ", agent.id())), "{err}");
    }
    assert!(err.contains("| crash: about to fail") || err.contains("this component always fails"), "{err}");
    assert!(err.contains("version 2 failed on 2 nodes") && err.contains("`realm rollback` goes back"), "{err}");
    assert!(agents.iter().all(|agent| agent.component("web")["phase"] == "running"), "the other one runs on");

    let (code, out, err) = shell.realm(&["rollback", "--yes", "--json"]);
    assert_eq!(code, Some(0), "{err}");
    let object = documented(&out);
    assert_eq!((&object["version"], &object["verdict"]), (&3.into(), &"good".into()), "{object}");
    assert!(agents.iter().all(|agent| agent.component("bad").is_null()));
}

#[test]
fn where_it_fails_on_some_nodes_it_has_failed() {
    let (shell, agents) = realm(&[&[], &["--role", "edge"]]);
    shell.declare(&[component("web", "ticker", ""), component("bad", "crash", "tags = [\"edge\"]")]);
    let (code, out, err) = shell.apply(&["--json"]);
    assert_eq!(code, Some(3), "{out}{err}");
    let object = documented(&out);
    assert_eq!((&object["verdict"], &object["exit"]), (&"failed".into(), &3.into()));
    assert!(err.contains("version 1 failed on 1 node; it is well on 1 node"), "{err}");
    let node = |at: usize| {
        let nodes = object["nodes"].as_array().unwrap();
        nodes.iter().find(|node| node["peer"] == agents[at].id().to_string()).unwrap().clone()
    };
    assert_eq!((&node(0)["result"], &node(1)["result"]), (&"good".into(), &"failed".into()), "{object}");
    let bad = node(1)["components"].as_array().unwrap().iter().find(|it| it["name"] == "bad").unwrap().clone();
    assert!(bad["last_outcome"].as_str().unwrap().starts_with("trap: "), "{bad}");
}

#[test]
fn nobody_live_and_nobody_at_all() {
    let (shell, mut agents) = realm(&[&[], &["--role", "edge"]]);
    shell.declare(&[component("web", "ticker", "tags = [\"cloud\"]")]);
    for verb in ["plan", "apply"] {
        let (code, out, err) = shell.with_manifest(verb, &[]);
        assert_eq!((code, out.as_str()), (Some(1), ""), "{err}");
        assert!(err.contains("`web`, for tag cloud") && err.contains("hint: known tags: edge"), "{err}");
    }
    agents[1].terminate();
    agents[0].until_sees(1);
    shell.declare(&[component("far", "ticker", "tags = [\"edge\"]")]);
    let (code, _, err) = shell.apply(&[]);
    assert_eq!(code, Some(5), "{err}");
    assert!(err.contains("1 node will get version 1"), "{err}");
    let (code, _, err) = shell.apply(&["--require-all"]);
    assert_eq!(code, Some(5), "{err}");
    let (code, out, err) = shell.realm(&["logs", "far"]);
    assert!(code == Some(0) && out.is_empty() && err.contains("no output of `far`"), "it is declared: {out}{err}");
    // Nobody has told that it is declared, so that it is the node that refuses.
    let (code, _, err) = shell.push("far", "ticker", &[]);
    assert!(code == Some(1) && err.contains("the manifest declares `far`"), "{err}");
    assert!(err.contains("hint: change it in the manifest, and `realm apply` that"), "{err}");
    agents[1].start_again(&[]);
    agents[1].until("far", "running");
}

#[test]
fn however_many_fail_in_a_row_the_way_back_leads_to_what_was_well() {
    let (shell, agents) = realm(&[&[]]);
    shell.applied(&[component("web", "ticker", "")]);
    for guest in ["crash", "exit-code"] {
        shell.declare(&[component("web", guest, "")]);
        let (code, out, err) = shell.apply(&[]);
        assert_eq!(code, Some(3), "{out}{err}");
        let is_said = |text: &str| err.contains(text);
        assert_eq!(is_said("this component always fails"), guest == "crash", "its own last words: {err}");
        assert!(!is_said("ticker: started"), "and not those of the version before it: {err}");
    }
    let (code, out, err) = shell.realm(&["rollback", "--yes"]);
    assert!(code == Some(0) && err.contains("version 4 is in force and well on 1 node"), "{out}{err}");
    let history = shell.json(&["history"]);
    let versions = history["versions"].as_array().unwrap().iter();
    let told: Vec<_> = versions
        .map(|it| (it["version"].as_u64(), it["in_force"].as_u64(), it["failed"].as_bool()))
        .map(|(version, in_force, failed)| (version.unwrap(), in_force.unwrap(), failed.unwrap()))
        .collect();
    assert_eq!(told, [(4, 1, false), (3, 0, true), (2, 0, true), (1, 0, false)], "{history}");
    assert_eq!(history["versions"][0]["note"], "rollback to version 1");
    let text = shell.good(&["history"]);
    assert!(text.contains("1 node") && text.matches("yes").count() == 3, "{text}");
    agents[0].until("web", "running");
}

#[test]
fn what_was_taken_back_can_be_looked_at_until_another_one_is_in_force() {
    let (shell, mut agents) = realm(&[&[]]);
    shell.applied(&[component("web", "ticker", "")]);
    // It was tried by hand before, and removed.
    shell.push("bad", "hello", &[]);
    shell.good(&["rm", "bad"]);
    shell.declare(&[component("web", "ticker", ""), component("bad", "crash", "")]);
    let (code, out, err) = shell.apply(&["--auto-rollback"]);
    assert_eq!(code, Some(4), "{out}{err}");
    assert!(err.contains("this component always fails"), "its last words: {err}");
    let (code, out, err) = shell.realm(&["logs", "bad"]);
    assert!(code == Some(0) && out.contains("this component always fails"), "{out}{err}");
    let (code, out, err) = shell.realm(&["inspect", "bad"]);
    assert!(code == Some(0) && out.contains("trap: "), "{out}{err}");
    // It is nowhere, and what is held is not what runs.
    let held = "version 2 is held and has failed: in force on 1 node is version 1";
    shell.declare(&[component("web", "ticker", ""), component("bad", "crash", "")]);
    let (_, out, err) = shell.with_manifest("plan", &[]);
    assert!(
        err.contains(held) && out.contains("+ bad  create") && out.contains("1 to create, 1 unchanged"),
        "{out}{err}"
    );
    assert!(shell.realm(&["export"]).2.contains(held));
    let (code, _, err) = shell.realm(&["logs", "bad", "--since", "2100-01-01T00:00:00Z"]);
    assert!(code == Some(0) && err.contains("no output of `bad` since then is kept"), "{err}");
    agents[0].terminate();
    agents[0].start_again(&[]);
    agents[0].until("web", "running");
    assert!(shell.good(&["logs", "bad"]).contains("this component always fails"), "it is on the disk");
    shell.applied(&[component("web", "sleep", "")]);
    let (code, out, err) = shell.realm(&["logs", "bad"]);
    assert!(code == Some(0) && out.is_empty() && err.contains("no output of `bad`"), "{out}{err}");
}

#[test]
fn where_nothing_was_ever_well_there_is_no_way_back_but_the_one_that_is_named() {
    let (shell, _agents) = realm(&[&[]]);
    for guest in ["crash", "exit-code"] {
        shell.declare(&[component("web", guest, "")]);
        assert_eq!(shell.apply(&[]).0, Some(3));
    }
    let (code, out, err) = shell.realm(&["rollback", "--yes"]);
    assert!(code == Some(1) && out.is_empty(), "{out}{err}");
    assert!(err.contains("all that is known from before version 2 has failed"), "{err}");
    assert!(err.contains("`realm rollback --to N` goes back all the same, to 1"), "{err}");
    assert_eq!(shell.realm(&["rollback", "--to", "1", "--yes"]).0, Some(3));
}
