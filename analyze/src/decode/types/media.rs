//! What a Content-Type says about a body.

/// What somebody says a body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Media<'a> {
    /// Protocol Buffers; the message's name where a parameter tells it.
    Protobuf {
        /// `proto=`, `messageType=`.
        message: Option<&'a str>,
        /// Whether each message has its length before it (`delimited=true`, `type=delimited`).
        is_delimited: bool,
    },
    /// gRPC or gRPC-Web: messages in frames of a flag and four bytes of length.
    Grpc,
    /// JSON.
    Json,
    /// HTML, plain text, scripts, XML, forms.
    Text,
    /// Pictures, fonts and the like.
    Other,
    /// No Content-Type, or one that says nothing (`application/octet-stream`).
    Unsaid,
}

impl<'a> Media<'a> {
    /// Read a Content-Type (RFC 9110, section 8.3.1).
    pub fn parse(content_type: &'a str) -> Self {
        let (essence, parameters) = content_type.split_once(';').unwrap_or((content_type, ""));
        let essence = essence.trim();
        let is = |name: &str| essence.eq_ignore_ascii_case(name);
        let ends = |end: &str| {
            essence.len() >= end.len()
                && essence.as_bytes()[essence.len() - end.len()..]
                    .eq_ignore_ascii_case(end.as_bytes())
        };
        let starts = |start: &str| {
            essence.len() >= start.len()
                && essence.as_bytes()[..start.len()].eq_ignore_ascii_case(start.as_bytes())
        };
        if essence.is_empty() || is("application/octet-stream") || is("binary/octet-stream") {
            return Self::Unsaid;
        }
        if starts("application/grpc") || starts("application/connect+proto") {
            return Self::Grpc;
        }
        const PROTOBUF: [&str; 8] = [
            "application/protobuf",
            "application/x-protobuf",
            "application/vnd.google.protobuf",
            "application/x-google-protobuf",
            "application/proto",
            "application/x-protobuffer",
            "application/x-protocolbuffers",
            "application/vnd.google.octet-stream-compressible",
        ];
        if PROTOBUF.iter().any(|known| is(known)) || ends("+proto") || ends("+protobuf") {
            return protobuf(parameters);
        }
        if is("application/json") || is("text/json") || ends("+json") {
            return Self::Json;
        }
        let is_text = starts("text/")
            || ends("+xml")
            || is("application/xml")
            || is("application/javascript")
            || is("application/x-www-form-urlencoded")
            || is("application/x-ndjson")
            || is("image/svg+xml");
        if is_text { Self::Text } else { Self::Other }
    }
}

fn protobuf(parameters: &str) -> Media<'_> {
    let mut message = None;
    let mut is_delimited = false;
    for parameter in parameters.split(';') {
        let Some((name, value)) = parameter.split_once('=') else {
            continue;
        };
        let value = value.trim().trim_matches('"');
        match name.trim() {
            name if name.eq_ignore_ascii_case("proto")
                || name.eq_ignore_ascii_case("messageType")
                || name.eq_ignore_ascii_case("message") =>
            {
                // As in the URL of an Any.
                let name = value.rsplit('/').next().unwrap_or(value);
                message = (!name.is_empty()).then_some(name);
            }
            name if name.eq_ignore_ascii_case("delimited") => {
                is_delimited |= value.eq_ignore_ascii_case("true");
            }
            name if name.eq_ignore_ascii_case("type") || name.eq_ignore_ascii_case("encoding") => {
                is_delimited |= value.eq_ignore_ascii_case("delimited");
            }
            _ => {}
        }
    }
    Media::Protobuf {
        message,
        is_delimited,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_types() {
        let proto = |message| Media::Protobuf {
            message,
            is_delimited: false,
        };
        let check = |text: &str, expected: Media<'_>| {
            assert_eq!(Media::parse(text), expected, "{text}");
        };
        check("application/x-protobuf", proto(None));
        check("APPLICATION/Protobuf ; Proto=\"a.B\"", proto(Some("a.B")));
        check(
            "application/vnd.google.protobuf; proto=a.v1.B",
            proto(Some("a.v1.B")),
        );
        check(
            "application/x-protobuf;charset=utf-8;messageType=x/a.B",
            proto(Some("a.B")),
        );
        check("application/vnd.acme.v1+proto; proto=", proto(None));
        check(
            "application/x-protobuf; type=delimited",
            Media::Protobuf {
                message: None,
                is_delimited: true,
            },
        );
        check("application/grpc+proto", Media::Grpc);
        check("application/problem+json; charset=utf-8", Media::Json);
        check("text/html; charset=utf-8", Media::Text);
        check("application/x-www-form-urlencoded", Media::Text);
        check("image/png", Media::Other);
        check("", Media::Unsaid);
        check("application/octet-stream", Media::Unsaid);
        check("\u{20ac}", Media::Other);
        check(";;;=", Media::Unsaid);
    }
}
