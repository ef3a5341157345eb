//! What only the system's own calls tell of a host: the addresses of its interfaces.

use isukit_analyze::host::Host;
use sysinfo::Networks;

/// The most addresses of an interface that are worth a place in a report.
const MOST_ADDRESSES: usize = 32;

/// Adds the addresses of interfaces, and those interfaces that `/sys` does not show.
pub(super) fn complete(host: &mut Host) {
    let networks = Networks::new_with_refreshed_list();
    for interface in &mut host.interfaces {
        let Some(network) = networks.get(&interface.name) else {
            continue;
        };
        let addresses = network.ip_networks().iter().take(MOST_ADDRESSES);
        interface.addresses = addresses
            .map(|network| format!("{}/{}", network.addr, network.prefix))
            .collect();
        interface.addresses.sort();
    }
}
