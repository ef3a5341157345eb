//! Requests encoded ahead: what is the same every time is bytes, what varies is a slot.

use isukit_proto::{EncodeError, Message, RenderError, SlotValue, Template};
use thiserror::Error;

/// A request that cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RequestError {
    /// The method is no token.
    #[error("`{0}` is not an HTTP method")]
    Method(String),
    /// A header's name is no token, or its value would break out of its line. Only the name is
    /// told: the value may be a secret.
    #[error("`{0}` is not a header; write `Name: value` without line breaks")]
    Header(String),
    /// A slot's value does not suit the field it fills.
    #[error("the body cannot be encoded: {0}")]
    Render(String),
    /// A slot nobody fills.
    #[error("`${{{0}}}` is not a slot; use ${{seq}}, ${{user}} or ${{random}}")]
    Slot(String),
}

/// A body that cannot be made.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BodyError {
    /// Not a message of the type.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// A slot nobody fills.
    #[error(transparent)]
    Slot(#[from] RequestError),
}

/// What a slot is filled with, anew for each request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Slot {
    /// `${seq}`: the request's number in the run, from 0, never twice.
    Seq,
    /// `${user}`: the number of the virtual user that sends it, from 0.
    User,
    /// `${random}`: an evenly distributed number from 0 to 2^31 - 1, which fits every integer type.
    Random,
}

impl Slot {
    /// The slot with this name.
    ///
    /// # Errors
    /// [`RequestError::Slot`].
    pub fn named(name: &str) -> Result<Self, RequestError> {
        match name {
            "seq" => Ok(Self::Seq),
            "user" => Ok(Self::User),
            "random" => Ok(Self::Random),
            _ => Err(RequestError::Slot(name.to_owned())),
        }
    }
}

/// The values of all slots for one request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SlotValues {
    /// For [`Slot::Seq`].
    pub seq: u64,
    /// For [`Slot::User`].
    pub user: u64,
    /// For [`Slot::Random`].
    pub random: u32,
}

impl SlotValues {
    fn get(&self, slot: Slot) -> u64 {
        match slot {
            Slot::Seq => self.seq,
            Slot::User => self.user,
            Slot::Random => u64::from(self.random),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(Vec<u8>),
    Slot(Slot),
}

/// Text with slots in it. `$${` stands for a literal `${`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SlotText {
    pieces: Vec<Piece>,
}

impl SlotText {
    /// Bytes taken as they are.
    pub fn literal(bytes: impl Into<Vec<u8>>) -> Self {
        Self {
            pieces: vec![Piece::Text(bytes.into())],
        }
    }

    /// Find the slots in `text`.
    ///
    /// # Errors
    /// [`RequestError::Slot`].
    pub fn parse(text: &str) -> Result<Self, RequestError> {
        let mut pieces = Vec::new();
        let mut literal = Vec::new();
        let mut rest = text;
        while let Some(at) = rest.find("${") {
            if rest[..at].ends_with('$') {
                literal.extend_from_slice(&rest.as_bytes()[..at - 1]);
                literal.extend_from_slice(b"${");
                rest = &rest[at + 2..];
                continue;
            }
            let after = &rest[at + 2..];
            let end = after
                .find('}')
                .ok_or_else(|| RequestError::Slot(after.to_owned()))?;
            literal.extend_from_slice(&rest.as_bytes()[..at]);
            if !literal.is_empty() {
                pieces.push(Piece::Text(std::mem::take(&mut literal)));
            }
            pieces.push(Piece::Slot(Slot::named(&after[..end])?));
            rest = &after[end + 1..];
        }
        literal.extend_from_slice(rest.as_bytes());
        if !literal.is_empty() {
            pieces.push(Piece::Text(literal));
        }
        Ok(Self { pieces })
    }

    fn has_slots(&self) -> bool {
        self.pieces
            .iter()
            .any(|piece| matches!(piece, Piece::Slot(_)))
    }

    fn render(&self, values: &SlotValues, out: &mut Vec<u8>) {
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => out.extend_from_slice(text),
                Piece::Slot(slot) => {
                    let mut digits = itoa::Buffer::new();
                    out.extend_from_slice(digits.format(values.get(*slot)).as_bytes());
                }
            }
        }
    }
}

/// The body of a request.
#[derive(Debug, Clone)]
pub enum Body {
    /// No body, and no Content-Length.
    None,
    /// Text or bytes.
    Text(SlotText),
    /// A protobuf message encoded ahead.
    Message {
        /// The message.
        template: Template,
        /// What fills the template's slots, in its order.
        slots: Vec<Slot>,
    },
}

