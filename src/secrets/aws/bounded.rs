//! Answers of Secrets Manager are read within bounds, whoever it is that answers in its place.

use std::error::Error;

use aws_sdk_secretsmanager::{
    config::{ConfigBag, Intercept, RuntimeComponents, interceptors},
    error::BoxError,
};
use aws_smithy_types::body::SdkBody;
use http_body_util::{LengthLimitError, Limited};

/// Ends an answer that is too large while it comes in: the SDK would hold all of it.
#[derive(Debug)]
pub(super) struct Bounded;

impl Intercept for Bounded {
    fn name(&self) -> &'static str {
        "Bounded"
    }

    fn modify_before_deserialization(
        &self,
        context: &mut interceptors::BeforeDeserializationInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let response = context.response_mut();
        let body = Limited::new(response.take_body(), MAX_ANSWER);
        *response.body_mut() = SdkBody::from_body_1_x(body);
        Ok(())
    }
}

/// Whether an answer ended for its size.
pub(super) fn was_too_large(error: &(dyn Error + 'static)) -> bool {
    let mut causes = std::iter::successors(Some(error), |cause| (*cause).source());
    causes.any(|cause| cause.is::<LengthLimitError>())
}

/// The largest secret, each of its bytes as `\u0000`, and what stands around it.
const MAX_ANSWER: usize = 512 << 10;
