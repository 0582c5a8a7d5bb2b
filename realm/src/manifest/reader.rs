//! The whole of a manifest: the keys at its top, its components, and all faults in the order of the file.

use super::component::{Keys, Reader};
use super::fault::{Faults, Found, Lines, excerpt};
use super::keys::{COMPONENT, TOP, current};
use super::syntax::{Tree, Value, in_order, mended, tree};
use super::value::Values;
use super::{Component, MAX_FILE_BYTES, Manifest, Reading};
use shared::{MAX_MANIFEST_COMPONENTS, MAX_NOTE_BYTES, Rollout};
use std::path::Path;

const SUCH_COMPONENTS: &str = "such as `[components.NAME]`";

pub(super) fn parse(text: &str, file: &Path, dir: &Path) -> Result<Reading, Faults> {
    let lines = Lines::of(text);
    if text.len() > MAX_FILE_BYTES {
        let fault = format!("the file has {} bytes; expected at most {MAX_FILE_BYTES}", text.len());
        return Err(Faults::at(file, &lines, vec![Found::new(0, fault)]));
    }
    let (mended, stops) = mended(text, &lines);
    let mut tree = tree(&mended, &lines, stops);
    let mut reader = Reader { values: Values::default(), deprecated: Vec::new(), lines: &lines, dir };
    let manifest = reader.manifest(&tree);
    let mut found = std::mem::take(&mut tree.found);
    found.extend(reader.values.found.into_iter().filter(|found| !tree.is_broken(found.at, &lines)));
    if found.is_empty() {
        Ok(Reading { manifest, deprecated: Faults::at(file, &lines, reader.deprecated) })
    } else {
        Err(Faults::at(file, &lines, found))
    }
}

impl Reader<'_> {
    /// What can be read of it; complete when nothing was found.
    fn manifest(&mut self, tree: &Tree<'_>) -> Manifest {
        let mut note = String::new();
        let mut rollout = Rollout::default();
        let mut components = None;
        let mut defaults = Keys::default();
        for (name, at, value) in in_order(&tree.root) {
            match name {
                "note" => note = self.note(name, value).unwrap_or_default(),
                "rollout" => {
                    let table = self.values.table(name, value, "`[rollout]`");
                    rollout = table.map(|table| self.rollout(table)).unwrap_or_default();
                }
                "defaults" => {
                    let table = self.values.table(name, value, "`[defaults]`");
                    defaults = table.map(|table| self.defaults(table)).unwrap_or_default();
                }
                "components" => components = Some((at, value)),
                _ => self.unknown_at_top(name, at, value),
            }
        }
        // `[defaults]` may stand anywhere in the file.
        let components = match components {
            Some((at, value)) => self.components(at, value, &defaults, tree.is_whole()),
            None => {
                self.none_there(0, tree.is_whole());
                Vec::new()
            }
        };
        Manifest { note, rollout, components }
    }

    fn note(&mut self, key: &str, value: &Value<'_>) -> Option<String> {
        let note = self.values.text(key, value)?;
        if note.len() > MAX_NOTE_BYTES {
            let fault = format!("note has {} bytes; expected at most {MAX_NOTE_BYTES}", note.len());
            self.values.add(Found::new(value.span().start, fault));
            return None;
        }
        Some(note.to_owned())
    }

    fn unknown_at_top(&mut self, name: &str, at: usize, value: &Value<'_>) {
        self.values.unknown((name, at), TOP, "`note`, `[rollout]`, `[defaults]` or `[components.NAME]`", |name| {
            if COMPONENT.contains(&name) || current(name).is_some() {
                return Some(
                    "keys of a component stand below `[components.NAME]`, or for all of them below `[defaults]`".into(),
                );
            }
            let is_component = value.get_ref().as_table().is_some_and(|table| table.contains_key("source"));
            is_component.then(|| format!("the table of a component is `[components.{}]`", excerpt(name)))
        });
    }

    fn components(&mut self, at: usize, value: &Value<'_>, defaults: &Keys, is_whole: bool) -> Vec<Component> {
        let Some(table) = self.values.table("components", value, SUCH_COMPONENTS) else { return Vec::new() };
        let entries = in_order(table);
        if entries.is_empty() {
            self.none_there(at, is_whole);
        }
        if let Some((_, at, _)) = entries.get(MAX_MANIFEST_COMPONENTS) {
            let fault = format!("{} components; expected at most {MAX_MANIFEST_COMPONENTS}", entries.len());
            self.values.add(Found::new(*at, fault));
        }
        let mut components = Vec::with_capacity(entries.len().min(MAX_MANIFEST_COMPONENTS));
        for (name, at, value) in entries {
            let key = format!("component {}", excerpt(name));
            let Some(table) = self.values.table(&key, value, SUCH_COMPONENTS) else { continue };
            components.extend(self.component((name, at), table, defaults, is_whole));
        }
        components
    }

    fn none_there(&mut self, at: usize, is_whole: bool) {
        if is_whole {
            let fault = "no components; expected at least one `[components.NAME]` with a `source`";
            self.values.add(Found::new(at, fault));
        }
    }
}
