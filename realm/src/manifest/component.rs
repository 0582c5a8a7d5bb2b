//! The table of one component, and `[defaults]`: its keys, and what they come to together.

use super::fault::{Found, Lines, excerpt};
use super::keys::{COMPONENT, NO_DEFAULT, TOP, current, nearest};
use super::source::Source;
use super::syntax::{Value, in_order};
use super::value::Values;
use super::{Component, Places};
use shared::{
    Audience, ComponentName, DeadlineMs, Digest, EpochMs, Fuel, Isolation, Limits, LogMaxKb, Mebibytes, NodeId,
    Replicas, Restart, Tag, Takeover, check_inputs,
};
use std::path::Path;
use toml::de::DeTable;

/// What a table says. A key that is not there, or is wrong, is `None`.
#[derive(Default)]
pub(super) struct Keys {
    /// Where `source` is, right or wrong.
    source_at: Option<usize>,
    source: Option<Source>,
    sha256_at: Option<usize>,
    sha256: Option<Digest>,
    replicas: Option<Replicas>,
    memory_max_mb: Option<Mebibytes>,
    fuel: Option<Fuel>,
    epoch_ms: Option<EpochMs>,
    deadline_ms: Option<DeadlineMs>,
    log_max_kb: Option<LogMaxKb>,
    tags: Option<Vec<Tag>>,
    peers: Option<Vec<NodeId>>,
    start: Option<bool>,
    restart: Option<Restart>,
    args: Option<Vec<String>>,
    env: Option<Vec<(String, String)>>,
    /// Where the later one of `args` and `env` is.
    inputs_at: Option<usize>,
    isolation: Option<Isolation>,
    strategy: Option<Takeover>,
}

/// A table that is read, and what it is read with.
pub(super) struct Reader<'r> {
    pub(super) values: Values,
    /// Keys with their former names.
    pub(super) deprecated: Vec<Found>,
    pub(super) lines: &'r Lines<'r>,
    pub(super) dir: &'r Path,
}

impl Reader<'_> {
    /// Reads `[defaults]`.
    pub(super) fn defaults(&mut self, table: &DeTable<'_>) -> Keys {
        let keys = self.keys(table, true);
        self.check_together(&keys, &Keys::default());
        keys
    }

    /// Reads `[components.NAME]`. `name_at` is where its name is.
    pub(super) fn component(
        &mut self,
        (name, name_at): (&str, usize),
        table: &DeTable<'_>,
        defaults: &Keys,
        is_whole: bool,
    ) -> Option<Component> {
        let parsed = name.parse::<ComponentName>();
        let parsed = parsed.map_err(|error| self.values.add(Found::new(name_at, error.to_string())));
        let keys = self.keys(table, false);
        if keys.source_at.is_none() && is_whole {
            let text = format!("component `{}` has no source; expected `source = \"FILE.wasm\"`", excerpt(name));
            self.values.add(Found::new(name_at, text));
        }
        if let (Some(source), Some(at), None) = (&keys.source, keys.source_at, keys.sha256_at)
            && source.is_unsecured()
            && is_whole
        {
            let text = format!(
                "`{source}` comes without TLS, and whoever is on the way can change it; expected `sha256` beside it"
            );
            self.values
                .add(Found::new(at, text).hint("say `sha256 = \"DIGEST\"` of the bytes that are meant, or `https://`"));
        }
        self.check_together(&keys, defaults);
        let places = Places {
            name: self.lines.place(name_at),
            source: self.lines.place(keys.source_at.unwrap_or(name_at)),
            sha256: self.lines.place(keys.sha256_at.unwrap_or(name_at)),
        };
        keys.over(defaults, parsed.ok()?, places)
    }

    /// Arguments and environment are each right alone; one can be the component's own and the other a default.
    fn check_together(&mut self, keys: &Keys, defaults: &Keys) {
        let Some(at) = keys.inputs_at else { return };
        let (args, env) = (keys.args.as_ref().or(defaults.args.as_ref()), keys.env.as_ref().or(defaults.env.as_ref()));
        if let (Some(args), Some(env)) = (args, env)
            && let Err(error) = check_inputs(args, env)
        {
            self.values.add(Found::new(at, error.to_string()));
        }
    }

    fn keys(&mut self, table: &DeTable<'_>, is_defaults: bool) -> Keys {
        let mut keys = Keys::default();
        for (name, at, value) in in_order(table) {
            let key = match current(name) {
                Some(key) if table.contains_key(key) => {
                    let text =
                        format!("`{name}` is the former name of `{key}`, and both are there; expected one of them");
                    self.values.add(Found::new(at, text).hint(format!("leave `{name}` out")));
                    continue;
                }
                Some(key) => {
                    self.deprecated.push(Found::new(at, format!("`{name}` is deprecated; expected `{key}`")));
                    key
                }
                None => name,
            };
            if is_defaults && NO_DEFAULT.contains(&key) {
                let text = format!("`{name}` in `[defaults]`; expected it in a component, for it says which one it is");
                self.values.add(Found::new(at, text));
            } else {
                self.key(&mut keys, (key, name, at), value);
            }
        }
        keys
    }

    /// Reads the value of one key; `name` is how the file calls it.
    fn key(&mut self, keys: &mut Keys, (key, name, at): (&str, &str, usize), value: &Value<'_>) {
        let values = &mut self.values;
        let value_at = value.span().start;
        match key {
            "source" => {
                keys.source_at = Some(value_at);
                let source = values.text(name, value).map(|text| Source::parse(text, self.dir));
                keys.source = source.and_then(|source| values.checked(value_at, source));
            }
            "sha256" => {
                keys.sha256_at = Some(value_at);
                keys.sha256 = values.digest(name, value);
            }
            "replicas" => keys.replicas = values.number(value, Replicas::refused),
            "memory_max_mb" => keys.memory_max_mb = values.number(value, Mebibytes::refused),
            "fuel" => keys.fuel = values.number(value, Fuel::refused),
            "epoch_ms" => keys.epoch_ms = values.number(value, EpochMs::refused),
            "deadline_ms" => keys.deadline_ms = values.number(value, DeadlineMs::refused),
            "log_max_kb" => keys.log_max_kb = values.number(value, LogMaxKb::refused),
            "tags" => keys.tags = values.tags(name, value),
            "peers" => keys.peers = values.peers(name, value),
            "start" => keys.start = values.boolean(name, value),
            "restart" => keys.restart = values.restart(name, value),
            "args" => {
                keys.inputs_at = Some(value_at);
                keys.args = values.args(name, value);
            }
            "env" => {
                keys.inputs_at = Some(value_at);
                keys.env = values.env(name, value);
            }
            "isolation" => keys.isolation = values.isolation(name, value),
            "strategy" => keys.strategy = values.strategy(name, value),
            _ => values.unknown((name, at), COMPONENT, "a key of a component", |name| {
                TOP.contains(&name).then(|| format!("`{name}` stands at the top of the file, before all tables"))
            }),
        }
    }
}

