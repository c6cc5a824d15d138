//! A name for this process that is unique among live processes and stable over a restart.

use crate::error::Error;
use fs2::FileExt;
use std::fs::{File, OpenOptions};
use std::path::Path;

/// Slots tried before giving up: processes of one pipeline on one host.
const SLOTS_MAX: u32 = 1024;

/// The name, held by a lock on a file for as long as this lives; a killed process frees it.
#[derive(Debug)]
pub struct Slot {
    /// Host name and slot number, such as `alpha-0`.
    pub name: String,
    _lock: File,
}

/// Takes the lowest free slot in a folder. The folder must be local to the host.
///
/// # Errors
/// [`Error::Slot`] if no file can be made or all slots are taken.
pub fn instance_slot(folder: &Path) -> Result<Slot, Error> {
    let fail = |reason: String| Error::Slot { path: folder.display().to_string(), reason };
    std::fs::create_dir_all(folder).map_err(|e| fail(e.to_string()))?;
    for number in 0..SLOTS_MAX {
        let path = folder.join(format!("slot-{number}.lock"));
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(path);
        let file = file.map_err(|e| fail(e.to_string()))?;
        if FileExt::try_lock_exclusive(&file).is_ok() {
            return Ok(Slot { name: format!("{}-{number}", host_name()), _lock: file });
        }
    }
    Err(fail(format!("all {SLOTS_MAX} slots are taken")))
}

/// The host's name as the kernel or the environment gives it.
fn host_name() -> String {
    let from_file = |path| std::fs::read_to_string(path).ok();
    from_file("/proc/sys/kernel/hostname")
        .or_else(|| std::env::var("HOSTNAME").ok())
        .map(|name| name.trim().to_owned())
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| "localhost".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_free_slot_is_taken_and_freed() {
        let folder = tempfile::tempdir().unwrap();
        let first = instance_slot(folder.path()).unwrap();
        let second = instance_slot(folder.path()).unwrap();
        assert!(first.name.ends_with("-0"), "{}", first.name);
        assert!(second.name.ends_with("-1"), "{}", second.name);
        drop(first);
        assert!(instance_slot(folder.path()).unwrap().name.ends_with("-0"));
    }
}
