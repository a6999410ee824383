//! Connections and the walk of one request: journal, fault, token, credits, answer.

mod admit;

use std::{convert::Infallible, net::SocketAddr, pin::Pin, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, Request, Response, header};
use http_body_util::{BodyExt, Limited};
use hyper::{body::Incoming, server::conn::http1};
use hyper_util::rt::{TokioIo, TokioTimer};
use jiff::Timestamp;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use admit::{Admitted, admit, is_json};

use super::{
    answer::Answer,
    clock::{date, moment},
    control,
    desk::{Asked, Desk},
    fault::{self, Fault, instead},
    journal::{Committed, LONGEST_TEXT},
    oauth,
    problem::Problem,
    query::Query,
    reply::{Body, Reply},
    route::{self, Route},
    spoil::spoil,
    write,
};

/// Accepts connections until it is told to stop; then all of them end.
pub(super) async fn accept(
    listener: TcpListener,
    desk: Arc<Desk>,
    stop: CancellationToken,
    tasks: TaskTracker,
) {
    let places = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, peer)) = accepted else {
            // The process has no more descriptors, most likely: give it time to get some back.
            tokio::time::sleep(Duration::from_millis(20)).await;
            continue;
        };
        // Above the maximum a connection is closed at once.
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
            continue;
        };
        let desk = Arc::clone(&desk);
        let work = Work {
            stop: stop.clone(),
            tasks: tasks.clone(),
        };
        tasks.spawn(async move {
            let _place = place;
            connection(stream, peer, desk, work).await;
        });
    }
}

/// Serves one connection. Its kill switch resets it: the client sees an abort, not an end.
async fn connection(stream: TcpStream, peer: SocketAddr, desk: Arc<Desk>, work: Work) {
    let stop = work.stop.clone();
    let _ = stream.set_nodelay(true);
    let kill = CancellationToken::new();
    let switch = kill.clone();
    type Answering = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;
    let service = hyper::service::service_fn(move |request: Request<Incoming>| -> Answering {
        let (desk, kill) = (Arc::clone(&desk), KillSwitch(switch.clone()));
        let work = work.clone();
        Box::pin(async move {
            let mut response = walk(&desk, peer, (kill, work), request).await;
            if let Some(date) = date(desk.clock.now()) {
                response.headers_mut().entry(header::DATE).or_insert(date);
            }
            Ok(response)
        })
    });
    let mut serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS_WITHIN)
        .max_buf_size(LONGEST_HEAD)
        .serve_connection(TokioIo::new(stream), service);
    tokio::select! {
        _ = &mut serving => {}
        () = stop.cancelled() => {}
        () = kill.cancelled() => {
            let _ = serving.into_parts().io.into_inner().set_zero_linger();
        }
    }
}

/// Resets the connection that a request came on.
struct KillSwitch(CancellationToken);

impl KillSwitch {
    /// Does not return: the connection takes this future with it.
    async fn pull(&self) -> Response<Body> {
        self.0.cancel();
        std::future::pending().await
    }
}

/// What outlives a connection, until the sandbox is told to stop.
#[derive(Clone)]
struct Work {
    stop: CancellationToken,
    tasks: TaskTracker,
}

/// What is known of a request before its body is read.
struct Head {
    method: String,
    path: String,
    query: String,
    headers: HeaderMap,
    seq: u64,
    now: Timestamp,
}

impl Head {
    /// Writes the request into the journal.
    fn open(desk: &Desk, parts: http::request::Parts) -> Self {
        let (method, path) = (parts.method.as_str(), parts.uri.path());
        let now = desk.clock.now();
        let seq = desk.journal().open(now, method, path, parts.uri.query());
        let parent = parts.headers.get("traceparent");
        if let Some(parent) = parent.and_then(|it| it.to_str().ok()) {
            desk.journal().amend(seq, |entry| {
                entry.traceparent = Some(parent.chars().take(64).collect())
            });
        }
        Self {
            method: method.to_owned(),
            path: path.to_owned(),
            query: parts.uri.query().unwrap_or_default().to_owned(),
            headers: parts.headers,
            seq,
            now,
        }
    }
}

