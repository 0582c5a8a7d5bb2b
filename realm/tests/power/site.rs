//! One node and its operator, who applies one version of the manifest after the other: what each of them declares, what the
//! disk has of them, and what the node makes of it.

use crate::child::{Guard, Place};
use crate::shell::Shell;
use crate::support::{Agent, LISTEN, eventually, guest};
use serde::Deserialize;
use serde::de::{Deserializer, Visitor};
use shared::{Hasher, Manifest, OwnerId, OwnerKey, Payload, Trust, open};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tempfile::TempDir;

/// Names and digests of components.
pub(crate) type Components = BTreeMap<String, String>;

/// See the module.
pub(crate) struct Site {
    pub(crate) agent: Agent,
    pub(crate) shell: Shell,
    owner: OwnerId,
    /// The data directory, as the agent names it.
    dir: PathBuf,
    /// The same, as the test sees it.
    data: PathBuf,
    /// The version in force.
    pub(crate) version: u32,
}

/// Components that are the same but for their digest. The third version after one has its digests again: by then nothing is
/// left of them on the node.
fn ware(number: u32) -> Vec<u8> {
    let mut bytes = guest("ticker");
    // A custom section, which means nothing.
    bytes.extend([0, 6, 4]);
    bytes.extend(b"ware");
    bytes.push(u8::try_from(number).unwrap());
    bytes
}

/// What a version declares: a name that all have, one that has another digest in each, one that others do not have.
fn wares(version: u32) -> [(String, u32); 3] {
    let third = version % 3;
    [("kept".into(), 0), ("changed".into(), 1 + third), (format!("only-{third}"), 4 + third)]
}

/// The same with digests.
pub(crate) fn components(version: u32) -> Components {
    let digest = |number: u32| {
        let mut hasher = Hasher::default();
        hasher.update(&ware(number));
        hasher.finish().0.digest.to_string()
    };
    wares(version).into_iter().map(|(name, number)| (name, digest(number))).collect()
}

impl Site {
    /// With the second version in force, so that each further one leaves artifacts of an earlier one behind.
    /// `disk` is a data directory, and where the test sees it.
    pub(crate) fn new(place: &Place, disk: Option<(&Path, PathBuf)>) -> Site {
        let shell = Shell::new();
        shell.good(&["init"]);
        let text = fs::read_to_string(shell.home.path().join("realm/owner.key")).unwrap();
        let owner = OwnerKey::from_secret_text(&text).unwrap().id();
        let agent = start(place, owner, disk.as_ref().map(|(dir, _)| *dir));
        let dir = disk.as_ref().map_or_else(|| agent.data_dir(), |(dir, _)| dir.to_path_buf());
        let data = disk.map_or_else(|| dir.clone(), |(_, seen)| seen);
        let mut site = Site { agent, shell, owner, dir, data, version: 0 };
        site.apply(1);
        site.apply(2);
        site
    }

    /// Starts an agent on another disk, which has this version in force, or will have the next one.
    pub(crate) fn move_to(&mut self, place: &Place, data_dir: &Path, seen: PathBuf, version: u32) {
        self.agent = start(place, self.owner, Some(data_dir));
        (self.dir, self.data, self.version) = (data_dir.to_path_buf(), seen, version);
    }

    /// Writes the manifest.
    fn declare(&self, version: u32) -> PathBuf {
        let home = self.shell.home.path();
        let component = |(name, number): (String, u32)| {
            let source = home.join(format!("{number}.wasm"));
            fs::write(&source, ware(number)).unwrap();
            let args = if name == "changed" { format!("args = [\"{version}\"]\n") } else { String::new() };
            format!("[components.{name}]\nsource = \"{}\"\n{args}", source.display())
        };
        let text = format!("rollout.min_healthy_s = 0\n{}", wares(version).map(component).concat());
        let path = home.join("realm.toml");
        fs::write(&path, text).unwrap();
        path
    }

    /// Begins to apply a version.
    pub(crate) fn begin(&mut self, version: u32) -> Applying {
        let file = self.declare(version);
        // Its end shows at once, unlike that of a connection over UDP.
        let tcp = |addr: &&String| addr.contains("/tcp/");
        self.shell.via = self.agent.listen().iter().find(tcp).unwrap().clone();
        Applying::begin(&self.shell, &["apply", "--yes", "--timeout", "50s", "--file", file.to_str().unwrap()])
    }

    /// Applies a version, which has to end well, and be all that is there.
    pub(crate) fn apply(&mut self, version: u32) {
        let mut applying = self.begin(version);
        let (code, said) = (applying.until_ended(), applying.said());
        assert_eq!(code, Some(0), "version {version}: {said}");
        self.version = version;
        self.until_runs(&[version], version, &|_| true);
        assert_eq!(self.on_disk(), OnDisk { held: version, in_force: version });
    }

    /// Waits until the components of a version run that `is_there`. Whenever somebody looks, it has to be one of these versions
    /// as a whole.
    pub(crate) fn until_runs(&self, one_of: &[u32], version: u32, is_there: &dyn Fn(&str) -> bool) {
        let wanted = components(version);
        eventually(&format!("version {version} runs"), || {
            let status = self.agent.status();
            let all = status["components"].as_array().unwrap();
            let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
            let seen: Components = all.iter().map(|it| (text(&it["name"]), text(&it["digest"]))).collect();
            assert!(one_of.iter().any(|version| components(*version) == seen), "a mixture: {status:#}");
            let is_well = |it: &serde_json::Value| {
                let phase = if is_there(it["digest"].as_str().unwrap()) { "running" } else { "fetching" };
                it["phase"] == phase && it["declared"] == true
            };
            if seen == wanted && all.iter().all(is_well) { Ok(()) } else { Err(format!("{status:#}")) }
        });
    }

