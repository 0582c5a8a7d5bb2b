//! The head of a request, reduced to the little that is acted on. The server behind the front is given only what is
//! written here anew, so that no header and no body of a stranger reaches its parser.

use super::limits::{MAX_HEAD_BYTES, MAX_TARGET_BYTES};
use std::net::IpAddr;

/// What a request asks.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Head<'a> {
    method: &'a str,
    target: &'a str,
    version: &'a str,
}

/// Why a head is refused: the status line's code and reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Refusal(pub(super) u16, pub(super) &'static str);

pub(super) const TIMED_OUT: Refusal = Refusal(408, "Request Timeout");
pub(super) const UNAVAILABLE: Refusal = Refusal(503, "Service Unavailable");
pub(super) const MISDIRECTED: Refusal = Refusal(421, "Misdirected Request");
const BAD: Refusal = Refusal(400, "Bad Request");

/// Whether the head has ended; an error when it never will within the bound.
pub(super) fn is_complete(bytes: &[u8]) -> Result<bool, Refusal> {
    if bytes.windows(4).any(|window| window == b"\r\n\r\n") {
        Ok(true)
    } else if bytes.len() >= MAX_HEAD_BYTES {
        Err(Refusal(431, "Request Header Fields Too Large"))
    } else {
        Ok(false)
    }
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
        return Err(Refusal(414, "URI Too Long"));
    }
    if !target.starts_with('/') || !target.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(BAD);
    }
    match version {
        "HTTP/1.0" | "HTTP/1.1" => Ok(Head { method, target, version }),
        _ if version.starts_with("HTTP/") => Err(Refusal(505, "HTTP Version Not Supported")),
        _ => Err(BAD),
    }
}

/// Whether the `Host` of a request names this machine, which answers at `here`. A page of a stranger whose name was made
/// to lead here (DNS rebinding) sends its own name, and must not read what only this machine may.
pub(super) fn check_host(bytes: &[u8], here: IpAddr) -> Result<(), Refusal> {
    let head = std::str::from_utf8(bytes).map_err(|_| BAD)?;
    let fields = head.split("\r\n").skip(1).take_while(|line| !line.is_empty());
    let mut hosts =
        fields.filter_map(|line| line.split_once(':')).filter(|(name, _)| name.eq_ignore_ascii_case("host"));
    let host = match (hosts.next(), hosts.next()) {
        // What has no name was not led here by one: no browser leaves it out.
        (None, _) => return Ok(()),
        (Some((_, host)), None) => host.trim(),
        _ => return Err(BAD),
    };
    if is_ours(host, here) { Ok(()) } else { Err(MISDIRECTED) }
}

fn is_ours(host: &str, here: IpAddr) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) && !host.ends_with(']') => name,
        _ => host,
    };
    let bare = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    match bare.parse::<IpAddr>() {
        Ok(ip) => ip.is_loopback() || ip == here,
        Err(_) => {
            let name = name.to_ascii_lowercase();
            name == "localhost" || name.ends_with(".localhost")
        }
    }
}

impl Head<'_> {
    /// Whether a worker is kept free for it.
    pub(super) fn is_health(&self) -> bool {
        matches!(self.target.split('?').next(), Some("/healthz" | "/readyz"))
    }

    /// What is handed over.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let Head { method, target, version } = self;
        format!("{method} {target} {version}\r\nConnection: close\r\n\r\n").into_bytes()
    }
}

impl Refusal {
    /// The whole answer.
    pub(super) fn to_bytes(self) -> Vec<u8> {
        let Refusal(code, reason) = self;
        let mut body = reason.to_lowercase();
        if self == MISDIRECTED {
            body.push_str("\nhint: ask for `localhost`, or for the address that the agent listens on");
        }
        format!(
            "HTTP/1.1 {code} {reason}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\n\
             Connection: close\r\n\r\n{body}\n",
            body.len() + 1
        )
        .into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_reduced_to_its_first_line() {
        let bytes =
            b"GET /logs?tail=3 HTTP/1.0\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\nsome body";
        assert_eq!(is_complete(bytes), Ok(true));
        let head = parse(bytes).unwrap();
        assert_eq!(head.to_bytes(), b"GET /logs?tail=3 HTTP/1.0\r\nConnection: close\r\n\r\n");
        assert!(!head.is_health());
        assert!(parse(b"HEAD /healthz?x HTTP/1.1\r\n\r\n").unwrap().is_health());
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
            assert_eq!(parse(bytes.as_bytes()).map_err(|refusal| refusal.0), Err(code), "{line}");
        }
        assert_eq!(is_complete(&[b'x'; MAX_HEAD_BYTES - 1]), Ok(false));
        assert!(is_complete(&[b'x'; MAX_HEAD_BYTES]).is_err());
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
        assert_eq!(check(""), Ok(()));
        assert_eq!(check("Host: localhost\r\nHost: evil.example\r\n"), Err(BAD));
    }
}
