//! One message: its id, its method, and for `tools/call` the tool and the raw arguments.

use std::borrow::Cow;

use bytes::Bytes;
use serde::{Deserialize, de::IgnoredAny};
use serde_json::{Value, error::Category, value::RawValue};

use super::{
    unreadable::{Unreadable, is_id, present},
    values::Readable,
};
use crate::telemetry::Remote;

/// What the guards need to know of a message.
#[derive(Clone, Debug)]
pub struct Call {
    /// Absent for notifications and for answers to requests of ours.
    pub id: Option<Box<RawValue>>,
    /// Empty for answers to requests of ours.
    pub method: Box<str>,
    /// `params.name` or `params.uri`, what `Mcp-Name` has to repeat.
    pub name: Option<Box<str>>,
    /// The raw text of `params.arguments`: one JSON object.
    pub arguments: Option<Bytes>,
    /// Whether `params` has nothing but a name and arguments that means anything.
    pub is_only_arguments: bool,
    /// The revision that `params._meta` names.
    pub version: Option<Box<str>>,
    /// The span of the caller's that `params._meta` names.
    pub trace: Option<Remote>,
}

impl Call {
    /// Reads one message.
    ///
    /// # Errors
    /// Anything but exactly one well-formed JSON-RPC 2.0 message in UTF-8: batches, duplicate keys,
    /// trailing bytes, nesting beyond 32 levels, values that cannot be read.
    pub fn parse(body: &Bytes) -> Result<Self, Unreadable> {
        let text = std::str::from_utf8(body).map_err(|_| Unreadable::Encoding)?;
        check_depth(text.as_bytes())?;
        match text.trim_start_matches(WHITESPACE).as_bytes().first() {
            Some(b'{') => {}
            Some(b'[') => return Err(Unreadable::Batch),
            _ => return Err(Unreadable::Json),
        }
        let message: Envelope<'_> =
            serde_json::from_str(text).map_err(|error| match error.classify() {
                Category::Data => diagnose(text),
                Category::Io | Category::Syntax | Category::Eof => Unreadable::Json,
            })?;
        message.check()?;
        readable(text)?;
        let params = message.params.unwrap_or_default();
        let is_call = message.method.as_deref() == Some(TOOLS_CALL);
        if is_call && params.name.is_none() {
            return Err(Unreadable::NoTool);
        }
        let arguments = params
            .arguments
            .map(RawValue::get)
            .filter(|raw| *raw != "null");
        if is_call && arguments.is_some_and(|raw| !raw.starts_with('{')) {
            return Err(Unreadable::Arguments);
        }
        let is_only_arguments = params.is_only_arguments();
        Ok(Self {
            id: message.id.map(ToOwned::to_owned),
            method: message.method.unwrap_or_default().into(),
            name: params.name.or(params.uri).map(Into::into),
            arguments: arguments.map(|raw| body.slice_ref(raw.as_bytes())),
            is_only_arguments,
            trace: params.meta.as_ref().and_then(Meta::trace),
            version: params.meta.and_then(|meta| meta.version).map(Into::into),
        })
    }

    /// The tool that is called, if one is.
    pub fn tool(&self) -> Option<&str> {
        self.name.as_deref().filter(|_| &*self.method == TOOLS_CALL)
    }

    /// Whether an answer is owed.
    pub const fn is_request(&self) -> bool {
        self.id.is_some() && !self.method.is_empty()
    }
}

/// Refuses values that cannot be read, and objects that say something twice.
fn readable(text: &str) -> Result<(), Unreadable> {
    let read = serde_json::from_str::<Readable>(text);
    read.map(drop).map_err(|error| match error.is_data() {
        true => Unreadable::Twice,
        false => Unreadable::Value,
    })
}

/// What is wrong with well-formed JSON that is no message.
fn diagnose(text: &str) -> Unreadable {
    if let Err(unreadable) = readable(text) {
        return unreadable;
    }
    let message: Value = serde_json::from_str(text).unwrap_or_default();
    let is_text = |value: Option<&Value>| value.is_none_or(|v| v.is_string() || v.is_null());
    let params = message.get("params");
    if !message.get("jsonrpc").is_some_and(Value::is_string) {
        Unreadable::Shape
    } else if !is_text(message.get("method")) {
        Unreadable::Method
    } else if params.is_some_and(|params| !params.is_object() && !params.is_null()) {
        Unreadable::Params
    } else {
        Unreadable::Name
    }
}

