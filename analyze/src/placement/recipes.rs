//! What to do, ready to paste: the placement in the words of nginx, Envoy, systemd, MySQL, Kubernetes.
//!
//! Names come from a plan, which allows none that could break out of these files.

use std::fmt::Write;

use super::model::Prediction;
use super::plan::{Node, Plan};

/// Requests are set to the 90th percentile of what was used and this much more.
const ABOVE_P90: f64 = 1.15;

/// A memory limit is so much more than the request: equal ones leave no room for a burst.
const LIMIT_ABOVE_REQUEST: f64 = 1.5;

/// The longest name of Kubernetes is 63; some are left for a number.
const LABEL_CHARS: usize = 60;

/// The port where a plan names none.
const PORT: u16 = 80;

/// A file, or a part of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipe {
    /// What it is, and where it goes.
    pub title: String,
    /// The language, for a Markdown block.
    pub language: &'static str,
    /// The text.
    pub text: String,
}

/// All recipes of a placement.
pub fn recipes(plan: &Plan, found: &Prediction) -> Vec<Recipe> {
    let mut all = vec![nginx(plan, found), envoy(plan, found), systemd(plan, found)];
    all.extend(mysql(plan, found));
    all.push(kubernetes(plan, found));
    all.retain(|recipe| !recipe.text.is_empty());
    all
}

/// Services that others call, or that are on several nodes: their callers have to know where.
fn called(plan: &Plan, found: &Prediction) -> Vec<usize> {
    let is_called = |at: &usize| {
        plan.calls
            .iter()
            .any(|call| call.to == *at && call.from.is_some())
            || found.placement.services[*at].len() > 1
    };
    (0..plan.services.len()).filter(is_called).collect()
}

/// A weight as a whole number from 1 on.
fn weight(weight: f64) -> u32 {
    (weight * 100.0).round().max(1.0) as u32
}

fn address(plan: &Plan, node: usize) -> &str {
    let it = &plan.nodes[node];
    it.address.as_deref().unwrap_or_else(|| host_name(&it.name))
}

/// The host of a node that was probed as `user@host`.
fn host_name(node: &str) -> &str {
    node.rsplit_once('@').map_or(node, |(_, host)| host)
}

/// The same before a port: an IPv6 address in brackets.
fn host(plan: &Plan, node: usize) -> String {
    let address = address(plan, node);
    match address.contains(':') {
        true => format!("[{address}]"),
        false => address.to_owned(),
    }
}

fn nginx(plan: &Plan, found: &Prediction) -> Recipe {
    let mut text = String::new();
    for at in called(plan, found) {
        let service = &plan.services[at];
        let homes = &found.placement.services[at];
        if service.port.is_none() {
            let _ = writeln!(text, "# set the port of {}", service.name);
        }
        let _ = writeln!(text, "upstream {} {{", service.name);
        for (node, share) in homes {
            let _ = write!(
                text,
                "    server {}:{}",
                host(plan, *node),
                service.port.unwrap_or(PORT)
            );
            if homes.len() > 1 {
                let _ = write!(text, " weight={}", weight(*share));
            }
            text.push_str(";\n");
        }
        // Without it each request takes a new connection, and a local port for a minute.
        text.push_str("    keepalive 64;\n}\n");
    }
    Recipe {
        title:
            "nginx, in http { }; with `proxy_http_version 1.1; proxy_set_header Connection \"\";`"
                .to_owned(),
        language: "nginx",
        text,
    }
}

