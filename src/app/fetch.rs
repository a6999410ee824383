//! Secrets in AWS that are read again and again beside the keys: in the background, so that a
//! store that hangs holds nothing up.

use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use crate::{
    config::Environment,
    secrets::{self, AwsSecret, Secret, SecretError, refresh::Pace},
    setting::AwsRef,
};

/// Looks that are made in the background, one round at a time.
pub(super) struct Fetches {
    environment: Environment,
    pace: Pace,
    /// The ways that were found before.
    ways: Vec<(AwsRef, AwsSecret)>,
    looking: Option<AbortOnDropHandle<Vec<Found>>>,
    next: Instant,
    /// In a row.
    failures: u32,
}

/// What one look found.
pub(super) struct Found {
    pub(super) reference: AwsRef,
    pub(super) secret: Result<Secret, SecretError>,
    way: Option<AwsSecret>,
}

impl Fetches {
    /// Looks at least once in each `refresh`, and first after one.
    pub(super) fn new(environment: Environment, refresh: Duration) -> Self {
        let mut fetches = Self {
            environment,
            pace: Pace::at_least_every(refresh),
            ways: Vec::new(),
            looking: None,
            next: Instant::now(),
            failures: 0,
        };
        fetches.next += fetches.pace.pause(0);
        fetches
    }

    /// Has the next turn look anew. A look that is on its way may have missed what has changed.
    pub(super) fn hurry(&mut self) {
        self.looking = None;
        self.next = Instant::now();
    }

    /// What a look has found that has ended; begins another when it is time. Waits for nobody.
    pub(super) async fn turn(&mut self, wanted: Vec<AwsRef>) -> Vec<Found> {
        let mut found = Vec::new();
        if let Some(ended) = self.looking.take_if(|looking| looking.is_finished()) {
            found = ended.await.unwrap_or_default();
            self.failures = match found.iter().all(|found| found.secret.is_ok()) {
                true => 0,
                false => self.failures.saturating_add(1),
            };
            let ways = found.iter_mut().filter_map(|found| {
                let way = found.way.take()?;
                Some((found.reference.clone(), way))
            });
            self.ways = ways.collect();
            self.next = Instant::now() + self.pace.pause(self.failures);
        }
        if self.looking.is_none() && !wanted.is_empty() && Instant::now() >= self.next {
            let look = look(wanted, self.ways.clone(), self.environment.clone());
            self.looking = Some(AbortOnDropHandle::new(tokio::spawn(look)));
        }
        found
    }
}

async fn look(
    wanted: Vec<AwsRef>,
    ways: Vec<(AwsRef, AwsSecret)>,
    environment: Environment,
) -> Vec<Found> {
    let region = secrets::aws::region(&|name| environment.get(name).cloned());
    let looks = wanted.into_iter().map(|reference| {
        let way = ways.iter().find(|(known, _)| *known == reference);
        let (way, region) = (way.map(|(_, way)| way.clone()), region.clone());
        one(reference, way, region)
    });
    join_all(looks).await
}

async fn one(reference: AwsRef, way: Option<AwsSecret>, region: Option<String>) -> Found {
    let way = match way {
        Some(way) => Ok(way),
        None => AwsSecret::open(&reference, region).await,
    };
    match way {
        Ok(way) => Found {
            secret: way.current().await.map(|version| version.secret),
            reference,
            way: Some(way),
        },
        Err(error) => Found {
            reference,
            secret: Err(error.into()),
            way: None,
        },
    }
}
