//! What Zoho was asked during one call, as the log tells it: routes and outcomes, no values.

use super::event::number;

/// One request to Zoho.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Upstream {
    method: &'static str,
    /// The path without ids.
    route: &'static str,
    /// The status that came back, or why none did, in a word of ours.
    outcome: Result<u16, &'static str>,
    /// Milliseconds until then; 0 for one that the call did not wait for.
    millis: u64,
    credits: u32,
}

/// The requests of one call, in order; of a call that makes many the first sixteen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Requests {
    first: Vec<Upstream>,
    count: u32,
}

impl Requests {
    /// Zoho was not asked.
    pub const NONE: Self = Self {
        first: Vec::new(),
        count: 0,
    };

    /// Adds one that is sent now, and answers its place.
    pub fn sent(&mut self, method: &'static str, route: &'static str, credits: u32) -> usize {
        self.count = self.count.saturating_add(1);
        if self.first.len() < MOST {
            self.first.push(Upstream {
                method,
                route,
                outcome: Err("no_answer"),
                millis: 0,
                credits,
            });
        }
        self.count as usize - 1
    }

    /// The one at that place has ended, after so many milliseconds.
    pub fn ended(&mut self, place: usize, outcome: Result<u16, &'static str>, millis: u64) {
        if let Some(request) = self.first.get_mut(place) {
            request.outcome = outcome;
            request.millis = millis;
        }
    }

    pub(super) fn write(&self, line: &mut Vec<u8>) {
        if self.count == 0 {
            return;
        }
        pair(line, ",\"zohoRequests\":", self.count.into());
        line.extend_from_slice(b",\"zoho\":[");
        for (n, request) in self.first.iter().enumerate() {
            if n > 0 {
                line.push(b',');
            }
            request.write(line);
        }
        line.push(b']');
    }
}

impl Upstream {
    fn write(&self, line: &mut Vec<u8>) {
        for part in ["{\"method\":\"", self.method, "\",\"route\":\"", self.route] {
            line.extend_from_slice(part.as_bytes());
        }
        match self.outcome {
            Ok(status) => pair(line, "\",\"status\":", status.into()),
            Err(problem) => {
                for part in ["\",\"problem\":\"", problem, "\""] {
                    line.extend_from_slice(part.as_bytes());
                }
            }
        }
        pair(line, ",\"ms\":", self.millis);
        pair(line, ",\"credits\":", self.credits.into());
        line.push(b'}');
    }
}

fn pair(line: &mut Vec<u8>, name: &str, value: u64) {
    line.extend_from_slice(name.as_bytes());
    number(line, value);
}

const MOST: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_stand_in_the_line_in_their_order() {
        let mut requests = Requests::NONE;
        for _ in 0..2 {
            requests.sent("GET", "/crm/v8/Contacts/{id}", 1);
        }
        requests.ended(0, Ok(200), 12);
        let mut line = Vec::new();
        requests.write(&mut line);
        let asked = r#""method":"GET","route":"/crm/v8/Contacts/{id}""#;
        let answered = format!(r#"{{{asked},"status":200,"ms":12,"credits":1}}"#);
        let not_yet = format!(r#"{{{asked},"problem":"no_answer","ms":0,"credits":1}}"#);
        let expected = format!(r#","zohoRequests":2,"zoho":[{answered},{not_yet}]"#);
        assert_eq!(String::from_utf8(line).unwrap(), expected);
    }
}
