//! A client and a server of rustls, connected by memory.

use std::io::{Read as _, Write as _};
use std::sync::{Arc, Mutex};

use rcgen::{CertificateParams, KeyPair};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::ring::default_provider;
use rustls::crypto::{CryptoProvider, SupportedKxGroup};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, DistinguishedName, Error, ServerConfig,
    ServerConnection, SignatureScheme, SupportedCipherSuite,
};

use isukit_analyze::capture::tls::Side;

use crate::Trace;

/// Keeps what is logged, as `SSLKEYLOGFILE` would.
#[derive(Debug, Default)]
pub(crate) struct Log(Mutex<String>);

impl rustls::KeyLog for Log {
    fn log(&self, label: &str, client_random: &[u8], secret: &[u8]) {
        let hex = |bytes: &[u8]| -> String { bytes.iter().map(|b| format!("{b:02x}")).collect() };
        let line = format!("{label} {} {}\n", hex(client_random), hex(secret));
        *self.0.lock().unwrap() += &line;
    }
}

/// Trusts everybody: what is tested is who listens.
#[derive(Debug)]
struct Anybody(CryptoProvider);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

impl ClientCertVerifier for Anybody {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// How both peers are set up.
pub(crate) struct Setup {
    pub(crate) suites: Vec<SupportedCipherSuite>,
    pub(crate) server_groups: Vec<&'static dyn SupportedKxGroup>,
    pub(crate) is_rsa: bool,
    /// Names in the server's certificate.
    pub(crate) names: usize,
    pub(crate) has_client_certificate: bool,
    pub(crate) has_tickets: bool,
    pub(crate) early_bytes: u32,
    pub(crate) fragment: Option<usize>,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            suites: default_provider().cipher_suites,
            server_groups: default_provider().kx_groups,
            is_rsa: false,
            names: 1,
            has_client_certificate: false,
            has_tickets: false,
            early_bytes: 0,
            fragment: None,
        }
    }
}

/// Two configurations, and the log of what they agree on.
pub(crate) struct Peers {
    pub(crate) client: ClientConfig,
    pub(crate) server: ServerConfig,
}

fn identity(is_rsa: bool, names: usize) -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
    let names = (0..names).map(|number| format!("host-{number}.bench.example"));
    let params = CertificateParams::new(names.collect::<Vec<_>>()).unwrap();
    let key = if is_rsa {
        let der = include_bytes!("../data/tls/rsa.pkcs8");
        let der = PrivatePkcs8KeyDer::from(&der[..]);
        KeyPair::from_pkcs8_der_and_sign_algo(&der, &rcgen::PKCS_RSA_SHA256).unwrap()
    } else {
        KeyPair::generate().unwrap()
    };
    let certificate = params.self_signed(&key).unwrap();
    let key = PrivatePkcs8KeyDer::from(key.serialize_der());
    (certificate.der().clone(), key.into())
}

impl Setup {
    pub(crate) fn peers(&self) -> Peers {
        let provider = CryptoProvider {
            cipher_suites: self.suites.clone(),
            ..default_provider()
        };
        let server_provider = CryptoProvider {
            kx_groups: self.server_groups.clone(),
            ..provider.clone()
        };
        let builder = ClientConfig::builder_with_provider(Arc::new(provider.clone()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Anybody(provider.clone())));
        let mut client = if self.has_client_certificate {
            let (certificate, key) = identity(false, 1);
            builder
                .with_client_auth_cert(vec![certificate], key)
                .unwrap()
        } else {
            builder.with_no_client_auth()
        };
        let builder = ServerConfig::builder_with_provider(Arc::new(server_provider))
            .with_safe_default_protocol_versions()
            .unwrap();
        let builder = if self.has_client_certificate {
            builder.with_client_cert_verifier(Arc::new(Anybody(provider)))
        } else {
            builder.with_no_client_auth()
        };
        let (certificate, key) = identity(self.is_rsa, self.names);
        let mut server = builder.with_single_cert(vec![certificate], key).unwrap();
        client.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        server.alpn_protocols = vec![b"http/1.1".to_vec()];
        client.enable_early_data = self.early_bytes > 0;
        server.max_early_data_size = self.early_bytes;
        client.max_fragment_size = self.fragment;
        server.max_fragment_size = self.fragment;
        if self.has_tickets {
            server.ticketer = rustls::crypto::ring::Ticketer::new().unwrap();
        }
        Peers { client, server }
    }
}

