//! What people call the fields of an access log.

use super::limits::LABEL_BYTES;
use super::values::Unit;

/// What a field of a line tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Field {
    /// Nothing that is used.
    #[default]
    Ignored,
    /// When it ended.
    At,
    /// The client's address.
    Client,
    /// The addresses that proxies in front saw, the client's first.
    Forwarded,
    /// The client's address in LTSV; may be the virtual host elsewhere, so any other field is better.
    Host,
    /// The method.
    Method,
    /// The path, perhaps with its query.
    Path,
    /// The query alone.
    Query,
    /// The request line: method, target and version.
    Request,
    /// The status.
    Status,
    /// Bytes sent.
    Sent,
    /// Bytes received.
    Received,
    /// How long it took in all.
    Total,
    /// How long it took in all, with a unit in the value (Echo's `latency_human` beside its `latency`).
    TotalWithUnit,
    /// How long the upstreams took.
    Upstream,
    /// The upstream's time where there is a total beside it, else the total.
    Response,
    /// The user agent.
    Agent,
    /// What the cache said.
    Cache,
    /// The request's id.
    RequestId,
    /// The group's name, of our own events.
    Key,
    /// Why it failed, of our own events.
    Error,
}

/// The object of a JSON line that a label stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Parent {
    /// The line itself.
    #[default]
    Line,
    /// What was asked: `request`.
    Request,
    /// What was answered: `response`.
    Response,
    /// Headers of the request.
    Headers,
    /// A line of our own events.
    Event,
}

impl Parent {
    /// The object under `label`; none when nothing in it is used.
    pub(crate) fn child(self, label: &[u8]) -> Option<Parent> {
        let mut plain = [0; LABEL_BYTES];
        match (self, normal(label, &mut plain)?) {
            (Parent::Line, b"request" | b"req" | b"http" | b"httprequest") => Some(Parent::Request),
            (Parent::Line, b"response" | b"res" | b"resp") => Some(Parent::Response),
            (Parent::Line | Parent::Request, b"headers") => Some(Parent::Headers),
            _ => None,
        }
    }
}

/// What a label means, and what its numbers count.
///
/// Case, `_`, `-` and `.` do not matter (`requestTime`, `request_time`), and a label of a duration may
/// end in its unit (`duration_ms`).
pub(crate) fn meaning(parent: Parent, label: &[u8]) -> (Field, Unit) {
    let mut plain = [0; LABEL_BYTES];
    let find = match parent {
        Parent::Line => plain_field,
        Parent::Request => nested_in_request,
        Parent::Response => nested_in_response,
        Parent::Headers => header,
        Parent::Event => return event_meaning(label),
    };
    let Some(label) = normal(label, &mut plain) else {
        return (Field::Ignored, Unit::Seconds);
    };
    match find(label) {
        Field::Ignored => with_unit(label, find),
        known => (known, Unit::Seconds),
    }
}

/// A duration whose label ends in its unit.
fn with_unit(label: &[u8], find: impl Fn(&[u8]) -> Field) -> (Field, Unit) {
    let units: [(&[u8], Unit); 12] = [
        (b"milliseconds", Unit::Millis),
        (b"millis", Unit::Millis),
        (b"msec", Unit::Millis),
        (b"ms", Unit::Millis),
        (b"microseconds", Unit::Micros),
        (b"micros", Unit::Micros),
        (b"usec", Unit::Micros),
        (b"us", Unit::Micros),
        (b"nanos", Unit::Nanos),
        (b"ns", Unit::Nanos),
        (b"seconds", Unit::Seconds),
        (b"s", Unit::Seconds),
    ];
    for (end, unit) in units {
        if let Some(stem) = label.strip_suffix(end) {
            let field = find(stem);
            if matches!(field, Field::Total | Field::Upstream | Field::Response) {
                return (field, unit);
            }
        }
    }
    (Field::Ignored, Unit::Seconds)
}

/// Lower case, without what parts words.
fn normal<'a>(label: &[u8], plain: &'a mut [u8; LABEL_BYTES]) -> Option<&'a [u8]> {
    let mut len = 0;
    for byte in label {
        if !matches!(byte, b'_' | b'-' | b'.' | b'@' | b'$') {
            *plain.get_mut(len)? = byte.to_ascii_lowercase();
            len += 1;
        }
    }
    Some(&plain[..len])
}

