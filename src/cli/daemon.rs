//! A running daemon: from the bound socket to the last line of the audit log.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::Context as _;
use tokio::{
    net::TcpListener,
    signal::unix::{Signal, SignalKind, signal},
    sync::watch,
    task::JoinSet,
    time::{Instant, Interval, MissedTickBehavior, interval},
};

use crate::{
    app::{App, Reload},
    audit::{Audit, Event, Kind},
    auth::{mtls, repeats::Telling},
    cli::ops::Ops,
    listen::{self, Front, Outcome},
    router::{relayed, router},
    setting::Span,
    store::{AtStart, Unavailable},
    telemetry::Embedded,
};

/// Binds, with an error that says what to do.
pub(super) fn bind(address: SocketAddr) -> anyhow::Result<TcpListener> {
    listen::bind(address).with_context(|| {
        format!("could not listen on {address}; choose another address or port, 0 for a free one")
    })
}

/// Ends the log of a start that failed, so that its reader knows that nothing is missing. One that
/// has served has ended its log itself.
pub(super) async fn ending(audit: &Audit, ended: anyhow::Result<()>) -> anyhow::Result<()> {
    if ended.is_err() {
        // Why it failed is what matters to whoever started it.
        let _ = audit.close(Instant::now()).await;
    }
    ended
}

/// Serves until SIGTERM or SIGINT, then drains. `ready` is called once the socket answers.
pub(super) async fn run(
    mut app: App,
    listener: TcpListener,
    ops: Option<Ops>,
    mut reload: Option<Reload>,
    ready: impl FnOnce() -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut signals = Signals::new()?;
    warn_of_few_descriptors(&app.config.server);
    let routes = router(&app);
    let watch = tokio::spawn(Arc::clone(&app.health).watch());
    let shared = share_limits(&mut app).await?;
    let breaker = tokio::spawn(record_breaker(app.zoho().breaker(), app.audit().clone()));
    let (config, drain) = (app.config.server.clone(), app.drain.clone());
    let (refused, to_record) = listen::refused_certificates(REFUSED);
    let authenticator = app.auth.authenticator.clone();
    let repeats = Telling::start(authenticator.clone(), app.audit().clone());
    tokio::spawn(mtls::record_refused(
        authenticator,
        app.audit().clone(),
        to_record,
    ));
    let front = Front {
        tls: app.tls.clone(),
        refused,
    };
    let server =
        tokio::spawn(async move { listen::serve(listener, routes, &config, front, drain).await });
    let ops = ops.map(|ops| ops.serve(&app));
    let embedded = Embedded::start(&app.config.metrics).map(Arc::new);
    let writing = embedded
        .clone()
        .map(|embedded| tokio::spawn(async move { embedded.keep_writing().await }));
    ready()?;
    match &mut reload {
        Some(reload) => reload_until_end(reload, &mut signals).await,
        None => signals.end().await,
    }
    let (outcome, until) = finish(&app, &mut signals).await;
    if let Some(reload) = reload {
        reload.end().await;
    }
    watch.abort();
    drop(shared);
    leave(&app).await;
    breaker.abort();
    server.abort();
    if let Some(writing) = writing {
        writing.abort();
    }
    repeats.end().await;
    let recorded = app.audit().close(until).await;
    if let Some(embedded) = embedded {
        embedded.write();
    }
    app.traces.finish(LAST_SPANS).await;
    if let Some(ops) = ops {
        ops.abort();
    }
    recorded.context("at the end: standard output or the log file did not take its last lines")?;
    anyhow::ensure!(
        outcome == Outcome::Clean,
        "some calls were cut off at the end of the drain"
    );
    Ok(())
}

fn warn_of_few_descriptors(server: &listen::Config) {
    let (places, wanted) = (server.connections(), server.max_connections);
    if places < wanted.get() {
        tracing::warn!(
            places,
            "server.max_connections is {wanted}, and there are file descriptors for fewer; \
             raise the limit of open files (LimitNOFILE, ulimit -n), or lower it"
        );
    }
}

