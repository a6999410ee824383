//! `zoho-mcp audit story`: retells from the log alone who asked what, what was decided, what Zoho
//! was asked, what came back, and what it cost.

use std::{collections::BTreeMap, io::Write, path::PathBuf};

use serde_json::Value;

use super::{
    doubt::{Doubt, Trust},
    fate::Fate,
    files::Files,
    losses::{Losses, Of},
    page::Page,
    recent::Recent,
    shortfall,
    telling::{self, Course},
};

#[derive(clap::Args)]
pub(super) struct Story {
    #[command(flatten)]
    about: About,
    #[command(flatten)]
    trust: Trust,
    /// Only what began on this day in UTC, such as 2026-03-31; without anything else, all of it and
    /// what the daemon did itself
    #[arg(long, value_name = "DAY", required_unless_present_any = ["execution", "client", "session"])]
    day: Option<jiff::civil::Date>,
    /// The files of the log, in any order
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

#[derive(clap::Args)]
#[group(multiple = false)]
struct About {
    /// One call of one tool
    #[arg(long, value_name = "ID")]
    execution: Option<String>,
    /// Everything of a client
    #[arg(long, value_name = "NAME")]
    client: Option<String>,
    /// Everything of one stream of /sse or session of /mcp, by the sessionId of its lines
    #[arg(long, value_name = "ID")]
    session: Option<String>,
}

pub(super) fn run(story: &Story, out: &mut Page<impl Write>) -> anyhow::Result<()> {
    let files = Files::new(&story.files)?;
    let mut teller = Teller {
        client: story.about.client.clone(),
        ..Teller::default()
    };
    let mut losses = Losses::new(story.about.of());
    let mut told = Ok(());
    let mut doubt = Doubt::new(&story.trust)?;
    files.lines(|at, text| {
        let Some(text) = doubt.line(at, text) else {
            return;
        };
        let Ok(line) = serde_json::from_slice::<Value>(text) else {
            return;
        };
        let over = teller.was_over(&line);
        teller.run_ended(&line);
        let is_about = story.is_about(&line);
        if is_loss(&line) {
            if let Some(lost) = losses.lost(line).filter(|line| story.may_lack(line)) {
                teller.lost(lost, is_about, |line| story.is_on_the_day(line));
            }
        } else if is_about {
            for lost in losses.before(&line) {
                teller.lost(lost, false, |line| story.is_on_the_day(line));
            }
            teller.take(line, over, |line| story.is_on_the_day(line));
        }
        if told.is_ok() {
            told = teller.tell(out);
        }
    })?;
    told?;
    let total = teller.finish(out)?;
    Ok(doubt.tell(total)?)
}

impl About {
    const fn of(&self) -> Of {
        match (&self.execution, &self.session) {
            (Some(_), _) => Of::Call,
            (None, Some(_)) => Of::Session,
            (None, None) => Of::All,
        }
    }
}

impl Story {
    fn is_about(&self, line: &Value) -> bool {
        let has = |name: &str, wanted: &Option<String>| {
            wanted.as_ref().is_none_or(|wanted| line[name] == **wanted)
        };
        let client = self.about.client.as_deref();
        let lost_of_client = ["refusedCalls", "lostLines"]
            .iter()
            .any(|by_client| client.is_some_and(|client| line[by_client].get(client).is_some()));
        // It is about the log's own lines alone.
        line["event"] != "checkpoint"
            && has("executionId", &self.about.execution)
            && (has("clientId", &self.about.client) || lost_of_client)
            && has("sessionId", &self.about.session)
    }

    /// Whether what was lost may be of the client, unless the line names all whose lines it was.
    fn may_lack(&self, line: &Value) -> bool {
        self.about.client.is_none() || !shortfall::names_all(line) || self.is_about(line)
    }

