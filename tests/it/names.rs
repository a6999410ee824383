//! A name that only the daemons of a test know, and that can be forgotten and learned again.

use std::{fs, process::Command};

use crate::{house::Setup, process::Folder};

/// All that a certificate for it has to name.
pub(crate) const NAMES: [&str; 2] = ["upstream.internal", "localhost"];

pub(crate) struct Names {
    folder: Folder,
    can_change: bool,
}

impl Names {
    pub(crate) fn new() -> Self {
        let tried = Command::new("unshare")
            .args(["--map-root-user", "--mount", "true"])
            .output();
        let names = Self {
            folder: Folder::new(),
            can_change: tried.is_ok_and(|tried| tried.status.success()),
        };
        // No server of names is asked: whether one is there is of no matter to a test.
        names.folder.write("nsswitch.conf", "hosts: files\n");
        names.learn();
        names
    }

    /// Whether this machine lets a process have a view of its files of its own, with other names.
    pub(crate) const fn can_change(&self) -> bool {
        self.can_change
    }

    /// What the daemons call whatever they need.
    pub(crate) const fn name(&self) -> &'static str {
        if self.can_change { NAMES[0] } else { NAMES[1] }
    }

    /// Has a daemon know the name.
    pub(crate) fn are_known_to(&self, setup: &mut Setup) {
        if !self.can_change {
            return;
        }
        let file = |name| self.folder.path(name).display().to_string();
        let (hosts, switch) = (file("hosts"), file("nsswitch.conf"));
        setup.through(&format!(
            "exec unshare --map-root-user --mount sh -c 'mount --bind {hosts} /etc/hosts && \
             mount --bind {switch} /etc/nsswitch.conf && exec \"$@\"' sh \"$@\""
        ));
    }

    /// Puts a file where the daemons find it; its path.
    pub(crate) fn write(&self, name: &str, text: &str) -> String {
        self.folder.write(name, text).display().to_string()
    }

    pub(crate) fn learn(&self) {
        let hosts = format!("127.0.0.1 localhost {}\n", NAMES[0]);
        fs::write(self.folder.path("hosts"), hosts).unwrap();
    }

    pub(crate) fn forget(&self) {
        fs::write(self.folder.path("hosts"), "127.0.0.1 localhost\n").unwrap();
    }
}
