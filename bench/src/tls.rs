//! TLS settings: whom to trust, what name to expect.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
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
    } else {
        let roots = match &options.ca_file {
            Some(path) => roots_from(path)?,
            None => machine_roots()?,
        };
        builder.with_root_certificates(roots).with_no_client_auth()
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

fn roots_from(path: &Path) -> Result<RootCertStore, TlsError> {
    let bad = |cause: String| TlsError::CaFile {
        path: path.to_owned(),
        cause,
    };
    let mut roots = RootCertStore::empty();
    let certificates =
        CertificateDer::pem_file_iter(path).map_err(|error| bad(error.to_string()))?;
    for certificate in certificates {
        let certificate = certificate.map_err(|error| bad(error.to_string()))?;
        roots
            .add(certificate)
            .map_err(|error| bad(error.to_string()))?;
    }
    if roots.is_empty() {
        return Err(bad("it holds no certificate".to_owned()));
    }
    Ok(roots)
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
