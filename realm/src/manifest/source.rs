//! Where a component's bytes are: a path, or a URL. Only the form is looked at; nothing is opened here.

use super::fault::excerpt;
use std::ffi::OsString;
use std::fmt;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// The most bytes of a `source`: the longest path that Linux opens; servers refuse URLs that are longer, too.
pub const MAX_SOURCE_BYTES: usize = 4096;

/// What is expected of every source.
pub(super) const EXPECTED: &str = "a path, a `file:` URL, or an `http://` or `https://` URL";

/// Where a component's bytes are.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// A file of this machine. Relative ones begin at the manifest's folder, and that is done already.
    Path(PathBuf),
    /// `http://` or `https://`, as it was written: printable ASCII with a host, and without user or password.
    Url(String),
}

/// As it is shown to people. The query of a URL may be a key, as in links that a storage service has signed, and stays hidden.
impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Path(path) => path.display().fmt(f),
            Source::Url(url) => f.write_str(&shown(url)),
        }
    }
}

/// A URL as it is shown to people.
#[must_use]
pub fn shown(url: &str) -> String {
    let end = url.find(['?', '#']).unwrap_or(url.len());
    let hidden = if url[end..].starts_with('?') { "?…" } else { "" };
    format!("{}{hidden}", &url[..end])
}

impl Source {
    /// Reads the value of `source`; relative paths begin at `dir`.
    ///
    /// # Errors
    /// What is wrong with it, and what was expected.
    pub(super) fn parse(text: &str, dir: &Path) -> Result<Source, String> {
        if text.len() > MAX_SOURCE_BYTES {
            return Err(format!("source has {} bytes; expected at most {MAX_SOURCE_BYTES}", text.len()));
        }
        let is_url = matches!(scheme(text), Some("http" | "https"));
        let name = if is_url { shown(text) } else { text.to_owned() };
        let fault = |what: &str| format!("source `{}` {what}; expected {EXPECTED}", excerpt(&name));
        let path = match scheme(text) {
            None => text.as_bytes().to_vec(),
            Some("file") => file_path(&text["file:".len()..]).map_err(fault)?,
            Some("http" | "https") if has_user(text) => {
                // A file that is kept in git is no place for a password, and an error is none either.
                return Err("source has a user or a password in its URL; expected none".into());
            }
            Some("http" | "https") => {
                check_url(text).map_err(fault)?;
                return Ok(Source::Url(text.to_owned()));
            }
            Some(_) => return Err(fault("has a scheme that is not known here")),
        };
        if path.is_empty() {
            return Err(format!("source is empty; expected {EXPECTED}"));
        }
        if path.contains(&0) {
            return Err(fault("contains a NUL byte"));
        }
        Ok(Source::Path(dir.join(OsString::from_vec(path))))
    }

    /// Whether it comes over the network without TLS, so that anybody on the way can change it.
    pub(super) fn is_unsecured(&self) -> bool {
        matches!(self, Source::Url(url) if scheme(url) == Some("http"))
    }

    /// The value of `source` that reads as this one; paths below `dir` become relative.
    pub(super) fn to_text(&self, dir: &Path) -> String {
        let path = match self {
            Source::Url(url) => return url.clone(),
            Source::Path(path) => path,
        };
        let relative = path.strip_prefix(dir).unwrap_or(path);
        match relative.to_str() {
            // Not a name, but the folder itself, or something that would read as a URL.
            Some("") => ".".to_owned(),
            Some(text) if scheme(text).is_some() => format!("./{text}"),
            Some(text) => text.to_owned(),
            None => {
                let slashes = if relative.is_absolute() { "//" } else { "" };
                format!("file:{slashes}{}", encoded(relative.as_os_str().as_bytes()))
            }
        }
    }
}

/// The scheme of a URL, in lower case when it is a known one. `a:b` without slashes is a path, unless it is known.
fn scheme(text: &str) -> Option<&str> {
    let (scheme, rest) = text.split_once(':')?;
    let known = ["file", "http", "https"].into_iter().find(|known| scheme.eq_ignore_ascii_case(known));
    let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
    known.or((is_scheme && rest.starts_with("//")).then_some(scheme))
}

/// The path of a `file:` URL (RFC 8089), without its scheme: `/abs`, `///abs`, `//localhost/abs`; and, as people write it,
/// a relative one.
fn file_path(rest: &str) -> Result<Vec<u8>, &'static str> {
    let path = match rest.strip_prefix("//") {
        None => rest,
        Some(rest) => match rest.find('/').map(|at| rest.split_at(at)) {
            Some(("" | "localhost", path)) => path,
            _ => return Err("names another machine"),
        },
    };
    decoded(path).ok_or("has a `%` without two hexadecimal digits")
}

/// Percent-decoding (RFC 3986, section 2.1).
fn decoded(text: &str) -> Option<Vec<u8>> {
    let mut parts = text.split('%');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let digits = part.get(..2).filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()))?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        bytes.extend_from_slice(&part.as_bytes()[2..]);
    }
    Some(bytes)
}

/// The opposite, for paths: what has no meaning in a URL stays.
fn encoded(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for byte in bytes {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'-' | b'_' | b'.' | b'~' => text.push(char::from(*byte)),
            _ => text.push_str(&format!("%{byte:02X}")),
        }
    }
    text
}

