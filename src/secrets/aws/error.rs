//! What can be in the way of a secret in AWS, and what to do about it.

use crate::setting::AwsRef;

/// Why a secret in AWS could not be had. Names the secret, never its content.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot {} the secret {reference}: {problem}{}", action.verb(), remedy(*problem, *action))]
#[expect(missing_docs, reason = "the message says it")]
pub struct AwsError {
    pub reference: AwsRef,
    pub action: Action,
    pub problem: AwsProblem,
}

impl AwsError {
    /// Whether trying again can help without a change of the configuration. An operator may be
    /// granting a right or filling a secret right now, and AWS takes its time to spread that.
    pub fn may_pass(&self) -> bool {
        self.problem != AwsProblem::NoRegion
    }
}

/// What was tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Action {
    Read,
    Write,
    Create,
}

impl Action {
    const fn verb(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Create => "create",
        }
    }

    const fn right(self) -> &'static str {
        match self {
            Self::Read => "secretsmanager:GetSecretValue, and kms:Decrypt",
            Self::Write => "secretsmanager:PutSecretValue, and kms:GenerateDataKey and kms:Decrypt",
            Self::Create => "secretsmanager:CreateSecret, and kms:GenerateDataKey and kms:Decrypt",
        }
    }
}

/// What is in the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum AwsProblem {
    #[error("no region is known; name the secret by its ARN, or set AWS_REGION")]
    NoRegion,
    #[error(
        "no AWS credentials were found; give the task or instance a role, or set AWS_PROFILE or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
    )]
    NoCredentials,
    #[error("AWS does not accept the credentials; they may be expired or of another account")]
    BadCredentials,
    #[error("access denied")]
    AccessDenied,
    #[error(
        "there is no such secret, or it has no value yet; look at its name, region and account"
    )]
    NotFound,
    #[error("it cannot be decrypted; the KMS key must be enabled and kms:Decrypt allowed on it")]
    Decryption,
    #[error("it is marked for deletion; restore it, or name another")]
    Deleted,
    #[error("it is not a JSON object with that field; look at what stands after the #")]
    NoField,
    #[error("no answer in time; look at the way to the Secrets Manager endpoint")]
    TimedOut,
    #[error(
        "the Secrets Manager endpoint cannot be reached; look at AWS_ENDPOINT_URL, DNS and the way out"
    )]
    Unreachable,
    #[error("too many requests to Secrets Manager; it is tried again")]
    Throttled,
    #[error("Secrets Manager fails; it is tried again")]
    Unavailable,
    #[error("the answer is larger than that of any secret; look at AWS_ENDPOINT_URL")]
    TooLarge,
    #[error("another exists already under that name; name it by its ARN")]
    Exists,
    #[error("AWS refuses the request")]
    Refused,
}

impl AwsProblem {
    /// What a code of AWS means.
    pub(super) fn of(code: Option<&str>) -> Self {
        match code.unwrap_or_default() {
            "AccessDeniedException" | "AccessDenied" => Self::AccessDenied,
            "ResourceNotFoundException" => Self::NotFound,
            "DecryptionFailure" | "DecryptionFailureException" | "EncryptionFailure" => {
                Self::Decryption
            }
            "InvalidRequestException" => Self::Deleted,
            "ResourceExistsException" => Self::Exists,
            "UnrecognizedClientException"
            | "InvalidSignatureException"
            | "InvalidClientTokenId"
            | "ExpiredToken"
            | "ExpiredTokenException"
            | "IncompleteSignature"
            | "MissingAuthenticationToken" => Self::BadCredentials,
            "ThrottlingException"
            | "Throttling"
            | "TooManyRequestsException"
            | "LimitExceededException" => Self::Throttled,
            "InvalidParameterException" | "ValidationException" => Self::Refused,
            _ => Self::Unavailable,
        }
    }
}

fn remedy(problem: AwsProblem, action: Action) -> String {
    match problem {
        AwsProblem::AccessDenied => {
            let right = action.right();
            format!("; allow {right} when its key is one of your own")
        }
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_names_the_secret_and_what_to_do() {
        let of = |action, code| {
            let error = AwsError {
                reference: "prod/keys".parse().unwrap(),
                action,
                problem: AwsProblem::of(Some(code)),
            };
            error.to_string()
        };
        assert_eq!(
            of(Action::Read, "AccessDeniedException"),
            "cannot read the secret aws:prod/keys: access denied; allow \
             secretsmanager:GetSecretValue, and kms:Decrypt when its key is one of your own"
        );
        assert!(of(Action::Write, "AccessDeniedException").contains("PutSecretValue"));
        for (code, says) in [
            ("ResourceNotFoundException", "no such secret"),
            ("DecryptionFailure", "kms:Decrypt"),
            ("ExpiredTokenException", "expired"),
            ("ThrottlingException", "too many requests"),
            ("InternalServiceError", "tried again"),
            ("SomethingNew", "tried again"),
        ] {
            let text = of(Action::Read, code);
            assert!(
                text.contains("aws:prod/keys") && text.contains(says),
                "{text}"
            );
        }
    }
}