/// How deep objects and arrays may be nested.
const MAX_DEPTH: usize = 32;

const TOOLS_CALL: &str = "tools/call";
const WHITESPACE: [char; 4] = [' ', '\t', '\r', '\n'];

/// Derived, so that a key that is named here and appears twice is an error.
#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    jsonrpc: Cow<'a, str>,
    #[serde(borrow, default, deserialize_with = "present")]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    method: Option<Cow<'a, str>>,
    #[serde(borrow)]
    params: Option<Params<'a>>,
    #[serde(borrow, default, deserialize_with = "present")]
    result: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    error: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
struct Params<'a> {
    #[serde(borrow)]
    name: Option<Cow<'a, str>>,
    #[serde(borrow)]
    uri: Option<Cow<'a, str>>,
    #[serde(borrow)]
    arguments: Option<&'a RawValue>,
    #[serde(borrow, rename = "_meta")]
    meta: Option<Meta<'a>>,
    #[serde(rename = "inputResponses")]
    input_responses: Option<IgnoredAny>,
    #[serde(rename = "requestState")]
    request_state: Option<IgnoredAny>,
}

impl Params<'_> {
    const fn is_only_arguments(&self) -> bool {
        self.meta.is_none() && self.input_responses.is_none() && self.request_state.is_none()
    }
}

#[derive(Default, Deserialize)]
struct Meta<'a> {
    #[serde(borrow, rename = "io.modelcontextprotocol/protocolVersion")]
    version: Option<Cow<'a, str>>,
    /// Not read as texts: what is no trace is no mistake either.
    #[serde(borrow)]
    traceparent: Option<&'a RawValue>,
}

impl Meta<'_> {
    fn trace(&self) -> Option<Remote> {
        Remote::read(&serde_json::from_str::<String>(self.traceparent?.get()).ok()?)
    }
}

impl Envelope<'_> {
    fn check(&self) -> Result<(), Unreadable> {
        let answers = usize::from(self.result.is_some()) + usize::from(self.error.is_some());
        let message = match &self.method {
            Some(_) => answers == 0,
            None => answers == 1 && self.id.is_some(),
        };
        let is_long = |method: &Cow<'_, str>| !(1..=128).contains(&method.len());
        if self.method.as_ref().is_some_and(is_long) {
            return Err(Unreadable::Method);
        }
        if self.jsonrpc != "2.0" || !message {
            return Err(Unreadable::Shape);
        }
        match self.id.map(RawValue::get) {
            Some(id) if !is_id(id) => Err(Unreadable::Id),
            _ => Ok(()),
        }
    }
}

