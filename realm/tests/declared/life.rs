//! What is declared runs, changes without a gap, and ends; on nodes that were away too, and without any network.

use crate::manifest::component;
use crate::shell::{Shell, realm};
use crate::support::{Agent, documented, eventually};
use serde_json::Value;

/// When the run that lives has begun and the one before it has ended, on each node, by its own clock.
fn takeovers(shell: &Shell, name: &str) -> Vec<(u64, u64)> {
    let told = |nodes: &Value| {
        let of_node = |node: &Value| {
            let (live, ended) = (node["live"].as_array()?, node["ended"].as_array()?);
            let is_over = live.len() == 1 && ended.len() == 1 && ended[0]["outcome"] == "stopped";
            is_over.then(|| (live[0]["begun_at"].as_u64().unwrap(), ended[0]["ended_at"].as_u64().unwrap()))
        };
        nodes.as_array()?.iter().map(of_node).collect::<Option<Vec<_>>>()
    };
    eventually(&format!("the end of the former `{name}`"), || {
        let object = shell.json(&["inspect", name]);
        told(&object["nodes"]).ok_or_else(|| object.to_string())
    })
}

#[test]
fn two_components_on_three_nodes_of_which_one_is_changed_and_one_dropped() {
    let (shell, agents) = realm(&[&["--role", "dev"], &["--role", "dev"], &["--role", "edge"]]);
    let web = |more: &str| component("web", "ticker", &format!("tags = [\"dev\"]\n{more}"));
    let one = |more: &str| component("one", "ticker", &format!("strategy = \"stop-first\"\n{more}"));
    // It completes at once, again and again.
    let often = component("often", "hello", "tags = [\"edge\"]\nrestart = \"always\"");
    let said = shell.applied(&[web(""), one(""), often]);
    assert!(said.contains("version 1, the first") && said.contains("+ web"), "{said}");
    assert!(said.contains("version 1 is in force and well on 3 nodes"), "{said}");
    for agent in &agents[..2] {
        let web = agent.component("web");
        assert_eq!((&web["phase"], &web["declared"]), (&"running".into(), &true.into()), "{web}");
    }
    assert!(agents[2].component("web").is_null());
    let (code, _, err) = shell.apply(&[]);
    assert!(code == Some(0) && err.contains("version 1 is already in force"), "{err}");

    // The one is replaced in either order, and what is not declared any more ends.
    let said = shell.applied(&[web("args = [\"x\"]"), one("args = [\"x\"]")]);
    assert!(said.contains("~ web") && said.contains("- often") && said.contains("none -> [\"x\"]"), "{said}");
    let web = takeovers(&shell, "web");
    // Healthy for five seconds, of which a clock may be put back a little.
    assert!(web.len() == 2 && web.iter().all(|(begun, ended)| begun + 4_000 < *ended), "{web:?}");
    let one = takeovers(&shell, "one");
    assert!(one.len() == 3 && one.iter().all(|(begun, ended)| ended <= begun), "{one:?}");
    assert!(agents[2].component("often").is_null());

    let status = shell.json(&["status"]);
    for node in status["nodes"].as_array().unwrap() {
        assert_eq!((&node["manifest"]["version"], &node["manifest"]["in_force"]), (&2.into(), &2.into()), "{node}");
        assert_eq!(node["manifest"]["wanted"], node["manifest"]["well"], "{node}");
        assert!(node["components"].as_array().unwrap().iter().all(|it| it["declared"] == true), "{node}");
    }
    let inspected = shell.json(&["inspect", "web"]);
    assert_eq!((&inspected["declared"], &inspected["version"]), (&true.into(), &2.into()), "{inspected}");
    assert_eq!((&inspected["verb"], &inspected["component"]["args"][0]), (&"apply".into(), &"x".into()));
    for verb in [&["ps"][..], &["status"]] {
        let text = shell.good(verb);
        assert!(text.contains("FROM") && text.contains("manifest"), "{text}");
    }
}

