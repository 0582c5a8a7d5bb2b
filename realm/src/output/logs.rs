//! Log lines of guests.

use super::clean;
use super::json::LogObject;
use shared::time::utc_millis;
use shared::{LogLine, Stream};

fn stream_name(stream: Stream) -> &'static str {
    match stream {
        Stream::Stdout => "stdout",
        Stream::Stderr => "stderr",
        Stream::Agent => "agent",
    }
}

/// `TIME NODE STREAM | text`
pub(crate) fn text_line(line: &LogLine) -> String {
    format!("{} {} {:<6} | {}", utc_millis(line.at), line.node.short(), stream_name(line.stream), clean(&line.text))
}

/// The same as one JSON object.
pub(crate) fn json_line(line: &LogLine) -> LogObject {
    LogObject {
        schema: 1,
        peer: line.node,
        component: line.component.clone(),
        at: line.at,
        time: utc_millis(line.at),
        stream: stream_name(line.stream),
        text: line.text.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared::NodeId;

    #[test]
    fn a_line_says_when_where_and_what() {
        let node = NodeId::of_seed(&[1; 32]);
        let component = "hello".parse().unwrap();
        let line = LogLine { node, component, at: 0, stream: Stream::Stderr, text: "a\x1bb".into() };
        assert_eq!(text_line(&line), format!("1970-01-01T00:00:00.000Z {} stderr | a\\u{{1b}}b", node.short()));
    }
}
