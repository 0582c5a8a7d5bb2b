//! Which request a method and a target are: pure, so that each refusal can be tried.

use super::limits::DEFAULT_TAIL;
use super::{HttpKind, TEXT};
use shared::MAX_LOG_TAIL;
use std::borrow::Cow;

/// An answer that needs nobody: status, and a sentence.
pub(super) type Refused = (u16, String);

const LOGS_HINT: &str = "`/logs?component=NAME&tail=100&since=10m&follow=1`";

/// Reads a request.
pub(super) fn route(method: &str, target: &str) -> Result<HttpKind, Refused> {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let kind = match path {
        "/metrics" => HttpKind::Metrics,
        "/status" => HttpKind::Status,
        "/healthz" => HttpKind::Healthz,
        "/readyz" => HttpKind::Readyz,
        "/logs" => logs(query).map_err(|fault| (400, format!("{fault}\nhint: {LOGS_HINT}\n")))?,
        _ => return Err((404, "not found\nhint: there are /metrics, /status, /logs, /healthz and /readyz\n".into())),
    };
    match method {
        "GET" | "HEAD" => Ok(kind),
        _ => Err((405, "only GET and HEAD are allowed\n".into())),
    }
}

fn logs(query: &str) -> Result<HttpKind, String> {
    let (mut component, mut tail, mut since, mut follow) = (None, None, None, None);
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let place = match name {
            "component" => &mut component,
            "tail" => &mut tail,
            "since" => &mut since,
            "follow" => &mut follow,
            _ => return Err("the query knows `component`, `tail`, `since` and `follow` only".into()),
        };
        if place.replace(decoded(value)?).is_some() {
            return Err(format!("`{name}` is given twice"));
        }
    }
    let component = match component.as_deref() {
        None | Some("__all__") => None,
        Some(name) => Some(name.parse().map_err(|error| format!("{error}"))?),
    };
    let tail = match tail.as_deref().map(number) {
        None => DEFAULT_TAIL,
        Some(Some(tail)) if tail <= MAX_LOG_TAIL as usize => tail,
        Some(_) => return Err(format!("`tail` is a number of lines, at most {MAX_LOG_TAIL}")),
    };
    let since = since.as_deref().map(str::parse).transpose().map_err(|error| format!("`since`: {error}"))?;
    let follow = match follow.as_deref() {
        None | Some("0") => false,
        Some("1") => true,
        Some(_) => return Err("`follow` is 1 or 0".into()),
    };
    Ok(HttpKind::Logs { component, tail, since, follow })
}

/// Digits alone: what Rust reads may have a sign.
fn number(text: &str) -> Option<usize> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

/// A value of a query as it was meant: `%3A` is a colon, which many clients never send as it is.
fn decoded(value: &str) -> Result<Cow<'_, str>, String> {
    if !value.contains('%') {
        return Ok(value.into());
    }
    let mut pieces = value.split('%');
    let mut bytes: Vec<u8> = pieces.next().unwrap_or_default().into();
    for piece in pieces {
        let code = piece.get(..2).filter(|code| code.bytes().all(|digit| digit.is_ascii_hexdigit()));
        let byte = code.and_then(|code| u8::from_str_radix(code, 16).ok());
        bytes.push(byte.ok_or("a `%` is followed by two hexadecimal digits")?);
        bytes.extend_from_slice(&piece.as_bytes()[2..]);
    }
    String::from_utf8(bytes).map(Cow::Owned).map_err(|_| "the query is not UTF-8".into())
}

/// The content type of a refusal.
pub(super) const REFUSED_TYPE: &str = TEXT;

#[cfg(test)]
mod tests {
    use super::*;
    use shared::time::Since;
    use std::time::Duration;

    fn get(target: &str) -> Result<HttpKind, u16> {
        route("GET", target).map_err(|(status, _)| status)
    }

    #[test]
    fn what_is_served() {
        let logs = |component: Option<&str>, tail| {
            let component = component.map(|name| name.parse().unwrap());
            Ok(HttpKind::Logs { component, tail, since: None, follow: false })
        };
        assert_eq!(get("/metrics?foo=bar"), Ok(HttpKind::Metrics));
        assert_eq!(get("/status"), Ok(HttpKind::Status));
        assert_eq!(route("HEAD", "/healthz"), Ok(HttpKind::Healthz));
        assert_eq!(get("/readyz"), Ok(HttpKind::Readyz));
        assert_eq!(get("/logs"), logs(None, DEFAULT_TAIL));
        assert_eq!(get("/logs?component=__all__&tail=7"), logs(None, 7));
        assert_eq!(get("/logs?tail=10000&component=hello"), logs(Some("hello"), 10_000));
        assert_eq!(get("/logs?follow=0&&"), logs(None, DEFAULT_TAIL));
        assert_eq!(get("/logs?component=%68ell%6F&tail=%31"), logs(Some("hello"), 1));
        for (query, since) in [
            ("since=10m", Since::Ago(Duration::from_secs(600))),
            ("since=2026-11-01T00:00:00Z", Since::At(1_793_491_200_000)),
            ("since=2026-11-01T00%3A00%3a00Z", Since::At(1_793_491_200_000)),
        ] {
            let expected = HttpKind::Logs { component: None, tail: DEFAULT_TAIL, since: Some(since), follow: true };
            assert_eq!(get(&format!("/logs?follow=1&{query}")), Ok(expected), "{query}");
        }
    }

    #[test]
    fn what_is_refused() {
        for target in ["/", "/metrics/", "//metrics", "/Metrics", "/logs/x", "/../etc/passwd"] {
            assert_eq!(get(target), Err(404), "{target}");
        }
        for query in [
            "component=../x",
            "component=",
            "tail=",
            "tail=-1",
            "tail=+1",
            "tail=%2B1",
            "tail=10001",
            "tail=99999999999999999999",
            "tail=x",
            "lines=3",
            "tail=1&tail=1",
            "component=a&component=b",
            "since=yesterday",
            "since=",
            "follow",
            "follow=yes",
            "tail=%",
            "tail=%3",
            "tail=%+1",
            "component=%FF",
            "component=a%C3%BC",
            "component=%é1",
        ] {
            assert_eq!(get(&format!("/logs?{query}")), Err(400), "{query}");
        }
        assert_eq!(route("POST", "/metrics").map_err(|(status, _)| status), Err(405));
        assert_eq!(route("DELETE", "/nothing").map_err(|(status, _)| status), Err(404));
    }
}
