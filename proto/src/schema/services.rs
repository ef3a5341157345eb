//! The methods of services, and the HTTP rules that `google.api.http` gives them.

use prost_reflect::{DescriptorPool, FileDescriptor};

use super::{Message, Schema};
use crate::codec::tables::NameMap;
use crate::error::DecodeError;
use crate::limits::Limits;
use crate::wire::{Reader, WireType};

/// The extension `google.api.http` of `google.protobuf.MethodOptions`.
const HTTP: u32 = 72_295_728;

/// A method of a service.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Method<'s> {
    /// Full name of the service, such as `shop.v1.Teams`.
    pub service: &'s str,
    /// Name of the method, such as `GetTeam`.
    pub name: &'s str,
    /// What a request holds.
    pub input: Message,
    /// What a reply holds.
    pub output: Message,
    /// Whether a call has several requests.
    pub client_streaming: bool,
    /// Whether a call has several replies.
    pub server_streaming: bool,
    /// The rules of its `google.api.http` option, additional bindings behind the rule they belong to.
    pub http: &'s [HttpRule],
}

/// One URL a method is served at, as the option `google.api.http` has it
/// (<https://cloud.google.com/endpoints/docs/grpc/transcoding>).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct HttpRule {
    /// The method of HTTP in capitals; for a custom pattern its kind as it is written, `*` for any.
    pub verb: String,
    /// The template of the path, such as `/v1/{name=teams/*}:close`.
    pub path: String,
    /// The field of the input that is the request's body: `*` for all that the path does not bind,
    /// empty for none.
    pub body: String,
    /// The field of the output that is the reply's body; empty for the whole of it.
    pub response_body: String,
}

/// What the tables keep of a method.
#[derive(Debug)]
pub(crate) struct MethodTable {
    service: Box<str>,
    name: Box<str>,
    input: u32,
    output: u32,
    client_streaming: bool,
    server_streaming: bool,
    http: Vec<HttpRule>,
}

impl Schema {
    /// Every method of every service, in the order of the sources.
    pub fn methods(&self) -> impl Iterator<Item = Method<'_>> {
        let message = |index| Message {
            schema: self.clone(),
            index,
        };
        self.tables().methods.iter().map(move |method| Method {
            service: &method.service,
            name: &method.name,
            input: message(method.input),
            output: message(method.output),
            client_streaming: method.client_streaming,
            server_streaming: method.server_streaming,
            http: &method.http,
        })
    }
}

/// Lists the methods of a pool.
pub(crate) fn methods(pool: &DescriptorPool, by_name: &NameMap) -> Vec<MethodTable> {
    let mut out = Vec::new();
    for file in pool.files() {
        if file.services().len() == 0 {
            continue;
        }
        let mut options = options(&file).into_iter();
        for method in file.services().flat_map(|service| {
            // A vector, as the iterator borrows the service.
            service.methods().collect::<Vec<_>>()
        }) {
            let mut http = Vec::new();
            for part in options.next().unwrap_or_default() {
                rules(&part, &mut http, true);
            }
            let index = |name: &str| by_name.get(name).copied();
            let (input, output) = (method.input(), method.output());
            let types = (index(input.full_name()), index(output.full_name()));
            let (Some(input), Some(output)) = types else {
                continue;
            };
            out.push(MethodTable {
                service: method.parent_service().full_name().into(),
                name: method.name().into(),
                input,
                output,
                client_streaming: method.is_client_streaming(),
                server_streaming: method.is_server_streaming(),
                http,
            });
        }
    }
    out
}

/// The encoded options of each method of a file. They are read from the wire, as reflection needs
/// an extension to be declared, and panics at options that do not decode.
fn options(file: &FileDescriptor) -> Vec<Vec<Vec<u8>>> {
    let bytes = file.encode_to_vec();
    let mut out = Vec::new();
    // `FileDescriptorProto.service`, `ServiceDescriptorProto.method`, `MethodDescriptorProto.options`.
    for service in contents(&bytes, 6) {
        for method in contents(service, 2) {
            let options = contents(method, 4);
            out.push(
                options
                    .into_iter()
                    .flat_map(|options| contents(options, HTTP))
                    .map(<[u8]>::to_vec)
                    .collect(),
            );
        }
    }
    out
}

/// The contents of every length-delimited field of that number, up to the first fault.
fn contents(bytes: &[u8], wanted: u32) -> Vec<&[u8]> {
    let mut reader = Reader::new(bytes);
    let mut out = Vec::new();
    while !reader.is_empty() {
        match field(&mut reader) {
            Ok((number, Some(content))) if number == wanted => out.push(content),
            Ok(_) => {}
            Err(_) => break,
        }
    }
    out
}

fn field<'b>(reader: &mut Reader<'b>) -> Result<(u32, Option<&'b [u8]>), DecodeError> {
    let (number, wire) = reader.tag()?;
    Ok(match wire {
        WireType::Len => (number, Some(reader.bytes()?)),
        _ => {
            reader.skip(number, wire, Limits::DEPTH_MAX)?;
            (number, None)
        }
    })
}

/// Appends the rule that the bytes of a `google.api.HttpRule` hold, then its additional bindings,
/// which may not nest.
fn rules(bytes: &[u8], out: &mut Vec<HttpRule>, bindings: bool) {
    let mut rule = HttpRule {
        verb: String::new(),
        path: String::new(),
        body: String::new(),
        response_body: String::new(),
    };
    let mut additional = Vec::new();
    let mut reader = Reader::new(bytes);
    while !reader.is_empty() {
        let (number, content) = match field(&mut reader) {
            Ok((number, Some(content))) => (number, content),
            Ok(_) => continue,
            Err(_) => break,
        };
        let text = || String::from_utf8_lossy(content).into_owned();
        let verb = match number {
            2 => "GET",
            3 => "PUT",
            4 => "POST",
            5 => "DELETE",
            6 => "PATCH",
            7 => {
                rule.body = text();
                continue;
            }
            8 => {
                let part = |number| contents(content, number).pop().unwrap_or_default();
                rule.verb = String::from_utf8_lossy(part(1)).into_owned();
                rule.path = String::from_utf8_lossy(part(2)).into_owned();
                continue;
            }
            11 => {
                additional.push(content);
                continue;
            }
            12 => {
                rule.response_body = text();
                continue;
            }
            _ => continue,
        };
        rule.verb = verb.to_owned();
        rule.path = text();
    }
    // A rule without a pattern serves no URL.
    if !rule.path.is_empty() {
        out.push(rule);
    }
    if bindings {
        for binding in additional {
            rules(binding, out, false);
        }
    }
}
