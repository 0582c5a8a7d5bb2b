//! Everything that a manifest is refused for: place, fault, what was expected, hint; all of them at once.

use super::*;
use shared::MAX_MANIFEST_COMPONENTS;

#[test]
fn all_faults_at_once_and_in_the_order_of_the_file() {
    refused(
        "note = 3\nversion = 1\n[defaults]\nsha256_hex = \"\"\nepoch_ms = 5\nsource = \"a\"\n\n[components.Web]\nreplicas = 0\nmemory-max-mb = 3\n\n\
         [components.db]\nsource = \"ftp://x\"\nsha256 = \"abc\"\nreplicas = 1\nreplicas = 2\ntags = [\"Dev\", \"dev\", 3]\n",
        &[
            "1:8: note is an integer; expected a string",
            "  hint: put it into quotes",
            "2:1: unknown key `version`; expected `note`, `[rollout]`, `[defaults]` or `[components.NAME]`",
            "4:1: `sha256_hex` in `[defaults]`; expected it in a component, for it says which one it is",
            "5:12: epoch_ms is 5; expected a whole number from 10 to 60000",
            "6:1: `source` in `[defaults]`; expected it in a component, for it says which one it is",
            "8:13: component `Web` has no source; expected `source = \"FILE.wasm\"`",
            "8:13: component name `Web` contains `W`; names are 1 to 63 of `a-z 0-9 - _ .` and start with a letter or digit",
            "9:12: replicas is 0; expected a whole number from 1 to 1000",
            "10:1: unknown key `memory-max-mb`; expected a key of a component",
            "  hint: did you mean `memory_max_mb`?",
            "13:10: source `ftp://x` has a scheme that is not known here; expected a path, a `file:` URL, or an `http://` or `https://` URL",
            "14:10: sha256 `abc` is no digest; expected 64 hexadecimal digits in lower case",
            "16:1: duplicate key `replicas`; expected each key once",
            "17:9: tag `Dev` contains `D`; names are 1 to 63 of `a-z 0-9 - _ .` and start with a letter or digit",
            "17:23: an element of tags is an integer; expected a string",
            "  hint: put it into quotes",
        ],
    );
}

#[test]
fn numbers_outside_of_their_range() {
    for (value, told) in [
        ("0", "0"),
        ("65537", "65537"),
        ("-5", "-5"),
        ("1.5", "1.5"),
        ("1e3", "1e3"),
        ("inf", "inf"),
        ("0x1_0001", "65537"),
        ("18446744073709551616", "18446744073709551616"),
        ("true", "a boolean"),
        ("[16]", "an array"),
        ("{ mb = 16 }", "a table"),
        ("07:32:00", "a date or time"),
        ("\"many\"", "a string"),
    ] {
        let fault = format!("3:17: memory_max_mb is {told}; expected a whole number from 1 to 65536");
        refused(&web(&format!("memory_max_mb = {value}")), &[&fault]);
    }
    let long = "9".repeat(60);
    let fault = format!("3:8: fuel is {}…; expected a whole number from 1 to 18446744073709551615", &long[..40]);
    refused(&web(&format!("fuel = {long}")), &[&fault]);
    refused(
        &web("log_max_kb = \"64\"\ndeadline_ms = 31536000001"),
        &[
            "3:14: log_max_kb is a string; expected a whole number from 16 to 1048576",
            "  hint: leave the quotes out",
            "4:15: deadline_ms is 31536000001; expected a whole number from 1 to 31536000000",
        ],
    );
}

#[test]
fn values_of_another_type() {
    refused(
        &web(
            "start = \"true\"\nrestart = 1\nstrategy = [\"stop-first\"]\nsha256 = 12\ntags = \"dev\"\npeers = {}\nargs = 5\nenv = [\"A=b\"]",
        ),
        &[
            "3:9: start is a string; expected `true` or `false`",
            "  hint: leave the quotes out",
            "4:11: restart is an integer; expected a string",
            "  hint: put it into quotes",
            "5:12: strategy is an array; expected a string",
            "6:10: sha256 is an integer; expected a string",
            "  hint: put it into quotes",
            "7:8: tags is a string; expected an array of strings",
            "  hint: put it into brackets: `[\"…\"]`",
            "8:9: peers is a table; expected an array of strings",
            "9:8: args is an integer; expected an array of strings",
            "10:7: env is an array; expected a table, such as `{ NAME = \"value\" }`",
        ],
    );
    refused("components = 3", &["1:14: components is an integer; expected a table, such as `[components.NAME]`"]);
    refused(
        "[[components]]\nname = \"web\"",
        &["1:1: components is an array; expected a table, such as `[components.NAME]`"],
    );
    refused(
        "components.web = \"web.wasm\"\ndefaults = []",
        &[
            "1:18: component web is a string; expected a table, such as `[components.NAME]`",
            "2:12: defaults is an array; expected a table, `[defaults]`",
        ],
    );
}