impl Body {
    /// A protobuf message from JSON with slots.
    ///
    /// # Errors
    /// When `json` is no such message, or a slot is unknown or of no use where it stands.
    pub fn message(message: &Message, json: &str) -> Result<Self, BodyError> {
        let template = message.template(json)?;
        let slots = template
            .slots()
            .iter()
            .map(|name| Slot::named(name))
            .collect::<Result<_, _>>()?;
        Ok(Self::Message { template, slots })
    }

    fn has_slots(&self) -> bool {
        match self {
            Self::None => false,
            Self::Text(text) => text.has_slots(),
            Self::Message { slots, .. } => !slots.is_empty(),
        }
    }

    fn render(&self, values: &SlotValues, out: &mut Vec<u8>) -> Result<(), RenderError> {
        match self {
            Self::None => {}
            Self::Text(text) => text.render(values, out),
            Self::Message { template, slots } => {
                // Each kind of slot is listed once, so there are never more than kinds.
                let mut filled = [SlotValue::U64(0); 3];
                for (value, slot) in filled.iter_mut().zip(slots) {
                    *value = SlotValue::U64(values.get(*slot));
                }
                template.render(&filled[..slots.len().min(3)], out)?;
            }
        }
        Ok(())
    }
}

/// A request ready to be rendered any number of times.
#[derive(Debug, Clone)]
pub struct Request {
    method: String,
    path: SlotText,
    /// Everything between the path and the body's length, lines complete.
    headers: Vec<u8>,
    body: Body,
    /// The whole request, when nothing in it varies, and the length of its head.
    fixed: Option<(Vec<u8>, usize)>,
    expects_continue: bool,
}

/// What rendering left behind besides the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rendered {
    /// Bytes of the head; the body follows.
    pub head_len: usize,
}

fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

impl Request {
    /// Put a request together. `headers` are used as given, in order; Content-Length is added.
    ///
    /// # Errors
    /// [`RequestError`] for a method or header that HTTP does not allow.
    pub fn new(
        method: &str,
        path: SlotText,
        headers: &[(String, String)],
        body: Body,
    ) -> Result<Self, RequestError> {
        if !is_token(method) {
            return Err(RequestError::Method(method.to_owned()));
        }
        let mut lines = b" HTTP/1.1\r\n".to_vec();
        let mut expects_continue = false;
        for (name, value) in headers {
            if !is_token(name) || value.bytes().any(|byte| matches!(byte, b'\r' | b'\n' | 0)) {
                return Err(RequestError::Header(name.escape_debug().to_string()));
            }
            expects_continue |=
                name.eq_ignore_ascii_case("expect") && value.eq_ignore_ascii_case("100-continue");
            lines.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
        }
        let mut request = Self {
            method: method.to_owned(),
            path,
            headers: lines,
            body,
            fixed: None,
            expects_continue,
        };
        // A slot of a wrong type is found here and not by the first request.
        let mut bytes = Vec::new();
        let rendered = request
            .render(&SlotValues::default(), &mut bytes)
            .map_err(|error| RequestError::Render(error.to_string()))?;
        if !request.path.has_slots() && !request.body.has_slots() {
            request.fixed = Some((bytes, rendered.head_len));
        }
        Ok(request)
    }

    /// Whether the reply to it has no body by definition.
    pub fn is_head(&self) -> bool {
        self.method == "HEAD"
    }

    /// Whether its body waits for `100 Continue`.
    pub fn expects_continue(&self) -> bool {
        self.expects_continue && !matches!(self.body, Body::None)
    }

    /// The bytes of a request in which nothing varies, and the length of its head.
    pub fn fixed(&self) -> Option<(&[u8], usize)> {
        self.fixed
            .as_ref()
            .map(|(bytes, head_len)| (bytes.as_slice(), *head_len))
    }

