//! What a host is believed at most, so that no root, however strange, takes memory or time.

/// The longest file that is read whole, in bytes; the rest of a longer one is not looked at.
pub(super) const FILE_BYTES: usize = 1 << 20;

/// The longest table that is read line by line, in bytes: half a million connections.
pub(super) const TABLE_BYTES: u64 = 64 << 20;

/// Processes of a host that are looked at when services are searched.
pub(super) const PROCESSES: usize = 65_536;

/// Processes of one service whose threads are looked at in one sample, and their open files in the first.
pub(super) const PROCESSES_OF_SERVICE: usize = 32;

/// Processes of one service whose open files are looked at in each sample but the first.
pub(super) const FILES_LOOKS: usize = 4;

/// Processes of one service that are counted one by one where it has no cgroup.
pub(super) const COUNTED_PROCESSES: usize = 4096;

/// Threads of one process that are looked at.
pub(super) const THREADS: usize = 1024;

/// Services that are watched.
pub(super) const SERVICES: usize = 64;

/// Services that are chosen when none is named.
pub(super) const FOUND_SERVICES: usize = 16;

/// Folders below the cgroup of a service whose processes belong to it, and folders that are
/// searched for a unit.
pub(super) const CGROUP_FOLDERS: usize = 4096;

/// Disks, and network interfaces, of a sample.
pub(super) const DEVICES: usize = 256;

/// The longest name of a service, node or device, in bytes.
pub(super) const NAME_BYTES: usize = 128;

/// Ports with waiting connections in a sample.
pub(super) const WAITING_PORTS: usize = 64;
