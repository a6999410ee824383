//! A load balancer as small as can be: every connection goes to the next instance that accepts it.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
};

use crate::{agent::Agent, house::House};

pub(crate) struct Balancer {
    url: String,
}

impl Balancer {
    /// Before some instances, whichever of them are there.
    pub(crate) async fn before(houses: &[House]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let instances: Arc<[String]> = houses
            .iter()
            .map(|house| house.address().to_owned())
            .collect();
        tokio::spawn(balance(listener, instances));
        Self { url }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// An agent that knows only the balancer.
    pub(crate) fn agent(&self, key: &str) -> Agent {
        Agent::new(&self.url, Some(key))
    }
}

async fn balance(listener: TcpListener, instances: Arc<[String]>) {
    let turn = Arc::<AtomicUsize>::default();
    while let Ok((mut near, _)) = listener.accept().await {
        let (instances, turn) = (instances.clone(), turn.clone());
        tokio::spawn(async move {
            near.set_nodelay(true)?;
            let mut far = connect(&instances, &turn).await?;
            far.set_nodelay(true)?;
            copy_bidirectional(&mut near, &mut far).await
        });
    }
}

/// Tries another one only when it was refused: nothing was sent by then.
async fn connect(instances: &[String], turn: &AtomicUsize) -> std::io::Result<TcpStream> {
    let first = turn.fetch_add(1, Ordering::Relaxed);
    let mut refused = None;
    for next in 0..instances.len() {
        match TcpStream::connect(&instances[(first + next) % instances.len()]).await {
            Ok(stream) => return Ok(stream),
            Err(error) => refused = Some(error),
        }
    }
    Err(refused.unwrap())
}