    fn is_on_the_day(&self, line: &Value) -> bool {
        self.day.is_none_or(|day| is_on(&day.to_string(), line))
    }
}

fn is_loss(line: &Value) -> bool {
    line["event"] == "lines_lost"
}

/// Whether a line tells of the day. Of what was lost it is told afterwards, perhaps on another one.
fn is_on(day: &str, line: &Value) -> bool {
    let date = |name: &str| telling::text(line, name).and_then(|at| at.get(..day.len()));
    let lost = date("lostFrom").zip(date("lostUntil"));
    match lost.or_else(|| date("timestamp").map(|date| (date, date))) {
        Some((first, last)) => (first..=last).contains(&day),
        None => false,
    }
}

/// Tells in the order in which things began; what has begun waits for its end.
#[derive(Default)]
struct Teller {
    /// Whom it is about, where that is one client.
    client: Option<String>,
    next: u64,
    /// What was told besides, since it may be of that: losses that name nobody.
    besides: u64,
    /// By the order of their beginnings. Without an end yet, a call is not told.
    waiting: BTreeMap<u64, Begun>,
    calls: Recent<u64>,
    /// Calls that began on another day, until they end.
    elsewhere: Recent<()>,
    /// Requests over a limit that only watches, until their call begins.
    over: Recent<()>,
    /// Calls that Zoho had no room for, until the limit says so too.
    short: Recent<()>,
}

/// Something that happened, as far as it has been read.
struct Begun {
    line: Value,
    end: Option<Value>,
    done: bool,
    over: bool,
    fate: Fate,
}

impl Begun {
    fn tell(&self, client: Option<&str>, out: &mut Page<impl Write>) -> std::io::Result<()> {
        let course = Course {
            end: self.end.as_ref(),
            over: self.over,
            fate: self.fate,
            client,
        };
        telling::tell(&self.line, course, out)
    }
}

impl Teller {
    /// Whether a limit that only watches has seen the call that begins here. Its line is of the
    /// same request, and is looked at even where the story is about something else.
    fn was_over(&mut self, line: &Value) -> bool {
        let request = telling::text(line, "requestId").unwrap_or_default();
        if telling::is_shadow(line) {
            self.over.insert(request, ());
        }
        line["event"] == "tool_call_start" && self.over.remove(request).is_some()
    }

    /// Keeps what the line says of how a run ended, for its calls without an end, and whether that
    /// tells all of what was lost until then.
    fn run_ended(&mut self, line: &Value) {
        let is_loss = is_loss(line);
        let told = match telling::text(line, "boot").filter(|_| is_loss) {
            Some(boot) => Some((boot, Fate::Closed)),
            None => Fate::told_by(line),
        };
        let Some((boot, fate)) = told else { return };
        let waiting = self.waiting.values_mut().filter(|begun| !begun.done);
        for begun in waiting.filter(|begun| telling::text(&begun.line, "boot") == Some(boot)) {
            let was_loss = self::is_loss(&begun.line);
            begun.done = was_loss;
            if was_loss || !is_loss {
                begun.fate = fate;
            }
        }
    }

    /// What the log lost counts as something found only where it names whom the story is about.
    fn lost(&mut self, line: Value, is_about: bool, is_on_the_day: impl Fn(&Value) -> bool) {
        let before = self.next;
        self.take(line, false, is_on_the_day);
        if !is_about {
            self.besides += self.next - before;
        }
    }

    /// A call is of the day on which it began.
    fn take(&mut self, line: Value, over: bool, is_on_the_day: impl Fn(&Value) -> bool) {
        let event = telling::text(&line, "event").unwrap_or_default();
        let execution = telling::text(&line, "executionId");
        let execution = execution.unwrap_or_default().to_owned();
        // A call that Zoho has no room for ends, and is then refused: one thing that happened.
        if event == "rate_limit_exceeded" && self.short.remove(&execution).is_some() {
            return;
        }
        let error = telling::text(&line, "error");
        if matches!(error, Some("overloaded" | "zoho_credits_spent")) {
            self.short.insert(&execution, ());
        }
        let ends = matches!(
            event,
            "tool_call_success" | "tool_call_error" | "tool_call_cancelled"
        );
        let place = ends.then(|| self.calls.remove(&execution)).flatten();
        let begun = place.and_then(|place| self.waiting.get_mut(&place));
        if let Some(begun) = begun {
            begun.end = Some(line);
            begun.done = true;
            return;
        }
        let begins = event == "tool_call_start";
        if ends && self.elsewhere.remove(&execution).is_some() {
            return;
        }
        if !is_on_the_day(&line) {
            if begins {
                self.elsewhere.insert(&execution, ());
            }
            return;
        }
        if begins {
            self.calls.insert(&execution, self.next);
        }
        // What was lost may be more until the next line that says so, or the closing line.
        let done = !begins && !is_loss(&line);
        self.waiting.insert(
            self.next,
            Begun {
                line,
                end: None,
                done,
                over,
                fate: Fate::default(),
            },
        );
        self.next += 1;
    }

