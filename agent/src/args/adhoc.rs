//! The words of `realm-agent --wasm FILE`: one component at once, with limits of its own. They do not mix with those of a
//! node, because what would be ignored would be taken for obeyed.

use super::Words;
use shared::{DeadlineMs, EnvPair, EpochMs, Fuel, Limits, Mebibytes};
use std::path::PathBuf;

/// One run without a realm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdhocArgs {
    /// The component.
    pub file: PathBuf,
    /// Its memory; left out, what a node gives by default.
    pub memory_max_mb: Option<Mebibytes>,
    /// Its compute; left out, unlimited.
    pub fuel: Option<Fuel>,
    /// One stretch of compute.
    pub epoch_ms: EpochMs,
    /// Wall clock of the run; left out, unlimited.
    pub deadline_ms: Option<DeadlineMs>,
    /// Its arguments after the first, which is its name.
    pub args: Vec<String>,
    /// Its whole environment.
    pub env: Vec<(String, String)>,
}

/// Checks what was typed with `--wasm FILE`.
pub(super) fn adhoc(words: Words, file: PathBuf) -> Result<AdhocArgs, String> {
    if let Some(flag) = of_a_node(&words) {
        return Err(format!(
            "`--wasm` runs one component without a realm, and `{flag}` is for a node\n\
             hint: leave one of them out; on nodes, a component is run by `realm push`"
        ));
    }
    let env: Vec<(String, String)> = words.env.into_iter().map(|EnvPair(name, value)| (name, value)).collect();
    shared::check_inputs(&words.arg, &env).map_err(|error| error.to_string())?;
    Ok(AdhocArgs {
        file,
        memory_max_mb: words.memory_max_mb,
        fuel: words.fuel,
        epoch_ms: words.epoch_ms.unwrap_or(Limits::default().epoch_ms),
        deadline_ms: words.deadline_ms,
        args: words.arg,
        env,
    })
}

/// Refuses what was typed without `--wasm` and means nothing then.
pub(super) fn refuse_without_wasm(words: &Words) -> Result<(), String> {
    let given = [
        ("--memory-max-mb", words.memory_max_mb.is_some()),
        ("--fuel", words.fuel.is_some()),
        ("--epoch-ms", words.epoch_ms.is_some()),
        ("--deadline-ms", words.deadline_ms.is_some()),
        ("--arg", !words.arg.is_empty()),
        ("--env", !words.env.is_empty()),
    ];
    match first(&given) {
        None => Ok(()),
        Some(flag) => Err(format!(
            "`{flag}` is for one component, and there is no `--wasm FILE`\n\
             hint: on nodes it is part of a push: `realm push {flag} …`"
        )),
    }
}

fn of_a_node(words: &Words) -> Option<&'static str> {
    first(&[
        ("--role", !words.role.is_empty()),
        ("--owner", words.owner.is_some()),
        ("--bootstrap", !words.bootstrap.is_empty()),
        ("--listen", !words.listen.is_empty()),
        ("--http", words.http.is_some()),
        ("--data-dir", words.data_dir.is_some()),
        ("--store-max-mb", words.store_max_mb.is_some()),
        ("--no-tofu", words.no_tofu),
        ("--no-mdns", words.no_mdns),
    ])
}

fn first(flags: &[(&'static str, bool)]) -> Option<&'static str> {
    flags.iter().find(|(_, given)| *given).map(|(flag, _)| *flag)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::super::{Asked, parse};
    use super::*;

    /// With every variable of a node set, as on a machine that is one.
    fn typed(line: &str) -> Result<Asked, String> {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        parse(&words, &|name| match name {
            "REALM_AGENT_BOOTSTRAP" => Some("/ip4/127.0.0.1/udp/1/quic-v1".into()),
            name if name.starts_with("REALM_AGENT_") => Some("1".into()),
            _ => None,
        })
    }

    fn adhoc(line: &str) -> AdhocArgs {
        let Ok(Asked::Adhoc(args)) = typed(line) else { panic!("`{line}` is no ad hoc run") };
        args
    }

    #[test]
    fn limits_arguments_and_environment_are_read() {
        let args =
            adhoc("--wasm a.wasm --memory-max-mb=8 --fuel 9 --epoch-ms 10 --deadline-ms 11 --arg --x --env A=b=c");
        assert_eq!(args.file, PathBuf::from("a.wasm"));
        assert_eq!(args.memory_max_mb.map(Mebibytes::get), Some(8));
        assert_eq!((args.fuel.map(Fuel::get), args.epoch_ms.get()), (Some(9), 10));
        assert_eq!(args.deadline_ms.map(DeadlineMs::get), Some(11));
        assert_eq!((args.args, args.env), (vec!["--x".to_owned()], vec![("A".to_owned(), "b=c".to_owned())]));
    }

    #[test]
    fn what_is_left_out_is_what_a_node_takes() {
        let args = adhoc("--wasm a.wasm");
        assert_eq!((args.memory_max_mb, args.fuel, args.deadline_ms), (None, None, None));
        assert_eq!(args.epoch_ms, Limits::default().epoch_ms);
    }

    #[test]
    fn a_flag_of_a_node_is_refused_by_name() {
        for flag in [
            "--role dev",
            "--bootstrap /ip4/127.0.0.1/tcp/1",
            "--http 127.0.0.1:1",
            "--data-dir d",
            "--no-tofu",
            "--no-mdns",
        ] {
            let error = typed(&format!("--wasm a.wasm {flag}")).err().unwrap();
            let name = flag.split(' ').next().unwrap();
            assert!(error.contains(&format!("`{name}`")) && error.contains("hint: "), "{error}");
        }
    }

    #[test]
    fn limits_without_a_component_are_refused_by_name() {
        for flag in ["--fuel 1", "--memory-max-mb 1", "--epoch-ms 10", "--deadline-ms 1", "--arg x", "--env A=b"] {
            let error = typed(flag).err().unwrap();
            let name = flag.split(' ').next().unwrap();
            assert!(error.contains(&format!("`{name}`")) && error.contains("`--wasm FILE`"), "{error}");
        }
    }

    #[test]
    fn values_out_of_range_are_refused_with_the_range() {
        for (flag, range) in [
            ("--memory-max-mb 0", "from 1 to 65536"),
            ("--memory-max-mb 65537", "from 1 to 65536"),
            ("--fuel 0", "from 1 to"),
            ("--epoch-ms 9", "from 10 to 60000"),
            ("--deadline-ms x", "from 1 to"),
            ("--env =b", "`NAME=VALUE`"),
        ] {
            let error = typed(&format!("--wasm a.wasm {flag}")).err().unwrap();
            assert!(error.contains(range), "{error}");
        }
        let many = "--arg x ".repeat(shared::MAX_ARGS + 1);
        let error = typed(&format!("{many}--wasm a.wasm")).err().unwrap();
        assert!(error.contains("at most 64"), "{error}");
    }
}
