//! How often this instance may ask for a token: settled with the others over Redis, or by what it knows.

use std::time::Duration;

use tokio::time::{Instant, timeout};
use uuid::Uuid;

use super::{
    super::{
        lock,
        mints::{Around, Meeting, Mints, Outcome},
    },
    LOOK_EVERY, Mint, Tokens,
    shared::{Offer, Place, Said, Slots, Turn},
    stop::Why,
};
use crate::store::Unavailable;

impl Mint {
    /// Counts an attempt of which Redis does not know, or says how long to wait.
    pub(super) fn take_alone(&self, attempt: Uuid, now: Instant) -> Result<(), Duration> {
        let mut mints = lock(&self.mints);
        match (&self.place, &self.siblings) {
            (Some(place), _) => mints.alone(attempt, place.replicas(), now),
            // Each has a token of its own, all with the same credentials.
            (None, Some(store)) => mints.apart(attempt, store.replicas(), now),
            (None, None) => mints.apart(attempt, 1, now),
        }
    }

    /// Asks for a token that is not `stale`, or for the right to mint one.
    pub(super) async fn turn(
        &self,
        place: &Place,
        attempt: Uuid,
        stale: &[u8],
    ) -> Result<Turn, Unavailable> {
        let turn = self.meet(place, Some(attempt), stale).await?;
        // Others were faster each time.
        Ok(turn.unwrap_or(Turn::Wait(LOOK_EVERY)))
    }

    /// Tells the others what it did without them, and hears what they did.
    pub(super) async fn tell(&self, place: &Place) {
        // Where Redis is gone, each instance keeps to what it has.
        let _ = self.meet(place, None, &[]).await;
    }

    async fn meet(
        &self,
        place: &Place,
        want: Option<Uuid>,
        stale: &[u8],
    ) -> Result<Option<Turn>, Unavailable> {
        // One at a time, so that the answers are heard in their order.
        let _turn = self.meeting.lock().await;
        let mut offered: Option<(Offer, Meeting)> = None;
        for _ in 0..TRIES {
            let offer = offered.as_ref().map(|(offer, _)| offer);
            let said = place.ask_turn(want, stale, offer).await?;
            let learn = || {
                if let Some((_, meeting)) = &offered {
                    lock(&self.mints).learn(meeting, want);
                }
            };
            match said {
                Said::Slots(Slots {
                    found,
                    now: clock,
                    is_fresh,
                }) => {
                    let table = serde_json::from_slice(&found).ok();
                    let around = Around {
                        clock,
                        now: Instant::now(),
                        replicas: place.replicas(),
                        is_fresh,
                    };
                    let meeting = lock(&self.mints).meet(table, around, want);
                    match meeting.outcome {
                        Outcome::Told | Outcome::Granted => {}
                        Outcome::Wait => return Ok(Some(Turn::Wait(LOOK_EVERY))),
                        Outcome::Spent(left) => return Ok(Some(Turn::Stop(Why::Spent, left))),
                    }
                    let put = serde_json::to_vec(&meeting.table).unwrap_or_default();
                    offered = Some((Offer { found, put }, meeting));
                }
                Said::Told => {
                    learn();
                    return Ok(None);
                }
                Said::Turn(turn) => {
                    if matches!(turn, Turn::Mint(_)) {
                        learn();
                    }
                    return Ok(Some(turn));
                }
            }
        }
        Ok(None)
    }
}

impl Tokens {
    /// Has Redis know what this instance did, and hears what others did.
    pub(crate) async fn keep(&self) {
        if let Some(place) = &self.0.place {
            self.0.tell(place).await;
        }
    }

    /// Asks for no token any more, and leaves its slots to the others. A refresh in flight is counted already.
    pub(crate) async fn leave(&self) {
        lock(&self.0.mints).end();
        if let Some(place) = &self.0.place {
            // Where Redis is gone or slow, the others find out as after a crash.
            let _ = timeout(LEAVE_WITHIN, self.0.tell(place)).await;
        }
    }
}

impl Place {
    /// How many instances there may be.
    fn replicas(&self) -> u32 {
        self.store().replicas()
    }
}

/// For how long a slot rests, as Redis is told.
pub(super) const REST: Duration = Mints::REST;
/// How often others may have been faster.
const TRIES: u32 = 10;
/// Whoever ends an instance waits for that.
const LEAVE_WITHIN: Duration = Duration::from_millis(500);
