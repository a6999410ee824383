//! What instances share of Zoho: kept while one runs, and left to the others when it ends.

use std::time::Duration;

use tokio::time::sleep;

use super::Zoho;

impl Zoho {
    /// Keeps what instances share of Zoho, until it is dropped.
    pub async fn keep(self) {
        let tell = async {
            loop {
                self.inner.tokens().keep().await;
                sleep(TELL_EVERY).await;
            }
        };
        // There may be many of them, and who says nothing for long loses slots.
        let denials = async {
            loop {
                self.inner.roster.look().await;
                sleep(TELL_EVERY).await;
            }
        };
        let (allowance, roster) = (self.inner.allowance.keep(), self.inner.roster.keep());
        tokio::join!(allowance, roster, tell, denials);
    }

    /// Leaves what only one instance may have to the others, when the last call is answered.
    pub async fn leave(&self) {
        self.inner.tokens().leave().await;
    }
}

/// How often instances tell each other what they know of access tokens.
const TELL_EVERY: Duration = Duration::from_secs(1);
