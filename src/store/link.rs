//! One connection, to one Redis, to a cluster, or to the primary that sentinels name.

use std::{sync::Arc, time::Duration};

use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionAddr, ConnectionInfo, ErrorKind,
    IntoConnectionInfo as _, Pipeline, RedisFuture, RedisResult, ServerErrorKind, TlsCertificates,
    TlsMode, Value,
    aio::{ConnectionLike, MultiplexedConnection},
    cluster::ClusterClient,
    cluster_async::ClusterConnection,
    sentinel::{SentinelClient, SentinelClientBuilder, SentinelServerType},
};
use secrecy::ExposeSecret as _;

use super::{
    access::Access,
    config::{BadStore, Config, Kind, Url},
};

/// A connection that many tasks may use at once. Cheap to clone.
#[derive(Clone)]
pub struct Link {
    way: Way,
    process: Process,
}

#[derive(Clone)]
enum Way {
    /// To one Redis.
    Node(MultiplexedConnection),
    /// To the node of a cluster that holds the key.
    Cluster(ClusterConnection),
}

/// Which process answers. One that has started again may have older data, though it has some.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Process {
    /// The same for as long as the connection lasts: the id that Redis gives itself at each start.
    Known(Arc<str>),
    /// Redis does not let us ask.
    Hidden,
    /// It may change from one question to the next.
    Changing,
}

impl Link {
    fn new(way: Way) -> Self {
        let process = match way {
            Way::Node(_) => Process::Hidden,
            Way::Cluster(_) => Process::Changing,
        };
        Self { way, process }
    }

    /// Which process answers on it.
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// Asks which process answers. A user without the right to `INFO` goes on without knowing.
    pub(super) async fn introduce(&mut self) -> RedisResult<()> {
        if self.process == Process::Changing {
            return Ok(());
        }
        let mut info = redis::cmd("INFO");
        let told: RedisResult<String> = info.arg("server").query_async(self).await;
        let id = match &told {
            Ok(told) => told.lines().find_map(|line| line.strip_prefix("run_id:")),
            Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoPerm) => None,
            Err(error) => return Err(error.clone()),
        };
        self.process = id.map_or(Process::Hidden, |id| Process::Known(id.trim().into()));
        Ok(())
    }
}

impl ConnectionLike for Link {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        match &mut self.way {
            Way::Node(node) => node.req_packed_command(cmd),
            Way::Cluster(cluster) => cluster.req_packed_command(cmd),
        }
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        match &mut self.way {
            Way::Node(node) => node.req_packed_commands(pipeline, offset, count),
            Way::Cluster(cluster) => cluster.req_packed_commands(pipeline, offset, count),
        }
    }

    fn get_db(&self) -> i64 {
        match &self.way {
            Way::Node(node) => node.get_db(),
            Way::Cluster(cluster) => cluster.get_db(),
        }
    }
}

/// Knows how to connect.
pub(super) struct Dialer {
    target: Target,
    node: AsyncConnectionConfig,
}

enum Target {
    Node(Client),
    Cluster(ClusterClient),
    Sentinels(SentinelClient),
}

impl Dialer {
    /// Connects to nothing yet.
    pub(super) fn new(
        config: &Config,
        access: &Access,
        connect_within: Duration,
    ) -> Result<Self, BadStore> {
        config.check()?;
        // What a caller waits for is bounded in one place, around this.
        let answer_within = connect_within.max(config.timeout.duration());
        let certificates = TlsCertificates {
            client_tls: None,
            root_cert: access.authority.clone(),
        };
        let target = match config.kind {
            Kind::Single => config
                .url
                .first()
                .ok_or(BadStore::Url)
                .and_then(|url| node(url, access, certificates))
                .map(Target::Node),
            Kind::Cluster => cluster(config, access, certificates, connect_within, answer_within)
                .map(Target::Cluster)
                .map_err(BadStore::Client),
            Kind::Sentinel => sentinels(config, access, certificates)
                .map(Target::Sentinels)
                .map_err(BadStore::Client),
        }?;
        Ok(Self {
            target,
            node: AsyncConnectionConfig::new()
                .set_connection_timeout(Some(connect_within))
                .set_response_timeout(Some(answer_within))
                .set_pipeline_buffer_size(PIPELINE),
        })
    }

