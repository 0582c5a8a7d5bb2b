//! A pass over the command line before `argh` sees it, for both programs: argh neither splits `--flag=value`, nor
//! reads the environment, nor takes a program-wide flag after the verb. Pure: the environment is a function.

use crate::text::excerpt;
use std::fmt;

/// How often a flag can be given, and whether it has a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// No value. Its variable is `1`, `true` or `yes`; `0`, `false` or `no` leave it out.
    Switch,
    /// One value. Given again, the last one counts, so that a script or an alias can be overruled.
    One,
    /// A value each time it is given. Its variable holds them separated by commas.
    Many,
}

/// A flag that the pass knows.
#[derive(Debug, Clone, Copy)]
pub struct Flag {
    /// As it is typed, `--timeout`.
    pub name: &'static str,
    /// Another way to type it, `-n`.
    pub short: Option<&'static str>,
    /// The variable that stands in for it, `REALM_TIMEOUT`.
    pub variable: Option<&'static str>,
    /// Its kind.
    pub kind: Kind,
    /// The switch that says the opposite: when one of the two is typed, the other one's variable does not count.
    pub rival: Option<&'static str>,
}

impl Flag {
    /// A flag without a value.
    #[must_use]
    pub const fn switch(name: &'static str, variable: &'static str) -> Flag {
        Flag { name, short: None, variable: Some(variable), kind: Kind::Switch, rival: None }
    }

    /// A flag with one value.
    #[must_use]
    pub const fn one(name: &'static str, variable: &'static str) -> Flag {
        Flag { name, short: None, variable: Some(variable), kind: Kind::One, rival: None }
    }

    /// A flag that can be repeated.
    #[must_use]
    pub const fn many(name: &'static str, variable: &'static str) -> Flag {
        Flag { name, short: None, variable: Some(variable), kind: Kind::Many, rival: None }
    }

    /// The same flag, which nothing stands in for.
    #[must_use]
    pub const fn typed_only(self) -> Flag {
        Flag { variable: None, ..self }
    }

    /// The same flag, with a short form.
    #[must_use]
    pub const fn or(self, short: &'static str) -> Flag {
        Flag { short: Some(short), ..self }
    }

    /// The same flag, with a switch that says the opposite.
    #[must_use]
    pub const fn against(self, rival: &'static str) -> Flag {
        Flag { rival: Some(rival), ..self }
    }
}

/// What a program's command line knows: flags of the program, and verbs with flags of their own.
#[derive(Debug, Clone, Copy)]
pub struct Table {
    /// Flags that are good for every verb; typed behind the verb, they are moved before it.
    pub program: &'static [Flag],
    /// Verbs and their flags.
    pub verbs: &'static [(&'static str, &'static [Flag])],
}

/// A command line for argh.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Prepared {
    /// The arguments, without the program's name.
    pub args: Vec<String>,
    /// Flags whose value comes from the environment: flag and variable. For the hint of an error.
    pub from_env: Vec<(&'static str, &'static str)>,
}

impl Prepared {
    /// What argh says of a fault: it quotes values as they were typed, of any length, control characters and all.
    #[must_use]
    pub fn readable(&self, fault: &str) -> String {
        let unreadable = |word: &&String| excerpt(word) != **word;
        let values = self.args.iter().filter(unreadable);
        values.fold(fault.to_owned(), |text, value| text.replace(value.as_str(), &excerpt(value)))
    }
}

/// Why a command line cannot be used: exit code 2.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageError(String);

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for UsageError {}

/// Splits `--flag=value`, moves the program's flags before the verb, and fills in flags from the environment that were
/// not typed. What the table does not know is left for argh to refuse; what follows `--` is left alone.
///
/// # Errors
/// A switch with a value, or a switch's variable with a value that is neither yes nor no.
pub fn prepare(table: &Table, typed: &[String], env: &dyn Fn(&str) -> Option<String>) -> Result<Prepared, UsageError> {
    let mut pass =
        Pass { table, verb: None, seen: Vec::new(), ones: Vec::new(), program: Vec::new(), rest: Vec::new() };
    pass.read(typed)?;
    let Pass { verb, seen, program, rest, .. } = pass;
    let mut prepared = Prepared { args: program, from_env: Vec::new() };
    fill(table.program, &seen, env, &mut prepared)?;
    if let Some((name, flags)) = verb {
        prepared.args.push((*name).to_owned());
        fill(flags, &seen, env, &mut prepared)?;
    }
    prepared.args.extend(rest);
    Ok(prepared)
}

