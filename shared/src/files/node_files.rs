//! `config.toml` and `trust.toml` of a node: written by `realm configure` and by the agent, read by the agent.

use crate::limits::StoreMebibytes;
use crate::owner::OwnerId;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::PathBuf;

/// `config.toml`: how an agent is started when no flag says otherwise.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AgentConfig {
    /// Multiaddrs that are dialled at start.
    pub bootstrap: Vec<String>,
    /// Multiaddrs to listen on; the agent remembers here which ports it was given.
    pub listen: Vec<String>,
    /// MiB that artifacts and compiled code may take together; left out, a part of the file system.
    pub store_max_mb: Option<StoreMebibytes>,
}

/// `trust.toml`: who may command the node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrustFile {
    /// The owner's public key.
    pub owner: OwnerId,
}

/// Why the text of one of these files is refused; `Display` has line and column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError(String);

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.trim_end())
    }
}

impl std::error::Error for ConfigError {}

macro_rules! toml_file {
    ($type:ident) => {
        impl $type {
            /// Reads the text of the file.
            ///
            /// # Errors
            /// With line and column: not TOML, an unknown key, a value of the wrong form, a key left out.
            pub fn parse(text: &str) -> Result<$type, ConfigError> {
                toml::from_str(text).map_err(|error| ConfigError(error.to_string()))
            }

            /// The text of the file.
            #[must_use]
            pub fn to_text(&self) -> String {
                // Strings and lists of strings always have a TOML form.
                toml::to_string(self).unwrap_or_default()
            }
        }
    };
}

toml_file!(AgentConfig);
toml_file!(TrustFile);

/// Where an agent keeps its files when no flag says otherwise: `REALM_AGENT_DATA`, else the platform's place.
#[must_use]
pub fn agent_data_dir(env: &dyn Fn(&str) -> Option<String>) -> Option<PathBuf> {
    if let Some(dir) = env("REALM_AGENT_DATA").filter(|dir| !dir.is_empty()) {
        return Some(dir.into());
    }
    let home = env("HOME").filter(|home| !home.is_empty()).map(PathBuf::from)?;
    if cfg!(target_os = "macos") {
        return Some(home.join("Library/Application Support/realm-agent"));
    }
    let share = env("XDG_DATA_HOME").filter(|dir| dir.starts_with('/')).map(PathBuf::from);
    Some(share.unwrap_or_else(|| home.join(".local/share")).join("realm-agent"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_trust_file_is_an_error() {
        assert!(TrustFile::parse("").is_err());
        assert!(TrustFile::parse("owner = \"ed25519:xyz\"").is_err());
        assert_eq!(AgentConfig::parse(""), Ok(AgentConfig::default()));
        let error = AgentConfig::parse("bootstraps = []").map_err(|error| error.to_string());
        assert!(error.is_err_and(|text| text.contains("line 1")));
    }

    #[test]
    fn texts_come_back() {
        let trust = TrustFile { owner: crate::OwnerKey::of_seed(&[1; 32]).id() };
        assert_eq!(TrustFile::parse(&trust.to_text()), Ok(trust));
        let config = AgentConfig {
            bootstrap: vec!["/ip4/1.2.3.4/udp/1/quic-v1".into()],
            listen: vec![],
            store_max_mb: Some("512".parse().unwrap()),
        };
        assert_eq!(AgentConfig::parse(&config.to_text()), Ok(config));
    }
}
