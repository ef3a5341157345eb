//! Nodes side by side, for people: as they are now, or over a whole time.

use super::check::LASTING;
use super::line::{End, Finding, Host, Line, Lost, Sample, Service, Unread};
use crate::report::{Align, Table, TableStyle, printable};
use crate::units::{format_bytes, format_count};

/// Which figures are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Figures {
    /// Those of the last sample.
    Now,
    /// The means of all samples, and the highest where it matters.
    Whole,
}

/// How a figure is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    Cores,
    Share,
    Bytes,
    BytesPerSecond,
    Count,
}

impl Unit {
    fn write(self, value: f64) -> String {
        match self {
            Self::Cores if value < 0.1 => format!("{value:.3}"),
            Self::Cores => format!("{value:.2}"),
            Self::Share => format!("{:.1}%", value * 100.0),
            Self::Bytes => format_bytes(value as u64),
            Self::BytesPerSecond => format!("{}/s", format_bytes(value as u64)),
            Self::Count => format_count(value as u64),
        }
    }
}

/// One row of a node.
#[derive(Debug, Clone)]
struct Row {
    label: String,
    unit: Unit,
    now: Option<f64>,
    sum: f64,
    max: f64,
    count: u32,
}

/// A node and what was seen of it.
#[derive(Debug, Clone, Default)]
struct Node {
    name: String,
    host: Option<Host>,
    rows: Vec<Row>,
    samples: u64,
    unread: Vec<Unread>,
    lost: Option<Lost>,
    end: Option<End>,
}

impl Node {
    fn unread(&self) -> impl Iterator<Item = String> {
        let name = printable(&self.name);
        let note =
            move |it: &Unread| format!("{name}: {}: {}", printable(&it.field), printable(&it.why));
        self.unread.iter().map(note)
    }
}

/// Folds the lines of any number of nodes to a table.
#[derive(Debug, Clone, Default)]
pub struct View {
    nodes: Vec<Node>,
    findings: Vec<Finding>,
}

impl View {
    /// Takes a line.
    pub fn line(&mut self, line: &Line) {
        match line {
            Line::Host(host) => {
                let node = self.node(&host.node);
                node.unread.clone_from(&host.unread);
                node.host = Some(host.clone());
            }
            Line::Sample(sample) => self.node(&sample.node).sample(sample),
            Line::Lost(lost) => self.node(&lost.node).lost = Some(lost.clone()),
            Line::End(end) => self.node(&end.node).end = Some(end.clone()),
            Line::Finding(finding) => self.findings.push(finding.clone()),
        }
    }

    fn node(&mut self, name: &str) -> &mut Node {
        let at = self.nodes.iter().position(|node| node.name == name);
        let at = at.unwrap_or_else(|| {
            self.nodes.push(Node {
                name: name.to_owned(),
                ..Node::default()
            });
            self.nodes.sort_by(|a, b| a.name.cmp(&b.name));
            self.nodes
                .iter()
                .position(|node| node.name == name)
                .unwrap_or(0)
        });
        &mut self.nodes[at]
    }

    /// The table, a column a node.
    pub fn table(&self, figures: Figures, style: TableStyle) -> String {
        let heads = self
            .nodes
            .iter()
            .map(|node| (printable(&node.name), Align::Right));
        let mut table = Table::new(std::iter::once((String::new(), Align::Left)).chain(heads));
        let mut labels: Vec<&str> = Vec::new();
        for row in self.nodes.iter().flat_map(|node| &node.rows) {
            if !labels.contains(&row.label.as_str()) {
                labels.push(&row.label);
            }
        }
        // Services of any node come behind what every host has.
        labels.sort_by_key(|label| {
            let place = ORDER.iter().position(|known| known == label);
            (place.unwrap_or(ORDER.len()), label.starts_with(OTHERS))
        });
        let cells =
            |of: &dyn Fn(&Node) -> String| -> Vec<String> { self.nodes.iter().map(of).collect() };
        let mut line = |label: String, cells: Vec<String>| {
            if cells.iter().any(|cell| !cell.is_empty()) {
                table.row(std::iter::once(label).chain(cells));
            }
        };
        line("cores".to_owned(), cells(&Node::cores));
        line("memory".to_owned(), cells(&Node::memory));
        for label in labels {
            line(
                label.replace(SERVICE, " "),
                cells(&|node: &Node| node.cell(label, figures)),
            );
        }
        table.render(style)
    }

