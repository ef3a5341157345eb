//! Packets as they pass: a packet socket that gives IP packets, so that no kind of link has to be known.
//!
//! The interface is chosen by a filter in the kernel (the ancillary data of packet(7) and of
//! `linux/filter.h`), as binding to it would need an address that only C can write.

use std::io::Read;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use isukit_analyze::capture::{Assembler, LinkType};
use isukit_analyze::decode::Body;
use socket2::{Domain, Protocol, SockFilter, Socket, Type};

use super::DecodeArgs;
use super::capture::{Bridge, Take, assembler};
use super::sink::BodySink;
use crate::cli::{DONE, complain};

/// `ETH_P_ALL` of `linux/if_ether.h`: packets of every protocol.
const ALL_PROTOCOLS: u16 = 0x0003;

/// The largest packet that the kernel hands over: 64 KiB, and what offloading makes of several.
const PACKET_BYTES: usize = 512 << 10;

/// What the kernel keeps for us while we are busy, in bytes.
const KERNEL_BYTES: usize = 16 << 20;

/// How long to wait for a packet before looking whether to stop.
const PAUSE: Duration = Duration::from_millis(100);

/// `SKF_AD_OFF` of `linux/filter.h`: where the ancillary data of a packet begins.
const ANCILLARY: u32 = 0xffff_f000;
/// `SKF_AD_PKTTYPE`: whether it comes in or goes out.
const PACKET_TYPE: u32 = ANCILLARY + 4;
/// `SKF_AD_IFINDEX`: the number of its interface.
const INTERFACE: u32 = ANCILLARY + 8;
/// `PACKET_OUTGOING` of `linux/if_packet.h`.
const OUTGOING: u32 = 4;

/// `BPF_LD | BPF_W | BPF_ABS`.
const LOAD: u16 = 0x20;
/// `BPF_JMP | BPF_JEQ | BPF_K`.
const JUMP_IF: u16 = 0x15;
/// `BPF_RET | BPF_K`.
const RETURN: u16 = 0x06;

/// Show bodies as they pass, until `stop`.
pub(super) fn run(
    args: &DecodeArgs,
    interface: &str,
    sink: &mut BodySink<'_>,
    stop: &AtomicBool,
) -> Result<u8> {
    let mut socket = open(interface)?;
    let mut assembler = assembler(args, true)?;
    let mut shower = Passing { sink, failed: None };
    let mut bridge = Bridge::new(&mut shower);
    let mut buffer = vec![0; PACKET_BYTES];
    complain_listening(interface, args);
    let mut looked = Instant::now();
    while !stop.load(Ordering::Relaxed) {
        match socket.read(&mut buffer) {
            Ok(length) => {
                let packet = &buffer[..length];
                let link = match packet.first().map(|first| first >> 4) {
                    Some(6) => LinkType::IPV6,
                    _ => LinkType::IPV4,
                };
                let wire = u32::try_from(length).unwrap_or(u32::MAX);
                assembler.packet(link, now_ns(), packet, wire, &mut bridge);
            }
            Err(error) if is_pause(&error) => {}
            Err(error) => return Err(error).context("cannot read packets"),
        }
        if looked.elapsed() >= PAUSE {
            looked = Instant::now();
            bridge.look()?;
        }
    }
    assembler.finish(&mut bridge);
    bridge.end(&assembler);
    match shower.failed {
        Some(error) => Err(error),
        None => Ok(DONE),
    }
}

fn complain_listening(interface: &str, args: &DecodeArgs) {
    let ports: Vec<String> = args.port.iter().map(ToString::to_string).collect();
    let ports = match ports.is_empty() {
        true => String::new(),
        false => format!(", port {}", ports.join(" and ")),
    };
    complain(&format!(
        "isukit: listening on {interface}{ports}; Ctrl-C ends it"
    ));
}