async fn walk(
    desk: &Arc<Desk>,
    peer: SocketAddr,
    (kill, work): (KillSwitch, Work),
    request: Request<Incoming>,
) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path();
    if path.starts_with("/__sim") {
        return controls(desk, peer, parts.method.as_str(), path, body).await;
    }
    let mut head = Head::open(desk, parts);
    let seq = head.seq;
    let met = desk.faults().meet(&head.method, &head.path);
    if let Some(fault) = &met.fault {
        desk.journal()
            .amend(seq, |entry| entry.fault = Some(fault.fault));
        head.now = fault.clock(head.now);
        if fault.fault == fault::Kind::RevokeTokens {
            desk.tokens().revoke_access();
        }
    }
    // Whoever waits for a late answer is in flight meanwhile.
    let caller = admit(desk, &head);
    let kind = met.fault.as_ref().map(|fault| fault.fault);
    let asked = (&*head.method, &*head.path);
    let settings = desk.settings();
    let spoiled = met.fault.as_ref();
    let spoiled = spoiled.and_then(|it| instead(it, asked, &settings));
    let (reply, caller) = match (spoiled, kind) {
        (Some(reply), _) => (Some(reply), caller),
        (None, Some(fault::Kind::ResetBefore)) => (None, caller),
        _ => match read(body, LARGEST_BODY).await {
            Ok(body) => {
                let late = met.fault.as_ref().filter(|it| it.is_late());
                let late = late.map(|fault| (fault.delay(), work));
                take_effect(Arc::clone(desk), head, caller, body, late).await
            }
            Err(problem) => {
                let reply = Reply::json(problem.status, Some(&problem.body()));
                (Some(reply), caller)
            }
        },
    };
    // The request has had its effect: a client that gives up now does not know.
    if let Some(latency) = met.latency {
        tokio::time::sleep(latency).await;
    }
    drop(caller);
    match (reply, kind) {
        (Some(reply), kind) if kind != Some(fault::Kind::ResetAfterCommit) => {
            deliver(desk, seq, reply, met.fault.as_ref())
        }
        _ => kill.pull().await,
    }
}

type Caller = Option<Result<Admitted, Problem>>;

/// Answers, at once or late; no reply is there when the sandbox stops before.
async fn take_effect(
    desk: Arc<Desk>,
    mut head: Head,
    caller: Caller,
    body: Bytes,
    late: Option<(Duration, Work)>,
) -> (Option<Reply>, Caller) {
    let Some((delay, work)) = late else {
        let reply = answer(&desk, &head, &caller, &body);
        return (Some(reply), caller);
    };
    let effect = work.tasks.spawn(async move {
        tokio::select! {
            () = work.stop.cancelled() => (None, caller),
            () = tokio::time::sleep(delay) => {
                head.now = desk.clock.now();
                let reply = answer(&desk, &head, &caller, &body);
                (Some(reply), caller)
            }
        }
    });
    effect.await.unwrap_or((None, None))
}

/// Sends an answer, and writes down which.
fn deliver(desk: &Desk, seq: u64, reply: Reply, fault: Option<&Fault>) -> Response<Body> {
    desk.journal()
        .amend(seq, |entry| entry.status = Some(reply.status));
    match fault {
        Some(fault) => spoil(reply, fault, desk.clock.now()),
        None => reply.whole(),
    }
}

