//! The head of a request, reduced to the little that is acted on. The server behind the front is given only what is
//! written here anew, so that no header and no body of a stranger reaches its parser.

use super::HttpKind;
use super::limits::{MAX_HEAD_BYTES, MAX_LINGER_BYTES, MAX_TARGET_BYTES};
use super::refusal::{BAD, HEAD_TOO_LARGE, LENGTH_REQUIRED, MISDIRECTED, Refusal, TOO_LARGE, TOO_LONG, VERSION};
use super::route::{Refused, route};
use std::net::IpAddr;

/// What a request asks.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Head<'a> {
    method: &'a str,
    target: &'a str,
    version: &'a str,
}

/// Whether the head has ended, of which so much was looked at before; an error when it never will within the bound.
pub(super) fn is_complete(bytes: &[u8], seen: usize) -> Result<bool, Refusal> {
    // The end may have begun in what was seen.
    if end_of(&bytes[seen.saturating_sub(END.len() - 1)..]).is_some() {
        Ok(true)
    } else if bytes.len() >= MAX_HEAD_BYTES {
        // Not even the first line has ended: it is the target that is too long.
        Err(if bytes.contains(&b'\r') { HEAD_TOO_LARGE } else { TOO_LONG })
    } else {
        Ok(false)
    }
}

/// What ends a head.
const END: &[u8] = b"\r\n\r\n";

fn end_of(bytes: &[u8]) -> Option<usize> {
    bytes.windows(END.len()).position(|window| window == END)
}

/// Reads the request line.
pub(super) fn parse(bytes: &[u8]) -> Result<Head<'_>, Refusal> {
    let line = bytes.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let line = std::str::from_utf8(line).map_err(|_| BAD)?;
    let mut words = line.split(' ');
    let (Some(method), Some(target), Some(version), None) = (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(BAD);
    };
    if !(1..=16).contains(&method.len()) || !method.bytes().all(|byte| byte.is_ascii_uppercase()) {
        return Err(BAD);
    }
    if target.len() > MAX_TARGET_BYTES {
        return Err(TOO_LONG);
    }
    if !target.starts_with('/') || !target.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(BAD);
    }
    match version {
        "HTTP/1.0" | "HTTP/1.1" => Ok(Head { method, target, version }),
        _ if version.starts_with("HTTP/") => Err(VERSION),
        _ => Err(BAD),
    }
}

/// Whether each line after the first is a field. One with a space before its colon, or that goes on with the line before,
/// would be skipped here, and be a field to others.
pub(super) fn check_fields(bytes: &[u8]) -> Result<(), Refusal> {
    let head = &bytes[..end_of(bytes).unwrap_or(bytes.len())];
    let is_field = |line: &[u8]| {
        let colon = line.iter().position(|byte| *byte == b':');
        colon.is_some_and(|colon| colon > 0 && line[..colon].iter().all(u8::is_ascii_graphic))
    };
    if head.split(|byte| *byte == b'\n').skip(1).all(is_field) { Ok(()) } else { Err(BAD) }
}

/// Whether the `Host` of a request names this machine, which answers at `here`. A page of a stranger whose name was made
/// to lead here (DNS rebinding) sends its own name, and must not read what only this machine may.
pub(super) fn check_host(bytes: &[u8], here: IpAddr) -> Result<(), Refusal> {
    let mut hosts = fields(bytes, "host");
    let host = match (hosts.next(), hosts.next()) {
        // What has no name was not led here by one: no browser leaves it out.
        (None, _) => return Ok(()),
        (Some(host), None) => std::str::from_utf8(host).map_err(|_| BAD)?,
        _ => return Err(BAD),
    };
    if is_ours(host, here) { Ok(()) } else { Err(MISDIRECTED) }
}

