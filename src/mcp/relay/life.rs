//! Which instances live. Each says so every two seconds, in one place for all, where it also stands
//! since when that place is whole: an instance that is missing there is gone only when all that live
//! have had the time to say so since.

use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::{RETRY, Relay, turn::millis};

impl Relay {
    /// Says for as long as the process lives that it does.
    pub(super) async fn live(&self) {
        // Sessions begin as soon as Redis can be asked, and then nobody may take this for gone.
        let _ = self.store.tried().await;
        loop {
            let said_before = u8::from(self.said.is_cancelled()).to_string().into_bytes();
            let arguments = [
                self.instance.as_bytes().to_vec(),
                millis(LIVES),
                said_before,
                millis(FORGOTTEN),
            ];
            let keys = [LIFE_KEY, WHOLE_KEY];
            let said = self
                .store
                .run_script::<u8>(&self.beat, &keys, &arguments)
                .await;
            self.said.cancel();
            match said {
                Ok(_) => sleep(BEAT).await,
                Err(_) => tokio::select! {
                    () = self.store.changed() => {}
                    () = sleep(RETRY) => {}
                },
            }
        }
    }

    /// Waits until the others know of this instance, or cannot be told.
    pub(in crate::mcp) async fn announced(&self) {
        let _ = timeout(BEAT, self.said.cancelled()).await;
    }

    /// This instance ends, and its sessions with it. What is not told runs out by itself.
    pub async fn leave(&self) {
        let arguments = [self.instance.as_bytes().to_vec()];
        let left = self
            .store
            .run_script::<u8>(&self.leave, &[LIFE_KEY], &arguments);
        let _ = left.await;
    }
}

/// Until when the sign of life of each instance holds.
pub(super) const LIFE_KEY: &str = "zm:relay:{sse}:lives";
/// Since when nothing is missing there.
pub(super) const WHOLE_KEY: &str = "zm:relay:{sse}:whole";
/// Without a word an instance is given up after this.
pub(super) const LIVES: Duration = Duration::from_secs(10);
const BEAT: Duration = Duration::from_secs(2);
/// No longer is known of one that has ended.
const FORGOTTEN: Duration = Duration::from_secs(3600);
