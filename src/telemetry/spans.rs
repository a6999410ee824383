//! Spans on their way to the collector: so many wait, and those that do not arrive are counted.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use metrics::counter;
use opentelemetry::Context;
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    trace::{Span, SpanData, SpanExporter, SpanProcessor},
};

/// Spans that have ended and have not been handed to the exporter yet.
#[derive(Clone, Debug, Default)]
pub(super) struct Waiting(Arc<AtomicUsize>);

/// Takes spans for as long as there is room. The queue behind it has as much, and does not say
/// what it drops.
#[derive(Debug)]
pub(super) struct Bounded<P> {
    queue: P,
    most: usize,
    waiting: Waiting,
}

impl<P> Bounded<P> {
    pub(super) fn new(queue: P, most: usize, waiting: Waiting) -> Self {
        Self {
            queue,
            most,
            waiting,
        }
    }
}

impl<P: SpanProcessor> SpanProcessor for Bounded<P> {
    fn on_start(&self, span: &mut Span, context: &Context) {
        self.queue.on_start(span, context);
    }

    fn on_end(&self, span: SpanData) {
        let room = |waiting| (waiting < self.most).then_some(waiting + 1);
        let (store, load) = (Ordering::Relaxed, Ordering::Relaxed);
        match self.waiting.0.fetch_update(store, load, room) {
            Ok(_) => self.queue.on_end(span),
            Err(_) => lost("queue_full", 1),
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.queue.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.queue.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.queue.set_resource(resource);
    }
}

/// Says which spans the collector did not take.
#[derive(Debug)]
pub(super) struct Counted<E> {
    exporter: E,
    waiting: Waiting,
}

impl<E> Counted<E> {
    pub(super) fn new(exporter: E, waiting: Waiting) -> Self {
        Self { exporter, waiting }
    }
}

impl<E: SpanExporter> SpanExporter for Counted<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len();
        self.waiting.0.fetch_sub(spans, Ordering::Relaxed);
        let exported = self.exporter.export(batch).await;
        if exported.is_err() {
            lost("not_sent", spans);
        }
        exported
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

fn lost(why: &'static str, spans: usize) {
    counter!("zoho_mcp_spans_lost_total", "why" => why).increment(spans as u64);
}

#[cfg(test)]
mod tests {
    use metrics_exporter_prometheus::PrometheusBuilder;
    use opentelemetry::trace::{Span as _, Tracer as _, TracerProvider as _};
    use opentelemetry_sdk::{error::OTelSdkError, trace::SdkTracerProvider};

    use super::*;

    /// A queue that nobody empties.
    #[derive(Clone, Debug, Default)]
    struct Queue(Arc<std::sync::Mutex<Vec<SpanData>>>);

    impl SpanProcessor for Queue {
        fn on_start(&self, _: &mut Span, _: &Context) {}

        fn on_end(&self, span: SpanData) {
            self.0.lock().unwrap().push(span);
        }

        fn force_flush(&self) -> OTelSdkResult {
            Ok(())
        }

        fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
            Ok(())
        }
    }

    #[derive(Debug)]
    struct Nowhere;

    impl SpanExporter for Nowhere {
        async fn export(&self, _: Vec<SpanData>) -> OTelSdkResult {
            Err(OTelSdkError::AlreadyShutdown)
        }
    }

    #[test]
    fn what_finds_no_room_or_is_not_taken_is_counted() {
        let recorder = PrometheusBuilder::new().build_recorder();
        let metrics = recorder.handle();
        metrics::with_local_recorder(&recorder, || {
            let (queue, waiting) = (Queue::default(), Waiting::default());
            let provider = SdkTracerProvider::builder()
                .with_span_processor(Bounded::new(queue.clone(), 3, waiting.clone()))
                .build();
            let tracer = provider.tracer("x");
            (0..5).for_each(|_| tracer.start("x").end());
            let waits = std::mem::take(&mut *queue.0.lock().unwrap());
            assert_eq!(waits.len(), 3);
            let exporter = Counted::new(Nowhere, waiting);
            let exported = futures_util::future::FutureExt::now_or_never(exporter.export(waits));
            assert!(exported.unwrap().is_err());
            tracer.start("x").end();
            assert_eq!(queue.0.lock().unwrap().len(), 1, "there is room again");
        });
        let text = metrics.render();
        assert!(
            text.contains("zoho_mcp_spans_lost_total{why=\"queue_full\"} 2"),
            "{text}"
        );
        assert!(
            text.contains("zoho_mcp_spans_lost_total{why=\"not_sent\"} 3"),
            "{text}"
        );
    }
}
