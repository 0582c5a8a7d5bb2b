//! The node in numbers, in the text format that Prometheus reads. Names follow its conventions: a prefix, base units,
//! `_total` on what only grows.

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::{Registry, Unit};
use shared::{ComponentName, Phase};
use std::collections::BTreeMap;
use std::fmt;

/// The content type of [`Metrics::encode`].
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Every phase, so that each has a series from the start: a series that appears later has no past to compare with.
const PHASES: [Phase; 8] = [
    Phase::Stopped,
    Phase::Completed,
    Phase::Running,
    Phase::Staged,
    Phase::Fetching,
    Phase::Compiling,
    Phase::Backoff,
    Phase::Failed,
];

/// What the loop knows, at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Metrics {
    /// Version of the agent.
    pub version: String,
    /// `os/arch`.
    pub platform: String,
    /// Members that are connected.
    pub peers: u64,
    /// Nodes of the realm that have been heard of lately, this one included.
    pub nodes_alive: u64,
    /// How many components are in each phase; those that are left out are 0.
    pub components: BTreeMap<Phase, u64>,
    /// What is known of each component.
    pub component: BTreeMap<ComponentName, ComponentMetrics>,
    /// Intents that were stored.
    pub intents_accepted: u64,
    /// Intents that were refused, by `Refused::code`.
    pub intents_refused: BTreeMap<String, u64>,
    /// How often an intent was offered that has the sequence of another one under its key.
    pub alarms: u64,
    /// Reports that did not count.
    pub reports_refused: u64,
    /// Bytes that artifacts and compiled code take.
    pub store_bytes: u64,
    /// Bytes that they may take.
    pub store_max_bytes: u64,
    /// How often intents and the manifest in force made the disk sync.
    pub store_syncs: u64,
    /// Bytes of guests' output that were lost to rate limits, full queues or a full disk.
    pub output_dropped_bytes: u64,
}

/// One component in numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ComponentMetrics {
    /// Instances that are wanted.
    pub replicas: u64,
    /// Instances that run.
    pub running: u64,
    /// Instances of what it replaces that serve meanwhile.
    pub serving: u64,
    /// Runs after the first of each instance.
    pub restarts: u64,
    /// Memories and tables of the instances that run, in bytes.
    pub memory_bytes: u64,
    /// The most memory that one instance has had, in bytes.
    pub memory_peak_bytes: u64,
    /// Units of fuel, of all runs since the agent was started.
    pub fuel_used: u64,
    /// Time on a core of all these runs, in milliseconds.
    pub cpu_ms: u64,
    /// How many runs have ended in which way, by `Outcome::word`.
    pub outcomes: BTreeMap<&'static str, u64>,
}

impl Metrics {
    /// The text, in the format that every scraper and `promtool` read.
    #[must_use]
    pub fn encode(self) -> String {
        let mut registry = Registry::with_prefix("realm");
        registry.register_collector(Box::new(self));
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = text::encode(&mut text, &registry);
        classic(&text)
    }
}

/// OpenMetrics in Prometheus' own text format: there a counter's family is named with its `_total`, units stand in names
/// alone, and nothing marks the end.
fn classic(open: &str) -> String {
    let mut text = String::with_capacity(open.len());
    let mut lines = open.lines().peekable();
    while let Some(line) = lines.next() {
        let Some(family) = line.strip_prefix("# HELP ") else {
            if !line.starts_with('#') {
                text.extend([line, "\n"]);
            }
            continue;
        };
        // The type follows at once, and nothing else says it.
        let (name, help) = family.split_once(' ').unwrap_or((family, ""));
        let kind = lines.next_if(|line| line.starts_with("# TYPE ")).and_then(|line| line.rsplit(' ').next());
        let kind = kind.unwrap_or("untyped");
        let total = if kind == "counter" { "_total" } else { "" };
        text.push_str(&format!("# HELP {name}{total} {help}\n# TYPE {name}{total} {kind}\n"));
    }
    text
}

type Labels<'a> = Vec<(&'static str, &'a str)>;

