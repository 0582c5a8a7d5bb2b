//! The head of a request, reduced to the little that is acted on. The server behind the front is given only what is
//! written here anew, so that no header and no body of a stranger reaches its parser.

use super::limits::{MAX_HEAD_BYTES, MAX_TARGET_BYTES};

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

impl Head<'_> {
    /// Whether a worker is kept free for it.
    pub(super) fn is_health(&self) -> bool {
        self.target.split('?').next() == Some("/healthz")
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
        let body = reason.to_lowercase();
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
}