/// Whether the body that is announced is one that is read, and thrown away, after the answer. No request here needs one.
pub(super) fn check_body(bytes: &[u8]) -> Result<(), Refusal> {
    let mut lengths = fields(bytes, "content-length");
    let (length, another) = (lengths.next(), lengths.next());
    if fields(bytes, "transfer-encoding").next().is_some() {
        // Where a body ends must not be a matter of opinion.
        return Err(if length.is_some() { BAD } else { LENGTH_REQUIRED });
    }
    match (length, another) {
        (None, _) => Ok(()),
        (Some(digits), None) if !digits.is_empty() && digits.iter().all(u8::is_ascii_digit) => {
            let length = std::str::from_utf8(digits).ok().and_then(|digits| digits.parse::<u64>().ok());
            // One that is beyond counting is too large as well.
            if length.is_some_and(|length| length <= MAX_LINGER_BYTES) { Ok(()) } else { Err(TOO_LARGE) }
        }
        _ => Err(BAD),
    }
}

/// The values of a field, wherever it is given in the head.
fn fields<'a>(bytes: &'a [u8], wanted: &'a str) -> impl Iterator<Item = &'a [u8]> {
    let lines = bytes.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii_end);
    lines.skip(1).take_while(|line| !line.is_empty()).filter_map(move |line| {
        let colon = line.iter().position(|byte| *byte == b':')?;
        line[..colon].eq_ignore_ascii_case(wanted.as_bytes()).then(|| line[colon + 1..].trim_ascii())
    })
}

fn is_ours(host: &str, here: IpAddr) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) && !host.ends_with(']') => name,
        _ => host,
    };
    let bare = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    match bare.parse::<IpAddr>() {
        Ok(ip) => {
            // To a listener on `[::]` an IPv4 address comes as one of IPv6.
            let ip = ip.to_canonical();
            ip.is_loopback() || ip == here.to_canonical()
        }
        Err(_) => {
            let name = name.to_ascii_lowercase();
            name == "localhost" || name.ends_with(".localhost")
        }
    }
}