fn envoy(plan: &Plan, found: &Prediction) -> Recipe {
    let mut text = String::new();
    for at in called(plan, found) {
        let service = &plan.services[at];
        let _ = write!(
            text,
            "- name: {0}\n  type: STRICT_DNS\n  lb_policy: ROUND_ROBIN\n  load_assignment:\n    \
             cluster_name: {0}\n    endpoints:\n    - lb_endpoints:\n",
            quoted(&service.name)
        );
        for (node, share) in &found.placement.services[at] {
            let _ = write!(
                text,
                "      - load_balancing_weight: {}\n        endpoint:\n          address:\n            \
                 socket_address: {{ address: {}, port_value: {} }}\n",
                weight(*share),
                quoted(address(plan, *node)),
                service.port.unwrap_or(PORT)
            );
        }
    }
    Recipe {
        title: "Envoy, in static_resources.clusters; start it with --concurrency of its cores"
            .to_owned(),
        language: "yaml",
        text,
    }
}

fn quoted(name: &str) -> String {
    format!("\"{name}\"")
}

fn systemd(plan: &Plan, found: &Prediction) -> Recipe {
    let mut text = String::new();
    for (node, it) in plan.nodes.iter().enumerate() {
        for (at, service) in plan.services.iter().enumerate() {
            if !found.placement.services[at]
                .iter()
                .any(|(home, _)| *home == node)
            {
                continue;
            }
            let needs = service.memory_mb + found.pool_mb[at];
            let _ = writeln!(
                text,
                "# {}: /etc/systemd/system/{}.service.d/place.conf\n[Service]\nLimitNOFILE=65536",
                it.name, service.name
            );
            if needs > 0.0 {
                // What is left on the node is shared by all; a service that grows is stopped before
                // it takes the others with it.
                let spare = (it.memory_mb - found.memory_mb[node]).max(0.0);
                let most = needs + (spare * needs / found.memory_mb[node].max(1.0)).min(needs);
                let _ = writeln!(text, "MemoryMax={most:.0}M");
            }
            text.push('\n');
        }
        let absent: Vec<&str> = plan
            .services
            .iter()
            .enumerate()
            .filter(|(at, _)| {
                !found.placement.services[*at]
                    .iter()
                    .any(|(home, _)| *home == node)
            })
            .map(|(_, service)| service.name.as_str())
            .collect();
        if !absent.is_empty() {
            let _ = writeln!(
                text,
                "# {}: systemctl disable --now {}\n",
                it.name,
                absent.join(" ")
            );
        }
    }
    Recipe {
        title: "systemd, on each node; then `systemctl daemon-reload` and restart".to_owned(),
        language: "ini",
        text,
    }
}

fn mysql(plan: &Plan, found: &Prediction) -> Option<Recipe> {
    let mut text = String::new();
    for (at, service) in plan.services.iter().enumerate() {
        if service.pool.is_some() {
            let node = found.placement.services[at]
                .first()
                .map_or("", |(node, _)| address(plan, *node));
            let _ = writeln!(
                text,
                "# {} on {node}\n[mysqld]\ninnodb_buffer_pool_size = {}M",
                service.name,
                pool_size(found.pool_mb[at])
            );
            // Else its pieces are one for each of eight instances, from 1 GiB on. MariaDB has no instances.
            if found.pool_mb[at] >= 1024.0 {
                text.push_str("loose_innodb_buffer_pool_instances = 1\n");
            }
        }
    }
    (!text.is_empty()).then(|| Recipe {
        title: "MySQL or MariaDB, in /etc/mysql/conf.d/place.cnf".to_owned(),
        language: "ini",
        text,
    })
}

/// The size of a buffer pool in MiB. A server makes it of pieces and rounds up, to more than there is; those of
/// `innodb_buffer_pool_chunk_size` have 128 MiB, unless the whole has less.
fn pool_size(most_mb: f64) -> u64 {
    const CHUNK_MB: f64 = 128.0;
    match most_mb >= CHUNK_MB {
        true => ((most_mb / CHUNK_MB).floor() * CHUNK_MB) as u64,
        false => most_mb.floor().max(1.0) as u64,
    }
}

/// What a copy of a service asks of its node, in thousandths of a core and in MiB.
struct Request {
    cpu: f64,
    memory: f64,
    /// Whether all that is on one of its nodes would ask for more than that gives.
    is_cut: bool,
}