impl Keys {
    /// These keys, for what they leave out the defaults, and for what those leave out the built-in ones. `None` without a
    /// source, which has been found already.
    fn over(self, defaults: &Keys, name: ComponentName, places: Places) -> Option<Component> {
        let built_in = Limits::default();
        let limits = Limits {
            memory_max_mb: self.memory_max_mb.or(defaults.memory_max_mb),
            fuel: self.fuel.or(defaults.fuel),
            epoch_ms: self.epoch_ms.or(defaults.epoch_ms).unwrap_or(built_in.epoch_ms),
            deadline_ms: self.deadline_ms.or(defaults.deadline_ms),
            log_max_kb: self.log_max_kb.or(defaults.log_max_kb).unwrap_or(built_in.log_max_kb),
        };
        let audience = Audience {
            peers: self.peers.or_else(|| defaults.peers.clone()).unwrap_or_default(),
            tags: self.tags.or_else(|| defaults.tags.clone()).unwrap_or_default(),
            platform: None,
        };
        Some(Component {
            name,
            source: self.source?,
            sha256: self.sha256,
            limits,
            replicas: self.replicas.or(defaults.replicas).unwrap_or_default(),
            restart: self.restart.or(defaults.restart).unwrap_or_default(),
            start: self.start.or(defaults.start).unwrap_or(true),
            args: self.args.or_else(|| defaults.args.clone()).unwrap_or_default(),
            env: self.env.or_else(|| defaults.env.clone()).unwrap_or_default(),
            audience,
            isolation: self.isolation.or(defaults.isolation).unwrap_or_default(),
            strategy: self.strategy.or(defaults.strategy).unwrap_or_default(),
            places,
        })
    }
}

impl Values {
    /// Finds that a key is not known. `elsewhere` says where it would be.
    pub(super) fn unknown(
        &mut self,
        (name, at): (&str, usize),
        known: &[&'static str],
        expected: &str,
        elsewhere: impl Fn(&str) -> Option<String>,
    ) {
        let found = Found::new(at, format!("unknown key `{}`; expected {expected}", excerpt(name)));
        let meant = || nearest(name, known).map(|key| format!("did you mean `{key}`?"));
        let hint = elsewhere(name).or_else(meant);
        self.add(Found { hint, ..found });
    }
}
