//! What a host and the services on it use, read from `/proc`, `/sys` and the cgroups below a root.

mod cgroup;
pub mod check;
mod find;
mod inventory;
mod limits;
mod line;
mod process;
mod read;
mod sampler;
mod system;
pub mod view;

pub use find::{Place, ServiceSpec, SpecError};
pub use line::{
    Attribution, Clock, Cpu, Disk, End, Finding, Host, Interface, Limits, Line, Lost, Memory,
    Network, OpenFiles, Pressure, SCHEMA, Sample, Service, Sockets, Unread, Usage, Waiting,
    Watched,
};
pub use sampler::{NoHost, Sampler, own_cost};
