//! What is pushed: the sample guests, each with what becomes of it, and variants of them that have other digests.

use std::fs;
use std::path::{Path, PathBuf};

use crate::Failure;
use crate::payload::{guest, with_section};

/// What becomes of a component that nobody disturbs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Nature {
    /// It runs until it is stopped.
    Service,
    /// It ends without an error.
    Task,
    /// It ends in an error.
    Broken,
}

/// A guest with the flags that it is pushed with.
#[derive(PartialEq, Eq, Debug)]
pub(super) struct Ware {
    pub(super) guest: &'static str,
    pub(super) words: &'static [&'static str],
    pub(super) nature: Nature,
}

const fn ware(guest: &'static str, words: &'static [&'static str], nature: Nature) -> Ware {
    Ware { guest, words, nature }
}

/// All there is: services that sleep and that compute, tasks that take no time, time, memory or log, and every way to fail.
pub(super) const WARES: [Ware; 14] = [
    ware("ticker", &[], Nature::Service),
    ware("sleep", &[], Nature::Service),
    ware("spin", &[], Nature::Service),
    ware("hello", &["--arg", "torture"], Nature::Task),
    ware("hello-c", &[], Nature::Task),
    ware("finish", &[], Nature::Task),
    ware("sleep", &["--arg", "2"], Nature::Task),
    ware("print", &["--arg", "3000", "--log-max-kb", "64"], Nature::Task),
    ware("grow", &["--arg", "try"], Nature::Task),
    ware("grow", &[], Nature::Broken),
    ware("crash", &[], Nature::Broken),
    ware("exit-code", &[], Nature::Broken),
    ware("spin", &["--fuel", "1000000"], Nature::Broken),
    ware("sleep", &["--deadline-ms", "300"], Nature::Broken),
];

/// So many variants of each guest: few enough that names share artifacts, and more than stay at hand.
pub(super) const VARIANTS: usize = 4;

/// The files of all variants, in a folder.
pub(super) struct Shelf(PathBuf);

impl Shelf {
    /// Writes them.
    pub(super) fn fill(folder: &Path) -> Result<Shelf, Failure> {
        let shelf = Shelf(folder.join("wares"));
        let failed = |path: &Path, error: std::io::Error| format!("cannot use `{}`: {error}", path.display());
        fs::create_dir_all(&shelf.0).map_err(|error| failed(&shelf.0, error))?;
        for ware in &WARES {
            let original = guest(ware.guest)?;
            let component = fs::read(&original).map_err(|error| failed(&original, error))?;
            for variant in 0..VARIANTS {
                let path = shelf.file(ware, variant);
                let bytes = with_section(&component, format!("variant {variant}").as_bytes());
                fs::write(&path, bytes).map_err(|error| failed(&path, error))?;
            }
        }
        Ok(shelf)
    }

    pub(super) fn file(&self, ware: &Ware, variant: usize) -> PathBuf {
        self.0.join(format!("{}-{variant}.wasm", ware.guest))
    }
}