    fn tell(&mut self, out: &mut Page<impl Write>) -> std::io::Result<()> {
        loop {
            // A call that never ends, since the daemon was killed, may not keep the rest waiting.
            let patient = self.waiting.len() < MOST;
            let Some(first) = self.waiting.first_entry() else {
                return Ok(());
            };
            if !first.get().done && patient {
                return Ok(());
            }
            first.remove().tell(self.client.as_deref(), out)?;
        }
    }

    fn finish(mut self, out: &mut Page<impl Write>) -> std::io::Result<u64> {
        for begun in std::mem::take(&mut self.waiting).into_values() {
            begun.tell(self.client.as_deref(), out)?;
        }
        Ok(self.next - self.besides)
    }
}

/// What waits for the end of an earlier call, at most.
const MOST: usize = 10_000;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The story of a day.
    fn told(day: &str, lines: &[Value]) -> String {
        let mut teller = Teller::default();
        let mut out = Vec::new();
        let mut page = Page::new(&mut out);
        for line in lines {
            teller.run_ended(line);
            teller.take(line.clone(), false, |line| is_on(day, line));
            teller.tell(&mut page).unwrap();
        }
        teller.finish(&mut page).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_call_over_midnight_is_of_the_day_on_which_it_began() {
        let line = |at: &str, event: &str| json!({ "timestamp": at, "event": event, "executionId": "x", "toolName": "t" });
        let lines = [
            line("2026-03-31T23:59:59Z", "tool_call_start"),
            line("2026-04-01T00:00:01Z", "tool_call_success"),
        ];
        let first = told("2026-03-31", &lines);
        assert!(
            first.contains("called t") && first.contains("records, after"),
            "{first}"
        );
        assert_eq!(told("2026-04-01", &lines), "");
        let end_alone = told("2026-04-01", &lines[1..]);
        assert!(end_alone.contains("t answered"), "{end_alone}");
    }

    #[test]
    fn what_was_lost_is_of_the_days_on_which_it_was_lost() {
        let lost = json!({ "timestamp": "2026-04-03T08:00:00Z", "event": "lines_lost",
            "lostFrom": "2026-03-31T23:59:59Z", "lostUntil": "2026-04-01T00:00:01Z" });
        let days = [
            "2026-03-30",
            "2026-03-31",
            "2026-04-01",
            "2026-04-02",
            "2026-04-03",
        ];
        let told = days.map(|day| !told(day, std::slice::from_ref(&lost)).is_empty());
        assert_eq!(told, [false, true, true, false, false]);
    }

    #[test]
    fn the_last_loss_of_a_run_without_its_closing_line_is_the_least() {
        let line = |boot: &str, event: &str, lost: u64| {
            json!({ "timestamp": "2026-04-01T00:00:01Z", "event": event, "boot": boot,
                "lostFrom": "2026-04-01T00:00:00Z", "lostUntil": "2026-04-01T00:00:00Z",
                "reason": format!("found no room: auth_failed {lost}") })
        };
        let lines = [
            line("a", "lines_lost", 1),
            line("b", "lines_lost", 2),
            line("a", "lines_lost", 3),
            line("b", "log_close", 0),
        ];
        let story = told("2026-04-01", &lines);
        let lost: Vec<_> = story.lines().filter(|it| it.contains("lines: ")).collect();
        assert_eq!(
            lost.join(";").replace("  lost     lines: ", ""),
            "1 of auth_failed;2 of auth_failed;at least 3 of auth_failed"
        );
    }

    #[test]
    fn what_was_written_is_told_of_a_call_that_was_cut_too() {
        let line = |event: &str| {
            json!({ "timestamp": "2026-04-01T00:00:01Z", "event": event, "executionId": "x",
            "toolName": "create_note", "reason": "cancelled", "recordId": "57", "outcome": "created" })
        };
        let lines = [line("tool_call_start"), line("tool_call_cancelled")];
        let story = told("2026-04-01", &lines);
        let cut = "cancelled by the client, but created record 57";
        assert!(story.contains(cut), "{story}");
        assert!(!story.contains("may have taken effect"), "{story}");
    }
}