impl Collector for Metrics {
    fn encode(&self, encoder: DescriptorEncoder) -> fmt::Result {
        let mut out = Out(encoder);
        let build = vec![("version", self.version.as_str()), ("platform", self.platform.as_str())];
        out.gauges("build_info", "Version and platform of the agent, in labels", None, [(build, 1)])?;
        out.gauges("peers", "Members of the realm that are connected", None, [(vec![], self.peers)])?;
        let help = "Nodes of the realm that were heard of lately, this one included";
        out.gauges("nodes_alive", help, None, [(vec![], self.nodes_alive)])?;
        let phases = PHASES.map(|phase| (phase.to_string(), self.components.get(&phase).copied().unwrap_or(0)));
        let phases = phases.iter().map(|(phase, count)| (vec![("phase", phase.as_str())], *count));
        out.gauges("components", "Components on this node by phase", None, phases)?;
        let running = self.each(|component| component.running);
        out.gauges("component_instances_running", "Instances that run", None, running)?;
        let help = "Instances of what a component replaces that serve meanwhile";
        out.gauges("component_instances_serving", help, None, self.each(|component| component.serving))?;
        let help = "Runs after the first of each instance";
        out.counters("component_restarts", help, None, self.each(|component| component.restarts))?;
        let wanted = self.each(|component| component.replicas);
        out.gauges("component_instances_wanted", "Instances that are wanted", None, wanted)?;
        let help = "Runs that have ended, by outcome";
        let outcomes = self.component.iter().flat_map(|(name, component)| {
            let labels = |outcome: &'static str| vec![("component", name.as_str()), ("outcome", outcome)];
            component.outcomes.iter().map(move |(outcome, count)| (labels(outcome), *count))
        });
        out.counters("component_runs", help, None, outcomes)?;
        let help = "Memories and tables of the instances that run";
        let memory = self.each(|component| component.memory_bytes);
        out.gauges("component_memory", help, Some(&Unit::Bytes), memory)?;
        out.counters("component_fuel", "Units of fuel used by runs", None, self.each(|component| component.fuel_used))?;
        let cpu = self.each(|component| component.cpu_ms);
        out.seconds("component_cpu", "Time on a core of all runs", cpu)?;
        let help = "The most memory that one instance has had";
        let peaks = self.each(|component| component.memory_peak_bytes);
        out.gauges("component_memory_peak", help, Some(&Unit::Bytes), peaks)?;
        out.counters("intents_accepted", "Intents that were stored", None, [(vec![], self.intents_accepted)])?;
        let help = "Artifacts and compiled code on the disk, with what is coming";
        out.gauges("store", help, Some(&Unit::Bytes), [(vec![], self.store_bytes)])?;
        let help = "What artifacts and compiled code may take on the disk";
        out.gauges("store_max", help, Some(&Unit::Bytes), [(vec![], self.store_max_bytes)])?;
        let help = "How often intents and the manifest in force made the disk sync";
        out.counters("store_syncs", help, None, [(vec![], self.store_syncs)])?;
        let refused = self.intents_refused.iter().map(|(code, count)| (vec![("code", code.as_str())], *count));
        out.counters("intents_refused", "Intents that were refused, by reason", None, refused)?;
        let help =
            "Intents that have the sequence of another one under their key: the owner's key is used twice, or stolen";
        out.counters("alarms", help, None, [(vec![], self.alarms)])?;
        out.counters("reports_refused", "Reports that did not count", None, [(vec![], self.reports_refused)])?;
        let help = "Output of guests that was lost to rate limits, full queues or a full disk";
        out.counters("output_dropped", help, Some(&Unit::Bytes), [(vec![], self.output_dropped_bytes)])
    }
}

impl Metrics {
    fn each(&self, number: fn(&ComponentMetrics) -> u64) -> impl Iterator<Item = (Labels<'_>, u64)> {
        self.component.iter().map(move |(name, component)| (vec![("component", name.as_str())], number(component)))
    }
}

/// Families of constant values.
struct Out<'a>(DescriptorEncoder<'a>);

