//! Secrets in AWS Secrets Manager: only stages that are asked for by name, within bounds.
//!
//! The stage `AWSPENDING` belongs to a rotation that is not finished; nothing here asks for it.

mod bounded;
mod error;

use std::{error::Error, io, time::Duration};

use aws_config::{
    BehaviorVersion, Region, identity::IdentityCache, meta::region::ProvideRegion as _,
    profile::ProfileFileRegionProvider, timeout::TimeoutConfig,
};
use aws_sdk_secretsmanager::{
    Client, config,
    config::{ProvideCredentials as _, SharedCredentialsProvider},
    error::{ProvideErrorMetadata, SdkError},
    operation::get_secret_value::GetSecretValueOutput,
};
use jiff::Timestamp;
use serde_json::{Value, value::RawValue};
use zeroize::Zeroizing;

use super::{Secret, SecretError};
use crate::setting::AwsRef;
use bounded::Bounded;
pub use error::{Action, AwsError, AwsProblem};

/// One secret, and the way to it. Cheap to clone; its connections are kept.
#[derive(Clone, Debug)]
pub struct AwsSecret {
    client: Client,
    credentials: Option<SharedCredentialsProvider>,
    reference: AwsRef,
}

/// One version of a secret.
#[derive(Debug)]
pub struct Version {
    /// Names the version.
    pub id: String,
    /// When it was made.
    pub created: Option<Timestamp>,
    /// What it holds.
    pub secret: Secret,
}

/// The region that the environment names.
pub fn region(env: &dyn Fn(&str) -> Option<String>) -> Option<String> {
    let named = |name| env(name).filter(|region| !region.is_empty());
    named("AWS_REGION").or_else(|| named("AWS_DEFAULT_REGION"))
}

impl AwsSecret {
    /// Finds the way to a secret; asks nobody yet. The region comes from the ARN, else `region`,
    /// else the profile: never from the instance's metadata, which would stall where there is none.
    ///
    /// # Errors
    /// When there is no region.
    pub async fn open(reference: &AwsRef, region: Option<String>) -> Result<Self, AwsError> {
        let known = reference.region().map(str::to_owned).or(region);
        let region = match known {
            Some(region) => Some(Region::new(region)),
            None => ProfileFileRegionProvider::new().region().await,
        };
        let region = region.ok_or_else(|| AwsError {
            reference: reference.clone(),
            action: Action::Read,
            problem: AwsProblem::NoRegion,
        })?;
        let config = aws_config::defaults(BehaviorVersion::latest())
            .region(region)
            .timeout_config(
                TimeoutConfig::builder()
                    .connect_timeout(CONNECT)
                    .operation_attempt_timeout(ATTEMPT)
                    .operation_timeout(OPERATION)
                    .build(),
            )
            .identity_cache(IdentityCache::lazy().load_timeout(ATTEMPT).build())
            .load()
            .await;
        Ok(Self {
            client: Client::from_conf(config::Builder::from(&config).interceptor(Bounded).build()),
            credentials: config.credentials_provider(),
            reference: reference.clone(),
        })
    }

    /// The version that counts.
    ///
    /// # Errors
    /// What is in the way, and what to do about it.
    pub async fn current(&self) -> Result<Version, SecretError> {
        self.version("AWSCURRENT").await
    }