#[test]
fn another_number_of_instances_leaves_those_that_stay_alone() {
    let (shell, agents) = realm(&[&[]]);
    let web = |replicas: u16| component("web", "ticker", &format!("replicas = {replicas}"));
    // When each of those that live has begun, the first of them first, once so many others have been stopped.
    let begun = |stopped: usize| {
        eventually(&format!("the end of {stopped} of `web`"), || {
            let object = shell.json(&["inspect", "web"]);
            let (live, ended) = (&object["nodes"][0]["live"], object["nodes"][0]["ended"].as_array().unwrap());
            let is_over = ended.len() == stopped && ended.iter().all(|run| run["outcome"] == "stopped");
            let mut begun: Vec<u64> =
                live.as_array().unwrap().iter().map(|run| run["begun_at"].as_u64().unwrap()).collect();
            begun.sort_unstable();
            if is_over { Ok(begun) } else { Err(object.to_string()) }
        })
    };
    shell.applied(&[web(2)]);
    let two = begun(0);
    let said = shell.applied(&[web(3)]);
    assert!(said.contains("~ web  scale") && said.contains("scale up on 1 node"), "{said}");
    let three = begun(0);
    assert_eq!((two.len(), three.len()), (2, 3));
    assert_eq!(three[..2], two, "these run on");
    let said = shell.applied(&[web(1)]);
    assert!(said.contains("scale down on 1 node") && said.contains("3 -> 1"), "{said}");
    assert_eq!(begun(2), two[..1]);
    assert_eq!(agents[0].component("web")["replicas"], 1);
}

#[test]
fn a_component_moves_to_other_nodes() {
    let (shell, agents) = realm(&[&["--role", "dev"], &["--role", "edge"]]);
    shell.applied(&[component("web", "ticker", "tags = [\"dev\"]")]);
    agents[0].until("web", "running");
    let said = shell.applied(&[component("web", "ticker", "tags = [\"edge\"]")]);
    assert!(said.contains("> web  move, for tag edge"), "{said}");
    assert!(agents[0].component("web").is_null());
    assert_eq!(agents[1].component("web")["phase"], "running");
}

#[test]
fn a_node_that_was_off_gets_it_when_the_operator_is_gone_and_starts_it_without_a_network() {
    let (shell, mut agents) = realm(&[&[], &[], &["--role", "edge"]]);
    // Who is connected with it notices at once that it is gone.
    agents.iter().for_each(|agent| {
        eventually("two peers", || if agent.metric("realm_peers") == 2 { Ok(()) } else { Err("less".into()) })
    });
    agents[2].terminate();
    // The operator asks both.
    agents[..2].iter().for_each(|agent| agent.until_sees(2));
    // What is for that node alone is nowhere but here and at the entry.
    let far = component("far", "sleep", "tags = [\"edge\"]");
    let said = shell.applied(&[component("web", "ticker", ""), far]);
    assert!(said.contains("(away)") && said.contains("1 node away, will get it"), "{said}");
    shell.declare(&[]);

    agents[2].start_again(&[]);
    agents[2].until("far", "running");
    agents[2].until("web", "running");

    agents.iter_mut().for_each(Agent::kill);
    // No others are there.
    agents[2].start_again(&[]);
    agents[2].until("far", "running");
    agents[2].until("web", "running");
    assert_eq!(agents[2].metric("realm_peers"), 0);
}

#[test]
fn left_early_it_goes_on_and_the_same_again_sees_it_through() {
    let (shell, agents) = realm(&[&[], &["--role", "edge"]]);
    shell.declare(&[component("web", "ticker", ""), component("far", "sleep", "tags = [\"edge\"]")]);
    let (code, out, err) = shell.apply(&["--detach"]);
    assert_eq!(code, Some(0), "{out}{err}");
    assert!(err.contains("version 1 is accepted and on its way"), "{err}");
    let (code, out, err) = shell.apply(&["--json"]);
    assert_eq!(code, Some(0), "{err}");
    let object = documented(&out);
    assert_eq!((&object["version"], &object["verdict"], &object["exit"]), (&1.into(), &"good".into(), &0.into()));
    assert!(object["nodes"].as_array().unwrap().iter().all(|node| node["wanted"] == node["well"]), "{object}");
    assert_eq!(agents[1].component("far")["phase"], "running");
}

#[test]
fn nodes_without_an_owner_are_claimed() {
    let agents = [Agent::start(&[]), Agent::start(&[])];
    let shell = Shell::new().to(&agents);
    shell.good(&["init"]);
    shell.declare(&[component("web", "ticker", "")]);
    let (code, _, err) = shell.with_manifest("plan", &[]);
    assert_eq!(code, Some(0), "{err}");
    let said = shell.applied(&[component("web", "ticker", "")]);
    assert!(said.contains("CLAIMING 2 nodes") && said.contains("well on 2 nodes"), "{said}");
    assert!(agents.iter().all(|agent| agent.component("web")["phase"] == "running"));
}
