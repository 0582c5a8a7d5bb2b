//! Which request a method and a target are: pure, so that each refusal can be tried.

use super::limits::DEFAULT_TAIL;
use super::{HttpKind, TEXT};
use shared::MAX_LOG_TAIL;
use tiny_http::Method;

/// An answer that needs nobody: status, and a sentence.
pub(super) type Refused = (u16, String);

/// Reads a request.
pub(super) fn route(method: &Method, target: &str) -> Result<HttpKind, Refused> {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let kind = match path {
        "/metrics" => HttpKind::Metrics,
        "/status" => HttpKind::Status,
        "/healthz" => HttpKind::Healthz,
        "/readyz" => HttpKind::Readyz,
        "/logs" => logs(query).map_err(|fault| (400, format!("{fault}\nhint: `/logs?component=NAME&tail=100`\n")))?,
        _ => return Err((404, "not found\nhint: there are /metrics, /status, /logs, /healthz and /readyz\n".into())),
    };
    match method {
        Method::Get | Method::Head => Ok(kind),
        _ => Err((405, "only GET and HEAD are allowed\n".into())),
    }
}

fn logs(query: &str) -> Result<HttpKind, String> {
    let (mut component, mut tail) = (None, None);
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let twice = match name {
            "component" => component.replace(value).is_some(),
            "tail" => tail.replace(value).is_some(),
            _ => return Err("the query knows `component` and `tail` only".into()),
        };
        if twice {
            return Err(format!("`{name}` is given twice"));
        }
    }
    let component = match component {
        None | Some("__all__") => None,
        Some(name) => Some(name.parse().map_err(|error| format!("{error}"))?),
    };
    let tail = match tail.map(str::parse) {
        None => DEFAULT_TAIL,
        Some(Ok(tail)) if tail <= MAX_LOG_TAIL as usize => tail,
        Some(_) => return Err(format!("`tail` is a number of lines, at most {MAX_LOG_TAIL}")),
    };
    Ok(HttpKind::Logs { component, tail })
}

/// The content type of a refusal.
pub(super) const REFUSED_TYPE: &str = TEXT;

#[cfg(test)]
mod tests {
    use super::*;

    fn get(target: &str) -> Result<HttpKind, u16> {
        route(&Method::Get, target).map_err(|(status, _)| status)
    }

    #[test]
    fn what_is_served() {
        let logs = |component: Option<&str>, tail| {
            Ok(HttpKind::Logs { component: component.map(|name| name.parse().unwrap()), tail })
        };
        assert_eq!(get("/metrics?foo=bar"), Ok(HttpKind::Metrics));
        assert_eq!(get("/status"), Ok(HttpKind::Status));
        assert_eq!(route(&Method::Head, "/healthz"), Ok(HttpKind::Healthz));
        assert_eq!(get("/readyz"), Ok(HttpKind::Readyz));
        assert_eq!(get("/logs"), logs(None, DEFAULT_TAIL));
        assert_eq!(get("/logs?component=__all__&tail=7"), logs(None, 7));
        assert_eq!(get("/logs?tail=10000&component=hello"), logs(Some("hello"), 10_000));
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
            "tail=10001",
            "tail=99999999999999999999",
            "tail=x",
            "lines=3",
            "tail=1&tail=1",
            "component=a&component=b",
        ] {
            assert_eq!(get(&format!("/logs?{query}")), Err(400), "{query}");
        }
        assert_eq!(route(&Method::Post, "/metrics").map_err(|(status, _)| status), Err(405));
        assert_eq!(route(&Method::Delete, "/nothing").map_err(|(status, _)| status), Err(404));
    }
}
