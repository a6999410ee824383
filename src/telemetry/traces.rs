//! Traces over OTLP: one span for each request of an agent, one for each request to Zoho on its way.
//! Names and attributes are words of ours or of the configuration; no argument and no result is ever
//! on a span. Source: OpenTelemetry's semantic conventions for MCP and for HTTP clients.

use std::{borrow::Cow, sync::Arc, time::Duration};

use opentelemetry::{
    Context, KeyValue, Value,
    trace::{
        Link, Span as _, SpanBuilder, SpanKind, Status, TraceContextExt as _, TraceId, Tracer as _,
        TracerProvider as _,
    },
};
use opentelemetry_sdk::{
    Resource,
    trace::{BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracer, SdkTracerProvider, Span},
};
use reqwest::Url;
use serde::Deserialize;

use super::{
    collector::{self, CannotExport, Headers},
    remote::Remote,
    spans::{Bounded, Counted, Waiting},
};
use crate::setting::SecretRef;

/// `[traces]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The collector, without `/v1/traces`. Without one there are no traces.
    pub endpoint: Option<Endpoint>,
    /// Headers for the collector: a JSON object of names and values.
    pub headers: Option<SecretRef>,
    /// Which share of the traces is sent.
    pub sample: Share,
    /// What this daemon is called there.
    pub service: String,
    /// Whether requests to Zoho say which span they are of.
    pub propagate_to_zoho: bool,
}

/// The address of a collector.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Endpoint(Url);

/// From 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(try_from = "f64")]
pub struct Share(f64);

/// Why a value of `[traces]` is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadValue {
    #[error("expected http://HOST:PORT or https://HOST, without user, query or fragment")]
    Endpoint,
    #[error("expected a number from 0.0 to 1.0")]
    Share,
}

impl TryFrom<String> for Endpoint {
    type Error = BadValue;

    fn try_from(text: String) -> Result<Self, BadValue> {
        let mut url = Url::parse(&text).map_err(|_| BadValue::Endpoint)?;
        let plain = matches!(url.scheme(), "http" | "https")
            && url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none();
        if !plain {
            return Err(BadValue::Endpoint);
        }
        let path = format!("{}/v1/traces", url.path().trim_end_matches('/'));
        url.set_path(&path);
        Ok(Self(url))
    }
}

impl TryFrom<f64> for Share {
    type Error = BadValue;

    fn try_from(share: f64) -> Result<Self, BadValue> {
        match (0.0..=1.0).contains(&share) {
            true => Ok(Self(share)),
            false => Err(BadValue::Share),
        }
    }
}

/// Begins traces. Cheap to clone.
#[derive(Clone, Default)]
pub struct Traces(Option<Arc<Running>>);

struct Running {
    provider: SdkTracerProvider,
    tracer: SdkTracer,
    propagate: bool,
}

impl Traces {
    /// Starts to export, where there is somewhere to export to. A thread of its own sends what has
    /// ended; what finds no room in its queue is dropped, so that no call ever waits for it.
    ///
    /// # Errors
    /// When there is no runtime, or the client of the collector cannot be built.
    pub fn start(config: &Config, headers: Headers) -> Result<Self, CannotExport> {
        let Some(Endpoint(endpoint)) = &config.endpoint else {
            return Ok(Self::default());
        };
        let batch = BatchConfigBuilder::default()
            .with_max_queue_size(QUEUE)
            .with_max_export_batch_size(BATCH)
            .with_scheduled_delay(DELAY)
            .build();
        let waiting = Waiting::default();
        let exporter = collector::exporter(endpoint, headers)?;
        let exporter = Counted::new(exporter, waiting.clone());
        let queue = BatchSpanProcessor::builder(exporter).with_batch_config(batch);
        let resource = Resource::builder()
            .with_service_name(config.service.clone())
            .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")));
        let provider = SdkTracerProvider::builder()
            .with_span_processor(Bounded::new(queue.build(), QUEUE, waiting))
            // By the trace's id alone: whoever calls does not decide what our collector costs.
            .with_sampler(Sampler::TraceIdRatioBased(config.sample.0))
            .with_resource(resource.build())
            .build();
        let tracer = provider.tracer("zoho-mcp");
        let propagate = config.propagate_to_zoho;
        let running = Running {
            provider,
            tracer,
            propagate,
        };
        Ok(Self(Some(Arc::new(running))))
    }

    /// Whether spans are made at all.
    pub fn are_on(&self) -> bool {
        self.0.is_some()
    }

    /// Begins the span of a request that an agent made, as a part of the caller's trace if it has
    /// one; `beside` is another trace that it has to do with.
    pub fn begin(
        &self,
        name: impl Into<Cow<'static, str>>,
        parent: Option<Remote>,
        beside: Option<Remote>,
        attributes: Vec<KeyValue>,
    ) -> Trace {
        let Some(running) = &self.0 else {
            return Trace::default();
        };
        let links = beside.map(|Remote(context)| Link::with_context(context));
        let builder = SpanBuilder::from_name(name)
            .with_kind(SpanKind::Server)
            .with_attributes(attributes)
            .with_links(links.into_iter().collect());
        let outside = match parent {
            Some(Remote(context)) => Context::new().with_remote_span_context(context),
            None => Context::new(),
        };
        let span = running.tracer.build_with_context(builder, &outside);
        Trace(Some(Arc::new(Open {
            context: outside.with_span(span),
            tracer: running.tracer.clone(),
            propagate: running.propagate,
        })))
    }

