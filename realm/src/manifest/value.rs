//! Values of a manifest as the types of `shared`, whose checks these are: each gives the value, or finds what is wrong.

use super::fault::{Found, excerpt};
use super::syntax::{Value, in_order, is_placeholder, kind};
use shared::{Audience, Digest, Isolation, LimitError, NodeId, Restart, Tag, Takeover, check_inputs};
use std::fmt::Display;
use std::str::FromStr;
use toml::de::{DeTable, DeValue};

/// What was found to be wrong so far.
#[derive(Default)]
pub(super) struct Values {
    pub(super) found: Vec<Found>,
}

impl Values {
    pub(super) fn add(&mut self, found: Found) {
        self.found.push(found);
    }

    /// The value, or a fault at `at` with the text of the error.
    pub(super) fn checked<T, E: Display>(&mut self, at: usize, result: Result<T, E>) -> Option<T> {
        result.map_err(|error| self.add(Found::new(at, error.to_string()))).ok()
    }

    /// Finds that a value is of another type.
    fn other<T>(&mut self, key: &str, value: &Value<'_>, expected: &str, hint: Option<&str>) -> Option<T> {
        if !is_placeholder(value) {
            let text = format!("{} is {}; expected {expected}", excerpt(key), kind(value.get_ref()));
            self.add(Found { at: value.span().start, text, hint: hint.map(str::to_owned) });
        }
        None
    }

    pub(super) fn table<'v, 't>(&mut self, key: &str, value: &'v Value<'t>, such: &str) -> Option<&'v DeTable<'t>> {
        let table = value.get_ref().as_table();
        table.or_else(|| self.other(key, value, &format!("a table, {such}"), None))
    }

    pub(super) fn text<'v>(&mut self, key: &str, value: &'v Value<'_>) -> Option<&'v str> {
        let is_bare = matches!(value.get_ref(), DeValue::Integer(_) | DeValue::Float(_) | DeValue::Boolean(_));
        let hint = is_bare.then_some("put it into quotes");
        value.get_ref().as_str().or_else(|| self.other(key, value, "a string", hint))
    }

    pub(super) fn boolean(&mut self, key: &str, value: &Value<'_>) -> Option<bool> {
        let is_quoted = matches!(value.get_ref().as_str(), Some("true" | "false"));
        let hint = is_quoted.then_some("leave the quotes out");
        value.get_ref().as_bool().or_else(|| self.other(key, value, "`true` or `false`", hint))
    }

    /// A limit: its own check, and its own words for what is no whole number.
    pub(super) fn number<T>(&mut self, value: &Value<'_>, refused: fn(&str) -> LimitError) -> Option<T>
    where
        T: TryFrom<u64, Error = LimitError>,
    {
        if is_placeholder(value) {
            return None;
        }
        let number = match value.get_ref() {
            DeValue::Integer(number) => match u64::from_str_radix(number.as_str(), number.radix()) {
                Ok(number) => T::try_from(number),
                Err(_) => Err(refused(&excerpt(&number.to_string()))),
            },
            DeValue::Float(number) => Err(refused(&excerpt(&number.to_string()))),
            other => Err(refused(kind(other))),
        };
        let is_quoted = value.get_ref().as_str().is_some_and(|text| text.parse::<u64>().is_ok());
        number
            .map_err(|error| {
                let found = Found::new(value.span().start, error.to_string());
                self.add(if is_quoted { found.hint("leave the quotes out") } else { found });
            })
            .ok()
    }

    pub(super) fn digest(&mut self, key: &str, value: &Value<'_>) -> Option<Digest> {
        let text = self.text(key, value)?;
        // With its prefix it is what `realm` prints.
        let digest = Digest::from_hex(text).or_else(|| text.parse().ok()).ok_or_else(|| {
            format!("sha256 `{}` is no digest; expected 64 hexadecimal digits in lower case", excerpt(text))
        });
        self.checked(value.span().start, digest)
    }

    pub(super) fn restart(&mut self, key: &str, value: &Value<'_>) -> Option<Restart> {
        let text = self.text(key, value)?;
        self.checked(value.span().start, text.parse())
    }

    pub(super) fn isolation(&mut self, key: &str, value: &Value<'_>) -> Option<Isolation> {
        let text = self.text(key, value)?;
        self.checked(value.span().start, text.parse())
    }

    pub(super) fn strategy(&mut self, key: &str, value: &Value<'_>) -> Option<Takeover> {
        let strategy = match self.text(key, value)? {
            "start-first" => Ok(Takeover::StartFirst),
            "stop-first" => Ok(Takeover::StopFirst),
            other => Err(format!("strategy is `{}`; expected `start-first` or `stop-first`", excerpt(other))),
        };
        self.checked(value.span().start, strategy)
    }

    /// The elements of an array of strings, when every one of them is right.
    fn elements<T, E: Display>(
        &mut self,
        key: &str,
        value: &Value<'_>,
        each: impl Fn(&str) -> Result<T, E>,
    ) -> Option<Vec<T>> {
        let hint = value.get_ref().is_str().then_some("put it into brackets: `[\"…\"]`");
        let Some(array) = value.get_ref().as_array() else {
            return self.other(key, value, "an array of strings", hint);
        };
        let what = format!("an element of {key}");
        let element = |item: &Value<'_>| {
            let text = self.text(&what, item)?;
            self.checked(item.span().start, each(text))
        };
        // Into a list first: the fault of one must not hide those of the others.
        let elements: Vec<_> = array.iter().map(element).collect();
        elements.into_iter().collect()
    }

    pub(super) fn tags(&mut self, key: &str, value: &Value<'_>) -> Option<Vec<Tag>> {
        let tags = self.elements(key, value, Tag::from_str)?;
        let audience = Audience { tags, ..Audience::default() };
        self.checked(value.span().start, audience.check())?;
        Some(audience.tags)
    }

    pub(super) fn peers(&mut self, key: &str, value: &Value<'_>) -> Option<Vec<NodeId>> {
        let peers = self.elements(key, value, NodeId::from_str)?;
        let audience = Audience { peers, ..Audience::default() };
        self.checked(value.span().start, audience.check())?;
        Some(audience.peers)
    }

    pub(super) fn args(&mut self, key: &str, value: &Value<'_>) -> Option<Vec<String>> {
        let arg = |text: &str| check_inputs(&[text.to_owned()], &[]).map(|()| text.to_owned());
        let args = self.elements(key, value, arg)?;
        self.checked(value.span().start, check_inputs(&args, &[]))?;
        Some(args)
    }

    pub(super) fn env(&mut self, key: &str, value: &Value<'_>) -> Option<Vec<(String, String)>> {
        let table = self.table(key, value, "such as `{ NAME = \"value\" }`")?;
        let mut env = Vec::with_capacity(table.len());
        let mut is_good = true;
        for (name, at, value) in in_order(table) {
            let Some(text) = self.text(name, value) else {
                is_good = false;
                continue;
            };
            let pair = [(name.to_owned(), text.to_owned())];
            is_good &= self.checked(at, check_inputs(&[], &pair)).is_some();
            env.extend(pair);
        }
        if is_good {
            self.checked(value.span().start, check_inputs(&[], &env))?;
        }
        is_good.then_some(env)
    }
}
