//! Names that people choose: of components and of tags.

use crate::text::{excerpt, serde_text};
use std::fmt;
use std::str::FromStr;

/// The longest name; as long as a DNS label, so that it fits every file system and every column.
const MAX_NAME: usize = 63;

/// Why a text is no name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameError {
    what: &'static str,
    text: String,
    fault: String,
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let NameError { what, text, fault } = self;
        write!(
            f,
            "{what} `{text}` {fault}; names are 1 to {MAX_NAME} of `a-z 0-9 - _ .` and start with a letter or digit"
        )
    }
}

impl std::error::Error for NameError {}

fn check(what: &'static str, text: &str) -> Result<String, NameError> {
    let fault = |fault: String| Err(NameError { what, text: excerpt(text), fault });
    if text.is_empty() {
        return fault("is empty".into());
    }
    if text.len() > MAX_NAME {
        return fault(format!("has {} bytes", text.len()));
    }
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_' | '.');
    if let Some(bad) = text.chars().find(|c| !allowed(*c)) {
        return fault(format!("contains `{}`", bad.escape_debug()));
    }
    if !text.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit()) {
        return fault("starts with a sign".into());
    }
    Ok(text.to_owned())
}

macro_rules! name {
    ($(#[$doc:meta])* $type:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $type(String);

        impl $type {
            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $type {
            type Err = NameError;

            fn from_str(text: &str) -> Result<$type, NameError> {
                check($what, text).map($type)
            }
        }

        serde_text!($type);
    };
}

name! {
    /// The name of a component: 1 to 63 of `a-z 0-9 - _ .`, starting with a letter or digit. Safe as a file name.
    ComponentName, "component name"
}

name! {
    /// A tag of nodes, of the same form as a component's name.
    Tag, "tag"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_a_name() {
        for good in ["hello", "a", "0", "web-1.2_x", &"x".repeat(63)] {
            assert!(good.parse::<ComponentName>().is_ok(), "{good}");
        }
        for bad in ["", "../etc", ".hidden", "-flag", "Ünï", "a/b", "a\0b", "Hello", "a b", "🙂", &"x".repeat(64)] {
            assert!(bad.parse::<ComponentName>().is_err(), "{bad}");
        }
        let error = "x".repeat(10 << 20).parse::<Tag>().map_err(|error| error.to_string());
        assert!(error.is_err_and(|text| text.len() < 300));
    }
}
