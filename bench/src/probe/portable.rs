//! A host that is no Linux: what a library can tell of it, and a word on what it cannot.

use std::collections::BTreeMap;

use isukit_analyze::host::{
    Attribution, Cpu, Host, Interface, Memory, Network, Place, SCHEMA, Sample, Service,
    ServiceSpec, Unread, Watched,
};
use sysinfo::{
    CpuRefreshKind, MemoryRefreshKind, Networks, ProcessRefreshKind, ProcessesToUpdate,
    RefreshKind, System,
};

/// Samples a host through `sysinfo`.
pub(super) struct Portable {
    system: System,
    networks: Networks,
    services: Vec<ServiceSpec>,
    cores: f64,
}

/// What every sample lacks here.
const UNKNOWN: &[&str] = &[
    "pressure",
    "disks",
    "sockets",
    "steal",
    "open_files",
    "limited",
    "swap_in",
];

impl Portable {
    pub(super) fn new(services: &[ServiceSpec]) -> (Self, Host) {
        let kinds = RefreshKind::nothing()
            .with_cpu(CpuRefreshKind::nothing().with_cpu_usage())
            .with_memory(MemoryRefreshKind::everything());
        let mut portable = Self {
            system: System::new_with_specifics(kinds),
            networks: Networks::new_with_refreshed_list(),
            services: services.to_vec(),
            cores: 0.0,
        };
        portable.cores = portable.system.cpus().len() as f64;
        portable.refresh_processes();
        let host = portable.host();
        (portable, host)
    }

    fn refresh_processes(&mut self) {
        if self.services.is_empty() {
            return;
        }
        let kinds = ProcessRefreshKind::nothing().with_cpu().with_memory();
        self.system
            .refresh_processes_specifics(ProcessesToUpdate::All, true, kinds);
    }

    fn host(&self) -> Host {
        let watched = |service: &ServiceSpec| Watched {
            name: service.name.clone(),
            by: Attribution::Pids,
            of: service.to_string(),
            buffer_pool_bytes: None,
            found: false,
        };
        let unread = |field: &&str| Unread {
            field: (*field).to_owned(),
            why: "only read on Linux".to_owned(),
        };
        Host {
            schema: SCHEMA.to_owned(),
            hostname: System::host_name().unwrap_or_default(),
            os: System::long_os_version().unwrap_or_default(),
            kernel: System::kernel_version().unwrap_or_default(),
            architecture: std::env::consts::ARCH.to_owned(),
            cores: self.cores as u32,
            memory_bytes: self.system.total_memory(),
            swap_bytes: self.system.total_swap(),
            interfaces: self.interfaces(),
            services: self.services.iter().map(watched).collect(),
            unread: UNKNOWN.iter().map(unread).collect(),
            ..Host::default()
        }
    }

    fn interfaces(&self) -> Vec<Interface> {
        let interface = |(name, network): (&String, &sysinfo::NetworkData)| {
            let addresses = network.ip_networks().iter();
            let addresses = addresses.map(|network| format!("{}/{}", network.addr, network.prefix));
            let interface = Interface {
                name: name.clone(),
                mtu: u32::try_from(network.mtu()).unwrap_or(u32::MAX),
                speed_mbit_s: None,
                addresses: addresses.collect(),
            };
            (name.clone(), interface)
        };
        let sorted: BTreeMap<_, _> = self.networks.iter().map(interface).collect();
        sorted.into_values().collect()
    }

    pub(super) fn sample(&mut self, seconds: f64) -> Sample {
        self.system.refresh_cpu_usage();
        self.system.refresh_memory();
        self.networks.refresh(true);
        self.refresh_processes();
        let busy = f64::from(self.system.global_cpu_usage()) / 100.0 * self.cores;
        let rate = |bytes: u64| bytes as f64 / seconds;
        let network = |(name, network): (&String, &sysinfo::NetworkData)| Network {
            name: name.clone(),
            received: rate(network.received()),
            sent: rate(network.transmitted()),
            packets: rate(network.packets_received() + network.packets_transmitted()),
            lost: rate(network.errors_on_received() + network.errors_on_transmitted()),
        };
        let mut networks: Vec<Network> = self.networks.iter().map(network).collect();
        networks.sort_by(|a, b| a.name.cmp(&b.name));
        Sample {
            seconds,
            cpu: Some(Cpu {
                busy,
                idle: (self.cores - busy).max(0.0),
                ..Cpu::default()
            }),
            load1: Some(System::load_average().one),
            memory: Some(Memory {
                total_bytes: self.system.total_memory(),
                available_bytes: self.system.available_memory(),
                swap_used_bytes: self.system.used_swap(),
                ..Memory::default()
            }),
            network: networks,
            services: self
                .services
                .iter()
                .map(|service| self.service(service))
                .collect(),
            ..Sample::default()
        }
    }

    fn service(&self, service: &ServiceSpec) -> Service {
        let belongs = |(pid, process): &(&sysinfo::Pid, &sysinfo::Process)| match &service.of {
            Place::Name(name) => process.name() == name.as_str(),
            Place::Pid(wanted) => pid.as_u32() == *wanted,
            Place::Unit(_) | Place::Cgroup(_) => false,
        };
        let mut of = Service {
            name: service.name.clone(),
            ..Service::default()
        };
        let (mut cores, mut rss) = (0.0, 0);
        for (_, process) in self.system.processes().iter().filter(belongs) {
            cores += f64::from(process.cpu_usage()) / 100.0;
            rss += process.memory();
            of.processes += 1;
        }
        of.cpu_cores = (of.processes > 0).then_some(cores);
        of.rss_bytes = (of.processes > 0).then_some(rss);
        of
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_sampled_without_its_proc() {
        let pid = std::process::id();
        let services = [format!("own=pid:{pid}").parse().unwrap()];
        let (mut portable, host) = Portable::new(&services);
        assert!(host.cores > 0 && host.memory_bytes > 0, "{host:?}");
        assert!(host.unread.iter().any(|unread| unread.field == "pressure"));
        std::thread::sleep(std::time::Duration::from_millis(250));
        let sample = portable.sample(0.25);
        assert!(sample.memory.unwrap().available_bytes > 0);
        assert!(sample.network.iter().any(|network| network.name == "lo"));
        assert_eq!(sample.services[0].processes, 1);
        assert!(sample.services[0].rss_bytes.unwrap() > 0);
    }
}
