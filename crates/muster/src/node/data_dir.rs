//! [`DataDir`]: the directory that belongs to one running server.

use std::{
    fs::{File, OpenOptions},
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};

/// The data directory, locked while this value lives.
pub(crate) struct DataDir {
    path: PathBuf,
    _lock: File,
}

impl DataDir {
    /// Makes the directory if it is missing, and locks it: two servers over the same files would hand
    /// out the same jobs.
    ///
    /// # Errors
    /// The directory cannot be made or written, or another server uses it.
    pub(crate) fn open(path: &Path) -> anyhow::Result<Self> {
        let shown = path.display();
        std::fs::create_dir_all(path)
            .with_context(|| format!("the data directory {shown} cannot be made"))?;
        let lock = OpenOptions::new()
            .create(true)
            .write(true)
            .truncate(false)
            .open(path.join("lock"))
            .with_context(|| format!("the data directory {shown} cannot be written"))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self {
                path: path.to_owned(),
                _lock: lock,
            }),
            Err(std::fs::TryLockError::WouldBlock) => {
                bail!(
                    "the data directory {shown} is used by another Muster; stop it or choose another --data-dir"
                )
            }
            Err(std::fs::TryLockError::Error(error)) => {
                Err(error).with_context(|| format!("the data directory {shown} cannot be locked"))
            }
        }
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// A file or directory inside.
    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The file with the administrator's key.
    pub(crate) fn admin_key_file(&self) -> PathBuf {
        self.join("admin-key")
    }

    /// Writes the administrator's key where only the owner of the file can read it.
    pub(crate) fn write_admin_key(&self, key: &str) -> anyhow::Result<()> {
        let file = self.admin_key_file();
        let write = || -> std::io::Result<()> {
            match std::fs::remove_file(&file) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            let mut file = OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&file)?;
            writeln!(file, "{key}")?;
            file.sync_all()
        };
        write().with_context(|| format!("the administrator's key cannot be written to {}", file.display()))
    }
}