fn answer(desk: &Desk, head: &Head, caller: &Caller, body: &[u8]) -> Reply {
    match caller {
        None => {
            let sent = (&*head.query, body);
            oauth::answer(desk, &head.method, &head.path, sent, head.now)
        }
        Some(Err(problem)) => desk.settings().refusal(&head.path, problem),
        Some(Ok(caller)) => {
            let bulk = matches!(head.method.as_str(), "POST" | "PUT") && write::is_bulk(body);
            if let Some(problem) = bulk.then(|| caller.in_flight.weigh().err()).flatten() {
                return desk.settings().refusal(&head.path, &problem);
            }
            let answer = crm(desk, head, caller, body);
            let free = answer.status >= 400 && !desk.settings().failed_calls_cost;
            let credits = if free { 0 } else { answer.credits };
            let remaining = desk.ledger.spend(credits, head.now);
            let committed: Vec<_> = answer
                .committed
                .iter()
                .map(|(module, id)| Committed {
                    module: module.name(),
                    id: id.to_string(),
                })
                .collect();
            desk.journal().amend(head.seq, |entry| {
                entry.credits = credits;
                entry.committed = committed;
            });
            let reset = moment(caller.live.expires, &caller.zone);
            let reply = Reply::json(answer.status, answer.body.as_ref()).with(RESET, reset);
            match remaining {
                Some(remaining) => reply.with(REMAINING, remaining.to_string()),
                None => reply,
            }
        }
    }
}

fn crm(desk: &Desk, head: &Head, caller: &Admitted, body: &[u8]) -> Answer {
    let Some(query) = Query::parse(&head.query) else {
        return Answer::bare(&Problem::bad_param("query"));
    };
    let route = match route::find(&head.method, &head.path) {
        Ok(route) => route,
        Err(problem) => {
            let wraps = route::wraps(&head.method, &head.path);
            return Answer::refused(&problem, desk.settings().wraps(wraps));
        }
    };
    if !body.is_empty() && !is_json(&head.headers) {
        return Answer::bare(&Problem::unsupported());
    }
    if route == Route::Coql {
        let text = serde_json::from_slice::<serde_json::Value>(body).ok();
        let text = text
            .as_ref()
            .and_then(|body| body.get("select_query")?.as_str());
        let text = text.map(|text| text.chars().take(LONGEST_TEXT).collect());
        desk.journal().amend(head.seq, |entry| entry.coql = text);
    }
    let time = |name: HeaderName| head.headers.get(name)?.to_str().ok()?.parse().ok();
    let asked = Asked {
        user: caller.live.user,
        scope: caller.live.scope.as_deref(),
        path: &head.path,
        query,
        body,
        now: head.now,
        modified_since: time(header::IF_MODIFIED_SINCE),
        unmodified_since: time(header::IF_UNMODIFIED_SINCE),
    };
    desk.answer(&route, &asked)
}

async fn controls(
    desk: &Desk,
    peer: SocketAddr,
    method: &str,
    path: &str,
    body: Incoming,
) -> Response<Body> {
    if !peer.ip().to_canonical().is_loopback() {
        let problem = Problem::unknown_route();
        return Reply::json(problem.status, Some(&problem.body())).whole();
    }
    let (status, body) = match read(body, LARGEST_ORDER).await {
        Ok(body) => control::answer(desk, method, path, &body),
        Err(problem) => (problem.status, problem.body()),
    };
    Reply::json(status, Some(&body)).whole()
}

/// The whole body, which has a limit in size and in time.
async fn read(body: Incoming, most: usize) -> Result<Bytes, Problem> {
    let reading = tokio::time::timeout(BODY_WITHIN, Limited::new(body, most).collect());
    match reading.await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(_)) => Err(Problem::too_large()),
        Err(_) => Err(Problem::plain(
            408,
            "REQUEST_TIMEOUT",
            "the request took too long",
        )),
    }
}

const RESET: HeaderName = HeaderName::from_static("x-accesstoken-reset");
const REMAINING: HeaderName = HeaderName::from_static("x-api-credits-remaining");
const LARGEST_BODY: usize = 1024 * 1024;
/// A fault may hold a page that no client should read.
const LARGEST_ORDER: usize = 16 * 1024 * 1024;
const LONGEST_HEAD: usize = 64 * 1024;
const HEADERS_WITHIN: Duration = Duration::from_secs(120);
const BODY_WITHIN: Duration = Duration::from_secs(30);
const MOST_CONNECTIONS: usize = 4_096;