#[test]
fn words_that_are_not_known() {
    refused(
        &web("restart = \"sometimes\"\nstrategy = \"both\"\npeers = [\"12D3KooW\", \"\"]"),
        &[
            "3:11: restart is `sometimes`; expected `never`, `on-failure` or `always`",
            "4:12: strategy is `both`; expected `start-first` or `stop-first`",
            "5:10: `12D3KooW` is not a peer id; expected a peer id such as `12D3KooW…` (52 characters)",
            "5:22: `` is not a peer id; expected a peer id such as `12D3KooW…` (52 characters)",
        ],
    );
}

#[test]
fn arguments_and_environment() {
    refused(
        &web(
            "args = [\"a\\u0000\", \"b\", \"c\\u0000\"]\nenv = { \"\" = \"x\", \"A=B\" = \"x\", C = 3, D = \"\\u0000\" }",
        ),
        &[
            "3:9: an argument or environment variable contains a NUL byte",
            "3:25: an argument or environment variable contains a NUL byte",
            "4:9: environment variable `` has no name or a `=` in it",
            "4:19: environment variable `A=B` has no name or a `=` in it",
            "4:36: C is an integer; expected a string",
            "  hint: put it into quotes",
            "4:39: an argument or environment variable contains a NUL byte",
        ],
    );
    let args = vec!["\"a\""; shared::MAX_ARGS + 1].join(", ");
    refused(&web(&format!("args = [{args}]")), &["3:8: 65 arguments, at most 64 are allowed"]);
    let env: String = (0..=shared::MAX_ENV).map(|at| format!("env.A{at} = \"\"\n")).collect();
    refused(&web(&env), &["3:1: 65 environment variables, at most 64 are allowed"]);
}

#[test]
fn arguments_of_the_component_and_environment_of_the_defaults_count_together() {
    let half = "x".repeat(shared::MAX_TEXT_BYTES / 2 + 1);
    let faults = |place: &str| {
        format!(
            "{place}: arguments and environment have {} bytes, at most {} are allowed",
            half.len() * 2 + 1,
            shared::MAX_TEXT_BYTES
        )
    };
    let defaults = format!("[defaults]\nenv = {{ A = \"{half}\" }}\n[components.web]\nsource = \"a\"\n");
    read_well(&defaults);
    refused(&format!("{defaults}args = [\"{half}\"]"), &[&faults("5:8")]);
    // Wrong in the defaults is wrong once, however many components have them.
    let both = format!("[defaults]\nargs = [\"{half}\"]\nenv = {{ A = \"{half}\" }}\n");
    refused(&format!("{both}[components.a]\nsource = \"a\"\n[components.b]\nsource = \"a\""), &[&faults("3:7")]);
}

#[test]
fn lists_and_notes_have_an_end() {
    let tags: Vec<String> = (0..=shared::MAX_AUDIENCE_TAGS).map(|at| format!("\"t{at}\"")).collect();
    refused(
        &web(&format!("tags = [{}]", tags.join(","))),
        &["3:8: the audience names 17 tags, at most 16 are allowed"],
    );
    let peer = format!("\"{}\",", NodeId::of_seed(&[7; 32]));
    let peers = peer.repeat(shared::MAX_AUDIENCE_PEERS + 1);
    refused(&web(&format!("peers = [{peers}]")), &["3:9: the audience names 257 peers, at most 256 are allowed"]);
    let note = "ä".repeat(shared::MAX_NOTE_BYTES / 2);
    assert_eq!(read_well(&format!("note = \"{note}\"\n{}", web(""))).note, note);
    refused(&format!("note = \"{note}x\"\n{}", web("")), &["1:8: note has 513 bytes; expected at most 512"]);
}

