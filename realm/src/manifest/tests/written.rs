//! What is written reads as the same, whatever is in it.

use super::*;

/// Writes and reads again.
#[track_caller]
fn again(manifest: &Manifest) -> String {
    let text = manifest.to_toml(Path::new(DIR));
    let read = read_well(&text);
    assert_eq!(without_places(&read), without_places(manifest), "{text}");
    text
}

fn without_places(manifest: &Manifest) -> Manifest {
    let mut manifest = manifest.clone();
    manifest.components.iter_mut().for_each(|component| component.places = Places::default());
    manifest
}

#[test]
fn defaults_are_left_out_and_the_order_is_that_of_the_page() {
    assert_eq!(
        again(&read_well(&web("replicas = 1\nstart = true\nepoch_ms = 100\nrestart = \"on-failure\""))),
        web("")
    );
    let peer = NodeId::of_seed(&[7; 32]);
    let every_key = format!(
        "note = \"the shop\"\n\n[components.\"web-1.2\"]\nsource = \"build/web.wasm\"\nsha256 = \"{}\"\nreplicas = 2\n\
         memory_max_mb = 32\nfuel = 18446744073709551615\nepoch_ms = 50\ndeadline_ms = 60000\nlog_max_kb = 64\n\
         tags = [\"dev\", \"arm\"]\npeers = [\"{peer}\"]\nstart = false\nrestart = \"never\"\nargs = [\"a\", \"b\"]\n\
         env = {{ PLACE = \"here\", \"a.b\" = \"\" }}\nisolation = \"process\"\nstrategy = \"stop-first\"\n\n[components.x]\nsource = \"https://a/b\"\n",
        "ab".repeat(32)
    );
    assert_eq!(again(&read_well(&every_key)), every_key);
    let keys: Vec<&str> =
        every_key.lines().skip(3).map_while(|line| line.split_once(" = ")).map(|(key, _)| key).collect();
    assert_eq!(keys, keys::COMPONENT);
}

#[test]
fn every_character_survives() {
    let mut manifest = read_well(&web(""));
    let odd: String =
        ('\u{1}'..'\u{250}').chain(['\u{2028}', '\u{202e}', '\u{feff}', '\u{1f642}', '\u{10ffff}']).collect();
    let name = odd.replace('=', "");
    manifest.note = "\"\"\"\\ '''\r\n\t".into();
    let web = &mut manifest.components[0];
    web.args = vec![String::new(), odd.clone(), "\"".into(), "'''".into(), "\\".into()];
    web.env = vec![(name, odd), ("#".into(), "# no comment".into()), ("a\nb".into(), "\n".into())];
    web.source = Source::Path(Path::new(DIR).join("a \"b\"\n\\c.wasm"));
    let text = again(&manifest);
    // One line for each key: nothing hides in a review.
    assert_eq!(text.lines().count(), 6, "{text}");
    assert!(!text.chars().any(|c| (c.is_control() && c != '\n') || c == '\u{202e}' || c == '\u{feff}'), "{text:?}");
}

#[test]
fn every_combination_of_keys_survives() {
    let limit = |is_there: bool, number: u64| is_there.then_some(number);
    for bits in 0..1_u32 << 12 {
        let has = |bit: u32| bits >> bit & 1 == 1;
        let mut manifest = read_well(&web(""));
        let component = &mut manifest.components[0];
        component.sha256 = has(0).then(|| Digest::of(b"web"));
        component.limits.memory_max_mb = limit(has(1), 65_536).map(|number| number.try_into().unwrap());
        component.limits.fuel = limit(has(2), u64::MAX).map(|number| number.try_into().unwrap());
        component.limits.epoch_ms = limit(has(3), 10).unwrap_or(100).try_into().unwrap();
        component.limits.deadline_ms = limit(has(4), 1).map(|number| number.try_into().unwrap());
        component.limits.log_max_kb = limit(has(5), 16).unwrap_or(1024).try_into().unwrap();
        component.audience.tags = tags(if has(6) { &["dev", "a.b"] } else { &[] });
        component.audience.peers = if has(7) { vec![NodeId::of_seed(&[7; 32])] } else { vec![] };
        (component.start, component.restart) = (!has(8), if has(8) { Restart::Never } else { Restart::OnFailure });
        component.args = if has(9) { vec!["a".into()] } else { vec![] };
        component.env = if has(10) { vec![("A".into(), "b".into())] } else { vec![] };
        component.isolation = if has(10) { Isolation::Process } else { Isolation::Shared };
        component.strategy = if has(11) { Takeover::StopFirst } else { Takeover::StartFirst };
        component.replicas = if has(11) { 1000.try_into().unwrap() } else { Replicas::default() };
        again(&manifest);
    }
}

#[test]
fn of_two_variables_with_one_name_the_first_is_written() {
    let mut manifest = read_well(&web(""));
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    manifest.components[0].env = vec![pair("A", "1"), pair("B", "2"), pair("A", "3")];
    let read = read_well(&manifest.to_toml(Path::new(DIR)));
    assert_eq!(read.components[0].env, [pair("A", "1"), pair("B", "2")]);
}

#[test]
fn paths_are_written_relative_to_where_the_file_will_be() {
    let manifest = read_well(&web(""));
    assert!(manifest.to_toml(Path::new("/etc/realm")).contains("\"web.wasm\""));
    assert!(manifest.to_toml(Path::new("/etc")).contains("\"realm/web.wasm\""));
    assert!(manifest.to_toml(Path::new("/srv")).contains("\"/etc/realm/web.wasm\""));
}
