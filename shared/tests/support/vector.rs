//! One vector: the text form of its file, and the check of its outcome against the code.

use shared::frame::{self, FrameError, LENGTH_BYTES};
use shared::{
    Apply, Artifact, Declaration, Hello, Manifest, ManifestReport, OwnerId, Payload, RealmId, ReportRefused, Rollout,
    SignedReport, Takeover, Trust, open,
};
use std::fmt::Write as _;

/// Hexadecimal digits on one line of a file.
const LINE: usize = 120;

/// A file of `tests/vectors/`. Fields are pairs of text, so that the file needs no parser but `split`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Vector {
    /// The file's name without `.txt`; begins with `ok_` or `fail_`.
    pub(crate) name: String,
    /// `what`, `kind`, then what the kind asks for; last what is expected.
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) bytes: Vec<u8>,
}

impl Vector {
    pub(crate) fn new(name: &str, what: &str, kind: &str, bytes: Vec<u8>) -> Vector {
        let mut vector = Vector { name: name.into(), fields: Vec::new(), bytes };
        vector.push("what", what);
        vector.push("kind", kind);
        vector
    }

    pub(crate) fn push(&mut self, key: &str, value: &str) {
        assert!(!value.contains('\n'), "{}: a value is one line", self.name);
        self.fields.push((key.into(), value.into()));
    }

    pub(crate) fn to_text(&self) -> String {
        let mut text = String::new();
        for (key, value) in &self.fields {
            writeln!(text, "{}", format!("{key}: {value}").trim_end()).unwrap();
        }
        let digits = hex(&self.bytes);
        for at in (0..digits.len()).step_by(LINE) {
            writeln!(text, "bytes: {}", &digits[at..digits.len().min(at + LINE)]).unwrap();
        }
        text
    }

    pub(crate) fn parse(name: &str, text: &str) -> Vector {
        let mut vector = Vector { name: name.into(), fields: Vec::new(), bytes: Vec::new() };
        for line in text.lines() {
            let (key, value) = line.split_once(':').unwrap_or_else(|| panic!("{name}: `{line}` is not `key: value`"));
            match (key, value.trim()) {
                ("bytes", digits) => vector.bytes.extend(unhex(digits).unwrap_or_else(|| panic!("{name}: no bytes"))),
                (key, value) => vector.push(key, value),
            }
        }
        vector
    }

    fn field(&self, key: &str) -> &str {
        let field = self.fields.iter().find(|(name, _)| name == key);
        field.map(|(_, value)| value.as_str()).unwrap_or_else(|| panic!("{}: no `{key}`", self.name))
    }

    /// Whether the code says of the bytes what the file says.
    pub(crate) fn check(&self) -> Result<(), String> {
        let outcome = match self.field("kind") {
            "intent" => self.open_intent(),
            "manifest" => self.read_manifest(),
            "report" => self.open_report(),
            "frame" => self.read_frame(),
            "hello" => self.read_hello(),
            other => panic!("{}: unknown kind `{other}`", self.name),
        };
        match (self.name.starts_with("ok_"), outcome) {
            (true, Ok(found)) => found.iter().try_for_each(|(key, value)| {
                let expected = self.field(key);
                if expected == value { Ok(()) } else { Err(format!("{key} is `{value}`, not `{expected}`")) }
            }),
            (false, Err((code, why))) if code == self.field("code") => {
                if why.len() <= 300 {
                    Ok(())
                } else {
                    Err(format!("a reason of {} bytes", why.len()))
                }
            }
            (true, Err((code, why))) => Err(format!("refused as {code}: {why}")),
            (false, Err((code, why))) => Err(format!("refused as {code} ({why}), not as {}", self.field("code"))),
            (false, Ok(_)) => Err(format!("accepted, and not refused as {}", self.field("code"))),
        }
    }

    fn open_intent(&self) -> Outcome {
        let trust = match self.field("trust") {
            "first-use" => Trust::FirstUse,
            "nobody" => Trust::Nobody,
            owner => Trust::Owner(owner.parse::<OwnerId>().unwrap()),
        };
        let opened = open(&self.bytes, &trust).map_err(|refused| (refused.code().to_owned(), refused.to_string()))?;
        let mut found = vec![
            ("id", opened.id().to_string()),
            ("owner", opened.owner().to_string()),
            ("type", opened.kind().type_name().to_owned()),
            ("key", opened.key().to_string()),
            ("seq", opened.body().seq.to_string()),
            ("note", opened.body().note.clone()),
        ];
        if let Payload::Apply(apply) = &opened.body().payload {
            found.push(("manifests", manifests(apply)));
        }
        Ok(found)
    }

    fn read_manifest(&self) -> Outcome {
        let manifest = Manifest::decode(&self.bytes).map_err(|why| ("malformed".to_owned(), why))?;
        let artifact = manifest.artifact();
        Ok(vec![
            ("digest", artifact.digest.to_string()),
            ("chunks", artifact.chunks.to_string()),
            ("rollout", rollout(&manifest.rollout())),
            ("declares", manifest.components().values().map(declaration).collect::<Vec<_>>().join(", ")),
        ])
    }

