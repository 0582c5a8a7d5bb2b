//! Which imports of a component an agent offers, and which exports it calls. It stands here so that the command line can name
//! what is wrong before anything is sent, without carrying a Wasm runtime.

/// Interfaces by package. What a component imports from here and was not given is linked as a stub that denies, so
/// that a guest which merely mentions it still starts. The versions are all of WASI 0.2.
const INTERFACES: [(&str, &[&str]); 7] = [
    (
        "wasi:cli",
        &[
            "environment",
            "exit",
            "stderr",
            "stdin",
            "stdout",
            "terminal-input",
            "terminal-output",
            "terminal-stderr",
            "terminal-stdin",
            "terminal-stdout",
        ],
    ),
    ("wasi:clocks", &["monotonic-clock", "timezone", "wall-clock"]),
    ("wasi:filesystem", &["preopens", "types"]),
    ("wasi:http", &["outgoing-handler", "types"]),
    ("wasi:io", &["error", "poll", "streams"]),
    ("wasi:random", &["insecure", "insecure-seed", "random"]),
    (
        "wasi:sockets",
        &["instance-network", "ip-name-lookup", "network", "tcp", "tcp-create-socket", "udp", "udp-create-socket"],
    ),
];

/// Whether agents offer the instance that a component imports under this name, such as `wasi:cli/exit@0.2.3`.
#[must_use]
pub fn offers(import: &str) -> bool {
    let Some((package, interface, version)) = split(import) else { return false };
    is_version(version, "0.2.")
        && INTERFACES.iter().any(|(name, interfaces)| *name == package && interfaces.contains(&interface))
}

/// Whether agents call `run` of the instance that a component exports under this name, such as `wasi:cli/run@0.2.3`.
#[must_use]
pub fn is_command(export: &str) -> bool {
    split(export).is_some_and(|(package, interface, version)| {
        // What follows a `+` is about the build, and the same interface.
        let version = version.split_once('+').map_or(version, |(version, _)| version);
        (package, interface) == ("wasi:cli", "run") && is_version(version, "0.2.")
    })
}

/// Whether a name belongs to WASI 0.3, which agents do not host.
#[must_use]
pub fn is_wasi_03(name: &str) -> bool {
    split(name).is_some_and(|(package, _, version)| package.starts_with("wasi:") && version.starts_with("0.3."))
}

/// `package/interface@version`
fn split(name: &str) -> Option<(&str, &str, &str)> {
    let (path, version) = name.split_once('@')?;
    let (package, interface) = path.split_once('/')?;
    Some((package, interface, version))
}

/// Whether `version` is `prefix` and a number: a draft such as `0.2.0-rc-2023-11-10` is another interface.
fn is_version(version: &str, prefix: &str) -> bool {
    version
        .strip_prefix(prefix)
        .is_some_and(|patch| !patch.is_empty() && patch.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_release_of_wasi_02_is_offered() {
        for name in
            ["wasi:cli/exit@0.2.0", "wasi:cli/environment@0.2.12", "wasi:http/types@0.2.3", "wasi:io/poll@0.2.6"]
        {
            assert!(offers(name), "{name}");
        }
    }

    #[test]
    fn everything_else_is_not() {
        for name in [
            "",
            "wasi:cli/exit",
            "wasi:cli/exit@0.2",
            "wasi:cli/exit@0.2.",
            "wasi:cli/exit@0.2.0-rc-2023-11-10",
            "wasi:cli/exit@0.20.0",
            "wasi:cli/exit@0.3.0",
            "wasi:cli/exit@1.0.0",
            "wasi:cli/nothing@0.2.0",
            "wasi:nn/graph@0.2.0",
            "acme:cli/exit@0.2.0",
            "exit",
        ] {
            assert!(!offers(name), "{name}");
        }
    }

    #[test]
    fn commands_are_those_of_wasi_02() {
        assert!(is_command("wasi:cli/run@0.2.0") && is_command("wasi:cli/run@0.2.12"));
        assert!(is_command("wasi:cli/run@0.2.3+abc"));
        for name in
            ["run", "wasi:cli/run", "wasi:cli/run@0.2.0-rc-2023-11-10", "wasi:cli/run@0.3.0", "wasi:cli/exit@0.2.0"]
        {
            assert!(!is_command(name), "{name}");
        }
    }

    #[test]
    fn the_next_wasi_is_known_by_name() {
        assert!(is_wasi_03("wasi:cli/exit@0.3.0-rc-2025-09-16"));
        assert!(is_wasi_03("wasi:clocks/system-clock@0.3.0"));
        assert!(!is_wasi_03("wasi:cli/exit@0.2.3"));
        assert!(!is_wasi_03("acme:cli/exit@0.3.0"));
    }
}
