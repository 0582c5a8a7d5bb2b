//! Manifests in files, as an operator has them: the examples of `docs/manifest.md`, and what is no manifest.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails by panicking")]

mod common;

use common::{Desk, repository};
use realm::manifest::{self, Manifest, Reading, Source};
use shared::Digest;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::Path;

fn read(desk: &Desk, name: &str) -> Result<Reading, String> {
    let failure = |failure: realm::exit::Failure| {
        assert_eq!(failure.exit.code(), 1);
        format!("{}\n{}", failure.message, failure.hint.unwrap_or_default())
    };
    manifest::read(Path::new(name), desk.dir.path()).map_err(failure)
}

fn names(manifest: &Manifest) -> Vec<&str> {
    manifest.components.iter().map(|component| component.name.as_str()).collect()
}

/// The blocks of a page in this language.
fn blocks<'p>(page: &'p str, language: &str) -> Vec<&'p str> {
    let fenced = page.split("```").skip(1).step_by(2);
    fenced.filter_map(|block| block.strip_prefix(language)?.strip_prefix('\n')).collect()
}

#[test]
fn the_examples_of_the_page_are_true() {
    let page = fs::read_to_string(repository("docs/manifest.md")).unwrap();
    let [good, bad] = blocks(&page, "toml")[..] else { panic!("two examples") };
    let [told] = blocks(&page, "text")[..] else { panic!("one list of faults") };
    let desk = Desk::new();
    desk.write("shop/realm.toml", good);
    let Reading { manifest, deprecated } = read(&desk, "shop/realm.toml").unwrap();
    assert_eq!((manifest.note.as_str(), names(&manifest)), ("the shop", vec!["web", "mailer"]));
    assert_eq!(manifest.components[0].source, Source::Path(desk.path("shop/build/web.wasm")));
    assert_eq!(manifest.components[1].source, Source::Path("/srv/mailer-1.4.wasm".into()));
    assert!(deprecated.is_empty());

    desk.write("realm.toml", bad);
    let failure = read(&desk, "realm.toml").unwrap_err();
    assert_eq!(failure.trim_end(), format!("`realm.toml` cannot be used, it has 8 faults:\n{}", told.trim_end()));
}

#[test]
fn a_file_of_the_prototype_is_read() {
    let desk = Desk::new();
    let digest = "ab".repeat(32);
    let peer = shared::NodeId::of_seed(&[7; 32]);
    desk.write(
        "realm.toml",
        format!(
            "[components.hello]\nsource = \"file:target/hello.wasm\"\nsha256_hex = \"{digest}\"\ntarget_tags = [\"dev\"]\n\
             target_peer_ids = [\"{peer}\"]\nmemory_max_mb = 64\nfuel = 5000000\nepoch_ms = 100\nreplicas = 1\nstart = true\n"
        ),
    );
    let reading = read(&desk, "realm.toml").unwrap();
    assert_eq!(reading.manifest.components[0].source, Source::Path(desk.path("target/hello.wasm")));
    assert_eq!(reading.deprecated.count(), 3, "{}", reading.deprecated);
}

#[test]
fn what_is_no_file_of_text() {
    let desk = Desk::new();
    let gone = read(&desk, "gone.toml").unwrap_err();
    assert!(gone.starts_with("cannot read `gone.toml`: ") && gone.contains("TOML"), "{gone}");
    desk.write("folder/x", "");
    assert!(read(&desk, "folder").unwrap_err().starts_with("cannot read `folder`: "));
    desk.write("latin1.toml", b"note = \"x\"\n# gr\xfc\xdfe\n");
    let latin1 = read(&desk, "latin1.toml").unwrap_err();
    assert!(latin1.contains("latin1.toml:2:5: the byte 0xfc is no text; expected UTF-8"), "{latin1}");
    desk.write("large.toml", vec![b'#'; manifest::MAX_FILE_BYTES + 1]);
    assert!(read(&desk, "large.toml").unwrap_err().contains("more than 1048576 bytes"));
    desk.write("\x1b[2J.toml", "note = 1");
    assert!(!read(&desk, "\x1b[2J.toml").unwrap_err().contains('\x1b'));
}

#[test]
fn what_is_written_in_one_folder_reads_the_same_in_another() {
    let desk = Desk::new();
    desk.write(
        "shop/realm.toml",
        "[components.web]\nsource = \"build/web.wasm\"\n[components.db]\nsource = \"../db.wasm\"\n",
    );
    let manifest = read(&desk, "shop/realm.toml").unwrap().manifest;
    desk.write("export/realm.toml", manifest.to_toml(&desk.path("export")));
    desk.write("export.toml", manifest.to_toml(desk.dir.path()));
    for copy in ["export/realm.toml", "export.toml"] {
        let mut copied = read(&desk, copy).unwrap().manifest;
        for (copied, component) in copied.components.iter_mut().zip(&manifest.components) {
            copied.places = component.places;
        }
        assert_eq!(copied, manifest, "{copy}");
    }
    assert!(fs::read_to_string(desk.path("export.toml")).unwrap().contains("\"shop/build/web.wasm\""));
}

