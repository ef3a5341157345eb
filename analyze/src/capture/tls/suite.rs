//! Cipher suites: which are decrypted, and the names of others that are still met.

use std::borrow::Cow;

use ring::aead;

/// The hash of a suite's key derivation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hash {
    Sha256,
    Sha384,
}

impl Hash {
    /// Of its output, and of the secrets of TLS 1.3.
    pub(super) fn bytes(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha384 => 48,
        }
    }
}

/// How records are sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cipher {
    Aes128Gcm,
    Aes256Gcm,
    ChaCha20Poly1305,
}

impl Cipher {
    pub(super) fn algorithm(self) -> &'static aead::Algorithm {
        match self {
            Self::Aes128Gcm => &aead::AES_128_GCM,
            Self::Aes256Gcm => &aead::AES_256_GCM,
            Self::ChaCha20Poly1305 => &aead::CHACHA20_POLY1305,
        }
    }
}

/// A cipher suite that is decrypted.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Suite {
    pub(super) id: u16,
    pub(super) name: &'static str,
    pub(super) cipher: Cipher,
    pub(super) hash: Hash,
}

impl Suite {
    /// The suites of TLS 1.3 are for it alone.
    pub(super) fn is_tls13(&self) -> bool {
        self.id >> 8 == 0x13
    }
}

macro_rules! suites {
    ($($id:literal $name:ident $cipher:ident $hash:ident;)*) => {
        &[$(Suite { id: $id, name: stringify!($name), cipher: Cipher::$cipher, hash: Hash::$hash }),*]
    };
}

/// By id. Who the peers are (the key exchange) does not matter: the key log has the secret.
/// RFC 8446 B.4; RFC 5288; RFC 5289; RFC 5487; RFC 8442; RFC 7905.
const SUITES: &[Suite] = suites! {
    0x009c TLS_RSA_WITH_AES_128_GCM_SHA256 Aes128Gcm Sha256;
    0x009d TLS_RSA_WITH_AES_256_GCM_SHA384 Aes256Gcm Sha384;
    0x009e TLS_DHE_RSA_WITH_AES_128_GCM_SHA256 Aes128Gcm Sha256;
    0x009f TLS_DHE_RSA_WITH_AES_256_GCM_SHA384 Aes256Gcm Sha384;
    0x00a0 TLS_DH_RSA_WITH_AES_128_GCM_SHA256 Aes128Gcm Sha256;
    0x00a1 TLS_DH_RSA_WITH_AES_256_GCM_SHA384 Aes256Gcm Sha384;
    0x00a2 TLS_DHE_DSS_WITH_AES_128_GCM_SHA256 Aes128Gcm Sha256;
    0x00a3 TLS_DHE_DSS_WITH_AES_256_GCM_SHA384 Aes256Gcm Sha384;
    0x00a4 TLS_DH_DSS_WITH_AES_128_GCM_SHA256 Aes128Gcm Sha256;
    0x00a5 TLS_DH_DSS_WITH_AES_256_GCM_SHA384 Aes256Gcm Sha384;
    0x00a6 TLS_DH_anon_WITH_AES_128_GCM_SHA256 Aes128Gcm Sha256;
    0x00a7 TLS_DH_anon_WITH_AES_256_GCM_SHA384 Aes256Gcm Sha384;
    0x00a8 TLS_PSK_WITH_AES_128_GCM_SHA256 Aes128Gcm Sha256;
    0x00a9 TLS_PSK_WITH_AES_256_GCM_SHA384 Aes256Gcm Sha384;
    0x00aa TLS_DHE_PSK_WITH_AES_128_GCM_SHA256 Aes128Gcm Sha256;
    0x00ab TLS_DHE_PSK_WITH_AES_256_GCM_SHA384 Aes256Gcm Sha384;
    0x00ac TLS_RSA_PSK_WITH_AES_128_GCM_SHA256 Aes128Gcm Sha256;
    0x00ad TLS_RSA_PSK_WITH_AES_256_GCM_SHA384 Aes256Gcm Sha384;
    0x1301 TLS_AES_128_GCM_SHA256 Aes128Gcm Sha256;
    0x1302 TLS_AES_256_GCM_SHA384 Aes256Gcm Sha384;
    0x1303 TLS_CHACHA20_POLY1305_SHA256 ChaCha20Poly1305 Sha256;
    0xc02b TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256 Aes128Gcm Sha256;
    0xc02c TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384 Aes256Gcm Sha384;
    0xc02d TLS_ECDH_ECDSA_WITH_AES_128_GCM_SHA256 Aes128Gcm Sha256;
    0xc02e TLS_ECDH_ECDSA_WITH_AES_256_GCM_SHA384 Aes256Gcm Sha384;
    0xc02f TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 Aes128Gcm Sha256;
    0xc030 TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384 Aes256Gcm Sha384;
    0xc031 TLS_ECDH_RSA_WITH_AES_128_GCM_SHA256 Aes128Gcm Sha256;
    0xc032 TLS_ECDH_RSA_WITH_AES_256_GCM_SHA384 Aes256Gcm Sha384;
    0xcca8 TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256 ChaCha20Poly1305 Sha256;
    0xcca9 TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256 ChaCha20Poly1305 Sha256;
    0xccaa TLS_DHE_RSA_WITH_CHACHA20_POLY1305_SHA256 ChaCha20Poly1305 Sha256;
    0xccab TLS_PSK_WITH_CHACHA20_POLY1305_SHA256 ChaCha20Poly1305 Sha256;
    0xccac TLS_ECDHE_PSK_WITH_CHACHA20_POLY1305_SHA256 ChaCha20Poly1305 Sha256;
    0xccad TLS_DHE_PSK_WITH_CHACHA20_POLY1305_SHA256 ChaCha20Poly1305 Sha256;
    0xccae TLS_RSA_PSK_WITH_CHACHA20_POLY1305_SHA256 ChaCha20Poly1305 Sha256;
    0xd001 TLS_ECDHE_PSK_WITH_AES_128_GCM_SHA256 Aes128Gcm Sha256;
    0xd002 TLS_ECDHE_PSK_WITH_AES_256_GCM_SHA384 Aes256Gcm Sha384;
};