/// Whether this can be asked for at all: `scheme://HOST[:PORT]…`.
fn check_url(url: &str) -> Result<(), &'static str> {
    let rest = url.split_once("://").ok_or("has no `//` behind its scheme")?.1;
    if !url.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("contains a space, a control character, or a letter outside of ASCII");
    }
    let authority = authority(rest);
    let (host, port) = match authority.strip_prefix('[').map(|rest| rest.split_once(']')) {
        Some(Some((ip, port))) if ip.parse::<std::net::Ipv6Addr>().is_ok() => (ip, port.strip_prefix(':')),
        Some(_) => return Err("has a host that is no IPv6 address in brackets"),
        None => match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        },
    };
    if host.is_empty() {
        return Err("has no host");
    }
    if port.is_some_and(|port| port.parse::<u16>().is_err()) {
        return Err("has a port that is no number up to 65535");
    }
    Ok(())
}

/// Of what is behind `://`, the part that says who is asked.
fn authority(rest: &str) -> &str {
    rest.split(['/', '?', '#']).next().unwrap_or_default()
}

fn has_user(url: &str) -> bool {
    url.split_once(':').is_some_and(|(_, rest)| authority(rest.trim_start_matches('/')).contains('@'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Source, String> {
        Source::parse(text, Path::new("/etc/realm"))
    }

    #[test]
    fn paths() {
        for (text, path) in [
            ("web.wasm", "/etc/realm/web.wasm"),
            ("./a b/../web.wasm", "/etc/realm/a b/../web.wasm"),
            ("/srv/web.wasm", "/srv/web.wasm"),
            ("web:1.wasm", "/etc/realm/web:1.wasm"),
            ("100%.wasm", "/etc/realm/100%.wasm"),
            ("file:/srv/web.wasm", "/srv/web.wasm"),
            ("file:///srv/a%20b%25.wasm", "/srv/a b%.wasm"),
            ("FILE://localhost/srv/web.wasm", "/srv/web.wasm"),
            ("file:web.wasm", "/etc/realm/web.wasm"),
            ("ä/🙂", "/etc/realm/ä/🙂"),
        ] {
            assert_eq!(parsed(text), Ok(Source::Path(path.into())), "{text}");
        }
    }

    #[test]
    fn urls() {
        for url in [
            "http://example.org/web.wasm",
            "https://example.org:8443/a?b=c",
            "HTTPS://[::1]:80/x",
            "http://[2001:db8::1]/x",
            "http://a",
            "https://example.org/@user",
        ] {
            assert_eq!(parsed(url), Ok(Source::Url(url.into())), "{url}");
        }
    }

    #[test]
    fn what_is_shown_of_a_url() {
        for (url, shown) in [
            ("https://example.org/web.wasm", "https://example.org/web.wasm"),
            ("https://example.org/web.wasm?key=secret#x", "https://example.org/web.wasm?…"),
            ("https://example.org/web.wasm#secret", "https://example.org/web.wasm"),
        ] {
            assert_eq!(parsed(url).unwrap().to_string(), shown);
        }
    }

    #[test]
    fn what_is_neither() {
        let long = "x".repeat(MAX_SOURCE_BYTES + 1);
        for (text, fault) in [
            ("", "is empty"),
            ("file:", "is empty"),
            ("a\0b", "NUL"),
            ("file:a%00b", "NUL"),
            ("file:a%2", "hexadecimal"),
            ("file:a%+1", "hexadecimal"),
            ("file:%ä1", "hexadecimal"),
            ("file://server/share/web.wasm", "another machine"),
            ("file://server", "another machine"),
            ("ftp://example.org/web.wasm", "scheme"),
            ("oci://example.org/web:1", "scheme"),
            ("http:example.org", "`//`"),
            ("https://", "no host"),
            ("https:///web.wasm", "no host"),
            ("https://:80/", "no host"),
            ("https://example.org:http/", "port"),
            ("https://example.org:65536/", "port"),
            ("https://[::1/", "IPv6"),
            ("https://[example.org]/", "IPv6"),
            ("https://me:secret@example.org/", "password"),
            ("https:me:secret@example.org/", "password"),
            ("https://example.org:x/?key=secret", "port"),
            ("https://example.org/a b", "space"),
            ("https://example.org/ä", "ASCII"),
            (&long, "4097 bytes"),
        ] {
            let error = parsed(text).unwrap_err();
            assert!(error.contains(fault) && error.contains("expected "), "{text}: {error}");
            assert!(error.len() < 250 && !error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn written_and_read_again() {
        let dir = Path::new("/etc/realm");
        let odd = Path::new("/etc/realm").join(OsString::from_vec(b"\xff %.wasm".to_vec()));
        for (source, text) in [
            (Source::Path("/etc/realm/a/web.wasm".into()), "a/web.wasm"),
            (Source::Path("/etc/realmed/web.wasm".into()), "/etc/realmed/web.wasm"),
            (Source::Path("/srv/web.wasm".into()), "/srv/web.wasm"),
            (Source::Path("/etc/realm/file:x".into()), "./file:x"),
            (Source::Path("/etc/realm/http:/x".into()), "./http:/x"),
            (Source::Path("/etc/realm".into()), "."),
            (Source::Path(odd), "file:%FF%20%25.wasm"),
            (Source::Path(OsString::from_vec(b"//\xff".to_vec()).into()), "file:////%FF"),
            (Source::Url("https://example.org/x".into()), "https://example.org/x"),
        ] {
            assert_eq!(source.to_text(dir), text);
            assert_eq!(Source::parse(text, dir), Ok(source), "{text}");
        }
    }
}
