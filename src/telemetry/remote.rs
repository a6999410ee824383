//! The trace that a caller says its request belongs to: `traceparent` of the W3C, read strictly. What
//! cannot be read is as if it were not there. `tracestate` is not looked at: it is the caller's text,
//! and spans hold none.
//! Source: <https://www.w3.org/TR/trace-context/>, section 3.2.

use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};

/// A span outside of this process. Holds nothing of the caller's but ids.
#[derive(Clone, Debug, PartialEq)]
pub struct Remote(pub(super) SpanContext);

impl Remote {
    /// Reads what a caller sent; `None` when `traceparent` is not exactly one that is well-formed.
    pub fn read(traceparent: &str) -> Option<Self> {
        let (version, rest) = traceparent.split_once('-')?;
        let (trace, rest) = rest.split_once('-')?;
        let (span, rest) = rest.split_once('-')?;
        // Versions to come may add fields; this one has none.
        let (flags, future) = match rest.split_once('-') {
            Some((flags, _)) => (flags, true),
            None => (rest, false),
        };
        let (version, flags) = (hex(version, 2)?, hex(flags, 2)?);
        if version == 0xff || (future && version == 0) || traceparent.len() > LONGEST_PARENT {
            return None;
        }
        let trace = TraceId::from(hex(trace, 32)?);
        let span = SpanId::from(u64::try_from(hex(span, 16)?).ok()?);
        let sampled = TraceFlags::SAMPLED & TraceFlags::new(u8::try_from(flags).ok()?);
        let context = SpanContext::new(trace, span, sampled, true, TraceState::NONE);
        context.is_valid().then_some(Self(context))
    }
}

/// Lower case only, and exactly so many digits.
fn hex(text: &str, digits: usize) -> Option<u128> {
    let well_formed = text.len() == digits
        && text
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    well_formed.then(|| u128::from_str_radix(text, 16).ok())?
}

/// Bytes. The fields of version 0 need 55.
const LONGEST_PARENT: usize = 128;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const GOOD: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn what_the_specification_shows_is_read() {
        let Remote(context) = Remote::read(GOOD).unwrap();
        assert_eq!(
            context.trace_id().to_string(),
            "0af7651916cd43dd8448eb211c80319c"
        );
        assert_eq!(context.span_id().to_string(), "b7ad6b7169203331");
        assert!(context.is_sampled() && context.is_remote());
        let later = GOOD.replacen("00", "cc", 1) + "-what-will-come";
        assert!(Remote::read(&later).is_some());
    }

    #[test]
    fn what_is_not_exactly_right_is_not_there() {
        for wrong in [
            "",
            "00",
            "---",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-1",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-+af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            " 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        ] {
            assert_eq!(Remote::read(wrong), None, "{wrong}");
        }
        let endless = GOOD.replacen("00", "01", 1) + "-" + &"x".repeat(200);
        assert_eq!(Remote::read(&endless), None);
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(parent in "\\PC{0,80}") {
            let _ = Remote::read(&parent);
        }

        #[test]
        fn whatever_is_read_is_what_was_written(
            trace in 1_u128.., span in 1_u64.., flags in any::<u8>(), at in 0_usize..55, other in any::<char>(),
        ) {
            let text = format!("00-{trace:032x}-{span:016x}-{flags:02x}");
            let Remote(context) = Remote::read(&text).unwrap();
            prop_assert_eq!(context.trace_id(), TraceId::from(trace));
            prop_assert_eq!(context.span_id(), SpanId::from(span));
            prop_assert_eq!(context.is_sampled(), flags & 1 == 1);
            // One character that is not as it was: another context, or none.
            let mut changed: Vec<char> = text.chars().collect();
            changed[at] = other;
            let changed: String = changed.into_iter().collect();
            if changed != text && let Some(read) = Remote::read(&changed) {
                prop_assert!(read != Remote(context) || !(2..53).contains(&at));
            }
        }
    }
}