/// Suites that servers still choose and that are not decrypted.
const OTHERS: &[(u16, &str)] = &[
    (0x0004, "TLS_RSA_WITH_RC4_128_MD5"),
    (0x0005, "TLS_RSA_WITH_RC4_128_SHA"),
    (0x000a, "TLS_RSA_WITH_3DES_EDE_CBC_SHA"),
    (0x002f, "TLS_RSA_WITH_AES_128_CBC_SHA"),
    (0x0033, "TLS_DHE_RSA_WITH_AES_128_CBC_SHA"),
    (0x0035, "TLS_RSA_WITH_AES_256_CBC_SHA"),
    (0x0039, "TLS_DHE_RSA_WITH_AES_256_CBC_SHA"),
    (0x003c, "TLS_RSA_WITH_AES_128_CBC_SHA256"),
    (0x003d, "TLS_RSA_WITH_AES_256_CBC_SHA256"),
    (0x0067, "TLS_DHE_RSA_WITH_AES_128_CBC_SHA256"),
    (0x006b, "TLS_DHE_RSA_WITH_AES_256_CBC_SHA256"),
    (0x1304, "TLS_AES_128_CCM_SHA256"),
    (0x1305, "TLS_AES_128_CCM_8_SHA256"),
    (0xc009, "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA"),
    (0xc00a, "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA"),
    (0xc011, "TLS_ECDHE_RSA_WITH_RC4_128_SHA"),
    (0xc012, "TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA"),
    (0xc013, "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA"),
    (0xc014, "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA"),
    (0xc023, "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256"),
    (0xc024, "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA384"),
    (0xc027, "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256"),
    (0xc028, "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA384"),
    (0xc09c, "TLS_RSA_WITH_AES_128_CCM"),
    (0xc09d, "TLS_RSA_WITH_AES_256_CCM"),
    (0xc09e, "TLS_DHE_RSA_WITH_AES_128_CCM"),
    (0xc09f, "TLS_DHE_RSA_WITH_AES_256_CCM"),
    (0xc0ac, "TLS_ECDHE_ECDSA_WITH_AES_128_CCM"),
    (0xc0ad, "TLS_ECDHE_ECDSA_WITH_AES_256_CCM"),
];

/// The suite with this id, when it is decrypted.
pub(super) fn find(id: u16) -> Option<&'static Suite> {
    let index = SUITES.binary_search_by_key(&id, |suite| suite.id).ok()?;
    SUITES.get(index)
}

/// What to call a suite that is not decrypted.
pub(super) fn other_name(id: u16) -> Cow<'static, str> {
    match OTHERS.binary_search_by_key(&id, |other| other.0) {
        Ok(index) => Cow::Borrowed(OTHERS[index].1),
        Err(_) => Cow::Owned(format!("0x{id:04x}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_are_in_order_and_agree_with_their_names() {
        assert!(SUITES.windows(2).all(|two| two[0].id < two[1].id));
        assert!(OTHERS.windows(2).all(|two| two[0].0 < two[1].0));
        for suite in SUITES {
            assert_eq!(find(suite.id), Some(suite));
            assert_eq!(
                suite.name.ends_with("SHA384"),
                suite.hash == Hash::Sha384,
                "{}",
                suite.name
            );
            let cipher = match suite.cipher {
                Cipher::Aes128Gcm => "AES_128_GCM",
                Cipher::Aes256Gcm => "AES_256_GCM",
                Cipher::ChaCha20Poly1305 => "CHACHA20_POLY1305",
            };
            assert!(suite.name.contains(cipher), "{}", suite.name);
            assert_eq!(suite.is_tls13(), !suite.name.contains("_WITH_"));
        }
        assert_eq!(find(0xc013), None);
        assert_eq!(other_name(0xc013), "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA");
        assert_eq!(other_name(0x4a4a), "0x4a4a");
    }
}
