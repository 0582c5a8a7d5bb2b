//! A world of its own for each test: directories, environment, and what was written.

#![allow(dead_code, reason = "each test file uses a part of it")]

use realm::world::{Ask, World};
use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use tempfile::TempDir;

/// What a command wrote.
#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Vec<u8>>>);

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Sink {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

/// How a command ended.
pub struct Ended {
    pub code: u8,
    pub out: String,
    pub err: String,
}

impl Ended {
    #[track_caller]
    pub fn assert(self, code: u8) -> Ended {
        assert_eq!(self.code, code, "stdout:\n{}\nstderr:\n{}", self.out, self.err);
        self
    }

    #[track_caller]
    pub fn says(self, text: &str) -> Ended {
        assert!(self.err.contains(text), "`{text}` is not in:\n{}", self.err);
        self
    }
}

/// An operator's machine.
pub struct Desk {
    pub dir: TempDir,
    pub env: BTreeMap<String, String>,
    pub terminal: Option<(u16, u16)>,
    /// Who answers questions, if somebody is there.
    pub ask: Option<Ask>,
}

impl Desk {
    pub fn new() -> Desk {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().to_string_lossy().into_owned();
        let env = BTreeMap::from([
            ("REALM_HOME".to_owned(), format!("{home}/realm")),
            ("REALM_AGENT_DATA".to_owned(), format!("{home}/agent")),
            // A test does not talk to whoever else is on the network of this machine.
            ("REALM_NO_MDNS".to_owned(), "1".to_owned()),
        ]);
        Desk { dir, env, terminal: None, ask: None }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        path
    }

    pub fn set(&mut self, name: &str, value: &str) {
        self.env.insert(name.to_owned(), value.to_owned());
    }

    /// Runs a command line; words are separated by spaces.
    pub fn run(&self, line: &str) -> Ended {
        let words: Vec<&str> = line.split_whitespace().collect();
        self.run_words(&words)
    }

    pub fn run_words(&self, words: &[&str]) -> Ended {
        let (out, err) = (Sink::default(), Sink::default());
        let mut world = World {
            args: words.iter().map(|word| (*word).to_owned()).collect(),
            env: self.env.clone(),
            cwd: self.dir.path().into(),
            out: Box::new(out.clone()),
            err: Box::new(err.clone()),
            err_terminal: self.terminal,
            ask: self.ask.clone(),
        };
        let code = realm::run(&mut world).code();
        Ended { code, out: out.text(), err: err.text() }
    }
}

/// A file of the repository.
pub fn repository(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name)
}