    pub(super) async fn connect(&mut self) -> RedisResult<Link> {
        let way = match &mut self.target {
            Target::Node(client) => {
                let connecting = client.get_multiplexed_async_connection_with_config(&self.node);
                Way::Node(connecting.await?)
            }
            Target::Cluster(client) => Way::Cluster(client.get_async_connection().await?),
            Target::Sentinels(client) => {
                let connecting = client.get_async_connection_with_config(&self.node);
                Way::Node(connecting.await?)
            }
        };
        Ok(Link::new(way))
    }
}

fn node(url: &Url, access: &Access, certificates: TlsCertificates) -> Result<Client, BadStore> {
    let info = info(url, access).map_err(BadStore::Client)?;
    let client = match url.tls {
        true => Client::build_with_tls(info, certificates),
        false => Client::open(info),
    };
    client.map_err(BadStore::Client)
}

fn cluster(
    config: &Config,
    access: &Access,
    certificates: TlsCertificates,
    connect_within: Duration,
    answer_within: Duration,
) -> RedisResult<ClusterClient> {
    let nodes: RedisResult<Vec<ConnectionInfo>> =
        config.url.iter().map(|url| info(url, access)).collect();
    let mut builder = ClusterClient::builder(nodes?)
        .connection_timeout(connect_within)
        .response_timeout(answer_within)
        .retries(1)
        .min_retry_wait(10)
        .max_retry_wait(50);
    if config.url.iter().any(|url| url.tls) {
        builder = builder.tls(TlsMode::Secure).certs(certificates);
    }
    builder.build()
}

fn sentinels(
    config: &Config,
    access: &Access,
    certificates: TlsCertificates,
) -> RedisResult<SentinelClient> {
    let master = config.master.as_deref().unwrap_or_default();
    let addresses = config.url.iter().map(address);
    let mut builder = SentinelClientBuilder::new(addresses, master, SentinelServerType::Master)?;
    if let Some(first) = config.url.first() {
        builder = builder.set_client_to_redis_db(first.database);
    }
    if config.url.iter().any(|url| url.tls) {
        builder = builder
            .set_client_to_redis_tls_mode(TlsMode::Secure)
            .set_client_to_redis_certificates(certificates.clone())
            .set_client_to_sentinel_tls_mode(TlsMode::Secure)
            .set_client_to_sentinel_certificates(certificates);
    }
    if let Some(username) = &access.username {
        builder = builder.set_client_to_redis_username(username);
    }
    if let Some(password) = &access.passwords.redis {
        builder = builder.set_client_to_redis_password(password.expose_secret());
    }
    if let Some(password) = &access.passwords.sentinel {
        builder = builder.set_client_to_sentinel_password(password.expose_secret());
    }
    builder.build()
}

fn info(url: &Url, access: &Access) -> RedisResult<ConnectionInfo> {
    let info = address(url).into_connection_info()?;
    let mut settings = info
        .redis_settings()
        .clone()
        .set_db(url.database)
        .set_lib_name(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"));
    if let Some(username) = &access.username {
        settings = settings.set_username(username);
    }
    if let Some(password) = &access.passwords.redis {
        settings = settings.set_password(password.expose_secret());
    }
    Ok(info.set_redis_settings(settings))
}

fn address(url: &Url) -> ConnectionAddr {
    match url.tls {
        true => ConnectionAddr::TcpTls {
            host: url.host.clone(),
            port: url.port,
            insecure: false,
            tls_params: None,
        },
        false => ConnectionAddr::Tcp(url.host.clone(), url.port),
    }
}

/// Commands that may wait to be written. The default of 50 makes callers wait for each other.
const PIPELINE: usize = 4096;
