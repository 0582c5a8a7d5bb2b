//! The node's own key: nothing else is ever put in its place.

use crate::child::{Place, agent_command, run};
use crate::support::{Agent, LISTEN};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

#[test]
fn a_key_that_is_torn_or_open_to_others_is_refused_and_kept() {
    let mut agent = Agent::start(&[]);
    let (id, key) = (agent.id(), agent.data_dir().join("node.key"));
    let whole = fs::read(&key).unwrap();
    agent.kill();
    let refusal = || {
        let (code, out, err) = run(agent_command(&Place::default(), &agent.data_dir()).args(LISTEN));
        assert_eq!((code, out.as_str()), (Some(1), ""), "{err}");
        assert!(err.contains(key.to_str().unwrap()) && err.contains("hint: "), "{err}");
        err
    };
    for torn in [&[][..], &whole[..31], &[0; 32], &[7; 33]] {
        fs::write(&key, torn).unwrap();
        assert!(refusal().contains("does not hold a key"));
        assert_eq!(fs::read(&key).unwrap(), torn);
    }
    fs::write(&key, &whole).unwrap();
    for mode in [0o640, 0o604, 0o660] {
        fs::set_permissions(&key, Permissions::from_mode(mode)).unwrap();
        let said = refusal();
        assert!(said.contains("open to others") && said.contains("chmod 600"), "{said}");
    }
    fs::set_permissions(&key, Permissions::from_mode(0o600)).unwrap();
    agent.start_again(&[]);
    assert_eq!(agent.id(), id);
    assert!(!agent.stderr().contains("new identity"));
}

#[test]
fn a_new_identity_is_not_taken_silently() {
    let mut agent = Agent::start(&[]);
    let (id, key) = (agent.id(), agent.data_dir().join("node.key"));
    agent.kill();
    fs::remove_file(&key).unwrap();
    agent.start_again(&[]);
    assert_ne!(agent.id(), id);
    assert!(agent.stderr().contains("this node has a new identity"), "{}", agent.stderr());
    assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
}