/// Connects to Redis, where there is one, and comes together with the other instances. Sessions are
/// looked after either way.
async fn share_limits(app: &mut App) -> anyhow::Result<JoinSet<()>> {
    if let Some(sessions) = app.http_sessions.clone() {
        app.drain.see_off(sessions.keep());
    }
    let mut tasks = JoinSet::new();
    let Some(redis) = app.redis.take() else {
        return Ok(tasks);
    };
    let limiter = Arc::clone(&app.limit.limiter);
    tasks.spawn(redis.keep());
    tasks.spawn(Arc::clone(&limiter).keep(app.audit().clone()));
    tasks.spawn(app.zoho().clone().keep());
    tasks.spawn(app.idempotency().clone().keep());
    if let Some(relay) = app.sessions.relay() {
        tasks.spawn(Arc::clone(relay).keep(app.sessions.clone(), relayed(app)));
    }
    let Err(Unavailable(cause)) = limiter.decided().await else {
        return Ok(tasks);
    };
    anyhow::ensure!(
        app.config.redis.at_start == AtStart::Degraded,
        "redis: {cause}; {}. redis.at_start = \"degraded\" starts all the same",
        cause.remedy()
    );
    if app.config.redis.expected_replicas.is_none() {
        tracing::warn!(
            "redis.expected_replicas is not set, so this instance takes itself for the only one"
        );
    }
    Ok(tasks)
}

/// Tells the other instances that this one does not live any more.
async fn leave(app: &App) {
    if let Some(relay) = app.sessions.relay() {
        relay.leave().await;
    }
    app.zoho().leave().await;
    app.limit.limiter.leave().await;
}

async fn reload_until_end(reload: &mut Reload, signals: &mut Signals) {
    loop {
        match signals.next().await {
            Wake::End => return,
            Wake::HangUp => reload.everything().await,
            Wake::Tick => reload.changed().await,
        }
    }
}

/// One line each time that Zoho is given up or found again.
async fn record_breaker(mut open: watch::Receiver<bool>, audit: Audit) {
    while open.changed().await.is_ok() {
        let state = if *open.borrow_and_update() {
            "open"
        } else {
            "closed"
        };
        let event = Event {
            reason: Some(state.into()),
            ..Event::new(Kind::BreakerState)
        };
        audit.record(event).await;
    }
}

/// How it went, and until when the last lines may take: with what an orchestrator is told to give
/// before it kills, unless calls were cut off already.
async fn finish(app: &App, signals: &mut Signals) -> (Outcome, Instant) {
    let began = Instant::now();
    app.drain.begin();
    app.audit().record(Event::new(Kind::DrainBegin)).await;
    let server = &app.config.server;
    let delay = server.drain_delay.map(Span::duration).unwrap_or_default();
    let deadline = server.drain_timeout.duration();
    // Asked twice, it ends at once.
    let outcome = app.drain.finish(delay, deadline, signals.end()).await;
    let (reason, until) = match outcome {
        Outcome::Clean => ("clean", began + delay + deadline + LAST_LINES),
        Outcome::CutOff => ("cut_off", began),
    };
    app.audit()
        .record(Event {
            reason: Some(reason.into()),
            ..Event::new(Kind::DrainEnd)
        })
        .await;
    (outcome, until)
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
    tick: Interval,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Wake {
    End,
    HangUp,
    Tick,
}

impl Signals {
    fn new() -> anyhow::Result<Self> {
        let mut tick = interval(LOOK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
            tick,
        })
    }

    async fn next(&mut self) -> Wake {
        tokio::select! {
            _ = self.terminate.recv() => Wake::End,
            _ = self.interrupt.recv() => Wake::End,
            _ = self.hang_up.recv() => Wake::HangUp,
            _ = self.tick.tick() => Wake::Tick,
        }
    }

    async fn end(&mut self) {
        while self.next().await != Wake::End {}
    }
}

/// For the last lines of the audit log, after the drain.
const LAST_LINES: Duration = Duration::from_secs(5);
/// For the spans that have not been sent yet.
const LAST_SPANS: Duration = Duration::from_secs(2);
/// Refused certificates that may wait to be recorded; whoever refuses another waits as well.
const REFUSED: usize = 64;
/// How often the configuration and the certificates are looked at: a few `stat` calls.
const LOOK: Duration = Duration::from_secs(2);
