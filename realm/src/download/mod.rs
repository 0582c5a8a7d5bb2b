//! What a manifest names by URL is fetched here, on the operator's machine and by no agent: a few downloads at a time, each into a
//! temporary file without a name, hashed as it comes. What is wrong with one does not keep the others from being tried.

mod client;
mod idle;
#[cfg(test)]
mod tests;

use crate::exit::Failure;
use crate::manifest::shown;
use crate::output::{Terminal, Tone, bytes, counted};
use client::{Client, Limits};
use shared::{Digest, Hasher};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Seek, Write};
use std::sync::Mutex;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;

/// So many downloads go on at a time: enough to hide the round trips of many small ones, and few enough for one server.
const MAX_DOWNLOADS: usize = 4;

/// Progress is told each time so much has come; what is smaller is there at once.
const STEP_BYTES: u64 = 1024 * 1024;

/// Messages that wait to be shown, before downloads wait.
const QUEUE: usize = 2 * MAX_DOWNLOADS;

/// What has been fetched.
#[derive(Debug)]
pub struct Download {
    /// Its bytes, to be read from the beginning. The file has no name and goes with this handle.
    pub file: File,
    /// SHA-256 of them.
    pub digest: Digest,
}

/// What came of each URL.
pub type Downloads<'u> = BTreeMap<&'u str, Result<Download, Failure>>;

/// From a download to whoever shows how it goes.
enum Told<'u> {
    Came { url: &'u str, count: u64, of: Option<u64> },
    Ended { url: &'u str, result: Result<Download, Failure> },
}

/// Fetches `http:` and `https:` URLs, each once. `env`: where proxies are named.
pub fn download<'u>(
    urls: &BTreeSet<&'u str>,
    env: &BTreeMap<String, String>,
    terminal: &mut Terminal<'_>,
) -> Downloads<'u> {
    if urls.is_empty() {
        return Downloads::new();
    }
    let client = match Client::new(env, Limits::default()) {
        Ok(client) => client,
        Err(failure) => return urls.iter().map(|url| (*url, Err(failure.clone()))).collect(),
    };
    if !terminal.is_live() {
        terminal.say(Tone::Faint, &format!("fetching from {}", counted(urls.len(), "URL")));
    }
    let (tell, told) = sync_channel(QUEUE);
    let left = Mutex::new(urls.iter().copied());
    let mut downloads = Downloads::new();
    thread::scope(|scope| {
        for _ in 0..MAX_DOWNLOADS.min(urls.len()) {
            let (tell, left, client) = (tell.clone(), &left, &client);
            scope.spawn(move || work(client, left, &tell));
        }
        drop(tell);
        let mut coming = BTreeMap::new();
        for told in told {
            match told {
                Told::Came { url, count, of } => _ = coming.insert(url, (count, of)),
                Told::Ended { url, result } => {
                    coming.remove(url);
                    downloads.insert(url, result);
                }
            }
            terminal.show(coming.iter().map(|(url, (count, of))| (Tone::Plain, line(url, *count, *of))).collect());
        }
    });
    downloads
}

fn line(url: &str, count: u64, of: Option<u64>) -> String {
    let of = of.map(|of| format!(" of {}", bytes(of))).unwrap_or_default();
    format!("  {}{of}  {}", bytes(count), shown(url))
}

/// Takes one URL after the other until none is left.
fn work<'u>(client: &Client, left: &Mutex<impl Iterator<Item = &'u str>>, tell: &SyncSender<Told<'u>>) {
    let next = || left.lock().unwrap_or_else(std::sync::PoisonError::into_inner).next();
    while let Some(url) = next() {
        let result = one(client, url, |count, of| _ = tell.send(Told::Came { url, count, of }));
        if tell.send(Told::Ended { url, result }).is_err() {
            return;
        }
    }
}

fn one(client: &Client, url: &str, mut came: impl FnMut(u64, Option<u64>)) -> Result<Download, Failure> {
    let unkept = |error: io::Error| {
        let dir = std::env::temp_dir();
        let text = format!("`{}` cannot be kept in `{}`: {error}", shown(url), dir.display());
        Failure::new(text).hint("make room there, or name another directory by TMPDIR")
    };
    let mut file = tempfile::tempfile().map_err(unkept)?;
    let (mut hasher, mut unwritten, mut told) = (Hasher::default(), None, 0);
    client.fetch(url, |bytes, count, of| {
        hasher.update(bytes);
        if let Err(error) = file.write_all(bytes) {
            unwritten = Some(error);
            return false;
        }
        if count >= told + STEP_BYTES {
            told = count;
            came(count, of);
        }
        true
    })?;
    match unwritten {
        Some(error) => return Err(unkept(error)),
        None => file.rewind().map_err(unkept)?,
    }
    Ok(Download { file, digest: hasher.finish().0.digest })
}
