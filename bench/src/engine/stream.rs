//! The byte streams under a connection: TCP and unix sockets, with TLS on top or without.

use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::sync::Arc;

use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

/// How to speak TLS to the target.
#[derive(Debug, Clone)]
pub struct TlsSettings {
    /// Trust, versions and protocols.
    pub config: Arc<ClientConfig>,
    /// Whose certificate is expected.
    pub server_name: ServerName<'static>,
}

/// What a read led to.
#[derive(Debug)]
pub(super) enum ReadOutcome {
    /// So many bytes.
    Bytes(usize),
    /// Nothing now.
    Blocked,
    /// The target closed. `clean` is false when TLS was cut without its closing alert.
    Closed { clean: bool },
    /// The stream is broken.
    Failed(io::Error),
}

/// A non-blocking stream.
#[derive(Debug)]
pub(super) enum Stream {
    Plain(Socket),
    Tls(Box<TlsStream>),
}

#[derive(Debug)]
pub(super) struct TlsStream {
    socket: Socket,
    session: ClientConnection,
}

/// Start a TCP connection; it is made when the socket becomes writable.
pub(super) fn connect_tcp(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    socket.set_nonblocking(true)?;
    socket.set_tcp_nodelay(true)?;
    finish_connect(socket.connect(&SockAddr::from(address)))?;
    Ok(socket)
}

/// Connect to a unix socket.
pub(super) fn connect_unix(path: &Path) -> io::Result<Socket> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    finish_connect(socket.connect(&SockAddr::unix(path)?))?;
    Ok(socket)
}

fn finish_connect(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if is_in_progress(&error) => Ok(()),
        other => other,
    }
}

fn is_in_progress(error: &io::Error) -> bool {
    // EINPROGRESS has no portable kind yet.
    const EINPROGRESS: i32 = 115;
    error.raw_os_error() == Some(EINPROGRESS)
}

impl Stream {
    /// A stream over a socket, with TLS when there are settings for it.
    pub(super) fn new(socket: Socket, tls: Option<&TlsSettings>) -> io::Result<Self> {
        let Some(tls) = tls else {
            return Ok(Self::Plain(socket));
        };
        let session = ClientConnection::new(Arc::clone(&tls.config), tls.server_name.clone())
            .map_err(io::Error::other)?;
        Ok(Self::Tls(Box::new(TlsStream { socket, session })))
    }

    fn socket(&self) -> &Socket {
        match self {
            Self::Plain(socket) => socket,
            Self::Tls(tls) => &tls.socket,
        }
    }

    /// What became of the connection attempt.
    pub(super) fn connect_result(&self) -> io::Result<()> {
        match self.socket().take_error()? {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    /// Whether a short read says that nothing more is buffered.
    pub(super) fn short_read_is_last(&self) -> bool {
        matches!(self, Self::Plain(_))
    }

    /// Read what is there.
    #[inline]
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> ReadOutcome {
        match self {
            // The system call itself: libc's wrapper is a cancellation point, which costs.
            Self::Plain(socket) => loop {
                return match recv(&*socket, &mut *buffer, RecvFlags::empty()) {
                    Ok((0, _)) => ReadOutcome::Closed { clean: true },
                    Ok((n, _)) => ReadOutcome::Bytes(n),
                    Err(Errno::WOULDBLOCK) => ReadOutcome::Blocked,
                    Err(Errno::INTR) => continue,
                    Err(error) => ReadOutcome::Failed(error.into()),
                };
            },
            Self::Tls(tls) => tls.read(buffer),
        }
    }

    /// Write what can be written; bytes taken. For TLS all of them are taken, and
    /// [`Self::flush`] sends what the socket would not take yet.
    #[inline]
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => loop {
                return match send(&*socket, bytes, SendFlags::NOSIGNAL) {
                    Ok(n) => Ok(n),
                    Err(Errno::WOULDBLOCK) => Ok(0),
                    Err(Errno::INTR) => continue,
                    Err(error) => Err(error.into()),
                };
            },
            Self::Tls(tls) => {
                let taken = tls.session.writer().write(bytes)?;
                tls.flush()?;
                Ok(taken)
            }
        }
    }

    /// Whether TLS has taken bytes that the socket has not.
    #[inline]
    pub(super) fn holds_bytes(&self) -> bool {
        match self {
            Self::Plain(_) => false,
            Self::Tls(tls) => tls.session.wants_write(),
        }
    }

    /// Send what TLS still holds; whether all of it is gone.
    pub(super) fn flush(&mut self) -> io::Result<bool> {
        match self {
            Self::Plain(_) => Ok(true),
            Self::Tls(tls) => tls.flush(),
        }
    }

    /// Whether the stream can carry requests now.
    pub(super) fn is_handshaking(&self) -> bool {
        match self {
            Self::Plain(_) => false,
            Self::Tls(tls) => tls.session.is_handshaking(),
        }
    }

    /// Go on with the handshake as far as the socket allows.
    pub(super) fn handshake(&mut self) -> io::Result<()> {
        let Self::Tls(tls) = self else { return Ok(()) };
        while tls.session.is_handshaking() {
            if !tls.flush()? {
                return Ok(());
            }
            if !tls.session.is_handshaking() {
                break;
            }
            if !tls.pull()? {
                return Ok(());
            }
        }
        tls.flush().map(|_| ())
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket().as_fd()
    }
}

impl TlsStream {
    /// Write records to the socket; whether all are gone.
    fn flush(&mut self) -> io::Result<bool> {
        while self.session.wants_write() {
            match self.session.write_tls(&mut &self.socket) {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    /// Read records from the socket; whether there were any.
    fn pull(&mut self) -> io::Result<bool> {
        loop {
            match self.session.read_tls(&mut &self.socket) {
                Ok(0) => {
                    return Err(io::Error::new(
                        io::ErrorKind::UnexpectedEof,
                        "the target closed the connection during the TLS handshake",
                    ));
                }
                Ok(_) => {
                    self.session.process_new_packets().map_err(|error| {
                        // Say our alert to the target if it can still be said.
                        let _ = self.session.write_tls(&mut &self.socket);
                        io::Error::new(io::ErrorKind::InvalidData, error)
                    })?;
                    return Ok(true);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn read(&mut self, buffer: &mut [u8]) -> ReadOutcome {
        loop {
            match self.session.reader().read(buffer) {
                Ok(0) => return ReadOutcome::Closed { clean: true },
                Ok(n) => return ReadOutcome::Bytes(n),
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    return ReadOutcome::Closed { clean: false };
                }
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => {
                    return ReadOutcome::Failed(error);
                }
                Err(_) => {}
            }
            match self.session.read_tls(&mut &self.socket) {
                Ok(_) => {
                    let processed = self.session.process_new_packets();
                    // TLS may have an answer of its own: a new key, or an alert. If it cannot be
                    // given, reading on tells why.
                    let _ = self.flush();
                    if let Err(error) = processed {
                        return ReadOutcome::Failed(io::Error::new(
                            io::ErrorKind::InvalidData,
                            error,
                        ));
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return ReadOutcome::Blocked;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return ReadOutcome::Failed(error),
            }
        }
    }
}
