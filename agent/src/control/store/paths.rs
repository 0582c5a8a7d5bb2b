//! The layout of a data directory.

use shared::{ComponentName, IntentKey};
use std::path::{Path, PathBuf};

/// Where everything is. See the table in `ARCHITECTURE.md`.
#[derive(Debug, Clone)]
pub struct StorePaths {
    root: PathBuf,
}

/// Where the local command line finds the addresses of the running agent.
#[must_use]
pub fn endpoint_file(data_dir: &Path) -> PathBuf {
    data_dir.join("endpoint")
}

/// The extension of a stored intent.
pub(super) const INTENT: &str = "intent";

/// The extension of a run record.
pub(super) const RUN: &str = "run";

impl StorePaths {
    /// The layout under `root`.
    #[must_use]
    pub fn new(root: &Path) -> StorePaths {
        StorePaths { root: root.to_owned() }
    }

    pub(super) fn key(&self) -> PathBuf {
        self.root.join("node.key")
    }

    /// Whom the node obeys.
    #[must_use]
    pub fn trust(&self) -> PathBuf {
        self.root.join("trust.toml")
    }

    /// How the agent is configured.
    #[must_use]
    pub fn config(&self) -> PathBuf {
        self.root.join("config.toml")
    }

    pub(super) fn boot(&self) -> PathBuf {
        self.root.join("boot")
    }

    pub(super) fn peers(&self) -> PathBuf {
        self.root.join("peers.cbor")
    }

    pub(super) fn intents(&self) -> PathBuf {
        self.root.join("intents")
    }

    pub(super) fn runs(&self) -> PathBuf {
        self.root.join("runs")
    }

    /// Where torn and foreign files go.
    pub(super) fn set_aside(&self) -> PathBuf {
        self.root.join("set-aside")
    }

    /// Whether intents were set aside, and are still there. When that cannot be told, they may be.
    pub(super) fn has_intents_aside(&self) -> bool {
        let files = match std::fs::read_dir(self.set_aside()) {
            Ok(files) => files,
            Err(error) => return error.kind() != std::io::ErrorKind::NotFound,
        };
        let mark = format!(".{INTENT}.");
        files.into_iter().any(|file| file.map_or(true, |file| file.file_name().to_string_lossy().contains(&mark)))
    }

    pub(super) fn intent(&self, key: &IntentKey) -> PathBuf {
        self.intents().join(match key {
            IntentKey::Component(name) => format!("component.{name}.{INTENT}"),
            IntentKey::Manifest => format!("manifest.{INTENT}"),
        })
    }

    /// The manifest in force.
    #[must_use]
    pub fn manifest(&self) -> PathBuf {
        self.root.join("manifest")
    }

    pub(super) fn run(&self, name: &ComponentName) -> PathBuf {
        self.runs().join(format!("{name}.{RUN}"))
    }

    /// The ports that the agent was given, to be used again.
    #[must_use]
    pub fn ports(&self) -> PathBuf {
        self.root.join("ports")
    }

    /// Artifacts.
    #[must_use]
    pub fn blobs(&self) -> PathBuf {
        self.root.join("blobs")
    }

    /// Compiled code.
    #[must_use]
    pub fn cwasm(&self) -> PathBuf {
        self.root.join("cwasm")
    }

    /// Output of components.
    #[must_use]
    pub fn logs(&self) -> PathBuf {
        self.root.join("logs")
    }
}