    /// Append the request's bytes to `out`.
    ///
    /// # Errors
    /// When a slot's value does not suit the field it fills, such as a number beyond an `int32`.
    pub fn render(&self, values: &SlotValues, out: &mut Vec<u8>) -> Result<Rendered, RenderError> {
        if let Some((bytes, head_len)) = &self.fixed {
            out.extend_from_slice(bytes);
            return Ok(Rendered {
                head_len: *head_len,
            });
        }
        let start = out.len();
        out.extend_from_slice(self.method.as_bytes());
        out.push(b' ');
        self.path.render(values, out);
        out.extend_from_slice(&self.headers);
        if matches!(self.body, Body::None) {
            out.extend_from_slice(b"\r\n");
            return Ok(Rendered {
                head_len: out.len() - start,
            });
        }
        // The length is known only behind the body: leave room for it. White space before a
        // value means nothing (RFC 9112, section 5).
        out.extend_from_slice(b"Content-Length: ");
        let length_at = out.len();
        out.extend_from_slice(b"          \r\n\r\n");
        let head_len = out.len() - start;
        let body_at = out.len();
        self.body.render(values, out)?;
        let mut digits = itoa::Buffer::new();
        let digits = digits.format(out.len() - body_at).as_bytes();
        let end = length_at + 10;
        if digits.len() <= 10 {
            out[end - digits.len()..end].copy_from_slice(digits);
        }
        if !self.body.has_slots() {
            self.tidy_length(out, length_at, digits.len());
            return Ok(Rendered {
                head_len: head_len - (10 - digits.len()),
            });
        }
        Ok(Rendered { head_len })
    }

    /// Take the padding out of the length of a fixed body, which is done once and not per request.
    fn tidy_length(&self, out: &mut Vec<u8>, length_at: usize, digits: usize) {
        out.drain(length_at..length_at + 10 - digits);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn render(method: &str, path: &str, headers: &[(&str, &str)], body: Body) -> (String, usize) {
        let headers: Vec<_> = headers
            .iter()
            .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()))
            .collect();
        let request = Request::new(method, SlotText::parse(path).unwrap(), &headers, body).unwrap();
        let mut out = Vec::new();
        let values = SlotValues {
            seq: 7,
            user: 3,
            random: 99,
        };
        let rendered = request.render(&values, &mut out).unwrap();
        (String::from_utf8(out).unwrap(), rendered.head_len)
    }

    #[test]
    fn requests_are_put_together() {
        let (text, head) = render("GET", "/x", &[("Host", "h")], Body::None);
        assert_eq!(text, "GET /x HTTP/1.1\r\nHost: h\r\n\r\n");
        assert_eq!(head, text.len());

        let (text, head) = render("POST", "/", &[], Body::Text(SlotText::literal("body")));
        assert_eq!(text, "POST / HTTP/1.1\r\nContent-Length: 4\r\n\r\nbody");
        assert_eq!(head, text.len() - 4);
    }

    #[test]
    fn slots_are_filled_and_the_length_is_right() {
        let body = Body::Text(SlotText::parse("{\"n\":${seq},\"r\":\"${random}\"}").unwrap());
        let (text, head) = render("POST", "/t/${user}?s=${seq}", &[], body);
        assert!(text.starts_with("POST /t/3?s=7 HTTP/1.1\r\n"), "{text}");
        assert_eq!(&text[head..], "{\"n\":7,\"r\":\"99\"}");
        assert!(text.contains("Content-Length:         16\r\n"), "{text}");
    }

    #[test]
    fn a_dollar_can_be_escaped() {
        let (text, _) = render(
            "POST",
            "/",
            &[],
            Body::Text(SlotText::parse("$${seq} $5").unwrap()),
        );
        assert!(text.ends_with("\r\n\r\n${seq} $5"), "{text}");
    }

    #[test]
    fn what_would_break_the_request_is_refused() {
        let new = |method: &str, header: (&str, &str)| {
            let headers = [(header.0.to_owned(), header.1.to_owned())];
            Request::new(method, SlotText::literal("/"), &headers, Body::None).map(|_| ())
        };
        assert!(new("GET", ("X-A", "b")).is_ok());
        assert!(new("G ET", ("X-A", "b")).is_err());
        assert!(new("", ("X-A", "b")).is_err());
        assert!(new("GET", ("X A", "b")).is_err());
        assert!(new("GET", ("X-A", "b\r\nEvil: 1")).is_err());
        let error = SlotText::parse("${sequence}").unwrap_err().to_string();
        assert!(error.contains("${seq}"), "{error}");
        assert!(SlotText::parse("${seq").is_err());
    }

    #[test]
    fn continue_is_expected_only_with_a_body() {
        let headers = [("Expect".to_owned(), "100-Continue".to_owned())];
        let with = |body| Request::new("PUT", SlotText::literal("/"), &headers, body).unwrap();
        assert!(with(Body::Text(SlotText::literal("x"))).expects_continue());
        assert!(!with(Body::None).expects_continue());
    }
}
