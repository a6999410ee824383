//! How spans get to the collector: our own HTTP client, on the daemon's runtime. The exporter runs
//! on a thread of its own, where an asynchronous client could not work.

use std::{
    collections::HashMap,
    future::Future,
    pin::Pin,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, Response};
use opentelemetry_http::{HttpClient, HttpError};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use reqwest::{Client, Url, redirect::Policy};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::runtime::Handle;

/// What proves this daemon to the collector: the headers of every request.
pub type Headers = HashMap<String, SecretString>;

/// Why the collector cannot be asked.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum CannotExport {
    #[error("the http client for the collector could not be built")]
    Client(#[source] reqwest::Error),
    #[error("the exporter could not be built")]
    Exporter(#[source] opentelemetry_otlp::ExporterBuildError),
    #[error("there is no runtime to export on")]
    Runtime(#[source] tokio::runtime::TryCurrentError),
}

/// What is to hold the headers is no JSON object of header names and texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a JSON object of headers, such as {{\"authorization\": \"Bearer …\"}}")]
pub struct BadHeaders;

/// Reads the headers out of a secret.
///
/// # Errors
/// When it does not hold headers; the error holds nothing of it.
pub fn headers(secret: &[u8]) -> Result<Headers, BadHeaders> {
    let headers: Headers = serde_json::from_slice(secret).map_err(|_| BadHeaders)?;
    let fits = |(name, value): (&String, &SecretString)| {
        HeaderName::from_bytes(name.as_bytes()).is_ok()
            && HeaderValue::from_str(value.expose_secret()).is_ok()
    };
    match headers.iter().all(fits) {
        true => Ok(headers),
        false => Err(BadHeaders),
    }
}

/// Builds what sends spans to `traces`, which is the whole address.
pub(super) fn exporter(traces: &Url, headers: Headers) -> Result<SpanExporter, CannotExport> {
    let mut builder = Client::builder()
        .user_agent(concat!("zoho-mcp/", env!("CARGO_PKG_VERSION")))
        .redirect(Policy::none())
        .no_proxy()
        .timeout(PATIENCE);
    if traces.scheme() == "http" {
        builder = builder.tls_certs_only([]);
    }
    let client = Reporter {
        http: builder.build().map_err(CannotExport::Client)?,
        runtime: Handle::try_current().map_err(CannotExport::Runtime)?,
        failing: AtomicBool::new(false),
    };
    let headers = headers
        .into_iter()
        .map(|(name, value)| (name, value.expose_secret().to_owned()));
    SpanExporter::builder()
        .with_http()
        .with_http_client(client)
        .with_headers(headers.collect())
        .with_endpoint(traces.as_str())
        .with_protocol(Protocol::HttpBinary)
        .with_timeout(PATIENCE)
        .build()
        .map_err(CannotExport::Exporter)
}

#[derive(Debug)]
struct Reporter {
    http: Client,
    runtime: Handle,
    /// Said once, not with every batch.
    failing: AtomicBool,
}

impl Reporter {
    fn note<E>(&self, status: Result<u16, E>) {
        let failing = !matches!(status, Ok(200..300));
        if self.failing.swap(failing, Ordering::Relaxed) == failing {
            return;
        }
        match (failing, status) {
            (false, _) => tracing::info!("the collector takes spans again"),
            (true, Ok(status)) => tracing::warn!(
                status,
                "the collector refuses spans, which are lost: check traces.endpoint and traces.headers"
            ),
            (true, Err(_)) => tracing::warn!(
                "the collector does not answer, so spans are lost: check traces.endpoint"
            ),
        }
    }
}

type Sent<'a> = Pin<Box<dyn Future<Output = Result<Response<Bytes>, HttpError>> + Send + 'a>>;

impl HttpClient for Reporter {
    fn send_bytes<'a, 'b>(&'a self, request: Request<Bytes>) -> Sent<'b>
    where
        'a: 'b,
        Self: 'b,
    {
        Box::pin(async move {
            let http = self.http.clone();
            let answer = self.runtime.spawn(send(http, request)).await?;
            let status = answer.as_ref().map(|answer| answer.status().as_u16());
            self.note(status);
            Ok(answer?)
        })
    }
}

/// What the collector writes is of no use to us, and may be of any size.
async fn send(http: Client, request: Request<Bytes>) -> Result<Response<Bytes>, reqwest::Error> {
    let answer = http.execute(request.try_into()?).await?;
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = answer.status();
    Ok(response)
}

/// For one batch, tries again included.
const PATIENCE: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_an_object_of_texts() {
        let read = headers(br#"{"authorization":"Bearer s3cret","x-scope":"a"}"#).unwrap();
        assert_eq!(read.len(), 2);
        assert!(!format!("{read:?}").contains("s3cret"));
        for wrong in [
            "",
            "[]",
            "authorization=x",
            r#"{"a":1}"#,
            r#"{"a b":"x"}"#,
            r#"{"a":"\n"}"#,
        ] {
            assert!(headers(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }
}
