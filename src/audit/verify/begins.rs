//! Where runs begin, and what has to be there before them.

use std::collections::VecDeque;

use super::{ASSUMED, Calls, End, Line, Place, Run, Verifier, Wrong, is_zeros, run::kept};
use crate::audit::lifecycle::is_boot;

impl Verifier {
    /// Takes the first line of a run.
    pub(super) fn begins(&mut self, at: Place, line: &Line<'_>) {
        let opens = line.seq == 1 && line.event == "log_open" && is_zeros(&line.prev_hash);
        // Older files may be gone, but then nothing of the instance is there before the gap.
        let is_first = self.instances.insert((&*line.instance).into());
        let excused = self.expected.partial && is_first;
        let begins_well = opens || (excused && line.seq > 1);
        if !begins_well {
            let wrong = if is_first {
                Wrong::NoBeginning
            } else {
                Wrong::Beheaded
            };
            self.wrong(at, Some(line.seq), wrong);
        }
        if self.gone.contains(&*line.boot) {
            self.wrong(at, Some(line.seq), Wrong::Exchanged);
        }
        let is_unsigned = !self.expected.keys.is_empty() && !line.has_signature();
        // Whoever signs does not stop.
        let may = self.expected.is_before_signing(line) && !self.signing.contains(&*line.instance);
        let names_nothing = self.names(at, line, is_first);
        self.of_one_sink(at, line);
        let mut run = Run {
            instance: (&*line.instance).into(),
            lines: 0,
            first: kept(&line.timestamp),
            last: "".into(),
            end: End::Unknown,
            signer: line.signer.as_deref().map(kept),
            pseudonym_key: line.pseudonym_key.as_deref().map(kept),
            knows_previous: knows_previous(line, is_first),
            after_gap: excused && (!opens || names_nothing),
            begins_with: line.seq,
            excused: is_unsigned && may,
            is_a_copy: is_a_copy(line),
            unsigned: 0,
            doubted: false,
            calls: Calls::default(),
            before: before(line),
            seq: 0,
            hash: "".into(),
            hashes: VecDeque::new(),
            at,
            checkpoint_seconds: line.checkpoint_seconds,
            signed_at: None,
            late: None,
            early: None,
            newest: None,
            waited: None,
            unexcused: None,
            named: None,
            told: None,
            checkpoint_lines: line.checkpoint_lines.or((!opens).then_some(ASSUMED)),
            opened: opens,
            vouched: false,
        };
        // A line without its beginning may be of a run that signs: its end tells.
        if opens && is_unsigned && !may {
            self.wrong(at, Some(line.seq), Wrong::NotSigned);
        }
        self.vouched(at, line, &mut run);
        self.advances(at, line, &mut run);
        self.runs.insert((&*line.boot).into(), run);
    }

    /// The first line of a run names the last line of the run before it. Answers whether that run
    /// is not there.
    fn names(&mut self, at: Place, line: &Line<'_>, is_first: bool) -> bool {
        let (Some(boot), Some(seq)) = (&line.previous_boot, line.previous_seq) else {
            return false;
        };
        let found = self.runs.get_mut(&**boot);
        let is_missing = found.is_none();
        let wrong = match found {
            None if !is_first => Some(Wrong::TakenOut { seq }),
            None if self.expected.partial => None,
            None => Some(Wrong::NoRun { seq }),
            Some(run) if run.seq < seq => Some(Wrong::Missing {
                seq: (run.seq + 1, seq),
            }),
            // Whether what follows belongs there is known at its end.
            Some(run) if run.seq > seq => {
                run.named.get_or_insert(seq);
                let hash = run.hash_at(seq);
                let is_another = hash.is_some() && hash != line.previous_hash.as_deref();
                is_another.then_some(Wrong::Broken { before: run.at })
            }
            Some(run) if line.previous_hash.as_deref() != Some(&*run.hash) => {
                Some(Wrong::Broken { before: run.at })
            }
            Some(run) => {
                run.named.get_or_insert(seq);
                run.doubted = line.previous.as_deref() == Some("unverified");
                if run.end == End::Unknown {
                    run.end = End::Named;
                }
                None
            }
        };
        if let Some(wrong) = wrong {
            self.wrong(at, Some(line.seq), wrong);
        }
        if is_missing && is_boot(boot) {
            self.gone.insert((&**boot).into());
        }
        is_missing
    }

    /// A file's copy of a run names what was before; that of standard output cannot, and so may
    /// not stand for it.
    fn of_one_sink(&mut self, at: Place, line: &Line<'_>) {
        if line.sink.as_deref() == Some("file") {
            self.in_files.insert((&*line.instance).into());
        } else if is_a_copy(line) && self.in_files.contains(&*line.instance) {
            self.wrong(at, Some(line.seq), Wrong::AnotherSink);
        }
    }
}

/// Whether the line could tell what came before. A file that was moved away before the run began
/// cannot be told from none at all.
fn knows_previous(line: &Line<'_>, is_first: bool) -> bool {
    match line.previous.as_deref() {
        None | Some("unknown") => false,
        Some("none") => is_first,
        Some(_) => true,
    }
}

/// What the line says of a run before that did not close its log.
fn before(line: &Line<'_>) -> Option<Option<u64>> {
    let is_cut_off = line.previous_end.as_deref() == Some("cut_off");
    is_cut_off.then_some(line.previous_unended)
}

/// Whether another sink of the run has a copy that tells more.
fn is_a_copy(line: &Line<'_>) -> bool {
    line.sink.as_deref() == Some("stdout") && line.sinks.is_some_and(|sinks| sinks > 1)
}