#[test]
fn components_have_to_be_there_and_have_an_end() {
    let none = "no components; expected at least one `[components.NAME]` with a `source`";
    for (text, place) in [("", "1:1"), ("note = \"x\"\n[defaults]\n", "1:1"), ("\n[components]\n", "2:2")] {
        refused(text, &[&format!("{place}: {none}")]);
    }
    let many =
        |count: usize| -> String { (0..count).map(|at| format!("[components.c{at}]\nsource = \"a\"\n")).collect() };
    assert_eq!(read_well(&many(MAX_MANIFEST_COMPONENTS)).components.len(), MAX_MANIFEST_COMPONENTS);
    refused(&many(MAX_MANIFEST_COMPONENTS + 2), &["2001:13: 1002 components; expected at most 1000"]);
}

#[test]
fn the_way_to_where_a_key_belongs() {
    refused(
        "tags = [\"a\"]\ntarget_tags = []\nnotes = \"\"\n[web]\nsource = \"a\"\n[components.x]\nsource = \"a\"\nnote = \"x\"\nimage = \"y\"",
        &[
            "1:1: unknown key `tags`; expected `note`, `[rollout]`, `[defaults]` or `[components.NAME]`",
            "  hint: keys of a component stand below `[components.NAME]`, or for all of them below `[defaults]`",
            "2:1: unknown key `target_tags`; expected `note`, `[rollout]`, `[defaults]` or `[components.NAME]`",
            "  hint: keys of a component stand below `[components.NAME]`, or for all of them below `[defaults]`",
            "3:1: unknown key `notes`; expected `note`, `[rollout]`, `[defaults]` or `[components.NAME]`",
            "  hint: did you mean `note`?",
            "4:2: unknown key `web`; expected `note`, `[rollout]`, `[defaults]` or `[components.NAME]`",
            "  hint: the table of a component is `[components.web]`",
            "8:1: unknown key `note`; expected a key of a component",
            "  hint: `note` stands at the top of the file, before all tables",
            "9:1: unknown key `image`; expected a key of a component",
        ],
    );
}

#[test]
fn keys_and_components_that_are_there_twice() {
    refused(
        "[components.web]\nsource = \"a\"\n[components.\"web\"]\nreplicas = 0\nenv = { A = \"1\", A = \"2\", B = \"3\", B = \"4\" }\n[components.db]\nreplicas = 0",
        &[
            "3:13: duplicate key `\"web\"`; expected each key once",
            "4:12: replicas is 0; expected a whole number from 1 to 1000",
            "5:18: duplicate key `A`; expected each key once",
            "5:36: duplicate key `B`; expected each key once",
            "6:13: component `db` has no source; expected `source = \"FILE.wasm\"`",
            "7:12: replicas is 0; expected a whole number from 1 to 1000",
        ],
    );
}

#[test]
fn what_is_no_toml_hides_nothing_and_invents_nothing() {
    // A line without a value, at which the parser stops; those behind it count all the same.
    refused(
        "note\n[components.web]\nsource\nreplicas = 0\n\"a\"\nfuel = \"\\q\"\n",
        &[
            "1:5: key with no value; expected `=`",
            "3:7: key with no value; expected `=`",
            "4:12: replicas is 0; expected a whole number from 1 to 1000",
            "5:4: key with no value; expected `=`",
            "6:10: missing escaped value; expected `b`, `e`, `f`, `n`, `r`, `\\`, `\"`, `x`, `u`, `U`",
        ],
    );
    // Keys below a head that is none would be in another table.
    let head = "1:16: unclosed table; expected `]`";
    let fuel = "5:8: fuel is 0; expected a whole number from 1 to 18446744073709551615";
    refused("[components.web\nreplicas = 2\nreplicas = 3\n[components.db]\nfuel = 0", &[head, fuel]);
    refused("[components.web\nsource = \"a\"\nreplicas = 3\n", &[head]);
    refused(
        &web("fuel = = 3\nepoch_ms = 007"),
        &["3:8: extra `=`; expected nothing", "4:12: unexpected leading zero; expected nothing"],
    );
    refused(&web("args = [\"a\" \"b\"\n"), &["3:13: missing comma between array elements; expected `,`"]);
    refused(&web("args = [\"a\",\n"), &["3:13: unclosed array; expected `]`"]);
    refused("\u{feff}note = \"\n", &["1:9: invalid basic string; expected `\"`"]);
}