    /// The version that counted before; `None` when there is none.
    ///
    /// # Errors
    /// As [`AwsSecret::current`].
    pub async fn previous(&self) -> Result<Option<Version>, SecretError> {
        match self.version("AWSPREVIOUS").await {
            Ok(version) => Ok(Some(version)),
            Err(SecretError::Aws(error)) if error.problem == AwsProblem::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Makes a text the current version, under an id of the caller's choice.
    ///
    /// # Errors
    /// What is in the way, and what to do about it.
    pub async fn put(&self, text: &str, version: &str) -> Result<(), AwsError> {
        let put = self
            .client
            .put_secret_value()
            .secret_id(&self.reference.id)
            .client_request_token(version)
            .secret_string(text);
        match put.send().await {
            Ok(_) => Ok(()),
            Err(error) => Err(self.failed(Action::Write, &error).await),
        }
    }

    /// Makes the secret with its first version.
    ///
    /// # Errors
    /// As [`AwsSecret::put`].
    pub async fn create(&self, text: &str, version: &str) -> Result<(), AwsError> {
        let create = self
            .client
            .create_secret()
            .name(&self.reference.id)
            .client_request_token(version)
            .secret_string(text);
        match create.send().await {
            Ok(_) => Ok(()),
            Err(error) => Err(self.failed(Action::Create, &error).await),
        }
    }

    async fn version(&self, stage: &str) -> Result<Version, SecretError> {
        let get = self
            .client
            .get_secret_value()
            .secret_id(&self.reference.id)
            .version_stage(stage);
        let got = match get.send().await {
            Ok(got) => got,
            Err(error) => return Err(self.failed(Action::Read, &error).await.into()),
        };
        let id = got.version_id().unwrap_or_default().to_owned();
        let created = got
            .created_date()
            .and_then(|created| Timestamp::from_second(created.secs()).ok());
        Ok(Version {
            id,
            created,
            secret: self.secret(got)?,
        })
    }

    fn secret(&self, got: GetSecretValueOutput) -> Result<Secret, SecretError> {
        let bytes = match (got.secret_string, got.secret_binary) {
            (Some(text), _) => text.into_bytes(),
            (None, Some(blob)) => blob.into_inner(),
            (None, None) => Vec::new(),
        };
        let bytes = Zeroizing::new(bytes);
        let secret = Secret::within(MAX_BYTES, &bytes, || self.reference.to_string())?;
        match &self.reference.field {
            None => Ok(secret),
            Some(name) => {
                let field = field(secret.bytes(), name)
                    .ok_or_else(|| self.error(Action::Read, AwsProblem::NoField))?;
                Secret::within(MAX_BYTES, &field, || self.reference.to_string())
            }
        }
    }

    async fn failed<E: ProvideErrorMetadata, R>(
        &self,
        action: Action,
        error: &SdkError<E, R>,
    ) -> AwsError
    where
        SdkError<E, R>: Error + 'static,
    {
        let problem = match error {
            error if bounded::was_too_large(error) => AwsProblem::TooLarge,
            SdkError::ServiceError(answer) => AwsProblem::of(answer.err().code()),
            SdkError::DispatchFailure(failure) if failure.is_io() => AwsProblem::Unreachable,
            SdkError::ResponseError(_) => AwsProblem::Unavailable,
            // Without credentials nothing is sent; the SDK tells that in many ways.
            _ if !self.has_credentials().await => AwsProblem::NoCredentials,
            SdkError::TimeoutError(_) => AwsProblem::TimedOut,
            SdkError::DispatchFailure(failure) if failure.is_timeout() => AwsProblem::TimedOut,
            _ => AwsProblem::Unreachable,
        };
        self.error(action, problem)
    }

    async fn has_credentials(&self) -> bool {
        let Some(provider) = &self.credentials else {
            return false;
        };
        let found = tokio::time::timeout(DIAGNOSIS, provider.provide_credentials()).await;
        matches!(found, Ok(Ok(_)))
    }

    fn error(&self, action: Action, problem: AwsProblem) -> AwsError {
        AwsError {
            reference: self.reference.clone(),
            action,
            problem,
        }
    }
}

/// A field of a JSON object: a text as it reads, anything else as JSON.
fn field(object: &[u8], name: &str) -> Option<Zeroizing<Vec<u8>>> {
    let fields: std::collections::BTreeMap<&str, &RawValue> =
        serde_json::from_slice(object).ok()?;
    let raw = fields.get(name)?.get();
    let bytes = match serde_json::from_str(raw).ok()? {
        Value::String(text) => text.into_bytes(),
        Value::Null => return None,
        _ => raw.as_bytes().to_vec(),
    };
    Some(Zeroizing::new(bytes))
}

/// Runs what needs the network where nothing is asynchronous. Has a thread of its own, since a
/// runtime may be waiting on this one.
///
/// # Errors
/// When the operating system gives no thread or no runtime.
pub fn block_on<T: Send>(work: impl Future<Output = T> + Send) -> io::Result<T> {
    let run = || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        Ok(runtime.block_on(work))
    };
    std::thread::scope(|scope| match scope.spawn(run).join() {
        Ok(done) => done,
        Err(panic) => std::panic::resume_unwind(panic),
    })
}

const CONNECT: Duration = Duration::from_secs(2);
const ATTEMPT: Duration = Duration::from_secs(2);
const OPERATION: Duration = Duration::from_secs(4);
/// To find out whether there are credentials at all, once something has failed.
const DIAGNOSIS: Duration = Duration::from_secs(1);
/// What Secrets Manager itself allows.
pub const MAX_BYTES: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_taken_as_text_or_as_json() {
        let object = br#"{"a":"x\"y","b":{"c": 1},"d":null,"e":""}"#;
        let field = |name| field(object, name).map(|bytes| bytes.to_vec());
        assert_eq!(field("a").unwrap(), b"x\"y");
        assert_eq!(field("b").unwrap(), br#"{"c": 1}"#);
        assert_eq!(field("e").unwrap(), b"");
        assert_eq!(field("d"), None);
        assert_eq!(field("f"), None);
        assert_eq!(super::field(b"hunter2", "a"), None);
    }

    #[test]
    fn the_environment_names_the_region_in_two_ways() {
        let of = |name: &'static str, value: &'static str| {
            region(&move |asked| (asked == name).then(|| value.to_owned()))
        };
        assert_eq!(
            of("AWS_REGION", "eu-south-1").as_deref(),
            Some("eu-south-1")
        );
        assert_eq!(of("AWS_DEFAULT_REGION", "x").as_deref(), Some("x"));
        assert_eq!(of("AWS_REGION", ""), None);
        assert_eq!(of("REGION", "x"), None);
    }

    #[test]
    fn the_way_to_an_arn_needs_no_region_from_elsewhere() {
        let reference = "arn:aws:secretsmanager:eu-south-1:123456789012:secret:keys-AbCdEf";
        let opened = block_on(AwsSecret::open(&reference.parse().unwrap(), None));
        assert!(opened.unwrap().is_ok());
    }
}
