//! One refresh: the token that others have, or one from Zoho, for all instances or for this one alone.

use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::{
    super::{Problem, lock},
    LOOK_EVERY, Mint,
    shared::{Place, Right, Turn},
    stop::Why,
};
use crate::telemetry::Trace;

impl Mint {
    pub(super) async fn refresh(&self, trace: &Trace) {
        let (attempt, began) = (Uuid::new_v4(), Instant::now());
        let Some(place) = &self.place else {
            return self.mint_alone(attempt, trace).await;
        };
        let mut stale = self.stale();
        self.remind().await;
        self.let_others_speak().await;
        while began.elapsed() < self.timeout * 2 {
            match self.turn(place, attempt, &stale).await {
                Ok(Turn::There(sealed, now)) => {
                    stale.clone_from(&sealed);
                    match place.open(sealed, now, &self.servers) {
                        Some(token) if Instant::now() < token.renew => return self.take(token),
                        Some(_) => {}
                        None => tracing::warn!(
                            "the access token in Redis was altered, or sealed by an instance \
                             with another [zoho] token_key; a new one takes its place. Give all \
                             instances the same key"
                        ),
                    }
                }
                Ok(Turn::Mint(right)) => {
                    let Some(why) = self.barred(!right.replaces) else {
                        return self.mint_for_all(place, &right, attempt, trace).await;
                    };
                    self.leave(place, &right, attempt).await;
                    self.try_again(&why);
                    return;
                }
                Ok(Turn::Wait(left)) => sleep(left.min(LOOK_EVERY)).await,
                Ok(Turn::Stop(why, pause)) => {
                    if !self.try_again(&why) {
                        self.hear(why, pause);
                    }
                    return;
                }
                Err(_) => return self.mint_alone(attempt, trace).await,
            }
        }
        self.fail(Why::Trouble(Problem::Timeout), Some(LOOK_EVERY));
    }

    async fn mint_alone(&self, attempt: Uuid, trace: &Trace) {
        let began = Instant::now();
        if let Some(why) = self.barred(false) {
            self.try_again(&why);
            return;
        }
        if let Err(wait) = self.take_alone(attempt, began) {
            if !self.try_again(&Why::Spent) {
                self.fail(Why::Spent, Some(wait));
            }
            return;
        }
        let failures = lock(&self.state).failures;
        match self.ask(trace).await {
            Ok(minted) => self.adopt(&minted, began, None),
            Err(why) => {
                let pause = why.pause(failures, random());
                if why.is_unheard() {
                    lock(&self.mints).give_back(attempt, Instant::now());
                }
                self.fail(why, pause);
            }
        }
    }

    async fn mint_for_all(&self, place: &Place, right: &Right, attempt: Uuid, trace: &Trace) {
        let began = Instant::now();
        match self.ask(trace).await {
            Ok(minted) => {
                let sealed = place.share(right, &minted).await;
                self.adopt(&minted, began, sealed);
            }
            Err(why) => {
                // All instances wait for equally long.
                let pause = why.pause(right.failures, random());
                if why.is_unheard() {
                    self.leave(place, right, attempt).await;
                } else {
                    place.stop(right, &why, pause).await;
                }
                self.fail(why, pause);
            }
        }
    }

    /// Zoho has not heard of that attempt: it counts for nobody.
    async fn leave(&self, place: &Place, right: &Right, attempt: Uuid) {
        lock(&self.mints).give_back(attempt, Instant::now());
        place.give_back(right).await;
        self.tell(place).await;
    }
}

fn random() -> u32 {
    getrandom::u32().unwrap_or(u32::MAX)
}
