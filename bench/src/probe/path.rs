//! The path to another node: how large a packet comes through.
//!
//! A packet that may not be cut (don't fragment) either arrives, or a router on the way says that
//! it is too large (RFC 1191), or it vanishes: then TCP's small packets pass and its large ones are
//! sent again and again. Echo requests are used where this process may send them, else datagrams
//! to a port at which nobody listens, as the other kernel's refusal is an answer too.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use isukit_analyze::host::Interface;
use isukit_analyze::host::check::Path;
use rustix::net::sockopt;
use serde::{Deserialize, Serialize};
use socket2::{Domain, Protocol, Socket, Type};

/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_millis(300);

/// How often a packet is sent before it counts as lost.
const TRIES: usize = 2;

/// Sizes of packets that networks are usually set up for, bytes with the IP header.
const USUAL_MTUS: &[u32] = &[9000, 8000, 4000, 1500, 1492, 1450, 1400, 1280, 576];

/// A size that passes everywhere.
const SMALL: u32 = 100;

/// A port that nobody uses: the first one of traceroute.
const UNUSED_PORT: u16 = 33_434;

/// A path to be probed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathProbe {
    /// The address of the other node.
    pub address: IpAddr,
    /// Its name.
    pub peer: String,
    /// The MTU of its interface, where it is known.
    pub peer_mtu: Option<u32>,
}

impl PathProbe {
    /// The name of the other node, with its address where that is another word.
    fn shown(&self) -> String {
        match self.peer == self.address.to_string() {
            true => self.peer.clone(),
            false => format!("{} ({})", self.peer, self.address),
        }
    }

    /// What to say when nothing could be found out.
    pub fn unanswered(&self, error: &io::Error) -> String {
        let shown = self.shown();
        format!("the path to {shown} could not be probed: {error}; a firewall may drop ICMP")
    }
}

/// Probes the path to a node, within about two seconds.
///
/// # Errors
///
/// When no packet can be sent there at all, or not a single answer comes: a firewall may be why.
pub fn probe(node: &str, asked: &PathProbe, interfaces: &[Interface]) -> io::Result<Path> {
    let to = asked.address;
    let mut path = Path {
        node: node.to_owned(),
        peer: asked.shown(),
        mtu: 0,
        peer_mtu: asked.peer_mtu,
        passed: None,
        told: false,
    };
    let mut way = Way::open(to, &mut path.told)?;
    path.mtu = mtu_towards(to, interfaces)?;
    let mut passes = |size: u32, told: &mut bool| way.passes(size, told);
    if passes(path.mtu, &mut path.told)? {
        path.passed = Some(path.mtu);
        return Ok(path);
    }
    let smaller = USUAL_MTUS.iter().copied().filter(|size| *size < path.mtu);
    for size in smaller {
        if passes(size, &mut path.told)? {
            path.passed = Some(size);
            return Ok(path);
        }
    }
    path.passed = Some(SMALL);
    Ok(path)
}

/// The MTU of the interface that packets to an address leave by.
fn mtu_towards(to: IpAddr, interfaces: &[Interface]) -> io::Result<u32> {
    let any: IpAddr = match to {
        IpAddr::V4(_) => [0; 4].into(),
        IpAddr::V6(_) => [0; 16].into(),
    };
    let socket = std::net::UdpSocket::bind((any, 0))?;
    socket.connect((to, UNUSED_PORT))?;
    let from = socket.local_addr()?.ip();
    let has = |interface: &&Interface| {
        let mut addresses = interface.addresses.iter();
        addresses.any(|address| address.split('/').next() == Some(from.to_string().as_str()))
    };
    // The greatest packet of IP stands in for an interface that nothing is known of.
    let mtu = interfaces
        .iter()
        .find(has)
        .map_or(1500, |interface| interface.mtu);
    Ok(mtu.min(65_535))
}

/// A way to send a packet that is answered.
struct Way {
    socket: Socket,
    to: IpAddr,
    echo: bool,
    sequence: u16,
}

