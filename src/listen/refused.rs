//! Client certificates that were refused, on their way to whoever records them.

use std::{
    collections::BTreeMap,
    mem,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::mpsc::{self, error::TrySendError};

use super::{ClientCertificate, Untrusted};

/// A client certificate that was refused in the handshake, or later, when it was not trusted any
/// more.
#[derive(Clone, Debug)]
pub struct RefusedCertificate {
    /// The connection's address.
    pub ip: IpAddr,
    /// Why.
    pub why: Untrusted,
    /// The one that was shown, if any was.
    pub certificate: Option<Arc<ClientCertificate>>,
    /// Whether it was trusted until now. The names in one that never was are anybody's.
    pub was_trusted: bool,
}

/// Where the listener says it.
#[derive(Clone, Debug)]
pub struct RefusedSender {
    told: mpsc::Sender<RefusedCertificate>,
    counted: Counts,
}

/// Where it is heard.
#[derive(Debug)]
pub struct RefusedReceiver {
    told: mpsc::Receiver<RefusedCertificate>,
    counted: Counts,
}

/// Those that there was no room for, by why they were refused.
type Counts = Arc<Mutex<BTreeMap<&'static str, u64>>>;

/// Room for so many that nobody has heard of yet.
pub fn refused_certificates(room: usize) -> (RefusedSender, RefusedReceiver) {
    let (sender, receiver) = mpsc::channel(room);
    let counted = Counts::default();
    let sender = RefusedSender {
        told: sender,
        counted: counted.clone(),
    };
    let receiver = RefusedReceiver {
        told: receiver,
        counted,
    };
    (sender, receiver)
}

impl RefusedSender {
    /// Says it of a certificate that was trusted until now, and waits until there is room.
    pub(super) async fn tell(&self, refused: RefusedCertificate) {
        // Gone only when nobody records any more: at the very end.
        let _ = self.told.send(refused).await;
    }

    /// Says it of a certificate that never was trusted, or counts it where there is no room: whoever
    /// shows one is to hold no place in the meantime.
    pub(super) fn tell_or_count(&self, refused: RefusedCertificate) {
        // Held meanwhile, so that whoever hears the next one sees this one counted.
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(TrySendError::Full(refused)) = self.told.try_send(refused) {
            *counted.entry(refused.why.reason()).or_default() += 1;
        }
    }
}

impl RefusedReceiver {
    /// The next one; `None` when there will be no more.
    pub async fn next(&mut self) -> Option<RefusedCertificate> {
        self.told.recv().await
    }

    /// How many were counted since the last time, by the reason. While there are any, there is a
    /// next one.
    pub fn counted(&self) -> BTreeMap<&'static str, u64> {
        mem::take(&mut self.counted.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(why: Untrusted) -> RefusedCertificate {
        RefusedCertificate {
            ip: IpAddr::from([192, 0, 2, 1]),
            why,
            certificate: None,
            was_trusted: false,
        }
    }

    #[tokio::test]
    async fn nobody_waits_to_be_recorded_and_nobody_goes_uncounted() {
        let (sender, mut receiver) = refused_certificates(2);
        for why in [Untrusted::Expired, Untrusted::Missing, Untrusted::Expired] {
            sender.tell_or_count(refused(why));
            sender.tell_or_count(refused(why));
        }
        for _ in 0..2 {
            assert_eq!(receiver.next().await.unwrap().why, Untrusted::Expired);
        }
        let counted = BTreeMap::from([("certificate_expired", 2), ("no_certificate", 2)]);
        assert_eq!(receiver.counted(), counted);
        assert!(receiver.counted().is_empty());
        drop(sender);
        assert!(receiver.next().await.is_none());
    }
}
