//! TLS settings: whom to trust, what name to expect.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use thiserror::Error;

use crate::engine::TlsSettings;

/// TLS settings that cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A CA file without a certificate.
    #[error("cannot read certificates from {path}: {cause}; give a PEM file with --cacert")]
    CaFile {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        cause: String,
    },
    /// The machine trusts nobody.
    #[error("this machine has no CA certificates; install ca-certificates, or use --cacert")]
    NoRoots,
    /// The name cannot be in a certificate.
    #[error("`{0}` is not a server name; give one with --server-name")]
    ServerName(String),
    /// The library refuses.
    #[error("cannot set up TLS: {0}")]
    Setup(#[from] rustls::Error),
}

/// How the user wants TLS to be spoken.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TlsOptions {
    /// Certificates to trust instead of the machine's.
    pub ca_file: Option<PathBuf>,
    /// Trust anybody.
    pub insecure: bool,
    /// The name to ask for and to expect instead of the URL's host.
    pub server_name: Option<String>,
}

/// Make the settings for a target called `host`.
///
/// # Errors
/// [`TlsError`].
pub fn settings(options: &TlsOptions, host: &str) -> Result<TlsSettings, TlsError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()?;
    let mut config = if options.insecure {
        builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(TrustAnybody { provider }))
            .with_no_client_auth()
    } else if let Some(path) = &options.ca_file {
        let trusted = certificates_from(path)?;
        builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(TrustFile::new(path, trusted, provider)?))
            .with_no_client_auth()
    } else {
        builder
            .with_root_certificates(machine_roots()?)
            .with_no_client_auth()
    };
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let name = options.server_name.as_deref().unwrap_or(host);
    let server_name =
        ServerName::try_from(name.to_owned()).map_err(|_| TlsError::ServerName(name.to_owned()))?;
    Ok(TlsSettings {
        config: Arc::new(config),
        server_name,
    })
}

fn bad_file(path: &Path, cause: impl ToString) -> TlsError {
    TlsError::CaFile {
        path: path.to_owned(),
        cause: cause.to_string(),
    }
}

fn certificates_from(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let certificates = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| bad_file(path, error))?;
    if certificates.is_empty() {
        return Err(bad_file(path, "it holds no certificate"));
    }
    Ok(certificates)
}

fn machine_roots() -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    // Machines carry certificates that no library can parse; those that can be are enough.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        Err(TlsError::NoRoots)
    } else {
        Ok(roots)
    }
}

/// For `--cacert`: chains that end in one of the file's certificates, and the file's certificates
/// themselves. `openssl req -x509` makes a certificate that signs itself and calls itself a CA, and
/// a chain may not end in such a one; whoever names it means to trust it all the same.
#[derive(Debug)]
struct TrustFile {
    trusted: Vec<CertificateDer<'static>>,
    chains: Arc<WebPkiServerVerifier>,
}

impl TrustFile {
    fn new(
        path: &Path,
        trusted: Vec<CertificateDer<'static>>,
        provider: Arc<CryptoProvider>,
    ) -> Result<Self, TlsError> {
        let mut roots = RootCertStore::empty();
        for certificate in &trusted {
            roots
                .add(certificate.clone())
                .map_err(|error| bad_file(path, error))?;
        }
        let chains = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
            .build()
            .map_err(|error| bad_file(path, error))?;
        Ok(Self { trusted, chains })
    }
}

impl ServerCertVerifier for TrustFile {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if self.trusted.iter().any(|trusted| trusted == end_entity) {
            verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
            return Ok(ServerCertVerified::assertion());
        }
        self.chains
            .verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.chains
            .verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.chains
            .verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chains.supported_verify_schemes()
    }
}

/// For `--insecure`: any certificate will do, but the handshake is still checked.
#[derive(Debug)]
struct TrustAnybody {
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for TrustAnybody {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_cannot_work_are_refused() {
        let with = |ca: &str, name: &str| {
            let options = TlsOptions {
                ca_file: Some(ca.into()),
                insecure: false,
                server_name: Some(name.to_owned()),
            };
            settings(&options, "host").unwrap_err().to_string()
        };
        assert!(with("/nonexistent.pem", "x").contains("/nonexistent.pem"));
        assert!(with("/proc/self/status", "x").contains("no certificate"));
        let options = TlsOptions {
            insecure: true,
            ..TlsOptions::default()
        };
        assert!(settings(&options, "bad name").is_err());
        assert!(settings(&options, "127.0.0.1").is_ok());
    }
}