impl Way {
    /// The first way by which a small packet is answered.
    fn open(to: IpAddr, told: &mut bool) -> io::Result<Self> {
        let mut last = io::Error::from(io::ErrorKind::TimedOut);
        for echo in [true, false] {
            let mut way = match Self::new(to, echo) {
                Ok(way) => way,
                Err(error) => {
                    last = error;
                    continue;
                }
            };
            match way.passes(SMALL, told) {
                Ok(true) => return Ok(way),
                Ok(false) => last = io::ErrorKind::TimedOut.into(),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    fn new(to: IpAddr, echo: bool) -> io::Result<Self> {
        let (domain, icmp) = match to {
            IpAddr::V4(_) => (Domain::IPV4, Protocol::ICMPV4),
            IpAddr::V6(_) => (Domain::IPV6, Protocol::ICMPV6),
        };
        let protocol = if echo { icmp } else { Protocol::UDP };
        let socket = Socket::new(domain, Type::DGRAM, Some(protocol))?;
        // The size is tried even if the kernel believes to know a smaller one from before.
        match to {
            IpAddr::V4(_) => {
                sockopt::set_ip_mtu_discover(socket.as_fd(), sockopt::Ipv4PathMtuDiscovery::PROBE)?
            }
            IpAddr::V6(_) => sockopt::set_ipv6_mtu_discover(
                socket.as_fd(),
                sockopt::Ipv6PathMtuDiscovery::PROBE,
            )?,
        }
        socket.connect(&SocketAddr::new(to, if echo { 0 } else { UNUSED_PORT }).into())?;
        Ok(Self {
            socket,
            to,
            echo,
            sequence: 0,
        })
    }

    /// Whether a packet of a size is answered. `told` is set where the network says that it is too large.
    fn passes(&mut self, size: u32, told: &mut bool) -> io::Result<bool> {
        let head = if self.to.is_ipv4() { 20 } else { 40 };
        for _ in 0..TRIES {
            self.sequence = self.sequence.wrapping_add(1);
            let payload = self.payload(size.saturating_sub(head + 8) as usize);
            match self.socket.send(&payload) {
                Ok(_) => {}
                Err(error) if is_refused(&error) && !self.echo => return Ok(true),
                Err(error) if is_too_large(&error) => {
                    *told = true;
                    return Ok(false);
                }
                Err(error) => return Err(error),
            }
            if self.answered(told)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn payload(&self, length: usize) -> Vec<u8> {
        if !self.echo {
            return vec![0; length];
        }
        let kind = if self.to.is_ipv4() { 8 } else { 128 };
        let [high, low] = self.sequence.to_be_bytes();
        // The kernel fills in the checksum and its own identifier.
        let mut packet = vec![kind, 0, 0, 0, 0, 0, high, low];
        packet.resize(8 + length, 0);
        packet
    }

    fn answered(&mut self, told: &mut bool) -> io::Result<bool> {
        let until = Instant::now() + PATIENCE;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(false);
            }
            self.socket.set_read_timeout(Some(left))?;
            let mut answer = [0; 16];
            match io::Read::read(&mut &self.socket, &mut answer) {
                Ok(8..) if self.echo && answer[6..8] == self.sequence.to_be_bytes() => {
                    return Ok(true);
                }
                // An answer that is late belongs to a packet that counts as lost already.
                Ok(_) => {}
                Err(error) if is_refused(&error) && !self.echo => return Ok(true),
                Err(error) if is_too_large(&error) => {
                    *told = true;
                    return Ok(false);
                }
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
                    ) =>
                {
                    return Ok(false);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

fn is_refused(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::ConnectionRefused
}

fn is_too_large(error: &io::Error) -> bool {
    error.raw_os_error() == Some(rustix::io::Errno::MSGSIZE.raw_os_error())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_to_oneself_takes_whole_packets() {
        let lo = Interface {
            name: "lo".to_owned(),
            mtu: 16_000,
            addresses: vec!["127.0.0.1/8".to_owned()],
            ..Interface::default()
        };
        for echo in [true, false] {
            // Echo requests may be forbidden to this process.
            if let Ok(mut way) = Way::new([127, 0, 0, 1].into(), echo) {
                let mut told = false;
                assert!(way.passes(16_000, &mut told).unwrap(), "echo: {echo}");
                assert!(!told);
            }
        }
        let asked = PathProbe {
            address: [127, 0, 0, 1].into(),
            peer: "self".to_owned(),
            peer_mtu: None,
        };
        let path = probe("n", &asked, &[lo]).unwrap();
        assert_eq!((path.mtu, path.passed), (16_000, Some(16_000)));
    }
}
