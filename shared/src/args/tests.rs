//! The pass over a command line, table by table.

use super::*;

const TABLE: Table = Table {
    program: &[Flag::many("--via", "REALM_VIA"), Flag::one("--color", "REALM_COLOR")],
    verbs: &[
        (
            "push",
            &[
                Flag::one("--file", "REALM_FILE"),
                Flag::many("--tag", "REALM_TAG"),
                Flag::many("--arg", "REALM_ARG"),
                Flag::switch("--start", "REALM_START").against("--no-start"),
                Flag::switch("--no-start", "REALM_NO_START").against("--start"),
            ],
        ),
        ("logs", &[Flag::one("--tail", "REALM_TAIL").or("-n")]),
    ],
};

fn prepared(typed: &str, env: &[(&str, &str)]) -> Result<Prepared, UsageError> {
    let typed: Vec<String> = typed.split_whitespace().map(str::to_owned).collect();
    let find = |name: &str| env.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
    prepare(&TABLE, &typed, &find)
}

fn line(typed: &str, env: &[(&str, &str)]) -> String {
    prepared(typed, env).map_or_else(|error| error.to_string(), |prepared| prepared.args.join(" "))
}

#[test]
fn values_behind_an_equals_sign_are_split_off() {
    assert_eq!(line("push --file=a=b --tag=x", &[]), "push --file a=b --tag x");
    assert_eq!(line("push --unknown=3", &[]), "push --unknown 3");
    assert_eq!(line("push --start=1", &[]), "`--start` takes no value");
    assert_eq!(line("push --file=", &[]), "push --file ");
}

#[test]
fn values_are_never_taken_for_flags() {
    assert_eq!(line("push --arg --tag=x --file f", &[]), "push --arg --tag=x --file f");
    assert_eq!(line("push --arg=--tag=x", &[]), "push --arg --tag=x");
    assert_eq!(line("push --arg push", &[]), "push --arg push");
    assert_eq!(line("push -- --via=x --file=y", &[]), "push -- --via=x --file=y");
    assert_eq!(line("push --file", &[]), "push --file");
    assert_eq!(line("push -", &[]), "push -");
}

#[test]
fn the_last_of_several_values_counts() {
    assert_eq!(line("push --file a --tag x --file=b --tag y", &[]), "push --file b --tag x --tag y");
    assert_eq!(line("--color a push --arg --color --color b", &[]), "--color b push --arg --color");
    assert_eq!(line("push --file a --file", &[]), "push --file a --file");
    assert_eq!(line("logs -n 1 --tail 2", &[]), "logs -n 2");
}

#[test]
fn flags_of_the_program_go_before_the_verb() {
    assert_eq!(line("push f --via=a --color never", &[]), "--via a --color never push f");
    assert_eq!(line("--via a logs push -n 3", &[]), "--via a logs push -n 3");
    assert_eq!(line("--via push logs", &[]), "--via push logs", "a value is no verb");
}

#[test]
fn the_environment_stands_in_for_what_was_not_typed() {
    let env = [("REALM_VIA", "a, b,"), ("REALM_FILE", "f"), ("REALM_TAG", "x"), ("REALM_TAIL", "7")];
    assert_eq!(line("push", &env), "--via a --via b push --file f --tag x");
    assert_eq!(line("push --via c --tag y", &env), "--via c push --file f --tag y");
    assert_eq!(line("logs -n 3 hello", &env), "--via a --via b logs -n 3 hello");
    assert_eq!(line("push", &[("REALM_FILE", "")]), "push");
    let from_env = prepared("push --file g", &env).map(|prepared| prepared.from_env);
    assert_eq!(from_env, Ok(vec![("--via", "REALM_VIA"), ("--tag", "REALM_TAG")]));
}

#[test]
fn a_typed_switch_silences_the_variable_of_its_rival() {
    assert_eq!(line("push", &[("REALM_NO_START", "yes")]), "push --no-start");
    assert_eq!(line("push", &[("REALM_NO_START", "0")]), "push");
    assert_eq!(line("push --start", &[("REALM_NO_START", "1")]), "push --start");
    assert!(line("push", &[("REALM_NO_START", "maybe")]).contains("`REALM_NO_START` is `maybe`"));
}