/// One pass over the bytes, before any parser recurses.
fn check_depth(text: &[u8]) -> Result<(), Unreadable> {
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for byte in text {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => {
                depth += 1;
                if depth > MAX_DEPTH {
                    return Err(Unreadable::Depth);
                }
            }
            b'}' | b']' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::refusal::Refusal;

    fn parse(text: &str) -> Result<Call, Unreadable> {
        Call::parse(&Bytes::copy_from_slice(text.as_bytes()))
    }

    #[test]
    fn a_tool_call_gives_its_id_tool_and_arguments() {
        let call = parse(
            r#" {"jsonrpc":"2.0","id":"a","method":"tools/call","params":{"name":"x\u0079","arguments":{"q":1}}}"#,
        )
        .unwrap();
        assert_eq!(call.id.as_ref().unwrap().get(), "\"a\"");
        assert_eq!(call.tool(), Some("xy"));
        assert_eq!(call.arguments.as_deref(), Some(&br#"{"q":1}"#[..]));
        assert!(call.is_request());
    }

    #[test]
    fn a_notification_and_an_answer_owe_nothing() {
        let note = parse(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#).unwrap();
        assert!(!note.is_request());
        let answer = parse(r#"{"jsonrpc":"2.0","id":1,"result":{}}"#).unwrap();
        assert!(!answer.is_request());
    }

    fn all_are(problem: Unreadable, texts: &[&str]) {
        for text in texts {
            assert_eq!(parse(text).err(), Some(problem), "{text:.120}");
        }
    }

    #[test]
    fn whatever_is_not_one_json_object_is_refused() {
        all_are(
            Unreadable::Json,
            &[
                "",
                "null",
                "{",
                "\u{feff}{}",
                r#"{"jsonrpc":"2.0","id":1,"method":"ping"} x"#,
            ],
        );
        let batch = r#"[{"jsonrpc":"2.0","id":1,"method":"ping"}]"#;
        all_are(Unreadable::Batch, &[batch]);
        let not_utf8 = Call::parse(&Bytes::from_static(b"{\"a\":\"\xff\"}"));
        assert_eq!(not_utf8.err(), Some(Unreadable::Encoding));
        let brackets = ["[".repeat(99), "]".repeat(99)].join("1");
        let deep = format!(r#"{{"jsonrpc":"2.0","method":"x","params":{brackets}}}"#);
        all_are(Unreadable::Depth, &[&deep]);
    }

    #[test]
    fn whatever_is_not_exactly_one_message_is_refused() {
        all_are(
            Unreadable::Shape,
            &[
                r#"{"jsonrpc":"1.0","id":1,"method":"ping"}"#,
                r#"{"id":1,"method":"ping"}"#,
                r#"{"jsonrpc":"2.0","id":1}"#,
                r#"{"jsonrpc":"2.0","id":1,"method":"a","result":{}}"#,
            ],
        );
        all_are(
            Unreadable::Twice,
            &[
                r#"{"jsonrpc":"2.0","id":1,"method":"a","method":"b"}"#,
                r#"{"jsonrpc":"2.0","id":1,"id":2,"method":"a"}"#,
                r#"{"jsonrpc":"2.0","id":1,"method":"a","params":{"arguments":{"x":1,"x":2}}}"#,
            ],
        );
        let long = format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"{}"}}"#,
            "m".repeat(129)
        );
        let (empty, number) = (
            r#"{"jsonrpc":"2.0","id":1,"method":""}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":7}"#,
        );
        all_are(Unreadable::Method, &[&long, empty, number]);
    }

    #[test]
    fn a_refusal_has_the_id_where_it_can_be_read() {
        for (text, wanted) in [
            (r#"{"id":1,"method":"tools/call"}"#, Some("1")),
            (r#"{"jsonrpc":"2.0","id":"a","method":7}"#, Some("\"a\"")),
            (r#"{"jsonrpc":"2.0","id":1.5,"method":"ping"}"#, None),
            (r#"{"id":1,"id":2}"#, None),
            ("[1]", None),
            ("{", None),
        ] {
            let unreadable = parse(text).err().unwrap();
            let Refusal::Unreadable { id, .. } = unreadable.refuse(text.as_bytes()) else {
                panic!("{text}");
            };
            assert_eq!(id.as_deref().map(RawValue::get), wanted, "{text}");
        }
    }

    #[test]
    fn a_call_names_one_tool_and_gives_its_arguments_by_name() {
        let call = |params: &str| {
            format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{params}}}"#)
        };
        all_are(Unreadable::Twice, &[&call(r#"{"name":"a","name":"b"}"#)]);
        all_are(Unreadable::Params, &[&call(r#"["a"]"#), &call("7")]);
        all_are(Unreadable::Name, &[&call(r#"{"name":7}"#)]);
        let no_params = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call"}"#;
        all_are(Unreadable::NoTool, &[no_params]);
        let array = call(r#"{"name":"a","arguments":[1]}"#);
        all_are(Unreadable::Arguments, &[&array]);
    }

    #[test]
    fn an_id_is_a_short_text_or_a_whole_number() {
        let long = format!(r#""{}""#, "i".repeat(2000));
        for id in ["null", "1.5", "99999999999999999999", "{}", &long] {
            let text = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"ping"}}"#);
            all_are(Unreadable::Id, &[&text]);
        }
    }

    #[test]
    fn brackets_inside_strings_are_not_depth() {
        let text = format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"x","params":{{"a":"{}\""}}}}"#,
            "[".repeat(500)
        );
        assert!(parse(&text).is_ok());
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = Call::parse(&Bytes::from(bytes));
        }

        #[test]
        fn what_it_reads_a_plain_parser_reads_alike(name in "\\PC{0,20}", id in any::<i64>()) {
            let text = serde_json::json!({"jsonrpc":"2.0","id":id,"method":"tools/call","params":{"name":name,"arguments":{}}}).to_string();
            let call = parse(&text).unwrap();
            prop_assert_eq!(call.tool(), Some(name.as_str()));
            let read = call.id.unwrap();
            prop_assert_eq!(read.get(), id.to_string());
        }
    }
}
