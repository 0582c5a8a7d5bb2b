//! A component as an operator specifies it: which artifact, under which limits, started how.

use crate::blob::Artifact;
use crate::limits::{Limits, Replicas};
use crate::name::ComponentName;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The most arguments of a component.
pub const MAX_ARGS: usize = 64;

/// The most environment variables of a component.
pub const MAX_ENV: usize = 64;

/// The most bytes of arguments and environment together: a spec must fit a gossip message with room to spare.
pub const MAX_TEXT_BYTES: usize = 8 * 1024;

/// One environment variable, typed as `NAME=VALUE`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnvPair(pub String, pub String);

impl std::str::FromStr for EnvPair {
    type Err = SpecError;

    fn from_str(text: &str) -> Result<EnvPair, SpecError> {
        match text.split_once('=') {
            Some((name, value)) if !name.is_empty() => Ok(EnvPair(name.to_owned(), value.to_owned())),
            _ => Err(SpecError("expected `NAME=VALUE`".into())),
        }
    }
}

/// When a run that has ended is followed by another.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Restart {
    /// One run, whatever its outcome.
    Never,
    /// Another run unless the last one completed.
    #[default]
    OnFailure,
    /// Another run after every outcome.
    Always,
}

impl std::str::FromStr for Restart {
    type Err = SpecError;

    fn from_str(text: &str) -> Result<Restart, SpecError> {
        match text {
            "never" => Ok(Restart::Never),
            "on-failure" => Ok(Restart::OnFailure),
            "always" => Ok(Restart::Always),
            other => Err(SpecError(format!(
                "restart is `{}`; expected `never`, `on-failure` or `always`",
                crate::text::excerpt(other)
            ))),
        }
    }
}

/// Who shares a process with its instances.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Isolation {
    /// All components of the node that want no other.
    #[default]
    Shared,
    /// Nobody: its instances have a process of their own.
    Process,
}

impl Isolation {
    /// The word for it, as it is typed and signed.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Isolation::Shared => "shared",
            Isolation::Process => "process",
        }
    }
}

impl std::str::FromStr for Isolation {
    type Err = SpecError;

    fn from_str(text: &str) -> Result<Isolation, SpecError> {
        [Isolation::Shared, Isolation::Process].into_iter().find(|isolation| isolation.word() == text).ok_or_else(
            || SpecError(format!("isolation is `{}`; expected `shared` or `process`", crate::text::excerpt(text))),
        )
    }
}

/// Why a spec is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpecError(String);

impl fmt::Display for SpecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for SpecError {}

/// What should run. A capability that is not given here is denied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ComponentSpec {
    /// Its name, one per realm.
    pub name: ComponentName,
    /// The component's bytes, pinned.
    pub artifact: Artifact,
    /// Limits of each instance.
    pub limits: Limits,
    /// Instances on each matching node.
    pub replicas: Replicas,
    /// What follows a run that has ended.
    pub restart: Restart,
    /// Whether to start it; otherwise it is fetched, compiled and left `staged`.
    pub start: bool,
    /// Arguments after the component's name.
    pub args: Vec<String>,
    /// Environment variables: the guest sees these and no others.
    pub env: Vec<(String, String)>,
    /// Who shares a process with it.
    pub isolation: Isolation,
}

impl ComponentSpec {
    /// Checks the bounds that the field types do not.
    ///
    /// # Errors
    /// Names the field, its size and what is allowed.
    pub fn check(&self) -> Result<(), SpecError> {
        self.artifact.check().map_err(SpecError)?;
        check_inputs(&self.args, &self.env)
    }

    /// Whether an instance of it is one of the other, too: they differ at most in how many there are.
    #[must_use]
    pub fn scales_to(&self, other: &ComponentSpec) -> bool {
        *self == ComponentSpec { replicas: self.replicas, ..other.clone() }
    }
}

/// Checks arguments and environment of a component.
///
/// # Errors
/// Names what is wrong, its size and what is allowed.
pub fn check_inputs(args: &[String], env: &[(String, String)]) -> Result<(), SpecError> {
    let fault = |fault: String| Err(SpecError(fault));
    if args.len() > MAX_ARGS {
        return fault(format!("{} arguments, at most {MAX_ARGS} are allowed", args.len()));
    }
    if env.len() > MAX_ENV {
        return fault(format!("{} environment variables, at most {MAX_ENV} are allowed", env.len()));
    }
    if let Some((name, _)) = env.iter().find(|(name, _)| name.is_empty() || name.contains('=')) {
        let name = crate::text::excerpt(name);
        return fault(format!("environment variable `{name}` has no name or a `=` in it"));
    }
    // Guests would each choose for themselves which of the two counts.
    let twice = |at: usize, name: &String| env.iter().take(at).any(|(earlier, _)| earlier == name);
    if let Some((_, (name, _))) = env.iter().enumerate().find(|(at, (name, _))| twice(*at, name)) {
        return fault(format!("environment variable `{}` is there twice", crate::text::excerpt(name)));
    }
    let texts = || args.iter().chain(env.iter().flat_map(|(name, value)| [name, value]));
    if texts().any(|text| text.contains('\0')) {
        return fault("an argument or environment variable contains a NUL byte".into());
    }
    let bytes: usize = texts().map(String::len).sum();
    if bytes > MAX_TEXT_BYTES {
        return fault(format!("arguments and environment have {bytes} bytes, at most {MAX_TEXT_BYTES} are allowed"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn isolation_by_its_word() {
        for isolation in [Isolation::Shared, Isolation::Process] {
            assert_eq!(isolation.word().parse(), Ok(isolation));
        }
        assert!("vm".parse::<Isolation>().unwrap_err().to_string().contains("`vm`"));
    }

    #[test]
    fn environment_pairs() {
        assert_eq!("A=b=c".parse(), Ok(EnvPair("A".into(), "b=c".into())));
        assert_eq!("A=".parse(), Ok(EnvPair("A".into(), String::new())));
        assert!("A".parse::<EnvPair>().is_err());
        assert!("=b".parse::<EnvPair>().is_err());
    }

    #[test]
    fn a_variable_is_set_once() {
        let pairs = |names: [&str; 3]| names.map(|name| (name.to_owned(), name.to_owned()));
        assert_eq!(check_inputs(&[], &pairs(["A", "B", "AB"])), Ok(()));
        let fault = check_inputs(&[], &pairs(["A", "B", "A"])).unwrap_err().to_string();
        assert!(fault.contains("`A` is there twice"), "{fault}");
    }
}
