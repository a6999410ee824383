//! Why a body is refused: each problem with its code and its text.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::refusal::Refusal;

/// Why a body is refused. The texts tell what is wrong without echoing any of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.outline().1)]
#[expect(missing_docs, reason = "the texts say it")]
pub enum Unreadable {
    Encoding,
    Json,
    Depth,
    Value,
    Batch,
    Shape,
    Twice,
    Method,
    Id,
    Params,
    Name,
    NoTool,
    Arguments,
}

impl Unreadable {
    /// The specification's code, and the text.
    const fn outline(self) -> (i64, &'static str) {
        match self {
            Self::Encoding => (-32700, "Parse error: the body is not valid UTF-8"),
            Self::Json => (-32700, "Parse error: the body is not one JSON object"),
            Self::Depth => (-32700, "Parse error: the JSON is nested too deep"),
            Self::Value => (
                -32700,
                "Parse error: a number is out of range, or a text has an unpaired surrogate",
            ),
            Self::Batch => (
                -32600,
                "Invalid Request: batches are not supported, send one message a request",
            ),
            Self::Shape => (-32600, "Invalid Request: not a JSON-RPC 2.0 message"),
            Self::Twice => (-32600, "Invalid Request: a key appears twice in one object"),
            Self::Method => (
                -32600,
                "Invalid Request: the method must be a text of 1 to 128 bytes",
            ),
            Self::Id => (
                -32600,
                "Invalid Request: the id must be a string of up to 1024 bytes or an integer",
            ),
            Self::Params => (
                -32602,
                "Invalid params: params must be an object, which gives each parameter by name",
            ),
            Self::Name => (
                -32602,
                "Invalid params: the names and versions in params must be texts",
            ),
            Self::NoTool => (-32602, "Invalid params: tools/call needs params.name"),
            Self::Arguments => (-32602, "Invalid params: params.arguments must be an object"),
        }
    }

    /// The refusal of a body, with the body's id where that can be read.
    pub fn refuse(self, body: &[u8]) -> Refusal {
        #[derive(Deserialize)]
        struct Identified<'a> {
            #[serde(borrow, default, deserialize_with = "present")]
            id: Option<&'a RawValue>,
        }
        let (code, problem) = self.outline();
        let read = || serde_json::from_slice::<Identified<'_>>(body).ok()?.id;
        // A list would be read as the values of the struct in their order.
        let id = if self == Self::Batch { None } else { read() };
        let id = id.filter(|id| is_id(id.get())).map(ToOwned::to_owned);
        Refusal::Unreadable { code, id, problem }
    }
}

/// A key that is there with `null` is there.
pub(super) fn present<'de: 'a, 'a, D>(deserializer: D) -> Result<Option<&'a RawValue>, D::Error>
where
    D: serde::Deserializer<'de>,
{
    <&RawValue>::deserialize(deserializer).map(Some)
}

/// Bytes of an id that is a string; a longer one is no request's.
pub const LONGEST_ID: usize = 1024;

/// An id as JSON-RPC has it, of a size that can be kept.
pub(super) fn is_id(raw: &str) -> bool {
    if raw.starts_with('"') {
        raw.len() <= LONGEST_ID + 2
    } else {
        raw.parse::<i64>().is_ok()
    }
}