struct Pass<'a> {
    table: &'a Table,
    verb: Option<&'a (&'static str, &'static [Flag])>,
    seen: Vec<&'static str>,
    /// Where the value of each single flag is, in `program` or `rest`.
    ones: Vec<(&'static str, usize)>,
    program: Vec<String>,
    rest: Vec<String>,
}

impl Pass<'_> {
    fn read(&mut self, typed: &[String]) -> Result<(), UsageError> {
        let mut left = typed.iter();
        while let Some(text) = left.next() {
            if text == "--" {
                self.rest.push(text.clone());
                self.rest.extend(left.cloned());
                return Ok(());
            }
            if !text.starts_with('-') || text == "-" {
                self.word(text);
                continue;
            }
            let (name, value) = match text.split_once('=') {
                Some((name, value)) if name.starts_with("--") => (name, Some(value.to_owned())),
                _ => (text.as_str(), None),
            };
            match self.find(name) {
                None => self.rest.extend([Some(name.to_owned()), value].into_iter().flatten()),
                Some((flag, of_program)) => {
                    let value = match flag.kind {
                        Kind::Switch if value.is_some() => {
                            return Err(UsageError(format!("`{name}` takes no value")));
                        }
                        Kind::Switch => None,
                        Kind::One | Kind::Many => value.or_else(|| left.next().cloned()),
                    };
                    self.take(flag, of_program, name, value);
                }
            }
        }
        Ok(())
    }

    fn take(&mut self, flag: &'static Flag, of_program: bool, name: &str, value: Option<String>) {
        self.seen.push(flag.name);
        let place = if of_program { &mut self.program } else { &mut self.rest };
        let earlier = self.ones.iter().find(|(one, _)| *one == flag.name).and_then(|(_, at)| place.get_mut(*at));
        match (flag.kind, earlier, value) {
            (Kind::One, Some(earlier), Some(value)) => *earlier = value,
            (kind, _, value) => {
                if kind == Kind::One && value.is_some() {
                    self.ones.push((flag.name, place.len() + 1));
                }
                place.extend([Some(name.to_owned()), value].into_iter().flatten());
            }
        }
    }

    /// The first word that is a verb's name is the verb; every other one is for argh.
    fn word(&mut self, text: &str) {
        let verb = self.table.verbs.iter().find(|(name, _)| *name == text);
        if self.verb.is_none() && self.rest.iter().all(|before| before.starts_with('-')) && verb.is_some() {
            self.verb = verb;
        } else {
            self.rest.push(text.to_owned());
        }
    }

    fn find(&self, name: &str) -> Option<(&'static Flag, bool)> {
        let is = |flag: &&Flag| flag.name == name || flag.short == Some(name);
        let of_verb = self.verb.and_then(|(_, flags)| flags.iter().find(is));
        let of_verb = of_verb.map(|flag| (flag, false));
        of_verb.or_else(|| self.table.program.iter().find(is).map(|flag| (flag, true)))
    }
}

fn fill(
    flags: &'static [Flag],
    seen: &[&str],
    env: &dyn Fn(&str) -> Option<String>,
    prepared: &mut Prepared,
) -> Result<(), UsageError> {
    for flag in flags {
        let is_typed = seen.contains(&flag.name) || flag.rival.is_some_and(|rival| seen.contains(&rival));
        let Some(variable) = flag.variable.filter(|_| !is_typed) else { continue };
        let Some(value) = env(variable).filter(|value| !value.is_empty()) else { continue };
        let mut add = |value: Option<&str>| {
            prepared.args.push(flag.name.to_owned());
            prepared.args.extend(value.map(str::to_owned));
        };
        match flag.kind {
            Kind::Switch if !is_yes(variable, &value)? => continue,
            Kind::Switch => add(None),
            Kind::One => add(Some(&value)),
            Kind::Many => {
                value.split(',').map(str::trim).filter(|part| !part.is_empty()).for_each(|part| add(Some(part)))
            }
        }
        prepared.from_env.push((flag.name, variable));
    }
    Ok(())
}

fn is_yes(variable: &str, value: &str) -> Result<bool, UsageError> {
    match value {
        "1" | "true" | "yes" => Ok(true),
        "0" | "false" | "no" => Ok(false),
        other => {
            let other = excerpt(other);
            Err(UsageError(format!("`{variable}` is `{other}`; expected `1` or `0`, `true` or `false`, `yes` or `no`")))
        }
    }
}

#[cfg(test)]
mod tests;