/// What each service's copies ask for: the 90th percentile and 15% more, or what fits, as a copy that asks
/// for more than is there is never started.
fn requests(plan: &Plan, found: &Prediction) -> Vec<Request> {
    let wanted: Vec<(f64, f64)> = (0..plan.services.len())
        .map(|at| wanted(plan, found, at))
        .collect();
    let of_node = |node: usize| {
        let here = found.placement.services.iter().zip(&wanted);
        let here = here.filter(|(homes, _)| homes.iter().any(|(home, _)| *home == node));
        here.fold((0.0, 0.0), |sum, (_, (cpu, memory))| {
            (sum.0 + cpu, sum.1 + memory)
        })
    };
    let share = |has: f64, wants: f64| if wants > has { has / wants } else { 1.0 };
    let requests = wanted.iter().zip(&found.placement.services);
    let request = |(wanted, homes): (&(f64, f64), &Vec<(usize, f64)>)| {
        let (mut cpu, mut memory) = (1.0_f64, 1.0_f64);
        for (node, _) in homes {
            let (it, all) = (&plan.nodes[*node], of_node(*node));
            let (millicores, mebibytes) = allocatable(it);
            cpu = cpu.min(share(millicores, all.0));
            memory = memory.min(share(mebibytes, all.1));
        }
        Request {
            cpu: (wanted.0 * cpu).floor().max(1.0),
            memory: (wanted.1 * memory).floor().max(1.0),
            is_cut: cpu < 1.0 || memory < 1.0,
        }
    };
    requests.map(request).collect()
}

/// What a node gives to requests, in thousandths of a core and in MiB: without what is used already, and without
/// the memory below which the kubelet evicts (`memory.available<100Mi` where nothing else is set).
fn allocatable(node: &Node) -> (f64, f64) {
    const EVICTION_MB: f64 = 100.0;
    let millicores = (node.cores - node.background_cores) * 1000.0;
    (millicores.max(1.0), (node.memory_mb - EVICTION_MB).max(1.0))
}

/// What a copy of a service would ask for.
fn wanted(plan: &Plan, found: &Prediction, at: usize) -> (f64, f64) {
    let service = &plan.services[at];
    let homes = &found.placement.services[at];
    let copies = homes.len().max(1) as f64;
    let rps = if found.rps.is_finite() {
        found.rps
    } else {
        0.0
    };
    let used = service
        .p90_cores
        .unwrap_or(service.demand_ms * rps / 1000.0);
    let millicores = (used * ABOVE_P90 / copies * 1000.0).ceil().max(1.0);
    let mebibytes = ((service.memory_mb + found.pool_mb[at]) * ABOVE_P90)
        .ceil()
        .max(1.0);
    (millicores, mebibytes)
}

