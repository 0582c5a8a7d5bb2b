//! A node with more components than its report has room for.

use crate::manifest::component;
use crate::shell::realm;

#[test]
fn what_is_not_listed_is_counted_and_can_be_inspected() {
    const COMPONENTS: usize = 140;
    /// `shared::MAX_REPORT_COMPONENTS` are listed.
    const HIDDEN: usize = 12;
    let (shell, agents) = realm(&[&[]]);
    let node = agents[0].id().short();
    let hello = |at: usize| component(&format!("c-{at:03}"), "hello", "memory_max_mb = 4");
    let said = shell.applied(&(0..COMPONENTS).map(hello).collect::<Vec<_>>());
    assert!(said.contains(&format!("+ create {COMPONENTS} components, for every node: c-000, ")), "{said}");
    let counts = format!("of {COMPONENTS} that the manifest declares there {COMPONENTS} are well, and 0 failed");
    let line = format!("{node}: {HIDDEN} more are not shown");
    assert!(said.contains(&line) && said.contains(&counts), "{said}");

    let (code, out, err) = shell.realm(&["status"]);
    assert!(code == Some(0) && err.contains(&line) && err.contains(&counts), "{out}{err}");
    let (code, out, err) = shell.realm(&["ps"]);
    assert!(code == Some(0) && err.contains(&line) && !out.contains("c-139"), "{out}{err}");
    let object = shell.json(&["ps"]);
    assert_eq!(object["components"].as_array().unwrap().len(), COMPONENTS - HIDDEN);
    assert_eq!(object["omitted"][0]["components"], HIDDEN, "{object}");
    assert_eq!(shell.nodes()[0]["omitted"], HIDDEN);

    let out = shell.good(&["inspect", "c-139"]);
    assert!(out.contains("not listed") && out.contains("completed"), "{out}");
    let object = shell.json(&["inspect", "c-139"]);
    assert!(object["nodes"][0]["component"].is_null(), "{object}");
    assert_eq!(object["nodes"][0]["ended"].as_array().unwrap().len(), 1, "{object}");

    // Nor is what is pushed by hand taken for something else while it is well.
    for again in [&[][..], &["--log-max-kb", "64"]] {
        let (code, out, err) = shell.push("z", "ticker", &[&["--memory-max-mb", "4"], again].concat());
        assert_eq!(code, Some(0), "{out}{err}");
    }
    // What was stopped is listed, and what runs again is not.
    let is_listed = || shell.json(&["ps"])["components"].as_array().unwrap().iter().any(|it| it["name"] == "z");
    for (word, listed) in [("stop", true), ("stop", true), ("start", false), ("rm", false)] {
        let (code, out, err) = shell.realm(&[word, "z", "--timeout", "50s"]);
        assert_eq!(code, Some(0), "{word}: {out}{err}");
        assert_eq!(is_listed(), listed, "{word}");
    }
}
