//! The trace that a caller says its request belongs to: `traceparent` and `tracestate` of the W3C,
//! read strictly. What cannot be read is as if it were not there.
//! Source: <https://www.w3.org/TR/trace-context/>, sections 3.2 and 3.3.

use std::str::FromStr as _;

use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};

/// A span outside of this process. Holds no text of the caller's but ids and a checked `tracestate`.
#[derive(Clone, Debug, PartialEq)]
pub struct Remote(pub(super) SpanContext);

impl Remote {
    /// Reads what a caller sent; `None` when `traceparent` is not exactly one that is well-formed.
    /// A `tracestate` that is not is left out.
    pub fn read(traceparent: &str, tracestate: Option<&str>) -> Option<Self> {
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
        let state = tracestate.and_then(state).unwrap_or_default();
        let context = SpanContext::new(trace, span, sampled, true, state);
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

fn state(text: &str) -> Option<TraceState> {
    let printable = text.bytes().all(|byte| matches!(byte, b' '..=b'~' | b'\t'));
    if !printable || text.len() > LONGEST_STATE {
        return None;
    }
    TraceState::from_str(text).ok()
}

/// Bytes. The fields of version 0 need 55.
const LONGEST_PARENT: usize = 128;
/// Bytes: as much as the specification asks everyone to pass on.
const LONGEST_STATE: usize = 512;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const GOOD: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn what_the_specification_shows_is_read() {
        let Remote(context) = Remote::read(GOOD, Some("congo=t61rcWkgMzE,rojo=00f067aa")).unwrap();
        assert_eq!(
            context.trace_id().to_string(),
            "0af7651916cd43dd8448eb211c80319c"
        );
        assert_eq!(context.span_id().to_string(), "b7ad6b7169203331");
        assert!(context.is_sampled() && context.is_remote());
        assert_eq!(
            context.trace_state().header(),
            "congo=t61rcWkgMzE,rojo=00f067aa"
        );
        let later = GOOD.replacen("00", "cc", 1) + "-what-will-come";
        assert!(Remote::read(&later, None).is_some());
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
            assert_eq!(Remote::read(wrong, None), None, "{wrong}");
        }
        let endless = GOOD.replacen("00", "01", 1) + "-" + &"x".repeat(200);
        assert_eq!(Remote::read(&endless, None), None);
    }

    #[test]
    fn a_bad_state_costs_the_state_and_not_the_parent() {
        for wrong in ["a", "A=1", "a=1\u{1b}[2J", "ä=1", &"a=b,".repeat(200)] {
            let Remote(context) = Remote::read(GOOD, Some(wrong)).unwrap();
            assert_eq!(context.trace_state().header(), "", "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(parent in "\\PC{0,80}", state in "\\PC{0,600}") {
            let _ = Remote::read(&parent, Some(&state));
            if let Some(Remote(context)) = Remote::read(GOOD, Some(&state)) {
                prop_assert!(context.trace_state().header().is_ascii());
            }
        }

        #[test]
        fn whatever_is_read_is_what_was_written(
            trace in 1_u128.., span in 1_u64.., flags in any::<u8>(), at in 0_usize..55, other in any::<char>(),
        ) {
            let text = format!("00-{trace:032x}-{span:016x}-{flags:02x}");
            let Remote(context) = Remote::read(&text, None).unwrap();
            prop_assert_eq!(context.trace_id(), TraceId::from(trace));
            prop_assert_eq!(context.span_id(), SpanId::from(span));
            prop_assert_eq!(context.is_sampled(), flags & 1 == 1);
            // One character that is not as it was: another context, or none.
            let mut changed: Vec<char> = text.chars().collect();
            changed[at] = other;
            let changed: String = changed.into_iter().collect();
            if changed != text && let Some(read) = Remote::read(&changed, None) {
                prop_assert!(read != Remote(context) || !(2..53).contains(&at));
            }
        }
    }
}