#[test]
fn what_it_names_is_looked_at_before_anybody_is_asked_and_all_faults_are_told_at_once() {
    let desk = Desk::new();
    let hello = repository("guests/hello.wasm");
    let hello = hello.display();
    desk.write("core.wat", "(module)");
    let bound = TcpListener::bind("127.0.0.1:0").unwrap();
    let nobody = bound.local_addr().unwrap().port();
    drop(bound);
    desk.write(
        "realm.toml",
        format!(
            "[components.gone]\nsource = \"gone.wasm\"\n\
             [components.core]\nsource = \"core.wat\"\n\
             [components.far]\nsource = \"https://127.0.0.1:{nobody}/web.wasm?key=secret\"\n\
             [components.other]\nsource = \"{hello}\"\nsha256 = \"{}\"\n\
             [components.good]\nsource = \"{hello}\"\n",
            "ab".repeat(32)
        ),
    );
    for line in ["plan", "apply", "apply --dry-run"] {
        let ended = desk.run(line).assert(1).says("`realm.toml` cannot be used, it has 4 faults:");
        assert!(ended.out.is_empty());
        for fault in [
            "realm.toml:2:10: cannot read `",
            "realm.toml:4:10: `",
            "is a core module",
            &format!("realm.toml:6:10: cannot fetch `https://127.0.0.1:{nobody}/web.wasm?…`: its server refuses"),
            "hint: is it up, and is the port right?",
            "realm.toml:9:10: `",
            "expected abab",
        ] {
            assert!(ended.err.contains(fault), "`{fault}` is not in:\n{}", ended.err);
        }
    }
    // What an agent does not offer is named in the one line that a fault has.
    desk.write("odd.wat", "(component (import \"acme:shop/till@1.0.0\" (instance (export \"ring\" (func)))))");
    desk.write("realm.toml", "[components.odd]\nsource = \"odd.wat\"\n");
    desk.run("plan").assert(1).says("imports what agents do not offer: acme:shop/till@1.0.0");
    desk.run("plan --file other.toml")
        .assert(1)
        .says("cannot read `other.toml`")
        .says("hint: `--file` names the manifest");
    let mut desk = desk;
    desk.set("REALM_MANIFEST", "third.toml");
    desk.run("apply").assert(1).says("cannot read `third.toml`");
}

#[test]
fn what_comes_by_url_is_what_was_meant_or_nothing() {
    let mut desk = Desk::new();
    let hello = fs::read(repository("guests/hello.wasm")).unwrap();
    let digest = Digest::of(&hello).hex();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let server = listener.local_addr().unwrap();
    let (asked, requests) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let mut line = String::new();
            let mut head = BufReader::new(&stream);
            head.read_line(&mut line).unwrap();
            let body = match line.split(['/', '?', ' ']).nth(2) {
                Some("hello.wasm") => hello.clone(),
                Some("large") => vec![0; 3 << 20],
                _ => b"<html>please log in</html>".to_vec(),
            };
            while head.read_line(&mut String::new()).unwrap() > 2 {}
            let mut answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()).into_bytes();
            answer.extend_from_slice(&body);
            (&stream).write_all(&answer).unwrap();
            asked.send(line).unwrap();
        }
    });
    let page = Digest::of(b"<html>please log in</html>").hex();
    let component = |name: &str, path: &str, digest: &str| {
        format!("[components.{name}]\nsource = \"http://{server}/{path}\"\nsha256 = \"{digest}\"\n")
    };
    let good = component("good", "hello.wasm", &digest);
    let manifest = [&good, &component("more", "hello.wasm", &page), &component("page", "page?key=secret", &digest)];
    desk.write("realm.toml", manifest.map(String::as_str).concat() + &component("text", "page", &page));
    let ended = desk.run("plan").assert(1).says("it has 3 faults:");
    for fault in [
        &format!("realm.toml:6:10: `http://{server}/hello.wasm` has the sha256 {digest}; expected {page}"),
        &format!("realm.toml:9:10: `http://{server}/page?…` has the sha256 {page}; expected {digest}"),
        &format!("realm.toml:11:10: `http://{server}/page` is not"),
    ] {
        assert!(ended.err.contains(fault), "`{fault}` is not in:\n{}", ended.err);
    }
    assert_eq!(requests.try_iter().count(), 3, "each once");

    // On a terminal one sees how far a large one is.
    desk.terminal = Some((80, 24));
    desk.write("realm.toml", component("large", "large", &page));
    let ended = desk.run("plan").assert(1);
    // How much of it comes at a time is the system's affair.
    assert!(ended.err.contains(&format!(" MiB of 3.0 MiB  http://{server}/large")), "{:?}", ended.err);
    assert_eq!(requests.try_iter().count(), 1);
    desk.terminal = None;

    // What is right is not the fault when something else is wrong, such as that nobody has made a key yet.
    desk.write("realm.toml", &good);
    let ended = desk.run("plan").assert(1);
    assert!(!ended.err.contains("cannot be used") && ended.err.contains("fetching from 1 URL"), "{}", ended.err);
    desk.write("realm.toml", good.replace("sha256", "# sha256"));
    let ended = desk.run("plan").assert(1).says("comes without TLS");
    assert!(ended.err.contains("realm.toml:2:10: ") && ended.err.contains("hint: say `sha256 = "), "{}", ended.err);
    assert_eq!(requests.try_iter().count(), 1, "and not for what was refused before");
}

#[test]
fn more_files_than_a_process_may_usually_have_open() {
    const COMPONENTS: u8 = 40;
    let desk = Desk::new();
    let hello = fs::read(repository("guests/hello.wasm")).unwrap();
    let component = |number: u8| {
        // A custom section makes each another one.
        desk.write(&format!("c{number}.wasm"), [&hello[..], &[0, 3, 1, b'n', number]].concat());
        format!("[components.c{number}]\nsource = \"c{number}.wasm\"\n")
    };
    desk.write("realm.toml", (0..COMPONENTS).map(component).collect::<String>());
    let mut command = std::process::Command::new("sh");
    command.args(["-c", "ulimit -Sn 32; exec \"$0\" plan"]).arg(env!("CARGO_BIN_EXE_realm"));
    let output = command.envs(&desk.env).current_dir(desk.dir.path()).output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    // All of them were opened; then there is no realm to ask.
    assert!(output.status.code() == Some(1) && !told.contains("cannot be used"), "{told}");
}