fn kubernetes(plan: &Plan, found: &Prediction) -> Recipe {
    let requests = requests(plan, found);
    let labels = labels(plan);
    let mut text = String::new();
    for at in 0..plan.services.len() {
        let homes = &found.placement.services[at];
        let Request {
            cpu,
            memory,
            is_cut,
        } = requests[at];
        let name = &labels[at];
        let surge = homes
            .iter()
            .any(|(node, _)| has_room(plan, found, &requests, at, *node));
        if at > 0 {
            text.push_str("---\n");
        }
        if homes.len() == 1 {
            let _ = writeln!(
                text,
                "# {name}: one replica: draining its node is downtime, whatever a PodDisruptionBudget says"
            );
        }
        if is_cut {
            let _ = writeln!(
                text,
                "# {name}: p90 + 15% of all on its node is more than that has: the requests are cut to what fits, if \
                 `kubectl describe node` shows as much as Allocatable"
            );
        }
        if homes.len() > 1 {
            let _ = writeln!(
                text,
                "# {name}: its copies are kept apart and one is on each of its nodes: with maxSurge 1 a rolling update \
                 would never finish, so one copy goes before the next comes"
            );
        } else if !surge {
            let _ = writeln!(
                text,
                "# {name}: no node has room for one copy more ({cpu:.0}m, {memory:.0}Mi): with maxSurge 1 a rolling \
                 update would never finish, so one copy goes before the next comes"
            );
        }
        let _ = write!(
            text,
            "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: \"{name}\"\nspec:\n  replicas: {}\n  strategy:\n    \
             type: RollingUpdate\n    rollingUpdate:\n      maxSurge: {}\n      maxUnavailable: {}\n  selector:\n    \
             matchLabels: {{ app: \"{name}\" }}\n  template:\n    metadata:\n      labels: {{ app: \"{name}\" }}\n    spec:\n      \
             affinity:\n        nodeAffinity:\n          requiredDuringSchedulingIgnoredDuringExecution:\n            \
             nodeSelectorTerms:\n            - matchExpressions:\n              - key: kubernetes.io/hostname\n                \
             operator: In\n                values: [{}]\n",
            homes.len(),
            u8::from(surge),
            u8::from(!surge),
            homes
                .iter()
                .map(|(node, _)| quoted(host_name(&plan.nodes[*node].name)))
                .collect::<Vec<_>>()
                .join(", ")
        );
        if homes.len() > 1 {
            let _ = write!(
                text,
                "        podAntiAffinity:\n          requiredDuringSchedulingIgnoredDuringExecution:\n          - \
                 topologyKey: kubernetes.io/hostname\n            labelSelector:\n              matchLabels: {{ app: \
                 \"{name}\" }}\n"
            );
        }
        let _ = write!(
            text,
            "      containers:\n      - name: \"{name}\"\n        image: \"{name}\"  # yours\n        resources:\n          \
             requests: {{ cpu: {cpu:.0}m, memory: {memory:.0}Mi }}\n          limits: {{ memory: {:.0}Mi }}\n",
            (memory * LIMIT_ABOVE_REQUEST).ceil()
        );
    }
    Recipe {
        title: "Kubernetes: requests from p90 + 15%; no CPU limit, so that a burst may use what is idle".to_owned(),
        language: "yaml",
        text,
    }
}

/// Whether a node has room for one copy more, beside what all that is on it asks for. A service with
/// several copies keeps them apart, so that its own nodes have none.
fn has_room(plan: &Plan, found: &Prediction, requests: &[Request], at: usize, node: usize) -> bool {
    if found.placement.services[at].len() > 1 {
        return false;
    }
    let here = (0..plan.services.len()).filter(|other| {
        found.placement.services[*other]
            .iter()
            .any(|(home, _)| *home == node)
    });
    let (cpu, memory) = here.fold((0.0, 0.0), |sum, other| {
        (sum.0 + requests[other].cpu, sum.1 + requests[other].memory)
    });
    let it = &plan.nodes[node];
    let (millicores, mebibytes) = allocatable(it);
    cpu + requests[at].cpu <= millicores && memory + requests[at].memory <= mebibytes
}

/// A name as Kubernetes takes it (RFC 1123).
fn dns_label(name: &str) -> String {
    let lower = name.to_ascii_lowercase();
    let label: String = lower
        .chars()
        .map(|letter| {
            if letter.is_ascii_alphanumeric() {
                letter
            } else {
                '-'
            }
        })
        .collect();
    let label: String = label.trim_matches('-').chars().take(LABEL_CHARS).collect();
    match label.trim_end_matches('-') {
        "" => "service".to_owned(),
        label => label.to_owned(),
    }
}

/// [`dns_label`] of each service, no two alike.
fn labels(plan: &Plan) -> Vec<String> {
    let mut labels: Vec<String> = Vec::new();
    for service in &plan.services {
        let label = dns_label(&service.name);
        let others = (2..).map(|number| format!("{label}-{number}"));
        let free = std::iter::once(label.clone())
            .chain(others)
            .find(|label| !labels.contains(label));
        labels.extend(free);
    }
    labels
}
