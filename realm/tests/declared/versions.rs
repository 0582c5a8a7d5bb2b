//! Numbers of manifests, the way back, and the question before something that runs is touched.

use crate::common::Desk;
use crate::manifest::component;
use crate::shell::realm;
use crate::support::documented;
use std::sync::Arc;

#[test]
fn numbers_go_up_and_what_was_is_known() {
    let (shell, agents) = realm(&[&[]]);
    let web = |arg: &str| [component("web", "hello", &format!("args = [\"{arg}\"]"))];
    let (code, _, err) = shell.realm(&["history"]);
    assert!(code == Some(1) && err.contains("nothing was applied yet") && err.contains("hint: "), "{err}");
    shell.declare(&web("one"));
    let apply = |more: &[&str]| {
        let (code, out, err) = shell.apply(more);
        (code.unwrap(), format!("{out}{err}"))
    };
    let (code, said) = apply(&["--if-version", "1"]);
    assert!(code == 1 && said.contains("expected version 1, and none is held"), "{said}");
    let (code, said) = apply(&["--if-version", "0", "--version", "5", "--note", "the first"]);
    assert!(code == 0 && said.contains("version 5 is in force"), "{said}");
    assert_eq!(apply(&["--version", "5"]).0, 0, "the same again");
    shell.declare(&web("two"));
    for number in ["5", "4"] {
        let (code, said) = apply(&["--version", number]);
        assert!(code == 1 && said.contains("version 5 is held") && said.contains("hint: "), "{said}");
    }
    let (code, said) = apply(&["--dry-run", "--version", "7"]);
    assert!(code == 0 && said.contains("version 5 -> 7"), "{said}");
    let (code, said) = apply(&["--if-version", "5"]);
    assert!(code == 0 && said.contains("version 6 is in force"), "{said}");
    assert!(agents[0].output("web").iter().any(|line| line.ends_with(": two")), "{:?}", agents[0].output("web"));

    // Back, as a new version with the old contents.
    shell.good(&["rollback", "--yes"]);
    shell.good(&["rollback", "--yes", "--to", "6", "--note", "after all"]);
    let history = shell.json(&["history"]);
    let told: Vec<(u64, &str, bool)> = history["versions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| (it["version"].as_u64().unwrap(), it["note"].as_str().unwrap(), it["held"] == true))
        .collect();
    let expected =
        [(8, "after all", true), (7, "rollback to version 5", false), (6, "", false), (5, "the first", false)];
    assert_eq!(told, expected, "{history}");
    assert_eq!(history["versions"][0]["digest"], history["versions"][2]["digest"]);
    assert_eq!(history["versions"][1]["digest"], history["versions"][3]["digest"]);
    assert!(shell.good(&["history"]).contains("after all"));
    let (code, _, err) = shell.realm(&["rollback", "--to", "3"]);
    assert!(code == Some(1) && err.contains("version 3 is not known any more"), "{err}");
    let (code, _, err) = shell.realm(&["rollback", "--to", "8"]);
    assert!(code == Some(0) && err.contains("version 8 is already in force"), "{err}");
}

#[test]
fn what_no_node_has_any_more_is_told_before_anything_is_sent() {
    let (shell, _agents) = realm(&[&[]]);
    for guest in ["hello", "finish", "print"] {
        shell.applied(&[component("web", guest, "")]);
    }
    let (code, _, err) = shell.realm(&["rollback", "--yes", "--to", "1"]);
    assert!(code == Some(1) && err.contains("the bytes of `web` in version 1"), "{err}");
    assert!(err.contains("hint: `realm apply` with the manifest of that version"), "{err}");
    shell.good(&["rollback", "--yes"]);
    shell.applied(&[component("web", "hello", "")]);
    assert_eq!(shell.json(&["history"])["versions"][0]["version"], 5);
}

#[test]
fn a_plan_tells_by_its_exit_code_whether_something_would_change() {
    let (shell, agents) = realm(&[&["--role", "dev"]]);
    shell.declare(&[component("web", "ticker", "")]);
    let plan = |more: &[&str]| shell.with_manifest("plan", more);
    assert_eq!(plan(&[]).0, Some(0));
    let (code, out, err) = plan(&["--detailed-exitcode", "--json"]);
    assert_eq!(code, Some(2), "{err}");
    let object = documented(&out);
    assert_eq!((&object["schema"], &object["held"], &object["version"]), (&1.into(), &().into(), &1.into()));
    assert_eq!((&object["changes"], &object["interrupts"]), (&true.into(), &false.into()));
    let step = &object["components"][0]["nodes"][0];
    assert_eq!((&step["peer"], &step["action"]), (&agents[0].id().to_string().into(), &"create".into()));
    assert!(agents[0].component("web").is_null(), "nothing was sent");
    assert_eq!(plan(&["--detailed-exitcode", "--no-such-flag"]).0, Some(1), "2 means something else");

    assert_eq!(shell.apply(&[]).0, Some(0));
    let (code, out, err) = plan(&["--detailed-exitcode"]);
    assert_eq!(code, Some(0), "{out}{err}");
    shell.declare(&[component("web", "ticker", "memory_max_mb = 8")]);
    let (code, out, _) = plan(&["--detailed-exitcode"]);
    assert!(code == Some(2) && out.contains("memory_max_mb  none -> 8"), "{out}");
    let (code, out, err) = shell.with_manifest("apply", &[]);
    assert_eq!((code, out.as_str()), (Some(2), ""), "nobody can be asked: {err}");
    assert!(err.contains("`--yes` (or REALM_YES=1) answers"), "{err}");
    assert!(agents[0].component("web")["restarts"] == 0 && shell.json(&["history"])["versions"][0]["version"] == 1);
}

#[test]
fn somebody_who_is_there_is_asked_before_something_that_runs_is_touched() {
    let (shell, agents) = realm(&[&[]]);
    shell.applied(&[component("web", "ticker", "")]);
    shell.declare(&[component("web", "ticker", "args = [\"x\"]")]);
    let mut desk = Desk::new();
    desk.set("REALM_HOME", shell.home.path().join("realm").to_str().unwrap());
    desk.set("REALM_VIA", agents[0].addr());
    desk.set("REALM_MANIFEST", shell.manifest().to_str().unwrap());
    desk.ask = Some(Arc::new(|| "no\n".to_owned()));
    let ended = desk.run("apply").assert(1).says("go on? [y/N]").says("not confirmed; nothing was sent");
    assert!(ended.out.is_empty());
    assert_eq!(shell.json(&["history"])["versions"].as_array().unwrap().len(), 1);
    desk.ask = Some(Arc::new(|| "y\n".to_owned()));
    desk.run("apply --detach").assert(0).says("version 2 is accepted");
    // What has no room leaves the one before it serving, and that would be ended.
    shell.declare(&[component("web", "ticker", "memory_max_mb = 65536\nreplicas = 64")]);
    desk.run("apply").assert(3).says("declare a smaller `memory_max_mb`");
    assert!(desk.run("status").out.contains("what it is to replace runs on; needs"));
    shell.declare(&[component("web", "ticker", "args = [\"y\"]")]);
    desk.ask = Some(Arc::new(|| "no\n".to_owned()));
    desk.run("apply").assert(1).says("not confirmed; nothing was sent");
    desk.ask = Some(Arc::new(|| "y\n".to_owned()));
    desk.run("apply --detach").assert(0).says("version 4 is accepted");
    // What interrupts nothing is not asked about.
    desk.ask = Some(Arc::new(|| panic!("nothing to ask")));
    shell.declare(&[component("web", "ticker", "args = [\"y\"]"), component("more", "hello", "")]);
    desk.run("apply --detach").assert(0).says("version 5 is accepted");
}