fn is_pause(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{Interrupted, TimedOut, WouldBlock};
    matches!(error.kind(), WouldBlock | TimedOut | Interrupted)
}

fn now_ns() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
    })
}

/// A socket that gives the IP packets of an interface.
fn open(interface: &str) -> Result<Socket> {
    let index = match interface {
        "any" => None,
        name => Some(index_of(name)?),
    };
    let protocol = Protocol::from(i32::from(ALL_PROTOCOLS.to_be()));
    let socket = match Socket::new(Domain::PACKET, Type::DGRAM, Some(protocol)) {
        Ok(socket) => socket,
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => bail!(
            "--live needs the right to read packets (CAP_NET_RAW): run it as root, or once \
             `sudo setcap cap_net_raw+ep` on the isukit binary; `isukit tap` needs no such right"
        ),
        Err(error) => return Err(error).context("cannot open a packet socket"),
    };
    socket.set_read_timeout(Some(PAUSE))?;
    // The kernel gives as much of it as it may.
    let _ = socket.set_recv_buffer_size(KERNEL_BYTES);
    socket
        .attach_filter(&filter(index, is_loopback(interface)))
        .context("cannot choose the interface")?;
    Ok(socket)
}

/// Packets of this interface only; of the loopback, where each goes out and comes in again, one of the two.
fn filter(index: Option<u32>, is_loopback: bool) -> Vec<SockFilter> {
    let mut filter = Vec::new();
    if let Some(index) = index {
        filter.push(SockFilter::new(LOAD, 0, 0, INTERFACE));
        filter.push(SockFilter::new(JUMP_IF, 1, 0, index));
        filter.push(SockFilter::new(RETURN, 0, 0, 0));
    }
    if is_loopback {
        filter.push(SockFilter::new(LOAD, 0, 0, PACKET_TYPE));
        filter.push(SockFilter::new(JUMP_IF, 0, 1, OUTGOING));
        filter.push(SockFilter::new(RETURN, 0, 0, 0));
    }
    filter.push(SockFilter::new(RETURN, 0, 0, u32::MAX));
    filter
}

fn index_of(interface: &str) -> Result<u32> {
    let known = || -> String {
        let names = std::fs::read_dir("/sys/class/net").into_iter().flatten();
        let mut names: Vec<String> = names
            .flatten()
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names.join(", ")
    };
    let is_name = !interface.is_empty() && !interface.contains('/') && interface != "..";
    let text = is_name
        .then(|| std::fs::read_to_string(format!("/sys/class/net/{interface}/ifindex")).ok())
        .flatten();
    let Some(index) = text.and_then(|text| text.trim().parse().ok()) else {
        bail!(
            "there is no interface {interface}; there are {} and any",
            known()
        );
    };
    Ok(index)
}

/// Whether the kernel says so (`IFF_LOOPBACK` of `linux/if.h`). Of `any` nothing is left out: what comes twice
/// does no harm.
fn is_loopback(interface: &str) -> bool {
    let flags = std::fs::read_to_string(format!("/sys/class/net/{interface}/flags"));
    let flags = flags
        .ok()
        .and_then(|flags| u32::from_str_radix(flags.trim().trim_start_matches("0x"), 16).ok());
    flags.is_some_and(|flags| flags & 0x8 != 0)
}

/// Shows bodies that will not come again.
struct Passing<'s, 'a> {
    sink: &'s mut BodySink<'a>,
    failed: Option<anyhow::Error>,
}

impl Take for Passing<'_, '_> {
    fn body(&mut self, body: &Body<'_>) {
        if self.failed.is_none() {
            self.failed = self.sink.passing(body).err();
        }
    }

    fn look(&mut self) -> Result<()> {
        match self.failed.take() {
            Some(error) => Err(error),
            None => self.sink.flush(),
        }
    }

    fn end(&mut self, assembler: &Assembler, _: Option<&str>) {
        self.sink.count_capture(assembler.totals());
    }
}
