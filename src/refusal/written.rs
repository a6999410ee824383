//! The body of a refusal.

use rmcp::model::ProtocolVersion;
use serde::Serialize;
use serde_json::value::RawValue;

#[derive(Serialize)]
pub(super) struct Plain<'a> {
    pub(super) error: &'a str,
}

#[derive(Serialize)]
pub(super) struct RpcError<'a> {
    jsonrpc: &'static str,
    id: Option<&'a RawValue>,
    error: RpcErrorBody<'a>,
}

#[derive(Serialize)]
struct RpcErrorBody<'a> {
    code: i64,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<ErrorData<'a>>,
}

#[derive(Serialize)]
#[serde(untagged, rename_all_fields = "camelCase")]
pub(super) enum ErrorData<'a> {
    Limit {
        retry_after_seconds: u64,
        violated_policies: &'a [&'static str],
    },
    Overload {
        retry_after_seconds: u64,
    },
    Versions {
        requested: &'a str,
        supported: &'static [ProtocolVersion],
    },
}

impl<'a> RpcError<'a> {
    pub(super) fn new(
        id: Option<&'a RawValue>,
        code: i64,
        message: &'a str,
        data: Option<ErrorData<'a>>,
    ) -> Self {
        Self {
            jsonrpc: "2.0",
            id,
            error: RpcErrorBody {
                code,
                message,
                data,
            },
        }
    }
}
