//! Content codings undone: gzip, deflate, br and zstd, stacked or not, with a cap on the result.

use std::io::Read;

use thiserror::Error;

use super::head::{Coding, Codings};

/// A body that could not be decompressed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CodingError {
    /// A coding we do not know.
    #[error("the body has a content-encoding other than gzip, deflate, br and zstd")]
    Unknown,
    /// The compressed data is broken.
    #[error("the {coding} body is broken after {after} decompressed bytes: {cause}")]
    Broken {
        /// Name of the coding.
        coding: &'static str,
        /// Bytes that could be read.
        after: usize,
        /// What the decompressor says.
        cause: String,
    },
    /// The decompressed body is larger than the limit.
    #[error("the decompressed body exceeds {0} bytes; raise --max-body to accept it")]
    TooLarge(u64),
}

/// Undo `codings` on `body`, leaving the result in `out` (cleared first).
///
/// # Errors
/// [`CodingError`]; memory never exceeds `limit` bytes for each layer by more than one read.
pub fn decode(
    codings: &Codings,
    body: &[u8],
    limit: u64,
    out: &mut Vec<u8>,
) -> Result<(), CodingError> {
    out.clear();
    let mut layers = codings.iter().rev();
    let Some(outermost) = layers.next() else {
        out.extend_from_slice(body);
        return Ok(());
    };
    undo(outermost, body, limit, out)?;
    for coding in layers {
        let input = std::mem::take(out);
        undo(coding, &input, limit, out)?;
    }
    Ok(())
}

fn undo(coding: Coding, body: &[u8], limit: u64, out: &mut Vec<u8>) -> Result<(), CodingError> {
    match coding {
        Coding::Gzip => pour(
            "gzip",
            flate2::bufread::MultiGzDecoder::new(body),
            limit,
            out,
        ),
        // Servers send both the zlib form of the specification and raw deflate: a zlib stream
        // says method 8 and a header that is a multiple of 31 (RFC 1950, section 2.2).
        Coding::Deflate => match body {
            [first, second, ..]
                if first & 0x0f == 8
                    && (u16::from(*first) * 256 + u16::from(*second)).is_multiple_of(31) =>
            {
                pour(
                    "deflate",
                    flate2::bufread::ZlibDecoder::new(body),
                    limit,
                    out,
                )
            }
            _ => pour(
                "deflate",
                flate2::bufread::DeflateDecoder::new(body),
                limit,
                out,
            ),
        },
        Coding::Brotli => pour(
            "br",
            brotli_decompressor::Decompressor::new(body, 4096),
            limit,
            out,
        ),
        Coding::Zstd => match zstd::stream::read::Decoder::with_buffer(body) {
            Ok(decoder) => pour("zstd", decoder, limit, out),
            Err(error) => Err(CodingError::Broken {
                coding: "zstd",
                after: 0,
                cause: error.to_string(),
            }),
        },
        Coding::Unknown => Err(CodingError::Unknown),
    }
}

fn pour(
    coding: &'static str,
    decoder: impl Read,
    limit: u64,
    out: &mut Vec<u8>,
) -> Result<(), CodingError> {
    match decoder.take(limit.saturating_add(1)).read_to_end(out) {
        Ok(_) if out.len() as u64 > limit => Err(CodingError::TooLarge(limit)),
        Ok(_) => Ok(()),
        Err(error) => Err(CodingError::Broken {
            coding,
            after: out.len(),
            cause: error.to_string(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::super::head::Head;
    use super::*;

    fn gzip(data: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(data).unwrap();
        encoder.finish().unwrap()
    }

    fn zlib(data: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(data).unwrap();
        encoder.finish().unwrap()
    }

    fn raw_deflate(data: &[u8]) -> Vec<u8> {
        let compression = flate2::Compression::fast();
        let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), compression);
        encoder.write_all(data).unwrap();
        encoder.finish().unwrap()
    }

    fn zstd(data: &[u8]) -> Vec<u8> {
        zstd::encode_all(data, 1).unwrap()
    }

    /// `hello hello hello` as a brotli stream (one uncompressed meta-block, RFC 7932).
    fn brotli() -> Vec<u8> {
        let text = b"hello hello hello";
        // WBITS 16; MLEN-1 of 16 in four nibbles, ISUNCOMPRESSED; the bytes; an empty last block.
        let header: u32 = ((text.len() as u32 - 1) << 4) | (1 << 20);
        let mut stream = header.to_le_bytes()[..3].to_vec();
        stream.extend_from_slice(text);
        stream.push(0x03);
        stream
    }

    fn codings(list: &str) -> Codings {
        let head = format!("HTTP/1.1 200 OK\r\nContent-Encoding: {list}\r\n\r\n");
        Head::parse(head.as_bytes()).unwrap().unwrap().codings
    }

    fn check(list: &str, body: &[u8], expected: Result<&[u8], &str>) {
        let mut out = b"old".to_vec();
        match (decode(&codings(list), body, 1_000, &mut out), expected) {
            (Ok(()), Ok(expected)) => assert_eq!(out, expected, "{list}"),
            (Err(error), Err(part)) => {
                assert!(error.to_string().contains(part), "{list}: {error}");
            }
            (result, _) => panic!("{list}: {result:?}"),
        }
    }

    #[test]
    fn every_coding_is_undone() {
        let text = b"hello hello hello";
        check("", text, Ok(text));
        check("gzip", &gzip(text), Ok(text));
        check(
            "gzip",
            &[gzip(b"hello "), gzip(b"hello hello")].concat(),
            Ok(text),
        );
        check("deflate", &zlib(text), Ok(text));
        check("deflate", &raw_deflate(text), Ok(text));
        check("br", &brotli(), Ok(text));
        check("zstd", &zstd(text), Ok(text));
        check("zstd, gzip", &gzip(&zstd(text)), Ok(text));
    }

    #[test]
    fn broken_and_cut_bodies_are_told() {
        let whole = gzip(b"hello hello hello");
        check(
            "gzip",
            &whole[..whole.len() - 9],
            Err("gzip body is broken"),
        );
        check(
            "gzip",
            b"not gzip at all",
            Err("gzip body is broken after 0"),
        );
        check("deflate", b"\xff\xff\xff", Err("deflate body is broken"));
        check("br", b"\xff\xff\xff\xff", Err("br body is broken"));
        check("zstd", b"nope, not zstd", Err("zstd body is broken"));
        check("compress", b"", Err("content-encoding other than"));
    }

    #[test]
    fn a_bomb_stops_at_the_limit() {
        check("gzip", &gzip(&[0; 1_000]), Ok(&[0; 1_000]));
        check("gzip", &gzip(&[0; 1_001]), Err("exceeds 1000 bytes"));
        check(
            "gzip, zstd",
            &zstd(&gzip(&vec![0; 10_000_000])),
            Err("exceeds 1000 bytes"),
        );
    }
}
