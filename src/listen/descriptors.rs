//! What each connection holds: a file descriptor, without which the daemon can neither accept, nor call
//! Zoho, nor open its log, and memory.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the limit of this process to the most that it may have. Some systems begin with 1024,
/// for the sake of old programs.
pub fn raise_descriptor_limit() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    // Where it cannot be raised, there are fewer places for connections.
    let _ = setrlimit(Resource::Nofile, raised);
}

/// Asks the kernel for small pages of memory. A stream that waits touches little of what is set aside
/// for it; in huge pages all of that counts, which makes it half as large again.
pub fn use_small_pages() {
    // Elsewhere than on Linux there are none to choose from.
    #[cfg(target_os = "linux")]
    let _ = rustix::thread::disable_transparent_huge_pages(true);
}

/// How many connections there can be at once when so many are wanted.
pub(super) fn affordable(wanted: usize) -> usize {
    let limit = getrlimit(Resource::Nofile).current;
    wanted.min(spare(limit))
}

/// What a limit leaves for connections.
fn spare(limit: Option<u64>) -> usize {
    let limit = limit.map_or(usize::MAX, |limit| {
        usize::try_from(limit).unwrap_or(usize::MAX)
    });
    (limit - RESERVE.min(limit / 2)).max(1)
}

/// Files, connections to Zoho and to Redis, and what the runtime holds.
const RESERVE: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_descriptors_for_everything_else() {
        assert_eq!(spare(Some(1024)), 896);
        assert_eq!(spare(Some(100)), 50);
        assert_eq!(spare(Some(0)), 1);
        assert!(spare(None) > 1 << 20);
        assert_eq!(affordable(1), 1);
    }
}
