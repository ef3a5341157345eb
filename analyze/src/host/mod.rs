//! What a host and the services on it use, read from `/proc`, `/sys` and the cgroups below a root.

mod line;

pub use line::{
    Attribution, Clock, Cpu, Disk, End, Finding, Host, Interface, Limits, Line, Lost, Memory,
    Network, OpenFiles, Pressure, SCHEMA, Sample, Service, Sockets, Unread, Usage, Verdicts,
    Watched,
};