    fn open_report(&self) -> Outcome {
        let realm: RealmId = self.field("realm").parse().unwrap();
        let refused = |refused: ReportRefused| {
            let code = match refused {
                ReportRefused::Malformed(_) => "malformed",
                ReportRefused::BadSignature => "bad-signature",
                ReportRefused::OtherRealm => "other-realm",
            };
            (code.to_owned(), refused.to_string())
        };
        let signed: SignedReport = frame::decode(&self.bytes).map_err(|error| refused_frame(&error))?;
        let report = signed.open(&realm).map_err(refused)?;
        let components: Vec<_> = report
            .components
            .iter()
            .map(|c| match c.serving {
                0 => format!("{} {}", c.name, c.phase),
                serving => format!("{} {} serving {serving}", c.name, c.phase),
            })
            .collect();
        let alarms: Vec<_> = report.alarms.iter().map(|alarm| format!("{} {}", alarm.key, alarm.seq)).collect();
        Ok(vec![
            ("node", report.node.to_string()),
            ("rank", format!("{} {}", report.boot, report.count)),
            ("components", components.join(", ")),
            ("manifest", report.manifest.as_ref().map_or("none".into(), manifest_report)),
            ("alarms", if alarms.is_empty() { "none".into() } else { alarms.join(", ") }),
            ("fault", report.fault.unwrap_or("none".into())),
        ])
    }

    fn read_frame(&self) -> Outcome {
        let cap = self.field("cap").parse().unwrap();
        let (prefix, value) = self.bytes.split_at(LENGTH_BYTES);
        let length = frame::length(prefix.try_into().unwrap(), cap).map_err(|error| refused_frame(&error))?;
        assert_eq!(length, value.len(), "{}: the vector is not one frame", self.name);
        let text: String = frame::decode(value).map_err(|error| refused_frame(&error))?;
        Ok(vec![("text", text)])
    }

    fn read_hello(&self) -> Outcome {
        let hello: Hello = frame::decode(&self.bytes).map_err(|error| refused_frame(&error))?;
        if !hello.is_bounded() {
            return Err(("bounds".into(), String::new()));
        }
        let realm = hello.realm.map_or("none".into(), |realm| realm.to_string());
        Ok(vec![("realm", realm), ("highest_seq", hello.highest_seq.to_string())])
    }
}

/// The version and document of an apply, then those of the earlier ones with their notes.
fn manifests(apply: &Apply) -> String {
    let one = |version: u32, document: &Artifact| format!("{version} {} {}", document.digest, document.size);
    let past = apply
        .past
        .iter()
        .map(|past| format!("{} {} \"{}\"", one(past.version, &past.manifest), past.issued_at, past.note));
    std::iter::once(one(apply.version, &apply.manifest)).chain(past).collect::<Vec<_>>().join(", ")
}

/// How many nodes change at a time, after how many seconds they are healthy, how many may fail, and what follows then.
fn rollout(of: &Rollout) -> String {
    let parallel = of.max_parallel.map_or("all-or-a-third".into(), |nodes| nodes.to_string());
    let then = if of.auto_rollback { "go-back" } else { "keep" };
    format!("{parallel} {} {} {then}", of.min_healthy_s, of.max_failures)
}

/// Its name, how it takes over, for whom it is (how many peers, the tags, the platform), and its id.
fn declaration(of: &Declaration) -> String {
    let strategy = match of.strategy {
        Takeover::StartFirst => "start-first",
        Takeover::StopFirst => "stop-first",
    };
    let tags: Vec<&str> = of.audience.tags.iter().map(shared::Tag::as_str).collect();
    let platform = of.audience.platform.as_deref().unwrap_or("any");
    format!("{} {strategy} {}/{}/{platform} {}", of.spec.name, of.audience.peers.len(), tags.join("+"), of.id)
}

/// The version that is held, its id, how it stands, the version in force, how many are wanted, well and failed, the reason, and
/// those before that failed, where there are any.
fn manifest_report(of: &ManifestReport) -> String {
    let in_force = of.in_force.map_or("none".into(), |version| version.to_string());
    let counts = format!("{} {} {}", of.wanted, of.well, of.failed);
    let (state, reason) = (of.state.to_string().replace(' ', "-"), of.reason.as_deref().unwrap_or("none"));
    let past_failed = of.past_failed.iter().map(|version| format!(" {version}")).collect::<String>();
    let past_failed = if past_failed.is_empty() { past_failed } else { format!(" past-failed{past_failed}") };
    format!("{} {} {state} {in_force} {counts} {reason}{past_failed}", of.version, of.intent)
}

/// What was read, or the code and the text of the refusal.
type Outcome = Result<Vec<(&'static str, String)>, (String, String)>;

fn refused_frame(error: &FrameError) -> (String, String) {
    let code = match error {
        FrameError::TooLong { .. } => "too-long",
        FrameError::Malformed(_) | FrameError::Trailing => "malformed",
    };
    (code.into(), error.to_string())
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

pub(crate) fn unhex(text: &str) -> Option<Vec<u8>> {
    let pair = |pair: &[u8]| u8::from_str_radix(str::from_utf8(pair).ok()?, 16).ok();
    text.len().is_multiple_of(2).then(|| text.as_bytes().chunks(2).map(pair).collect())?
}