fn plain_field(label: &[u8]) -> Field {
    match label {
        b"time" | b"msec" | b"timestamp" | b"ts" | b"date" | b"datetime" | b"timelocal"
        | b"timeiso8601" | b"timelocaliso8601" | b"epoch" | b"eventtime" => Field::At,
        b"remoteaddr" | b"client" | b"clientip" | b"remoteip" | b"clientaddr" | b"realip"
        | b"remotehost" | b"remoteaddress" | b"sourceip" | b"ip" => Field::Client,
        b"forwardedfor" | b"xff" | b"xforwardedfor" | b"httpxforwardedfor" => Field::Forwarded,
        b"host" => Field::Host,
        b"method" | b"requestmethod" | b"verb" | b"httpmethod" => Field::Method,
        b"uri" | b"path" | b"requesturi" | b"url" | b"reqpath" | b"requesturl" | b"urlpath"
        | b"requestpath" | b"documenturi" | b"httpurl" | b"httppath" | b"target" => Field::Path,
        b"query" | b"querystring" | b"args" | b"reqquery" => Field::Query,
        b"req" | b"request" | b"requestline" => Field::Request,
        b"status" | b"statuscode" | b"code" | b"httpstatus" | b"responsecode"
        | b"httpstatuscode" | b"responsestatus" => Field::Status,
        b"size" | b"bytes" | b"bodybytessent" | b"bodybytes" | b"bytessent" | b"responsesize"
        | b"bytesout" | b"responsebytes" | b"byteswritten" | b"contentlength" => Field::Sent,
        b"reqsize" | b"requestlength" | b"bytesreceived" | b"bytesin" | b"requestsize"
        | b"bytesread" | b"requestbytes" => Field::Received,
        b"rt" | b"reqtime" | b"requesttime" | b"duration" | b"latency" | b"taken"
        | b"timetaken" | b"elapsed" | b"elapsedtime" | b"totaltime" | b"requestduration"
        | b"took" => Field::Total,
        b"latencyhuman" | b"durationhuman" => Field::TotalWithUnit,
        b"urt"
        | b"ut"
        | b"apptime"
        | b"upstreamresponsetime"
        | b"upstreamtime"
        | b"upstreamlatency"
        | b"upstreamservicetime"
        | b"runtime" => Field::Upstream,
        b"responsetime" => Field::Response,
        b"ua" | b"useragent" | b"agent" | b"httpuseragent" => Field::Agent,
        b"cache" | b"upstreamcachestatus" | b"cachestatus" => Field::Cache,
        b"reqid" | b"requestid" | b"xrequestid" | b"httpxrequestid" | b"trace" | b"traceid" => {
            Field::RequestId
        }
        _ => Field::Ignored,
    }
}

fn nested_in_request(label: &[u8]) -> Field {
    match label {
        b"id" => Field::RequestId,
        b"size" | b"bytes" => Field::Received,
        // Here it is what the client asked for.
        b"host" => Field::Ignored,
        _ => plain_field(label),
    }
}

fn nested_in_response(label: &[u8]) -> Field {
    match label {
        b"time" | b"duration" | b"latency" => Field::Total,
        b"size" | b"bytes" | b"length" => Field::Sent,
        b"status" | b"statuscode" | b"code" => Field::Status,
        _ => Field::Ignored,
    }
}

fn header(label: &[u8]) -> Field {
    match label {
        b"useragent" => Field::Agent,
        b"xrequestid" => Field::RequestId,
        b"xforwardedfor" => Field::Forwarded,
        _ => Field::Ignored,
    }
}

/// What a label of our own events means.
fn event_meaning(label: &[u8]) -> (Field, Unit) {
    match label {
        b"at_us" => (Field::At, Unit::Micros),
        b"key" => (Field::Key, Unit::Seconds),
        b"latency_us" => (Field::Total, Unit::Micros),
        b"status" => (Field::Status, Unit::Seconds),
        b"body_bytes" => (Field::Sent, Unit::Seconds),
        b"error" => (Field::Error, Unit::Seconds),
        _ => (Field::Ignored, Unit::Seconds),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_mean_what_people_mean() {
        let check = |label: &str, field, unit| {
            let (parent, label) = label.split_once('/').unwrap_or(("", label));
            let parent = match parent {
                "" => Parent::Line,
                name => Parent::Line.child(name.as_bytes()).unwrap_or(Parent::Event),
            };
            let seen = meaning(parent, label.as_bytes());
            assert_eq!(seen, (field, unit), "{parent:?} {label}");
        };
        let s = Unit::Seconds;
        check("reqtime", Field::Total, s);
        check("request_time", Field::Total, s);
        check("requestTime", Field::Total, s);
        check("duration_ms", Field::Total, Unit::Millis);
        check("latencyMs", Field::Total, Unit::Millis);
        check("elapsed_us", Field::Total, Unit::Micros);
        check("duration_ns", Field::Total, Unit::Nanos);
        check("duration_seconds", Field::Total, s);
        check("response_time_ms", Field::Response, Unit::Millis);
        check("apptime", Field::Upstream, s);
        check("upstream_response_time", Field::Upstream, s);
        check("response_time", Field::Response, s);
        check("@timestamp", Field::At, s);
        check("msec", Field::At, s);
        check("status", Field::Status, s);
        check("bytes", Field::Sent, s);
        check("x-request-id", Field::RequestId, s);
        check("request/method", Field::Method, s);
        check("request/remote_ip", Field::Client, s);
        check("request/host", Field::Ignored, s);
        check("req/id", Field::RequestId, s);
        check("res/statusCode", Field::Status, s);
        check("res/time_ms", Field::Total, Unit::Millis);
        check("statuses", Field::Ignored, s);
        check("ms", Field::Ignored, s);
        check(&"x".repeat(100), Field::Ignored, s);
    }
}
