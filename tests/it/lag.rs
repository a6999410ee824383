//! A long way to Redis: whatever it answers arrives later, or not at all.

use std::{
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::mpsc,
    time::{Instant, sleep_until},
};

use crate::redis::Redis;

pub(crate) struct Lag {
    url: String,
    way: Arc<Way>,
}

#[derive(Default)]
struct Way {
    /// In milliseconds.
    delay: AtomicU64,
    connections: AtomicUsize,
    /// What stands in the question whose answer is lost next.
    loses: Mutex<Option<(&'static str, Loss)>>,
}

/// How the answer to a question is lost.
#[derive(Clone, Copy)]
pub(crate) enum Loss {
    /// Its connection is cut.
    Cut,
    /// Nothing comes by its connection any more.
    Silence,
    /// The same, and Redis has not heard the question either.
    Unheard,
}

impl Way {
    fn loss(&self, question: &[u8]) -> Option<Loss> {
        let mut loses = self.loses.lock().unwrap();
        let is_it = |word: &str| {
            let mut parts = question.windows(word.len());
            parts.any(|part| part == word.as_bytes())
        };
        let (_, loss) = loses.take_if(|(word, _)| is_it(word))?;
        Some(loss)
    }
}

impl Lag {
    /// A way that takes no time yet.
    pub(crate) async fn before(redis: &Redis) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("redis://{}", listener.local_addr().unwrap());
        let way = Arc::<Way>::default();
        tokio::spawn(relay(listener, redis.port, way.clone()));
        Self { url, way }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// From now on each answer is that much later.
    pub(crate) fn takes(&self, delay: Duration) {
        let millis = u64::try_from(delay.as_millis()).unwrap();
        self.way.delay.store(millis, Ordering::Relaxed);
    }

    /// Loses the answer to the next question in which that stands.
    pub(crate) fn loses_the_answer(&self, to: &'static str, how: Loss) {
        *self.way.loses.lock().unwrap() = Some((to, how));
    }

    /// How many connections were made so far.
    pub(crate) fn connections(&self) -> usize {
        self.way.connections.load(Ordering::Relaxed)
    }
}

async fn relay(listener: TcpListener, port: u16, way: Arc<Way>) {
    while let Ok((near, _)) = listener.accept().await {
        way.connections.fetch_add(1, Ordering::Relaxed);
        let Ok(far) = TcpStream::connect(("127.0.0.1", port)).await else {
            continue;
        };
        let (questions, answered) = near.into_split();
        let (answers, asked) = far.into_split();
        let lost = Arc::default();
        tokio::spawn(ask(questions, asked, way.clone(), Arc::clone(&lost)));
        tokio::spawn(late(answers, answered, way.clone(), lost));
    }
}

async fn ask(
    mut questions: OwnedReadHalf,
    mut asked: OwnedWriteHalf,
    way: Arc<Way>,
    lost: Arc<OnceLock<Loss>>,
) {
    let mut bytes = vec![0; 16 << 10];
    while let Ok(read @ 1..) = questions.read(&mut bytes).await {
        if let Some(loss) = way.loss(&bytes[..read]) {
            let _ = lost.set(loss);
        }
        if let Some(Loss::Unheard) = lost.get() {
            continue;
        }
        if asked.write_all(&bytes[..read]).await.is_err() {
            return;
        }
    }
}

/// Many answers may be on their way at once: a delay takes from none of them.
async fn late(
    mut answers: OwnedReadHalf,
    mut answered: OwnedWriteHalf,
    way: Arc<Way>,
    lost: Arc<OnceLock<Loss>>,
) {
    let (sender, mut arriving) = mpsc::unbounded_channel::<(Instant, Vec<u8>)>();
    tokio::spawn(async move {
        while let Some((at, bytes)) = arriving.recv().await {
            sleep_until(at).await;
            if answered.write_all(&bytes).await.is_err() {
                return;
            }
        }
    });
    let mut bytes = vec![0; 16 << 10];
    while let Ok(read @ 1..) = answers.read(&mut bytes).await {
        match lost.get() {
            None => {}
            Some(Loss::Silence | Loss::Unheard) => continue,
            Some(Loss::Cut) => return,
        }
        let delay = Duration::from_millis(way.delay.load(Ordering::Relaxed));
        let _ = sender.send((Instant::now() + delay, bytes[..read].to_vec()));
    }
}