/// A connection between the two.
pub(crate) struct Talk {
    pub(crate) client: ClientConnection,
    pub(crate) server: ServerConnection,
    log: Arc<Log>,
    trace: Trace,
    received: [Vec<u8>; 2],
    /// Early data that were sent and not taken are not among what is sent.
    pub(crate) refused: Vec<u8>,
}

impl Peers {
    pub(crate) fn connect(&self) -> Talk {
        let log = Arc::new(Log::default());
        let mut client = self.client.clone();
        let mut server = self.server.clone();
        // One of them is enough; with both, everything is there twice.
        client.key_log = log.clone();
        server.key_log = log.clone();
        let name = ServerName::try_from("host-0.bench.example").unwrap();
        Talk {
            client: ClientConnection::new(Arc::new(client), name).unwrap(),
            server: ServerConnection::new(Arc::new(server)).unwrap(),
            log,
            trace: Trace::default(),
            received: [Vec::new(), Vec::new()],
            refused: Vec::new(),
        }
    }
}

impl Talk {
    /// Exchange bytes until nobody has any.
    pub(crate) fn settle(&mut self) {
        loop {
            let mut bytes = Vec::new();
            while self.client.wants_write() {
                self.client.write_tls(&mut bytes).unwrap();
            }
            let is_quiet = bytes.is_empty();
            if !bytes.is_empty() {
                self.trace.pieces.push((Side::Client, bytes.clone()));
            }
            let mut rest = &bytes[..];
            while !rest.is_empty() {
                self.server.read_tls(&mut rest).unwrap();
                self.server.process_new_packets().unwrap();
                if let Some(mut early) = self.server.early_data() {
                    early.read_to_end(&mut self.received[0]).unwrap();
                }
                let _ = self.server.reader().read_to_end(&mut self.received[0]);
            }
            let mut bytes = Vec::new();
            while self.server.wants_write() {
                self.server.write_tls(&mut bytes).unwrap();
            }
            if is_quiet && bytes.is_empty() {
                return;
            }
            if !bytes.is_empty() {
                self.trace.pieces.push((Side::Server, bytes.clone()));
            }
            let mut rest = &bytes[..];
            while !rest.is_empty() {
                self.client.read_tls(&mut rest).unwrap();
                self.client.process_new_packets().unwrap();
                let _ = self.client.reader().read_to_end(&mut self.received[1]);
            }
        }
    }

    pub(crate) fn say(&mut self, side: Side, bytes: &[u8]) {
        match side {
            Side::Client => self.client.writer().write_all(bytes).unwrap(),
            Side::Server => self.server.writer().write_all(bytes).unwrap(),
        }
        self.trace.sent[side as usize].extend_from_slice(bytes);
        self.settle();
    }

    /// Send 0-RTT data, before anything else.
    pub(crate) fn say_early(&mut self, bytes: &[u8], is_taken: bool) {
        self.client
            .early_data()
            .expect("a resumed session that allows early data")
            .write_all(bytes)
            .unwrap();
        if is_taken {
            self.trace.sent[0].extend_from_slice(bytes);
        } else {
            self.refused.extend_from_slice(bytes);
        }
        self.settle();
        assert_eq!(self.client.is_early_data_accepted(), is_taken);
    }

    /// Requests and replies of many sizes.
    pub(crate) fn chat(&mut self) {
        for (number, bytes) in [1, 300, 5_000, 16_384, 40_000].into_iter().enumerate() {
            let fill = u8::try_from(number).unwrap();
            self.say(Side::Client, &vec![b'a' + fill; bytes / 2 + 1]);
            self.say(Side::Server, &vec![b'A' + fill; bytes]);
        }
    }

    /// Close both sides and say what was sent.
    pub(crate) fn end(mut self) -> Trace {
        self.client.send_close_notify();
        self.settle();
        self.server.send_close_notify();
        self.settle();
        assert_eq!(self.received, self.trace.sent, "the peers disagree");
        self.trace.log = self.log.0.lock().unwrap().clone();
        self.trace
    }
}
