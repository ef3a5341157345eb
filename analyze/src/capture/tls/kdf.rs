//! How keys are made of secrets.

use ring::hkdf::{self, KeyType, Prk};
use ring::hmac;

use super::suite::Hash;

struct Length(usize);

impl KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

/// HKDF-Expand-Label with an empty context (RFC 8446, 7.1), as many bytes as `to` has.
///
/// None when the label or `to` are longer than the format can say; those in use are not.
pub(super) fn expand_label(hash: Hash, secret: &[u8], label: &str, to: &mut [u8]) -> Option<()> {
    let algorithm = match hash {
        Hash::Sha256 => hkdf::HKDF_SHA256,
        Hash::Sha384 => hkdf::HKDF_SHA384,
    };
    const PREFIX: &[u8] = b"tls13 ";
    let length = u16::try_from(to.len()).ok()?.to_be_bytes();
    let label_length = [u8::try_from(PREFIX.len() + label.len()).ok()?];
    let info: [&[u8]; 5] = [&length, &label_length, PREFIX, label.as_bytes(), &[0]];
    Prk::new_less_safe(algorithm, secret)
        .expand(&info, Length(to.len()))
        .and_then(|okm| okm.fill(to))
        .ok()
}

/// The pseudorandom function of TLS 1.2 (RFC 5246, 5); the seed is given in parts.
pub(super) fn prf(hash: Hash, secret: &[u8], seed: &[&[u8]], to: &mut [u8]) {
    let algorithm = match hash {
        Hash::Sha256 => hmac::HMAC_SHA256,
        Hash::Sha384 => hmac::HMAC_SHA384,
    };
    let key = hmac::Key::new(algorithm, secret);
    let sign = |before: Option<&hmac::Tag>, seed: &[&[u8]]| {
        let mut context = hmac::Context::with_key(&key);
        if let Some(before) = before {
            context.update(before.as_ref());
        }
        for part in seed {
            context.update(part);
        }
        context.sign()
    };
    let mut round = sign(None, seed);
    let bytes = algorithm.digest_algorithm().output_len();
    for piece in to.chunks_mut(bytes) {
        piece.copy_from_slice(&sign(Some(&round), seed).as_ref()[..piece.len()]);
        round = sign(Some(&round), &[]);
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::hex;
    use super::*;

    #[test]
    fn labels_expand_as_in_rfc_8448() {
        let check = |secret: &str, label: &str, expected: &str| {
            let expected = hex(expected);
            let mut found = vec![0; expected.len()];
            expand_label(Hash::Sha256, &hex(secret), label, &mut found).unwrap();
            assert_eq!(found, expected, "{label} of {secret}");
        };
        // Section 3, "Simple 1-RTT Handshake".
        let handshake = "b67b7d690cc16c4e75e54213cb2d37b4e9c912bcded9105d42befd59d391ad38";
        check(handshake, "key", "3fce516009c21727d0f2e4e86ee403bc");
        check(handshake, "iv", "5d313eb2671276ee13000b30");
        let client = "9e40646ce79a7f9dc05af8889bce6552875afa0b06df0087f792ebb7c17504a5";
        check(client, "key", "17422dda596ed5d9acd890e3c63f5051");
        check(client, "iv", "5b78923dee08579033e523d9");
        let server = "a11af9f05531f856ad47116b45a950328204b4f44bfb6b3a4b4f1f3fcb631643";
        check(server, "key", "9f02283b6c9c07efc26bb9f2ac92e356");
        check(server, "iv", "cf782b88dd83549aadf1e984");
        assert_eq!(
            expand_label(Hash::Sha256, b"s", &"l".repeat(256), &mut [0]),
            None
        );
    }

    #[test]
    fn the_function_of_tls_1_2_is_that_of_its_test_vectors() {
        let check = |hash, secret: &str, seed: &str, expected: &str| {
            let expected = hex(expected);
            let mut found = vec![0; expected.len()];
            let seed = hex(seed);
            prf(hash, &hex(secret), &[b"test label", &seed], &mut found);
            assert_eq!(found, expected);
        };
        // From "Test vectors for TLS 1.2 PRF", a message to the TLS working group.
        check(
            Hash::Sha256,
            "9bbe436ba940f017b17652849a71db35",
            "a0ba9f936cda311827a6f796ffd5198c",
            "e3f229ba727be17b8d122620557cd453c2aab21d07c3d495329b52d4e61edb5a6b301791e90d35c9c9a46b4e\
             14baf9af0fa022f7077def17abfd3797c0564bab4fbc91666e9def9b97fce34f796789baa48082d122ee42c5\
             a72e5a5110fff70187347b66",
        );
    }
}
