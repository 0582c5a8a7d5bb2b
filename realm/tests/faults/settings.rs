//! `config.toml` as people write it.

use crate::child::{Place, agent_command, run};
use crate::support::LISTEN;
use std::fs;
use tempfile::TempDir;

#[test]
fn a_data_directory_that_cannot_be_one_is_named() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "kept").unwrap();
    let locked = dir.path().join("locked");
    fs::create_dir_all(locked.join("lock")).unwrap();
    for data_dir in [file.clone(), file.join("below"), locked] {
        let (code, out, err) = run(agent_command(&Place::default(), &data_dir).args(LISTEN));
        assert_eq!((code, out.as_str()), (Some(1), ""), "{err}");
        assert!(err.contains(data_dir.to_str().unwrap()) && err.contains("hint: "), "{err}");
    }
    assert_eq!(fs::read_to_string(file).unwrap(), "kept");
}

#[test]
fn a_configuration_that_cannot_be_used_is_named_with_what_was_expected() {
    let dir = TempDir::new().unwrap();
    let config = dir.path().join("config.toml");
    for (text, named) in [
        ("listen = [", "line 1"),
        ("listens = []", "listens"),
        ("\0\0\0\0", "line 1"),
        ("bootstrap = [\"10.0.0.1:4001\"]", "`10.0.0.1:4001` is not an address"),
        ("bootstrap = [\"/ip4/10.0.0.1/udp/99999/quic-v1\"]", "is not an address"),
        ("listen = [\"/ip4/127.0.0.1/tcp/1/p2p/nobody\"]", "is not an address"),
        ("listen = [\"/dns/localhost/tcp/1\"]", "listens on IP addresses"),
    ] {
        fs::write(&config, text).unwrap();
        let flags: &[&str] = if text.starts_with("listen") { &[] } else { &LISTEN };
        let (code, out, err) = run(agent_command(&Place::default(), dir.path()).args(flags));
        assert_eq!((code, out.as_str()), (Some(1), ""), "{text}: {err}");
        assert!(err.contains(config.to_str().unwrap()) && err.contains(named), "{text}: {err}");
        assert!(err.contains("hint: "), "{text}: {err}");
        assert_eq!(fs::read_to_string(&config).unwrap(), text, "it is left as it is");
    }
}