    /// What has to be said besides the figures, one line each: lost nodes, and what could not be read.
    pub fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        for node in &self.nodes {
            let name = printable(&node.name);
            if let Some(lost) = &node.lost {
                notes.push(format!("{name}: lost: {}", printable(&lost.why)));
            }
            notes.extend(node.unread());
        }
        notes
    }

    /// What a check could not look at: figures that were not there, and what takes more samples.
    pub fn unchecked(&self) -> Vec<String> {
        let mut notes = Vec::new();
        for node in self.nodes.iter().filter(|node| node.lost.is_none()) {
            if node.samples < LASTING as u64 {
                notes.push(format!(
                    "{}: {} samples only: what has to last was not looked at; give it a longer --duration",
                    printable(&node.name),
                    node.samples
                ));
            }
            notes.extend(node.unread());
        }
        notes
    }

    /// What probing itself took, one line a node that is done.
    pub fn costs(&self) -> Vec<String> {
        let ends = self.nodes.iter().filter_map(|node| node.end.as_ref());
        let cost = |end: &End| {
            format!(
                "{}: {} samples; probing took {:.2}% of a core and {}",
                printable(&end.node),
                format_count(end.samples),
                end.cost_cores * 100.0,
                format_bytes(end.cost_bytes)
            )
        };
        ends.map(cost).collect()
    }

    /// The findings so far.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }
}

/// The rows of a host in their order, as some come up only when there is something to say.
const ORDER: &[&str] = &[
    "cpu busy",
    "  user",
    "  system",
    "  waiting for disk",
    "  stolen",
    "cpu of its quota",
    "  periods held back",
    "run queue",
    "waits for cpu",
    "waits for disk",
    "waits for memory",
    "memory used",
    "memory of its limit",
    "swapping",
    "killed for memory",
    "busiest disk",
    "received",
    "sent",
    "TCP sockets",
    "listen overflows",
    "TCP timeouts",
];

/// The row of what belongs to no service.
const OTHERS: &str = "others\u{1f}cpu";

/// Stands between the name of a service and what of it a row is; no name has it.
const SERVICE: char = '\u{1f}';

impl Node {
    fn cores(&self) -> String {
        self.host
            .as_ref()
            .map_or_else(String::new, |host| match host.quota_cores {
                Some(quota) => format!("{quota:.2} of {}", host.cores),
                None => host.cores.to_string(),
            })
    }

    fn memory(&self) -> String {
        let host = self.host.as_ref();
        host.map_or_else(String::new, |host| format_bytes(host.usable_memory()))
    }

    fn cell(&self, label: &str, figures: Figures) -> String {
        let Some(row) = self.rows.iter().find(|row| row.label == label) else {
            return String::new();
        };
        match figures {
            _ if self.lost.is_some() && figures == Figures::Now => "lost".to_owned(),
            Figures::Now => row.now.map_or_else(String::new, |now| row.unit.write(now)),
            Figures::Whole => {
                let mean = row.sum / f64::from(row.count.max(1));
                let (mean, max) = (row.unit.write(mean), row.unit.write(row.max));
                // Counters of rare events count for the whole, and memory for its highest.
                match row.unit {
                    Unit::Count => max,
                    _ if mean == max => mean,
                    _ => format!("{mean}, max {max}"),
                }
            }
        }
    }

    fn sample(&mut self, sample: &Sample) {
        self.samples += 1;
        for row in &mut self.rows {
            row.now = None;
        }
        for unread in &sample.unread {
            if !self.unread.iter().any(|known| known.field == unread.field) {
                self.unread.push(unread.clone());
            }
        }
        for (label, value, unit) in figures(sample) {
            self.figure(&label, value, unit);
        }
    }

    fn figure(&mut self, label: &str, value: f64, unit: Unit) {
        let at = self.rows.iter().position(|row| row.label == label);
        let at = at.unwrap_or_else(|| {
            self.rows.push(Row {
                label: label.to_owned(),
                unit,
                now: None,
                sum: 0.0,
                max: 0.0,
                count: 0,
            });
            self.rows.len() - 1
        });
        let row = &mut self.rows[at];
        row.now = Some(value);
        row.sum += value;
        row.max = row.max.max(value);
        row.count += 1;
    }
}

