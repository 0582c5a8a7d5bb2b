//! What a client is told that gets no answer from the loop: a status line and a sentence, written by the front itself.

use super::limits::RETRY_AFTER;

/// Why a request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) code: u16,
    reason: &'static str,
    /// The next step, where there is one to be told.
    hint: &'static str,
}

const fn refusal(code: u16, reason: &'static str) -> Refusal {
    Refusal { code, reason, hint: "" }
}

pub(super) const BAD: Refusal = refusal(400, "Bad Request");
pub(super) const TIMED_OUT: Refusal = refusal(408, "Request Timeout");
pub(super) const LENGTH_REQUIRED: Refusal =
    Refusal { hint: "nothing here takes a body; leave it out", ..refusal(411, "Length Required") };
pub(super) const TOO_LARGE: Refusal =
    Refusal { hint: "nothing here takes a body; leave it out", ..refusal(413, "Content Too Large") };
pub(super) const TOO_LONG: Refusal = refusal(414, "URI Too Long");
pub(super) const MISDIRECTED: Refusal = Refusal {
    hint: "ask for `localhost`, or for the address that the agent listens on",
    ..refusal(421, "Misdirected Request")
};
pub(super) const HEAD_TOO_LARGE: Refusal = refusal(431, "Request Header Fields Too Large");
pub(super) const UNAVAILABLE: Refusal = refusal(503, "Service Unavailable");
pub(super) const CROWDED: Refusal = Refusal {
    hint: "as many clients follow as may; ask without `follow`, or use `realm logs -f`",
    ..refusal(503, "Service Unavailable")
};
pub(super) const VERSION: Refusal = refusal(505, "HTTP Version Not Supported");

impl Refusal {
    /// The whole answer.
    pub(super) fn to_bytes(self) -> Vec<u8> {
        let Refusal { code, reason, hint } = self;
        let mut body = format!("{}\n", reason.to_lowercase());
        if !hint.is_empty() {
            body.push_str(&format!("hint: {hint}\n"));
        }
        // It is about the moment, and not about the request.
        let later = if code == 503 { format!("Retry-After: {}\r\n", RETRY_AFTER.as_secs()) } else { String::new() };
        format!(
            "HTTP/1.1 {code} {reason}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\n{later}\
             Connection: close\r\n\r\n{body}",
            body.len()
        )
        .into_bytes()
    }
}
