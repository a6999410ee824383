//! Answers as HTTP: Zoho's headers, and bodies that come whole, in pieces, or not to their end.

use std::{io, time::Duration};

use bytes::Bytes;
use futures_util::stream;
use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::body::Frame;
use serde_json::Value;

/// A body of any kind.
pub(super) type Body = UnsyncBoxBody<Bytes, io::Error>;

/// An answer that is not yet on its way, so that a fault can still spoil it.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    body: Option<(Bytes, &'static str)>,
    headers: Vec<(HeaderName, String)>,
}

impl Reply {
    /// JSON, or nothing at all.
    pub(super) fn json(status: u16, body: Option<&Value>) -> Self {
        let body = body.map(|body| (Bytes::from(body.to_string()), JSON));
        Self {
            status,
            body,
            headers: Vec::new(),
        }
    }

    /// A page.
    pub(super) fn html(status: u16, page: impl Into<Bytes>) -> Self {
        Self {
            status,
            body: Some((page.into(), "text/html;charset=UTF-8")),
            headers: Vec::new(),
        }
    }

    /// Adds a header.
    pub(super) fn with(mut self, name: HeaderName, value: String) -> Self {
        self.headers.push((name, value));
        self
    }

    /// The same with something else in its JSON.
    pub(super) fn changed(mut self, change: impl FnOnce(&mut Value)) -> Self {
        if let Some((bytes, JSON)) = &mut self.body
            && let Ok(mut value) = serde_json::from_slice(bytes)
        {
            change(&mut value);
            *bytes = Bytes::from(value.to_string());
        }
        self
    }

    /// Whether there is a body.
    pub(super) const fn has_body(&self) -> bool {
        self.body.is_some()
    }

    /// The answer as it should be.
    pub(super) fn whole(self) -> Response<Body> {
        let bytes = self.bytes();
        self.respond(
            Full::new(bytes).map_err(io::Error::other).boxed_unsync(),
            false,
        )
    }

    /// Announces its length and ends half-way.
    pub(super) fn truncated(self) -> Response<Body> {
        let bytes = self.bytes();
        let half = bytes.slice(..bytes.len() / 2);
        let pieces = stream::unfold(Some(half), |half| async move {
            let Some(half) = half else {
                // What was written gets a chance to reach the client before the connection ends.
                tokio::time::sleep(BEFORE_THE_CUT).await;
                return Some((Err(io::Error::from(io::ErrorKind::ConnectionAborted)), None));
            };
            Some((Ok(Frame::data(half)), None))
        });
        self.respond(StreamBody::new(pieces).boxed_unsync(), true)
    }

    /// Comes in pieces with a pause before each.
    pub(super) fn dripping(self, pause: Duration) -> Response<Body> {
        let bytes = self.bytes();
        let size = bytes.len().div_ceil(DRIPS).max(1);
        let pieces = stream::unfold(bytes, move |mut rest| async move {
            if rest.is_empty() {
                return None;
            }
            tokio::time::sleep(pause).await;
            let piece = rest.split_to(size.min(rest.len()));
            Some((Ok::<_, io::Error>(Frame::data(piece)), rest))
        });
        self.respond(StreamBody::new(pieces).boxed_unsync(), true)
    }

    fn bytes(&self) -> Bytes {
        self.body
            .as_ref()
            .map(|(bytes, _)| bytes.clone())
            .unwrap_or_default()
    }

    fn respond(self, body: Body, announce: bool) -> Response<Body> {
        let mut response = Response::new(body);
        *response.status_mut() =
            StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        for (name, value) in FIXED {
            headers.append(
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            );
        }
        for cookie in cookies() {
            headers.append(header::SET_COOKIE, cookie);
        }
        if let Some((bytes, kind)) = &self.body {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
            if *kind == JSON {
                headers.insert(header::CONTENT_DISPOSITION, HeaderValue::from_static(FILE));
            }
            if announce {
                headers.insert(header::CONTENT_LENGTH, HeaderValue::from(bytes.len()));
            }
        }
        for (name, value) in self.headers {
            if let Ok(value) = HeaderValue::from_str(&value) {
                headers.insert(name, value);
            }
        }
        response
    }
}

/// Two cookies with one value, another one for each answer. A client of an API keeps none of them.
fn cookies() -> impl Iterator<Item = HeaderValue> {
    let id = uuid::Uuid::new_v4();
    let cookies = [("crmcsr", "None"), ("_zcsr_tmp", "Strict")].into_iter();
    cookies.filter_map(move |(name, site)| {
        let cookie = format!("{name}={id};path=/;SameSite={site};Secure;priority=high");
        HeaderValue::try_from(cookie).ok()
    })
}

const JSON: &str = "application/json;charset=UTF-8";
const FILE: &str = "attachment; filename=response.json";
const DRIPS: usize = 20;
const BEFORE_THE_CUT: Duration = Duration::from_millis(50);

const FIXED: &[(&str, &str)] = &[
    ("server", "ZGS"),
    (
        "cache-control",
        "no-store, no-cache, must-revalidate, private",
    ),
    ("pragma", "no-cache"),
    ("expires", "Thu, 01 Jan 1970 00:00:00 GMT"),
    ("content-language", "en-US"),
    ("x-content-type-options", "nosniff"),
    ("x-xss-protection", "1; mode=block"),
    ("x-frame-options", "SAMEORIGIN"),
    ("x-download-options", "noopen"),
    ("referrer-policy", "strict-origin"),
    ("strict-transport-security", "max-age=63072000"),
    ("clientversion", "14723211"),
    ("clientsubversion", "f2cbf1a2be0e7a6e0dd1c5e2d8c1a1a2"),
    (
        "content-security-policy",
        "default-src 'none';frame-ancestors 'self'; report-uri https://logsapi.zoho.com/csplog?service=crm",
    ),
    (
        "server-timing",
        "cpuTime;desc=\"CPU Time\";dur=42, totalTime;desc=\"Total Execution Time\";dur=57,murphySpanId;desc=\"\";dur=0",
    ),
];