/// The figures of a sample in their order.
fn figures(sample: &Sample) -> Vec<(String, f64, Unit)> {
    let mut all = Vec::new();
    let mut add = |label: &str, value: Option<f64>, unit| {
        all.extend(value.map(|value| (label.to_owned(), value, unit)));
    };
    let limited = sample.limited.unwrap_or_default();
    if let Some(cpu) = sample.cpu {
        add("cpu busy", Some(cpu.busy), Unit::Cores);
        add("  user", Some(cpu.user), Unit::Cores);
        add("  system", Some(cpu.system + cpu.irq), Unit::Cores);
        add("  waiting for disk", Some(cpu.iowait), Unit::Cores);
        add(
            "  stolen",
            Some(cpu.steal).filter(|steal| *steal > 0.0),
            Unit::Cores,
        );
    }
    add(
        "cpu of its quota",
        limited.cpu_cores.filter(|_| limited.quota_cores.is_some()),
        Unit::Cores,
    );
    add("  periods held back", limited.throttled, Unit::Share);
    add(
        "run queue",
        sample.run_queue.map(|queue| queue as f64),
        Unit::Count,
    );
    let pressure = sample.pressure.unwrap_or_default();
    add("waits for cpu", pressure.cpu, Unit::Share);
    add("waits for disk", pressure.io, Unit::Share);
    add("waits for memory", pressure.memory, Unit::Share);
    if let Some(memory) = sample.memory {
        let used = memory.total_bytes.saturating_sub(memory.available_bytes);
        add("memory used", Some(used as f64), Unit::Bytes);
        let swap = memory.swap_in + memory.swap_out;
        add(
            "swapping",
            Some(swap).filter(|swap| *swap > 0.0),
            Unit::BytesPerSecond,
        );
    }
    let counted = limited
        .memory_bytes
        .filter(|_| limited.memory_limit_bytes.is_some());
    add(
        "memory of its limit",
        counted.map(|bytes| bytes as f64),
        Unit::Bytes,
    );
    let busiest = sample
        .disks
        .iter()
        .map(|disk| disk.busy)
        .max_by(f64::total_cmp);
    add("busiest disk", busiest, Unit::Share);
    let outside = || sample.network.iter().filter(|device| device.name != "lo");
    let sum = |of: fn(&super::line::Network) -> f64| outside().map(of).sum();
    let any = outside().next().is_some();
    add(
        "received",
        any.then(|| sum(|device| device.received)),
        Unit::BytesPerSecond,
    );
    add(
        "sent",
        any.then(|| sum(|device| device.sent)),
        Unit::BytesPerSecond,
    );
    if let Some(sockets) = &sample.sockets {
        add("TCP sockets", Some(sockets.tcp as f64), Unit::Count);
        let events =
            |count: Option<u64>| count.filter(|count| *count > 0).map(|count| count as f64);
        add(
            "listen overflows",
            events(sockets.listen_overflows),
            Unit::Count,
        );
        add("TCP timeouts", events(sockets.timeouts), Unit::Count);
    }
    let killed = sample.oom_kills.filter(|kills| *kills > 0);
    add(
        "killed for memory",
        killed.map(|kills| kills as f64),
        Unit::Count,
    );
    for service in &sample.services {
        of_service(service, &mut add);
    }
    add(
        OTHERS,
        sample
            .unattributed_cores
            .filter(|_| !sample.services.is_empty()),
        Unit::Cores,
    );
    all
}

fn of_service(service: &Service, add: &mut impl FnMut(&str, Option<f64>, Unit)) {
    let mut row = |what: &str, value: Option<f64>, unit| {
        let name = printable(&service.name);
        add(&format!("{name}{SERVICE}{what}"), value, unit);
    };
    row("cpu", service.cpu_cores, Unit::Cores);
    let counted = service.limited.and_then(|limited| limited.memory_bytes);
    let memory = counted.or(service.rss_bytes);
    row("memory", memory.map(|bytes| bytes as f64), Unit::Bytes);
    // Unlimited is no share of anything.
    let files = service.open_files.filter(|files| files.limit < 1 << 40);
    row("files", files.map(super::process::share), Unit::Share);
}

#[cfg(test)]
mod tests {
    use super::super::line::{Cpu, OpenFiles};
    use super::*;

    fn sample(node: &str, busy: f64) -> Line {
        Line::Sample(Sample {
            node: node.to_owned(),
            seconds: 1.0,
            cpu: Some(Cpu {
                busy,
                user: busy,
                ..Cpu::default()
            }),
            services: vec![Service {
                name: "web".to_owned(),
                cpu_cores: Some(busy / 2.0),
                open_files: Some(OpenFiles {
                    pid: 1,
                    used: 100,
                    limit: 1000,
                }),
                ..Service::default()
            }],
            ..Sample::default()
        })
    }

    fn view() -> View {
        let mut view = View::default();
        for (node, cores) in [("s2", 4), ("s1", 2)] {
            view.line(&Line::Host(Host {
                node: node.to_owned(),
                cores,
                memory_bytes: 1 << 30,
                ..Host::default()
            }));
        }
        view.line(&sample("s1", 1.0));
        view.line(&sample("s1", 2.0));
        view
    }

    #[test]
    fn nodes_stand_side_by_side() {
        let text = view().table(Figures::Now, TableStyle::Text);
        let lines: Vec<Vec<&str>> = text
            .lines()
            .map(|line| line.split_whitespace().collect())
            .collect();
        assert_eq!(lines[0], ["s1", "s2"]);
        assert_eq!(lines[1], ["cores", "2", "4"]);
        assert!(lines.contains(&vec!["cpu", "busy", "2.00"]), "{text}");
        assert!(lines.contains(&vec!["web", "files", "10.0%"]), "{text}");
    }

    #[test]
    fn the_whole_is_means_and_highest() {
        let text = view().table(Figures::Whole, TableStyle::Text);
        assert!(text.contains("1.50, max 2.00"), "{text}");
    }

    #[test]
    fn a_lost_node_is_said() {
        let mut view = view();
        view.line(&Line::Lost(Lost {
            node: "s3".to_owned(),
            why: "no \u{1b}[31mroute".to_owned(),
        }));
        assert_eq!(view.notes(), ["s3: lost: no \u{fffd}[31mroute"]);
    }
}