#[test]
fn columns_are_characters() {
    refused(
        &web("env = { \"ä🙂\" = \"x\", B = 1 }"),
        &["3:25: B is an integer; expected a string", "  hint: put it into quotes"],
    );
    refused(
        "[components.web]\r\nsource = \"a\"\r\n\tfuel = 0\r\n",
        &["3:9: fuel is 0; expected a whole number from 1 to 18446744073709551615"],
    );
}

#[test]
fn nothing_in_the_file_commands_the_terminal() {
    let bad = "\\u001b[2J\\u202e\\r\\n";
    let text = format!(
        "\"{bad}\" = 1\n[\"{bad}x\"]\nsource = \"a\"\n[components.\"{bad}\"]\nsource = \"ftp://{bad}\"\nsha256 = \"{bad}\"\ntags = [\"{bad}\"]\n\
         peers = [\"{bad}\"]\nrestart = \"{bad}\"\nstrategy = \"{bad}\"\nenv = {{ \"{bad}\" = 3, \"={bad}\" = \"\" }}\n\"{bad}\" = 1\n"
    );
    let faults = parse(&text, Path::new("\x1b]0;x\x07.toml"), Path::new(DIR)).unwrap_err();
    assert_eq!(faults.count(), 12, "{faults}");
    let shown = format!("{faults}{}", faults.failure().message);
    assert!(!shown.chars().any(|c| (c.is_control() && c != '\n') || c == '\u{202e}'), "{shown:?}");
    assert!(faults.lines().iter().all(|line| !line.contains('\n')));
    let raw = parsed("\x1b[2J = 1\n").unwrap_err().to_string();
    assert!(!raw.contains('\x1b'), "{raw:?}");
}

#[test]
fn many_faults_are_counted() {
    let lines: String = (0..MAX_SHOWN_FAULTS + 7).map(|at| format!("k{at:03} = 1\n")).collect();
    let faults = parsed(&web(&lines)).unwrap_err();
    assert_eq!((faults.count(), faults.shown().len()), (MAX_SHOWN_FAULTS + 7, MAX_SHOWN_FAULTS));
    let told = faults.lines();
    assert!(told[0].contains("realm.toml:3:1: unknown key `k000`"), "{}", told[0]);
    assert_eq!(told.last().map(String::as_str), Some("… and 7 more"));
    assert!(faults.failure().message.starts_with("`realm.toml` cannot be used, it has 57 faults:\nrealm.toml:3:1: "));
}

#[test]
fn noise_is_refused_and_never_more() {
    let good =
        read_well(&web("env = { A = \"1\" }\ntags = [\"dev\"]\n[components.db]\nsource = 'b'\n[defaults]\nfuel = 3"));
    let text = good.to_toml(Path::new(DIR));
    let junk = [
        "", "[", "]", "\"", "'''", "=", ".", "\n", "{", "}", ",", "a", "\0", "é", "#", "-", "1", "[[", "]]", "\"\"\"",
        "\\u",
    ];
    let mut dice = 7_u64;
    let mut roll = |sides: usize| {
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(dice >> 33).unwrap() % sides
    };
    for _ in 0..3000 {
        let mut noisy = text.clone();
        for _ in 0..=roll(4) {
            let (from, to) = (roll(noisy.len() + 1), roll(6));
            let (from, to) = (noisy.floor_char_boundary(from), noisy.ceil_char_boundary(from + to));
            noisy.replace_range(from..to.max(from).min(noisy.len()), junk[roll(junk.len())]);
        }
        match parsed(&noisy) {
            Ok(reading) => assert!(parsed(&reading.manifest.to_toml(Path::new(DIR))).is_ok(), "{noisy}"),
            Err(faults) => {
                let lines = noisy.split('\n').count();
                let is_there = |place: Place| (1..=lines).contains(&place.line) && place.column >= 1;
                assert!(!faults.is_empty() && faults.shown().iter().all(|fault| is_there(fault.place)), "{noisy}");
            }
        }
    }
    for deep in ["[", "{a=", "a.", "[a."] {
        assert!(parsed(&deep.repeat(20_000)).is_err());
    }
}

#[test]
fn a_file_has_an_end() {
    let long = format!("{}#", " ".repeat(MAX_FILE_BYTES));
    refused(&long, &["1:1: the file has 1048577 bytes; expected at most 1048576"]);
    let comment = format!("#{}\n", "x".repeat(MAX_FILE_BYTES - 2 - web("").len()));
    read_well(&(web("") + &comment));
}