    /// Sends what is left, for as long as `deadline` at most.
    pub async fn finish(&self, deadline: Duration) {
        let Some(running) = self.0.clone() else {
            return;
        };
        // The exporter's thread needs this runtime to send, so nothing here may block it.
        let finishing = tokio::task::spawn_blocking(move || {
            running.provider.shutdown_with_timeout(deadline).is_ok()
        });
        let finished = tokio::time::timeout(deadline, finishing).await;
        if !matches!(finished, Ok(Ok(true))) {
            tracing::warn!("the last spans did not reach the collector in time");
        }
    }
}

/// The span of one request of an agent, or none. It ends when the last clone of it is dropped, which
/// is when nobody works on the request any more: an answer on a stream comes after the response.
#[derive(Clone, Default)]
pub struct Trace(Option<Arc<Open>>);

struct Open {
    context: Context,
    tracer: SdkTracer,
    propagate: bool,
}

impl Trace {
    /// Which trace it is part of.
    pub fn id(&self) -> Option<TraceId> {
        let context = &self.0.as_ref()?.context;
        Some(context.span().span_context().trace_id())
    }

    /// Notes something about the request.
    pub fn note(&self, name: &'static str, value: impl Into<Value>) {
        if let Some(open) = &self.0 {
            open.context
                .span()
                .set_attribute(KeyValue::new(name, value));
        }
    }

    /// The request failed: `kind` is the convention's word or number, `why` a word of ours.
    pub fn fail(&self, kind: impl Into<Value>, why: &'static str) {
        if let Some(open) = &self.0 {
            self.note("error.type", kind);
            open.context.span().set_status(Status::error(why));
        }
    }

    /// A request to Zoho begins. `route` is a template: no id and no query is on the span.
    pub fn upstream(&self, method: &'static str, route: &'static str) -> Upstream {
        self.client(
            format!("{method} {route}"),
            method,
            format!("/crm/v8/{route}"),
        )
    }

    /// Zoho is asked for an access token. Others may wait for it as well; it is of the trace of
    /// whoever needed it first.
    pub fn minting(&self) -> Upstream {
        self.client("POST oauth/v2/token", "POST", "/oauth/v2/token")
    }

    fn client(
        &self,
        name: impl Into<Cow<'static, str>>,
        method: &'static str,
        template: impl Into<Value>,
    ) -> Upstream {
        let Some(open) = &self.0 else {
            return Upstream(None, false);
        };
        let builder = SpanBuilder::from_name(name)
            .with_kind(SpanKind::Client)
            .with_attributes([
                KeyValue::new("http.request.method", method),
                KeyValue::new("url.template", template),
            ]);
        let span = open.tracer.build_with_context(builder, &open.context);
        Upstream(Some(span), open.propagate)
    }
}

/// The span of one request to Zoho, and whether Zoho may hear of it.
pub struct Upstream(Option<Span>, bool);

impl Upstream {
    /// The header of the W3C that names the span to whoever answers: ids, and nothing of a caller's.
    pub fn traceparent(&self) -> Option<String> {
        let context = self.0.as_ref().filter(|_| self.1)?.span_context();
        let (trace, span) = (context.trace_id(), context.span_id());
        Some(format!("00-{trace}-{span}-{:02x}", context.trace_flags()))
    }

    /// Zoho answered with a status, or did not, for which there is a word of ours.
    pub fn end(mut self, outcome: Result<u16, &'static str>) {
        let Some(mut span) = self.0.take() else {
            return;
        };
        match outcome {
            Ok(status) => {
                span.set_attribute(KeyValue::new(
                    "http.response.status_code",
                    i64::from(status),
                ));
                if status >= 400 {
                    span.set_attribute(KeyValue::new("error.type", status.to_string()));
                    span.set_status(Status::error(""));
                }
            }
            Err(problem) => {
                span.set_attribute(KeyValue::new("error.type", problem));
                span.set_status(Status::error(""));
            }
        }
    }
}

impl Drop for Upstream {
    /// Nobody waited for the answer.
    fn drop(&mut self) {
        if let Some(span) = &mut self.0 {
            span.set_attribute(KeyValue::new("error.type", "cancelled"));
            span.set_status(Status::error(""));
        }
    }
}

/// Spans that wait, at most.
const QUEUE: usize = 4096;
const BATCH: usize = 512;
const DELAY: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_the_root_of_a_collector() {
        let at = |text: &str| Endpoint::try_from(text.to_owned()).map(|Endpoint(url)| url.into());
        for root in ["http://collector:4318", "http://collector:4318/"] {
            let whole: String = at(root).unwrap();
            assert_eq!(whole, "http://collector:4318/v1/traces");
        }
        let below: String = at("https://example.com/otlp/").unwrap();
        assert_eq!(below, "https://example.com/otlp/v1/traces");
        for wrong in [
            "collector:4318",
            "ftp://collector",
            "http://user:secret@collector",
            "http://collector?key=secret",
        ] {
            assert_eq!(at(wrong), Err::<String, _>(BadValue::Endpoint), "{wrong}");
        }
    }

    #[test]
    fn a_share_is_a_share() {
        for wrong in [-0.1, 1.1, f64::NAN, f64::INFINITY] {
            assert_eq!(Share::try_from(wrong), Err(BadValue::Share));
        }
    }

    #[test]
    fn without_a_collector_nothing_is_made() {
        let traces = Traces::default();
        let trace = traces.begin("x", None, None, Vec::new());
        assert!(!traces.are_on() && trace.id().is_none());
        trace.upstream("GET", "org").end(Ok(200));
        trace.minting().end(Err("timeout"));
    }
}