    /// Whether an artifact is in the data directory as a whole.
    pub(crate) fn has(&self, digest: &str) -> bool {
        let hex = digest.rsplit(':').next().unwrap();
        self.data.join("blobs/sha256").join(&hex[..2]).join(hex).exists()
    }

    /// What the files say, each of which has to be whole.
    pub(crate) fn on_disk(&self) -> OnDisk {
        let file = fs::read(self.data.join("manifest")).unwrap();
        let file: ManifestFile = shared::frame::decode(&file).unwrap();
        let in_force = file.in_force.unwrap();
        let (version, pinned) = self.opened(&in_force.sealed.0);
        let manifest = Manifest::decode(&in_force.document.0).unwrap();
        assert_eq!(manifest.artifact().digest.to_string(), pinned);
        let declared = manifest.components().iter();
        let declared: Components =
            declared.map(|(name, it)| (name.to_string(), it.spec.artifact.digest.to_string())).collect();
        assert_eq!(declared, components(version), "the document of version {version}");
        let held = fs::read(self.data.join("intents/manifest.intent")).unwrap();
        OnDisk { held: self.opened(&held).0, in_force: version }
    }

    /// Whether the document of what is held is there.
    pub(crate) fn has_document(&self) -> bool {
        let held = fs::read(self.data.join("intents/manifest.intent")).unwrap();
        self.has(&self.opened(&held).1)
    }

    /// The version that an apply has, and the digest of its document.
    fn opened(&self, sealed: &[u8]) -> (u32, String) {
        let opened = open(sealed, &Trust::Owner(self.owner)).unwrap();
        let Payload::Apply(apply) = &opened.body().payload else { panic!("no apply") };
        (apply.version, apply.manifest.digest.to_string())
    }

    /// A call without the place of the data directory, which says nothing.
    pub(crate) fn shortened(&self, call: &str) -> String {
        let dir = self.dir.to_str().unwrap();
        call.trim_end_matches(" <unfinished ...>").replace(&format!("{dir}/"), "").replace(dir, "data")
    }

    /// Nothing was torn, lost, or taken for a first start.
    pub(crate) fn assert_whole(&self) {
        assert!(!self.data.join("set-aside").exists(), "something was set aside: {}", self.agent.stderr());
        let said = self.agent.stderr();
        let bad = |line: &&str| {
            ["unreadable", "set aside", "is not there", "was not there", "damaged", "panicked"]
                .iter()
                .any(|it| line.contains(it))
        };
        assert_eq!(said.lines().find(bad), None);
    }

    /// The process of the agent that has this part.
    pub(crate) fn process(&self, role: &str) -> Option<u32> {
        let is_child = |pid: &u32| {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            let parent = stat.rsplit_once(") ").and_then(|(_, rest)| rest.split(' ').nth(1)?.parse().ok());
            let words = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            parent == Some(self.agent.pid()) && words.split(|byte| *byte == 0).nth(1) == Some(role.as_bytes())
        };
        let names = fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| entry.file_name().into_string().ok());
        names.filter_map(|name| name.parse().ok()).find(is_child)
    }
}

fn start(place: &Place, owner: OwnerId, data_dir: Option<&Path>) -> Agent {
    let id = owner.to_string();
    let mut flags = [&LISTEN[..], &["--owner", &id]].concat();
    flags.extend(data_dir.iter().flat_map(|dir| ["--data-dir", dir.to_str().unwrap()]));
    Agent::start_at(place, &flags)
}

/// Which versions the files of a node name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OnDisk {
    pub(crate) held: u32,
    pub(crate) in_force: u32,
}

#[derive(Deserialize)]
struct ManifestFile {
    in_force: Option<Pinned>,
}

#[derive(Deserialize)]
struct Pinned {
    sealed: Bytes,
    document: Bytes,
}

/// A byte string, which a list of numbers is not.
struct Bytes(Vec<u8>);

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Bytes, D::Error> {
        struct Take;
        impl Visitor<'_> for Take {
            type Value = Bytes;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("bytes")
            }

            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Bytes, E> {
                Ok(Bytes(bytes.to_vec()))
            }
        }
        from.deserialize_bytes(Take)
    }
}

/// `realm apply` on its way.
pub(crate) struct Applying {
    cli: Guard,
    dir: TempDir,
}

impl Applying {
    fn begin(shell: &Shell, words: &[&str]) -> Applying {
        let dir = TempDir::new().unwrap();
        let said = File::create(dir.path().join("said")).unwrap();
        let mut command = shell.command(words);
        command.stdin(Stdio::null()).stdout(said.try_clone().unwrap()).stderr(said);
        Applying { cli: Guard(command.spawn().unwrap()), dir }
    }

    /// What it has told so far.
    pub(crate) fn said(&self) -> String {
        fs::read_to_string(self.dir.path().join("said")).unwrap()
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.cli.0.try_wait().unwrap().is_some()
    }

    /// Its exit code.
    pub(crate) fn until_ended(&mut self) -> Option<i32> {
        let said = self.dir.path().join("said");
        self.cli.until_ended(&|| fs::read_to_string(&said).unwrap()).code()
    }

    /// Whether the operator was told that the node has it: a node speaks of a version once it holds that, which it has
    /// acknowledged before.
    pub(crate) fn is_acknowledged(&mut self) -> bool {
        let said = self.said();
        let is_done = self.cli.0.try_wait().unwrap().is_some_and(|status| status.success());
        is_done || ["fetching the manifest", "waits for its turn", " well"].iter().any(|word| said.contains(word))
    }
}