impl Out<'_> {
    fn gauges<'a>(
        &mut self,
        name: &str,
        help: &str,
        unit: Option<&Unit>,
        values: impl IntoIterator<Item = (Labels<'a>, u64)>,
    ) -> fmt::Result {
        let mut family = self.0.encode_descriptor(name, help, unit, MetricType::Gauge)?;
        for (labels, value) in values {
            // The format has no unsigned gauges; what is beyond is no number of peers or bytes.
            let gauge = ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
            if labels.is_empty() {
                return gauge.encode(family);
            }
            gauge.encode(family.encode_family(&labels)?)?;
        }
        Ok(())
    }

    /// Counters of seconds from milliseconds.
    fn seconds<'a>(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = (Labels<'a>, u64)>,
    ) -> fmt::Result {
        let mut family = self.0.encode_descriptor(name, help, Some(&Unit::Seconds), MetricType::Counter)?;
        for (labels, ms) in values {
            // Exact up to 285,000 years.
            ConstCounter::new(ms as f64 / 1000.0).encode(family.encode_family(&labels)?)?;
        }
        Ok(())
    }

    fn counters<'a>(
        &mut self,
        name: &str,
        help: &str,
        unit: Option<&Unit>,
        values: impl IntoIterator<Item = (Labels<'a>, u64)>,
    ) -> fmt::Result {
        let mut family = self.0.encode_descriptor(name, help, unit, MetricType::Counter)?;
        for (labels, value) in values {
            let counter = ConstCounter::new(value);
            if labels.is_empty() {
                return counter.encode(family);
            }
            counter.encode(family.encode_family(&labels)?)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_is_as_prometheus_reads_it() {
        let component = ComponentMetrics {
            replicas: 2,
            running: 1,
            serving: 6,
            restarts: 4,
            memory_bytes: 4_096,
            memory_peak_bytes: 65_536,
            fuel_used: 77,
            cpu_ms: 1_250,
            outcomes: [("out_of_fuel", 3)].into(),
        };
        let metrics = Metrics {
            version: "0.1.0".into(),
            platform: "linux/x86_64".into(),
            peers: 2,
            nodes_alive: 3,
            components: [(Phase::Running, 1)].into(),
            component: [("hello".parse().unwrap(), component)].into(),
            intents_accepted: 9,
            intents_refused: [("bad-signature".into(), 1)].into(),
            alarms: 3,
            reports_refused: 0,
            store_bytes: 5_000,
            store_max_bytes: 90_000,
            store_syncs: 4,
            output_dropped_bytes: 12,
        };
        let text = metrics.encode();
        for line in [
            "# HELP realm_build_info Version and platform of the agent, in labels",
            "# TYPE realm_build_info gauge",
            r#"realm_build_info{version="0.1.0",platform="linux/x86_64"} 1"#,
            "realm_peers 2",
            r#"realm_components{phase="running"} 1"#,
            r#"realm_components{phase="failed"} 0"#,
            "# TYPE realm_component_restarts_total counter",
            r#"realm_component_restarts_total{component="hello"} 4"#,
            r#"realm_component_instances_wanted{component="hello"} 2"#,
            r#"realm_component_instances_serving{component="hello"} 6"#,
            r#"realm_component_memory_bytes{component="hello"} 4096"#,
            r#"realm_component_memory_peak_bytes{component="hello"} 65536"#,
            r#"realm_component_fuel_total{component="hello"} 77"#,
            r#"realm_component_cpu_seconds_total{component="hello"} 1.25"#,
            r#"realm_component_runs_total{component="hello",outcome="out_of_fuel"} 3"#,
            "realm_intents_accepted_total 9",
            r#"realm_intents_refused_total{code="bad-signature"} 1"#,
            "realm_alarms_total 3",
            "realm_reports_refused_total 0",
            "# TYPE realm_output_dropped_bytes_total counter",
            "realm_output_dropped_bytes_total 12",
            "realm_store_syncs_total 4",
            "realm_store_bytes 5000",
            "realm_store_max_bytes 90000",
        ] {
            assert!(text.lines().any(|found| found == line), "no `{line}` in\n{text}");
        }
        assert!(!text.contains("# EOF") && !text.contains("# UNIT"));
        let families = text.lines().filter(|line| line.starts_with("# TYPE")).count();
        assert_eq!(families, text.lines().filter(|line| line.starts_with("# HELP")).count());
    }
}
