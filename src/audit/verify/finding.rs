//! What can be wrong with a log, and where.

/// A line of a file: both counted as they were given, lines from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Place {
    pub file: usize,
    pub line: u64,
}

/// Something is wrong at a place.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Finding {
    pub at: Place,
    /// What the line says of its place in the chain.
    pub seq: Option<u64>,
    pub what: Wrong,
}

/// What is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the texts say it")]
pub enum Wrong {
    #[error(
        "the line is of one run more than are told apart: give fewer files at once (--partial allows that the older ones are missing)"
    )]
    TooManyRuns,
    #[error("this is no line of the log: it was changed, or added")]
    NoLine,
    #[error(
        "the line is unfinished: the process was killed while it wrote it (--open, if the log may end so)"
    )]
    Torn,
    #[error("the line was changed: its hash does not fit its text")]
    Altered,
    #[error("lines with seq {} to {} are missing before this one", seq.0, seq.1)]
    Missing { seq: (u64, u64) },
    #[error("the line is out of place: it follows seq {after}, so it was moved, repeated or added")]
    OutOfPlace { after: u64 },
    #[error("the line does not follow the one before it (line {}): one of the two was changed or exchanged", before.line)]
    Broken { before: Place },
    #[error("the line comes after the closing line")]
    AfterEnd,
    #[error(
        "the run does not begin here: what was before is missing (--partial, if older files were deleted on purpose)"
    )]
    NoBeginning,
    #[error(
        "the run before this one, up to its seq {seq}, is missing (--partial, if older files were deleted on purpose)"
    )]
    NoRun { seq: u64 },
    #[error(
        "the beginning of the run is missing, though earlier lines of its instance are there: it was taken out"
    )]
    Beheaded,
    #[error(
        "the run before this one, up to its seq {seq}, is missing, though earlier lines of the instance are there: it was taken out, or moved"
    )]
    TakenOut { seq: u64 },
    #[error("the run follows one that names it as the run before: they were put in another order")]
    Exchanged,
    #[error(
        "the run has no closing line: it was killed or is still written to (then --open), or its end was cut off"
    )]
    NoEnd,
    #[error(
        "the log does not reach the line that was known elsewhere to be in it (hash {hash}): its end was cut off, or it was written anew"
    )]
    NoHead { hash: Box<str> },
    #[error(
        "the signature is not one of the given keys': lines since the last good one may have been written anew"
    )]
    BadSignature,
    #[error("the run is not signed at all")]
    NotSigned,
    #[error("{lines} lines without a checkpoint, which is more than there ever are")]
    Unsigned { lines: u64 },
    #[error(
        "the line is {seconds} seconds younger than the last good signature of its run, which is longer than a checkpoint ever takes: it, or what came before it, was written anew, or the clock was set forward"
    )]
    Late { seconds: u64 },
    #[error(
        "the line is {seconds} seconds older than one before it in its run, and no signature vouches for it: it was written anew, or the clock was set back"
    )]
    Early { seconds: u64 },
    #[error("the first line of a run stands in its middle: it was changed, or added")]
    OpensAgain,
    #[error(
        "the run is the copy that went to standard output, among lines of its instance from a file, which has a copy of its own: they were exchanged, or files of two sinks were given at once"
    )]
    AnotherSink,
    #[error(
        "lines with seq {} to {} were inserted: the next run of the instance found the end of this one before them, and no signature vouches for them", seq.0, seq.1
    )]
    Inserted { seq: (u64, u64) },
}
