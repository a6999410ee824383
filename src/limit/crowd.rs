//! Guard: how many requests are served at once.

use std::{num::NonZeroUsize, sync::Arc};

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::Response,
};
use tokio::sync::Semaphore;

use crate::refusal::Refusal;

/// The places for requests.
#[derive(Clone)]
pub struct Crowd(Arc<Semaphore>);

impl Crowd {
    /// For so many requests at once.
    pub fn new(max_requests: NonZeroUsize) -> Self {
        let places = max_requests.get().min(Semaphore::MAX_PERMITS);
        Self(Arc::new(Semaphore::new(places)))
    }
}

/// Takes no more requests at once than `[server] max_requests`, whoever sends them.
///
/// # Errors
/// [`Refusal::Overloaded`]
pub async fn crowd(
    State(Crowd(places)): State<Crowd>,
    request: Request,
    next: Next,
) -> Result<Response, Refusal> {
    let Ok(_place) = places.try_acquire() else {
        return Err(Refusal::Overloaded {
            id: None,
            retry_after_seconds: 1,
        });
    };
    Ok(next.run(request).await)
}