impl Head<'_> {
    /// What is asked, with the words that its refusal would have.
    pub(super) fn route(&self) -> Result<HttpKind, Refused> {
        route(self.method, self.target)
    }

    /// Whether only the head of the answer is wanted.
    pub(super) fn is_bodiless(&self) -> bool {
        self.method == "HEAD"
    }

    /// Whether an answer can be sent in pieces; without them, its end is that of the connection.
    pub(super) fn takes_chunks(&self) -> bool {
        self.version == "HTTP/1.1"
    }

    /// What is handed over.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let Head { method, target, version } = self;
        format!("{method} {target} {version}\r\nConnection: close\r\n\r\n").into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_reduced_to_its_first_line() {
        let bytes =
            b"GET /logs?tail=3 HTTP/1.0\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\nsome body";
        assert_eq!(is_complete(bytes, 0), Ok(true));
        let head = parse(bytes).unwrap();
        assert_eq!(head.to_bytes(), b"GET /logs?tail=3 HTTP/1.0\r\nConnection: close\r\n\r\n");
        assert!(!head.takes_chunks() && !head.is_bodiless());
        let head = parse(b"HEAD /healthz HTTP/1.1\r\n\r\n").unwrap();
        assert!(head.takes_chunks() && head.is_bodiless() && head.route() == Ok(HttpKind::Healthz));
    }

    #[test]
    fn what_is_no_request_is_refused() {
        for (line, code) in [
            ("", 400),
            ("GET /", 400),
            ("GET  / HTTP/1.1", 400),
            ("GET / HTTP/1.1 x", 400),
            ("get / HTTP/1.1", 400),
            ("GET http://x/ HTTP/1.1", 400),
            ("GET /\t HTTP/1.1", 400),
            ("GET /\nX HTTP/1.1", 400),
            ("GET /ü HTTP/1.1", 400),
            ("GET / FTP/1.1", 400),
            ("GET / HTTP/2.0", 505),
            (&format!("GET /{} HTTP/1.1", "x".repeat(MAX_TARGET_BYTES)), 414),
        ] {
            let bytes = format!("{line}\r\n\r\n");
            assert_eq!(parse(bytes.as_bytes()).map_err(|refusal| refusal.code), Err(code), "{line}");
        }
        assert_eq!(is_complete(&[b'x'; MAX_HEAD_BYTES - 1], 0), Ok(false));
        assert_eq!(is_complete(&[b'x'; MAX_HEAD_BYTES], 0), Err(TOO_LONG));
        let mut fields = b"GET / HTTP/1.1\r\n".to_vec();
        fields.resize(MAX_HEAD_BYTES, b'x');
        assert_eq!(is_complete(&fields, 0), Err(HEAD_TOO_LARGE));
    }

    #[test]
    fn the_end_of_a_head_is_found_wherever_it_is_cut() {
        let bytes = b"GET / HTTP/1.1\r\n\r\n";
        for seen in 0..bytes.len() {
            assert_eq!(is_complete(&bytes[..seen], 0), Ok(false), "{seen}");
            assert_eq!(is_complete(bytes, seen), Ok(true), "{seen}");
        }
        assert_eq!(is_complete(b"\r\n\r\nseen", 8), Ok(false), "what was seen is not looked at again");
    }

    #[test]
    fn each_line_is_a_field() {
        let check = |fields: &str| check_fields(format!("GET / HTTP/1.1\r\n{fields}\r\nbody").as_bytes());
        for fields in ["", "Host: x\r\n", "X:\r\nY:  a b : c \r\n", "X: y\nZ: z\r\n"] {
            assert_eq!(check(fields), Ok(()), "{fields}");
        }
        for fields in
            ["Host : x\r\n", "Host\t: x\r\n", ": x\r\n", "Host\r\n", "X: y\r\n Host: x\r\n", " \r\nHost: x\r\n"]
        {
            assert_eq!(check(fields), Err(BAD), "{fields}");
        }
    }

    #[test]
    fn a_body_is_one_that_can_be_thrown_away() {
        let check = |fields: &str| check_body(format!("POST / HTTP/1.1\r\n{fields}\r\nContent-Length: x").as_bytes());
        for fields in ["", "Content-Length: 0\r\n", "content-length:65536\r\n", "X: Content-Length: 99999\r\n"] {
            assert_eq!(check(fields), Ok(()), "{fields}");
        }
        for length in ["65537", "18446744073709551616"] {
            assert_eq!(check(&format!("Content-Length: {length}\r\n")), Err(TOO_LARGE), "{length}");
        }
        for fields in [
            "Content-Length: \r\n",
            "Content-Length: +1\r\n",
            "Content-Length: 1, 1\r\n",
            "Content-Length: 1\r\nContent-Length: 1\r\n",
            "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n",
        ] {
            assert_eq!(check(fields), Err(BAD), "{fields}");
        }
        assert_eq!(check("transfer-encoding: chunked\r\n"), Err(LENGTH_REQUIRED));
    }

    #[test]
    fn only_names_of_this_machine_are_served() {
        let here = "192.0.2.7".parse().unwrap();
        let check = |fields: &str| check_host(format!("GET / HTTP/1.1\r\n{fields}\r\nHost: body").as_bytes(), here);
        for host in ["localhost", "LocalHost:9920", "a.localhost", "127.0.0.1:1", "[::1]", "[::1]:80", "192.0.2.7:9920"]
        {
            assert_eq!(check(&format!("X: y\r\nhOST:  {host} \r\n")), Ok(()), "{host}");
        }
        for host in
            ["evil.example", "evil.example:9920", "localhost.evil.example", "192.0.2.8", "notlocalhost", "", "::"]
        {
            assert_eq!(check(&format!("Host: {host}\r\n")), Err(MISDIRECTED), "{host}");
        }
        for here in ["::ffff:192.0.2.7", "192.0.2.7"] {
            let here = here.parse().unwrap();
            for host in ["192.0.2.7:9920", "[::ffff:192.0.2.7]:9920", "127.0.0.1", "[::ffff:127.0.0.1]"] {
                assert!(is_ours(host, here), "{host} at {here}");
            }
            assert!(!is_ours("192.0.2.8", here) && !is_ours("[::ffff:192.0.2.8]", here));
        }
        assert_eq!(check(""), Ok(()));
        assert_eq!(check("Host: localhost\r\nHost: evil.example\r\n"), Err(BAD));
    }
}
